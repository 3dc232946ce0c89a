//! The walk over expressions.

use perilune_syntax::ast::{Binop, Expr, ExprId, ExprKind, ExprList};

use crate::Compiler;
use crate::exp::{Exp, Kind, Reg};
use crate::failure::Res;

impl Compiler<'_> {
    /// Compiles an expression as far as its consumer allows.
    ///
    /// The chain of left operands and suffixed objects is followed with a loop, down to its first operand, and built up
    /// again from there.
    pub(crate) fn expr(&mut self, id: ExprId) -> Res<Exp> {
        self.step()?;
        let bottom = self.spine.len();
        let mut next = id;
        let mut e = loop {
            let node = self.chunk.exprs[next];
            let left = match node.kind {
                ExprKind::Binop { lhs, .. } => lhs,
                ExprKind::Index { obj, .. } | ExprKind::MethodCall { obj, .. } => obj,
                ExprKind::Call { callee, .. } => callee,
                _ => break self.primary(&node)?,
            };
            self.spine.push(next);
            next = left;
        };
        while self.spine.len() > bottom
            && let Some(id) = self.spine.pop()
        {
            self.step()?;
            let node = self.chunk.exprs[id];
            e = match node.kind {
                ExprKind::Binop { op: Binop::Concat, rhs, line, .. } => self.concat(e, rhs, line)?,
                ExprKind::Binop { op, rhs, line, .. } => self.binop(op, e, rhs, line)?,
                ExprKind::Index { key, .. } => self.index(e, key, &node)?,
                ExprKind::Call { args, line, .. } => self.call(e, args, line, &node)?,
                ExprKind::MethodCall { method, args, line, .. } => self.method_call(e, method, args, line, &node)?,
                _ => e,
            };
        }
        Ok(e)
    }

    /// Compiles an expression without a left operand.
    fn primary(&mut self, node: &Expr) -> Res<Exp> {
        let kind = match node.kind {
            ExprKind::Nil => Kind::Nil,
            ExprKind::True => Kind::True,
            ExprKind::False => Kind::False,
            ExprKind::Int(int) => Kind::Int(int),
            ExprKind::Float(float) => Kind::Float(float),
            ExprKind::Str(name) => Kind::Str(name),
            // Emitted before the token is consumed.
            ExprKind::Vararg => Kind::Vararg(self.fs.emit_varargs()),
            ExprKind::Function(id) => return self.function(id, node),
            ExprKind::Name(name) => {
                self.consumed(node.line, node.end);
                return self.variable(name);
            }
            ExprKind::Paren(inner) => {
                let mut e = self.expr(inner)?;
                self.consumed(node.line, node.end);
                self.fs.discharge_vars(&mut e);
                return Ok(e);
            }
            ExprKind::Table { fields, line } => return self.table(fields, line, node),
            ExprKind::Unop { op, operand, line } => {
                self.fs.at.line = line;
                let mut e = self.expr(operand)?;
                self.fs.prefix(op, &mut e, line)?;
                return Ok(e);
            }
            ExprKind::Index { .. } | ExprKind::Call { .. } | ExprKind::MethodCall { .. } | ExprKind::Binop { .. } => {
                debug_assert!(false, "`expr` follows left operands");
                Kind::Void
            }
        };
        self.consumed(node.line, node.end);
        Ok(Exp::new(kind))
    }

    /// Completes `e op rhs`.
    fn binop(&mut self, op: Binop, e: Exp, rhs: ExprId, line: u32) -> Res<Exp> {
        let mut lhs = e;
        self.operator(op, line);
        self.fs.infix(op, &mut lhs)?;
        let rhs = self.expr(rhs)?;
        self.fs.posfix(op, lhs, rhs, line)
    }

    /// Consumes an operator.
    fn operator(&mut self, op: Binop, line: u32) {
        self.consume_token(op.text().len() as u8);
        self.fs.at.line = line;
    }

    /// Completes `e .. rhs`, where `rhs` may be a chain of further operands: all become one instruction.
    fn concat(&mut self, e: Exp, rhs: ExprId, line: u32) -> Res<Exp> {
        let mut e = e;
        self.operator(Binop::Concat, line);
        let base = self.fs.exp_to_next(&mut e)?;
        let (n, line) = self.concat_rest(rhs, 1, line)?;
        Ok(self.fs.concat(base, n, line))
    }

    /// Puts the operands of a chain of `..` into registers after the first `n`. Returns their number and the line of the
    /// last operator.
    fn concat_rest(&mut self, id: ExprId, n: u8, line: u32) -> Res<(u8, u32)> {
        let (mut id, mut n, mut line) = (id, n, line);
        let mut open_parens = Vec::new();
        loop {
            let node = self.chunk.exprs[id];
            match node.kind {
                ExprKind::Binop { op: Binop::Concat, lhs, rhs, line: operator_line } => {
                    let mut e = self.expr(lhs)?;
                    self.operator(Binop::Concat, operator_line);
                    self.fs.exp_to_next(&mut e)?;
                    (n, id, line) = (n + 1, rhs, operator_line);
                }
                // `a .. (b .. c)` is the same chain.
                ExprKind::Paren(inner) if self.is_concat(inner) => {
                    open_parens.push(node);
                    id = inner;
                }
                _ => break,
            }
        }
        let mut e = self.expr(id)?;
        if let Some(paren) = open_parens.first() {
            self.consumed(paren.line, paren.end);
        }
        self.fs.exp_to_next(&mut e)?;
        Ok((n + 1, line))
    }

    fn is_concat(&self, id: ExprId) -> bool {
        matches!(self.chunk.exprs[id].kind, ExprKind::Binop { op: Binop::Concat, .. })
    }

    /// Completes `e[key]`.
    fn index(&mut self, e: Exp, key: ExprId, node: &Expr) -> Res<Exp> {
        let mut obj = e;
        if !self.fs.is_vararg_variable(&obj) {
            self.fs.exp_to_any_or_upval(&mut obj)?;
        }
        let mut key = self.expr(key)?;
        self.fs.exp_to_value(&mut key)?;
        self.consumed(node.line, node.end);
        self.fs.indexed(obj, &mut key)
    }

    /// Compiles a list of expressions: all but the last into consecutive registers. `Void` for an empty list.
    pub(crate) fn expr_list(&mut self, list: ExprList) -> Res<Exp> {
        let mut last = Exp::new(Kind::Void);
        for (index, &id) in self.chunk.expr_lists[list].iter().enumerate() {
            if index > 0 {
                self.consume_token(1);
                self.fs.exp_to_next(&mut last)?;
            }
            last = self.expr(id)?;
        }
        Ok(last)
    }

    /// Compiles an expression into the next register.
    pub(crate) fn expr_to_next(&mut self, id: ExprId) -> Res<Reg> {
        let mut e = self.expr(id)?;
        self.fs.exp_to_next(&mut e)
    }
}
