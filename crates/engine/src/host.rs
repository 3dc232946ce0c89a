//! The outside world of a VM, and what it takes to make one.
//!
//! | type | what it is |
//! |---|---|
//! | [`SystemHost`] | the real world; what a VM has if nothing is said |
//! | [`NullHost`] | no world at all |
//! | [`DeterministicHost`] | a world that is the same on every run |
//! | [`CaptureHost`] | another world, but what scripts print goes into a buffer |
//! | [`Host`] | what all of them are; implement it for a world of your own |
//! | [`Stream`], [`HostFile`] | a file with its buffer as scripts have it, and what you implement for it |
//!
//! A world of one's own, with files in memory that can be read only:
//!
//! ```
//! use std::collections::HashMap;
//! use std::time::Duration;
//!
//! use perilune::host::*;
//! use perilune::Lua;
//!
//! struct Assets {
//!     files: HashMap<Vec<u8>, &'static [u8]>,
//!     nothing: NullHost,
//! }
//!
//! struct Asset(&'static [u8]);
//! impl HostFile for Asset {
//!     fn read(&mut self, into: &mut [u8]) -> HostResult<usize> {
//!         let count = into.len().min(self.0.len());
//!         let (now, later) = self.0.split_at(count);
//!         into[..count].copy_from_slice(now);
//!         self.0 = later;
//!         Ok(count)
//!     }
//! }
//!
//! impl Host for Assets {
//!     fn open(&mut self, path: &[u8], mode: OpenMode) -> HostResult<Box<dyn HostFile>> {
//!         match self.files.get(path) {
//!             Some(content) if !mode.writes() => Ok(Box::new(Asset(content))),
//!             _ => Err(HostError::denied()),
//!         }
//!     }
//!
//!     // All else is as it is without a world.
//!     fn monotonic(&self) -> Duration { self.nothing.monotonic() }
//!     fn unix_time(&self) -> i64 { self.nothing.unix_time() }
//!     fn cpu_time(&self) -> Duration { self.nothing.cpu_time() }
//!     fn local_offset(&self, unix_time: i64) -> LocalOffset { self.nothing.local_offset(unix_time) }
//!     fn random_seed(&self) -> (u64, u64) { (1, 2) }
//!     fn variable(&self, name: &[u8]) -> Option<Vec<u8>> { self.nothing.variable(name) }
//!     fn remove(&mut self, path: &[u8]) -> HostResult<()> { self.nothing.remove(path) }
//!     fn rename(&mut self, from: &[u8], to: &[u8]) -> HostResult<()> { self.nothing.rename(from, to) }
//!     fn temporary_name(&mut self) -> HostResult<Vec<u8>> { self.nothing.temporary_name() }
//!     fn temporary_file(&mut self) -> HostResult<Box<dyn HostFile>> { self.nothing.temporary_file() }
//!     fn stream(&mut self, which: StandardStream) -> &mut Stream { self.nothing.stream(which) }
//!     fn open_process(&mut self, command: &[u8], mode: PipeMode) -> HostResult<Box<dyn HostFile>> {
//!         self.nothing.open_process(command, mode)
//!     }
//!     fn execute(&mut self, command: &[u8]) -> HostResult<ProcessEnd> { self.nothing.execute(command) }
//!     fn has_shell(&self) -> bool { false }
//! }
//!
//! let files = HashMap::from([(b"level1.txt".to_vec(), &b"rocks\nice\n"[..])]);
//! let lua = Lua::builder().host(Box::new(Assets { files, nothing: NullHost::new() })).build()?;
//! assert_eq!(lua.load("io.open('level1.txt'):read('a')").eval::<String>()?, "rocks\nice\n");
//! assert!(lua.load("io.open('level1.txt', 'w')").eval::<Option<perilune::Value>>()?.is_none());
//! # Ok::<(), perilune::Error>(())
//! ```

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

pub use perilune_vm::host::{
    Buffering, Closed, DeterministicHost, Host, HostError, HostFile, HostResult, LocalOffset, NullHost, OpenMode,
    PipeMode, ProcessEnd, Purpose, StandardStream, Stream, SystemHost,
};

/// Another world, but what scripts write to `io.stdout` and `io.stderr` goes into a buffer of the host's.
///
/// ```
/// use perilune::Lua;
/// use perilune::host::{CaptureHost, NullHost};
///
/// let (host, output) = CaptureHost::new(Box::new(NullHost::new()), 64 << 10);
/// let lua = Lua::builder().host(Box::new(host)).build()?;
/// lua.load("print('one', 2) io.write('three')").exec()?;
/// assert_eq!(output.take(), b"one\t2\nthree");
/// # Ok::<(), perilune::Error>(())
/// ```
pub struct CaptureHost {
    world: Box<dyn Host>,
    /// Both streams, so that what is written keeps its order.
    output: Stream,
}

/// What a [`CaptureHost`] has captured.
#[derive(Clone, Debug, Default)]
pub struct Captured(Rc<RefCell<Vec<u8>>>);

impl Captured {
    /// Takes what was written since the last time.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.borrow_mut())
    }
}

/// The file behind the streams.
struct Buffer {
    captured: Captured,
    most: usize,
}

impl HostFile for Buffer {
    fn write(&mut self, bytes: &[u8]) -> HostResult<usize> {
        /// `ENOSPC`
        const NO_SPACE: i32 = 28;
        let mut buffer = self.captured.0.borrow_mut();
        let count = bytes.len().min(self.most.saturating_sub(buffer.len()));
        if count == 0 && !bytes.is_empty() {
            return Err(HostError { message: "No space left on device".to_owned(), code: NO_SPACE });
        }
        buffer.extend_from_slice(&bytes[..count]);
        Ok(count)
    }
}

impl CaptureHost {
    /// A world whose output is captured, and what is captured: at most so many bytes until they are taken. For scripts, the
    /// device is full then.
    pub fn new(world: Box<dyn Host>, most: usize) -> (CaptureHost, Captured) {
        let captured = Captured::default();
        let mut output = Stream::new(Box::new(Buffer { captured: captured.clone(), most }), true);
        // Nothing waits in the buffer, so that nothing can fail here.
        let _ = output.set_buffering(Buffering::None, 0);
        (CaptureHost { world, output }, captured)
    }
}

impl Host for CaptureHost {
    fn stream(&mut self, which: StandardStream) -> &mut Stream {
        match which {
            StandardStream::Input => self.world.stream(which),
            StandardStream::Output | StandardStream::Error => &mut self.output,
        }
    }

    fn monotonic(&self) -> Duration {
        self.world.monotonic()
    }

    fn unix_time(&self) -> i64 {
        self.world.unix_time()
    }

    fn cpu_time(&self) -> Duration {
        self.world.cpu_time()
    }

    fn local_offset(&self, unix_time: i64) -> LocalOffset {
        self.world.local_offset(unix_time)
    }

    fn random_seed(&self) -> (u64, u64) {
        self.world.random_seed()
    }

    fn hides_addresses(&self) -> bool {
        self.world.hides_addresses()
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
}
