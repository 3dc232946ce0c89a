//! Statements.

use perilune_base::dialect::table::{Attributes, BreakText};

use super::{Parser, Result};
use crate::ast::{Arm, Attrib, Binding, Block, ExprId, ExprKind, ExprList, Stat, StatKind};
use crate::token::Token;

impl Parser<'_> {
    /// Parses one statement onto `open_stats`. An empty statement adds nothing.
    pub(super) fn statement(&mut self) -> Result<()> {
        self.enter_level()?;
        let line = self.line();
        let is_global = self.begins_global()?;
        let kind = match self.token {
            Token::Char(b';') if self.dialect.empty_statements => {
                self.advance();
                None
            }
            Token::If => Some(self.if_statement(line)?),
            Token::While => Some(self.while_statement(line)?),
            Token::Do => {
                self.advance();
                let block = self.block();
                self.expect_closing(Token::End, Token::Do, line);
                Some(StatKind::Do(block))
            }
            Token::For => Some(self.for_statement(line)?),
            Token::Repeat => Some(self.repeat_statement(line)?),
            Token::Function => Some(self.function_statement(line)?),
            Token::Local => {
                self.advance();
                Some(if self.accept(Token::Function) { self.local_function()? } else { self.local_statement()? })
            }
            Token::Name(_) | Token::Global if is_global => {
                self.advance();
                Some(if self.accept(Token::Function) { self.global_function()? } else { self.global_statement()? })
            }
            Token::DoubleColon => Some(self.label()?),
            Token::Return => Some(self.return_statement()?),
            Token::Break => {
                if self.loops == 0 && self.dialect.break_text == BreakText::OutsideNear {
                    return Err(self.error(b"break outside loop"));
                }
                self.advance();
                if self.loops == 0 && self.dialect.break_text == BreakText::NoLoop {
                    return Err(self.error(b"no loop to break"));
                }
                Some(StatKind::Break)
            }
            Token::Goto => {
                self.advance();
                let line = self.line();
                let name = self.expect_name();
                Some(StatKind::Goto { name, line })
            }
            _ => Some(self.expr_statement()?),
        };
        if let Some(kind) = kind {
            self.open_stats.push(Stat { kind, line, end_line: self.last_line });
        }
        self.leave_level();
        Ok(())
    }

    fn if_statement(&mut self, line: u32) -> Result<StatKind> {
        let height = self.open_arms.len();
        loop {
            let line = self.line();
            self.advance();
            let cond = self.expr()?;
            self.expect(Token::Then);
            let block = self.block();
            self.open_arms.push(Arm { cond, block, line });
            if self.token != Token::Elseif {
                break;
            }
        }
        let otherwise = if self.accept(Token::Else) { Some(self.block()) } else { None };
        self.expect_closing(Token::End, Token::If, line);
        let arms = self.arms.take_tail(&mut self.open_arms, height);
        Ok(StatKind::If { arms, otherwise })
    }

    fn while_statement(&mut self, line: u32) -> Result<StatKind> {
        self.advance();
        let cond = self.expr()?;
        let block = self.loop_body()?;
        self.expect_closing(Token::End, Token::While, line);
        Ok(StatKind::While { cond, block })
    }

    fn repeat_statement(&mut self, line: u32) -> Result<StatKind> {
        self.advance();
        let outer_loops = self.loops;
        self.loops += 1;
        let block = self.block();
        // After an error, what was inside has left its own number.
        self.loops = outer_loops;
        self.expect_closing(Token::Until, Token::Repeat, line);
        let cond = self.expr()?;
        Ok(StatKind::Repeat { block, cond })
    }

    fn for_statement(&mut self, line: u32) -> Result<StatKind> {
        self.advance();
        let first = self.plain_binding();
        let stat = match self.token {
            Token::Char(b'=') => self.numeric_for(first)?,
            Token::Char(b',') | Token::In => self.generic_for(first)?,
            _ => return Err(self.error(b"'=' or 'in' expected")),
        };
        self.expect_closing(Token::End, Token::For, line);
        Ok(stat)
    }

    fn numeric_for(&mut self, var: Binding) -> Result<StatKind> {
        self.advance();
        let start = self.expr()?;
        self.expect(Token::Char(b','));
        let limit = self.expr()?;
        let step = if self.accept(Token::Char(b',')) { Some(self.expr()?) } else { None };
        let var = self.bindings.push(var);
        let block = self.loop_body()?;
        Ok(StatKind::NumericFor { var, start, limit, step, block })
    }

    fn generic_for(&mut self, first: Binding) -> Result<StatKind> {
        let height = self.open_bindings.len();
        self.open_bindings.push(first);
        while self.accept(Token::Char(b',')) {
            let var = self.plain_binding();
            self.open_bindings.push(var);
        }
        self.expect(Token::In);
        let vars = self.bindings.take_tail(&mut self.open_bindings, height);
        let exprs = self.expr_list()?;
        let block = self.loop_body()?;
        Ok(StatKind::GenericFor { vars, exprs, block })
    }

    fn loop_body(&mut self) -> Result<Block> {
        self.expect(Token::Do);
        let outer_loops = self.loops;
        self.loops += 1;
        let block = self.block();
        // After an error, what was inside has left its own number.
        self.loops = outer_loops;
        Ok(block)
    }

    fn function_statement(&mut self, line: u32) -> Result<StatKind> {
        self.advance();
        let name = self.expect_name();
        let mut target = self.expr_node(ExprKind::Name(name));
        while self.token == Token::Char(b'.') {
            target = self.field_selection(target)?;
        }
        let is_method = self.token == Token::Char(b':');
        if is_method {
            target = self.field_selection(target)?;
        }
        let func = self.function_body(is_method, line)?;
        Ok(StatKind::Function { target, func })
    }

    fn local_function(&mut self) -> Result<StatKind> {
        let binding = self.plain_binding();
        let binding = self.bindings.push(binding);
        let line = self.line();
        let func = self.function_body(false, line)?;
        Ok(StatKind::LocalFunction { binding, func })
    }

    fn local_statement(&mut self) -> Result<StatKind> {
        let height = self.open_bindings.len();
        let all = self.attrib_of_all()?;
        loop {
            let mut binding = self.plain_binding();
            binding.attrib = self.attrib(all)?;
            binding.line = self.error_line();
            self.open_bindings.push(binding);
            if !self.accept(Token::Char(b',')) {
                break;
            }
        }
        let bindings = self.bindings.take_tail(&mut self.open_bindings, height);
        let exprs = if self.accept(Token::Char(b'=')) { self.expr_list()? } else { ExprList::EMPTY };
        Ok(StatKind::Local { bindings, exprs })
    }

    /// Whether the current token begins a declaration of globals.
    fn begins_global(&mut self) -> Result<bool> {
        match self.token {
            Token::Global => return Ok(true),
            Token::Name(name) if self.dialect.global_declarations && self.lexer.names.name(name) == b"global" => {}
            _ => return Ok(false),
        }
        Ok(matches!(self.look_ahead(), Token::Name(_) | Token::Char(b'<' | b'*') | Token::Function))
    }

    fn global_function(&mut self) -> Result<StatKind> {
        let name = self.expect_name();
        let binding = Binding { name, attrib: Attrib::None, line: self.line(), end: self.last_end };
        let binding = self.bindings.push(binding);
        let line = self.line();
        let func = self.function_body(false, line)?;
        Ok(StatKind::GlobalFunction { binding, func })
    }

    fn global_statement(&mut self) -> Result<StatKind> {
        let all = self.global_attrib(Attrib::None)?;
        if self.accept(Token::Char(b'*')) {
            return Ok(StatKind::GlobalAll(all));
        }
        let height = self.open_bindings.len();
        loop {
            let name = self.expect_name();
            let end = self.last_end;
            let attrib = self.global_attrib(all)?;
            self.open_bindings.push(Binding { name, attrib, line: self.line(), end });
            if !self.accept(Token::Char(b',')) {
                break;
            }
        }
        let bindings = self.bindings.take_tail(&mut self.open_bindings, height);
        let has_values = self.accept(Token::Char(b'='));
        let line = self.line();
        let exprs = if has_values { self.expr_list()? } else { ExprList::EMPTY };
        Ok(StatKind::Global { bindings, exprs, line })
    }

    fn global_attrib(&mut self, default: Attrib) -> Result<Attrib> {
        match self.attrib(default)? {
            Attrib::Close => Err(self.lexer.error_at(self.error_line(), b"global variables cannot be to-be-closed")),
            attrib => Ok(attrib),
        }
    }

    /// Parses an optional `<attrib>` in front of all names of a declaration.
    fn attrib_of_all(&mut self) -> Result<Attrib> {
        match self.dialect.attributes {
            Attributes::Declarations => self.attrib(Attrib::None),
            Attributes::Nowhere | Attributes::Names => Ok(Attrib::None),
        }
    }

    /// Parses an optional `<attrib>`.
    fn attrib(&mut self, default: Attrib) -> Result<Attrib> {
        if self.dialect.attributes == Attributes::Nowhere || !self.accept(Token::Char(b'<')) {
            return Ok(default);
        }
        let name = self.expect_name();
        self.expect(Token::Char(b'>'));
        match self.lexer.names.name(name) {
            b"const" => Ok(Attrib::Const),
            b"close" => Ok(Attrib::Close),
            unknown => {
                let what = [b"unknown attribute '", unknown, b"'"].concat();
                Err(self.lexer.error_at(self.error_line(), &what))
            }
        }
    }

    /// Parses a label, and the statements without effect behind it, as part of the label: the reference does
    /// the same, which is why many labels in a row nest too deeply.
    fn label(&mut self) -> Result<StatKind> {
        self.advance();
        let name = self.expect_name();
        self.expect(Token::DoubleColon);
        while matches!(self.token, Token::Char(b';') | Token::DoubleColon) {
            self.statement()?;
        }
        Ok(StatKind::Label { name, next_line: self.line(), is_last: self.ends_block(false) })
    }

    fn return_statement(&mut self) -> Result<StatKind> {
        self.advance();
        let exprs =
            if self.ends_block(true) || self.token == Token::Char(b';') { ExprList::EMPTY } else { self.expr_list()? };
        if self.dialect.empty_statements {
            self.accept(Token::Char(b';'));
        }
        Ok(StatKind::Return(exprs))
    }

    /// Parses a call or an assignment.
    fn expr_statement(&mut self) -> Result<StatKind> {
        let first = self.suffixed()?;
        let is_call = matches!(self.exprs[first].kind, ExprKind::Call { .. } | ExprKind::MethodCall { .. });
        if is_call && !self.dialect.empty_statements {
            return Ok(StatKind::Call(first));
        }
        if matches!(self.token, Token::Char(b'=' | b',')) {
            return self.assignment(first);
        }
        match self.exprs[first].kind {
            _ if is_call => Ok(StatKind::Call(first)),
            ExprKind::Name(_) | ExprKind::Index { .. } if !self.dialect.empty_statements => {
                Err(self.expected(Token::Char(b'=')))
            }
            _ => Err(self.error(b"syntax error")),
        }
    }

    fn assignment(&mut self, first: ExprId) -> Result<StatKind> {
        let height = self.open_lists.len();
        let level = self.level;
        let mut target = first;
        loop {
            if !matches!(self.exprs[target].kind, ExprKind::Name(_) | ExprKind::Index { .. }) {
                return Err(self.error(b"syntax error"));
            }
            self.open_lists.push(target);
            if !self.accept(Token::Char(b',')) {
                break;
            }
            target = self.suffixed()?;
            // The reference recurses here.
            self.enter_level()?;
        }
        let line = self.line();
        self.expect(Token::Char(b'='));
        let targets = self.expr_lists.take_tail(&mut self.open_lists, height);
        let exprs = self.expr_list()?;
        self.level = level;
        Ok(StatKind::Assign { targets, exprs, line })
    }
}
