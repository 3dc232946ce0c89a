//! Machine IR: what a tree becomes before it is code, for both ways of making that.
//!
//! ```text
//! lower ──> mir ──┬──> quick: plan, alloc, emit                       Effort::Quick
//!                 └──> cranelift: Cranelift's IR, and all of Cranelift   Effort::Full
//! ```
//!
//! It is Cranelift's IR as far as `lower` needs that, with Cranelift's names for types, operations and conditions, in a form
//! that takes little to make and to read: what quick code takes is the making of its IR, above all.
//!
//! * A function is a list of instructions, in which those of a block stand in a row. What ends a block is its last one.
//! * A constant is a value and no instruction: who uses it makes it.
//! * Block parameters get their values on *edges*, each of which has its own list of arguments.
//!
//! | module | question it answers |
//! |---|---|
//! | `build` | how does a function come to be |
//! | `variables` | which value has a variable where it is read |
//! | `cranelift` | what is that in Cranelift's IR |

mod build;
mod cranelift;
mod variables;

use std::fmt;
use std::ops::Range;

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{Opcode, Type};

pub(crate) use build::Builder;
pub(crate) use cranelift::translate;
pub(crate) use variables::Variable;

macro_rules! entity {
    ($(#[$doc:meta])* $name:ident, $letter:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(u32);

        impl $name {
            /// Its place in lists by number.
            #[inline]
            pub(crate) fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{}"), self.0)
            }
        }
    };
}

entity!(
    /// A number of a value of a function.
    Value,
    "v"
);
entity!(Block, "block");
entity!(Inst, "inst");
entity!(
    /// A way from the end of a block to another.
    Edge,
    "edge"
);
entity!(
    /// One of the signatures that a function's calls have.
    SigRef,
    "sig"
);

impl Value {
    pub(crate) fn from_u32(n: u32) -> Value {
        Value(n)
    }
}

impl Inst {
    /// The instructions that stand between this one and another behind it.
    pub(crate) fn until(self, end: Inst) -> impl Iterator<Item = Inst> {
        (self.0 + 1..end.0).map(Inst)
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Def {
    /// The bits of an integer, filled up with zeros.
    Int(i64),
    /// The bits of a float.
    Float(u64),
    Param,
    Result(Inst),
}

/// What an instruction does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum InstData {
    Unary {
        opcode: Opcode,
        arg: Value,
    },
    Binary {
        opcode: Opcode,
        args: [Value; 2],
    },
    IntCompare {
        cond: IntCC,
        args: [Value; 2],
    },
    FloatCompare {
        cond: FloatCC,
        args: [Value; 2],
    },
    /// The second if the first is not 0, otherwise the third.
    Select {
        args: [Value; 3],
    },
    Load {
        opcode: Opcode,
        arg: Value,
        offset: i32,
    },
    /// Stores the first at the address that the second is.
    Store {
        opcode: Opcode,
        args: [Value; 2],
        offset: i32,
    },
    StackPointer,
    /// Of the function whose address comes first among the arguments, or of this one.
    Call {
        args: List,
        signature: SigRef,
        is_own: bool,
    },
    Jump {
        edge: Edge,
    },
    /// By the first edge if the flag is not 0.
    Branch {
        flag: Value,
        edges: [Edge; 2],
    },
    Return {
        args: List,
    },
    /// Control does not come here.
    Trap,
}

/// A list of values, which stand in a row among those of all lists: making a function takes no memory for each of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct List {
    first: u32,
    len: u32,
}

/// Types of parameters and results, by the machine's own convention.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) params: Vec<Type>,
    pub(crate) returns: Vec<Type>,
}

/// A block.
#[derive(Debug, Default)]
struct BlockData {
    params: List,
    insts: Range<u32>,
    is_cold: bool,
    /// Whether all edges to it are there.
    is_sealed: bool,
    /// The edge to it that was made last.
    last_edge: Option<Edge>,
}

#[derive(Clone, Copy, Debug)]
struct EdgeData {
    from: Block,
    to: Block,
    args: List,
    /// The edge to the same block that was made before.
    before: Option<Edge>,
}

/// A function.
#[derive(Debug, Default)]
pub(crate) struct Func {
    pub(crate) signature: Signature,
    /// By value.
    types: Vec<Type>,
    defs: Vec<Def>,
    /// By instruction.
    insts: Vec<InstData>,
    /// By instruction: its first result, and how many values from that on are its results.
    results: Vec<(Value, u32)>,
    blocks: Vec<BlockData>,
    edges: Vec<EdgeData>,
    lists: Vec<Value>,
    pub(crate) signatures: Vec<Signature>,
    /// The blocks, in the order in which they were begun.
    layout: Vec<Block>,
}

impl Func {
    fn clear(&mut self) {
        self.signature = Signature::default();
        self.types.clear();
        self.defs.clear();
        self.insts.clear();
        self.results.clear();
        self.blocks.clear();
        self.edges.clear();
        self.lists.clear();
        self.signatures.clear();
        self.layout.clear();
    }

    pub(crate) fn values(&self) -> usize {
        self.types.len()
    }

    pub(crate) fn insts(&self) -> usize {
        self.insts.len()
    }

    pub(crate) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// The blocks that have code, the first one first.
    pub(crate) fn layout(&self) -> &[Block] {
        &self.layout
    }

    #[inline]
    pub(crate) fn ty(&self, v: Value) -> Type {
        self.types[v.index()]
    }

    #[inline]
    pub(crate) fn def(&self, v: Value) -> Def {
        self.defs[v.index()]
    }

    /// The instruction that makes a value.
    #[inline]
    pub(crate) fn maker(&self, v: Value) -> Option<Inst> {
        if let Def::Result(inst) = self.def(v) { Some(inst) } else { None }
    }

    /// The integer that a value is, if that is constant.
    #[inline]
    pub(crate) fn constant(&self, v: Value) -> Option<i64> {
        if let Def::Int(n) = self.def(v) { Some(n) } else { None }
    }

    #[inline]
    pub(crate) fn data(&self, inst: Inst) -> &InstData {
        &self.insts[inst.index()]
    }

    /// The values that an instruction reads, but for those on its edges.
    #[inline]
    pub(crate) fn args(&self, inst: Inst) -> &[Value] {
        match self.data(inst) {
            InstData::Unary { arg, .. } | InstData::Load { arg, .. } => std::slice::from_ref(arg),
            InstData::Binary { args, .. }
            | InstData::IntCompare { args, .. }
            | InstData::FloatCompare { args, .. }
            | InstData::Store { args, .. } => args,
            InstData::Select { args } => args,
            InstData::Call { args, .. } | InstData::Return { args } => self.list(*args),
            InstData::Branch { flag, .. } => std::slice::from_ref(flag),
            InstData::StackPointer | InstData::Jump { .. } | InstData::Trap => &[],
        }
    }

    #[inline]
    fn list(&self, list: List) -> &[Value] {
        &self.lists[list.first as usize..(list.first + list.len) as usize]
    }

    /// A list with one more value. It stays where it is if it is the last one.
    fn longer(&mut self, list: List, v: Value) -> List {
        let mut first = list.first;
        if (list.first + list.len) as usize != self.lists.len() {
            first = self.lists.len() as u32;
            self.lists.extend_from_within(list.first as usize..(list.first + list.len) as usize);
        }
        self.lists.push(v);
        List { first, len: list.len + 1 }
    }

    /// The edges that an instruction may go by.
    #[inline]
    pub(crate) fn ways(&self, inst: Inst) -> &[Edge] {
        match self.data(inst) {
            InstData::Jump { edge } => std::slice::from_ref(edge),
            InstData::Branch { edges, .. } => edges,
            _ => &[],
        }
    }

    /// The values that an instruction makes.
    #[inline]
    pub(crate) fn results(&self, inst: Inst) -> impl ExactSizeIterator<Item = Value> + Clone + use<> {
        let (first, count) = self.results[inst.index()];
        ResultValues(first.0..first.0 + count)
    }

    #[inline]
    pub(crate) fn first_result(&self, inst: Inst) -> Option<Value> {
        let (first, count) = self.results[inst.index()];
        (count > 0).then_some(first)
    }

    /// The instructions of a block.
    #[inline]
    pub(crate) fn body(&self, block: Block) -> impl DoubleEndedIterator<Item = Inst> + use<> {
        self.blocks[block.index()].insts.clone().map(Inst)
    }

    /// The instruction that ends a block.
    #[inline]
    pub(crate) fn last(&self, block: Block) -> Option<Inst> {
        self.body(block).next_back()
    }

    /// The blocks that control comes from one to.
    pub(crate) fn successors(&self, block: Block) -> impl Iterator<Item = Block> + '_ {
        let ways = self.last(block).map_or(&[][..], |last| self.ways(last));
        ways.iter().map(|edge| self.target(*edge))
    }

    /// The blocks that control can come to, in an order in which a block comes behind all that jump to it, but for jumps back. So
    /// what dominates a block comes in front of it.
    pub(crate) fn reached(&self) -> Vec<Block> {
        let mut is_met = vec![false; self.blocks()];
        let mut order = Vec::new();
        let mut todo: Vec<(Block, bool)> = self.layout.first().map(|entry| (*entry, false)).into_iter().collect();
        while let Some((block, is_done)) = todo.pop() {
            if is_done {
                order.push(block);
                continue;
            }
            if std::mem::replace(&mut is_met[block.index()], true) {
                continue;
            }
            todo.push((block, true));
            todo.extend(self.successors(block).map(|to| (to, false)));
        }
        order.reverse();
        order
    }

    #[inline]
    pub(crate) fn params(&self, block: Block) -> &[Value] {
        self.list(self.blocks[block.index()].params)
    }

    #[inline]
    pub(crate) fn is_cold(&self, block: Block) -> bool {
        self.blocks[block.index()].is_cold
    }

    #[inline]
    pub(crate) fn target(&self, edge: Edge) -> Block {
        self.edges[edge.index()].to
    }

    /// What the parameters of an edge's target become on it.
    #[inline]
    pub(crate) fn edge_args(&self, edge: Edge) -> &[Value] {
        self.list(self.edges[edge.index()].args)
    }
}

#[derive(Clone)]
struct ResultValues(Range<u32>);

impl Iterator for ResultValues {
    type Item = Value;

    #[inline]
    fn next(&mut self) -> Option<Value> {
        self.0.next().map(Value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for ResultValues {}

impl InstData {
    /// Whether something else than its results comes of it.
    pub(crate) fn has_effect(&self) -> bool {
        match self {
            InstData::Store { .. }
            | InstData::Call { .. }
            | InstData::Jump { .. }
            | InstData::Branch { .. }
            | InstData::Return { .. }
            | InstData::Trap => true,
            InstData::Unary { .. }
            | InstData::Binary { .. }
            | InstData::IntCompare { .. }
            | InstData::FloatCompare { .. }
            | InstData::Select { .. }
            | InstData::Load { .. }
            | InstData::StackPointer => false,
        }
    }

    /// Whether memory may be another behind it.
    pub(crate) fn changes_memory(&self) -> bool {
        matches!(self, InstData::Store { .. } | InstData::Call { .. })
    }
}
