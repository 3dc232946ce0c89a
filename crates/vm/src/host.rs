//! The outside world, as one trait.
//!
//! Clocks, entropy, environment variables, files, standard streams and processes reach scripts, libraries and limits only
//! through [`Host`]; `clippy.toml` forbids their functions of the standard library elsewhere. This is what makes a sandbox
//! and the deterministic mode true.
//!
//! | type | what it is for |
//! |---|---|
//! | [`Host`] | the world of one VM |
//! | [`HostFile`] | an open file, unbuffered, as a host hands it out |
//! | [`Stream`] | a [`HostFile`] with buffers and modes like those of a C `FILE` |
//! | [`SystemHost`] | the real world |
//! | [`DeterministicHost`] | another host, but with a logical clock and a given seed |
//! | [`NullHost`] | nothing: denies all |
//!
//! Ending the process is not here: `os.exit` is a request that unwinds to the embedder (`Vm::request_exit`).
//!
//! Names and contents are bytes. A host cuts a file name or command at its first zero byte, as C does.

mod deterministic;
mod null;
mod stream;
mod system;

use std::fmt;
use std::io::{self, SeekFrom};
use std::time::Duration;

pub use deterministic::DeterministicHost;
pub use null::NullHost;
pub use stream::{Buffering, Stream};
pub use system::SystemHost;

/// The world of one VM.
///
/// Readings take `&self`: they may happen while limits are checked. What changes the world takes `&mut self`.
pub trait Host {
    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// Seconds since 1970-01-01T00:00:00Z.
    fn unix_time(&self) -> i64;

    /// Processor time that the program has used (`os.clock`).
    fn cpu_time(&self) -> Duration;

    /// What local time is at an instant given as [`Host::unix_time`] does.
    ///
    /// There is no reverse: whoever has a local time looks for the instant whose offset leads to it.
    fn local_offset(&self, unix_time: i64) -> LocalOffset;

    /// Entropy: hash seeds, and the seed of `math.random`.
    fn random_seed(&self) -> (u64, u64);

    /// Whether programs are shown numbers instead of the addresses of objects (`tostring`, `%p`), so that their output is the same on
    /// every run.
    fn hides_addresses(&self) -> bool {
        false
    }

    /// The value of an environment variable.
    fn variable(&self, name: &[u8]) -> Option<Vec<u8>>;

    /// Opens a file.
    fn open(&mut self, path: &[u8], mode: OpenMode) -> HostResult<Box<dyn HostFile>>;

    /// Deletes a file or an empty directory.
    fn remove(&mut self, path: &[u8]) -> HostResult<()>;

    /// Renames a file or directory.
    fn rename(&mut self, from: &[u8], to: &[u8]) -> HostResult<()>;

    /// Creates an empty file under a name that did not exist, and gives the name.
    fn temporary_name(&mut self) -> HostResult<Vec<u8>>;

    /// Opens a new file for update that vanishes once it is closed.
    fn temporary_file(&mut self) -> HostResult<Box<dyn HostFile>>;

    /// A standard stream, with the buffer that all of the VM shares.
    fn stream(&mut self, which: StandardStream) -> &mut Stream;

    /// Starts a shell command with one end of a pipe.
    fn open_process(&mut self, command: &[u8], mode: PipeMode) -> HostResult<Box<dyn HostFile>>;

    /// Runs a shell command to its end.
    fn execute(&mut self, command: &[u8]) -> HostResult<ProcessEnd>;

    /// Whether there is a shell for [`Host::execute`].
    fn has_shell(&self) -> bool;

    /// Sets the locale of a category of `os.setlocale`, or asks for it if there is no name; `None` if it cannot be had.
    ///
    /// Everything in this engine behaves as in the locale `C`, so that it is the only one.
    fn locale(&mut self, _category: &str, name: Option<&[u8]>) -> Option<Vec<u8>> {
        match name {
            None | Some(b"" | b"C" | b"POSIX") => Some(b"C".to_vec()),
            Some(_) => None,
        }
    }

    /// Writes a message for the person at the terminal (warnings, reports of errors), after the output so far.
    fn report(&mut self, text: &[u8]) {
        // Nobody is left to tell that these failed.
        let _ = self.stream(StandardStream::Output).flush();
        let _ = self.stream(StandardStream::Error).write(text);
    }
}

/// What a host answers to a request that can fail.
pub type HostResult<T> = Result<T, HostError>;

/// Why a host did not do something: what C would leave in `errno`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError {
    /// The message of `strerror`: `No such file or directory`.
    pub message: String,
    /// The number of the error; 0 if it has none.
    pub code: i32,
}

impl HostError {
    /// A request that the host does not allow.
    pub fn denied() -> HostError {
        HostError { message: "Operation not permitted".to_owned(), code: 1 }
    }

    /// Reading what is open for writing only, or the reverse.
    pub fn bad_descriptor() -> HostError {
        HostError { message: "Bad file descriptor".to_owned(), code: 9 }
    }

    /// A position before the start of the file.
    pub fn invalid_argument() -> HostError {
        HostError { message: "Invalid argument".to_owned(), code: 22 }
    }

    /// Positioning in a pipe or terminal.
    pub fn illegal_seek() -> HostError {
        HostError { message: "Illegal seek".to_owned(), code: 29 }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HostError {}

impl From<io::Error> for HostError {
    fn from(error: io::Error) -> HostError {
        let mut message = error.to_string();
        let code = error.raw_os_error().unwrap_or(0);
        // The standard library adds the number to the text of `strerror`.
        let suffix = format!(" (os error {code})");
        if let Some(text) = message.strip_suffix(&suffix) {
            message.truncate(text.len());
        }
        HostError { message, code }
    }
}

/// How a file is opened: a checked mode of C's `fopen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenMode {
    /// The first letter.
    pub purpose: Purpose,
    /// `+`: both reading and writing.
    pub update: bool,
}

/// The first letter of a file mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `r`: the file must exist.
    Read,
    /// `w`: the file is created or emptied.
    Write,
    /// `a`: the file is created if missing, and all writing goes to its end.
    Append,
}

impl OpenMode {
    /// `r`
    pub const READ: OpenMode = OpenMode { purpose: Purpose::Read, update: false };
    /// `w`
    pub const WRITE: OpenMode = OpenMode { purpose: Purpose::Write, update: false };
    /// `w+`
    pub const WRITE_UPDATE: OpenMode = OpenMode { purpose: Purpose::Write, update: true };

    /// The mode that a text means: `[rwa]%+?b*`.
    pub fn parse(text: &[u8]) -> Option<OpenMode> {
        let (letter, rest) = text.split_first()?;
        let purpose = match letter {
            b'r' => Purpose::Read,
            b'w' => Purpose::Write,
            b'a' => Purpose::Append,
            _ => return None,
        };
        let (update, rest) = match rest.strip_prefix(b"+") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        rest.iter().all(|&b| b == b'b').then_some(OpenMode { purpose, update })
    }

    /// Whether a file opened this way can be written.
    pub fn writes(self) -> bool {
        self.update || self.purpose != Purpose::Read
    }
}

/// An open file, pipe or device.
///
/// Each method moves as much as one system call does. What a sort of file cannot do keeps its default.
pub trait HostFile {
    /// Reads into `into`; 0 at the end of the file.
    fn read(&mut self, _into: &mut [u8]) -> HostResult<usize> {
        Err(HostError::bad_descriptor())
    }

    /// Writes the beginning of `bytes`, and says how much of it.
    fn write(&mut self, _bytes: &[u8]) -> HostResult<usize> {
        Err(HostError::bad_descriptor())
    }

    /// Moves, and gives the position from the start.
    fn seek(&mut self, _to: SeekFrom) -> HostResult<u64> {
        Err(HostError::illegal_seek())
    }

    /// Closes it. A process is waited for.
    fn close(self: Box<Self>) -> HostResult<Closed> {
        Ok(Closed::File)
    }
}

/// What was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// A file.
    File,
    /// A pipe: its process has ended.
    Process(ProcessEnd),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEnd {
    /// By itself, with this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

/// The direction of a pipe to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipeMode {
    /// The script reads what the process writes.
    Read,
    /// The script writes what the process reads.
    Write,
}

/// The streams that every program has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardStream {
    /// `io.stdin`
    Input,
    /// `io.stdout`
    Output,
    /// `io.stderr`
    Error,
}

/// Local time at some instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalOffset {
    /// Seconds to add to UTC.
    pub seconds: i32,
    /// Whether daylight saving time is in force.
    pub is_dst: bool,
    /// The zone's abbreviation: `CET`.
    pub abbreviation: String,
}

impl LocalOffset {
    /// Universal time.
    pub fn utc() -> LocalOffset {
        LocalOffset { seconds: 0, is_dst: false, abbreviation: "UTC".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_those_of_the_reference() {
        assert_eq!(OpenMode::parse(b"r"), Some(OpenMode::READ));
        assert_eq!(OpenMode::parse(b"w+bb"), Some(OpenMode::WRITE_UPDATE));
        assert_eq!(OpenMode::parse(b"a+"), Some(OpenMode { purpose: Purpose::Append, update: true }));
        for text in ["", "rw", "rb+", "r+bk", "+", "b", "r++"] {
            assert_eq!(OpenMode::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn system_errors_read_like_strerror() {
        let error = HostError::from(io::Error::from_raw_os_error(2));
        assert_eq!(error, HostError { message: "No such file or directory".to_owned(), code: 2 });
    }
}
