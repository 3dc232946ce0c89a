//! How much the log says: each level says what the one before says, and more.

use std::str::FromStr;

/// A level of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing.
    #[default]
    Off,
    /// Each recording that became part of a tree, each that was given up, and each place where nobody tries again.
    Traces,
    /// Where segments lead, exits that something follows from, and each making of code.
    Links,
    /// The beginning of each recording, and the checks that hot exits are taken by.
    Recordings,
}

/// A text that names no level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownLevel;

impl FromStr for LogLevel {
    type Err = UnknownLevel;

    /// `1` to `3`.
    fn from_str(text: &str) -> Result<LogLevel, UnknownLevel> {
        match text {
            "1" => Ok(LogLevel::Traces),
            "2" => Ok(LogLevel::Links),
            "3" => Ok(LogLevel::Recordings),
            _ => Err(UnknownLevel),
        }
    }
}
