//! Functions: opening and closing their state, parameters, and the main function.

use perilune_base::dialect::table::Environments;
use perilune_bytecode::ops::{Instr, Op};
use perilune_bytecode::proto::{ENV, FUNCTION_ENV, Proto, UpvalDesc, VarKind};
use perilune_syntax::ast::{Binding, Expr, FuncBody, FuncId, Varargs};

use crate::Compiler;
use crate::exp::{Exp, Kind, Pc};
use crate::failure::{Place, Res};
use crate::func_state::FuncState;
use crate::position::Position;
use crate::scope::{VarName, VarargVar};

impl<'a> Compiler<'a> {
    /// Compiles the whole chunk: a vararg function whose only upvalue is the environment.
    pub(crate) fn main_function(mut self) -> Res<Proto> {
        let body = &self.chunk.main;
        self.fs.proto.source = self.chunk_name.into();
        if self.dialect.environments == Environments::Variable {
            let env =
                UpvalDesc { name: ENV.into(), in_stack: true, index: 0, kind: VarKind::Regular, is_assigned: true };
            self.fs.proto.upvals.push(env);
        }
        self.function_body(body)?;
        self.fs.at = Position::behind(body.block.last_line, body.block.end);
        let line = if self.dialect.errors_in_last_line { body.block.last_line } else { body.block.end_line };
        self.finish_function(Place::Line { line, end: body.block.end })?;
        Ok(self.fs.proto)
    }

    /// `function ... end`; the closure is put into the next register.
    pub(crate) fn function(&mut self, id: FuncId, node: &Expr) -> Res<Exp> {
        let body = &self.chunk.functions[id];
        let inner = FuncState::new(self.chunk, self.dialect, self.fs.at);
        self.outer.push(std::mem::replace(&mut self.fs, inner));
        self.function_body(body)?;
        let end = Position::behind(node.line, node.end);
        self.fs.at = end;
        self.finish_function(Place::After(end))?;
        let enclosing = self.outer.pop().expect("the function has an enclosing one");
        let inner = std::mem::replace(&mut self.fs, enclosing);
        self.fs.at = end;
        let index = self.fs.proto.protos.len() as i32;
        self.fs.proto.protos.push(inner.proto);
        let is_reused = u8::from(self.dialect.reused_closures);
        let pc = self.fs.emit(Instr::new(Op::Closure, 0, 0, is_reused, index));
        let mut closure = Exp::new(Kind::Pending(pc));
        self.fs.exp_to_next(&mut closure)?;
        Ok(closure)
    }

    /// Parameters and statements.
    fn function_body(&mut self, body: &'a FuncBody) -> Res<()> {
        let in_stack = self.outer.is_empty();
        let fs = &mut self.fs;
        if fs.dialect.environments == Environments::Functions {
            let env =
                UpvalDesc { name: FUNCTION_ENV.into(), in_stack, index: 0, kind: VarKind::Regular, is_assigned: true };
            fs.proto.upvals.push(env);
        }
        fs.proto.line_defined = body.line_defined;
        fs.proto.last_line = body.last_line_defined;
        fs.proto.is_vararg = body.varargs != Varargs::None;
        fs.enter_block(false);
        let params = &self.chunk.bindings[body.params];
        for param in params {
            fs.declare(VarName::Source(param.name), param)?;
        }
        if let Some(last) = params.last().filter(|_| fs.dialect.locals_count_when_active) {
            fs.at = Position::behind(last.line, last.end);
        }
        fs.activate(params.len())?;
        fs.proto.num_params = params.len() as u8;
        fs.reserve(params.len())?;
        if let Varargs::Named { name, is_needed } = body.varargs {
            self.vararg_table(&name, is_needed)?;
        }
        if body.varargs == Varargs::Plain && self.dialect.named_varargs && !self.outer.is_empty() {
            self.hidden_vararg_table()?;
        }
        self.statements(&body.block)
    }

    /// The variable that `...` has without a name, which only the debug library sees.
    fn hidden_vararg_table(&mut self) -> Res<()> {
        let fs = &mut self.fs;
        fs.declare_hidden("(vararg table)")?;
        let reg = fs.free;
        fs.reserve(1)?;
        fs.load_nil(reg, 1);
        // No line of the function begins with it.
        fs.label();
        fs.activate(1)
    }

    /// The variable for the extra arguments: a table of them, or nil if it is not needed.
    fn vararg_table(&mut self, name: &Binding, is_needed: bool) -> Res<()> {
        let fs = &mut self.fs;
        let var = fs.declare(VarName::Source(name.name), name)?;
        let reg = fs.free;
        fs.reserve(1)?;
        if is_needed || fs.dialect.named_varargs {
            let made_at = fs.emit_abc(Op::VarArgTable, reg, 0, 0);
            if fs.dialect.named_varargs {
                fs.vars[var].kind = VarKind::Const;
                fs.vararg =
                    Some(VarargVar { var, made_at, read_at: Vec::new(), spread_at: Vec::new(), is_used: false });
            }
        } else {
            fs.load_nil(reg, 1);
        }
        fs.activate(1)?;
        Ok(())
    }

    /// The final return, which stands in the line of the last token consumed.
    fn finish_function(&mut self, error_place: Place) -> Res<()> {
        let first = self.fs.local_top();
        self.fs.emit_return(first, 0);
        self.fs.leave_block()?;
        if let Some(error) = self.fs.pending_goto_error(error_place) {
            return Err(error);
        }
        self.fs.settle_varargs();
        self.fs.finish()
    }
}

impl FuncState<'_> {
    /// Emits the instruction for `...`.
    pub(crate) fn emit_varargs(&mut self) -> Pc {
        let pc = self.pc();
        match &mut self.vararg {
            Some(vararg) => {
                vararg.spread_at.push(pc);
                let table = self.vars[vararg.var].reg;
                self.emit_abc(Op::VarArgOf, 0, table, 1)
            }
            None => self.emit_abc(Op::VarArg, 0, 0, 1),
        }
    }

    /// Notes that variable number `var` is used, in case it is the one for extra arguments.
    pub(crate) fn note_vararg_use(&mut self, var: usize) {
        if let Some(vararg) = &mut self.vararg {
            vararg.is_used |= vararg.var == var;
        }
    }

    /// Whether an expression is the variable for extra arguments.
    pub(crate) fn is_vararg_variable(&self, e: &Exp) -> bool {
        match (e.kind, &self.vararg) {
            (Kind::Local { var, .. }, Some(vararg)) => !e.has_jumps() && vararg.var == var,
            _ => false,
        }
    }

    /// Without a use of its variable but for its fields, the table of extra arguments is not made: `...` gives the arguments
    /// themselves, and so do the fields.
    fn settle_varargs(&mut self) {
        let Some(vararg) = self.vararg.take() else { return };
        if vararg.is_used {
            return;
        }
        let made = self.instr(vararg.made_at);
        *self.instr_mut(vararg.made_at) = Instr::new(Op::LoadNil, made.a(), 0, 0, 0);
        for pc in vararg.read_at {
            let read = self.instr(pc);
            *self.instr_mut(pc) = Instr::new(Op::GetVarArg, read.a(), read.b(), read.c(), 0);
        }
        for pc in vararg.spread_at {
            let spread = self.instr(pc);
            *self.instr_mut(pc) = Instr::new(Op::VarArg, spread.a(), 0, spread.c(), 0);
        }
    }

    /// Returns `n` values from `first` up.
    pub(crate) fn emit_return(&mut self, first: u8, n: u8) {
        match n {
            _ if self.is_inside_tbc() => self.emit_abc(Op::Return, first, n + 1, 1),
            0 => self.emit_abc(Op::Return0, first, 0, 0),
            1 => self.emit_abc(Op::Return1, first, 0, 0),
            _ => self.emit_abc(Op::Return, first, n + 1, 0),
        };
    }
}
