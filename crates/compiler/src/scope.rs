//! Local variables, blocks, and the resolution of names.
//!
//! A variable is first declared, then activated when its initial values are in place: `local x = x` reads the outer `x`.
//! An active variable owns a register, unless it is a compile-time constant, whose uses are replaced by its value.

use perilune_base::dialect::table::Environments;
use perilune_base::limits::MAX_LOCALS;
use perilune_bytecode::ops::Op;
use perilune_bytecode::proto::{ENV, LocVar, UpvalDesc, VarKind};
use perilune_syntax::ast::{Binding, Name};

use crate::Compiler;
use crate::exp::{Exp, Kind, Pc, Reg};
use crate::failure::{Failure, Place, Res};
use crate::func_state::FuncState;

/// A declared local variable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Var {
    pub name: VarName,
    pub kind: VarKind,
    /// The value of a compile-time constant, which has no register.
    pub value: Option<Kind>,
    /// Whether it is a declared global, which has no register either.
    pub is_global: bool,
    /// The register, once it is active.
    pub reg: Reg,
    /// Its debug information, once it is active.
    pub info: usize,
}

/// The name of a variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum VarName {
    Source(Name),
    /// A hidden variable of a loop, which no source can name: `(for state)`.
    Hidden(&'static str),
    /// A register that the engine needs, and no variable.
    Own,
    /// All names that are not declared otherwise: `global *`.
    AllGlobals,
}

/// The variable that `...name` declares. If only its fields are read, nothing needs its table.
#[derive(Clone, Debug)]
pub(crate) struct VarargVar {
    /// Its number.
    pub var: usize,
    /// The instruction that makes the table.
    pub made_at: Pc,
    /// The instructions that read its fields.
    pub read_at: Vec<Pc>,
    /// The instructions for `...`.
    pub spread_at: Vec<Pc>,
    /// Whether it is used in another way than to read its fields.
    pub is_used: bool,
}

/// A block being compiled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockScope {
    /// Variables active outside the block.
    pub active: usize,
    /// Labels, and places of gotos, outside the block.
    pub labels: usize,
    pub gotos: usize,
    /// Whether it has a variable that must be closed: captured, or to be closed.
    pub needs_close: bool,
    /// Whether `break` leaves it.
    pub is_loop: bool,
    /// Whether it is inside the scope of a to-be-closed variable.
    pub inside_tbc: bool,
}

/// What a name means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Resolved {
    Local {
        var: usize,
        reg: Reg,
    },
    Upval(u8),
    Constant(Kind),
    Global,
    /// A global that a declaration is about.
    Declared {
        is_constant: bool,
    },
}

/// What declarations say about globals that none of them names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OtherGlobals {
    /// There are no declarations: all globals are visible.
    Visible,
    /// Some are declared, others are not visible.
    Hidden,
    /// `global *`
    Declared { is_constant: bool },
}

impl Var {
    /// Whether it has a register once it is active.
    pub(crate) fn has_register(&self) -> bool {
        self.value.is_none() && !self.is_global
    }

    /// Whether it counts as a local variable of the program.
    fn counts(&self) -> bool {
        !self.is_global && self.name != VarName::Own
    }
}

impl FuncState<'_> {
    /// The registers of the first `active` variables.
    pub(crate) fn reg_level(&self, active: usize) -> Reg {
        let in_register = self.vars[..active].iter().rev().find(|var| var.has_register());
        in_register.map_or(0, |var| var.reg + 1)
    }

    /// The registers of all active variables.
    pub(crate) fn local_top(&self) -> Reg {
        self.reg_level(self.active)
    }

    /// Declares a variable. Errors are reported behind the name in `binding`.
    pub(crate) fn declare(&mut self, name: VarName, binding: &Binding) -> Res<usize> {
        self.declare_at(name, Place::LineNear { line: binding.line, end: binding.end })
    }

    /// Declares a variable that no source can name.
    pub(crate) fn declare_hidden(&mut self, name: &'static str) -> Res<usize> {
        self.declare_at(VarName::Hidden(name), Place::Near(self.at))
    }

    fn declare_at(&mut self, name: VarName, place: Place) -> Res<usize> {
        let counts = name != VarName::Own;
        if counts && !self.dialect.locals_count_when_active && self.vars.len() - self.uncounted >= MAX_LOCALS {
            return Err(self.limit_error("local variables", MAX_LOCALS, place));
        }
        self.uncounted += usize::from(!counts);
        self.vars.push(Var { name, kind: VarKind::Regular, value: None, is_global: false, reg: 0, info: 0 });
        Ok(self.vars.len() - 1)
    }

    /// Activates the next `n` declared variables.
    pub(crate) fn activate(&mut self, n: usize) -> Res<()> {
        let first = self.local_top();
        if self.dialect.locals_count_when_active {
            let counted = |vars: &[Var]| vars.iter().filter(|var| var.has_register() && var.counts()).count();
            if counted(&self.vars[..self.active + n]) > MAX_LOCALS {
                return Err(self.limit_error("local variables", MAX_LOCALS, Place::Near(self.at)));
            }
        }
        for reg in (first..).take(n) {
            let info = self.proto.locals.len();
            let start = self.pc();
            let var = &mut self.vars[self.active];
            var.reg = reg;
            var.info = info;
            let name: &[u8] = match var.name {
                VarName::Source(name) => self.chunk.name(name),
                VarName::Hidden(name) => name.as_bytes(),
                VarName::Own => b"",
                VarName::AllGlobals => b"*",
            };
            self.proto.locals.push(LocVar { name: name.into(), start, end: start });
            self.active += 1;
        }
        Ok(())
    }

    /// Ends the scope of all but the first `active` variables.
    fn deactivate(&mut self, active: usize) {
        let end = self.pc();
        for var in self.vars.drain(active..) {
            self.uncounted -= usize::from(!var.counts());
            if var.has_register() {
                self.proto.locals[var.info].end = end;
            }
        }
        self.active = active;
    }

    /// Opens a block.
    pub(crate) fn enter_block(&mut self, is_loop: bool) {
        debug_assert_eq!(self.free, self.local_top());
        self.blocks.push(BlockScope {
            active: self.active,
            labels: self.jumps.label_count(),
            gotos: self.jumps.goto_count(),
            needs_close: false,
            is_loop,
            inside_tbc: self.blocks.last().is_some_and(|outer| outer.inside_tbc),
        });
    }

    /// Closes the innermost block.
    pub(crate) fn leave_block(&mut self) -> Res<BlockScope> {
        let depth = self.blocks.len();
        if let Some(at) = self.jump_errors.iter().position(|(of, _)| *of == depth) {
            let (_, error) = self.jump_errors.swap_remove(at);
            return Err(Box::new(Failure { place: Place::After(self.at), ..*error }));
        }
        let block = self.blocks.pop().expect("blocks are entered and left in pairs");
        let level = self.reg_level(block.active);
        self.deactivate(block.active);
        let mut has_close = false;
        if block.is_loop {
            has_close = self.resolve_breaks(block.active, block.gotos)?;
        }
        let is_nested = !self.blocks.is_empty();
        if !has_close && is_nested && block.needs_close {
            self.emit_abc(Op::Close, level, 0, 0);
        }
        self.free = level;
        self.jumps.hide_labels(block.labels);
        if is_nested {
            self.move_gotos_out(&block, level);
        }
        Ok(block)
    }

    /// Notes that the variable number `var` is captured by a closure.
    fn mark_captured(&mut self, var: usize) {
        self.has_captures = true;
        if let Some(block) = self.blocks.iter_mut().rev().find(|block| block.active <= var) {
            block.needs_close = true;
        }
    }

    /// Notes that the innermost block has a variable to be closed.
    pub(crate) fn mark_to_be_closed(&mut self) {
        if let Some(block) = self.blocks.last_mut() {
            block.needs_close = true;
            block.inside_tbc = true;
        }
    }

    /// Whether the next instruction is in the scope of a to-be-closed variable.
    pub(crate) fn is_inside_tbc(&self) -> bool {
        self.blocks.last().is_some_and(|block| block.inside_tbc)
    }

    /// Declares and activates a global.
    pub(crate) fn declare_global(&mut self, name: VarName, kind: VarKind) {
        debug_assert_eq!(self.active, self.vars.len());
        self.uncounted += 1;
        self.vars.push(Var { name, kind, value: None, is_global: true, reg: 0, info: 0 });
        self.active += 1;
    }

    /// The active variable or declaration with this name, innermost first. Notes in `others` what the declarations on the
    /// way say about other names.
    fn find_local(&self, name: Name, others: &mut OtherGlobals) -> Option<Resolved> {
        for (var, found) in self.vars[..self.active].iter().enumerate().rev() {
            let is_constant = found.kind == VarKind::Const;
            if found.name == VarName::Source(name) {
                return Some(match found.value {
                    _ if found.is_global => Resolved::Declared { is_constant },
                    Some(value) => Resolved::Constant(value),
                    None => Resolved::Local { var, reg: found.reg },
                });
            }
            if found.is_global {
                *others = match (*others, found.name) {
                    (OtherGlobals::Declared { .. }, _) => *others,
                    (_, VarName::AllGlobals) => OtherGlobals::Declared { is_constant },
                    (_, VarName::Source(_) | VarName::Hidden(_) | VarName::Own) => OtherGlobals::Hidden,
                };
            }
        }
        None
    }

    /// The upvalue with this name.
    fn find_upval(&self, bytes: &[u8]) -> Option<Resolved> {
        let index = self.proto.upvals.iter().position(|up| *up.name == *bytes)?;
        Some(Resolved::Upval(index as u8))
    }

    /// The name of the variable if it must not be assigned to.
    pub(crate) fn read_only_name(&self, e: &Exp) -> Option<String> {
        let (name, kind) = match e.kind {
            Kind::Local { var, .. } => match self.vars[var] {
                Var { name: VarName::Source(name), kind, .. } => (self.chunk.name(name), kind),
                Var { name: VarName::Hidden(_) | VarName::Own | VarName::AllGlobals, .. } => return None,
            },
            Kind::Upval(up) => {
                let up = &self.proto.upvals[usize::from(up)];
                (&*up.name, up.kind)
            }
            _ => return None,
        };
        (kind != VarKind::Regular).then(|| String::from_utf8_lossy(name).into_owned())
    }
}

impl<'a> Compiler<'a> {
    /// Finds out what a name means, and makes it an upvalue of all functions between its declaration and here.
    ///
    /// `name` is `None` if the chunk does not mention the name: it is then no local variable's.
    fn resolve(&mut self, name: Option<Name>, bytes: &[u8]) -> Res<Resolved> {
        let here = self.outer.len();
        let mut others = OtherGlobals::Visible;
        let found = (0..=here).rev().find_map(|level| {
            let fs = self.level(level);
            let local = name.and_then(|name| fs.find_local(name, &mut others));
            Some((level, local.or_else(|| fs.find_upval(bytes))?))
        });
        let Some((level, mut found)) = found else {
            return match others {
                OtherGlobals::Visible => Ok(Resolved::Global),
                OtherGlobals::Declared { is_constant } => Ok(Resolved::Declared { is_constant }),
                OtherGlobals::Hidden => {
                    let message = format!("variable '{}' not declared", String::from_utf8_lossy(bytes));
                    Err(Failure::new(message, Place::After(self.fs.at)))
                }
            };
        };
        if let Resolved::Local { var, .. } = found
            && level < here
        {
            self.level_mut(level).note_vararg_use(var);
            self.level_mut(level).mark_captured(var);
        }
        for level in level + 1..=here {
            let enclosing = self.level(level - 1);
            let (in_stack, index, kind) = match found {
                Resolved::Local { var, reg } => (true, reg, enclosing.vars[var].kind),
                Resolved::Upval(index) => (false, index, enclosing.proto.upvals[usize::from(index)].kind),
                Resolved::Constant(_) | Resolved::Global | Resolved::Declared { .. } => break,
            };
            let upval = UpvalDesc { name: bytes.into(), in_stack, index, kind, is_assigned: true };
            found = Resolved::Upval(self.add_upval(level, upval)?);
        }
        Ok(found)
    }

    /// The function at a nesting level; the innermost one is at the level of `outer.len()`.
    fn level(&self, level: usize) -> &FuncState<'a> {
        self.outer.get(level).unwrap_or(&self.fs)
    }

    fn level_mut(&mut self, level: usize) -> &mut FuncState<'a> {
        self.outer.get_mut(level).unwrap_or(&mut self.fs)
    }

    fn add_upval(&mut self, level: usize, upval: UpvalDesc) -> Res<u8> {
        let place = Place::Near(self.fs.at);
        let fs = self.level_mut(level);
        let index = fs.proto.upvals.len();
        let limit = fs.dialect.max_upvalues;
        let hidden = usize::from(fs.dialect.environments == Environments::Functions);
        if index >= limit + hidden {
            return Err(fs.limit_error("upvalues", limit, place));
        }
        fs.proto.upvals.push(upval);
        Ok(index as u8)
    }

    /// The expression for a name: a variable, a constant, or a field of the environment.
    pub(crate) fn variable(&mut self, name: Name) -> Res<Exp> {
        match self.resolve(Some(name), self.chunk.name(name))? {
            Resolved::Local { var, reg } => Ok(Exp::new(Kind::Local { var, reg })),
            Resolved::Upval(index) => Ok(Exp::new(Kind::Upval(index))),
            Resolved::Constant(value) => Ok(Exp::new(value)),
            Resolved::Global | Resolved::Declared { .. } => self.global(name),
        }
    }

    /// `_ENV.name`, or a field of the function's environment.
    pub(crate) fn global(&mut self, name: Name) -> Res<Exp> {
        if self.dialect.environments == Environments::Functions {
            return self.fs.indexed(Exp::new(Kind::Upval(0)), &mut Exp::new(Kind::Str(name)));
        }
        let mut env = match self.resolve(self.env_name, ENV)? {
            Resolved::Local { var, reg } => Exp::new(Kind::Local { var, reg }),
            Resolved::Upval(index) => Exp::new(Kind::Upval(index)),
            Resolved::Constant(value) => Exp::new(value),
            Resolved::Declared { .. } => {
                let name = String::from_utf8_lossy(self.chunk.name(name));
                let message = format!("_ENV is global when accessing variable '{name}'");
                return Err(Failure::new(message, Place::After(self.fs.at)));
            }
            Resolved::Global => unreachable!("this is a bug: the main function has the upvalue `_ENV`"),
        };
        self.fs.exp_to_any_or_upval(&mut env)?;
        self.fs.indexed(env, &mut Exp::new(Kind::Str(name)))
    }

    /// The variable that is the target of an assignment, and its name if it is read-only.
    pub(crate) fn target_variable(&mut self, name: Name) -> Res<(Exp, Option<String>)> {
        let bytes = self.chunk.name(name);
        match self.resolve(Some(name), bytes)? {
            Resolved::Constant(value) => Ok((Exp::new(value), Some(String::from_utf8_lossy(bytes).into_owned()))),
            Resolved::Declared { is_constant: true } => {
                let variable = self.global(name)?;
                Ok((variable, Some(String::from_utf8_lossy(bytes).into_owned())))
            }
            Resolved::Local { .. } | Resolved::Upval(_) | Resolved::Global | Resolved::Declared { .. } => {
                let variable = self.variable(name)?;
                Ok((variable, self.fs.read_only_name(&variable)))
            }
        }
    }

    /// The error of an assignment to a read-only variable, at the current position.
    pub(crate) fn read_only_error(&self, name: &str) -> Box<Failure> {
        let message = format!("attempt to assign to const variable '{name}'");
        Failure::new(message, Place::After(self.fs.at))
    }
}
