//! How a function comes to be: one instruction after the other, at the end of the current block.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{Opcode, Type, types};

use super::variables::Variables;
use super::{Block, BlockData, Def, Edge, EdgeData, Func, Inst, InstData, List, SigRef, Signature, Value};

/// A function under way, and what is used again for the next one.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    pub(super) func: Func,
    pub(super) variables: Variables,
    /// The block that instructions are put into, and the first of them.
    pub(super) current: Option<Block>,
    first: u32,
    /// Constants below [`SMALL`], by type: tags, flags and differences between neighbours are asked for again and again.
    small: Vec<[Option<Value>; SMALL]>,
}

const SMALL: usize = 64;

/// The integer types, by their places in `Builder::small`.
const INTEGERS: [Type; 3] = [types::I64, types::I32, types::I8];

macro_rules! unary {
    ($($name:ident $opcode:ident),*) => {
        $(pub(crate) fn $name(&mut self, a: Value) -> Value {
            let ty = self.func.ty(a);
            self.value(InstData::Unary { opcode: Opcode::$opcode, arg: a }, ty)
        })*
    };
}

macro_rules! convert {
    ($($name:ident $opcode:ident),*) => {
        $(pub(crate) fn $name(&mut self, ty: Type, a: Value) -> Value {
            self.value(InstData::Unary { opcode: Opcode::$opcode, arg: a }, ty)
        })*
    };
}

macro_rules! binary {
    ($($name:ident $opcode:ident),*) => {
        $(pub(crate) fn $name(&mut self, a: Value, b: Value) -> Value {
            let ty = self.func.ty(a);
            self.value(InstData::Binary { opcode: Opcode::$opcode, args: [a, b] }, ty)
        })*
    };
}

macro_rules! binary_with_constant {
    ($($name:ident $of:ident),*) => {
        $(pub(crate) fn $name(&mut self, a: Value, n: i64) -> Value {
            let n = self.iconst(self.func.ty(a), n);
            self.$of(a, n)
        })*
    };
}

impl Builder {
    /// Begins a function with a signature. Its first block is the current one.
    pub(crate) fn begin(&mut self, signature: Signature) -> Block {
        self.func.clear();
        self.variables.clear();
        self.small.clear();
        self.small.resize(INTEGERS.len(), [None; SMALL]);
        self.current = None;
        let entry = self.create_block();
        for ty in &signature.params {
            self.append_block_param(entry, *ty);
        }
        self.func.signature = signature;
        self.switch_to_block(entry);
        self.seal_block(entry);
        entry
    }

    /// The function, when all of it is there.
    pub(crate) fn finish(&mut self) -> &Func {
        self.close_block();
        self.resolve_variables();
        &self.func
    }

    // Blocks.

    pub(crate) fn create_block(&mut self) -> Block {
        self.func.blocks.push(BlockData::default());
        Block(self.func.blocks.len() as u32 - 1)
    }

    pub(crate) fn set_cold_block(&mut self, block: Block) {
        self.func.blocks[block.index()].is_cold = true;
    }

    pub(crate) fn append_block_param(&mut self, block: Block, ty: Type) -> Value {
        let v = self.new_value(ty, Def::Param);
        self.add_param(block, v);
        v
    }

    pub(super) fn add_param(&mut self, block: Block, v: Value) {
        let params = self.func.blocks[block.index()].params;
        self.func.blocks[block.index()].params = self.func.longer(params, v);
    }

    pub(crate) fn block_params(&self, block: Block) -> &[Value] {
        self.func.params(block)
    }

    /// Goes on in another block. The one before has ended, or has nothing yet.
    pub(crate) fn switch_to_block(&mut self, block: Block) {
        self.close_block();
        debug_assert!(self.func.last(block).is_none(), "a block is filled at once");
        self.current = Some(block);
        self.first = self.func.insts.len() as u32;
    }

    /// No further instruction comes into the current block.
    fn close_block(&mut self) {
        let insts = self.first..self.func.insts.len() as u32;
        let Some(block) = self.current.take().filter(|_| !insts.is_empty()) else { return };
        self.func.blocks[block.index()].insts = insts;
        self.func.layout.push(block);
        debug_assert!(self.has_ended(block), "a block has no end");
    }

    /// All edges to a block are there.
    pub(crate) fn seal_block(&mut self, block: Block) {
        self.func.blocks[block.index()].is_sealed = true;
    }

    /// Whether control may come to a block from another, as far as is known.
    pub(crate) fn is_target(&self, block: Block) -> bool {
        self.func.blocks[block.index()].last_edge.is_some()
    }

    fn has_ended(&self, block: Block) -> bool {
        self.func.last(block).is_some_and(|last| {
            use InstData::{Branch, Jump, Return, Trap};
            matches!(self.func.data(last), Jump { .. } | Branch { .. } | Return { .. } | Trap)
        })
    }

    // Values and instructions.

    pub(super) fn new_value(&mut self, ty: Type, def: Def) -> Value {
        self.func.types.push(ty);
        self.func.defs.push(def);
        Value(self.func.types.len() as u32 - 1)
    }

    pub(crate) fn value_type(&self, v: Value) -> Type {
        self.func.ty(v)
    }

    /// An instruction without results.
    fn put(&mut self, data: InstData) -> Inst {
        self.put_with(data, (Value(0), 0))
    }

    /// One whose results are so many values from one on.
    fn put_with(&mut self, data: InstData, results: (Value, u32)) -> Inst {
        let n = self.func.insts.len() as u32;
        self.func.insts.push(data);
        self.func.results.push(results);
        debug_assert!(self.current.is_some(), "there is no block for {data:?}");
        Inst(n)
    }

    /// One with a result.
    fn value(&mut self, data: InstData, ty: Type) -> Value {
        let inst = self.put_with(data, (Value(self.func.values() as u32), 1));
        self.new_value(ty, Def::Result(inst))
    }

    fn list_of(&mut self, values: &[Value]) -> List {
        let first = self.func.lists.len() as u32;
        self.func.lists.extend_from_slice(values);
        List { first, len: values.len() as u32 }
    }

    pub(crate) fn iconst(&mut self, ty: Type, n: i64) -> Value {
        let bits = ty.bits();
        let n = if bits < 64 { n & ((1 << bits) - 1) } else { n };
        let kind = INTEGERS.iter().position(|known| *known == ty);
        let small = usize::try_from(n).ok().filter(|n| *n < SMALL).zip(kind);
        if let Some((n, kind)) = small
            && let Some(v) = self.small[kind][n]
        {
            return v;
        }
        let v = self.new_value(ty, Def::Int(n));
        if let Some((n, kind)) = small {
            self.small[kind][n] = Some(v);
        }
        v
    }

    pub(crate) fn f64const(&mut self, x: f64) -> Value {
        self.new_value(types::F64, Def::Float(x.to_bits()))
    }

    unary!(ineg Ineg, bnot Bnot, fneg Fneg, fabs Fabs, sqrt Sqrt, floor Floor, ceil Ceil);
    convert!(uextend Uextend, ireduce Ireduce, bitcast Bitcast);
    convert!(fcvt_from_sint FcvtFromSint, fcvt_to_sint_sat FcvtToSintSat);
    binary!(iadd Iadd, isub Isub, imul Imul, sdiv Sdiv, srem Srem, umulhi Umulhi, smax Smax, smin Smin);
    binary!(band Band, bor Bor, bxor Bxor, ishl Ishl, ushr Ushr, sshr Sshr);
    binary!(fadd Fadd, fsub Fsub, fmul Fmul, fdiv Fdiv);
    binary_with_constant!(iadd_imm iadd, imul_imm imul, band_imm band, ishl_imm ishl, ushr_imm ushr, sshr_imm sshr);

    pub(crate) fn icmp(&mut self, cond: IntCC, a: Value, b: Value) -> Value {
        self.value(InstData::IntCompare { cond, args: [a, b] }, types::I8)
    }

    pub(crate) fn icmp_imm(&mut self, cond: IntCC, a: Value, n: i64) -> Value {
        let n = self.iconst(self.func.ty(a), n);
        self.icmp(cond, a, n)
    }

    pub(crate) fn fcmp(&mut self, cond: FloatCC, a: Value, b: Value) -> Value {
        self.value(InstData::FloatCompare { cond, args: [a, b] }, types::I8)
    }

    pub(crate) fn select(&mut self, flag: Value, a: Value, b: Value) -> Value {
        let ty = self.func.ty(a);
        self.value(InstData::Select { args: [flag, a, b] }, ty)
    }

    // Memory, which is ours: mapped, aligned, and not changed behind our back.

    pub(crate) fn load(&mut self, ty: Type, address: Value, offset: i32) -> Value {
        self.value(InstData::Load { opcode: Opcode::Load, arg: address, offset }, ty)
    }

    pub(crate) fn uload8(&mut self, ty: Type, address: Value, offset: i32) -> Value {
        self.value(InstData::Load { opcode: Opcode::Uload8, arg: address, offset }, ty)
    }

    pub(crate) fn uload32(&mut self, address: Value, offset: i32) -> Value {
        self.value(InstData::Load { opcode: Opcode::Uload32, arg: address, offset }, types::I64)
    }

    pub(crate) fn store(&mut self, v: Value, address: Value, offset: i32) {
        self.put(InstData::Store { opcode: Opcode::Store, args: [v, address], offset });
    }

    pub(crate) fn istore8(&mut self, v: Value, address: Value, offset: i32) {
        self.put(InstData::Store { opcode: Opcode::Istore8, args: [v, address], offset });
    }

    pub(crate) fn istore32(&mut self, v: Value, address: Value, offset: i32) {
        self.put(InstData::Store { opcode: Opcode::Istore32, args: [v, address], offset });
    }

    pub(crate) fn stack_pointer(&mut self) -> Value {
        self.value(InstData::StackPointer, types::I64)
    }

    // Calls.

    /// A signature for calls.
    pub(crate) fn import_signature(&mut self, signature: Signature) -> SigRef {
        let known = self.func.signatures.iter().position(|known| *known == signature);
        let n = known.unwrap_or_else(|| {
            self.func.signatures.push(signature);
            self.func.signatures.len() - 1
        });
        SigRef(n as u32)
    }

    /// Calls the function at an address.
    pub(crate) fn call_indirect(&mut self, signature: SigRef, callee: Value, args: &[Value]) -> Inst {
        let List { first, .. } = self.list_of(&[callee]);
        let List { len, .. } = self.list_of(args);
        let args = List { first, len: 1 + len };
        self.call(InstData::Call { args, signature, is_own: false }, signature)
    }

    /// Calls the function that is made here.
    pub(crate) fn call_own(&mut self, signature: SigRef, args: &[Value]) -> Inst {
        let args = self.list_of(args);
        self.call(InstData::Call { args, signature, is_own: true }, signature)
    }

    fn call(&mut self, data: InstData, signature: SigRef) -> Inst {
        let count = self.func.signatures[signature.index()].returns.len();
        let inst = self.put_with(data, (Value(self.func.values() as u32), count as u32));
        for n in 0..count {
            let ty = self.func.signatures[signature.index()].returns[n];
            self.new_value(ty, Def::Result(inst));
        }
        inst
    }

    /// Result `n` of a call.
    pub(crate) fn result(&self, call: Inst, n: usize) -> Option<Value> {
        self.func.results(call).nth(n)
    }

    // Ends of blocks.

    fn edge(&mut self, to: Block, args: &[Value]) -> Edge {
        let edge = Edge(self.func.edges.len() as u32);
        let from = self.current.unwrap_or(to);
        debug_assert!(self.block_params(to).len() >= args.len(), "{to:?} has fewer parameters");
        let args = self.list_of(args);
        let before = self.func.blocks[to.index()].last_edge.replace(edge);
        self.func.edges.push(EdgeData { from, to, args, before });
        edge
    }

    pub(crate) fn jump(&mut self, to: Block, args: &[Value]) {
        let edge = self.edge(to, args);
        self.put(InstData::Jump { edge });
    }

    /// Goes to the first block if the flag is not 0, otherwise to the second.
    pub(crate) fn brif(&mut self, flag: Value, then: Block, then_args: &[Value], other: Block, other_args: &[Value]) {
        let edges = [self.edge(then, then_args), self.edge(other, other_args)];
        self.put(InstData::Branch { flag, edges });
    }

    pub(crate) fn return_(&mut self, values: &[Value]) {
        let args = self.list_of(values);
        self.put(InstData::Return { args });
    }

    pub(crate) fn trap(&mut self) {
        self.put(InstData::Trap);
    }
}
