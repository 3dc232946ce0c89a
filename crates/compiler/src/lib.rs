//! Compiles syntax trees to bytecode.
//!
//! One walk over the tree generates the code; nothing is built in between. The methods of `FuncState` are the code
//! generator proper: registers, jumps, descriptors of expressions, operators. The methods of `Compiler` walk the tree and
//! keep the position in the source, from which instructions get their lines.
//!
//! | module        | question it answers                                                  |
//! |---------------|----------------------------------------------------------------------|
//! | `exp`         | what is known about an expression without a place                    |
//! | `func_state`  | which instructions, constants and registers a function has           |
//! | `jumps`       | how jumps with an open target are chained and patched                |
//! | `discharge`   | how a value gets to its place                                        |
//! | `operators`   | which instruction an operator becomes                                |
//! | `fold`        | which operations are done while compiling                            |
//! | `scope`       | which variable a name means                                          |
//! | `labels`      | where `goto` and `break` go                                          |
//! | `expr`, `call`, `table` | how expressions are walked                                 |
//! | `stat`, `loops`, `globals`, `function` | how statements and functions are walked                |
//! | `position`    | which line the reference would give an instruction                   |
//!
//! The order of evaluation, the names and lines of debug information and the texts of errors are the reference's. What
//! is not: some instructions that cannot fail and begin no line may be missing or stand in another place.
//!
//! Left operands and the objects of suffixes form chains of any length, which are walked with a loop. Everything else
//! recurses, as deep as the parser did.
#![forbid(unsafe_code)]

mod call;
mod discharge;
mod exp;
mod expr;
mod failure;
mod fold;
mod func_state;
mod function;
mod globals;
mod jumps;
mod labels;
mod loops;
mod operators;
mod position;
mod scope;
mod stat;
mod table;
#[cfg(test)]
mod tests;

use perilune_base::dialect::Dialect;
use perilune_bytecode::proto::{ENV, Proto};
use perilune_syntax::ast::{Chunk, ExprId, Name};
use perilune_syntax::{Broken, Stop, SyntaxError};

use crate::failure::{Failure, FailureKind, Place, Res};
use crate::func_state::FuncState;
use crate::position::{Position, skip_blank};

/// Nodes of the tree between two questions whether to give up: these take less than a millisecond.
const ASKS_EVERY: u32 = 4096;

/// Why a source was not compiled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It is wrong.
    Wrong(SyntaxError),
    /// Whoever was asked from time to time wanted it given up.
    Stopped,
}

/// Compiles a chunk, which was parsed from `source`.
///
/// `chunk_name` is the name given to `load`, with its `=` or `@`.
///
/// # Errors
///
/// What is wrong with the chunk beyond its grammar: unknown labels, assignments to constants, exceeded limits.
pub fn compile(chunk: &Chunk, source: &[u8], chunk_name: &[u8], dialect: &Dialect) -> Result<Proto, SyntaxError> {
    try_compile(chunk, source, chunk_name, dialect, &|| false)
        .map_err(|failure| into_syntax_error(&failure, source, chunk_name, dialect))
}

fn try_compile(chunk: &Chunk, source: &[u8], chunk_name: &[u8], dialect: &Dialect, stop: Stop<'_>) -> Res<Proto> {
    let run = |records| Compiler::new(chunk, source, chunk_name, dialect, records, stop).main_function();
    match run(Records::Allowed) {
        // Record constructors hold all their values in registers at once.
        Err(failure) if failure.kind == FailureKind::Registers => run(Records::Forbidden),
        result => result,
    }
}

/// Parses and compiles a source.
///
/// # Errors
///
/// What the parser or [`compile`] reports.
pub fn compile_source(source: &[u8], chunk_name: &[u8], dialect: &Dialect) -> Result<Proto, SyntaxError> {
    compile_source_at(0, source, chunk_name, dialect, &|| false).map_err(|refused| match refused {
        Refused::Wrong(error) => error,
        Refused::Stopped => SyntaxError { message: b"nobody has asked for this".to_vec() },
    })
}

/// As [`compile_source`], for a source that may nest its constructs less deeply by `depth` levels, and that is given up when
/// `stop` says so.
///
/// # Errors
/// As [`compile_source`], or that it was given up.
pub fn compile_source_at(
    depth: u32,
    source: &[u8],
    chunk_name: &[u8],
    dialect: &Dialect,
    stop: Stop<'_>,
) -> Result<Proto, Refused> {
    match perilune_syntax::parse_until_error(source, chunk_name, dialect, depth, stop) {
        Ok(chunk) => try_compile(&chunk, source, chunk_name, dialect, stop)
            .map_err(|failure| refused(&failure, source, chunk_name, dialect)),
        Err(broken) => Err(first_error(&broken, source, chunk_name, dialect, stop)),
    }
}

/// Whether a source violates the grammar already with these bytes, whatever may follow them; also when `stop` had it given up.
#[must_use]
pub fn is_hopeless(beginning: &[u8], dialect: &Dialect, stop: Stop<'_>) -> bool {
    match perilune_syntax::parse_until_error(beginning, b"", dialect, 0, stop) {
        Ok(_) => false,
        // A token that the bytes end with may go on.
        Err(broken) => broken.is_stopped || !broken.error.is_incomplete() && (broken.end as usize) < beginning.len(),
    }
}

/// The error that the reference, which compiles while it parses, finds first: one in the meaning of what stands before the
/// syntax error, or that.
#[cold]
fn first_error(broken: &Broken, source: &[u8], chunk_name: &[u8], dialect: &Dialect, stop: Stop<'_>) -> Refused {
    if broken.is_stopped {
        return Refused::Stopped;
    }
    match try_compile(&broken.chunk, source, chunk_name, dialect, stop) {
        Err(failure) if failure.kind == FailureKind::Stopped || comes_first(&failure, broken, source) => {
            refused(&failure, source, chunk_name, dialect)
        }
        _ => Refused::Wrong(broken.error.clone()),
    }
}

#[cold]
fn refused(failure: &Failure, source: &[u8], chunk_name: &[u8], dialect: &Dialect) -> Refused {
    match failure.kind {
        FailureKind::Stopped => Refused::Stopped,
        FailureKind::Meaning | FailureKind::Registers => {
            Refused::Wrong(into_syntax_error(failure, source, chunk_name, dialect))
        }
    }
}

/// Whether an error was found before the token at which the grammar is violated was looked at.
fn comes_first(failure: &Failure, broken: &Broken, source: &[u8]) -> bool {
    let next = match failure.place {
        Place::Line { end, .. } => end,
        Place::After(at) | Place::Near(at) => skip_blank(source, at.end + u32::from(at.skip), at.line).0,
        Place::LineNear { line, end } => skip_blank(source, end, line).0,
    };
    next <= broken.offset
}

/// Whether table constructors may become record instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Records {
    Allowed,
    Forbidden,
}

/// The walk over a chunk.
pub(crate) struct Compiler<'a> {
    pub dialect: &'a Dialect,
    pub chunk: &'a Chunk,
    source: &'a [u8],
    chunk_name: &'a [u8],
    pub records: Records,
    /// The index of `_ENV` among the names of the chunk.
    pub env_name: Option<Name>,
    /// The innermost function.
    pub fs: FuncState<'a>,
    /// The functions around it, outermost first.
    pub outer: Vec<FuncState<'a>>,
    /// Suffixes and operators whose left operands are being compiled.
    pub spine: Vec<ExprId>,
    /// Whether to give up, and the nodes until that is asked next.
    stop: Stop<'a>,
    asks_in: u32,
}

impl<'a> Compiler<'a> {
    fn new(
        chunk: &'a Chunk,
        source: &'a [u8],
        chunk_name: &'a [u8],
        dialect: &'a Dialect,
        records: Records,
        stop: Stop<'a>,
    ) -> Compiler<'a> {
        let env_name = chunk.names.iter().position(|name| **name == *ENV);
        Compiler {
            dialect,
            chunk,
            source,
            chunk_name,
            records,
            env_name: env_name.map(|index| Name(index as u32)),
            fs: FuncState::new(chunk, dialect, Position::behind(1, 0)),
            outer: Vec::new(),
            spine: Vec::new(),
            stop,
            asks_in: ASKS_EVERY,
        }
    }

    /// Counts a node, and fails if the source is to be given up.
    #[inline]
    pub(crate) fn step(&mut self) -> Res<()> {
        self.asks_in -= 1;
        if self.asks_in == 0 { self.ask() } else { Ok(()) }
    }

    #[cold]
    fn ask(&mut self) -> Res<()> {
        self.asks_in = ASKS_EVERY;
        if (self.stop)() { Err(Failure::stopped(self.fs.at)) } else { Ok(()) }
    }

    /// Notes that everything up to `end`, in `line`, has been consumed.
    pub(crate) fn consumed(&mut self, line: u32, end: u32) {
        self.fs.at = Position::behind(line, end);
    }

    /// Consumes the next token, whose text is `len` bytes long.
    pub(crate) fn consume_token(&mut self, len: u8) {
        let at = self.fs.at;
        let (end, line) = skip_blank(self.source, at.end + u32::from(at.skip), at.line);
        self.fs.at = Position { line, end, skip: len };
    }
}

/// Finishes the text of an error.
fn into_syntax_error(failure: &Failure, source: &[u8], chunk_name: &[u8], dialect: &Dialect) -> SyntaxError {
    let next = |at: Position| skip_blank(source, at.end + u32::from(at.skip), at.line);
    match failure.place {
        Place::Line { line, .. } => SyntaxError::new(chunk_name, dialect, line, &failure.message),
        Place::After(at) if dialect.errors_in_last_line => {
            SyntaxError::new(chunk_name, dialect, at.line, &failure.message)
        }
        Place::After(at) => SyntaxError::new(chunk_name, dialect, next(at).1, &failure.message),
        Place::Near(at) => {
            let (offset, line) = next(at);
            SyntaxError::near(source, chunk_name, dialect, line, offset, &failure.message)
        }
        Place::LineNear { line, end } => {
            let (offset, _) = skip_blank(source, end, line);
            SyntaxError::near(source, chunk_name, dialect, line, offset, &failure.message)
        }
    }
}
