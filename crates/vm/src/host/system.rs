//! The real world.
//!
//! Nothing here costs anything until it is used: the time zone is read at the first local time, buffers come with the first
//! byte.
#![expect(clippy::disallowed_methods, reason = "this is where the outside world enters")]

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use super::{
    Buffering, Closed, Host, HostError, HostFile, HostResult, LocalOffset, OpenMode, PipeMode, ProcessEnd, Purpose,
    StandardStream, Stream,
};

/// The real world: the clocks, files, streams and processes of the operating system.
pub struct SystemHost {
    start: Instant,
    zone: OnceCell<tz::TimeZone>,
    input: Stream,
    output: Stream,
    error: Stream,
}

impl SystemHost {
    /// The world of this process.
    pub fn new() -> SystemHost {
        SystemHost::with_output(StandardFile::new(StandardStream::Output))
    }

    /// The world of a command: when nobody reads its standard output any more, the process ends, as it would in C by
    /// `SIGPIPE`.
    pub fn for_command() -> SystemHost {
        SystemHost::with_output(StandardFile { ends_with_reader: true, ..StandardFile::new(StandardStream::Output) })
    }

    fn with_output(output: StandardFile) -> SystemHost {
        let mut host = SystemHost {
            start: Instant::now(),
            zone: OnceCell::new(),
            input: Stream::new(Box::new(StandardFile::new(StandardStream::Input)), false),
            output: Stream::new(Box::new(output), true),
            error: Stream::new(Box::new(StandardFile::new(StandardStream::Error)), true),
        };
        // Nothing waits in new buffers, so that nothing can fail here.
        if io::stdout().is_terminal() {
            let _ = host.output.set_buffering(Buffering::Line, 0);
        }
        let _ = host.error.set_buffering(Buffering::None, 0);
        host
    }

    /// Before another process writes to the same places.
    fn flush_standard_streams(&mut self) {
        self.output.flush_and_remember();
        self.error.flush_and_remember();
    }
}

impl Default for SystemHost {
    fn default() -> SystemHost {
        SystemHost::new()
    }
}

impl Host for SystemHost {
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn unix_time(&self) -> i64 {
        match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => since.as_secs() as i64,
            Err(before) => {
                let before = before.duration();
                -(before.as_secs() as i64) - i64::from(before.subsec_nanos() > 0)
            }
        }
    }

    #[cfg(unix)]
    fn cpu_time(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
    }

    #[cfg(not(unix))]
    fn cpu_time(&self) -> Duration {
        self.start.elapsed()
    }

    fn local_offset(&self, unix_time: i64) -> LocalOffset {
        let zone = self.zone.get_or_init(local_zone);
        match zone.find_local_time_type(unix_time) {
            // A zone without a name is universal time.
            Ok(kind) if !kind.time_zone_designation().is_empty() => LocalOffset {
                seconds: kind.ut_offset(),
                is_dst: kind.is_dst(),
                abbreviation: kind.time_zone_designation().to_owned(),
            },
            Ok(_) | Err(_) => LocalOffset::utc(),
        }
    }

    fn random_seed(&self) -> (u64, u64) {
        // The keys of a `RandomState` are the entropy that the standard library has.
        (RandomState::new().build_hasher().finish(), RandomState::new().build_hasher().finish())
    }

    fn variable(&self, name: &[u8]) -> Option<Vec<u8>> {
        std::env::var_os(os_str(name)).map(bytes_of)
    }

    fn open(&mut self, path: &[u8], mode: OpenMode) -> HostResult<Box<dyn HostFile>> {
        let mut options = OpenOptions::new();
        match mode.purpose {
            Purpose::Read => options.read(true).write(mode.update),
            Purpose::Write => options.write(true).create(true).truncate(true).read(mode.update),
            Purpose::Append => options.append(true).create(true).read(mode.update),
        };
        let mut file = options.open(os_str(path))?;
        if matches!(mode.purpose, Purpose::Append) && !mode.update {
            // As C does, so that the position is the end before anything is written. What cannot be sought has none.
            _ = file.seek(SeekFrom::End(0));
        }
        Ok(Box::new(SystemFile(file)))
    }

    fn remove(&mut self, path: &[u8]) -> HostResult<()> {
        let path = Path::new(os_str(path));
        match fs::symlink_metadata(path) {
            Ok(data) if data.is_dir() => fs::remove_dir(path)?,
            _ => fs::remove_file(path)?,
        }
        Ok(())
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) -> HostResult<()> {
        Ok(fs::rename(os_str(from), os_str(to))?)
    }

    fn temporary_name(&mut self) -> HostResult<Vec<u8>> {
        create_temporary().map(|(path, _)| bytes_of(path.into_os_string()))
    }

    fn temporary_file(&mut self) -> HostResult<Box<dyn HostFile>> {
        let (path, file) = create_temporary()?;
        // An open file without a name lives until it is closed.
        fs::remove_file(path)?;
        Ok(Box::new(SystemFile(file)))
    }

    fn stream(&mut self, which: StandardStream) -> &mut Stream {
        match which {
            StandardStream::Input => &mut self.input,
            StandardStream::Output => &mut self.output,
            StandardStream::Error => &mut self.error,
        }
    }

    fn open_process(&mut self, command: &[u8], mode: PipeMode) -> HostResult<Box<dyn HostFile>> {
        // `popen` of the reference calls C's `fflush(NULL)` and does not ask what came of it.
        let _ = self.output.flush();
        let _ = self.error.flush();
        let mut shell = shell(command);
        match mode {
            PipeMode::Read => shell.stdout(Stdio::piped()),
            PipeMode::Write => shell.stdin(Stdio::piped()),
        };
        Ok(Box::new(Process(shell.spawn()?)))
    }

    fn execute(&mut self, command: &[u8]) -> HostResult<ProcessEnd> {
        self.flush_standard_streams();
        Ok(end_of(shell(command).status()?))
    }

    fn has_shell(&self) -> bool {
        cfg!(windows) || Path::new(SHELL).exists()
    }
}

/// The zone of the variable `TZ`, else of the system, else universal time.
fn local_zone() -> tz::TimeZone {
    let zone = match std::env::var("TZ") {
        Ok(name) if name.is_empty() => Ok(tz::TimeZone::utc()),
        Ok(name) => tz::TimeZone::from_posix_tz(&name),
        Err(_) => tz::TimeZone::local(),
    };
    zone.unwrap_or_else(|_| tz::TimeZone::utc())
}

const SHELL: &str = "/bin/sh";

fn shell(command: &[u8]) -> Command {
    let (program, option) = if cfg!(windows) { ("cmd", "/C") } else { (SHELL, "-c") };
    let mut shell = Command::new(program);
    // C calls it so, and it calls itself so when it complains.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::arg0(&mut shell, "sh");
    shell.arg(option).arg(os_str(command));
    shell
}

#[cfg(unix)]
fn end_of(status: ExitStatus) -> ProcessEnd {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => ProcessEnd::Exit(code),
        (None, Some(signal)) => ProcessEnd::Signal(signal),
        (None, None) => ProcessEnd::Exit(status.into_raw()),
    }
}

#[cfg(not(unix))]
fn end_of(status: ExitStatus) -> ProcessEnd {
    ProcessEnd::Exit(status.code().unwrap_or(-1))
}

/// The bytes up to the first zero as a name for the system.
#[cfg(unix)]
fn os_str(bytes: &[u8]) -> &OsStr {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(bytes.split(|&b| b == 0).next().unwrap_or_default())
}

#[cfg(not(unix))]
fn os_str(bytes: &[u8]) -> &OsStr {
    let bytes = bytes.split(|&b| b == 0).next().unwrap_or_default();
    // No file has a name that is not text there.
    OsStr::new(std::str::from_utf8(bytes).unwrap_or("\u{fffd}"))
}

fn bytes_of(text: std::ffi::OsString) -> Vec<u8> {
    text.into_encoded_bytes()
}

/// Creates a file that did not exist, for this user only, and opens it for update.
fn create_temporary() -> HostResult<(PathBuf, File)> {
    const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const ATTEMPTS: usize = 100;
    let directory = if cfg!(unix) { PathBuf::from("/tmp") } else { std::env::temp_dir() };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    for _ in 0..ATTEMPTS {
        let mut random = RandomState::new().build_hasher().finish();
        let mut name = String::from("lua_");
        for _ in 0..6 {
            name.push(LETTERS[(random % LETTERS.len() as u64) as usize] as char);
            random /= LETTERS.len() as u64;
        }
        let path = directory.join(name);
        match options.open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            result => return Ok((path, result?)),
        }
    }
    Err(HostError { message: "File exists".to_owned(), code: 17 })
}

/// Repeats what a signal interrupted.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

struct SystemFile(File);

impl HostFile for SystemFile {
    fn read(&mut self, into: &mut [u8]) -> HostResult<usize> {
        Ok(uninterrupted(|| self.0.read(into))?)
    }

    fn write(&mut self, bytes: &[u8]) -> HostResult<usize> {
        Ok(uninterrupted(|| self.0.write(bytes))?)
    }

    fn seek(&mut self, to: SeekFrom) -> HostResult<u64> {
        Ok(self.0.seek(to)?)
    }
}

/// A shell command, with the one end of its pipe that the command has not.
struct Process(Child);

impl HostFile for Process {
    fn read(&mut self, into: &mut [u8]) -> HostResult<usize> {
        match &mut self.0.stdout {
            Some(pipe) => Ok(uninterrupted(|| pipe.read(into))?),
            None => Err(HostError::bad_descriptor()),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> HostResult<usize> {
        match &mut self.0.stdin {
            Some(pipe) => Ok(uninterrupted(|| pipe.write(bytes))?),
            None => Err(HostError::bad_descriptor()),
        }
    }

    fn close(mut self: Box<Self>) -> HostResult<Closed> {
        // A command that still writes must notice that nobody reads; `wait` closes its input.
        drop(self.0.stdout.take());
        Ok(Closed::Process(end_of(self.0.wait()?)))
    }
}

/// One of the three streams that the process was started with, without the buffers of the standard library.
///
/// Reading and writing need no descriptor of their own: a script that has opened all files it may still prints, and says
/// what it died of.
struct StandardFile {
    which: StandardStream,
    /// Whether the process ends when nobody reads what is written here.
    ends_with_reader: bool,
}

impl StandardFile {
    fn new(which: StandardStream) -> StandardFile {
        StandardFile { which, ends_with_reader: false }
    }

    #[cfg(unix)]
    fn read_some(&self, into: &mut [u8]) -> io::Result<usize> {
        let read = match self.which {
            StandardStream::Input => rustix::io::read(io::stdin(), into),
            StandardStream::Output => rustix::io::read(io::stdout(), into),
            StandardStream::Error => rustix::io::read(io::stderr(), into),
        };
        Ok(read?)
    }

    #[cfg(unix)]
    fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self.which {
            StandardStream::Input => rustix::io::write(io::stdin(), bytes),
            StandardStream::Output => rustix::io::write(io::stdout(), bytes),
            StandardStream::Error => rustix::io::write(io::stderr(), bytes),
        };
        Ok(written?)
    }

    /// The same file under another descriptor, which shares its position.
    #[cfg(unix)]
    fn duplicate(&self) -> io::Result<File> {
        use std::os::fd::AsFd;
        let descriptor = match self.which {
            StandardStream::Input => io::stdin().as_fd().try_clone_to_owned()?,
            StandardStream::Output => io::stdout().as_fd().try_clone_to_owned()?,
            StandardStream::Error => io::stderr().as_fd().try_clone_to_owned()?,
        };
        Ok(File::from(descriptor))
    }

    #[cfg(windows)]
    fn read_some(&self, into: &mut [u8]) -> io::Result<usize> {
        self.duplicate()?.read(into)
    }

    #[cfg(windows)]
    fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        self.duplicate()?.write(bytes)
    }

    /// The same file under another handle, which shares its position.
    #[cfg(windows)]
    fn duplicate(&self) -> io::Result<File> {
        use std::os::windows::io::AsHandle;
        let handle = match self.which {
            StandardStream::Input => io::stdin().as_handle().try_clone_to_owned()?,
            StandardStream::Output => io::stdout().as_handle().try_clone_to_owned()?,
            StandardStream::Error => io::stderr().as_handle().try_clone_to_owned()?,
        };
        Ok(File::from(handle))
    }
}

impl HostFile for StandardFile {
    fn read(&mut self, into: &mut [u8]) -> HostResult<usize> {
        Ok(uninterrupted(|| self.read_some(into))?)
    }

    fn write(&mut self, bytes: &[u8]) -> HostResult<usize> {
        /// The status that shells give to a program which died of `SIGPIPE`.
        const BROKEN_PIPE_STATUS: i32 = 128 + 13;
        match uninterrupted(|| self.write_some(bytes)) {
            Err(error) if self.ends_with_reader && error.kind() == ErrorKind::BrokenPipe => {
                std::process::exit(BROKEN_PIPE_STATUS)
            }
            result => Ok(result?),
        }
    }

    fn seek(&mut self, to: SeekFrom) -> HostResult<u64> {
        Ok(self.duplicate()?.seek(to)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_has_the_systems_message() {
        let error = SystemHost::new().open(b"/nowhere/at/all", OpenMode::READ).err().unwrap();
        assert_eq!((error.message.as_str(), error.code), ("No such file or directory", 2));
    }

    #[test]
    fn temporary_files_can_be_written_and_read_back() {
        let mut host = SystemHost::new();
        let mut file = host.temporary_file().unwrap();
        file.write(b"alo").unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut bytes = [0; 8];
        assert_eq!(file.read(&mut bytes).unwrap(), 3);
        let name = host.temporary_name().unwrap();
        host.remove(&name).unwrap();
        assert_eq!(host.remove(&name).unwrap_err().code, 2);
    }

    #[cfg(unix)]
    #[test]
    fn commands_report_how_they_ended() {
        let mut host = SystemHost::new();
        assert_eq!(host.execute(b"exit 3").unwrap(), ProcessEnd::Exit(3));
        assert_eq!(host.execute(b"kill -s KILL $$").unwrap(), ProcessEnd::Signal(9));
        let mut pipe = host.open_process(b"echo hi; exit 4", PipeMode::Read).unwrap();
        let mut bytes = [0; 8];
        assert_eq!(pipe.read(&mut bytes).unwrap(), 3);
        assert_eq!(pipe.close().unwrap(), Closed::Process(ProcessEnd::Exit(4)));
    }

    #[test]
    fn processor_time_passes() {
        let host = SystemHost::new();
        let before = host.cpu_time();
        let mut sum = 0u64;
        while host.cpu_time() == before {
            sum = std::hint::black_box(sum + 1);
        }
    }
}
