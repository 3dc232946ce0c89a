//! The state of one function being compiled: its instructions, lines, constants and registers.
//!
//! Registers form a stack. The active local variables occupy its bottom in order; temporaries are pushed above them and
//! must be freed in the opposite order, which debug assertions check.

use std::collections::HashMap;

use perilune_base::dialect::Dialect;
use perilune_base::dialect::table::RegisterText;
use perilune_base::limits::MAX_REGISTERS;
use perilune_bytecode::ops::{Instr, Op};
use perilune_bytecode::proto::{Const, Proto};
use perilune_syntax::ast::{Chunk, Name};
use perilune_syntax::limit_text;

use crate::exp::{ConstId, Exp, Kind, Pc, Reg};
use crate::failure::{Failure, Place, Res};
use crate::labels::Jumps;
use crate::position::Position;
use crate::scope::{BlockScope, Var, VarargVar};

/// Longest code of one function: offsets of conditional jumps have 31 bits.
const MAX_CODE: usize = 1 << 30;

/// A function being compiled.
pub(crate) struct FuncState<'a> {
    pub dialect: &'a Dialect,
    pub chunk: &'a Chunk,
    /// What is finished.
    pub proto: Proto,
    /// The last token consumed.
    pub at: Position,
    /// The first free register.
    pub free: Reg,
    /// Declared local variables; the first `active` of them are in scope.
    pub vars: Vec<Var>,
    pub active: usize,
    /// How many of them are no local variables of the program, and do not count as such.
    pub uncounted: usize,
    /// Open blocks, innermost last.
    pub blocks: Vec<BlockScope>,
    /// Visible labels, and jumps to labels not seen yet.
    pub jumps: Jumps,
    /// The errors of jumps that are told when the block at a depth ends, with that depth: one for each depth.
    pub jump_errors: Vec<(usize, Box<Failure>)>,
    /// The variable that `...name` declares.
    pub vararg: Option<VarargVar>,
    /// Whether closures capture local variables, so that every return must close them.
    pub has_captures: bool,
    consts: HashMap<ConstKey, ConstId>,
    /// The last instruction that is known to be a jump target: it must not be merged with its predecessor.
    last_target: Pc,
}

/// Constants by identity: `1` and `1.0` are two, and so are `0.0` and `-0.0`.
#[derive(PartialEq, Eq, Hash)]
enum ConstKey {
    Nil,
    Bool(bool),
    Int(i64),
    Float(u64),
    Str(Name),
}

impl<'a> FuncState<'a> {
    pub(crate) fn new(chunk: &'a Chunk, dialect: &'a Dialect, at: Position) -> FuncState<'a> {
        FuncState {
            dialect,
            chunk,
            proto: Proto { max_stack: 2, ..Proto::default() },
            at,
            free: 0,
            vars: Vec::new(),
            active: 0,
            uncounted: 0,
            blocks: Vec::new(),
            jumps: Jumps::default(),
            jump_errors: Vec::new(),
            vararg: None,
            has_captures: false,
            consts: HashMap::new(),
            last_target: 0,
        }
    }

    /// The error that there are more than `limit` of `what`.
    pub(crate) fn limit_error(&self, what: &str, limit: usize, place: Place) -> Box<Failure> {
        let message = limit_text(self.dialect, what, limit, self.proto.line_defined);
        let place = match place {
            Place::Near(at) | Place::After(at) if !self.dialect.limits_named_first => Place::After(at),
            Place::LineNear { line, end } if !self.dialect.limits_named_first => Place::Line { line, end },
            place => place,
        };
        Failure::new(message, place)
    }

    // Instructions.

    /// The index of the next instruction.
    pub(crate) fn pc(&self) -> Pc {
        self.proto.code.len() as Pc
    }

    /// Appends an instruction, in the line of the last token consumed.
    pub(crate) fn emit(&mut self, instr: Instr) -> Pc {
        if self.pc() == 1 && self.dialect.nils_at_start_are_free && self.op(0) == Op::LoadNil {
            self.proto.lines[0] = self.at.line;
        }
        self.proto.code.push(instr);
        self.proto.lines.push(self.at.line);
        self.pc() - 1
    }

    /// Appends an instruction with operands `a`, `b`, `c`.
    pub(crate) fn emit_abc(&mut self, op: Op, a: u8, b: u8, c: u8) -> Pc {
        self.emit(Instr::new(op, a, b, c, 0))
    }

    /// Gives the last instruction another line.
    pub(crate) fn fix_line(&mut self, line: u32) {
        if let Some(last) = self.proto.lines.last_mut() {
            *last = line;
        }
    }

    /// Gives an instruction the line of the one behind it, with which it then is one step for line hooks.
    pub(crate) fn share_line(&mut self, pc: Pc) {
        self.proto.lines[pc as usize] = self.proto.lines[pc as usize + 1];
    }

    /// Takes back the last instruction.
    pub(crate) fn remove_last(&mut self) {
        self.proto.code.pop();
        self.proto.lines.pop();
    }

    pub(crate) fn instr(&self, pc: Pc) -> Instr {
        self.proto.code[pc as usize]
    }

    pub(crate) fn instr_mut(&mut self, pc: Pc) -> &mut Instr {
        &mut self.proto.code[pc as usize]
    }

    /// The operation of an instruction of this function.
    pub(crate) fn op(&self, pc: Pc) -> Op {
        self.instr(pc).op().expect("the compiler emits known operations")
    }

    /// Sets operand `a` of an instruction.
    pub(crate) fn set_a(&mut self, pc: Pc, a: u8) {
        let old = self.instr(pc);
        *self.instr_mut(pc) = Instr(old.0 & !0xff00 | u64::from(a) << 8);
    }

    /// Sets operand `c` of an instruction.
    pub(crate) fn set_c(&mut self, pc: Pc, c: u8) {
        let old = self.instr(pc);
        *self.instr_mut(pc) = Instr(old.0 & !0xff00_0000 | u64::from(c) << 24);
    }

    /// The index of the next instruction, as a target of jumps.
    pub(crate) fn label(&mut self) -> Pc {
        self.last_target = self.pc();
        self.last_target
    }

    /// Emits the back-edge of a loop that begins at `start`.
    pub(crate) fn emit_loop(&mut self, start: Pc) {
        let offset = start as i32 - (self.pc() as i32 + 1);
        self.emit(Instr::new(Op::Loop, 0, 0, 0, offset));
    }

    /// Sets registers `from..from + n` to nil, together with the previous instruction if that does the same beside them.
    pub(crate) fn load_nil(&mut self, from: Reg, n: u8) {
        let last = from + n - 1;
        if self.pc() > self.last_target
            && let Some(&previous) = self.proto.code.last()
            && previous.op() == Some(Op::LoadNil)
        {
            let (old_from, old_last) = (previous.a(), previous.a() + previous.b());
            let touches = old_from <= from && from <= old_last + 1 || from <= old_from && old_from <= last + 1;
            if touches {
                let from = from.min(old_from);
                let last = last.max(old_last);
                let pc = self.pc() - 1;
                *self.instr_mut(pc) = Instr::new(Op::LoadNil, from, last - from, 0, 0);
                return;
            }
        }
        self.emit_abc(Op::LoadNil, from, n - 1, 0);
    }

    /// Loads an integer.
    pub(crate) fn load_int(&mut self, reg: Reg, int: i64) {
        match i32::try_from(int) {
            Ok(small) => self.emit(Instr::new(Op::LoadI, reg, 0, 0, small)),
            Err(_) => {
                let k = self.const_id(ConstKey::Int(int));
                self.load_const(reg, k)
            }
        };
    }

    /// Loads the number 1, as the language has it.
    pub(crate) fn load_one(&mut self, reg: Reg) {
        if self.dialect.integers { self.load_int(reg, 1) } else { self.load_float(reg, 1.0) }
    }

    /// Loads a float.
    pub(crate) fn load_float(&mut self, reg: Reg, float: f64) {
        let small = float as i32;
        let is_merged = float == 0.0 && self.dialect.merged_zeros;
        if f64::from(small).to_bits() == float.to_bits() && !is_merged {
            self.emit(Instr::new(Op::LoadF, reg, 0, 0, small));
        } else {
            let k = self.const_id(ConstKey::Float(float.to_bits()));
            self.load_const(reg, k);
        }
    }

    /// Loads a string.
    pub(crate) fn load_str(&mut self, reg: Reg, name: Name) {
        let k = self.str_const(name);
        self.load_const(reg, k);
    }

    fn load_const(&mut self, reg: Reg, k: ConstId) -> Pc {
        self.emit(Instr::new(Op::LoadK, reg, 0, 0, k as i32))
    }

    // Constants.

    fn const_id(&mut self, key: ConstKey) -> ConstId {
        let value = match key {
            ConstKey::Nil => Const::Nil,
            ConstKey::Bool(bool) => Const::Bool(bool),
            ConstKey::Int(int) => Const::Int(int),
            ConstKey::Float(bits) => Const::Float(f64::from_bits(bits)),
            ConstKey::Str(name) => {
                // Strings are copied only when they are new.
                if let Some(&id) = self.consts.get(&key) {
                    return id;
                }
                Const::Str(self.chunk.name(name).into())
            }
        };
        let identity = match key {
            ConstKey::Float(bits) if self.dialect.merged_zeros && f64::from_bits(bits) == 0.0 => ConstKey::Float(0),
            key => key,
        };
        let consts = &mut self.proto.consts;
        *self.consts.entry(identity).or_insert_with(|| {
            consts.push(value);
            consts.len() as ConstId - 1
        })
    }

    /// The index of a string constant.
    pub(crate) fn str_const(&mut self, name: Name) -> ConstId {
        self.const_id(ConstKey::Str(name))
    }

    /// The index of an expression in the constants, if it is one.
    pub(crate) fn exp_const(&mut self, e: &Exp) -> Option<ConstId> {
        if e.has_jumps() {
            return None;
        }
        let key = match e.kind {
            Kind::Nil => ConstKey::Nil,
            Kind::True => ConstKey::Bool(true),
            Kind::False => ConstKey::Bool(false),
            Kind::Int(int) => ConstKey::Int(int),
            Kind::Float(float) => ConstKey::Float(float.to_bits()),
            Kind::Str(name) => ConstKey::Str(name),
            Kind::Void
            | Kind::Reg(_)
            | Kind::Local { .. }
            | Kind::Upval(_)
            | Kind::UpField { .. }
            | Kind::Field { .. }
            | Kind::IntItem { .. }
            | Kind::Item { .. }
            | Kind::ExtraItem { .. }
            | Kind::Jump(_)
            | Kind::Pending(_)
            | Kind::Call(_)
            | Kind::Vararg(_) => return None,
        };
        Some(self.const_id(key))
    }

    /// A new inline cache for a key.
    pub(crate) fn cache(&mut self, key: ConstId) -> i32 {
        self.proto.caches.push(key);
        self.proto.caches.len() as i32 - 1
    }

    // Registers.

    /// Makes sure that the function has `n` registers above the used ones.
    pub(crate) fn check_stack(&mut self, n: usize) -> Res<()> {
        let size = usize::from(self.free) + n;
        if size > usize::from(self.proto.max_stack) {
            // Where the limit is told as such, it may be reached.
            let most = MAX_REGISTERS - usize::from(self.dialect.register_text != RegisterText::Limit);
            if size > most {
                return Err(self.register_overflow());
            }
            self.proto.max_stack = size as u8;
        }
        Ok(())
    }

    #[cold]
    fn register_overflow(&self) -> Box<Failure> {
        let text = match self.dialect.register_text {
            RegisterText::TooComplex => "function or expression too complex".to_owned(),
            RegisterText::TooMany => "function or expression needs too many registers".to_owned(),
            RegisterText::Limit => limit_text(self.dialect, "registers", MAX_REGISTERS, self.proto.line_defined),
        };
        Failure::register_overflow(text, self.at)
    }

    /// Takes `n` registers.
    pub(crate) fn reserve(&mut self, n: usize) -> Res<()> {
        self.check_stack(n)?;
        self.free += n as u8;
        Ok(())
    }

    /// Frees a register, unless it is a local variable's.
    pub(crate) fn free_reg(&mut self, reg: Reg) {
        if reg >= self.local_top() {
            self.free -= 1;
            debug_assert_eq!(reg, self.free, "registers are freed in the order of a stack");
        }
    }

    /// Frees two registers.
    pub(crate) fn free_regs(&mut self, r1: Reg, r2: Reg) {
        self.free_reg(r1.max(r2));
        self.free_reg(r1.min(r2));
    }

    /// Frees the register of an expression, if it has one.
    pub(crate) fn free_exp(&mut self, e: &Exp) {
        if let Kind::Reg(reg) = e.kind {
            self.free_reg(reg);
        }
    }

    /// Frees the registers of two expressions.
    pub(crate) fn free_exps(&mut self, e1: &Exp, e2: &Exp) {
        match (e1.kind, e2.kind) {
            (Kind::Reg(r1), Kind::Reg(r2)) => self.free_regs(r1, r2),
            (Kind::Reg(reg), _) | (_, Kind::Reg(reg)) => self.free_reg(reg),
            _ => {}
        }
    }

    // The end.

    /// Completes the code: returns learn whether they have to close variables, and jumps to jumps go straight.
    pub(crate) fn finish(&mut self) -> Res<()> {
        if self.proto.code.len() > MAX_CODE {
            return Err(Failure::new("control structure too long".to_owned(), Place::Near(self.at)));
        }
        // From the back, so that the targets of jumps are final when they are looked at.
        for pc in (0..self.pc()).rev() {
            let instr = self.instr(pc);
            let op = self.op(pc);
            match op {
                Op::Return0 if self.has_captures => {
                    *self.instr_mut(pc) = Instr::new(Op::Return, instr.a(), 1, 1, 0);
                }
                Op::Return1 if self.has_captures => {
                    *self.instr_mut(pc) = Instr::new(Op::Return, instr.a(), 2, 1, 0);
                }
                Op::Return | Op::TailCall if self.has_captures => self.set_c(pc, 1),
                _ if self.is_forward_jump(pc) => {
                    let target = self.final_target(self.jump_target(pc));
                    self.fix_jump(pc, target);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Where a jump to `target` ends up.
    fn final_target(&self, mut target: Pc) -> Pc {
        while let Some(instr) = self.proto.code.get(target as usize)
            && instr.op() == Some(Op::Jump)
        {
            target = self.jump_target(target);
        }
        target
    }
}
