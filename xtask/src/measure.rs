//! Running one command: what it printed, how it ended, what it cost.
//!
//! CPU time is user plus system time of the child as `wait4` reports it, so
//! it is the child's alone however busy the machine is. Peak memory comes
//! from the same call. Linux counts in it the image that the child had before
//! it became the command: after `posix_spawn` that is all of this process, so
//! [`run`] has the child forked, whose image is then a fraction of that (see
//! the test below) and less than any engine needs.
//!
//! Output goes to unnamed files rather than pipes, so that reading it takes
//! no time from the child and a child cannot block on it.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, getgid, pidfd_open};
use wait4::Wait4;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The process ended by itself.
    Exited(ExitStatus),
    /// The limit passed and the process was killed.
    TimedOut,
}

impl End {
    /// Whether the process ended by itself and reported success.
    pub fn is_success(self) -> bool {
        matches!(self, End::Exited(status) if status.success())
    }

    /// A few words for a table: `ok`, `exit 1`, `signal 11`, `timeout`.
    pub fn words(self) -> String {
        use std::os::unix::process::ExitStatusExt;
        match self {
            End::TimedOut => "timeout".to_string(),
            End::Exited(status) if status.success() => "ok".to_string(),
            End::Exited(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("exit {code}"),
                (None, Some(signal)) => format!("signal {signal}"),
                (None, None) => "ended".to_string(),
            },
        }
    }
}

/// One run of a command.
#[derive(Clone, Debug)]
pub struct Run {
    /// How it ended.
    pub end: End,
    /// User and system time.
    pub cpu: Duration,
    /// Peak resident memory in bytes.
    pub peak: u64,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Run {
    /// The line of standard error that says what went wrong: the one before
    /// the traceback, else the last one.
    pub fn error_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let mut last = "";
        for line in text.lines() {
            if line.starts_with("stack traceback:") {
                break;
            }
            if !line.trim().is_empty() {
                last = line;
            }
        }
        last.to_string()
    }
}

/// Runs a command to its end, or kills it when `limit` has passed.
///
/// # Errors
/// When the command cannot be started or waited for.
pub fn run(command: &mut Command, limit: Duration) -> io::Result<Run> {
    let mut stdout = tempfile::tempfile()?;
    let mut stderr = tempfile::tempfile()?;
    let mut child = command
        // Our own group, so nothing changes; but `Command` forks when one is set.
        .gid(getgid().as_raw())
        .stdin(Stdio::null())
        .stdout(Stdio::from(stdout.try_clone()?))
        .stderr(Stdio::from(stderr.try_clone()?))
        .spawn()?;
    let in_time = ends_within(&child, limit);
    if !matches!(in_time, Ok(true)) {
        // The child is not reaped yet, so its id is still its own.
        child.kill()?;
    }
    let used = child.wait4()?;
    let end = if in_time? { End::Exited(used.status) } else { End::TimedOut };
    Ok(Run {
        end,
        cpu: used.rusage.utime + used.rusage.stime,
        peak: used.rusage.maxrss,
        stdout: contents(&mut stdout)?,
        stderr: contents(&mut stderr)?,
    })
}

/// Waits until the child has ended, without reaping it; false when `limit` passes first.
fn ends_within(child: &std::process::Child, limit: Duration) -> io::Result<bool> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut watched = [PollFd::new(&pidfd, PollFlags::IN)];
        match poll(&mut watched, Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn contents(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Run {
        run(Command::new("sh").args(["-c", script]), limit).expect("sh runs")
    }

    #[test]
    fn output_and_exit_code_are_kept_apart() {
        let run = shell("echo out; echo first >&2; echo 'stack traceback:' >&2; exit 3", Duration::from_secs(20));
        assert_eq!(run.stdout, b"out\n");
        assert_eq!(run.error_line(), "first");
        assert_eq!(run.end.words(), "exit 3");
    }

    #[test]
    fn a_slow_command_is_killed() {
        let run = shell("exec sleep 30", Duration::from_millis(50));
        assert_eq!(run.end, End::TimedOut);
    }

    #[test]
    fn time_asleep_is_not_cpu_time() {
        let run = shell("exec sleep 0.2", Duration::from_secs(20));
        assert!(run.end.is_success());
        assert!(run.cpu < Duration::from_millis(150), "{:?}", run.cpu);
    }

    /// The peak memory of this process in bytes.
    fn own_peak() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("proc is mounted");
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.expect("a number of KiB") * 1024
    }

    #[test]
    fn peak_memory_is_not_that_of_the_parent() {
        let run = shell("exec true", Duration::from_secs(20));
        assert!(run.peak < own_peak() / 3 * 2, "{} of {}", run.peak, own_peak());
    }
}
