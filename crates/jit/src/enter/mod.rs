//! Running compiled trees: the way in, from one piece of code to the next, and the way out.
//!
//! | module | question it answers |
//! |---|---|
//! | `exits` | where code leaves, and what is left to be done there |
//! | `link` | which code goes on where other code has left |
//! | `calls` | what becomes of calls that do not just return |

mod calls;
mod exits;
mod link;

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;

use perilune_codegen::{
    AHEAD, ANY_VERSION, CALLED, Callable, Calls, Environment, MISMATCH, RETURNED, TAIL, UNWOUND, entry_types,
};
use perilune_runtime::value::Value;
use perilune_trace::fragment::{self, Fragment};
use perilune_trace::ir::{End, HeaderId, Helper, Inst, Op, SnapId, Tree};
use perilune_vm::Vm;
use perilune_vm::compiled::{self, SlotTag};
use perilune_vm::tier::VM_OFFSETS;

use crate::code::CodeBlock;
use crate::gate::Gate;
use crate::helpers;
use crate::record::Notes;

use exits::Exit;
use link::{Link, Links};

pub use exits::Exits;

/// Machine code of a tree.
#[derive(Debug)]
pub struct Compiled {
    code: CodeBlock,
    exits: Pin<Box<Exits>>,
    /// By header: the slots of its inputs, and the tags that they must have.
    entries: Box<[Entry]>,
    need: Need,
    /// The same for its fragments as well.
    need_of_all: Cell<Need>,
    most_fuel: u32,
    first_written: u32,
    /// The fuel that it spends until all work is worth being put into it; none if that is done.
    until_worth_more: Cell<Option<i64>>,
    /// The way into functions, if it is the code of one, or calls some.
    gate: Option<Rc<Gate>>,
    /// Whether it is the code of a function.
    is_function: bool,
    /// Whether it relies on a frame: it calls out, looks at the frame's arguments, or calls a function in the place of its own.
    needs_frame: bool,
    /// The fragments that go on where it leaves, and where they leave.
    links: Links,
}

/// What code needs besides the slots of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Need {
    /// Slots from the root frame's function on.
    slots: u32,
    /// Frames above the root frame.
    frames: u32,
    /// Whether it calls compiled functions, for which there is further room.
    calls: bool,
}

impl Need {
    fn and(self, other: Need) -> Need {
        Need {
            slots: self.slots.max(other.slots),
            frames: self.frames.max(other.frames),
            calls: self.calls || other.calls,
        }
    }
}

/// Most pieces of code that are run one after the other. Who looks at what they cost comes to it then.
const MAX_LINKS: u32 = 500;

/// Fuel until the next try to put more work into code.
const RETRY: i64 = 1_000_000;

/// What a header expects.
type Entry = Box<[SlotTag]>;

/// How a run of compiled code ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was no room for it, or the values had other types.
    NotEntered,
    /// It left through a snapshot of a tree, its own or that of a function that it has called; the VM stands where that says.
    Left(usize, SnapId),
    /// The same, in front of a loop: a check of all rounds at once does not hold.
    LeftAhead(usize, SnapId),
    /// The current frame stands in front of the first instruction of a function that replaces the one before.
    Replaced,
    /// The root frame's function returns: so many results are at its slot.
    Returned(u32),
    /// A call out of it did not come back; the VM knows how to go on.
    LeftOver,
}

fn needs_frame(tree: &Tree) -> bool {
    let looks = |inst: &Inst| inst.op == Op::CallOut || inst.helper() == Some(Helper::VarArg);
    tree.insts.iter().any(looks) || tree.segments.iter().any(|segment| matches!(segment.end, End::Tail(..)))
}

/// What compiled code must know of a VM.
pub fn environment(exits: &Pin<Box<Exits>>, callable: Option<Callable>, exit_every: u32) -> Environment {
    Environment {
        fuel: VM_OFFSETS.fuel as i32,
        heap_bytes: VM_OFFSETS.heap_bytes as i32,
        heap_threshold: VM_OFFSETS.heap_threshold as i32,
        heap_free: VM_OFFSETS.heap_free as i32,
        heap_white: VM_OFFSETS.heap_white as i32,
        scratch: VM_OFFSETS.scratch as i32,
        helpers: helpers::addresses(),
        barriers: helpers::barriers(),
        room: VM_OFFSETS.room as i32,
        callable,
        spare: exits.spare,
        calls: Calls {
            tail: calls::tail as *const () as u64,
            go_on: calls::go_on as *const () as u64,
            unwound: calls::unwound as *const () as u64,
            left_open: calls::left_open as *const () as u64,
            settle: calls::settle as *const () as u64,
        },
        call_out: calls::call_out as *const () as u64,
        exits: std::ptr::from_ref::<Exits>(exits).expose_provenance() as u64,
        exit_every,
    }
}

impl Compiled {
    /// Code that was made with the environment of `exits`, with the way in if it is that of a function. More work is worth
    /// being put into it when it has spent some fuel.
    pub fn new(
        code: CodeBlock,
        exits: Pin<Box<Exits>>,
        tree: &Tree,
        notes: &Notes,
        function: Option<Rc<Gate>>,
        until_worth_more: Option<i64>,
    ) -> Compiled {
        let is_function = function.is_some();
        let gate = function.or_else(|| Some(notes.functions.first()?.gate().clone()));
        if let Some(gate) = &gate {
            gate.lower_per_frame(exits.per_frame());
        }
        let types = |id| entry_types(tree, id).into_iter().map(|(slot, ty)| SlotTag { slot, tag: ty as u8 }).collect();
        let entries = tree.header_ids().map(types).collect();
        let need = Need { slots: exits.slots(), frames: notes.frames + 1, calls: !notes.functions.is_empty() };
        Compiled {
            code,
            exits,
            entries,
            need,
            need_of_all: Cell::new(need),
            most_fuel: tree.most_fuel(),
            first_written: tree.first_written(),
            until_worth_more: Cell::new(until_worth_more),
            gate,
            is_function,
            needs_frame: needs_frame(tree),
            links: Links::default(),
        }
    }

    /// Lets a fragment of the tree go on where this code, or another fragment, leaves.
    pub fn link(self: &Rc<Compiled>, fragment: &Fragment, code: Rc<Compiled>) {
        self.need_of_all.set(self.need_of_all.get().and(code.need));
        self.links.add(self, fragment, code);
    }

    /// How many inputs of a header of the tree the code, or the fragment that has the header, looks at when it is entered there.
    pub fn checked_inputs(&self, header: HeaderId) -> usize {
        self.entries.get(header.index()).map_or_else(|| self.links.checked_inputs(header), |entry| entry.len())
    }

    /// The tags that are known to be in places where a fragment of the tree would begin.
    pub fn found_at(&self, start: SnapId) -> Box<[SlotTag]> {
        self.links.found_at(self, start)
    }

    /// What code that enters this at a header must see to.
    fn expected(&self, header: HeaderId) -> impl Iterator<Item = SlotTag> {
        let found = if header == fragment::ENTRY.0 { &*self.exits.found } else { &[] };
        self.entries[header.index()].iter().chain(found).copied()
    }

    /// How often fragments have gone on since this was asked last.
    pub fn take_followed(&self) -> u32 {
        self.links.take_followed()
    }

    /// Notes that it has spent fuel: whether it has spent so much by now that more work is worth being put into it. If that
    /// cannot be done, the same is asked after some more.
    #[inline]
    pub fn has_proved_itself(&self, spent: i64) -> bool {
        let Some(left) = self.until_worth_more.get() else { return false };
        // The counter may have been filled up meanwhile, by a call.
        let left = left - spent.max(0);
        self.until_worth_more.set(Some(if left > 0 { left } else { RETRY }));
        left <= 0
    }

    /// Whether more work can be put into it.
    pub fn is_quick(&self) -> bool {
        self.until_worth_more.get().is_some()
    }

    /// Bytes of memory that the code takes, its fragments among it.
    pub fn bytes(&self) -> usize {
        self.code.bytes() + self.links.bytes()
    }

    /// Where the code begins.
    pub fn address(&self) -> *const u8 {
        self.code.address()
    }

    /// Its exits.
    pub fn exits(&self) -> *const Exits {
        std::ptr::from_ref::<Exits>(&self.exits)
    }

    /// With less fuel the code leaves at once.
    pub fn most_fuel(&self) -> i64 {
        i64::from(self.most_fuel)
    }

    /// Runs the code from a header on, and the fragments that go on where it leaves.
    ///
    /// # Safety
    /// The current frame stands at the header, and is one that the tree was recorded for; its `pc` is stored. The VM is
    /// exclusively the caller's.
    pub unsafe fn run(&self, vm: *mut Vm, header: HeaderId) -> Outcome {
        // SAFETY: the caller's duty. Where code has left, the root frame is still the current one and its slots hold what the
        // snapshot says: so they do at the fragment's entry, or the header that comes next.
        unsafe {
            let need = self.need_of_all.get();
            let has_room =
                compiled::has_room(vm, need.slots, need.frames) || compiled::make_room(vm, need.slots, need.frames);
            if !has_room {
                return Outcome::NotEntered;
            }
            if !compiled::have_tags(compiled::registers(vm), &self.entries[header.index()]) {
                return Outcome::NotEntered;
            }
            let per_frame = self.gate.as_ref().map_or(1, |gate| gate.per_frame());
            let before = compiled::enter_room(vm, need.calls, self.first_written, per_frame);
            let outcome = self.run_pieces(vm, header);
            compiled::leave_room(vm, before);
            outcome
        }
    }

    /// As [`Compiled::run`], when the state fits and the VM knows of the room. From the second piece on the stack stays as it is: it has
    /// values that no frame tells of.
    unsafe fn run_pieces(&self, vm: *mut Vm, header: HeaderId) -> Outcome {
        let (mut code, mut header) = (self, header);
        let mut left: Option<(&Compiled, &Exit, u32)> = None;
        // SAFETY: as `run`; what `onward` gives is a link of ours. Code that calls out may move the stack, nothing else does.
        unsafe {
            let mut base = compiled::registers(vm);
            for count in 0.. {
                let status = code.enter(vm, base, header);
                if status < 0 {
                    match left {
                        Some((code, exit, n)) if status == MISMATCH => return code.leave(vm, exit, n),
                        _ => return code.ended(vm, status),
                    }
                }
                let n = status as u32;
                let exit = code.exits.exit(n);
                base = compiled::registers(vm);
                exit.complete(vm, base, exit.fuel);
                // Whoever looks at what going on costs must come to it at times.
                let onward = if count < MAX_LINKS { self.onward(exit, n) } else { None };
                let Some(link) = onward.filter(|link| Self::can_enter(vm, base, link)) else {
                    return code.leave(vm, exit, n);
                };
                left = Some((code, exit, n));
                (code, header) = (link.code(), link.header);
            }
            Outcome::NotEntered
        }
    }

    /// What goes on where this code, or one of its fragments, has left by exit `n`.
    #[inline]
    fn onward<'a>(&self, exit: &'a Exit, n: u32) -> Option<&'a Link> {
        let link = exit.next.get().filter(|_| n < AHEAD)?;
        self.links.follow(link);
        Some(link)
    }

    /// Enters the code at a header: a status.
    ///
    /// # Safety
    /// Its registers begin at `base`, have what the header expects, and there is room for its slots.
    #[inline]
    unsafe fn enter(&self, vm: *mut Vm, base: *mut Value, header: HeaderId) -> i64 {
        // SAFETY: the caller's duty; the block holds a function of this signature, made for this very VM layout.
        unsafe {
            match &self.gate {
                Some(gate) if self.is_function => {
                    enter_function(gate, vm, base, u64::from(header.0), self.code.address())
                }
                Some(_) | None => {
                    let code = std::mem::transmute::<*const u8, Code>(self.code.address());
                    code(vm, base, u64::from(header.0))
                }
            }
        }
    }

    /// Makes the frames of the state that the code has left in by exit `n`, which is complete.
    ///
    /// # Safety
    /// It has just left, and nothing has run since.
    unsafe fn leave(&self, vm: *mut Vm, exit: &Exit, n: u32) -> Outcome {
        // SAFETY: the state is as the snapshot tells.
        unsafe { compiled::push_frames(vm, &exit.frames, exit.pc, exit.top) };
        self.exits.outcome(n)
    }

    /// Whether the code that a link leads to can be entered as things stand, and if so, lets the VM know which slots it writes.
    ///
    /// # Safety
    /// The root frame, whose registers begin at `base`, is the current one, and the link is of the exit that was just left by, whose
    /// state is complete.
    #[inline]
    unsafe fn can_enter(vm: *mut Vm, base: *const Value, link: &Link) -> bool {
        // SAFETY: the link's code is kept by the tree's own, which the caller runs. The slots that are looked at are below those that the
        // VM has made room for, as `has_room` says of the code's. That the tags which are not looked at are there, the exit sees to, whose
        // state is complete by the caller's duty: see `Exit::known`. The room's addresses are those of this stack: `enter_room` has
        // measured it, and a call out does so again when it is back.
        unsafe {
            let code = link.code();
            let fits =
                compiled::has_room(vm, code.need.slots, code.need.frames) && compiled::have_tags(base, &link.unknown);
            if fits {
                debug_assert!(code.finds_tags(base, link.header));
                let per_frame = code.gate.as_ref().map_or(u32::MAX, |gate| gate.per_frame());
                compiled::set_written(vm, code.first_written, per_frame);
            }
            fits
        }
    }

    /// Whether all is as the code expects at a header.
    ///
    /// # Safety
    /// Its registers begin at `base`, and there is room for its slots.
    unsafe fn finds_tags(&self, base: *const Value, header: HeaderId) -> bool {
        // SAFETY: the slots of a header's inputs are among those that the caller has seen room for.
        self.expected(header).all(|tag| unsafe { compiled::have_tags(base, &[tag]) })
    }

    /// Runs the code as that of the function in slot `func`, which host code calls. It gets a frame only when it leaves.
    ///
    /// # Safety
    /// The code is that of the function, whose arguments are behind it. The VM is exclusively the caller's.
    #[inline]
    pub unsafe fn call(&self, vm: *mut Vm, func: *mut Value, nresults: i32) -> Outcome {
        // SAFETY: the caller's duty; code of functions looks at the types of its arguments itself, and for room.
        unsafe {
            let may_run = self.is_function && !self.need.calls && (*vm).fuel_left() > self.most_fuel();
            let Some(gate) = self.gate.as_ref().filter(|_| may_run) else { return Outcome::NotEntered };
            let before = compiled::enter_called(vm, func, self.need.slots, self.first_written);
            let status = enter_function(gate, vm, func.add(1), u64::from(ANY_VERSION), self.code.address());
            let outcome = match status {
                n if n <= RETURNED => Outcome::Returned((RETURNED - n) as u32),
                MISMATCH => {
                    compiled::refuse_called(vm);
                    Outcome::NotEntered
                }
                status => {
                    compiled::push_called(vm, func, nresults);
                    self.left(vm, status)
                }
            };
            compiled::leave_room(vm, before);
            outcome
        }
    }

    /// How a run of the code has ended that has returned a status.
    ///
    /// # Safety
    /// The code has just returned the status.
    unsafe fn left(&self, vm: *mut Vm, status: i64) -> Outcome {
        // SAFETY: the state is as the snapshot tells, whose number the code has returned.
        unsafe {
            let Ok(n) = u32::try_from(status) else { return self.ended(vm, status) };
            let exit = self.exits.exit(n);
            exit.complete(vm, compiled::registers(vm), exit.fuel);
            self.leave(vm, exit, n)
        }
    }

    /// The same for a status that is not the number of an exit.
    ///
    /// # Safety
    /// As [`Compiled::left`].
    unsafe fn ended(&self, vm: *mut Vm, status: i64) -> Outcome {
        // SAFETY: the caller's duty.
        unsafe {
            match status {
                MISMATCH => Outcome::NotEntered,
                CALLED => Outcome::LeftOver,
                UNWOUND => calls::make_unwound(vm),
                TAIL => {
                    compiled::replace_function(vm);
                    Outcome::Replaced
                }
                n => Outcome::Returned((RETURNED - n) as u32),
            }
        }
    }
}

/// The code of a tree that is no function.
type Code = unsafe extern "C" fn(*mut Vm, *mut Value, u64) -> i64;

/// A [`Gate`].
type Enter = unsafe extern "C" fn(*mut Vm, *mut Value, u64, *const u8) -> i64;

/// Runs the code of a function from a header on, or from whichever version of its entry fits.
///
/// # Safety
/// The code is that of a tree which compiled code can call, made for this VM, whose gate this is. Its registers begin at
/// `base`, and have what the header expects, if one is named.
#[inline]
unsafe fn enter_function(gate: &Gate, vm: *mut Vm, base: *mut Value, header: u64, code: *const u8) -> i64 {
    // SAFETY: a gate is a function of this signature; the rest is the caller's duty.
    unsafe {
        let enter = std::mem::transmute::<*const u8, Enter>(gate.address());
        enter(vm, base, header, code)
    }
}
