//! A bar on the terminal: how far a long run is, and about how long it still takes. Into a file or a pipe it writes
//! nothing.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Cells of the bar.
const WIDTH: usize = 24;

/// The progress of a known number of steps.
pub struct Progress {
    total: usize,
    done: usize,
    start: Instant,
    is_shown: bool,
}

impl Progress {
    /// A bar for so many steps.
    pub fn new(total: usize) -> Self {
        Progress { total, done: 0, start: Instant::now(), is_shown: std::io::stderr().is_terminal() }
    }

    /// The next step begins: `engine` runs `program`. One that was not foreseen does not count.
    pub fn step(&mut self, program: &str, engine: &str, was_foreseen: bool) {
        if self.is_shown {
            let line = line(self.done, self.total, self.start.elapsed());
            // A terminal that has gone away is no reason to stop measuring.
            let _ = write!(std::io::stderr(), "\r\x1b[K{line} {program} {engine}");
        }
        self.done += usize::from(was_foreseen);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// The bar with its numbers.
fn line(done: usize, total: usize, elapsed: Duration) -> String {
    let cells = done * WIDTH / total.max(1);
    let bar = format!("{}{}", "#".repeat(cells), ".".repeat(WIDTH - cells));
    let left = match done {
        0 => String::new(),
        _ => {
            let seconds = elapsed.as_secs_f64() / done as f64 * (total - done) as f64;
            format!(", {}:{:02} left", seconds as u64 / 60, seconds as u64 % 60)
        }
    };
    format!("[{bar}] {done}/{total}{left}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_guessed_from_the_time_spent() {
        assert_eq!(line(0, 4, Duration::ZERO), "[........................] 0/4");
        assert_eq!(line(1, 4, Duration::from_secs(25)), "[######..................] 1/4, 1:15 left");
    }
}
