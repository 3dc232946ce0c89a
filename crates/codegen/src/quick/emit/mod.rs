//! Instructions: one operation of the machine IR after the other, in the places that its values have been given.
//!
//! An operation reads its operands where they are, memory included, and writes its result last, so that a result may have
//! the register of an operand. The registers that are kept back stand in for what is in memory.
//!
//! | module | operations |
//! |---|---|
//! | `values` | none: operands and results |
//! | `arith` | numbers |
//! | `compare` | comparisons, selections |
//! | `flow` | jumps, and the moves on them |
//! | `calls` | calls |

mod arith;
mod calls;
mod compare;
mod flow;
mod values;

use cranelift_assembler_x64::{TrapCode, inst};
use cranelift_codegen::ir::{Opcode, types};

use crate::mir::{Block, Func, Inst, InstData, Value};

use super::alloc::{Places, RBP, RDX, RSP, XMM_A};
use super::asm::{Buffer, Label, Regs, at};
use super::moves::{Move, Place, Source};
use super::plan::{Kind, Plan};
use super::{Features, Unknown};

pub(super) use calls::{knows, on_stack};

/// Appends an instruction of the assembler.
macro_rules! put {
    ($self:ident, $name:ident $(, $operand:expr)*) => {{
        let instruction = inst::$name::<Regs>::new($($operand),*);
        $self.code.note(&instruction);
        instruction.encode(&mut $self.code);
    }};
}
use put;

pub(super) fn emit(
    func: &Func,
    plan: &Plan,
    places: &Places,
    features: Features,
    explain: bool,
) -> Result<(Vec<u8>, Option<String>), Unknown> {
    let mut code = Buffer::new(explain);
    let labels = (0..func.blocks()).map(|_| code.label()).collect();
    let epilogue = code.label();
    let own = code.label();
    let mut emitter = Emitter { func, plan, places, features, code, labels, own, epilogue, edges: Vec::new(), out: 0 };
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
    func: &'a Func,
    plan: &'a Plan,
    places: &'a Places,
    features: Features,
    code: Buffer,
    /// By block.
    labels: Vec<Label>,
    /// Where the function begins for itself.
    own: Label,
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
            for inst in self.func.body(*block) {
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
        self.labels[block.index()]
    }

    /// The most bytes that arguments of a call take on the stack.
    fn bytes_of_arguments(&self) -> i32 {
        8 * self.func.signatures.iter().map(on_stack).max().unwrap_or(0) as i32
    }

    /// In front of a function that calls itself: keeps the registers for its callers that it does not keep for itself.
    fn door(&mut self) {
        put!(self, pushq_o, RBP);
        put!(self, movq_rm, RBP, RSP);
        let kept = &self.places.kept_at_door;
        for register in kept {
            put!(self, pushq_o, *register);
        }
        // The stack is aligned where an even number of them is on it.
        let filler = kept.len() % 2 * 8;
        if filler > 0 {
            put!(self, subq_mi_sxl, RSP, filler as i32);
        }
        self.code.call(self.own);
        if filler > 0 {
            put!(self, addq_mi_sxl, RSP, filler as i32);
        }
        for register in kept.iter().rev() {
            put!(self, popq_o, *register);
        }
        put!(self, popq_o, RBP);
        let instruction = inst::retq_zo::new();
        self.code.note(instruction);
        instruction.encode(&mut self.code);
    }

    fn prologue(&mut self) {
        if self.plan.calls_itself() {
            self.door();
        }
        self.code.bind(self.own);
        put!(self, pushq_o, RBP);
        put!(self, movq_rm, RBP, RSP);
        let bytes = (self.places.frame + self.out + 15) & !15;
        if bytes > 0 {
            put!(self, subq_mi_sxl, RSP, bytes);
        }
        for (n, register) in self.places.preserved.iter().enumerate() {
            put!(self, movq_mr, at(RBP, -8 * (n as i32 + 1)), *register);
        }
        let params = self.func.layout().first().map_or(&[][..], |entry| self.func.params(*entry));
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

    fn inst(&mut self, inst: Inst, next: Option<Block>) -> Result<(), Unknown> {
        match *self.func.data(inst) {
            InstData::Branch { flag, edges } => self.branch(flag, edges, next),
            InstData::Jump { edge } => self.jump(edge, next),
            InstData::Call { is_own, .. } => self.call(inst, is_own),
            InstData::Return { .. } => self.return_(inst),
            InstData::Trap => {
                let instruction = inst::ud2_zo::new(TrapCode(std::num::NonZeroU8::MIN));
                self.code.note(instruction);
                instruction.encode(&mut self.code);
            }
            InstData::Store { opcode, args, offset } => self.store(opcode, args, offset)?,
            data => {
                let Some(result) = self.func.first_result(inst) else { return Err(Unknown::new(data)) };
                if self.plan.kind(result) == Kind::Placed {
                    self.compute(inst, result)?;
                }
            }
        }
        Ok(())
    }

    /// An operation that does nothing but make a value.
    fn compute(&mut self, inst: Inst, result: Value) -> Result<(), Unknown> {
        match *self.func.data(inst) {
            InstData::Load { opcode, arg, offset } => self.load(opcode, arg, offset, result),
            InstData::Binary { opcode, args: [a, b] } => self.binary(opcode, a, b, result),
            InstData::Unary { opcode: Opcode::Bitcast, arg } => {
                self.bitcast(arg, result);
                Ok(())
            }
            InstData::Unary { opcode, arg } => self.unary(opcode, arg, result),
            InstData::IntCompare { .. } | InstData::FloatCompare { .. } => {
                self.flag(inst, result);
                Ok(())
            }
            InstData::Select { args: [flag, a, b] } => self.select(flag, a, b, result),
            InstData::StackPointer => {
                self.give(result, RSP);
                Ok(())
            }
            other => Err(Unknown::new(other)),
        }
    }

    fn load(&mut self, opcode: Opcode, arg: Value, offset: i32, result: Value) -> Result<(), Unknown> {
        let from = self.address(arg, offset);
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
        let to = self.address(address, offset);
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
}
