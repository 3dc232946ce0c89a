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
use perilune_base::limits::{MAX_C_CALLS, MAX_LOCALS, MAX_SOURCE};

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
    if source.len() > MAX_SOURCE {
        return Err(SyntaxError::new(chunk_name, dialect, 1, "chunk is too long"));
    }
    Parser::new(source, chunk_name, dialect).chunk()
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

/// The last nesting level that is not an error: the host call that runs the parser counts as one.
const DEEPEST_LEVEL: u32 = MAX_C_CALLS - 2;

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
    /// Nested constructs around the current token.
    level: u32,
    /// Whether the innermost function has a variable number of arguments.
    is_vararg: bool,
    /// Whether it uses `...`.
    uses_dots: bool,
    /// Loops around the current token in the innermost function.
    loops: u32,
    /// The line of the innermost function; 0 for the chunk.
    function_line: u32,
    /// Variables of the innermost function that are declared and not yet out of scope.
    locals: usize,

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
    fn new(source: &'s [u8], chunk_name: &'s [u8], dialect: &'s Dialect) -> Self {
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
            locals: 0,
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

    fn chunk(mut self) -> Result<Chunk> {
        self.advance()?;
        let block = self.block()?;
        self.check(Token::Eof)?;
        let main =
            FuncBody { params: Slice::EMPTY, varargs: Varargs::Plain, block, line_defined: 0, last_line_defined: 0 };
        Ok(Chunk {
            main,
            exprs: self.exprs,
            expr_lists: self.expr_lists,
            stats: self.stats,
            functions: self.functions,
            bindings: self.bindings,
            fields: self.fields,
            arms: self.arms,
            names: self.lexer.names.into_names(),
        })
    }

    /// Consumes the current token.
    #[inline]
    fn advance(&mut self) -> Result<()> {
        self.last_line = self.lexer.line();
        self.last_end = self.end;
        match self.ahead.take() {
            Some(Ahead { token, start, end }) => {
                self.token = token;
                self.start = start;
                self.end = end;
            }
            None => {
                self.token = self.lexer.next_token()?;
                self.start = self.lexer.start();
                self.end = self.lexer.end();
            }
        }
        Ok(())
    }

    /// The token behind the current one.
    fn look_ahead(&mut self) -> Result<Token> {
        if let Some(ahead) = self.ahead {
            return Ok(ahead.token);
        }
        let token = self.lexer.next_token()?;
        self.ahead = Some(Ahead { token, start: self.lexer.start(), end: self.lexer.end() });
        Ok(token)
    }

    /// The line of the current token.
    #[inline]
    fn line(&self) -> u32 {
        self.lexer.line()
    }

    /// Consumes the current token if it is this one.
    #[inline]
    fn accept(&mut self, token: Token) -> Result<bool> {
        let is_next = self.token == token;
        if is_next {
            self.advance()?;
        }
        Ok(is_next)
    }

    /// Fails unless the current token is this one.
    #[inline]
    fn check(&self, token: Token) -> Result<()> {
        if self.token == token { Ok(()) } else { Err(self.expected(token)) }
    }

    /// Consumes this token.
    #[inline]
    fn expect(&mut self, token: Token) -> Result<()> {
        self.check(token)?;
        self.advance()
    }

    /// Consumes the token that closes what `opener` opened at `line`.
    #[inline]
    fn expect_closing(&mut self, token: Token, opener: Token, line: u32) -> Result<()> {
        if self.token == token { self.advance() } else { Err(self.not_closed(token, opener, line)) }
    }

    /// Consumes a name.
    #[inline]
    fn expect_name(&mut self) -> Result<Name> {
        match self.token {
            Token::Name(name) => {
                self.advance()?;
                Ok(name)
            }
            _ => Err(self.error(&[&self.shown_name()[..], b" expected"].concat())),
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
        if self.level >= DEEPEST_LEVEL {
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
    fn name_as_key(&mut self) -> Result<ExprId> {
        let name = self.expect_name()?;
        Ok(self.expr_node(ExprKind::Str(name)))
    }

    /// Consumes a name that declares a local variable without attribute.
    fn plain_binding(&mut self) -> Result<Binding> {
        let name = self.expect_name()?;
        self.declare_locals(1)?;
        Ok(Binding { name, attrib: Attrib::None, line: self.line(), end: self.last_end })
    }

    /// Counts variables. Their number is limited here, and not where registers run out, so that the error comes before
    /// those that follow in the source.
    fn declare_locals(&mut self, count: usize) -> Result<()> {
        self.locals += count;
        if self.locals <= MAX_LOCALS {
            return Ok(());
        }
        Err(self.limit_error("local variables", MAX_LOCALS))
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

    /// Parses statements up to the token that closes the block, which stays.
    fn block(&mut self) -> Result<Block> {
        let height = self.open_stats.len();
        let locals = self.locals;
        while !self.ends_block(true) {
            let is_last = match self.token {
                Token::Return => true,
                Token::Break => !self.dialect.break_anywhere,
                _ => false,
            };
            self.statement()?;
            if !self.dialect.empty_statements {
                self.accept(Token::Char(b';'))?;
            }
            if is_last {
                break;
            }
        }
        self.locals = locals;
        Ok(Block {
            stats: self.stats.take_tail(&mut self.open_stats, height),
            last_line: self.last_line,
            end_line: self.line(),
            end: self.start,
        })
    }

    /// Parses parameters and body of a function, up to and with its `end`.
    fn function_body(&mut self, has_self: bool, line: u32) -> Result<ExprId> {
        let outer_is_vararg = std::mem::replace(&mut self.is_vararg, false);
        let outer_uses_dots = std::mem::replace(&mut self.uses_dots, false);
        let outer_loops = std::mem::replace(&mut self.loops, 0);
        let outer_line = std::mem::replace(&mut self.function_line, line);
        let outer_locals = std::mem::replace(&mut self.locals, 0);
        self.expect(Token::Char(b'('))?;
        let params = self.open_bindings.len();
        if has_self {
            self.declare_locals(1)?;
            let name = self.lexer.names.intern(b"self");
            let (line, end) = (self.line(), self.last_end);
            self.open_bindings.push(Binding { name, attrib: Attrib::None, line, end });
        }
        let arg = self.parameters()?;
        let params = self.bindings.take_tail(&mut self.open_bindings, params);
        self.expect(Token::Char(b')'))?;
        let block = self.block()?;
        let last_line_defined = self.line();
        self.expect_closing(Token::End, Token::Function, line)?;
        let is_vararg = std::mem::replace(&mut self.is_vararg, outer_is_vararg);
        let uses_dots = std::mem::replace(&mut self.uses_dots, outer_uses_dots);
        self.loops = outer_loops;
        self.function_line = outer_line;
        self.locals = outer_locals;
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
                    let param = self.plain_binding()?;
                    self.open_bindings.push(param);
                }
                Token::Dots => {
                    self.advance()?;
                    self.is_vararg = true;
                    if self.dialect.vararg_table {
                        let name = self.lexer.names.intern(b"arg");
                        self.declare_locals(1)?;
                        let (line, end) = (self.line(), self.last_end);
                        arg = Some(Binding { name, attrib: Attrib::None, line, end });
                    } else if self.dialect.named_varargs && matches!(self.token, Token::Name(_)) {
                        arg = Some(self.plain_binding()?);
                    }
                }
                _ => return Err(self.error(b"<name> or '...' expected")),
            }
            if self.is_vararg || !self.accept(Token::Char(b','))? {
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
