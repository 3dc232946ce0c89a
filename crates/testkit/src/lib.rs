//! What tests share: the modes in which fixtures run, processes with a time limit, and VMs to poke at. Which fixtures there
//! are, and what they expect, is the affair of `perilune-fixtures`.
//!
//! | module | question it answers |
//! |---|---|
//! | [`compatibility`] | what the pages about versions say |
//! | [`mode`] | in which ways a fixture is run |
//! | [`driver`] | how one fixture is run, in a process of its own |
//! | [`process`] | how a process is run that may hang |
//! | [`verdict`] | whether an output is the expected one, and if not, where it differs |
//! | [`lab`] | how a test holds a VM |
//!
//! The tests themselves:
//!
//! | file | what it proves |
//! |---|---|
//! | `tests/fixtures.rs` | each fixture gives its recorded output in each mode |
//! | `tests/reference.rs` | the recorded outputs are those of the reference interpreter |
//! | `tests/limits.rs` | fuel and memory limits hold, cannot be caught, and leave a usable VM |
//! | `tests/churn.rs` | memory stays flat and the heap stays sound |
//! | `tests/hostile.rs` | hostile input gives errors, not crashes |
//! | `tests/tidy.rs` | the repository keeps its own rules |
#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "tests use the real world: files, clocks and processes")]

use std::path::PathBuf;

pub use perilune_fixtures::{Fixture, Stream};

pub mod compatibility;
pub mod driver;
pub mod lab;
pub mod mode;
pub mod process;
pub mod verdict;

/// All fixtures, by name.
///
/// # Panics
/// If they cannot be read: then nothing can be tested.
pub fn fixtures() -> Vec<Fixture> {
    let folder = root().join("fixtures");
    perilune_fixtures::all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

/// The root of the repository.
pub fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path.pop();
    path
}
