//! Expressions.

use super::{Parser, Result};
use crate::ast::{Binop, ExprId, ExprKind, ExprList, Field, Unop};
use crate::token::Token;

/// How strongly unary operators bind their operand.
const UNARY_PRIORITY: u8 = 12;

/// The binary operator that a token stands for.
#[inline]
fn binary_operator(token: Token) -> Option<Binop> {
    Some(match token {
        Token::Char(b'+') => Binop::Add,
        Token::Char(b'-') => Binop::Sub,
        Token::Char(b'*') => Binop::Mul,
        Token::Char(b'%') => Binop::Mod,
        Token::Char(b'^') => Binop::Pow,
        Token::Char(b'/') => Binop::Div,
        Token::IDiv => Binop::IDiv,
        Token::Char(b'&') => Binop::BAnd,
        Token::Char(b'|') => Binop::BOr,
        Token::Char(b'~') => Binop::BXor,
        Token::Shl => Binop::Shl,
        Token::Shr => Binop::Shr,
        Token::Concat => Binop::Concat,
        Token::Ne => Binop::Ne,
        Token::Eq => Binop::Eq,
        Token::Char(b'<') => Binop::Lt,
        Token::Le => Binop::Le,
        Token::Char(b'>') => Binop::Gt,
        Token::Ge => Binop::Ge,
        Token::And => Binop::And,
        Token::Or => Binop::Or,
        _ => return None,
    })
}

/// The unary operator that a token stands for.
#[inline]
fn unary_operator(token: Token) -> Option<Unop> {
    Some(match token {
        Token::Not => Unop::Not,
        Token::Char(b'-') => Unop::Neg,
        Token::Char(b'~') => Unop::BNot,
        Token::Char(b'#') => Unop::Len,
        _ => return None,
    })
}

/// How strongly a binary operator binds to its left and right. Right associative operators bind less
/// to the right.
#[inline]
fn priority(op: Binop) -> (u8, u8) {
    match op {
        Binop::Or => (1, 1),
        Binop::And => (2, 2),
        Binop::Eq | Binop::Ne | Binop::Lt | Binop::Le | Binop::Gt | Binop::Ge => (3, 3),
        Binop::BOr => (4, 4),
        Binop::BXor => (5, 5),
        Binop::BAnd => (6, 6),
        Binop::Shl | Binop::Shr => (7, 7),
        Binop::Concat => (9, 8),
        Binop::Add | Binop::Sub => (10, 10),
        Binop::Mul | Binop::Div | Binop::IDiv | Binop::Mod => (11, 11),
        Binop::Pow => (14, 13),
    }
}

impl Parser<'_> {
    /// Parses an expression.
    pub(super) fn expr(&mut self) -> Result<ExprId> {
        self.operators(0)
    }

    /// Parses one or more expressions.
    pub(super) fn expr_list(&mut self) -> Result<ExprList> {
        let height = self.open_lists.len();
        loop {
            let expr = self.expr()?;
            self.open_lists.push(expr);
            if !self.accept(Token::Char(b',')) {
                return Ok(self.expr_lists.take_tail(&mut self.open_lists, height));
            }
        }
    }

    /// Parses an operand and the binary operators behind it that bind more strongly than `limit`.
    fn operators(&mut self, limit: u8) -> Result<ExprId> {
        self.enter_level()?;
        let mut lhs = match unary_operator(self.token) {
            Some(op) if op != Unop::BNot || self.dialect.integer_operators => {
                let line = self.line();
                self.advance();
                let operand = self.operators(UNARY_PRIORITY)?;
                self.expr_node(ExprKind::Unop { op, operand, line })
            }
            _ => self.simple()?,
        };
        while let Some(op) = binary_operator(self.token) {
            if op.is_bitwise() && !self.dialect.integer_operators {
                break;
            }
            let (left, right) = priority(op);
            if left <= limit {
                break;
            }
            let line = self.line();
            self.advance();
            let rhs = self.operators(right)?;
            lhs = self.expr_node(ExprKind::Binop { op, lhs, rhs, line });
        }
        self.leave_level();
        Ok(lhs)
    }

    /// Parses an expression without operators around it.
    fn simple(&mut self) -> Result<ExprId> {
        let kind = match self.token {
            Token::Int(int) => ExprKind::Int(int),
            Token::Float(float) => ExprKind::Float(float),
            Token::Str(string) => ExprKind::Str(string),
            Token::Nil => ExprKind::Nil,
            Token::True => ExprKind::True,
            Token::False => ExprKind::False,
            Token::Dots if self.is_vararg => {
                self.uses_dots = true;
                ExprKind::Vararg
            }
            Token::Dots => {
                self.fail(self.error(b"cannot use '...' outside a vararg function"));
                ExprKind::Nil
            }
            Token::Char(b'{') => return self.table(),
            Token::Function => {
                self.advance();
                let line = self.line();
                return self.function_body(false, line);
            }
            _ => return self.suffixed(),
        };
        self.advance();
        Ok(self.expr_node(kind))
    }

    /// Parses a name or a parenthesized expression.
    fn primary(&mut self) -> Result<ExprId> {
        match self.token {
            Token::Name(name) => {
                self.advance();
                Ok(self.expr_node(ExprKind::Name(name)))
            }
            Token::Char(b'(') => {
                let line = self.line();
                self.advance();
                let inner = self.expr()?;
                self.expect_closing(Token::Char(b')'), Token::Char(b'('), line);
                Ok(self.expr_node(ExprKind::Paren(inner)))
            }
            _ => {
                self.fail(self.error(b"unexpected symbol"));
                Ok(self.expr_node(ExprKind::Nil))
            }
        }
    }

    /// Parses a primary expression, and the fields, calls and method calls behind it.
    pub(super) fn suffixed(&mut self) -> Result<ExprId> {
        let first_line = self.line();
        let mut expr = self.primary()?;
        loop {
            expr = match self.token {
                Token::Char(b'.') => self.field_selection(expr)?,
                Token::Char(b'[') => {
                    let key = self.bracketed_key()?;
                    self.expr_node(ExprKind::Index { obj: expr, key })
                }
                Token::Char(b':') => {
                    self.advance();
                    let method = self.name_as_key();
                    let line = self.call_line(first_line);
                    let args = self.call_args(line)?;
                    self.expr_node(ExprKind::MethodCall { obj: expr, method, args, line })
                }
                Token::Char(b'(' | b'{') | Token::Str(_) => {
                    let line = self.call_line(first_line);
                    let args = self.call_args(line)?;
                    self.expr_node(ExprKind::Call { callee: expr, args, line })
                }
                _ => return Ok(expr),
            };
        }
    }

    /// Parses `.name` or `:name` behind an object.
    pub(super) fn field_selection(&mut self, obj: ExprId) -> Result<ExprId> {
        self.advance();
        let key = self.name_as_key();
        Ok(self.expr_node(ExprKind::Index { obj, key }))
    }

    /// Parses `[key]`.
    fn bracketed_key(&mut self) -> Result<ExprId> {
        self.advance();
        let key = self.expr()?;
        self.expect(Token::Char(b']'));
        Ok(key)
    }

    /// The line of a call whose arguments begin here, in a chain of suffixes that began in `first_line`.
    fn call_line(&self, first_line: u32) -> u32 {
        if self.dialect.calls_begin_chains { first_line } else { self.line() }
    }

    /// Parses the arguments of a call in `line`, where a message about a missing parenthesis looks for the other one.
    fn call_args(&mut self, line: u32) -> Result<ExprList> {
        let height = self.open_lists.len();
        match self.token {
            Token::Char(b'(') => {
                if self.dialect.ambiguous_calls && line != self.last_line {
                    self.fail(self.error(b"ambiguous syntax (function call x new statement)"));
                }
                self.advance();
                let args = match self.token {
                    Token::Char(b')') => ExprList::EMPTY,
                    _ => self.expr_list()?,
                };
                self.expect_closing(Token::Char(b')'), Token::Char(b'('), line);
                return Ok(args);
            }
            Token::Char(b'{') => {
                let table = self.table()?;
                self.open_lists.push(table);
            }
            Token::Str(string) => {
                self.advance();
                let string = self.expr_node(ExprKind::Str(string));
                self.open_lists.push(string);
            }
            _ => self.fail(self.error(b"function arguments expected")),
        }
        Ok(self.expr_lists.take_tail(&mut self.open_lists, height))
    }

    /// Parses a table constructor.
    fn table(&mut self) -> Result<ExprId> {
        let line = self.line();
        self.expect(Token::Char(b'{'));
        let height = self.open_fields.len();
        while self.token != Token::Char(b'}') {
            let field = self.field()?;
            self.open_fields.push(field);
            if !self.accept(Token::Char(b',')) && !self.accept(Token::Char(b';')) {
                break;
            }
        }
        self.expect_closing(Token::Char(b'}'), Token::Char(b'{'), line);
        let fields = self.fields.take_tail(&mut self.open_fields, height);
        Ok(self.expr_node(ExprKind::Table { fields, line }))
    }

    fn field(&mut self) -> Result<Field> {
        let is_name = matches!(self.token, Token::Name(_));
        let key = if is_name && self.look_ahead() == Token::Char(b'=') {
            self.name_as_key()
        } else if self.token == Token::Char(b'[') {
            self.bracketed_key()?
        } else {
            return Ok(Field::Positional(self.expr()?));
        };
        self.expect(Token::Char(b'='));
        let value = self.expr()?;
        Ok(Field::Keyed { key, value })
    }
}
