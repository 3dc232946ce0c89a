//! Instructions: one operation of Cranelift's IR after the other, in the places that its values have been given.
//!
//! An operation reads its operands where they are, memory included, and writes its result last, so that a result may have
//! the register of an operand. The registers that are kept back stand in for what is in memory.

use cranelift_assembler_x64::{Fixed, TrapCode, inst};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{
    AbiParam, Block, BlockCall, Function, Inst, InstructionData, JumpTable, Opcode, Signature, Type, Value, ValueDef,
    types,
};
use cranelift_codegen::isa::CallConv;

use super::Unknown;
use super::alloc::{Places, RAX, RBP, RCX, RDI, RDX, RSI, RSP, XMM_A, XMM_B};
use super::asm::{Address, Buffer, Condition, GprOrMemory, Label, Regs, XmmOrMemory, at, sum};
use super::moves::{self, Aside, Move, Place, Source};
use super::plan::{Kind, Plan};

/// The registers of arguments, in order.
const ARGUMENTS: [u8; 6] = [RDI, RSI, RDX, RCX, 8, 9];
const FLOAT_ARGUMENTS: u8 = 8;

/// The registers of results, in order. None of them is any value's place. The third is LLVM's extension of the convention, which
/// Cranelift is asked for, too.
const RESULTS: [u8; 3] = [RAX, RDX, RCX];

/// Whether calls of functions with a signature can be made.
pub(super) fn knows(signature: &Signature) -> Result<(), Unknown> {
    let returns = &signature.returns;
    let fits = returns.len() <= RESULTS.len() && returns.iter().all(|result| result.value_type != types::F64);
    let is_float = matches!(returns[..], [AbiParam { value_type: types::F64, .. }]);
    let floats = signature.params.len() - ints(signature);
    let is_known = (fits || is_float) && floats <= FLOAT_ARGUMENTS as usize;
    if is_known && signature.call_conv == CallConv::SystemV { Ok(()) } else { Err(Unknown::new(signature)) }
}

fn ints(signature: &Signature) -> usize {
    signature.params.iter().filter(|param| param.value_type != types::F64).count()
}

/// How many arguments travel on the stack.
pub(super) fn on_stack(signature: &Signature) -> usize {
    ints(signature).saturating_sub(ARGUMENTS.len())
}

/// How `roundsd` rounds, without raising that a result is inexact.
const DOWN: u8 = 9;
const UP: u8 = 10;

const SIGN: u64 = 1 << 63;

/// Appends an instruction of the assembler.
macro_rules! put {
    ($self:ident, $name:ident $(, $operand:expr)*) => {{
        let instruction = inst::$name::<Regs>::new($($operand),*);
        $self.code.note(&instruction);
        instruction.encode(&mut $self.code);
    }};
}

/// Appends one with an integer register or memory for its target and any operand for its source, which may be a constant.
macro_rules! put_binary {
    ($self:ident, $to:expr, $source:expr, $rm:ident, $mi:ident) => {
        match $self.operand($source) {
            Operand::Int(n) => match i32::try_from(n) {
                Ok(n) => put!($self, $mi, GprOrMemory::from($to), n),
                Err(_) => {
                    $self.load_int(RCX, n);
                    put!($self, $rm, $to, RCX);
                }
            },
            Operand::Gpr(operand) => put!($self, $rm, $to, operand),
        }
    };
}

/// An integer to read.
enum Operand {
    Int(i64),
    Gpr(GprOrMemory),
}

/// What a comparison leaves in the flags.
enum Test {
    If(Condition),
    /// Equality of floats: equal, and neither is NaN.
    FloatsEqual,
    FloatsDiffer,
    Always(bool),
}

pub(super) fn emit(
    func: &Function,
    plan: &Plan,
    places: &Places,
    explain: bool,
) -> Result<(Vec<u8>, Option<String>), Unknown> {
    let mut code = Buffer::new(explain);
    let labels = (0..func.dfg.num_blocks()).map(|_| code.label()).collect();
    let epilogue = code.label();
    let mut emitter = Emitter { func, plan, places, code, labels, epilogue, edges: Vec::new(), out: 0 };
    emitter.out = emitter.bytes_of_arguments();
    emitter.run()?;
    Ok(emitter.code.finish())
}

/// Moves on the way to a block that a conditional jump goes to.
struct Edge {
    label: Label,
    moves: Vec<Move>,
    to: Block,
}

struct Emitter<'a> {
    func: &'a Function,
    plan: &'a Plan,
    places: &'a Places,
    code: Buffer,
    /// By block.
    labels: Vec<Label>,
    epilogue: Label,
    /// Their code stands behind that of all blocks.
    edges: Vec<Edge>,
    /// Bytes for arguments that calls take on the stack.
    out: i32,
}

impl Emitter<'_> {
    fn run(&mut self) -> Result<(), Unknown> {
        self.prologue();
        let plan = self.plan;
        for (n, block) in plan.code_order.iter().enumerate() {
            let label = self.label(*block);
            self.code.bind(label);
            let next = plan.code_order.get(n + 1).copied();
            for inst in self.func.layout.block_insts(*block) {
                self.inst(inst, next)?;
            }
        }
        for edge in std::mem::take(&mut self.edges) {
            self.code.bind(edge.label);
            self.moves(edge.moves);
            let to = self.label(edge.to);
            self.code.jump(to);
        }
        self.code.bind(self.epilogue);
        self.leave();
        Ok(())
    }

    fn label(&self, block: Block) -> Label {
        self.labels[block.as_u32() as usize]
    }

    /// The most bytes that arguments of a call take on the stack.
    fn bytes_of_arguments(&self) -> i32 {
        8 * self.func.dfg.signatures.values().map(on_stack).max().unwrap_or(0) as i32
    }

    // The frame: the old frame pointer, preserved registers, slots, arguments of calls.

    fn prologue(&mut self) {
        put!(self, pushq_o, RBP);
        put!(self, movq_rm, RBP, RSP);
        let bytes = (self.places.frame + self.out + 15) & !15;
        if bytes > 0 {
            put!(self, subq_mi_sxl, RSP, bytes);
        }
        for (n, register) in self.places.preserved.iter().enumerate() {
            put!(self, movq_mr, at(RBP, -8 * (n as i32 + 1)), *register);
        }
        let params = self.func.layout.entry_block().map_or(&[][..], |entry| self.func.dfg.block_params(entry));
        let places = self.places_of_arguments(params);
        let arrivals = params.iter().zip(places);
        let arrivals = arrivals.filter_map(|(param, from)| {
            debug_assert!(!matches!(from, Place::Out(_)), "no function takes so many parameters");
            Some(Move { to: self.places.of(*param)?, from: Source::Place(from) })
        });
        let arrivals = arrivals.collect();
        self.moves(arrivals);
    }

    fn leave(&mut self) {
        for (n, register) in self.places.preserved.iter().enumerate() {
            put!(self, movq_rm, *register, at(RBP, -8 * (n as i32 + 1)));
        }
        put!(self, movq_rm, RSP, RBP);
        put!(self, popq_o, RBP);
        let instruction = inst::retq_zo::new();
        self.code.note(instruction);
        instruction.encode(&mut self.code);
    }

    // Operands and results.

    fn ty(&self, v: Value) -> Type {
        self.func.dfg.value_type(v)
    }

    fn memory(place: Place) -> Address {
        match place {
            Place::Slot(offset) => at(RBP, offset),
            Place::Out(offset) => at(RSP, offset),
            Place::Gpr(_) | Place::Xmm(_) => {
                debug_assert!(false, "a register is no memory");
                at(RBP, 0)
            }
        }
    }

    fn operand(&self, v: Value) -> Operand {
        match (self.plan.kind(v), self.places.of(v)) {
            (Kind::Int(n), _) => Operand::Int(n),
            (_, Some(Place::Gpr(register))) => Operand::Gpr(register.into()),
            (_, Some(place)) => Operand::Gpr(Self::memory(place).into()),
            (kind, None) => {
                debug_assert!(false, "{v} has no place: {kind:?}");
                Operand::Int(0)
            }
        }
    }

    fn load_int(&mut self, to: u8, n: i64) {
        if let Ok(n) = u32::try_from(n) {
            // It fills up with zeros. Flags stay as they are, which an exclusive or would not do.
            put!(self, movl_oi, to, n);
        } else if let Ok(n) = i32::try_from(n) {
            put!(self, movq_mi_sxl, to, n);
        } else {
            put!(self, movabsq_oi, to, n as u64);
        }
    }

    /// Puts an integer into a register.
    fn take(&mut self, to: u8, v: Value) {
        match self.operand(v) {
            Operand::Int(n) => self.load_int(to, n),
            Operand::Gpr(GprOrMemory::Gpr(from)) if from == to => {}
            Operand::Gpr(operand) => put!(self, movq_rm, to, operand),
        }
    }

    /// The register of an integer, or `spare` with it.
    fn gpr(&mut self, v: Value, spare: u8) -> u8 {
        if let Operand::Gpr(GprOrMemory::Gpr(register)) = self.operand(v) {
            return register;
        }
        self.take(spare, v);
        spare
    }

    /// The register or memory of an integer, or `spare` with it if it is a constant.
    fn gpr_or_memory(&mut self, v: Value, spare: u8) -> GprOrMemory {
        match self.operand(v) {
            Operand::Int(n) => {
                self.load_int(spare, n);
                spare.into()
            }
            Operand::Gpr(operand) => operand,
        }
    }

    fn float(&mut self, v: Value) -> XmmOrMemory {
        match (self.plan.kind(v), self.places.of(v)) {
            (Kind::Float(bits), _) => self.code.constant(bits).into(),
            (_, Some(Place::Xmm(register))) => register.into(),
            (_, Some(place)) => Self::memory(place).into(),
            (kind, None) => {
                debug_assert!(false, "{v} has no place: {kind:?}");
                XMM_A.into()
            }
        }
    }

    fn take_float(&mut self, to: u8, v: Value) {
        match self.float(v) {
            XmmOrMemory::Xmm(from) if from == to => {}
            XmmOrMemory::Xmm(from) => put!(self, movapd_a, to, from),
            XmmOrMemory::Mem(address) => put!(self, movsd_a_m, to, address),
        }
    }

    fn xmm(&mut self, v: Value, spare: u8) -> u8 {
        if let XmmOrMemory::Xmm(register) = self.float(v) {
            return register;
        }
        self.take_float(spare, v);
        spare
    }

    /// The register where the result of an operation is to be made: its own, or one that is kept back.
    fn target(&self, v: Value) -> u8 {
        match self.places.of(v) {
            Some(Place::Gpr(register)) => register,
            _ => RAX,
        }
    }

    fn target_float(&self, v: Value) -> u8 {
        match self.places.of(v) {
            Some(Place::Xmm(register)) => register,
            _ => XMM_A,
        }
    }

    /// The result of an operation is in a register.
    fn give(&mut self, v: Value, from: u8) {
        match self.places.of(v) {
            Some(Place::Gpr(to)) if to != from => put!(self, movq_rm, to, from),
            Some(Place::Slot(offset)) => put!(self, movq_mr, at(RBP, offset), from),
            Some(Place::Gpr(_) | Place::Xmm(_) | Place::Out(_)) | None => {}
        }
    }

    fn give_float(&mut self, v: Value, from: u8) {
        match self.places.of(v) {
            Some(Place::Xmm(to)) if to != from => put!(self, movapd_a, to, from),
            Some(Place::Slot(offset)) => put!(self, movsd_c_m, at(RBP, offset), from),
            Some(Place::Gpr(_) | Place::Xmm(_) | Place::Out(_)) | None => {}
        }
    }

    // Operations.

    fn inst(&mut self, inst: Inst, next: Option<Block>) -> Result<(), Unknown> {
        let dfg = &self.func.dfg;
        let result = dfg.inst_results(inst).first().copied();
        match &dfg.insts[inst] {
            InstructionData::Brif { arg, blocks, .. } => self.branch(*arg, *blocks, next),
            InstructionData::Jump { destination, .. } => self.jump(*destination, next),
            InstructionData::BranchTable { arg, table, .. } => self.branch_table(*arg, *table),
            InstructionData::CallIndirect { .. } => self.call(inst),
            InstructionData::MultiAry { opcode: Opcode::Return, .. } => self.return_(inst),
            InstructionData::Trap { .. } => {
                let instruction = inst::ud2_zo::new(TrapCode(std::num::NonZeroU8::MIN));
                self.code.note(instruction);
                instruction.encode(&mut self.code);
            }
            InstructionData::Store { opcode, args, offset, .. } => self.store(*opcode, *args, i32::from(*offset))?,
            _ => {
                let Some(result) = result else { return Err(Unknown::new(dfg.insts[inst])) };
                if self.plan.kind(result) == Kind::Placed {
                    self.compute(inst, result)?;
                }
            }
        }
        Ok(())
    }

    /// An operation that does nothing but make a value.
    fn compute(&mut self, inst: Inst, result: Value) -> Result<(), Unknown> {
        match self.func.dfg.insts[inst] {
            InstructionData::Load { opcode, arg, offset, .. } => self.load(opcode, arg, i32::from(offset), result),
            InstructionData::Binary { opcode, args: [a, b] } => self.binary(opcode, a, b, result),
            InstructionData::Unary { opcode, arg } => self.unary(opcode, arg, result),
            InstructionData::LoadNoOffset { opcode: Opcode::Bitcast, arg, .. } => {
                self.bitcast(arg, result);
                Ok(())
            }
            InstructionData::IntCompare { .. } | InstructionData::FloatCompare { .. } => {
                self.flag(inst, result);
                Ok(())
            }
            InstructionData::Ternary { opcode: Opcode::Select, args: [flag, a, b] } => self.select(flag, a, b, result),
            InstructionData::NullAry { opcode: Opcode::GetStackPointer } => {
                self.give(result, RSP);
                Ok(())
            }
            other => Err(Unknown::new(other)),
        }
    }

    fn load(&mut self, opcode: Opcode, arg: Value, offset: i32, result: Value) -> Result<(), Unknown> {
        let base = self.gpr(arg, RAX);
        let from = at(base, offset);
        let ty = self.ty(result);
        if ty == types::F64 {
            let to = self.target_float(result);
            put!(self, movsd_a_m, to, from);
            self.give_float(result, to);
            return Ok(());
        }
        let to = self.target(result);
        match (opcode, ty) {
            (Opcode::Load, types::I64) => put!(self, movq_rm, to, from),
            (Opcode::Uload32, types::I64) => put!(self, movl_rm, to, from),
            (Opcode::Uload8, types::I64 | types::I32) => put!(self, movzbl_rm, to, from),
            _ => return Err(Unknown::new((opcode, ty))),
        }
        self.give(result, to);
        Ok(())
    }

    fn store(&mut self, opcode: Opcode, [v, address]: [Value; 2], offset: i32) -> Result<(), Unknown> {
        let base = self.gpr(address, RAX);
        let to = at(base, offset);
        let ty = self.ty(v);
        if ty == types::F64 {
            if let Kind::Float(bits) = self.plan.kind(v) {
                self.load_int(RDX, bits as i64);
                put!(self, movq_mr, to, RDX);
            } else {
                let from = self.xmm(v, XMM_A);
                put!(self, movsd_c_m, to, from);
            }
            return Ok(());
        }
        let constant = if let Kind::Int(n) = self.plan.kind(v) { Some(n) } else { None };
        match (opcode, ty, constant) {
            (Opcode::Store, types::I8, Some(n)) | (Opcode::Istore8, _, Some(n)) => put!(self, movb_mi, to, n as u8),
            (Opcode::Store, types::I8, None) | (Opcode::Istore8, _, None) => {
                let from = self.gpr(v, RDX);
                put!(self, movb_mr, to, from);
            }
            (Opcode::Istore32, _, _) => {
                let from = self.gpr(v, RDX);
                put!(self, movl_mr, to, from);
            }
            (Opcode::Store, types::I64, Some(n)) if i32::try_from(n).is_ok() => put!(self, movq_mi_sxl, to, n as i32),
            (Opcode::Store, types::I64, _) => {
                let from = self.gpr(v, RDX);
                put!(self, movq_mr, to, from);
            }
            _ => return Err(Unknown::new((opcode, ty))),
        }
        Ok(())
    }

    fn binary(&mut self, opcode: Opcode, a: Value, b: Value, result: Value) -> Result<(), Unknown> {
        let ty = self.ty(result);
        match opcode {
            Opcode::Fadd | Opcode::Fsub | Opcode::Fmul | Opcode::Fdiv => {
                return self.float_binary(opcode, a, b, result);
            }
            // Who reads the result reads so many bits of it.
            Opcode::Iadd | Opcode::Isub | Opcode::Band | Opcode::Bor | Opcode::Bxor => {}
            _ if ty != types::I64 => return Err(Unknown::new((opcode, ty))),
            _ => {}
        }
        match opcode {
            Opcode::Iadd => self.add(a, b, result),
            Opcode::Isub | Opcode::Band | Opcode::Bor | Opcode::Bxor | Opcode::Imul => {
                self.two_operands(opcode, a, b, result);
            }
            Opcode::Ishl | Opcode::Ushr | Opcode::Sshr => self.shift(opcode, a, b, result),
            Opcode::Sdiv | Opcode::Srem => {
                self.take(RAX, a);
                let divisor = self.gpr_or_memory(b, RCX);
                put!(self, cqto_zo, Fixed(RDX), Fixed(RAX));
                put!(self, idivq_m, Fixed(RAX), Fixed(RDX), divisor, TrapCode(std::num::NonZeroU8::MIN));
                self.give(result, if opcode == Opcode::Sdiv { RAX } else { RDX });
            }
            Opcode::Smulhi => {
                self.take(RAX, a);
                let factor = self.gpr_or_memory(b, RDX);
                put!(self, imulq_m, Fixed(RAX), Fixed(RDX), factor);
                self.give(result, RDX);
            }
            Opcode::Smax | Opcode::Smin => {
                self.take(RAX, a);
                let other = self.gpr_or_memory(b, RCX);
                put!(self, cmpq_rm, RAX, other);
                let condition = if opcode == Opcode::Smax { Condition::Less } else { Condition::Greater };
                self.move_if(condition, RAX, other);
                self.give(result, RAX);
            }
            _ => return Err(Unknown::new((opcode, ty))),
        }
        Ok(())
    }

    /// A sum can be made in a register that has neither operand.
    fn add(&mut self, a: Value, b: Value, result: Value) {
        let to = self.target(result);
        match (self.operand(a), self.operand(b)) {
            (Operand::Gpr(GprOrMemory::Gpr(x)), Operand::Int(n)) if x != to && i32::try_from(n).is_ok() => {
                put!(self, leaq_rm, to, at(x, n as i32));
                self.give(result, to);
            }
            (Operand::Gpr(GprOrMemory::Gpr(x)), Operand::Gpr(GprOrMemory::Gpr(y))) if x != to && y != to => {
                put!(self, leaq_rm, to, sum(x, y));
                self.give(result, to);
            }
            _ => self.two_operands(Opcode::Iadd, a, b, result),
        }
    }

    /// An operation whose target is its first operand.
    fn two_operands(&mut self, opcode: Opcode, a: Value, b: Value, result: Value) {
        let to = self.target(result);
        let is_in_target = |operand: Operand| matches!(operand, Operand::Gpr(GprOrMemory::Gpr(r)) if r == to);
        let (mut a, mut b) = (a, b);
        if opcode != Opcode::Isub && (is_in_target(self.operand(b)) || matches!(self.operand(a), Operand::Int(_))) {
            (a, b) = (b, a);
        }
        // The second operand must outlive the move of the first.
        let to = if is_in_target(self.operand(b)) && !is_in_target(self.operand(a)) { RAX } else { to };
        self.take(to, a);
        match opcode {
            Opcode::Iadd => put_binary!(self, to, b, addq_rm, addq_mi_sxl),
            Opcode::Isub => put_binary!(self, to, b, subq_rm, subq_mi_sxl),
            Opcode::Band => put_binary!(self, to, b, andq_rm, andq_mi_sxl),
            Opcode::Bor => put_binary!(self, to, b, orq_rm, orq_mi_sxl),
            Opcode::Bxor => put_binary!(self, to, b, xorq_rm, xorq_mi_sxl),
            _ => {
                let factor = self.gpr_or_memory(b, RCX);
                put!(self, imulq_rm, to, factor);
            }
        }
        self.give(result, to);
    }

    /// The machine looks at six bits of the amount, as the IR does.
    fn shift(&mut self, opcode: Opcode, a: Value, by: Value, result: Value) {
        if let Operand::Int(n) = self.operand(by) {
            let (to, n) = (self.target(result), (n & 63) as u8);
            self.take(to, a);
            match opcode {
                Opcode::Ishl => put!(self, shlq_mi, to, n),
                Opcode::Ushr => put!(self, shrq_mi, to, n),
                _ => put!(self, sarq_mi, to, n),
            }
            self.give(result, to);
            return;
        }
        self.take(RCX, by);
        self.take(RAX, a);
        match opcode {
            Opcode::Ishl => put!(self, shlq_mc, RAX, Fixed(RCX)),
            Opcode::Ushr => put!(self, shrq_mc, RAX, Fixed(RCX)),
            _ => put!(self, sarq_mc, RAX, Fixed(RCX)),
        }
        self.give(result, RAX);
    }

    fn float_binary(&mut self, opcode: Opcode, a: Value, b: Value, result: Value) -> Result<(), Unknown> {
        let to = self.target_float(result);
        let second = self.float(b);
        let is_in_target = |operand: &XmmOrMemory| matches!(operand, XmmOrMemory::Xmm(r) if *r == to);
        // The second operand must outlive the move of the first.
        let to = if is_in_target(&second) && !is_in_target(&self.float(a)) { XMM_A } else { to };
        self.take_float(to, a);
        match opcode {
            Opcode::Fadd => put!(self, addsd_a, to, second),
            Opcode::Fsub => put!(self, subsd_a, to, second),
            Opcode::Fmul => put!(self, mulsd_a, to, second),
            Opcode::Fdiv => put!(self, divsd_a, to, second),
            _ => return Err(Unknown::new(opcode)),
        }
        self.give_float(result, to);
        Ok(())
    }

    fn unary(&mut self, opcode: Opcode, a: Value, result: Value) -> Result<(), Unknown> {
        let (from, ty) = (self.ty(a), self.ty(result));
        match opcode {
            Opcode::Ineg | Opcode::Bnot if ty == types::I64 => {
                let to = self.target(result);
                self.take(to, a);
                if opcode == Opcode::Ineg {
                    put!(self, negq_m, to);
                } else {
                    put!(self, notq_m, to);
                }
                self.give(result, to);
            }
            Opcode::Uextend => {
                let to = self.target(result);
                let operand = self.gpr(a, RAX);
                match from {
                    types::I8 => put!(self, movzbl_rm, to, operand),
                    types::I32 => put!(self, movl_rm, to, operand),
                    _ => return Err(Unknown::new((opcode, ty))),
                }
                self.give(result, to);
            }
            // Who reads the result reads so many bits of it.
            Opcode::Ireduce => {
                let to = self.target(result);
                self.take(to, a);
                self.give(result, to);
            }
            Opcode::FcvtFromSint if from == types::I64 => {
                let operand = self.gpr_or_memory(a, RAX);
                let to = self.target_float(result);
                // The conversion writes half of the register: whoever has written it last must not be waited for.
                put!(self, xorpd_a, to, to);
                put!(self, cvtsi2sdq_a, to, operand);
                self.give_float(result, to);
            }
            Opcode::FcvtToSintSat if ty == types::I64 => self.float_to_int(a, result),
            Opcode::Fneg | Opcode::Fabs => {
                let mask = if opcode == Opcode::Fneg { SIGN } else { !SIGN };
                self.take_float(XMM_A, a);
                let mask = self.code.constant(mask);
                put!(self, movsd_a_m, XMM_B, mask);
                if opcode == Opcode::Fneg {
                    put!(self, xorpd_a, XMM_A, XMM_B);
                } else {
                    put!(self, andpd_a, XMM_A, XMM_B);
                }
                self.give_float(result, XMM_A);
            }
            Opcode::Sqrt => {
                let (to, operand) = (self.target_float(result), self.float(a));
                put!(self, sqrtsd_a, to, operand);
                self.give_float(result, to);
            }
            Opcode::Floor | Opcode::Ceil => {
                let (to, operand) = (self.target_float(result), self.float(a));
                put!(self, roundsd_rmi, to, operand, if opcode == Opcode::Floor { DOWN } else { UP });
                self.give_float(result, to);
            }
            _ => return Err(Unknown::new((opcode, ty))),
        }
        Ok(())
    }

    fn bitcast(&mut self, a: Value, result: Value) {
        if self.ty(result) == types::F64 {
            let operand = self.gpr_or_memory(a, RAX);
            let to = self.target_float(result);
            put!(self, movq_a, to, operand);
            self.give_float(result, to);
        } else {
            let operand = self.xmm(a, XMM_A);
            let to = self.target(result);
            put!(self, movq_b, to, operand);
            self.give(result, to);
        }
    }

    /// What the machine makes of a float without an equal is the smallest integer; the IR wants the nearest one, and 0 for NaN.
    fn float_to_int(&mut self, a: Value, result: Value) {
        let x = self.xmm(a, XMM_A);
        let [done, is_number] = [self.code.label(), self.code.label()];
        put!(self, cvttsd2si_aq, RAX, x);
        self.load_int(RCX, i64::MIN);
        put!(self, cmpq_rm, RAX, RCX);
        self.code.jump_if(Condition::NotEqual, done);
        put!(self, ucomisd_a, x, x);
        self.code.jump_if(Condition::NoParity, is_number);
        self.load_int(RAX, 0);
        self.code.jump(done);
        self.code.bind(is_number);
        put!(self, xorpd_a, XMM_B, XMM_B);
        put!(self, ucomisd_a, x, XMM_B);
        self.code.jump_if(Condition::BelowOrEqual, done);
        self.load_int(RAX, i64::MAX);
        self.code.bind(done);
        self.give(result, RAX);
    }

    // Comparisons.

    /// Makes the flags for a condition.
    fn test(&mut self, flag: Value) -> Test {
        let deferred = match self.plan.kind(flag) {
            Kind::Int(n) => return Test::Always(n & 0xff != 0),
            Kind::Deferred => match self.func.dfg.value_def(flag) {
                ValueDef::Result(inst, _) => Some(inst),
                ValueDef::Param(..) | ValueDef::Union(..) => None,
            },
            Kind::Unused | Kind::Float(_) | Kind::Placed => None,
        };
        if let Some(inst) = deferred {
            return self.compare(inst);
        }
        let ty = self.ty(flag);
        let register = self.gpr(flag, RAX);
        if ty == types::I8 {
            put!(self, testb_mr, register, register);
        } else {
            put!(self, testq_mr, register, register);
        }
        Test::If(Condition::NotEqual)
    }

    fn compare(&mut self, inst: Inst) -> Test {
        match self.func.dfg.insts[inst] {
            InstructionData::IntCompare { cond, args: [a, b], .. } => {
                self.compare_ints(a, b);
                Test::If(condition(cond))
            }
            InstructionData::FloatCompare { cond, args: [a, b], .. } => self.compare_floats(cond, a, b),
            _ => {
                debug_assert!(false, "{inst} is no comparison");
                Test::Always(false)
            }
        }
    }

    fn compare_ints(&mut self, a: Value, b: Value) {
        if self.plan.kind(a) == Kind::Deferred {
            return self.compare_loaded(a, b);
        }
        let is_half = self.ty(a) != types::I64;
        let constant = if let Kind::Int(n) = self.plan.kind(b) { i32::try_from(n).ok() } else { None };
        match constant {
            Some(0) if matches!(self.places.of(a), Some(Place::Gpr(_))) => {
                let register = self.gpr(a, RAX);
                if is_half {
                    put!(self, testl_mr, register, register);
                } else {
                    put!(self, testq_mr, register, register);
                }
            }
            Some(n) => {
                let operand = self.gpr_or_memory(a, RAX);
                if is_half {
                    put!(self, cmpl_mi, operand, n as u32);
                } else {
                    put!(self, cmpq_mi, operand, n);
                }
            }
            None => {
                let first = self.gpr(a, RAX);
                let second = self.gpr_or_memory(b, RCX);
                if is_half {
                    put!(self, cmpl_rm, first, second);
                } else {
                    put!(self, cmpq_rm, first, second);
                }
            }
        }
    }

    /// Compares what a deferred load would load.
    fn compare_loaded(&mut self, a: Value, b: Value) {
        let ValueDef::Result(load, _) = self.func.dfg.value_def(a) else { return };
        let InstructionData::Load { opcode, arg, offset, .. } = self.func.dfg.insts[load] else { return };
        let base = self.gpr(arg, RAX);
        let from = at(base, i32::from(offset));
        let constant = if let Kind::Int(n) = self.plan.kind(b) { i32::try_from(n).ok() } else { None };
        match constant {
            Some(n) if opcode == Opcode::Uload8 => put!(self, cmpb_mi, from, n as u8),
            Some(n) => put!(self, cmpq_mi, from, n),
            None => {
                let second = self.gpr(b, RCX);
                put!(self, cmpq_mr, from, second);
            }
        }
    }

    /// The machine's comparison says of NaN that it is equal and below; so conditions ask for above.
    fn compare_floats(&mut self, cond: FloatCC, a: Value, b: Value) -> Test {
        let (a, b) = match cond {
            FloatCC::LessThan
            | FloatCC::LessThanOrEqual
            | FloatCC::UnorderedOrGreaterThan
            | FloatCC::UnorderedOrGreaterThanOrEqual => (b, a),
            _ => (a, b),
        };
        let first = self.xmm(a, XMM_A);
        let second = self.float(b);
        put!(self, ucomisd_a, first, second);
        match cond {
            FloatCC::Equal => Test::FloatsEqual,
            FloatCC::NotEqual => Test::FloatsDiffer,
            FloatCC::LessThan | FloatCC::GreaterThan => Test::If(Condition::Above),
            FloatCC::LessThanOrEqual | FloatCC::GreaterThanOrEqual => Test::If(Condition::AboveOrEqual),
            FloatCC::UnorderedOrGreaterThanOrEqual | FloatCC::UnorderedOrLessThanOrEqual => {
                Test::If(Condition::BelowOrEqual)
            }
            FloatCC::UnorderedOrGreaterThan | FloatCC::UnorderedOrLessThan => Test::If(Condition::Below),
            FloatCC::Ordered => Test::If(Condition::NoParity),
            FloatCC::Unordered => Test::If(Condition::Parity),
            FloatCC::OrderedNotEqual => Test::If(Condition::NotEqual),
            FloatCC::UnorderedOrEqual => Test::If(Condition::Equal),
        }
    }

    /// A comparison whose result is a value.
    fn flag(&mut self, inst: Inst, result: Value) {
        match self.compare(inst) {
            Test::If(condition) => self.set_if(condition, RAX),
            Test::Always(is) => self.load_int(RAX, i64::from(is)),
            Test::FloatsEqual => {
                self.set_if(Condition::NoParity, RCX);
                self.set_if(Condition::Equal, RAX);
                put!(self, andq_rm, RAX, RCX);
            }
            Test::FloatsDiffer => {
                self.set_if(Condition::Parity, RCX);
                self.set_if(Condition::NotEqual, RAX);
                put!(self, orq_rm, RAX, RCX);
            }
        }
        self.give(result, RAX);
    }

    /// 1 if the condition holds, otherwise 0. The flags stay.
    fn set_if(&mut self, condition: Condition, to: u8) {
        match condition {
            Condition::Below => put!(self, setb_m, to),
            Condition::AboveOrEqual => put!(self, setae_m, to),
            Condition::Equal => put!(self, sete_m, to),
            Condition::NotEqual => put!(self, setne_m, to),
            Condition::BelowOrEqual => put!(self, setbe_m, to),
            Condition::Above => put!(self, seta_m, to),
            Condition::Parity => put!(self, setp_m, to),
            Condition::NoParity => put!(self, setnp_m, to),
            Condition::Less => put!(self, setl_m, to),
            Condition::GreaterOrEqual => put!(self, setge_m, to),
            Condition::LessOrEqual => put!(self, setle_m, to),
            Condition::Greater => put!(self, setg_m, to),
        }
        put!(self, movzbl_rm, to, to);
    }

    fn move_if(&mut self, condition: Condition, to: u8, from: GprOrMemory) {
        match condition {
            Condition::Below => put!(self, cmovbq_rm, to, from),
            Condition::AboveOrEqual => put!(self, cmovaeq_rm, to, from),
            Condition::Equal => put!(self, cmoveq_rm, to, from),
            Condition::NotEqual => put!(self, cmovneq_rm, to, from),
            Condition::BelowOrEqual => put!(self, cmovbeq_rm, to, from),
            Condition::Above => put!(self, cmovaq_rm, to, from),
            Condition::Parity => put!(self, cmovpq_rm, to, from),
            Condition::NoParity => put!(self, cmovnpq_rm, to, from),
            Condition::Less => put!(self, cmovlq_rm, to, from),
            Condition::GreaterOrEqual => put!(self, cmovgeq_rm, to, from),
            Condition::LessOrEqual => put!(self, cmovleq_rm, to, from),
            Condition::Greater => put!(self, cmovgq_rm, to, from),
        }
    }

    /// One of two values. Moves leave the flags as they are.
    fn select(&mut self, flag: Value, a: Value, b: Value, result: Value) -> Result<(), Unknown> {
        let is_float = self.ty(result) == types::F64;
        let condition = match self.test(flag) {
            Test::If(condition) => condition,
            Test::Always(is) => {
                let chosen = if is { a } else { b };
                if is_float {
                    self.take_float(XMM_A, chosen);
                    self.give_float(result, XMM_A);
                } else {
                    self.take(RAX, chosen);
                    self.give(result, RAX);
                }
                return Ok(());
            }
            // The plan makes these where they stand.
            Test::FloatsEqual | Test::FloatsDiffer => return Err(Unknown::new(flag)),
        };
        if is_float {
            let done = self.code.label();
            self.take_float(XMM_A, a);
            self.code.jump_if(condition, done);
            self.take_float(XMM_A, b);
            self.code.bind(done);
            self.give_float(result, XMM_A);
        } else {
            self.take(RAX, b);
            let chosen = self.gpr_or_memory(a, RDX);
            self.move_if(condition, RAX, chosen);
            self.give(result, RAX);
        }
        Ok(())
    }

    // Ways through the code.

    /// The moves of block parameters on the way to a block.
    fn moves_to(&self, call: BlockCall) -> Vec<Move> {
        let dfg = &self.func.dfg;
        let params = dfg.block_params(call.block(&dfg.value_lists));
        let pairs = params.iter().zip(call.args(&dfg.value_lists));
        let moves = pairs.filter_map(|(param, arg)| {
            let to = self.places.of(*param)?;
            let from = self.source(arg.as_value()?);
            (Source::Place(to) != from).then_some(Move { to, from })
        });
        moves.collect()
    }

    fn source(&self, v: Value) -> Source {
        match (self.plan.kind(v), self.places.of(v)) {
            (Kind::Int(n), _) => Source::Int(n),
            (Kind::Float(bits), _) => Source::Float(bits),
            (_, Some(place)) => Source::Place(place),
            (kind, None) => {
                debug_assert!(false, "{v} has no place: {kind:?}");
                Source::Int(0)
            }
        }
    }

    fn jump(&mut self, call: BlockCall, next: Option<Block>) {
        let moves = self.moves_to(call);
        self.moves(moves);
        self.go_to(call.block(&self.func.dfg.value_lists), next);
    }

    fn go_to(&mut self, to: Block, next: Option<Block>) {
        if next != Some(to) {
            let to = self.label(to);
            self.code.jump(to);
        }
    }

    /// Where a conditional jump to a block goes: to the block, or to the moves in front of it.
    fn way_to(&mut self, call: BlockCall) -> Label {
        let (moves, to) = (self.moves_to(call), call.block(&self.func.dfg.value_lists));
        if moves.is_empty() {
            return self.label(to);
        }
        let label = self.code.label();
        self.edges.push(Edge { label, moves, to });
        label
    }

    fn branch(&mut self, flag: Value, [then, other]: [BlockCall; 2], next: Option<Block>) {
        let lists = &self.func.dfg.value_lists;
        let then_is_next = next == Some(then.block(lists));
        match self.test(flag) {
            Test::Always(is) => self.jump(if is { then } else { other }, next),
            Test::If(condition) if then_is_next => {
                let way = self.way_to(other);
                self.code.jump_if(condition.inverse(), way);
                self.jump(then, next);
            }
            Test::If(condition) => {
                let way = self.way_to(then);
                self.code.jump_if(condition, way);
                self.jump(other, next);
            }
            Test::FloatsEqual => self.branch_unless_equal(other, then, next),
            Test::FloatsDiffer => self.branch_unless_equal(then, other, next),
        }
    }

    /// The flags say whether two floats are equal.
    fn branch_unless_equal(&mut self, unequal: BlockCall, equal: BlockCall, next: Option<Block>) {
        let way = self.way_to(unequal);
        self.code.jump_if(Condition::NotEqual, way);
        self.code.jump_if(Condition::Parity, way);
        self.jump(equal, next);
    }

    /// A tree has few headers: they are compared one after the other.
    fn branch_table(&mut self, arg: Value, table: JumpTable) {
        let func = self.func;
        let table = &func.dfg.jump_tables[table];
        let register = self.gpr(arg, RAX);
        for (n, call) in table.as_slice().iter().enumerate() {
            let way = self.way_to(*call);
            put!(self, cmpq_mi, register, n as i32);
            self.code.jump_if(Condition::Equal, way);
        }
        self.jump(table.default_block(), None);
    }

    fn return_(&mut self, inst: Inst) {
        for (v, register) in self.func.dfg.inst_args(inst).iter().zip(RESULTS) {
            self.take(register, *v);
        }
        self.code.jump(self.epilogue);
    }

    fn call(&mut self, inst: Inst) {
        let number = self.plan.number(inst);
        for (place, slot) in self.places.saved(number) {
            match place {
                Place::Gpr(register) => put!(self, movq_mr, at(RBP, slot), register),
                Place::Xmm(register) => put!(self, movsd_c_m, at(RBP, slot), register),
                Place::Slot(_) | Place::Out(_) => {}
            }
        }
        let [callee, args @ ..] = self.func.dfg.inst_args(inst) else { return };
        let mut moves = self.arguments(args);
        let address = self.source(*callee);
        moves.push(Move { to: Place::Gpr(RAX), from: address });
        self.moves(moves);
        put!(self, callq_m, RAX);
        let results = self.func.dfg.inst_results(inst);
        for (result, register) in results.iter().zip(RESULTS) {
            if self.ty(*result) == types::F64 {
                debug_assert!(results.len() == 1, "floats are returned alone");
                self.give_float(*result, 0);
            } else {
                self.give(*result, register);
            }
        }
        // A result may be one of a web that has the place on both sides of the call.
        let is_result = |place| results.iter().any(|result| self.places.of(*result) == Some(place));
        let saved: Vec<(Place, i32)> = self.places.saved(number).filter(|(place, _)| !is_result(*place)).collect();
        for (place, slot) in saved {
            match place {
                Place::Gpr(register) => put!(self, movq_rm, register, at(RBP, slot)),
                Place::Xmm(register) => put!(self, movsd_a_m, register, at(RBP, slot)),
                Place::Slot(_) | Place::Out(_) => {}
            }
        }
    }

    /// The moves of arguments to where the convention wants them.
    fn arguments(&self, args: &[Value]) -> Vec<Move> {
        let places = self.places_of_arguments(args);
        places.into_iter().zip(args).map(|(to, v)| Move { to, from: self.source(*v) }).collect()
    }

    fn places_of_arguments(&self, args: &[Value]) -> Vec<Place> {
        let (mut ints, mut floats) = (0, 0);
        let place = |v: &Value| {
            if self.ty(*v) == types::F64 {
                debug_assert!(floats < FLOAT_ARGUMENTS, "nothing takes so many floats");
                floats += 1;
                return Place::Xmm(floats - 1);
            }
            ints += 1;
            match ARGUMENTS.get(ints - 1) {
                Some(register) => Place::Gpr(*register),
                None => Place::Out(8 * (ints - 1 - ARGUMENTS.len()) as i32),
            }
        };
        args.iter().map(place).collect()
    }

    fn moves(&mut self, mut list: Vec<Move>) {
        let mut ordered = Vec::new();
        // No value is in these: circles of integers are as well put aside in a register for floats.
        let aside = Aside { gpr: Place::Xmm(XMM_A), xmm: Place::Xmm(XMM_B) };
        moves::order(&mut list, aside, |one| ordered.push(one));
        for one in ordered {
            self.one_move(one);
        }
    }

    fn one_move(&mut self, one: Move) {
        match (one.to, one.from) {
            (Place::Gpr(to), Source::Int(n)) => self.load_int(to, n),
            (Place::Gpr(to), Source::Float(bits)) => self.load_int(to, bits as i64),
            (Place::Gpr(to), Source::Place(Place::Gpr(from))) => put!(self, movq_rm, to, from),
            (Place::Gpr(to), Source::Place(Place::Xmm(from))) => put!(self, movq_b, to, from),
            (Place::Gpr(to), Source::Place(memory)) => put!(self, movq_rm, to, Self::memory(memory)),
            (Place::Xmm(to), Source::Int(n)) => {
                let from = self.code.constant(n as u64);
                put!(self, movsd_a_m, to, from);
            }
            (Place::Xmm(to), Source::Float(0)) => put!(self, xorpd_a, to, to),
            (Place::Xmm(to), Source::Float(bits)) => {
                let from = self.code.constant(bits);
                put!(self, movsd_a_m, to, from);
            }
            (Place::Xmm(to), Source::Place(Place::Xmm(from))) => put!(self, movapd_a, to, from),
            (Place::Xmm(to), Source::Place(Place::Gpr(from))) => put!(self, movq_a, to, from),
            (Place::Xmm(to), Source::Place(memory)) => put!(self, movsd_a_m, to, Self::memory(memory)),
            (memory, Source::Place(Place::Gpr(from))) => put!(self, movq_mr, Self::memory(memory), from),
            (memory, Source::Place(Place::Xmm(from))) => put!(self, movsd_c_m, Self::memory(memory), from),
            (memory, Source::Int(n)) if i32::try_from(n).is_ok() => {
                put!(self, movq_mi_sxl, Self::memory(memory), n as i32);
            }
            (memory, Source::Int(n)) => self.move_through_xmm(memory, n as u64),
            (memory, Source::Float(bits)) => self.move_through_xmm(memory, bits),
            // Neither of the registers that values of circles are in.
            (memory, Source::Place(from)) => {
                put!(self, pushq_m, Self::memory(from));
                put!(self, popq_m, Self::memory(memory));
            }
        }
    }

    /// Stores a constant, when nothing is put aside any more.
    fn move_through_xmm(&mut self, memory: Place, bits: u64) {
        let from = self.code.constant(bits);
        put!(self, movsd_a_m, XMM_A, from);
        put!(self, movsd_c_m, Self::memory(memory), XMM_A);
    }
}

fn condition(cond: IntCC) -> Condition {
    match cond {
        IntCC::Equal => Condition::Equal,
        IntCC::NotEqual => Condition::NotEqual,
        IntCC::SignedLessThan => Condition::Less,
        IntCC::SignedGreaterThanOrEqual => Condition::GreaterOrEqual,
        IntCC::SignedGreaterThan => Condition::Greater,
        IntCC::SignedLessThanOrEqual => Condition::LessOrEqual,
        IntCC::UnsignedLessThan => Condition::Below,
        IntCC::UnsignedGreaterThanOrEqual => Condition::AboveOrEqual,
        IntCC::UnsignedGreaterThan => Condition::Above,
        IntCC::UnsignedLessThanOrEqual => Condition::BelowOrEqual,
    }
}
