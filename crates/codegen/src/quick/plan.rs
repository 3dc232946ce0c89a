//! What must be known of a function before registers are given out: an order of its blocks, where each value lives, and
//! which operations are done only where their result is used.
//!
//! **Numbers.** Instructions are numbered in the order of the blocks (see [`super::order`]). An instruction reads at an even
//! number, and writes at the odd one behind it.
//!
//! **Spans.** See [`super::live`]. A value has one place for all of its life.
//!
//! **Webs.** A block parameter and its arguments want one place: then there is nothing to move. Those that are never alive at
//! once get it, on the hottest edges first. So what loops do not change stays where it is, and what they count is counted in its
//! place.
//!
//! **Deferred.** A comparison whose only use is the branch or selection behind it is made there, in the flags. So is the load
//! of a tag or word that only such a comparison looks at, or of a float that only one operation takes, and the sum that only
//! one access to memory has for an address.
//! Constants are made wherever they are used.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{Opcode, Type, types};

use super::live::{self, Home, Span, Use};
use super::order::Blocks;
use super::{Unknown, webs};
use crate::mir::{Block, Def, Edge, Func, Inst, InstData, Value};

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nobody needs it.
    Unused,
    Int(i64),
    Float(u64),
    /// Made where it is used, which is one place.
    Deferred,
    /// Needs a place.
    Placed,
}

/// What a call means for the values that are alive across it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// In a cold block.
    Seldom,
    /// Of the function by itself: nothing is preserved.
    Recursion,
    Usual,
}

/// What is known of a value, or of a web.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traits {
    /// What having it in a register is worth: its uses, those in loops many times.
    pub(super) weight: f32,
    /// A value whose place would save a move.
    pub(super) friend: Option<Value>,
}

/// What a use in a cold block counts; one in no loop counts 1.
const COLD_WEIGHT: f32 = 0.05;

/// How many times as much a use in a loop counts.
const LOOP_WEIGHT: f32 = 8.0;

/// Bits by which an address can shift one of its parts.
const MAX_SCALE: i64 = 3;

/// Loops around a use that are counted.
const MAX_DEPTH: i32 = 4;

pub(super) struct Plan {
    /// The blocks in the order of their code: those that can be reached, the cold ones last.
    pub(super) code_order: Vec<Block>,
    /// By value.
    pub(super) kinds: Vec<Kind>,
    /// By value; those of a web are its leader's.
    pub(super) traits: Vec<Traits>,
    /// Where values are alive.
    pub(super) webs: webs::Webs,
    /// Where cold blocks begin, behind all others.
    pub(super) cold: u32,
    /// The number behind all others.
    pub(super) end: u32,
    /// The numbers of the calls, in ascending order, with what they mean.
    pub(super) calls: Vec<(u32, Calls)>,
    /// By instruction: its number.
    pub(super) numbers: Vec<u32>,
}

impl Plan {
    pub(super) fn of(func: &Func, headers: &[Block]) -> Result<Plan, Unknown> {
        let blocks = Blocks::of(func, headers);
        let mut planner = Planner::new(func, &blocks);
        planner.number();
        planner.scan()?;
        let needs_place = |v: Value| planner.kinds[index(v)] == Kind::Placed;
        planner.pairs.retain(|pair| needs_place(pair.param) && needs_place(pair.arg));
        let spans = live::find(&blocks, &planner.bounds, &planner.homes, &planner.uses_at);
        let Planner { kinds, mut traits, pairs, calls, numbers, bounds, .. } = planner;
        let webs = webs::join(spans, &mut traits, &pairs);
        let is_cold = |block: &&Block| func.is_cold(**block);
        let cold = blocks.order.iter().zip(&bounds).find(|(block, _)| is_cold(block)).map(|(_, bounds)| bounds.0);
        let (cold, end) = (cold.unwrap_or(u32::MAX), bounds.last().map_or(0, |(_, last)| last + 1));
        Ok(Plan { code_order: blocks.order, kinds, traits, webs, cold, end, calls, numbers })
    }

    pub(super) fn kind(&self, v: Value) -> Kind {
        self.kinds[index(v)]
    }

    pub(super) fn traits(&self, v: Value) -> Traits {
        self.traits[index(v)]
    }

    /// Whether the function calls itself.
    pub(super) fn calls_itself(&self) -> bool {
        self.calls.iter().any(|(_, kind)| *kind == Calls::Recursion)
    }

    pub(super) fn number(&self, inst: Inst) -> u32 {
        self.numbers[inst.index()]
    }
}

#[inline]
pub(super) fn index(v: Value) -> usize {
    v.index()
}

struct Planner<'a> {
    func: &'a Func,
    blocks: &'a Blocks,
    numbers: Vec<u32>,
    /// By place in the order: the numbers of a block's beginning and of its end.
    bounds: Vec<Span>,
    kinds: Vec<Kind>,
    uses: Vec<u32>,
    traits: Vec<Traits>,
    calls: Vec<(u32, Calls)>,
    /// By value.
    homes: Vec<Home>,
    /// The uses of values that need places.
    uses_at: Vec<Use>,
    /// Block parameters with their arguments.
    pairs: Vec<webs::Pair>,
}

impl<'a> Planner<'a> {
    fn new(func: &'a Func, blocks: &'a Blocks) -> Planner<'a> {
        let values = func.values();
        Planner {
            func,
            blocks,
            numbers: vec![0; func.insts()],
            bounds: Vec::with_capacity(blocks.order.len()),
            kinds: vec![Kind::Unused; values],
            uses: vec![0; values],
            traits: vec![Traits::default(); values],
            calls: Vec::new(),
            homes: vec![Home::default(); values],
            uses_at: Vec::new(),
            pairs: Vec::new(),
        }
    }

    /// Gives out the numbers, says where values are made, and counts their uses.
    fn number(&mut self) {
        let mut n = 0;
        for (rank, block) in (0..).zip(&self.blocks.order) {
            let start = n;
            for param in self.func.params(*block) {
                self.homes[index(*param)] = Home { rank, number: start };
            }
            n += 2;
            for inst in self.func.body(*block) {
                self.numbers[inst.index()] = n;
                self.count_uses(inst);
                for result in self.func.results(inst) {
                    self.homes[index(result)] = Home { rank, number: n + 1 };
                }
                if matches!(self.func.data(inst), InstData::Call { .. }) {
                    self.calls.push((n, self.calls_of(inst, *block)));
                }
                n += 2;
            }
            self.bounds.push((start, n - 1));
        }
    }

    fn calls_of(&self, inst: Inst, block: Block) -> Calls {
        match self.func.data(inst) {
            InstData::Call { is_own: true, .. } => Calls::Recursion,
            _ if self.func.is_cold(block) => Calls::Seldom,
            _ => Calls::Usual,
        }
    }

    fn count_uses(&mut self, inst: Inst) {
        for v in self.func.args(inst) {
            self.uses[index(*v)] += 1;
        }
        for v in self.func.ways(inst).iter().flat_map(|edge| self.func.edge_args(*edge)) {
            self.uses[index(*v)] += 1;
        }
    }

    /// Decides what becomes of each value, from its uses backwards.
    fn scan(&mut self) -> Result<(), Unknown> {
        for n in (0..self.blocks.order.len()).rev() {
            let block = self.blocks.order[n];
            let is_cold = self.func.is_cold(block);
            let depth = self.blocks.depths[n].min(MAX_DEPTH);
            let weight = if is_cold { COLD_WEIGHT } else { LOOP_WEIGHT.powi(depth) };
            for inst in self.func.body(block).rev() {
                self.look_at(inst, n as u32, weight)?;
            }
        }
        Ok(())
    }

    fn look_at(&mut self, inst: Inst, block: u32, weight: f32) -> Result<(), Unknown> {
        let func = self.func;
        let results = func.results(inst);
        if let Some(ty) = results.clone().map(|result| func.ty(result)).find(|ty| !is_known(*ty)) {
            return Err(Unknown::new(ty));
        }
        let data = func.data(inst);
        let is_deferred = results.clone().any(|result| self.kinds[index(result)] == Kind::Deferred);
        let is_needed = data.has_effect() || results.clone().any(|result| self.uses[index(result)] > 0);
        if is_deferred || !is_needed {
            // A deferred operation's operands are used where it is: see `use_of`.
            return Ok(());
        }
        let number = self.numbers[inst.index()];
        if let Some(flag) = flag_of(data)
            && self.is_deferrable(flag, inst, block)
        {
            self.kinds[index(flag)] = Kind::Deferred;
        }
        if let Some((address, offset)) = address_of(data) {
            self.defer_address(address, offset, block);
        }
        if let Some(operand) = float_operand(data) {
            self.defer_float(operand, inst, block);
        }
        for v in func.args(inst) {
            self.use_of(*v, number, block, weight);
        }
        if let Some((operand, result)) = func.args(inst).first().zip(results.clone().next()) {
            self.traits[index(result)].friend = Some(*operand);
        }
        for edge in func.ways(inst) {
            self.go_by(*edge, number, block, weight);
        }
        for result in results {
            self.traits[index(result)].weight += weight;
        }
        Ok(())
    }

    /// An edge gives the parameters of its target their values.
    fn go_by(&mut self, edge: Edge, number: u32, block: u32, weight: f32) {
        let params = self.func.params(self.func.target(edge));
        for (param, arg) in params.iter().zip(self.func.edge_args(edge)) {
            self.use_of(*arg, number, block, weight);
            self.pairs.push(webs::Pair { param: *param, arg: *arg, weight });
        }
    }

    /// Whether the flag that `user` looks at, which is the next instruction with an effect, can be made there.
    fn is_deferrable(&mut self, flag: Value, user: Inst, block: u32) -> bool {
        let Some(compare) = self.single(flag, block) else { return false };
        match *self.func.data(compare) {
            InstData::IntCompare { args, .. } => {
                if let Some(load) = self.deferrable_load(compare, args, user, block) {
                    self.kinds[index(args[0])] = Kind::Deferred;
                    if let Some((address, offset)) = address_of(self.func.data(load)) {
                        self.defer_address(address, offset, block);
                    }
                }
                true
            }
            // Equality of floats takes two flags, which only a branch can look at one after the other.
            InstData::FloatCompare { cond, .. } => {
                let is_branch = matches!(self.func.data(user), InstData::Branch { .. });
                is_branch || !matches!(cond, FloatCC::Equal | FloatCC::NotEqual)
            }
            _ => false,
        }
    }

    /// Whether a value is used once, in the block where it is made: the instruction that makes it.
    fn single(&self, v: Value, block: u32) -> Option<Inst> {
        let inst = self.func.maker(v)?;
        (self.uses[index(v)] == 1 && self.homes[index(v)].rank == block).then_some(inst)
    }

    /// A sum that only one access to memory has for an address is made by that: `base + index`, or `base + (index << scale)`.
    fn defer_address(&mut self, address: Value, offset: i32, block: u32) {
        let Some(sum) = self.single(address, block) else { return };
        let InstData::Binary { opcode: Opcode::Iadd, args: [_, index_of] } = *self.func.data(sum) else {
            return;
        };
        if let Some(n) = self.func.constant(index_of) {
            if i32::try_from(n).is_ok_and(|n| n.checked_add(offset).is_some()) {
                self.kinds[index(address)] = Kind::Deferred;
            }
            return;
        }
        self.kinds[index(address)] = Kind::Deferred;
        if self.single(index_of, block).is_some_and(|shift| scaled(self.func, shift).is_some()) {
            self.kinds[index(index_of)] = Kind::Deferred;
        }
    }

    /// A float that is loaded for an operation alone, with no store in between, is read by that.
    fn defer_float(&mut self, operand: Value, user: Inst, block: u32) {
        let Some(load) = self.single(operand, block) else { return };
        let InstData::Load { opcode: Opcode::Load, arg, offset } = *self.func.data(load) else { return };
        if load.until(user).any(|inst| self.func.data(inst).changes_memory()) {
            return;
        }
        self.kinds[index(operand)] = Kind::Deferred;
        self.defer_address(arg, offset, block);
    }

    /// The load that is the first operand of a comparison, if only it looks at that, with no store in between.
    fn deferrable_load(&self, compare: Inst, args: [Value; 2], user: Inst, block: u32) -> Option<Inst> {
        let load = self.single(args[0], block).filter(|_| args[0] != args[1])?;
        let fits = match (self.func.data(load), self.func.data(compare)) {
            // A byte is compared with a constant alone, and as it is unsigned for equality alone.
            (InstData::Load { opcode: Opcode::Uload8, .. }, InstData::IntCompare { cond, .. }) => {
                let is_byte = self.func.constant(args[1]).is_some_and(|n| (0..128).contains(&n));
                is_byte && matches!(cond, IntCC::Equal | IntCC::NotEqual)
            }
            (InstData::Load { opcode: Opcode::Load, .. }, _) => self.func.ty(args[0]) == types::I64,
            _ => false,
        };
        if fits && load.until(user).any(|inst| self.func.data(inst).changes_memory()) {
            return None;
        }
        fits.then_some(load)
    }

    /// A value is used by the instruction with a number.
    fn use_of(&mut self, v: Value, number: u32, block: u32, weight: f32) {
        let func = self.func;
        match func.def(v) {
            Def::Int(n) => {
                self.kinds[index(v)] = Kind::Int(n);
                return;
            }
            Def::Float(bits) => {
                self.kinds[index(v)] = Kind::Float(bits);
                return;
            }
            Def::Result(inst) if self.kinds[index(v)] == Kind::Deferred => {
                for operand in func.args(inst) {
                    self.use_of(*operand, number, block, weight);
                }
                return;
            }
            Def::Result(_) | Def::Param => {}
        }
        self.kinds[index(v)] = Kind::Placed;
        self.traits[index(v)].weight += weight;
        self.uses_at.push(Use { value: v, rank: block, number });
    }
}

/// Types that have registers here.
fn is_known(ty: Type) -> bool {
    matches!(ty, types::I64 | types::I32 | types::I8 | types::F64)
}

/// The address of an access to memory, and the offset that is added to it.
fn address_of(inst: &InstData) -> Option<(Value, i32)> {
    match inst {
        InstData::Load { arg, offset, .. } => Some((*arg, *offset)),
        InstData::Store { args, offset, .. } => Some((args[1], *offset)),
        _ => None,
    }
}

/// The operand of an operation on floats that may be in memory.
fn float_operand(inst: &InstData) -> Option<Value> {
    match inst {
        InstData::Binary { opcode: Opcode::Fadd | Opcode::Fsub | Opcode::Fmul | Opcode::Fdiv, args: [_, b] } => {
            Some(*b)
        }
        _ => None,
    }
}

/// What an instruction shifts to the left, and by how much, if addresses can do that.
pub(super) fn scaled(func: &Func, inst: Inst) -> Option<(Value, u8)> {
    let InstData::Binary { opcode: Opcode::Ishl, args } = *func.data(inst) else { return None };
    let by = func.constant(args[1]).filter(|by| (0..=MAX_SCALE).contains(by))?;
    Some((args[0], by as u8))
}

/// The flag that an instruction can take from a comparison right in front of it.
fn flag_of(inst: &InstData) -> Option<Value> {
    match inst {
        InstData::Branch { flag, .. } => Some(*flag),
        InstData::Select { args } => Some(args[0]),
        _ => None,
    }
}
