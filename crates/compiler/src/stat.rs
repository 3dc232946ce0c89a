//! The walk over statements.

use perilune_base::index::Slice;
use perilune_bytecode::ops::{Instr, Op};
use perilune_bytecode::proto::VarKind;
use perilune_syntax::ast::{Arm, Attrib, Binding, Block, ExprId, ExprKind, ExprList, Stat, StatKind};

use crate::Compiler;
use crate::exp::{Exp, JumpList, Kind};
use crate::failure::{Failure, Place, Res};
use crate::globals::global_kind;
use crate::labels::JumpName;
use crate::position::Position;
use crate::scope::VarName;

/// Results of one `return` that an instruction can count.
const MAX_RETURNS: usize = 255;

impl Compiler<'_> {
    /// Compiles the statements of a block, without opening a scope.
    pub(crate) fn statements(&mut self, block: &Block) -> Res<()> {
        let stats = &self.chunk.stats[block.stats];
        self.fs.jumps.open_list(stats);
        for stat in stats {
            self.statement(stat)?;
            self.fs.free = self.fs.local_top();
        }
        self.fs.jumps.close_list();
        // Empty statements may follow the last one.
        self.consumed(block.last_line, block.end);
        Ok(())
    }

    /// Compiles a block in its own scope.
    pub(crate) fn block(&mut self, block: &Block) -> Res<()> {
        self.fs.enter_block(false);
        self.statements(block)?;
        self.fs.leave_block()?;
        Ok(())
    }

    /// Consumes the token that closes a block.
    pub(crate) fn close_token(&mut self, block: &Block, len: u8) {
        self.fs.at = Position { line: block.end_line, end: block.end, skip: len };
    }

    fn statement(&mut self, stat: &Stat) -> Res<()> {
        self.step()?;
        let line_before = self.fs.at.line;
        self.fs.at.line = stat.line;
        match stat.kind {
            StatKind::Local { bindings, exprs } => self.local(bindings, exprs, stat.end_line),
            StatKind::Global { bindings, exprs, line } => self.global_statement(bindings, exprs, line, stat.end_line),
            StatKind::GlobalAll(attrib) => {
                self.fs.declare_global(VarName::AllGlobals, global_kind(attrib));
                Ok(())
            }
            StatKind::GlobalFunction { binding, func } => {
                let binding = self.chunk.bindings[binding];
                self.global_function(&binding, func, stat.line)
            }
            StatKind::Assign { targets, exprs, line } => self.assign(targets, exprs, line),
            StatKind::Call(call) => {
                if let Kind::Call(pc) = self.expr(call)?.kind {
                    self.fs.set_c(pc, 1);
                }
                Ok(())
            }
            StatKind::Do(block) => {
                self.block(&block)?;
                self.close_token(&block, 3);
                Ok(())
            }
            StatKind::While { cond, block } => self.while_loop(cond, &block),
            StatKind::Repeat { block, cond } => self.repeat_loop(&block, cond),
            StatKind::If { arms, otherwise } => self.if_statement(arms, otherwise),
            StatKind::NumericFor { var, start, limit, step, block } => {
                let var = self.chunk.bindings[var];
                self.numeric_for(&var, start, limit, step, &block, stat.line)
            }
            StatKind::GenericFor { vars, exprs, block } => self.generic_for(vars, exprs, &block),
            StatKind::Function { target, func } => self.function_statement(target, func, stat.line),
            StatKind::LocalFunction { binding, func } => {
                let binding = self.chunk.bindings[binding];
                self.local_function(&binding, func)
            }
            StatKind::Return(exprs) => self.return_statement(exprs),
            StatKind::Break => {
                let jump = self.fs.jump();
                if self.fs.dialect.jumps_end_lines {
                    self.fs.fix_line(line_before);
                }
                self.fs.add_goto(JumpName::Break, stat.line, Some(jump));
                Ok(())
            }
            StatKind::Goto { name, line } => {
                self.fs.at.line = if self.fs.dialect.jumps_end_lines { line_before } else { line };
                self.fs.goto(name, line);
                self.fs.at.line = line;
                Ok(())
            }
            StatKind::Label { name, next_line, is_last } => {
                self.fs.at.line = stat.end_line;
                self.fs.label_statement(name, stat.line, is_last, next_line)
            }
        }
    }

    // Local variables.

    fn local(&mut self, bindings: Slice<Binding>, exprs: ExprList, end_line: u32) -> Res<()> {
        let bindings = &self.chunk.bindings[bindings];
        let first = self.fs.active;
        let to_be_closed = self.declare_list(bindings)?;
        let Some(last) = bindings.last() else { return Ok(()) };
        if exprs.is_empty() {
            self.consumed(end_line, last.end);
        } else {
            self.consumed(last.line, last.end);
        }
        let mut e = self.expr_list(exprs)?;
        let is_constant = bindings.len() == exprs.len() && last.attrib == Attrib::Const && e.is_constant();
        if is_constant {
            // The last variable needs no register.
            let last = first + bindings.len() - 1;
            self.fs.vars[last].value = Some(e.kind);
            self.fs.activate(bindings.len() - 1)?;
            self.fs.active += 1;
        } else {
            self.adjust(bindings.len(), exprs.len(), &mut e)?;
            self.fs.activate(bindings.len())?;
        }
        if let Some(var) = to_be_closed {
            self.fs.mark_to_be_closed();
            let reg = self.fs.vars[var].reg;
            self.fs.emit_abc(Op::Tbc, reg, 0, 0);
        }
        Ok(())
    }

    /// Declares the variables of a `local` statement. Returns the number of the one to be closed.
    fn declare_list(&mut self, bindings: &[Binding]) -> Res<Option<usize>> {
        let mut to_be_closed = None;
        for binding in bindings {
            let var = self.fs.declare(VarName::Source(binding.name), binding)?;
            self.fs.vars[var].kind = match binding.attrib {
                Attrib::None => VarKind::Regular,
                Attrib::Const => VarKind::Const,
                Attrib::Close => VarKind::ToBeClosed,
            };
            if binding.attrib == Attrib::Close && to_be_closed.replace(var).is_some() {
                let message = "multiple to-be-closed variables in local list".to_owned();
                return Err(Failure::new(message, Place::Line { line: binding.line, end: binding.end }));
            }
        }
        Ok(to_be_closed)
    }

    /// Makes `values` expressions, the last of which is `e`, fill `vars` registers.
    pub(crate) fn adjust(&mut self, vars: usize, values: usize, e: &mut Exp) -> Res<()> {
        let fs = &mut self.fs;
        if e.is_multi() {
            // The last expression makes up the difference, and gives its own value.
            let results = (vars + 1).saturating_sub(values);
            fs.set_returns(e, Some(results as u8))?;
            if vars > values {
                fs.reserve(vars - values)?;
            }
        } else {
            if e.kind != Kind::Void {
                fs.exp_to_next(e)?;
            }
            if vars > values {
                let from = fs.free;
                fs.reserve(vars - values)?;
                fs.load_nil(from, (vars - values) as u8);
            }
        }
        if values > vars {
            fs.free -= (values - vars) as u8;
        }
        Ok(())
    }

    fn local_function(&mut self, binding: &Binding, func: ExprId) -> Res<()> {
        let var = self.fs.declare(VarName::Source(binding.name), binding)?;
        self.fs.activate(1)?;
        self.consumed(binding.line, binding.end);
        self.expr(func)?;
        // Debug information sees the variable only when it has its value.
        let (info, start) = (self.fs.vars[var].info, self.fs.pc());
        self.fs.proto.locals[info].start = start;
        Ok(())
    }

    /// `function a.b.c() end`
    fn function_statement(&mut self, target: ExprId, func: ExprId, line: u32) -> Res<()> {
        let (target, read_only) = self.target(target)?;
        if self.dialect.functions_check_targets_first
            && let Some(name) = &read_only
        {
            return Err(self.read_only_error(name));
        }
        let mut closure = self.expr(func)?;
        if let Some(name) = read_only {
            return Err(self.read_only_error(&name));
        }
        self.fs.store(&target, &mut closure)?;
        // The definition happens in the first line.
        self.fs.fix_line(line);
        Ok(())
    }

    // Assignment.

    /// Compiles the target of an assignment; also returns its name if it is read-only.
    fn target(&mut self, id: ExprId) -> Res<(Exp, Option<String>)> {
        let node = self.chunk.exprs[id];
        match node.kind {
            ExprKind::Name(name) => {
                self.consumed(node.line, node.end);
                self.target_variable(name)
            }
            _ => Ok((self.expr(id)?, None)),
        }
    }

    fn assign(&mut self, targets: ExprList, exprs: ExprList, line: u32) -> Res<()> {
        let ids = &self.chunk.expr_lists[targets];
        let mut targets = Vec::with_capacity(ids.len());
        for (index, &id) in ids.iter().enumerate() {
            if index > 0 {
                self.consume_token(1);
            }
            let (target, read_only) = self.target(id)?;
            if !target.is_indexed() {
                self.resolve_conflict(&mut targets, &target)?;
            }
            if let Some(name) = read_only {
                return Err(self.read_only_error(&name));
            }
            targets.push(target);
        }
        self.consume_token(1);
        self.fs.at.line = line;
        let mut e = self.expr_list(exprs)?;
        if exprs.len() == targets.len() {
            self.fs.set_one_return(&mut e);
            if let Some(last) = targets.pop() {
                self.fs.store(&last, &mut e)?;
            }
        } else {
            self.adjust(targets.len(), exprs.len(), &mut e)?;
        }
        // The other values are on top of the registers.
        while let Some(target) = targets.pop() {
            let top = self.fs.free - 1;
            self.fs.store(&target, &mut Exp::new(Kind::Reg(top)))?;
        }
        Ok(())
    }

    /// If the variable `target` is the table or the key of an earlier target, lets that one use a copy.
    ///
    /// ```lua
    /// a[i], i, a = 1, 2, 3   -- assigns a and i first, but to fields of the old a
    /// ```
    fn resolve_conflict(&mut self, earlier: &mut [Exp], target: &Exp) -> Res<()> {
        let copy = self.fs.free;
        let mut conflict = false;
        for other in earlier {
            match (&mut other.kind, target.kind) {
                (kind @ Kind::UpField { .. }, Kind::Upval(assigned)) => {
                    if let Kind::UpField { up, key } = *kind
                        && up == assigned
                    {
                        *kind = Kind::Field { obj: copy, key };
                        conflict = true;
                    }
                }
                (Kind::Item { obj, key } | Kind::ExtraItem { table: obj, key }, Kind::Local { reg, .. }) => {
                    for used in [obj, key] {
                        if *used == reg {
                            *used = copy;
                            conflict = true;
                        }
                    }
                }
                (Kind::Field { obj, .. } | Kind::IntItem { obj, .. }, Kind::Local { reg, .. }) if *obj == reg => {
                    *obj = copy;
                    conflict = true;
                }
                _ => {}
            }
        }
        if conflict {
            match target.kind {
                Kind::Local { reg, .. } => self.fs.emit_abc(Op::Move, copy, reg, 0),
                Kind::Upval(up) => self.fs.emit_abc(Op::GetUpval, copy, up, 0),
                _ => return Ok(()),
            };
            self.fs.reserve(1)?;
        }
        Ok(())
    }

    // Control.

    fn if_statement(&mut self, arms: Slice<Arm>, otherwise: Option<Block>) -> Res<()> {
        let arms = &self.chunk.arms[arms];
        let mut escapes: JumpList = None;
        for (index, arm) in arms.iter().enumerate() {
            let is_last = index + 1 == arms.len() && otherwise.is_none();
            self.arm(arm, is_last, &mut escapes)?;
        }
        if let Some(block) = otherwise {
            self.block(&block)?;
            self.close_token(&block, 3);
        } else if let Some(arm) = arms.last() {
            self.close_token(&arm.block, 3);
        }
        self.fs.patch_to_here(escapes);
        Ok(())
    }

    /// `if cond then block`. Unless it is the last arm, jumps behind the statement after the block.
    fn arm(&mut self, arm: &Arm, is_last: bool, escapes: &mut JumpList) -> Res<()> {
        self.fs.at.line = arm.line;
        let mut e = self.expr(arm.cond)?;
        let condition_end = self.fs.at;
        self.consume_token(4);
        let then_end = self.fs.at;
        if self.dialect.conditions_end_before_then {
            self.fs.at = condition_end;
        }
        if self.dialect.conditions_jump
            && let Some((name, line)) = self.only_jump(&arm.block)
        {
            self.fs.go_if_false(&mut e)?;
            self.consumed(line, arm.block.end);
            self.fs.enter_block(false);
            self.fs.add_goto(name, line, e.t);
            self.fs.leave_block()?;
            return Ok(());
        }
        self.fs.go_if_true(&mut e)?;
        self.fs.at = then_end;
        self.block(&arm.block)?;
        if !is_last {
            let jump = self.fs.jump();
            self.fs.prepend(escapes, Some(jump));
        }
        self.fs.patch_to_here(e.f);
        Ok(())
    }

    /// Whether a block is one jump forwards, which the condition before it can do itself: `if cond then break end`.
    ///
    /// Where the instruction of a `goto` counts to its line, one in a line of its own keeps it, for line hooks and breakpoints.
    fn only_jump(&self, block: &Block) -> Option<(JumpName, u32)> {
        match self.chunk.stats[block.stats] {
            [Stat { kind: StatKind::Break, line, .. }] => Some((JumpName::Break, line)),
            [Stat { kind: StatKind::Goto { name, line }, .. }]
                if (self.dialect.jumps_end_lines || line == self.fs.at.line) && !self.fs.has_label(name) =>
            {
                Some((JumpName::Label(name), line))
            }
            _ => None,
        }
    }

    fn return_statement(&mut self, exprs: ExprList) -> Res<()> {
        let count = exprs.len();
        let mut e = self.expr_list(exprs)?;
        let fs = &mut self.fs;
        let first = fs.local_top();
        if e.is_multi() {
            fs.set_returns(&e, None)?;
            if let Kind::Call(pc) = e.kind
                && count == 1
                && !fs.is_inside_tbc()
            {
                let call = fs.instr(pc);
                *fs.instr_mut(pc) =
                    Instr::new(Op::TailCall, call.a(), call.b(), u8::from(fs.dialect.counts_tail_calls), 0);
            } else {
                let close = u8::from(fs.is_inside_tbc());
                fs.emit_abc(Op::Return, first, 0, close);
            }
            return Ok(());
        }
        let first = match count {
            0 => first,
            1 => fs.exp_to_any(&mut e)?,
            _ => {
                fs.exp_to_next(&mut e)?;
                first
            }
        };
        if count >= MAX_RETURNS {
            return Err(fs.limit_error("returns", MAX_RETURNS, Place::Near(fs.at)));
        }
        fs.emit_return(first, count as u8);
        Ok(())
    }
}
