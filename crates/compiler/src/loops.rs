//! Loops. Each ends in its only back-edge.

use perilune_base::index::Slice;
use perilune_bytecode::ops::{Instr, Op};
use perilune_bytecode::proto::VarKind;
use perilune_syntax::ast::{Binding, Block, ExprId, ExprList};

use crate::Compiler;
use crate::exp::{Pc, Reg};
use crate::failure::Res;
use crate::scope::VarName;

/// The two kinds of `for`.
#[derive(Clone, Copy)]
enum ForKind {
    Numeric,
    Generic,
}

impl Compiler<'_> {
    /// ```text
    /// start: condition, jump to end if false
    ///        block
    ///        loop start
    /// end:
    /// ```
    pub(crate) fn while_loop(&mut self, cond: ExprId, block: &Block) -> Res<()> {
        let start = self.fs.label();
        let mut e = self.expr(cond)?;
        self.fs.go_if_true(&mut e)?;
        self.fs.enter_block(true);
        self.consume_token(2);
        self.block(block)?;
        self.fs.emit_loop(start);
        self.close_token(block, 3);
        self.fs.leave_block()?;
        self.fs.patch_to_here(e.f);
        Ok(())
    }

    /// ```text
    /// start: block
    ///        condition, jump to end if true
    ///        close          (if the block has variables to close)
    ///        loop start
    /// end:   close          (likewise)
    /// ```
    pub(crate) fn repeat_loop(&mut self, block: &Block, cond: ExprId) -> Res<()> {
        let start = self.fs.label();
        self.fs.enter_block(true);
        self.fs.enter_block(false);
        self.statements(block)?;
        self.close_token(block, 5);
        let mut e = self.expr(cond)?;
        self.fs.discharge_vars(&mut e);
        let is_always_true = e.kind.is_true_constant();
        if is_always_true {
            // Only the jumps of the false operands of `and` repeat the loop.
            if e.f.is_some() {
                let exit = self.fs.jump();
                self.fs.prepend(&mut e.t, Some(exit));
                self.fs.patch_to_here(e.f.take());
                self.repeat_end(start, &mut e.t)?;
            } else {
                self.fs.patch_to_here(e.t);
                self.fs.leave_block()?;
            }
        } else {
            self.fs.go_if_false(&mut e)?;
            self.repeat_end(start, &mut e.t)?;
        }
        self.fs.leave_block()?;
        Ok(())
    }

    /// Ends the scope of a `repeat` and repeats it; the jumps in `exit` leave it.
    fn repeat_end(&mut self, start: Pc, exit: &mut Option<Pc>) -> Res<()> {
        let scope = self.fs.leave_block()?;
        self.fs.emit_loop(start);
        self.fs.patch_to_here(exit.take());
        if scope.needs_close {
            let level = self.fs.local_top();
            self.fs.emit_abc(Op::Close, level, 0, 0);
        }
        Ok(())
    }

    /// `for var = start, limit, step do block end`, which stands in `line`.
    pub(crate) fn numeric_for(
        &mut self,
        var: &Binding,
        start: ExprId,
        limit: ExprId,
        step: Option<ExprId>,
        block: &Block,
        line: u32,
    ) -> Res<()> {
        self.fs.enter_block(true);
        let base = self.fs.free;
        let index = if self.dialect.few_loop_variables { VarName::Own } else { VarName::Hidden("(for index)") };
        self.declare_loop_state([index, VarName::Hidden("(for limit)"), VarName::Hidden("(for step)")], var)?;
        self.declare_loop_variable(var)?;
        self.consumed(var.line, var.end);
        self.expr_to_next(start)?;
        self.consume_token(1);
        self.expr_to_next(limit)?;
        match step {
            Some(step) => {
                self.consume_token(1);
                self.expr_to_next(step)?;
            }
            None => {
                let reg = self.fs.free;
                self.fs.reserve(1)?;
                self.fs.load_one(reg);
            }
        }
        self.fs.activate(3)?;
        self.for_body(ForKind::Numeric, base, 1, block, line)
    }

    /// Declares the hidden variables of a loop.
    fn declare_loop_state<const N: usize>(&mut self, names: [VarName; N], at: &Binding) -> Res<()> {
        for name in names {
            let name = match name {
                VarName::Hidden(_) if !self.dialect.loop_state_names => VarName::Hidden("(for state)"),
                name => name,
            };
            self.fs.declare(name, at)?;
        }
        Ok(())
    }

    /// Declares the variable that controls a loop.
    fn declare_loop_variable(&mut self, var: &Binding) -> Res<()> {
        let n = self.fs.declare(VarName::Source(var.name), var)?;
        if self.dialect.constant_loop_variables {
            self.fs.vars[n].kind = VarKind::Const;
        }
        Ok(())
    }

    /// `for vars in exprs do block end`
    pub(crate) fn generic_for(&mut self, vars: Slice<Binding>, exprs: ExprList, block: &Block) -> Res<()> {
        self.fs.enter_block(true);
        let base = self.fs.free;
        let vars = &self.chunk.bindings[vars];
        let (Some(first), Some(last)) = (vars.first(), vars.last()) else { return Ok(()) };
        let control = if self.dialect.few_loop_variables { VarName::Own } else { VarName::Hidden("(for control)") };
        let closing = if self.dialect.closing_values { VarName::Hidden("(for state)") } else { VarName::Own };
        let hidden = [VarName::Hidden("(for generator)"), VarName::Hidden("(for state)"), control, closing];
        self.declare_loop_state(hidden, first)?;
        self.declare_loop_variable(first)?;
        for var in &vars[1..] {
            self.fs.declare(VarName::Source(var.name), var)?;
        }
        // Calls of the iterator count to the line of the first token behind `in`.
        self.consumed(last.line, last.end);
        self.consume_token(2);
        self.fs.at.line = last.line;
        let behind_in = self.fs.at;
        self.consume_token(0);
        let line = self.fs.at.line;
        self.fs.at = behind_in;
        let mut e = self.expr_list(exprs)?;
        if self.dialect.closing_values {
            self.adjust(4, exprs.len(), &mut e)?;
        } else {
            self.adjust(3, exprs.len(), &mut e)?;
            self.fs.reserve(1)?;
            self.fs.load_nil(base + 3, 1);
        }
        self.fs.activate(4)?;
        if self.dialect.closing_values {
            self.fs.mark_to_be_closed();
        }
        // Room for calling the iterator.
        self.fs.check_stack(3)?;
        self.for_body(ForKind::Generic, base, vars.len(), block, line)
    }

    /// ```text
    ///        forprep base, behind end      tforprep base, call
    /// start: block                         block
    ///                                call: tforcall base
    /// end:   forloop base, start           tforloop base, start
    /// ```
    fn for_body(&mut self, kind: ForKind, base: Reg, vars: usize, block: &Block, line: u32) -> Res<()> {
        self.consume_token(2);
        let (prep_op, loop_op) = match kind {
            ForKind::Numeric if self.dialect.strict_loops => (Op::ForPrep, Op::ForLoop),
            ForKind::Numeric => (Op::ForPrepOld, Op::ForLoop),
            ForKind::Generic if self.dialect.closing_values => (Op::TForPrep, Op::TForLoop),
            ForKind::Generic => (Op::TForPrepOld, Op::TForLoop),
        };
        let prep = self.fs.emit(Instr::new(prep_op, base, 0, 0, 0));
        self.fs.enter_block(false);
        self.fs.activate(vars)?;
        self.fs.reserve(vars)?;
        let start = prep + 1;
        let makes_float = matches!(kind, ForKind::Numeric) && !self.dialect.integers;
        if makes_float {
            self.fs.emit_abc(Op::ForFloat, base + 3, 0, 0);
        }
        self.block(block)?;
        self.fs.leave_block()?;
        let end = self.fs.label();
        let prep_target = match kind {
            ForKind::Numeric => end + 1,
            ForKind::Generic => {
                self.fs.emit_abc(Op::TForCall, base, 0, vars as u8);
                self.fs.fix_line(line);
                end
            }
        };
        let prep_instr = self.fs.instr(prep);
        *self.fs.instr_mut(prep) = prep_instr.set_d((prep_target - start) as i32);
        let offset = start as i32 - (self.fs.pc() as i32 + 1);
        self.fs.emit(Instr::new(loop_op, base, 0, 0, offset));
        self.fs.fix_line(line);
        if makes_float {
            self.fs.share_line(start);
        }
        self.close_token(block, 3);
        self.fs.leave_block()?;
        Ok(())
    }
}
