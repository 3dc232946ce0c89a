//! Errors found while compiling, before they are given the chunk's name.

use crate::position::Position;

/// The result of a step of the compiler.
pub(crate) type Res<T> = Result<T, Box<Failure>>;

/// Why a chunk cannot be compiled.
#[derive(Debug)]
pub(crate) struct Failure {
    pub message: String,
    pub place: Place,
    pub kind: FailureKind,
}

/// What follows from an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FailureKind {
    /// The source is wrong.
    Meaning,
    /// Fewer registers would help: the chunk is compiled again without record constructors.
    Registers,
    /// Nothing is known about the source: it was given up.
    Stopped,
}

/// Where an error is reported.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// At a line; what was consumed ends at an offset.
    Line { line: u32, end: u32 },
    /// At the line of the token that follows.
    After(Position),
    /// At the line of the token that follows, which the message quotes.
    Near(Position),
    /// At a line; the message quotes the token that follows an offset.
    LineNear { line: u32, end: u32 },
}

impl Failure {
    /// An error in the meaning of the source.
    pub(crate) fn new(message: String, place: Place) -> Box<Failure> {
        Box::new(Failure { message, place, kind: FailureKind::Meaning })
    }

    /// The error that no register is left.
    pub(crate) fn register_overflow(message: String, at: Position) -> Box<Failure> {
        Box::new(Failure { message, place: Place::Near(at), kind: FailureKind::Registers })
    }
    /// The end of the work on a source that is given up.
    #[cold]
    pub(crate) fn stopped(at: Position) -> Box<Failure> {
        Box::new(Failure { message: "given up".to_owned(), place: Place::After(at), kind: FailureKind::Stopped })
    }
}
