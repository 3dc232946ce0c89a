//! The interactive mode: reads a line, runs it, prints what it returns.
//!
//! A line is first tried as an expression (`return line`), then as statements, to which lines are added for as long as the
//! only thing wrong with them is that they end.

use perilune_vm::load::is_incomplete;

use crate::lines::{Line, Lines};
use crate::report;
use crate::session::{Chunk, Failure, Session};

/// The name of the chunks that are typed.
const NAME: &[u8] = b"=stdin";

/// Reads and runs lines until the input ends. Gives back what ends the program early.
pub fn run(session: &mut Session, mut lines: Lines) -> Result<(), Failure> {
    while let Some(loaded) = read_chunk(session, &mut lines) {
        let results = loaded.and_then(|chunk| session.call(chunk, &[]));
        match results {
            Ok(values) if values.is_empty() => {}
            Ok(values) => {
                if let Err(failure) = session.print(&values) {
                    let message = message_of(failure)?;
                    report(session, None, &[b"error calling 'print' (", message.as_slice(), b")"].concat());
                }
            }
            Err(Failure::Silent) => {}
            Err(failure) => {
                let message = message_of(failure)?;
                report(session, None, &message);
            }
        }
    }
    lines.finish(session);
    Ok(())
}

/// The message of an error; what is not an error ends the mode.
fn message_of(failure: Failure) -> Result<Vec<u8>, Failure> {
    match failure {
        Failure::Error(message) => Ok(message),
        Failure::Silent | Failure::Limit(_) | Failure::Exit { .. } => Err(failure),
    }
}

/// A chunk of as many lines as it needs; `None` at the end of the input.
fn read_chunk(session: &mut Session, lines: &mut Lines) -> Option<Result<Chunk, Failure>> {
    loop {
        match prompt(session, lines, "_PROMPT", b"> ") {
            Line::Text(line) => {
                if let Some(loaded) = complete(session, lines, line) {
                    return Some(loaded);
                }
            }
            Line::Abandoned => {}
            Line::End => return None,
        }
    }
}

/// The chunk that begins with a line; `None` if the user abandons it.
fn complete(session: &mut Session, lines: &mut Lines, line: Vec<u8>) -> Option<Result<Chunk, Failure>> {
    // `=x` is what `return x` was in Lua 5.2.
    let mut source = match line.strip_prefix(b"=") {
        Some(expression) => [b"return ", expression].concat(),
        None => line,
    };
    if let Ok(chunk) = session.load(&[b"return ", source.as_slice()].concat(), NAME) {
        lines.remember(&source);
        return Some(Ok(chunk));
    }
    loop {
        let loaded = session.load(&source, NAME);
        match &loaded {
            Err(Failure::Error(message)) if is_incomplete(message) => {
                match prompt(session, lines, "_PROMPT2", b">> ") {
                    Line::Text(line) => {
                        source.push(b'\n');
                        source.extend_from_slice(&line);
                    }
                    Line::Abandoned => return None,
                    Line::End => return Some(loaded),
                }
            }
            _ => {
                lines.remember(&source);
                return Some(loaded);
            }
        }
    }
}

/// Shows the prompt that a global holds, and reads a line.
fn prompt(session: &mut Session, lines: &mut Lines, global: &str, default: &[u8]) -> Line {
    let prompt = session.global_text(global);
    lines.read(session, prompt.as_deref().unwrap_or(default))
}
