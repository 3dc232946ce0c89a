//! Putting values where they are wanted: from descriptors to registers and variables.

use perilune_bytecode::ops::{Instr, Op};

use crate::exp::{Exp, Kind, Pc, Reg};
use crate::failure::Res;
use crate::func_state::FuncState;

impl FuncState<'_> {
    /// Makes a multi-value expression give `results` values, or all for `None`.
    pub(crate) fn set_returns(&mut self, e: &Exp, results: Option<u8>) -> Res<()> {
        let count = results.map_or(0, |results| results + 1);
        match e.kind {
            Kind::Call(pc) => self.set_c(pc, count),
            Kind::Vararg(pc) => {
                self.set_c(pc, count);
                self.set_a(pc, self.free);
                self.reserve(1)?;
            }
            _ => debug_assert!(false, "only calls and `...` have several values"),
        }
        Ok(())
    }

    /// Makes an expression give one value. The value of a call is then in its base register.
    pub(crate) fn set_one_return(&mut self, e: &mut Exp) {
        match e.kind {
            Kind::Call(pc) => e.kind = Kind::Reg(self.instr(pc).a()),
            Kind::Vararg(pc) => {
                self.set_c(pc, 2);
                e.kind = Kind::Pending(pc);
            }
            _ => {}
        }
    }

    /// Reads a variable: afterwards the expression is a constant, in a register, pending or a comparison.
    pub(crate) fn discharge_vars(&mut self, e: &mut Exp) {
        e.kind = match e.kind {
            Kind::Local { var, reg } => {
                self.note_vararg_use(var);
                Kind::Reg(reg)
            }
            Kind::Upval(up) => Kind::Pending(self.emit_abc(Op::GetUpval, 0, up, 0)),
            Kind::UpField { up, key } => {
                let cache = self.cache(key);
                Kind::Pending(self.emit(Instr::new(Op::GetTabUp, 0, up, 0, cache)))
            }
            Kind::Field { obj, key } => {
                self.free_reg(obj);
                let cache = self.cache(key);
                Kind::Pending(self.emit(Instr::new(Op::GetField, 0, obj, 0, cache)))
            }
            Kind::IntItem { obj, key } => {
                self.free_reg(obj);
                Kind::Pending(self.emit(Instr::new(Op::GetInt, 0, obj, 0, key)))
            }
            Kind::Item { obj, key } => {
                self.free_regs(obj, key);
                Kind::Pending(self.emit_abc(Op::GetTable, 0, obj, key))
            }
            Kind::ExtraItem { table, key } => {
                self.free_reg(key);
                let pc = self.emit_abc(Op::GetTable, 0, table, key);
                if let Some(vararg) = &mut self.vararg {
                    vararg.read_at.push(pc);
                }
                Kind::Pending(pc)
            }
            Kind::Call(_) | Kind::Vararg(_) => {
                self.set_one_return(e);
                return;
            }
            kind @ (Kind::Void
            | Kind::Nil
            | Kind::True
            | Kind::False
            | Kind::Int(_)
            | Kind::Float(_)
            | Kind::Str(_)
            | Kind::Reg(_)
            | Kind::Jump(_)
            | Kind::Pending(_)) => kind,
        };
    }

    /// Puts the value into `reg`, except for what its jumps decide.
    fn discharge_to(&mut self, e: &mut Exp, reg: Reg) {
        self.discharge_vars(e);
        match e.kind {
            Kind::Nil => self.load_nil(reg, 1),
            Kind::False => {
                self.emit_abc(Op::LoadFalse, reg, 0, 0);
            }
            Kind::True => {
                self.emit_abc(Op::LoadTrue, reg, 0, 0);
            }
            Kind::Int(int) => self.load_int(reg, int),
            Kind::Float(float) => self.load_float(reg, float),
            Kind::Str(name) => self.load_str(reg, name),
            Kind::Pending(pc) => self.set_a(pc, reg),
            Kind::Reg(from) if from != reg => {
                self.emit_abc(Op::Move, reg, from, 0);
            }
            Kind::Reg(_) => {}
            // A comparison is its jump.
            Kind::Jump(_) => return,
            Kind::Void
            | Kind::Local { .. }
            | Kind::Upval(_)
            | Kind::UpField { .. }
            | Kind::Field { .. }
            | Kind::IntItem { .. }
            | Kind::Item { .. }
            | Kind::ExtraItem { .. }
            | Kind::Call(_)
            | Kind::Vararg(_) => debug_assert!(false, "{:?} has no value", e.kind),
        }
        e.kind = Kind::Reg(reg);
    }

    /// Puts the value into some register, except for what its jumps decide.
    pub(crate) fn discharge_to_any(&mut self, e: &mut Exp) -> Res<Reg> {
        if let Kind::Reg(reg) = e.kind {
            return Ok(reg);
        }
        self.reserve(1)?;
        let reg = self.free - 1;
        self.discharge_to(e, reg);
        Ok(reg)
    }

    /// Puts the final value into `reg`: where jumps meet that carry no value, `false` or `true` is loaded.
    ///
    /// ```text
    ///     lt a b -> T      the jumps in `t` that have no value go to T, those in `f` to F
    ///  F: loadfalseskip r
    ///  T: loadtrue r
    ///     ...              jumps with a value in `r` come here
    /// ```
    pub(crate) fn exp_to_reg(&mut self, e: &mut Exp, reg: Reg) {
        self.discharge_to(e, reg);
        if let Kind::Jump(pc) = e.kind {
            self.prepend(&mut e.t, Some(pc));
        }
        if e.has_jumps() {
            let mut load_false = 0;
            let mut load_true = 0;
            if self.needs_value(e.t) || self.needs_value(e.f) {
                let over = (!matches!(e.kind, Kind::Jump(_))).then(|| self.jump());
                load_false = self.load_bool(Op::LoadFalseSkip, reg);
                load_true = self.load_bool(Op::LoadTrue, reg);
                self.patch_to_here(over);
            }
            let end = self.label();
            self.patch_values(e.f, end, reg, load_false);
            self.patch_values(e.t, end, reg, load_true);
        }
        *e = Exp::new(Kind::Reg(reg));
    }

    /// Emits the load of a boolean, as a jump target.
    fn load_bool(&mut self, op: Op, reg: Reg) -> Pc {
        self.label();
        self.emit_abc(op, reg, 0, 0)
    }

    /// Puts the final value into the next free register.
    pub(crate) fn exp_to_next(&mut self, e: &mut Exp) -> Res<Reg> {
        self.discharge_vars(e);
        self.free_exp(e);
        self.reserve(1)?;
        let reg = self.free - 1;
        self.exp_to_reg(e, reg);
        Ok(reg)
    }

    /// Puts the final value into some register.
    pub(crate) fn exp_to_any(&mut self, e: &mut Exp) -> Res<Reg> {
        self.discharge_vars(e);
        if let Kind::Reg(reg) = e.kind {
            if !e.has_jumps() {
                return Ok(reg);
            }
            if reg >= self.local_top() {
                self.exp_to_reg(e, reg);
                return Ok(reg);
            }
            // A local variable's register cannot take the values of the jumps.
        }
        self.exp_to_next(e)
    }

    /// Puts the final value into some register, unless it is an upvalue.
    pub(crate) fn exp_to_any_or_upval(&mut self, e: &mut Exp) -> Res<()> {
        if !matches!(e.kind, Kind::Upval(_)) || e.has_jumps() {
            self.exp_to_any(e)?;
        }
        Ok(())
    }

    /// Reads variables and settles jumps.
    pub(crate) fn exp_to_value(&mut self, e: &mut Exp) -> Res<()> {
        if matches!(e.kind, Kind::Jump(_)) || e.has_jumps() {
            self.exp_to_any(e)?;
        } else {
            self.discharge_vars(e);
        }
        Ok(())
    }

    /// Assigns a value to a variable.
    pub(crate) fn store(&mut self, var: &Exp, e: &mut Exp) -> Res<()> {
        if let Kind::Local { reg, .. } = var.kind {
            self.free_exp(e);
            self.exp_to_reg(e, reg);
            return Ok(());
        }
        let value = self.exp_to_any(e)?;
        match var.kind {
            Kind::Upval(up) => {
                self.emit_abc(Op::SetUpval, value, up, 0);
            }
            Kind::UpField { up, key } => {
                let cache = self.cache(key);
                self.emit(Instr::new(Op::SetTabUp, 0, up, value, cache));
            }
            Kind::Field { obj, key } => {
                let cache = self.cache(key);
                self.emit(Instr::new(Op::SetField, obj, 0, value, cache));
            }
            Kind::IntItem { obj, key } => {
                self.emit(Instr::new(Op::SetInt, obj, 0, value, key));
            }
            Kind::Item { obj, key } => {
                self.emit_abc(Op::SetTable, obj, key, value);
            }
            Kind::ExtraItem { table, key } => {
                // What is stored is in a table.
                if let Some(vararg) = &mut self.vararg {
                    vararg.is_used = true;
                }
                self.emit_abc(Op::SetTable, table, key, value);
            }
            _ => debug_assert!(false, "{:?} is no variable", var.kind),
        }
        self.free_exp(e);
        Ok(())
    }

    /// Makes the variable `obj[key]`. The object is in a register or an upvalue, the key has no jumps.
    pub(crate) fn indexed(&mut self, obj: Exp, key: &mut Exp) -> Res<Exp> {
        let mut obj = obj;
        let const_key = match key.kind {
            Kind::Str(name) if !key.has_jumps() => Some(self.str_const(name)),
            _ => None,
        };
        if let (Kind::Upval(up), Some(key)) = (obj.kind, const_key) {
            return Ok(Exp::new(Kind::UpField { up, key }));
        }
        if let Kind::Local { reg, .. } = obj.kind
            && self.is_vararg_variable(&obj)
        {
            return Ok(Exp::new(Kind::ExtraItem { table: reg, key: self.exp_to_any(key)? }));
        }
        let obj = match obj.kind {
            Kind::Local { reg, .. } => reg,
            _ => self.exp_to_any(&mut obj)?,
        };
        // Where all numbers are floats, keys that equal an integer are as good as integers.
        let int = if self.dialect.integers { key.as_int() } else { key.integral() };
        if self.dialect.merged_zeros && int == Some(0) {
            // The zero counts as a constant of the function, although it is an immediate.
            self.exp_const(key);
        }
        let small = int.and_then(|int| i32::try_from(int).ok());
        let kind = if let Some(key) = const_key {
            Kind::Field { obj, key }
        } else if let Some(key) = small {
            Kind::IntItem { obj, key }
        } else {
            Kind::Item { obj, key: self.exp_to_any(key)? }
        };
        Ok(Exp::new(kind))
    }

    /// Prepares a method call: the function and `obj` in two new registers.
    pub(crate) fn self_field(&mut self, obj: &mut Exp, method: &Exp) -> Res<()> {
        let from = self.exp_to_any(obj)?;
        self.free_exp(obj);
        let base = self.free;
        self.reserve(2)?;
        if let Kind::Str(name) = method.kind {
            let key = self.str_const(name);
            let cache = self.cache(key);
            self.emit(Instr::new(Op::SelfField, base, from, 0, cache));
        } else {
            debug_assert!(false, "a method name is a string");
        }
        obj.kind = Kind::Reg(base);
        Ok(())
    }
}
