//! Tokens to syntax tree, by recursive descent.
//!
//! The grammar is walked in the same order as in the reference's `lparser.c`, because the order of the
//! checks decides which of several errors is reported.
//!
//! Lists are collected on stacks in the parser (`statements`, `lists` and so on) and moved to the pools
//! of the [`Chunk`] when they are complete, as one run; inner lists complete before outer ones. Each
//! function that collects remembers the height of its stack on entry.
//!
//! Recursion is bounded by [`Parser::enter_level`], which the reference calls at the same places.

mod expr;
mod stat;

use perilune_base::dialect::Dialect;
use perilune_base::dialect::table::DepthText;
use perilune_base::index::{Pool, Slice};
use perilune_base::limits::{MAX_C_CALLS, MAX_SOURCE};

use crate::ast::{Arm, Attrib, Binding, Block, Chunk, Expr, ExprId, ExprKind, Field, FuncBody, Name, Stat, Varargs};
use crate::error::SyntaxError;
use crate::lexer::Lexer;
use crate::token::Token;

type Result<T> = std::result::Result<T, SyntaxError>;

/// Parses the source of a chunk.
///
/// `chunk_name` is the name given to `load`, with its `=` or `@`.
///
/// # Errors
///
/// The first violation of the grammar.
pub fn parse(source: &[u8], chunk_name: &[u8], dialect: &Dialect) -> std::result::Result<Chunk, SyntaxError> {
    parse_until_error(source, chunk_name, dialect, 0, &|| false).map_err(|broken| broken.error)
}

/// Asked from time to time, as the work goes on, whether to give up.
pub type Stop<'s> = &'s dyn Fn() -> bool;

/// Bytes of source between two questions whether to give up: these take about a millisecond.
const ASKS_EVERY: u32 = 16 << 10;

/// A source that violates the grammar.
#[derive(Debug)]
pub struct Broken {
    /// The first violation.
    pub error: SyntaxError,
    /// The offset of the token that is at fault.
    pub offset: u32,
    /// The offset up to which the source was read to find it.
    pub end: u32,
    /// The complete statements before it, with all blocks that are open there closed.
    pub chunk: Chunk,
    /// Whether the source violates nothing yet: whoever was asked wanted it given up.
    pub is_stopped: bool,
}

/// As [`parse`], but what stands before an error is not lost: the reference compiles while it parses, so that errors in the
/// meaning of it come before the error itself. `depth` levels of nesting count as used up. When `stop` says so, the source is
/// given up.
///
/// # Errors
///
/// The first violation of the grammar.
pub fn parse_until_error(
    source: &[u8],
    chunk_name: &[u8],
    dialect: &Dialect,
    depth: u32,
    stop: Stop<'_>,
) -> std::result::Result<Chunk, Box<Broken>> {
    let is_too_long = source.len() > MAX_SOURCE;
    let mut parser = Parser::new(if is_too_long { &[] } else { source }, chunk_name, dialect, stop);
    parser.level = depth;
    if is_too_long {
        parser.fail(SyntaxError::new(chunk_name, dialect, 1, "chunk is too long"));
    }
    parser.chunk()
}

/// The text of the error that a function, defined in this line (0 for the chunk), has more than `limit` of `what`.
#[must_use]
pub fn limit_text(dialect: &Dialect, what: &str, limit: usize, line: u32) -> String {
    let place = match line {
        0 => "main function".to_owned(),
        line => format!("function at line {line}"),
    };
    if dialect.limits_named_first {
        format!("too many {what} (limit is {limit}) in {place}")
    } else {
        format!("{place} has more than {limit} {what}")
    }
}

/// A token read ahead of the current one, and where it ends.
#[derive(Clone, Copy)]
struct Ahead {
    token: Token,
    start: u32,
    end: u32,
}

struct Parser<'s> {
    dialect: &'s Dialect,
    lexer: Lexer<'s>,
    /// The current token: the first one not consumed.
    token: Token,
    /// The offset of the current token.
    start: u32,
    /// The offset behind the current token.
    end: u32,
    /// The token behind the current one, if it has been looked at.
    ahead: Option<Ahead>,
    /// The line of the last token consumed.
    last_line: u32,
    /// The offset behind the last token consumed.
    last_end: u32,
    /// Nested constructs around the current token, and what counts as such.
    level: u32,
    /// Whether the innermost function has a variable number of arguments.
    is_vararg: bool,
    /// Whether it uses `...`.
    uses_dots: bool,
    /// Loops around the current token in the innermost function.
    loops: u32,
    /// The line of the innermost function; 0 for the chunk.
    function_line: u32,
    /// The first error, with the offset of the token at fault and that up to which was read. From it on, the source counts as ended, and what
    /// is missing as present.
    failure: Option<(SyntaxError, u32, u32)>,
    /// Whether to give up, the offset at which that is asked next, and the answer.
    stop: Stop<'s>,
    asks_at: u32,
    is_stopped: bool,

    exprs: Pool<Expr>,
    expr_lists: Pool<ExprId>,
    stats: Pool<Stat>,
    functions: Pool<FuncBody>,
    bindings: Pool<Binding>,
    fields: Pool<Field>,
    arms: Pool<Arm>,

    open_lists: Vec<ExprId>,
    open_stats: Vec<Stat>,
    open_bindings: Vec<Binding>,
    open_fields: Vec<Field>,
    open_arms: Vec<Arm>,
}

impl<'s> Parser<'s> {
    fn new(source: &'s [u8], chunk_name: &'s [u8], dialect: &'s Dialect, stop: Stop<'s>) -> Self {
        Parser {
            dialect,
            lexer: Lexer::new(source, chunk_name, dialect),
            token: Token::Eof,
            start: 0,
            end: 0,
            ahead: None,
            last_line: 1,
            last_end: 0,
            level: 0,
            is_vararg: true,
            uses_dots: false,
            loops: 0,
            function_line: 0,
            failure: None,
            stop,
            asks_at: ASKS_EVERY,
            is_stopped: false,
            exprs: Pool::new(),
            expr_lists: Pool::new(),
            stats: Pool::new(),
            functions: Pool::new(),
            bindings: Pool::new(),
            fields: Pool::new(),
            arms: Pool::new(),
            open_lists: Vec::new(),
            open_stats: Vec::new(),
            open_bindings: Vec::new(),
            open_fields: Vec::new(),
            open_arms: Vec::new(),
        }
    }

    fn chunk(mut self) -> std::result::Result<Chunk, Box<Broken>> {
        self.advance();
        let mut block = self.block();
        self.check(Token::Eof);
        if self.failure.is_some() {
            // The chunk has no end yet: what is only known there, such as that a label is missing, comes behind the error.
            block.end = self.start;
        }
        let main =
            FuncBody { params: Slice::EMPTY, varargs: Varargs::Plain, block, line_defined: 0, last_line_defined: 0 };
        let chunk = Chunk {
            main,
            exprs: self.exprs,
            expr_lists: self.expr_lists,
            stats: self.stats,
            functions: self.functions,
            bindings: self.bindings,
            fields: self.fields,
            arms: self.arms,
            names: self.lexer.names.into_names(),
        };
        match self.failure {
            None => Ok(chunk),
            Some((error, offset, end)) => {
                Err(Box::new(Broken { error, offset, end, chunk, is_stopped: self.is_stopped }))
            }
        }
    }

    /// Notes an error, unless it only follows from an earlier one, and ends the source.
    #[cold]
    fn fail(&mut self, error: SyntaxError) {
        if self.failure.is_some() {
            return;
        }
        self.failure = Some((error, self.start, self.lexer.end()));
        self.lexer.finish();
        self.ahead = None;
        self.token = Token::Eof;
        // What follows is not in the source: it lies behind the token at fault.
        self.start += 1;
        self.end = self.start;
        self.last_end = self.start;
    }

    /// Asks whether to give up.
    #[cold]
    fn ask(&mut self) {
        self.asks_at = self.end.saturating_add(ASKS_EVERY);
        if self.failure.is_none() && (self.stop)() {
            self.is_stopped = true;
            self.fail(self.lexer.error_here(b"given up"));
        }
    }

    /// Consumes the current token.
    #[inline]
    fn advance(&mut self) {
        self.last_line = self.lexer.line();
        self.last_end = self.end;
        if self.end >= self.asks_at {
            self.ask();
        }
        match self.ahead.take() {
            Some(Ahead { token, start, end }) => {
                self.token = token;
                self.start = start;
                self.end = end;
            }
            None => match self.lexer.next_token() {
                Ok(token) => {
                    self.token = token;
                    self.start = self.lexer.start();
                    self.end = self.lexer.end();
                }
                Err(error) => self.fail(error),
            },
        }
    }

    /// The token behind the current one.
    fn look_ahead(&mut self) -> Token {
        if let Some(ahead) = self.ahead {
            return ahead.token;
        }
        let token = match self.lexer.next_token() {
            Ok(token) => token,
            Err(error) => {
                self.fail(error);
                return Token::Eof;
            }
        };
        self.ahead = Some(Ahead { token, start: self.lexer.start(), end: self.lexer.end() });
        token
    }

    /// The line of the current token.
    #[inline]
    fn line(&self) -> u32 {
        self.lexer.line()
    }

    /// The line that an error in the meaning of the last token is told in.
    fn error_line(&self) -> u32 {
        if self.dialect.errors_in_last_line { self.last_line } else { self.line() }
    }

    /// Consumes the current token if it is this one.
    #[inline]
    fn accept(&mut self, token: Token) -> bool {
        let is_next = self.token == token;
        if is_next {
            self.advance();
        }
        is_next
    }

    /// Fails unless the current token is this one.
    #[inline]
    fn check(&mut self, token: Token) {
        if self.token != token {
            self.fail(self.expected(token));
        }
    }

    /// Consumes this token.
    #[inline]
    fn expect(&mut self, token: Token) {
        self.check(token);
        self.advance()
    }

    /// Consumes the token that closes what `opener` opened at `line`.
    #[inline]
    fn expect_closing(&mut self, token: Token, opener: Token, line: u32) {
        if self.token != token {
            self.fail(self.not_closed(token, opener, line));
        }
        self.advance()
    }

    /// Consumes a name.
    #[inline]
    fn expect_name(&mut self) -> Name {
        match self.token {
            Token::Name(name) => {
                self.advance();
                name
            }
            _ => {
                self.fail(self.error(&[&self.shown_name()[..], b" expected"].concat()));
                self.lexer.names.intern(b"?")
            }
        }
    }

    #[cold]
    fn not_closed(&self, token: Token, opener: Token, line: u32) -> SyntaxError {
        if line == self.line() {
            return self.expected(token);
        }
        let hint = format!(" at line {line})");
        let (token, opener) = (token.shown(self.dialect.token_text), opener.shown(self.dialect.token_text));
        self.error(&[&token[..], b" expected (to close ", &opener, hint.as_bytes()].concat())
    }

    #[cold]
    fn expected(&self, token: Token) -> SyntaxError {
        self.error(&[&token.shown(self.dialect.token_text)[..], b" expected"].concat())
    }

    /// What messages call a name.
    fn shown_name(&self) -> Vec<u8> {
        Token::Name(Name(0)).shown(self.dialect.token_text)
    }

    /// An error near the current token.
    #[cold]
    fn error(&self, what: &[u8]) -> SyntaxError {
        self.lexer.error_near(what, self.token)
    }

    /// Counts a nesting level, which must be left by [`Parser::leave_level`].
    #[inline]
    fn enter_level(&mut self) -> Result<()> {
        if self.level >= self.dialect.max_levels {
            return Err(self.too_deep());
        }
        self.level += 1;
        Ok(())
    }

    #[cold]
    fn too_deep(&self) -> SyntaxError {
        match self.dialect.depth_text {
            DepthText::SyntaxLevels => self.lexer.error_here(b"chunk has too many syntax levels"),
            DepthText::CLevels => self.limit_error("C levels", MAX_C_CALLS as usize),
            DepthText::StackOverflow => SyntaxError::too_deep(),
        }
    }

    #[inline]
    fn leave_level(&mut self) {
        self.level -= 1;
    }

    /// Adds an expression whose last token has just been consumed.
    #[inline]
    fn expr_node(&mut self, kind: ExprKind) -> ExprId {
        self.exprs.push(Expr { kind, line: self.last_line, end: self.last_end })
    }

    /// Consumes a name and makes it a string constant.
    fn name_as_key(&mut self) -> ExprId {
        let name = self.expect_name();
        self.expr_node(ExprKind::Str(name))
    }

    /// Consumes a name that declares a local variable without attribute.
    fn plain_binding(&mut self) -> Binding {
        let name = self.expect_name();
        Binding { name, attrib: Attrib::None, line: self.line(), end: self.last_end }
    }

    /// The error that the innermost function has more than `limit` of `what`.
    #[cold]
    fn limit_error(&self, what: &str, limit: usize) -> SyntaxError {
        let text = limit_text(self.dialect, what, limit, self.function_line);
        if self.dialect.limits_named_first {
            self.error(text.as_bytes())
        } else {
            self.lexer.error_here(text.as_bytes())
        }
    }

    /// Whether the current token ends a block. `until` does so only for the statements themselves: a label
    /// in front of it still sees the block's variables.
    #[inline]
    fn ends_block(&self, with_until: bool) -> bool {
        match self.token {
            Token::Else | Token::Elseif | Token::End | Token::Eof => true,
            Token::Until => with_until,
            _ => false,
        }
    }

    /// Parses statements up to the token that closes the block, which stays. After an error the block ends with the last
    /// complete statement.
    fn block(&mut self) -> Block {
        let height = self.open_stats.len();
        let level = self.level;
        let open = [self.open_lists.len(), self.open_bindings.len(), self.open_fields.len(), self.open_arms.len()];
        if let Err(error) = self.statements() {
            self.fail(error);
            self.level = level;
            let [lists, bindings, fields, arms] = open;
            self.open_lists.truncate(lists);
            self.open_bindings.truncate(bindings);
            self.open_fields.truncate(fields);
            self.open_arms.truncate(arms);
        }
        Block {
            stats: self.stats.take_tail(&mut self.open_stats, height),
            last_line: self.last_line,
            end_line: self.line(),
            end: self.start,
        }
    }

    fn statements(&mut self) -> Result<()> {
        while !self.ends_block(true) {
            let is_last = match self.token {
                Token::Return => true,
                Token::Break => !self.dialect.break_anywhere,
                _ => false,
            };
            self.statement()?;
            if !self.dialect.empty_statements {
                self.accept(Token::Char(b';'));
            }
            if is_last {
                break;
            }
        }
        Ok(())
    }

    /// Parses parameters and body of a function, up to and with its `end`.
    fn function_body(&mut self, has_self: bool, line: u32) -> Result<ExprId> {
        let outer_is_vararg = std::mem::replace(&mut self.is_vararg, false);
        let outer_uses_dots = std::mem::replace(&mut self.uses_dots, false);
        let outer_loops = std::mem::replace(&mut self.loops, 0);
        let outer_line = std::mem::replace(&mut self.function_line, line);
        self.expect(Token::Char(b'('));
        let params = self.open_bindings.len();
        if has_self {
            let name = self.lexer.names.intern(b"self");
            let (line, end) = (self.line(), self.last_end);
            self.open_bindings.push(Binding { name, attrib: Attrib::None, line, end });
        }
        let arg = self.parameters()?;
        let params = self.bindings.take_tail(&mut self.open_bindings, params);
        self.expect(Token::Char(b')'));
        let block = self.block();
        let last_line_defined = self.line();
        self.expect_closing(Token::End, Token::Function, line);
        let is_vararg = std::mem::replace(&mut self.is_vararg, outer_is_vararg);
        let uses_dots = std::mem::replace(&mut self.uses_dots, outer_uses_dots);
        self.loops = outer_loops;
        self.function_line = outer_line;
        let varargs = match arg {
            Some(name) => Varargs::Named { name, is_needed: !uses_dots },
            None if is_vararg => Varargs::Plain,
            None => Varargs::None,
        };
        let body = FuncBody { params, varargs, block, line_defined: line, last_line_defined };
        let function = self.functions.push(body);
        Ok(self.expr_node(ExprKind::Function(function)))
    }

    /// Parses parameters, and gives the variable for the extra arguments if there is one.
    fn parameters(&mut self) -> Result<Option<Binding>> {
        let mut arg = None;
        if self.token == Token::Char(b')') {
            return Ok(None);
        }
        loop {
            match self.token {
                Token::Name(_) => {
                    let param = self.plain_binding();
                    self.open_bindings.push(param);
                }
                Token::Dots => {
                    self.advance();
                    self.is_vararg = true;
                    if self.dialect.vararg_table {
                        let name = self.lexer.names.intern(b"arg");
                        let (line, end) = (self.line(), self.last_end);
                        arg = Some(Binding { name, attrib: Attrib::None, line, end });
                    } else if self.dialect.named_varargs && matches!(self.token, Token::Name(_)) {
                        arg = Some(self.plain_binding());
                    }
                }
                _ => return Err(self.error(b"<name> or '...' expected")),
            }
            if self.is_vararg || !self.accept(Token::Char(b',')) {
                return Ok(arg);
            }
        }
    }
}

#[cfg(test)]
#[path = "../parser_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "../dialect_tests.rs"]
mod dialect_tests;
