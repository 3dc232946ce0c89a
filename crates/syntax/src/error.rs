//! Errors found in a source, with the reference's texts.

use std::fmt;

use perilune_base::chunkid::chunkid_of_syntax;
use perilune_base::dialect::Dialect;

use crate::lexer::Lexer;

/// Why a source is no valid chunk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    /// The whole message: `name:line: what is wrong near 'token'`. Bytes, as it may quote the source.
    pub message: Vec<u8>,
}

impl SyntaxError {
    /// An error at a line, without a token: `name:line: what`.
    #[must_use]
    pub fn new(chunk_name: &[u8], dialect: &Dialect, line: u32, what: impl AsRef<[u8]>) -> Self {
        let mut message = chunkid_of_syntax(chunk_name, dialect);
        message.extend_from_slice(format!(":{line}: ").as_bytes());
        message.extend_from_slice(what.as_ref());
        SyntaxError { message }
    }

    /// An error near the first token at or behind `offset`, which lies in `line`:
    /// `name:line: what near 'token'`, with the line of the token.
    ///
    /// If there is no valid token at that place, the error is about the token itself: the reference
    /// reads ahead by one token and would have stopped there.
    #[must_use]
    pub fn near(
        source: &[u8],
        chunk_name: &[u8],
        dialect: &Dialect,
        line: u32,
        offset: u32,
        what: impl AsRef<[u8]>,
    ) -> Self {
        let mut lexer = Lexer::at(source, chunk_name, dialect, offset as usize, line);
        match lexer.next_token() {
            Ok(token) => lexer.error_near(what.as_ref(), token),
            Err(error) => error,
        }
    }

    /// An error with `near` and the text of a token, if it has one.
    pub(crate) fn with_token(
        chunk_name: &[u8],
        dialect: &Dialect,
        line: u32,
        what: &[u8],
        token: Option<Vec<u8>>,
    ) -> Self {
        let mut error = SyntaxError::new(chunk_name, dialect, line, what);
        if let Some(token) = token {
            error.message.extend_from_slice(b" near ");
            error.message.extend_from_slice(&token);
        }
        error
    }

    /// The error that constructs are nested too deeply. It has no position, as in the reference.
    pub(crate) fn too_deep() -> Self {
        SyntaxError { message: b"C stack overflow".to_vec() }
    }

    /// Whether more source might make the chunk valid, which is how an interactive interpreter knows
    /// to ask for another line.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        is_incomplete(&self.message)
    }
}

/// [`SyntaxError::is_incomplete`] of an error of which only the message is left, as `load` gives it.
#[must_use]
pub fn is_incomplete(message: &[u8]) -> bool {
    // 5.1 quotes all tokens.
    message.ends_with(b"<eof>") || message.ends_with(b"'<eof>'")
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.message))
    }
}

impl std::error::Error for SyntaxError {}
