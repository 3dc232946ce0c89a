//! Calls and method calls.

use perilune_bytecode::ops::Op;
use perilune_syntax::ast::{Expr, ExprId, ExprList};

use crate::Compiler;
use crate::exp::{Exp, Kind, Reg};
use crate::failure::Res;

impl Compiler<'_> {
    /// Completes `e(args)`.
    pub(crate) fn call(&mut self, e: Exp, args: ExprList, line: u32, node: &Expr) -> Res<Exp> {
        let mut callee = e;
        let base = self.fs.exp_to_next(&mut callee)?;
        self.call_args(base, args, line, node)
    }

    /// Completes `e:method(args)`.
    pub(crate) fn method_call(&mut self, e: Exp, method: ExprId, args: ExprList, line: u32, node: &Expr) -> Res<Exp> {
        let mut obj = e;
        let method = self.expr(method)?;
        self.fs.self_field(&mut obj, &method)?;
        let base = self.fs.free - 2;
        self.call_args(base, args, line, node)
    }

    /// Compiles the arguments of a call, and the call. The function is in `base`, possibly followed by its object.
    fn call_args(&mut self, base: Reg, args: ExprList, line: u32, node: &Expr) -> Res<Exp> {
        self.fs.at.line = line;
        let mut last = self.expr_list(args)?;
        let mut count = 0;
        if last.is_multi() {
            self.fs.set_returns(&last, None)?;
        }
        self.consumed(node.line, node.end);
        if !last.is_multi() {
            if last.kind != Kind::Void {
                self.fs.exp_to_next(&mut last)?;
            }
            count = self.fs.free - base;
        }
        let pc = self.fs.emit_abc(Op::Call, base, count, 2);
        self.fs.fix_line(line);
        self.fs.free = base + 1;
        Ok(Exp::new(Kind::Call(pc)))
    }
}
