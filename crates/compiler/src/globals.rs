//! Declarations of globals.
//!
//! A declaration takes a place among the variables of its block, without a register: it is found like a variable, and goes
//! out of scope like one. One with a value first checks that the global has none yet.

use perilune_base::index::Slice;
use perilune_bytecode::ops::{Instr, Op};
use perilune_bytecode::proto::VarKind;
use perilune_syntax::ast::{Attrib, Binding, ExprId, ExprList};

use crate::Compiler;
use crate::exp::{Exp, Kind};
use crate::failure::Res;
use crate::scope::VarName;

/// The kind of a declared global.
pub(crate) fn global_kind(attrib: Attrib) -> VarKind {
    match attrib {
        Attrib::Const => VarKind::Const,
        Attrib::None | Attrib::Close => VarKind::Regular,
    }
}

impl Compiler<'_> {
    /// `global a, b = exprs`
    pub(crate) fn global_statement(
        &mut self,
        bindings: Slice<Binding>,
        exprs: ExprList,
        line: u32,
        end_line: u32,
    ) -> Res<()> {
        let bindings = &self.chunk.bindings[bindings];
        let Some(last) = bindings.last() else { return Ok(()) };
        if exprs.is_empty() {
            self.consumed(end_line, last.end);
        } else {
            self.consumed(last.line, last.end);
            let mut targets = Vec::with_capacity(bindings.len());
            for binding in bindings {
                targets.push(self.global(binding.name)?);
            }
            let mut e = self.expr_list(exprs)?;
            self.adjust(bindings.len(), exprs.len(), &mut e)?;
            // The values are on top of the registers.
            for (binding, target) in bindings.iter().zip(targets).rev() {
                self.check_global(binding, line)?;
                let top = self.fs.free - 1;
                self.fs.store(&target, &mut Exp::new(Kind::Reg(top)))?;
            }
        }
        for binding in bindings {
            self.fs.declare_global(VarName::Source(binding.name), global_kind(binding.attrib));
        }
        Ok(())
    }

    /// `global function name() end`, which stands in `line`.
    pub(crate) fn global_function(&mut self, binding: &Binding, func: ExprId, line: u32) -> Res<()> {
        self.fs.declare_global(VarName::Source(binding.name), VarKind::Regular);
        self.consumed(binding.line, binding.end);
        let target = self.global(binding.name)?;
        let mut closure = self.expr(func)?;
        self.check_global(binding, line)?;
        self.fs.store(&target, &mut closure)?;
        // The definition happens in the first line.
        self.fs.fix_line(line);
        Ok(())
    }

    /// Fails at run time if a global has a value.
    fn check_global(&mut self, binding: &Binding, line: u32) -> Res<()> {
        let mut value = self.global(binding.name)?;
        let reg = self.fs.exp_to_any(&mut value)?;
        self.fs.fix_line(line);
        let name = self.fs.str_const(binding.name);
        self.fs.emit(Instr::new(Op::NewGlobal, reg, 0, 0, name as i32));
        self.fs.fix_line(line);
        self.fs.free_exp(&value);
        Ok(())
    }
}
