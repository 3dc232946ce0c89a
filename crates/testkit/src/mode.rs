//! The modes in which a fixture is run: one row each.
//!
//! A mode changes how the engine does its work, never what a script sees; so the expectations are the same in all.

use std::time::Duration;

use perilune_base::dialect::LuaVersion;
use perilune_fixtures::Fixture;

/// A way to run a fixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As the command does.
    Plain,
    /// A full collection before every allocation, which turns a reference that the collector was not told of into a
    /// failure of the test instead of one at some later time.
    Stress,
    /// In the instance of the interpreter's loop that serves debug hooks.
    Hooked,
    /// With the trace compiler.
    Jit,
    /// With the trace compiler, which takes each loop and each exit for hot.
    Hot,
    /// With the trace compiler, which takes for hot what has run two or three times, by turns of script and version: what
    /// is recorded then has seen other values before.
    Warm,
    /// As [`Mode::Hot`], with a full collection before every allocation.
    HotStress,
    /// As [`Mode::Hot`], with every third guard failing always.
    Exits,
}

/// What a mode is called, and what it costs.
struct Row {
    mode: Mode,
    name: &'static str,
    /// The folder of the fixtures that run in each of their versions, empty for all. Others run in one of them.
    each_version_of: Option<&'static str>,
    /// The time after which a script that is only slow in this mode is stopped; what it printed until then must be the
    /// beginning of what is expected.
    budget: Option<Duration>,
    /// The folder of the fixtures that are run; empty for all.
    folder: &'static str,
    /// Fixtures about what the mode is meant to change.
    except: &'static [&'static str],
}

/// Fixtures that show when objects die.
const ABOUT_COLLECTION: &[&str] = &[
    "collector/finalizer-errors-of-any-type",
    "collector/finalizers-at-exit",
    "collector/gc-inside-finalizer",
    "collector/resurrect-and-remark",
    "hostile/infinite-gc-resurrection",
    "traps/finalizer-changes-assumptions",
];

const ROWS: [Row; 8] = [
    Row { mode: Mode::Plain, name: "plain", each_version_of: Some(""), budget: None, folder: "", except: &[] },
    Row {
        mode: Mode::Stress,
        name: "stress",
        each_version_of: None,
        budget: Some(Duration::from_millis(1000)),
        folder: "",
        except: ABOUT_COLLECTION,
    },
    Row { mode: Mode::Hooked, name: "hooked", each_version_of: None, budget: None, folder: "", except: &[] },
    Row { mode: Mode::Jit, name: "jit", each_version_of: None, budget: None, folder: "", except: &[] },
    Row { mode: Mode::Hot, name: "hot", each_version_of: Some(""), budget: None, folder: "", except: &[] },
    Row { mode: Mode::Warm, name: "warm", each_version_of: Some("traps/"), budget: None, folder: "", except: &[] },
    Row {
        mode: Mode::HotStress,
        name: "hot-stress",
        each_version_of: None,
        budget: Some(Duration::from_millis(1000)),
        folder: "traps/",
        except: ABOUT_COLLECTION,
    },
    Row { mode: Mode::Exits, name: "exits", each_version_of: None, budget: None, folder: "", except: &[] },
];

impl Mode {
    /// All modes.
    pub fn all() -> impl Iterator<Item = Mode> {
        ROWS.iter().map(|row| row.mode)
    }

    /// The mode of a name.
    pub fn named(name: &str) -> Option<Mode> {
        ROWS.iter().find(|row| row.name == name).map(|row| row.mode)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The versions in which a fixture is run in it. Where that is one only, fixtures take turns, so that all are met.
    pub fn versions(self, fixture: &Fixture) -> Vec<LuaVersion> {
        let all = fixture.header.versions.clone();
        if all.is_empty()
            || !fixture.name.starts_with(self.row().folder)
            || self.row().except.contains(&&fixture.name[..])
        {
            return Vec::new();
        }
        if self.row().each_version_of.is_some_and(|folder| fixture.name.starts_with(folder)) {
            return all;
        }
        vec![all[turn(fixture.name.as_bytes()) % all.len()]]
    }

    /// How long a script may run before it is cut short.
    pub fn budget(self) -> Option<Duration> {
        self.row().budget
    }

    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}

/// How often something runs until it is hot in [`Mode::Warm`].
pub fn warm_threshold(name: &[u8], version: LuaVersion) -> u32 {
    2 + (turn(name) + version as usize) as u32 % 2
}

/// A number that says whose turn it is.
fn turn(name: &[u8]) -> usize {
    name.iter().copied().map(usize::from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_has_its_row() {
        for mode in Mode::all() {
            assert_eq!(mode.row().mode, mode);
            assert_eq!(Mode::named(mode.name()), Some(mode));
            for name in mode.row().except {
                assert!(crate::root().join("fixtures").join(name).with_extension("lua").exists(), "{name}");
            }
        }
    }

    #[test]
    fn versions_of_a_script_get_warm_by_turns() {
        let thresholds = LuaVersion::ALL.map(|version| warm_threshold(b"script", version));
        assert!([2, 3].iter().all(|threshold| thresholds.contains(threshold)), "{thresholds:?}");
    }
}
