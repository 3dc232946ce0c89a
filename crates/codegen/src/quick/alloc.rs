//! Registers by priority (Chow and Hennessy, 1990): what is worth most for each number of its life comes first, and gets a register
//! that is free in all of its spans. What finds none goes to the stack, for all of its life.
//!
//! Three registers are kept back: operations, moves and calls use them as they need. Calls destroy most of the others; what is
//! alive across one is saved and fetched back around it, so that calls on cold paths cost the hot ones nothing. Values
//! that are alive across calls in the midst of code ask for registers that functions preserve.
//!
//! A function that calls itself preserves nothing for itself: it would save registers each time that it runs, where its
//! recursion ends too, which is half of the times. Its values are saved around the calls, and the registers of its other callers in
//! front of its code.

use std::ops::Range;

use cranelift_codegen::ir::types;

use super::live::Span;
use super::moves::Place;
use super::plan::{Calls, Kind, Plan, index};
use super::webs::dearest_first;
use crate::mir::{Func, Value};

pub(super) const RAX: u8 = 0;
pub(super) const RCX: u8 = 1;
pub(super) const RDX: u8 = 2;
pub(super) const RBX: u8 = 3;
pub(super) const RSP: u8 = 4;
pub(super) const RBP: u8 = 5;
pub(super) const RSI: u8 = 6;
pub(super) const RDI: u8 = 7;

/// Registers that calls destroy, and those that they preserve.
const VOLATILE: [u8; 6] = [RSI, RDI, 8, 9, 10, 11];
pub(super) const PRESERVED: [u8; 5] = [RBX, 12, 13, 14, 15];

/// Two of sixteen are kept back.
const XMMS: u8 = 14;
pub(super) const XMM_A: u8 = 15;
pub(super) const XMM_B: u8 = 14;

/// Where everything is.
pub(super) struct Places {
    /// By value, for those that need one.
    places: Vec<Option<Place>>,
    /// By value in a register that calls destroy: where it is saved.
    saves: Vec<Option<i32>>,
    /// By call: the values alive across it, as a range of `alive`.
    calls: Vec<(u32, Range<usize>)>,
    alive: Vec<Value>,
    /// Bytes of the frame below the frame pointer, without those for outgoing arguments.
    pub(super) frame: i32,
    /// The preserved registers that are used, and saved in the frame.
    pub(super) preserved: Vec<u8>,
    /// Those that are saved before a function that calls itself begins.
    pub(super) kept_at_door: Vec<u8>,
}

impl Places {
    pub(super) fn of(&self, v: Value) -> Option<Place> {
        self.places[index(v)]
    }

    /// What must be saved around the call at a number: registers, and where to.
    pub(super) fn saved(&self, call: u32) -> impl Iterator<Item = (Place, i32)> + '_ {
        let range =
            self.calls.binary_search_by_key(&call, |(number, _)| *number).map_or(0..0, |n| self.calls[n].1.clone());
        self.alive[range].iter().filter_map(|v| self.places[index(*v)].zip(self.saves[index(*v)]))
    }
}

/// At which numbers a register or a slot of the frame is taken: a bit for each.
struct Register(Vec<u64>);

impl Register {
    fn of(numbers: u32) -> Register {
        Register(vec![0; numbers as usize / 64 + 1])
    }

    fn is_free(&self, spans: &[Span]) -> bool {
        spans.iter().all(|span| {
            let (first, last, masks) = words(*span);
            if first == last {
                return self.0[first] & masks.0 & masks.1 == 0;
            }
            let is_free = |word: &u64| *word == 0;
            self.0[first] & masks.0 == 0 && self.0[first + 1..last].iter().all(is_free) && self.0[last] & masks.1 == 0
        })
    }

    fn hold(&mut self, spans: &[Span]) {
        for span in spans {
            let (first, last, masks) = words(*span);
            if first == last {
                self.0[first] |= masks.0 & masks.1;
                continue;
            }
            self.0[first] |= masks.0;
            self.0[first + 1..last].fill(u64::MAX);
            self.0[last] |= masks.1;
        }
    }

    fn is_used(&self) -> bool {
        self.0.iter().any(|word| *word != 0)
    }
}

/// The words with the first and the last bit of a span, and which bits of these may be inside.
fn words((start, end): Span) -> (usize, usize, (u64, u64)) {
    (start as usize / 64, end as usize / 64, (u64::MAX << (start % 64), u64::MAX >> (63 - end % 64)))
}

struct Allocator<'a> {
    plan: &'a Plan,
    gprs: [Register; 16],
    xmms: [Register; 16],
    /// By value, for leaders.
    places: Vec<Option<Place>>,
}

/// Gives a place to each web, and to each value of its own, that needs one.
pub(super) fn allocate(func: &Func, plan: &Plan) -> Places {
    let needs_place = |v: &Value| plan.kind(*v) == Kind::Placed && plan.webs.leader(*v) == *v;
    let leaders: Vec<Value> = (0..func.values() as u32).map(Value::from_u32).filter(needs_place).collect();
    let order: Vec<Value> = dearest_first(leaders.iter().map(|v| worth(plan, *v))).map(|n| leaders[n]).collect();
    let registers = || std::array::from_fn(|_| Register::of(plan.end));
    let places = vec![None; func.values()];
    let mut allocator = Allocator { plan, gprs: registers(), xmms: registers(), places };
    for v in &order {
        allocator.place(*v, func.ty(*v) == types::F64);
    }
    allocator.finish(order.iter().copied())
}

/// What a value in a register is worth for each number that it has it for. Nobody else wants those of exits.
fn worth(plan: &Plan, v: Value) -> f32 {
    let spans = plan.webs.spans(v).iter().take_while(|(start, _)| *start < plan.cold);
    let length: u32 = spans.map(|(start, end)| end - start + 1).sum();
    plan.traits(v).weight / (length + 1) as f32
}

impl Allocator<'_> {
    fn place(&mut self, v: Value, is_float: bool) {
        let spans = self.plan.webs.spans(v);
        let friend = self.plan.traits(v).friend.and_then(|friend| self.places[index(self.plan.webs.leader(friend))]);
        if is_float {
            let wanted = friend.and_then(|place| if let Place::Xmm(r) = place { Some(r) } else { None });
            let free = wanted.into_iter().chain(0..XMMS).find(|r| self.xmms[*r as usize].is_free(spans));
            if let Some(register) = free {
                self.xmms[register as usize].hold(spans);
                self.places[index(v)] = Some(Place::Xmm(register));
            }
            return;
        }
        let wanted = friend.and_then(|place| if let Place::Gpr(r) = place { Some(r) } else { None });
        let is_to_last = self.crosses_call(spans);
        let wanted = wanted.filter(|r| !is_to_last || PRESERVED.contains(r));
        let (first, then): (&[u8], &[u8]) = if is_to_last { (&PRESERVED, &VOLATILE) } else { (&VOLATILE, &PRESERVED) };
        let all = wanted.into_iter().chain(first.iter().chain(then).copied());
        if let Some(register) = all.into_iter().find(|r| self.gprs[*r as usize].is_free(spans)) {
            self.gprs[register as usize].hold(spans);
            self.places[index(v)] = Some(Place::Gpr(register));
        }
    }

    /// The calls inside of a span, by their places in the plan.
    fn calls_in(&self, (start, end): Span) -> Range<usize> {
        let calls = &self.plan.calls;
        let first = calls.partition_point(|(number, _)| *number <= start);
        first..first + calls[first..].iter().take_while(|(number, _)| *number < end).count()
    }

    /// Whether a call is inside around which nothing should be saved.
    fn crosses_call(&self, spans: &[Span]) -> bool {
        let is_usual = |(_, kind): &(u32, Calls)| *kind == Calls::Usual;
        spans.iter().any(|span| self.plan.calls[self.calls_in(*span)].iter().any(is_usual))
    }

    /// The values of leaders that calls would destroy: for each call a range of the list, in the order of their registers.
    fn alive_across(&self, leaders: impl Iterator<Item = Value>) -> (Vec<(u32, Range<usize>)>, Vec<Value>) {
        let mut found: Vec<(usize, u8, Value)> = Vec::new();
        for v in leaders {
            let (register, is_preserved) = match self.places[index(v)] {
                Some(Place::Gpr(r)) => (r, PRESERVED.contains(&r)),
                Some(Place::Xmm(r)) => (self.gprs.len() as u8 + r, false),
                Some(Place::Slot(_) | Place::Out(_)) | None => continue,
            };
            let destroys = |call: &usize| !is_preserved || self.plan.calls[*call].1 == Calls::Recursion;
            for span in self.plan.webs.spans(v) {
                found.extend(self.calls_in(*span).filter(destroys).map(|call| (call, register, v)));
            }
        }
        found.sort_unstable();
        let mut rest = &found[..];
        let calls = self.plan.calls.iter().enumerate().map(|(n, (number, _))| {
            let first = found.len() - rest.len();
            let count = rest.iter().take_while(|(call, ..)| *call == n).count();
            rest = &rest[count..];
            (*number, first..first + count)
        });
        (calls.collect(), found.iter().map(|(_, _, v)| *v).collect())
    }

    /// Gives slots of the frame to what has no register, and to what must be saved. Lives that do not overlap share them.
    fn finish(mut self, leaders: impl Iterator<Item = Value> + Clone) -> Places {
        let (calls, alive) = self.alive_across(leaders.clone());
        let mut saves = vec![None; self.places.len()];
        for v in &alive {
            saves[index(*v)] = Some(0);
        }
        let used = PRESERVED.into_iter().filter(|r| self.gprs[*r as usize].is_used()).collect();
        let (preserved, kept_at_door): (Vec<u8>, Vec<u8>) =
            if self.plan.calls_itself() { (Vec::new(), used) } else { (used, Vec::new()) };
        let first = preserved.len() as i32;
        let mut slots: Vec<Register> = Vec::new();
        for v in leaders {
            let needs_slot = self.places[index(v)].is_none();
            if !needs_slot && saves[index(v)].is_none() {
                continue;
            }
            let spans = self.plan.webs.spans(v);
            let n = slots.iter().position(|slot| slot.is_free(spans)).unwrap_or_else(|| {
                slots.push(Register::of(self.plan.end));
                slots.len() - 1
            });
            slots[n].hold(spans);
            let slot = -8 * (first + n as i32 + 1);
            if needs_slot {
                self.places[index(v)] = Some(Place::Slot(slot));
            } else {
                saves[index(v)] = Some(slot);
            }
        }
        let values = (0..self.places.len() as u32).map(Value::from_u32);
        let places = values.map(|v| self.places[index(self.plan.webs.leader(v))]).collect();
        Places { places, saves, calls, alive, frame: 8 * (first + slots.len() as i32), preserved, kept_at_door }
    }
}
