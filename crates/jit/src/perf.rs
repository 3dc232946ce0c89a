//! Names of compiled code for `perf`: a line for each block in the file that it looks for, `/tmp/perf-<process>.map`.
#![expect(clippy::disallowed_methods, reason = "the file is for the profiler; no script sees it")]

use std::fs::OpenOptions;
use std::io::Write;

/// Names the code at an address. Where the file cannot be written, the profiler shows addresses.
pub(crate) fn name(address: *const u8, bytes: usize, name: &str) {
    let path = format!("/tmp/perf-{}.map", std::process::id());
    if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
        let _ = writeln!(file, "{:x} {bytes:x} {name}", address.addr());
    }
}
