//! No outside world.

use std::time::{Duration, Instant};

use super::{
    Buffering, Host, HostError, HostFile, HostResult, LocalOffset, OpenMode, PipeMode, ProcessEnd, StandardStream,
    Stream,
};

/// Denies all: no files, variables or processes, clocks that stand still, input at its end, output to nowhere.
///
/// Only limits of time are kept by a clock that goes; nothing of it can be seen by scripts.
pub struct NullHost {
    start: Instant,
    /// All three: nothing that passes one can be seen through another.
    stream: Stream,
}

impl NullHost {
    /// A world of nothing.
    #[expect(clippy::disallowed_methods, reason = "limits of time hold in every world")]
    pub fn new() -> NullHost {
        let mut stream = Stream::new(Box::new(Nowhere), true);
        // Nothing waits in the buffer, so that nothing can fail here.
        let _ = stream.set_buffering(Buffering::None, 0);
        NullHost { start: Instant::now(), stream }
    }
}

impl Default for NullHost {
    fn default() -> NullHost {
        NullHost::new()
    }
}

/// Always at its end, and takes all that is written.
struct Nowhere;

impl HostFile for Nowhere {
    fn read(&mut self, _into: &mut [u8]) -> HostResult<usize> {
        Ok(0)
    }

    fn write(&mut self, bytes: &[u8]) -> HostResult<usize> {
        Ok(bytes.len())
    }
}

impl Host for NullHost {
    #[expect(clippy::disallowed_methods, reason = "limits of time hold in every world")]
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn unix_time(&self) -> i64 {
        0
    }

    fn cpu_time(&self) -> Duration {
        Duration::ZERO
    }

    fn local_offset(&self, _unix_time: i64) -> LocalOffset {
        LocalOffset::utc()
    }

    fn random_seed(&self) -> (u64, u64) {
        (0, 0)
    }

    fn variable(&self, _name: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn open(&mut self, _path: &[u8], _mode: OpenMode) -> HostResult<Box<dyn HostFile>> {
        Err(HostError::denied())
    }

    fn remove(&mut self, _path: &[u8]) -> HostResult<()> {
        Err(HostError::denied())
    }

    fn rename(&mut self, _from: &[u8], _to: &[u8]) -> HostResult<()> {
        Err(HostError::denied())
    }

    fn temporary_name(&mut self) -> HostResult<Vec<u8>> {
        Err(HostError::denied())
    }

    fn temporary_file(&mut self) -> HostResult<Box<dyn HostFile>> {
        Err(HostError::denied())
    }

    fn stream(&mut self, _which: StandardStream) -> &mut Stream {
        &mut self.stream
    }

    fn open_process(&mut self, _command: &[u8], _mode: PipeMode) -> HostResult<Box<dyn HostFile>> {
        Err(HostError::denied())
    }

    fn execute(&mut self, _command: &[u8]) -> HostResult<ProcessEnd> {
        Err(HostError::denied())
    }

    fn has_shell(&self) -> bool {
        false
    }
}
