//! Registers by linear scan (Poletto and Sarkar, 1999): intervals in the order of their beginnings, each gets a register that
//! is free, or else the one of lesser weight among it and those that hold one goes to the stack, for all of its life.
//!
//! Three registers are kept back: operations, moves and calls use them as they need. Calls destroy most of the others; what is
//! alive across one is saved and fetched back around it, so that calls on cold paths cost the hot ones nothing. Values
//! that are alive across calls in the midst of code ask for registers that functions preserve.

use cranelift_codegen::ir::{Function, Value, types};

use super::moves::Place;
use super::plan::{Kind, Plan, index};

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
    calls: Vec<(u32, std::ops::Range<usize>)>,
    alive: Vec<Value>,
    /// Bytes of the frame below the frame pointer, without those for outgoing arguments.
    pub(super) frame: i32,
    /// The preserved registers that are used.
    pub(super) preserved: Vec<u8>,
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

/// The registers of one kind.
struct Registers {
    /// By register: the value that it holds, and to when.
    held: [Option<(Value, u32)>; 16],
}

impl Registers {
    fn expire(&mut self, now: u32) {
        for held in &mut self.held {
            held.take_if(|(_, end)| *end < now);
        }
    }

    fn is_free(&self, register: u8) -> bool {
        self.held[register as usize].is_none()
    }
}

struct Scan<'a> {
    plan: &'a Plan,
    gprs: Registers,
    xmms: Registers,
    places: Vec<Option<Place>>,
    calls: Vec<(u32, std::ops::Range<usize>)>,
    alive: Vec<Value>,
}

/// Gives a place to each web, and to each value of its own, that needs one.
pub(super) fn allocate(func: &Function, plan: &Plan) -> Places {
    let needs_place = |v: &Value| plan.kind(*v) == Kind::Placed && plan.leader(*v) == *v;
    let mut order: Vec<Value> = func.dfg.values().filter(needs_place).collect();
    order.sort_by_key(|v| plan.interval(*v).start);
    let none = || Registers { held: [None; 16] };
    let mut scan = Scan {
        plan,
        gprs: none(),
        xmms: none(),
        places: vec![None; func.dfg.num_values()],
        calls: Vec::new(),
        alive: Vec::new(),
    };
    let mut calls = plan.calls.iter().map(|(number, _)| *number).peekable();
    for v in &order {
        let start = plan.interval(*v).start;
        while let Some(call) = calls.next_if(|call| *call < start) {
            scan.call(call);
        }
        scan.place(*v, func.dfg.value_type(*v) == types::F64);
    }
    calls.for_each(|call| scan.call(call));
    scan.finish(&order)
}

impl Scan<'_> {
    fn call(&mut self, number: u32) {
        let first = self.alive.len();
        let is_across = |held: &Option<(Value, u32)>| held.filter(|(_, end)| *end > number).map(|(v, _)| v);
        self.alive.extend(VOLATILE.iter().filter_map(|r| is_across(&self.gprs.held[*r as usize])));
        self.alive.extend(self.xmms.held.iter().filter_map(is_across));
        self.calls.push((number, first..self.alive.len()));
    }

    fn place(&mut self, v: Value, is_float: bool) {
        let interval = self.plan.interval(v);
        let friend = interval.friend.and_then(|friend| self.places[index(self.plan.leader(friend))]);
        if is_float {
            self.xmms.expire(interval.start);
            let wanted = friend.and_then(|place| if let Place::Xmm(r) = place { Some(r) } else { None });
            let free = wanted.into_iter().chain(0..XMMS).find(|r| self.xmms.is_free(*r));
            let register = free.or_else(|| Self::evict(self.plan, &mut self.xmms, &mut self.places, v));
            if let Some(register) = register {
                self.xmms.held[register as usize] = Some((v, interval.end));
                self.places[index(v)] = Some(Place::Xmm(register));
            }
            return;
        }
        self.gprs.expire(interval.start);
        let wanted = friend.and_then(|place| if let Place::Gpr(r) = place { Some(r) } else { None });
        let crosses = self.crosses_call(interval.start, interval.end);
        let wanted = wanted.filter(|r| !crosses || PRESERVED.contains(r));
        let (first, then): (&[u8], &[u8]) = if crosses { (&PRESERVED, &VOLATILE) } else { (&VOLATILE, &PRESERVED) };
        let free = wanted.into_iter().chain(first.iter().chain(then).copied()).find(|r| self.gprs.is_free(*r));
        let register = free.or_else(|| Self::evict(self.plan, &mut self.gprs, &mut self.places, v));
        if let Some(register) = register {
            self.gprs.held[register as usize] = Some((v, interval.end));
            self.places[index(v)] = Some(Place::Gpr(register));
        }
    }

    /// Whether a call in the midst of code is inside.
    fn crosses_call(&self, start: u32, end: u32) -> bool {
        let first = self.plan.calls.partition_point(|(number, _)| *number < start);
        self.plan.calls[first..].iter().take_while(|(number, _)| *number < end).any(|(_, is_cold)| !is_cold)
    }

    /// The register of the value that is worth least, if that is less than `v` is worth; it has none from its beginning on.
    fn evict(plan: &Plan, registers: &mut Registers, places: &mut [Option<Place>], v: Value) -> Option<u8> {
        let worth = |v: Value| {
            let interval = plan.interval(v);
            interval.weight / (interval.end - interval.start + 1) as f32
        };
        let held = registers.held.iter().enumerate().filter_map(|(r, held)| held.map(|(v, _)| (r, v)));
        let (register, least) = held.min_by(|(_, a), (_, b)| worth(*a).total_cmp(&worth(*b)))?;
        if worth(least) >= worth(v) {
            return None;
        }
        places[index(least)] = None;
        Some(register as u8)
    }

    /// Gives slots of the frame to what has no register, and to what must be saved. Intervals that do not meet share them.
    fn finish(mut self, order: &[Value]) -> Places {
        let mut saves = vec![None; self.places.len()];
        for v in &self.alive {
            if self.places[index(*v)].is_some() {
                saves[index(*v)] = Some(0);
            }
        }
        let preserved: Vec<u8> =
            PRESERVED.into_iter().filter(|r| self.places.contains(&Some(Place::Gpr(*r)))).collect();
        let first = preserved.len() as i32;
        let mut slots: Vec<u32> = Vec::new();
        for v in order {
            let needs_slot = self.places[index(*v)].is_none();
            if !needs_slot && saves[index(*v)].is_none() {
                continue;
            }
            let interval = self.plan.interval(*v);
            let n = slots.iter().position(|end| *end < interval.start).unwrap_or_else(|| {
                slots.push(0);
                slots.len() - 1
            });
            slots[n] = interval.end;
            let slot = -8 * (first + n as i32 + 1);
            if needs_slot {
                self.places[index(*v)] = Some(Place::Slot(slot));
            } else {
                saves[index(*v)] = Some(slot);
            }
        }
        let of_leader = |leader: &Value| self.places[index(*leader)];
        Places {
            places: self.plan.leaders.iter().map(of_leader).collect(),
            saves,
            calls: self.calls,
            alive: self.alive,
            frame: 8 * (first + slots.len() as i32),
            preserved,
        }
    }
}
