//! A host whose readings are the same on every run.

use std::cell::Cell;
use std::time::Duration;

use super::{Host, HostFile, HostResult, LocalOffset, OpenMode, PipeMode, ProcessEnd, StandardStream, Stream};

/// Another host, except that time is logical and universal, entropy is a given seed, and objects have numbers instead of addresses.
///
/// The clocks start at [`DeterministicHost::EPOCH`] and move by [`DeterministicHost::TICK`] at every reading: a program that
/// waits for a time to come ends, and ends after the same number of readings everywhere.
pub struct DeterministicHost {
    world: Box<dyn Host>,
    seed: u64,
    /// How often the seed was asked for.
    readings: Cell<u32>,
    /// What all readings of clocks took.
    elapsed: Cell<Duration>,
}

impl DeterministicHost {
    /// When all runs begin: 2000-01-01T00:00:00Z.
    pub const EPOCH: i64 = 946_684_800;

    /// What a reading of a clock takes.
    pub const TICK: Duration = Duration::from_micros(10);

    /// `world` with a seed.
    pub fn new(world: Box<dyn Host>, seed: u64) -> DeterministicHost {
        DeterministicHost { world, seed, readings: Cell::new(0), elapsed: Cell::new(Duration::ZERO) }
    }

    fn elapsed(&self) -> Duration {
        let now = self.elapsed.get() + Self::TICK;
        self.elapsed.set(now);
        now
    }
}

impl Host for DeterministicHost {
    fn monotonic(&self) -> Duration {
        self.elapsed()
    }

    fn unix_time(&self) -> i64 {
        Self::EPOCH + self.elapsed().as_secs() as i64
    }

    fn cpu_time(&self) -> Duration {
        self.elapsed()
    }

    fn local_offset(&self, _unix_time: i64) -> LocalOffset {
        LocalOffset::utc()
    }

    fn random_seed(&self) -> (u64, u64) {
        let reading = self.readings.get();
        self.readings.set(reading.wrapping_add(1));
        (self.seed, u64::from(reading))
    }

    fn hides_addresses(&self) -> bool {
        true
    }

    fn variable(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.world.variable(name)
    }

    fn open(&mut self, path: &[u8], mode: OpenMode) -> HostResult<Box<dyn HostFile>> {
        self.world.open(path, mode)
    }

    fn remove(&mut self, path: &[u8]) -> HostResult<()> {
        self.world.remove(path)
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) -> HostResult<()> {
        self.world.rename(from, to)
    }

    fn temporary_name(&mut self) -> HostResult<Vec<u8>> {
        self.world.temporary_name()
    }

    fn temporary_file(&mut self) -> HostResult<Box<dyn HostFile>> {
        self.world.temporary_file()
    }

    fn stream(&mut self, which: StandardStream) -> &mut Stream {
        self.world.stream(which)
    }

    fn open_process(&mut self, command: &[u8], mode: PipeMode) -> HostResult<Box<dyn HostFile>> {
        self.world.open_process(command, mode)
    }

    fn execute(&mut self, command: &[u8]) -> HostResult<ProcessEnd> {
        self.world.execute(command)
    }

    fn has_shell(&self) -> bool {
        self.world.has_shell()
    }

    fn locale(&mut self, category: &str, name: Option<&[u8]>) -> Option<Vec<u8>> {
        self.world.locale(category, name)
    }

    fn report(&mut self, text: &[u8]) {
        self.world.report(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::NullHost;

    #[test]
    fn two_runs_read_the_same() {
        let readings = |seed| {
            let host = DeterministicHost::new(Box::new(NullHost::new()), seed);
            (host.random_seed(), host.random_seed(), host.monotonic(), host.unix_time(), host.cpu_time())
        };
        assert_eq!(readings(7), readings(7));
        assert_ne!(readings(7).0, readings(8).0);
    }

    #[test]
    fn time_passes_by_looking_at_it() {
        let host = DeterministicHost::new(Box::new(NullHost::new()), 0);
        let start = host.unix_time();
        assert_eq!(start, DeterministicHost::EPOCH);
        while host.unix_time() < start + 1 {}
    }
}
