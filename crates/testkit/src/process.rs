//! Processes with a time limit, and all of what they wrote.

use std::io::{self, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How a process ended, and what it wrote.
#[derive(Clone, Debug)]
pub struct Run {
    /// How it ended; `None` if it had to be stopped.
    pub status: Option<ExitStatus>,
    /// Its standard output.
    pub output: Vec<u8>,
    /// Its standard error stream.
    pub errors: Vec<u8>,
}

/// Runs a command with an empty input.
///
/// # Errors
/// When the process cannot be started or waited for.
pub fn run(command: &mut Command, limit: Duration) -> io::Result<Run> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let deadline = Instant::now() + limit;
    let output = drain(child.stdout.take());
    let errors = drain(child.stderr.take());
    // Both pipes end with the process. One that outlives it in a grandchild does not keep the test waiting for ever.
    let mut in_time = true;
    let mut collect = |pipe: mpsc::Receiver<Vec<u8>>| {
        pipe.recv_timeout(deadline.saturating_duration_since(Instant::now())).unwrap_or_else(|_| {
            in_time = false;
            Vec::new()
        })
    };
    let (output, errors) = (collect(output), collect(errors));
    if !in_time {
        child.kill()?;
    }
    let status = child.wait()?;
    Ok(Run { status: in_time.then_some(status), output, errors })
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What could be read counts.
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_hangs_is_stopped() {
        let run = run(Command::new("sleep").arg("100"), Duration::from_millis(50)).unwrap();
        assert!(run.status.is_none());
    }

    #[test]
    fn both_streams_are_kept() {
        let run =
            run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 7"]), Duration::from_secs(20)).unwrap();
        assert_eq!((&run.output[..], &run.errors[..]), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!(run.status.and_then(|s| s.code()), Some(7));
    }
}
