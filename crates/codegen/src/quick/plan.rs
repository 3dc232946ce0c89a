//! What must be known of a function before registers are given out: an order of its blocks, where each value lives, and
//! which operations are done only where their result is used.
//!
//! **Numbers.** Instructions are numbered in the order of the blocks (see [`super::order`]). An instruction reads at an even
//! number, and writes at the odd one behind it.
//!
//! **Intervals.** A value is alive from where it is made to its last use, and in all blocks from which control can come to
//! a use without passing where it is made. The interval is the smallest that has all of that: values have one place for
//! all of it (see [`super::alloc`]), so that being too large is never wrong.
//!
//! **Webs.** A block parameter and its arguments want one place: then there is nothing to move. Those whose intervals do not meet
//! get it, on the hottest edges first; the web has the interval that spans all of theirs. So what loops do not change stays where
//! it is, and what they count is counted in its place.
//!
//! **Deferred.** A comparison whose only use is the branch or selection behind it is made there, in the flags. So is the load
//! of a tag or word that only such a comparison looks at, and the sum that only one access to memory has for an address.
//! Constants are made wherever they are used.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{Block, Function, Inst, InstructionData, Opcode, Type, Value, ValueDef, types};

use super::order::{Blocks, Chains};
use super::{Unknown, webs};

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

/// Where a value lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    pub(super) start: u32,
    pub(super) end: u32,
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
    /// By value; that of a web is its leader's.
    pub(super) intervals: Vec<Interval>,
    /// By value: the value whose place it has, itself for most.
    pub(super) leaders: Vec<Value>,
    /// The numbers of the calls, in ascending order, with whether they are in cold blocks.
    pub(super) calls: Vec<(u32, bool)>,
    /// By instruction: its number.
    pub(super) numbers: Vec<u32>,
}

impl Plan {
    pub(super) fn of(func: &Function, headers: &[Block]) -> Result<Plan, Unknown> {
        let blocks = Blocks::of(func, headers);
        let mut planner = Planner::new(func, &blocks);
        planner.number();
        planner.count_uses();
        planner.scan()?;
        planner.spread();
        let needs_place = |v: Value| planner.kinds[index(v)] == Kind::Placed;
        planner.pairs.retain(|pair| needs_place(pair.param) && needs_place(pair.arg));
        let leaders = webs::join(&mut planner.intervals, planner.pairs);
        Ok(Plan {
            code_order: blocks.code_order(func),
            kinds: planner.kinds,
            intervals: planner.intervals,
            leaders,
            calls: planner.calls,
            numbers: planner.numbers,
        })
    }

    pub(super) fn kind(&self, v: Value) -> Kind {
        self.kinds[index(v)]
    }

    pub(super) fn interval(&self, v: Value) -> Interval {
        self.intervals[index(v)]
    }

    pub(super) fn leader(&self, v: Value) -> Value {
        self.leaders[index(v)]
    }

    pub(super) fn number(&self, inst: Inst) -> u32 {
        self.numbers[inst.as_u32() as usize]
    }
}

pub(super) fn index(v: Value) -> usize {
    v.as_u32() as usize
}

struct Planner<'a> {
    func: &'a Function,
    blocks: &'a Blocks,
    numbers: Vec<u32>,
    /// By block: the numbers of its beginning and of its end.
    spans: Vec<(u32, u32)>,
    kinds: Vec<Kind>,
    uses: Vec<u32>,
    intervals: Vec<Interval>,
    calls: Vec<(u32, bool)>,
    /// By value: the block where it is made.
    homes: Vec<Option<Block>>,
    /// Values that are used in blocks other than where they are made, with these.
    far: Vec<(Value, Block)>,
    /// Block parameters with their arguments.
    pairs: Vec<webs::Pair>,
}

impl<'a> Planner<'a> {
    fn new(func: &'a Function, blocks: &'a Blocks) -> Planner<'a> {
        let values = func.dfg.num_values();
        let nowhere = Interval { start: u32::MAX, end: 0, weight: 0.0, friend: None };
        Planner {
            func,
            blocks,
            numbers: vec![0; func.dfg.num_insts()],
            spans: vec![(0, 0); func.dfg.num_blocks()],
            kinds: vec![Kind::Unused; values],
            uses: vec![0; values],
            intervals: vec![nowhere; values],
            calls: Vec::new(),
            homes: vec![None; values],
            far: Vec::new(),
            pairs: Vec::new(),
        }
    }

    /// Gives out the numbers, and says where values are made.
    fn number(&mut self) {
        let mut n = 0;
        for block in &self.blocks.order {
            let start = n;
            for param in self.func.dfg.block_params(*block) {
                self.homes[index(*param)] = Some(*block);
                self.intervals[index(*param)].start = start;
            }
            n += 2;
            for inst in self.func.layout.block_insts(*block) {
                self.numbers[inst.as_u32() as usize] = n;
                for result in self.func.dfg.inst_results(inst) {
                    self.homes[index(*result)] = Some(*block);
                    self.intervals[index(*result)].start = n + 1;
                }
                if self.func.dfg.insts[inst].opcode().is_call() {
                    self.calls.push((n, self.func.layout.is_cold(*block)));
                }
                n += 2;
            }
            self.spans[block.as_u32() as usize] = (start, n - 1);
        }
    }

    fn count_uses(&mut self) {
        for block in &self.blocks.order {
            for inst in self.func.layout.block_insts(*block) {
                for v in self.func.dfg.inst_values(inst) {
                    self.uses[index(v)] += 1;
                }
            }
        }
    }

    /// Decides what becomes of each value, from its uses backwards.
    fn scan(&mut self) -> Result<(), Unknown> {
        for n in (0..self.blocks.order.len()).rev() {
            let block = self.blocks.order[n];
            let is_cold = self.func.layout.is_cold(block);
            let depth = self.blocks.depths[n].min(MAX_DEPTH);
            let weight = if is_cold { COLD_WEIGHT } else { LOOP_WEIGHT.powi(depth) };
            let mut next = self.func.layout.last_inst(block);
            while let Some(inst) = next {
                next = self.func.layout.prev_inst(inst);
                self.look_at(inst, block, weight)?;
            }
        }
        Ok(())
    }

    fn look_at(&mut self, inst: Inst, block: Block, weight: f32) -> Result<(), Unknown> {
        let dfg = &self.func.dfg;
        let results = dfg.inst_results(inst);
        if let Some(ty) = results.iter().map(|result| dfg.value_type(*result)).find(|ty| !is_known(*ty)) {
            return Err(Unknown::new(ty));
        }
        let is_deferred = results.iter().any(|result| self.kinds[index(*result)] == Kind::Deferred);
        let has_effect = {
            let opcode = dfg.insts[inst].opcode();
            opcode.can_store() || opcode.is_call() || opcode.is_terminator()
        };
        let is_needed = has_effect || results.iter().any(|result| self.uses[index(*result)] > 0);
        if is_deferred || !is_needed {
            // A deferred operation's operands are used where it is: see `use_of`.
            return Ok(());
        }
        let number = self.numbers[inst.as_u32() as usize];
        if let Some(flag) = flag_of(&dfg.insts[inst])
            && self.is_deferrable(flag, inst, block)
        {
            self.kinds[index(flag)] = Kind::Deferred;
        }
        if let Some((address, offset)) = address_of(&dfg.insts[inst]) {
            self.defer_address(address, offset, block);
        }
        for v in dfg.inst_values(inst) {
            self.use_of(v, number, block, weight);
        }
        if let Some((operand, result)) = dfg.inst_args(inst).first().zip(results.first()) {
            self.intervals[index(*result)].friend = Some(*operand);
        }
        for call in dfg.insts[inst].branch_destination(&dfg.jump_tables, &dfg.exception_tables) {
            let params = dfg.block_params(call.block(&dfg.value_lists));
            for (param, arg) in params.iter().zip(call.args(&dfg.value_lists)) {
                let arg = arg.as_value().ok_or_else(|| Unknown::new(arg))?;
                self.pairs.push(webs::Pair { param: *param, arg, weight });
            }
        }
        for result in results {
            let interval = &mut self.intervals[index(*result)];
            interval.weight += weight;
            interval.end = interval.end.max(interval.start);
        }
        Ok(())
    }

    /// Whether the flag that `user` looks at, which is the next instruction with an effect, can be made there.
    fn is_deferrable(&mut self, flag: Value, user: Inst, block: Block) -> bool {
        let Some(compare) = self.single(flag, block) else { return false };
        match self.func.dfg.insts[compare] {
            InstructionData::IntCompare { args, .. } => {
                if let Some(load) = self.deferrable_load(compare, args, user, block) {
                    self.kinds[index(args[0])] = Kind::Deferred;
                    if let Some((address, offset)) = address_of(&self.func.dfg.insts[load]) {
                        self.defer_address(address, offset, block);
                    }
                }
                true
            }
            // Equality of floats takes two flags, which only a branch can look at one after the other.
            InstructionData::FloatCompare { cond, .. } => {
                let is_branch = self.func.dfg.insts[user].opcode() == Opcode::Brif;
                is_branch || !matches!(cond, FloatCC::Equal | FloatCC::NotEqual)
            }
            _ => false,
        }
    }

    /// Whether a value is used once, in the block where it is made: the instruction that makes it.
    fn single(&self, v: Value, block: Block) -> Option<Inst> {
        match self.func.dfg.value_def(v) {
            ValueDef::Result(inst, _) if self.uses[index(v)] == 1 && self.homes[index(v)] == Some(block) => Some(inst),
            ValueDef::Result(..) | ValueDef::Param(..) | ValueDef::Union(..) => None,
        }
    }

    /// A sum that only one access to memory has for an address is made by that: `base + index`, or `base + (index << scale)`.
    fn defer_address(&mut self, address: Value, offset: i32, block: Block) {
        let Some(sum) = self.single(address, block) else { return };
        let InstructionData::Binary { opcode: Opcode::Iadd, args: [_, index_of] } = self.func.dfg.insts[sum] else {
            return;
        };
        if let Some(n) = constant(self.func, index_of) {
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

    /// The load that is the first operand of a comparison, if only it looks at that, with no store in between.
    fn deferrable_load(&self, compare: Inst, args: [Value; 2], user: Inst, block: Block) -> Option<Inst> {
        let dfg = &self.func.dfg;
        let load = self.single(args[0], block).filter(|_| args[0] != args[1])?;
        let fits = match (&dfg.insts[load], &dfg.insts[compare]) {
            // A byte is compared with a constant alone, and as it is unsigned for equality alone.
            (InstructionData::Load { opcode: Opcode::Uload8, .. }, InstructionData::IntCompare { cond, .. }) => {
                let is_byte = constant(self.func, args[1]).is_some_and(|n| (0..128).contains(&n));
                is_byte && matches!(cond, IntCC::Equal | IntCC::NotEqual)
            }
            (InstructionData::Load { opcode: Opcode::Load, .. }, _) => dfg.value_type(args[0]) == types::I64,
            _ => false,
        };
        let mut next = Some(load);
        while fits && let Some(inst) = next.filter(|inst| *inst != user) {
            let opcode = dfg.insts[inst].opcode();
            if opcode.can_store() || opcode.is_call() {
                return None;
            }
            next = self.func.layout.next_inst(inst);
        }
        fits.then_some(load)
    }

    /// A value is used by the instruction with a number.
    fn use_of(&mut self, v: Value, number: u32, block: Block, weight: f32) {
        if self.kinds[index(v)] == Kind::Deferred {
            let ValueDef::Result(inst, _) = self.func.dfg.value_def(v) else { return };
            let func = self.func;
            for operand in func.dfg.inst_args(inst) {
                self.use_of(*operand, number, block, weight);
            }
            return;
        }
        match self.func.dfg.value_def(v) {
            ValueDef::Result(inst, _) => match self.func.dfg.insts[inst] {
                InstructionData::UnaryImm { imm, .. } => {
                    self.kinds[index(v)] = Kind::Int(imm.bits());
                    return;
                }
                InstructionData::UnaryIeee64 { imm, .. } => {
                    self.kinds[index(v)] = Kind::Float(imm.bits());
                    return;
                }
                _ => {}
            },
            ValueDef::Param(..) | ValueDef::Union(..) => {}
        }
        self.kinds[index(v)] = Kind::Placed;
        let interval = &mut self.intervals[index(v)];
        interval.weight += weight;
        interval.end = interval.end.max(number);
        if self.homes[index(v)] != Some(block) {
            self.far.push((v, block));
        }
    }

    /// Makes intervals as large as the paths from where values are made to their uses.
    fn spread(&mut self) {
        let chains = Chains::of(self.blocks);
        let mut far = std::mem::take(&mut self.far);
        far.sort_unstable_by_key(|(v, _)| *v);
        let mut seen_for = vec![None; self.spans.len()];
        let mut todo = Vec::new();
        for (v, block) in far {
            let home = self.homes[index(v)].map(|home| chains.top(home));
            let interval = &mut self.intervals[index(v)];
            todo.push(block);
            while let Some(block) = todo.pop() {
                let top = chains.top(block);
                // A value is made in front of its uses: on the chain, or in front of all of it.
                if home == Some(top) || seen_for[top.as_u32() as usize].replace(v) == Some(v) {
                    continue;
                }
                interval.start = interval.start.min(self.spans[top.as_u32() as usize].0);
                for from in self.blocks.predecessors(top) {
                    interval.end = interval.end.max(self.spans[from.as_u32() as usize].1);
                    if self.homes[index(v)] != Some(*from) {
                        todo.push(*from);
                    }
                }
            }
        }
    }
}

/// Types that have registers here.
fn is_known(ty: Type) -> bool {
    matches!(ty, types::I64 | types::I32 | types::I8 | types::F64)
}

/// The constant behind a value.
pub(super) fn constant(func: &Function, v: Value) -> Option<i64> {
    let ValueDef::Result(inst, _) = func.dfg.value_def(v) else { return None };
    match func.dfg.insts[inst] {
        InstructionData::UnaryImm { imm, .. } => Some(imm.bits()),
        _ => None,
    }
}

/// The address of an access to memory, and the offset that is added to it.
fn address_of(inst: &InstructionData) -> Option<(Value, i32)> {
    match inst {
        InstructionData::Load { arg, offset, .. } => Some((*arg, i32::from(*offset))),
        InstructionData::Store { args, offset, .. } => Some((args[1], i32::from(*offset))),
        _ => None,
    }
}

/// What an instruction shifts to the left, and by how much, if addresses can do that.
pub(super) fn scaled(func: &Function, inst: Inst) -> Option<(Value, u8)> {
    let InstructionData::Binary { opcode: Opcode::Ishl, args } = func.dfg.insts[inst] else { return None };
    let by = constant(func, args[1]).filter(|by| (0..=MAX_SCALE).contains(by))?;
    Some((args[0], by as u8))
}

/// The flag that an instruction can take from a comparison right in front of it.
fn flag_of(inst: &InstructionData) -> Option<Value> {
    match inst {
        InstructionData::Brif { arg, .. } => Some(*arg),
        InstructionData::Ternary { opcode: Opcode::Select, args } => Some(args[0]),
        _ => None,
    }
}
