//! From a trace tree to a function of the machine IR (module `mir`).
//!
//! ```text
//! entry: which header? ──> load the inputs of h0 ──┐
//!                     └──> load the inputs of h1 ──┼──┐
//!                                                  │  │
//!   preheader h0(inputs): hoisted instructions  <──┘  │  <── segments that enter h0
//!        │                                            │
//!   loop h0(inputs): its segment ── guard fails ──> side segment, or exit block
//!        │                                                         │
//!        └──> back to loop h0 (around), preheader h1 (enter), ...  │
//! ```
//!
//! * A value of the IR is one of the machine IR.
//! * A snapshot is one block: that of the segment that continues there, or a cold one that puts payloads into their
//!   places and returns the snapshot's number. All guards of the snapshot share it.
//! * Fuel is carried in a register and paid when a path ends. The start of each round leaves if there is not enough for
//!   the longest path of the tree, so that in between nothing has to be checked. Loops that count need neither: see `meter`.
//! * What is constant about entries and exits is done by the caller: see [`crate::handover`].
//! * Hoisted values of a loop with an inner loop in the tree are *variables*: the inner loop may be entered
//!   without passing through the outer one's preheader. A flag says whether they are there.
//!
//! | module | operations |
//! |---|---|
//! | `flow` | headers, edges, guards |
//! | `meter` | fuel |
//! | `exits` | what is stored at the ways out |
//! | `arith` | numbers |
//! | `memory` | loads, stores, barriers |
//! | `alloc` | new tables |
//! | `lookup` | keys of tables without a call |
//! | `next` | steps through tables |
//! | `calls` | helpers, calls out of the tree |
//! | `functions` | calls of compiled functions, and entry and return of such |
//! | `convention` | how these call each other |

mod alloc;
mod arith;
mod calls;
pub(crate) mod convention;
mod exits;
mod flow;
mod functions;
mod lookup;
mod memory;
mod meter;
mod next;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Type, types};
use perilune_trace::ir::{End, Format, HeaderId, Inputs, Inst, Op, Ref, SegmentId, SnapId, Start, Tree, Ty};
use perilune_trace::opt::recursion::Recursion;
use rustc_hash::FxHashMap;

use crate::handover::Handover;
use crate::layout::Environment;
use crate::mir::{Block, Builder, Signature, Value, Variable};
use meter::Meter;

/// The signature of a tree's function.
fn signature(env: &Environment) -> Signature {
    if env.callable.is_some() {
        return convention::signature(1 + convention::MOST_PARAMS);
    }
    Signature { params: vec![types::I64; 3], returns: vec![types::I64] }
}

/// The function of a tree, to be translated by `b`'s owner. Gives the blocks of the headers.
pub(crate) fn lower(tree: &Tree, env: &Environment, b: &mut Builder) -> Vec<Block> {
    let entry = b.begin(signature(env));
    let inputs = Inputs::of(tree);
    let mut lowering = Lowering::new(tree, &inputs, env, b, entry);
    lowering.run();
    lowering.headers.iter().flat_map(|blocks| [blocks.preheader, blocks.body]).collect()
}

/// The blocks of a header.
#[derive(Clone, Copy, Debug)]
struct HeaderBlocks {
    preheader: Block,
    body: Block,
    /// Leaves at the start of the loop.
    exit: Block,
    /// Where a failed guard of the preheader goes: to an alternative, or out.
    failed: Block,
    /// Leaves in front of the loop, because what is checked for all rounds at once does not hold.
    uneven: Block,
    /// Leaves in front of a loop that counts, because the fuel is short.
    short: Block,
    /// Whether the hoisted values are there; only for headers with variables.
    ready: Option<Variable>,
}

/// Where a value of the IR is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Nowhere yet.
    None,
    Value(Value),
    Variable(Variable),
}

/// The instructions that leave through a snapshot.
#[derive(Clone, Copy, Debug)]
enum Leave {
    None,
    One(Ref),
    Many,
}

struct Lowering<'a, 'b> {
    tree: &'a Tree,
    inputs: &'a Inputs,
    handover: Handover<'a>,
    env: &'a Environment,
    b: &'b mut Builder,
    /// What the function gets.
    params: Vec<Value>,
    vm: Value,
    /// The root frame's registers, as the function gets them.
    registers: Value,
    /// Where they are now, if calls out of the tree may have moved them.
    moved: Option<Variable>,
    fuel: Variable,
    places: Vec<Place>,
    headers: Vec<HeaderBlocks>,
    /// The block of each snapshot that something leaves through.
    exits: Vec<Option<Block>>,
    /// By snapshot: whether a segment continues there.
    is_continued: Vec<bool>,
    /// By snapshot: who leaves there.
    leaving: Vec<Leave>,
    /// The condition that holds all through the current segment, because another does not.
    holds: Option<(Op, [Ref; 3])>,
    /// By instruction: whether a preheader has it.
    is_hoisted: Vec<bool>,
    /// The addresses of elements of tables of any kind, by the load of their tags.
    elements: FxHashMap<Ref, Value>,
    /// Exits whose blocks are not filled yet.
    pending: Vec<(Block, SnapId)>,
    /// The longest path.
    most_fuel: i64,
    /// By header: from what the fuel in its loop follows.
    meters: Vec<Option<Meter>>,
    /// The header whose loop is filled, if its fuel is not in the variable.
    metered: Option<HeaderId>,
    /// See [`Tree::slots_end`].
    slots_end: u32,
    /// Where to go when a guard fails, while a preheader is filled.
    preheader_of: Option<Block>,
    /// The header of the segment that is filled.
    header: HeaderId,
    /// Which calls pass by the preheader of the function's entry.
    recursion: Recursion,
    /// The snapshot where the segment begins whose prologue is filled: there is a block for leaving through it.
    prologue: Option<(SnapId, Block)>,
    /// Guards so far, for [`Environment::exit_every`].
    guards: u32,
}

impl<'a, 'b> Lowering<'a, 'b> {
    fn new(tree: &'a Tree, inputs: &'a Inputs, env: &'a Environment, b: &'b mut Builder, entry: Block) -> Self {
        let fuel = b.declare_var(types::I64);
        let params = b.block_params(entry).to_vec();
        let (vm, registers) = (params[0], params[1]);
        let moved = tree.insts.iter().any(|inst| inst.op == Op::CallOut).then(|| b.declare_var(types::I64));
        if let Some(moved) = moved {
            b.def_var(moved, registers);
        }
        let mut is_continued = vec![false; tree.snapshots.len()];
        for segment in &tree.segments {
            if let Start::Snapshot(snap) = segment.start {
                is_continued[snap.index()] = true;
            }
        }
        let mut leaving = vec![Leave::None; tree.snapshots.len()];
        for (inst, r) in tree.insts.iter().zip((0..).map(Ref)) {
            if let Some(snap) = inst.snap {
                let leave = &mut leaving[snap.index()];
                *leave = if let Leave::None = leave { Leave::One(r) } else { Leave::Many };
            }
        }
        Lowering {
            tree,
            inputs,
            handover: Handover::of(tree, inputs),
            env,
            b,
            params,
            vm,
            registers,
            moved,
            fuel,
            places: vec![Place::None; tree.insts.len()],
            headers: Vec::new(),
            exits: vec![None; tree.snapshots.len()],
            is_continued,
            leaving,
            holds: None,
            is_hoisted: vec![false; tree.insts.len()],
            elements: FxHashMap::default(),
            pending: Vec::new(),
            most_fuel: i64::from(tree.most_fuel()),
            meters: vec![None; tree.headers.len()],
            metered: None,
            slots_end: tree.slots_end(),
            preheader_of: None,
            header: HeaderId::ROOT,
            recursion: Recursion::of(tree),
            prologue: None,
            guards: 0,
        }
    }

    fn run(&mut self) {
        self.declare_headers();
        self.entry();
        for id in self.tree.segment_ids() {
            self.segment(id);
        }
        self.metered = None;
        self.leave_all();
        for id in self.tree.header_ids() {
            self.failed(id);
        }
    }

    fn segment(&mut self, id: SegmentId) {
        let segment = self.tree.segment(id);
        self.header = self.tree.header_of(id);
        self.holds = None;
        match segment.start {
            Start::Header(header) => self.header_blocks(header),
            Start::Snapshot(snap) => {
                self.holds = self.failed_at(snap);
                // A guard that was folded away, or hoisted, may have left nobody to come here.
                let block = self.exit_of(snap);
                self.b.switch_to_block(block);
            }
        }
        let header = self.tree.header_of(id);
        self.metered = self.meters[header.index()].map(|_| header);
        self.prologue(id);
        let is_run = |r: &Ref| !self.is_hoisted[r.index()] && !segment.prologue.contains(&r.0);
        let mut body: Vec<Ref> = self.tree.body(id).filter(is_run).collect();
        let result = self.take_result(segment.end, &mut body);
        let last_test = self.last_test(id);
        let mut rest = &body[..];
        while let [first, others @ ..] = rest {
            if last_test == Some(*first) {
                self.test_counter(id, *first, others);
                rest = others;
                continue;
            }
            rest = match self.calling(rest) {
                Some(calling) => {
                    self.call_fn(&calling);
                    &rest[calling.insts..]
                }
                None => {
                    self.inst(*first);
                    others
                }
            };
        }
        match segment.end {
            End::Around(to) => self.edge(id, to, true),
            End::Enter(to) => self.edge(id, to, false),
            End::Exit(snap) => {
                let block = self.exit_of(snap);
                self.b.jump(block, &[]);
            }
            End::Return(snap, count) => self.return_to_caller(snap, count, result),
            End::Tail(snap, cell) => self.tail_call(snap, cell),
            End::Open => {
                self.b.trap();
            }
        }
    }

    /// Makes the sunk tables that a segment needs. Where that cannot be, execution leaves in front of the segment.
    fn prologue(&mut self, id: SegmentId) {
        let segment = self.tree.segment(id);
        let Start::Snapshot(snap) = segment.start else { return };
        if segment.prologue.is_empty() {
            return;
        }
        let exit = self.cold_block();
        self.pending.push((exit, snap));
        self.prologue = Some((snap, exit));
        segment.prologue.clone().for_each(|r| self.inst(Ref(r)));
        self.prologue = None;
    }

    // Values.

    fn machine_type(ty: Ty) -> Type {
        if ty == Ty::Float { types::F64 } else { types::I64 }
    }

    fn int(&mut self, n: i64) -> Value {
        self.b.iconst(types::I64, n)
    }

    /// The machine value of a reference.
    fn value(&mut self, r: Ref) -> Value {
        let inst = self.tree.inst(r);
        match inst.op {
            Op::KInt | Op::KObj | Op::KPtr => return self.int(inst.imm as i64),
            Op::KPrim => return self.int(0),
            Op::KFloat => return self.b.f64const(f64::from_bits(inst.imm)),
            _ => {}
        }
        match self.places[r.index()] {
            Place::Value(v) => v,
            Place::Variable(variable) => self.b.use_var(variable),
            Place::None => {
                debug_assert!(
                    inst.ty.is_primitive() || inst.ty == Ty::Void,
                    "{r:?} {inst:?} is used before it is made"
                );
                self.int(0)
            }
        }
    }

    fn define(&mut self, r: Ref, value: Value) {
        match self.places[r.index()] {
            Place::Variable(variable) => self.b.def_var(variable, value),
            Place::None | Place::Value(_) => self.places[r.index()] = Place::Value(value),
        }
    }

    fn base(&mut self) -> Value {
        match self.moved {
            Some(moved) => self.b.use_var(moved),
            None => self.registers,
        }
    }

    /// Code goes on in a block that all jumps to are there.
    fn go_on_in(&mut self, block: Block) {
        self.b.switch_to_block(block);
        self.b.seal_block(block);
    }

    /// Offset of a slot from the root frame's registers.
    fn slot_offset(slot: u32) -> i32 {
        (i64::from(slot) - 1) as i32 * crate::layout::VALUE as i32
    }

    fn load(&mut self, ty: Type, address: Value, offset: i32) -> Value {
        self.b.load(ty, address, offset)
    }

    fn store(&mut self, value: Value, address: Value, offset: i32) {
        self.b.store(value, address, offset);
    }

    fn load_tag(&mut self, address: Value, offset: i32) -> Value {
        self.b.uload8(types::I32, address, offset + crate::layout::TAG)
    }

    fn is_tag(&mut self, tag: Value, ty: Ty) -> Value {
        self.b.icmp_imm(IntCC::Equal, tag, ty as i64)
    }

    /// Stores a value with its tag.
    fn store_value(&mut self, r: Ref, address: Value, offset: i32) {
        self.store_parts(r, address, offset, offset + crate::layout::TAG);
    }

    /// Stores the payload of a value, if it has one, and its tag.
    fn store_parts(&mut self, r: Ref, address: Value, payload_at: i32, tag_at: i32) {
        let ty = self.tree.ty(r);
        if ty == Ty::Num {
            let (payload, tag) = self.parts(r);
            self.store(payload, address, payload_at);
            let tag = self.b.ireduce(types::I8, tag);
            return self.store(tag, address, tag_at);
        }
        if !ty.is_primitive() {
            let v = self.value(r);
            self.store(v, address, payload_at);
        }
        let tag = self.b.iconst(types::I8, ty as i64);
        self.store(tag, address, tag_at);
    }

    /// Payload and tag of a number of either kind.
    fn parts(&mut self, r: Ref) -> (Value, Value) {
        let inst = self.tree.inst(r);
        debug_assert!(inst.op == Op::Num);
        (self.value(inst.a()), self.value(inst.b()))
    }

    /// Stores a value into the place of a slot, on the path from a header. The tag is right already if the header has an
    /// input of this type there.
    fn store_slot(&mut self, header: HeaderId, slot: u32, r: Ref, base: Value) {
        let ty = self.tree.ty(r);
        if !crate::handover::has_tag(self.tree, self.inputs, header, slot, ty) {
            return self.store_value(r, base, Self::slot_offset(slot));
        }
        if !ty.is_primitive() {
            let v = self.value(r);
            self.store(v, base, Self::slot_offset(slot));
        }
    }

    fn inst(&mut self, r: Ref) {
        let inst = *self.tree.inst(r);
        match inst.op.format() {
            Format::Const | Format::Slot | Format::Gone => {}
            // Whoever takes the number takes its parts.
            Format::Binary if inst.op == Op::Num => {}
            Format::Unary | Format::Binary if inst.op.is_pure() && inst.op != Op::LoadByte => self.arith(r, &inst),
            Format::Ternary => self.select_payload(r, &inst),
            Format::Unary | Format::Binary => self.memory(r, &inst),
            Format::Guard | Format::GuardUnary | Format::GuardNullary => self.guard(r, &inst),
            Format::Field
            | Format::Prop
            | Format::Elem
            | Format::Packed
            | Format::Up
            | Format::Mixed
            | Format::StoreProp
            | Format::StoreElem
            | Format::StoreUp
            | Format::StoreField
            | Format::Place
            | Format::GuardPlace
            | Format::LoadPlace
            | Format::StorePlace => self.memory(r, &inst),
            Format::Call => self.helper_call(r, &inst),
            Format::CallOut => self.call_out(&inst),
            // With what is around it; see `calling`.
            Format::CallFn => {}
            Format::Returned => self.returned(&inst),
        }
    }

    /// The snapshot of an instruction that can leave.
    fn snap(inst: &Inst) -> SnapId {
        // A check without a snapshot would be a bug of the recorder; snapshot 0 leaves at the root, where nothing has run.
        debug_assert!(inst.snap.is_some(), "{inst:?}");
        inst.snap.unwrap_or(SnapId(0))
    }
}
