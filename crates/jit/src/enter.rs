//! Running compiled trees: the way in, the calls out, and what is left behind at an exit.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;

use perilune_codegen::{
    AHEAD, ANY_VERSION, CALLED, Callable, Calls, Environment, MISMATCH, RETURNED, TAIL, UNWOUND, entry_types,
    exit_tables, exit_writes, spare_slots,
};
use perilune_runtime::value::Value;
use perilune_trace::fragment::{self, Fragment, Way};
use perilune_trace::ir::{End, HeaderId, Inputs, SnapId, Tree};
use perilune_vm::Vm;
use perilune_vm::compiled::{self, FrameImage, SlotImage, TableImage, Unwound};
use perilune_vm::frame;
use perilune_vm::tier::VM_OFFSETS;

use crate::code::CodeBlock;
use crate::function::Function;
use crate::gate::Gate;
use crate::helpers;
use crate::link::{Link, Links};
use crate::record::Notes;

/// What the runner knows of each snapshot.
#[derive(Clone, Debug)]
struct Exit {
    /// Where execution stands then, as the tree has it.
    snap: SnapId,
    /// What may go on there.
    onward: Onward,
    pc: u32,
    frames: Box<[FrameImage]>,
    top: Option<u32>,
    writes: Box<[SlotImage]>,
    tables: Box<[TableImage]>,
    fuel: u32,
}

impl Exit {
    /// Completes the state that the code has left, which costs so much fuel.
    ///
    /// # Safety
    /// The code, whose registers begin at `base`, has left through this exit.
    unsafe fn complete(&self, vm: *mut Vm, base: *mut Value, fuel: u32) {
        // SAFETY: the caller's duty. The tables' shapes and metatables are constants of the tree, which its notes keep alive; the
        // pass `sink` has bounded their properties, and verified that slots name all of them.
        unsafe {
            compiled::complete(vm, base, &self.writes, fuel);
            compiled::make_tables(vm, base, &self.tables);
        }
    }
}

/// What may go on where code has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Onward {
    /// A fragment that begins at the snapshot, if there is one.
    Fragment,
    /// The code of a header of the tree.
    Header(HeaderId),
    /// Only the interpreter.
    Nothing,
}

/// The exits of a tree, where its code finds them.
#[derive(Debug)]
pub struct Exits {
    tree: usize,
    exits: Vec<Exit>,
    /// The first of the slots that sunk tables are handed over in, and the one behind the last.
    spare: u32,
    end: u32,
}

impl Exits {
    /// The exits of a tree, which has `slots` slots of its own.
    pub fn of(at: usize, tree: &Tree, slots: u32) -> Pin<Box<Exits>> {
        Exits::with(at, tree, slots, |snap| (snap, Onward::Fragment))
    }

    /// Those of a fragment of a tree, as the passes have left it.
    pub fn of_fragment(at: usize, fragment: &Fragment, tree: &Tree, slots: u32) -> Pin<Box<Exits>> {
        Exits::with(at, tree, slots, |snap| {
            let Way { snap: in_tree, joins } = fragment.ways[snap.index()];
            let onward = match joins {
                Some(header) => Onward::Header(header),
                // It is what was to go on there, and cannot.
                None if snap == fragment::ENTRY.1 => Onward::Nothing,
                None => Onward::Fragment,
            };
            (in_tree, onward)
        })
    }

    fn with(at: usize, tree: &Tree, slots: u32, way: impl Fn(SnapId) -> (SnapId, Onward)) -> Pin<Box<Exits>> {
        let spare = slots + 1;
        let ids = (0..).map(SnapId);
        let inputs = Inputs::of(tree);
        let exits = tree.snapshots.iter().zip(ids).map(|(snapshot, id)| Exit {
            snap: way(id).0,
            onward: way(id).1,
            pc: snapshot.pc,
            writes: exit_writes(tree, &inputs, id, spare)
                .into_iter()
                .map(|write| SlotImage { slot: write.slot, tag: write.ty as u8, payload: write.payload })
                .collect(),
            tables: exit_tables(tree, id, spare).into_iter().map(table_image).collect(),
            fuel: snapshot.fuel,
            frames: snapshot
                .frames
                .iter()
                .map(|frame| FrameImage {
                    func: frame.func,
                    base: frame.base,
                    extra: frame.extra,
                    lost: frame.lost,
                    protected: frame.protected,
                    handled: frame.handled,
                    return_pc: frame.return_pc,
                    nresults: frame.nresults,
                    flags: frame.flags,
                })
                .collect(),
            top: snapshot.top,
        });
        Box::pin(Exits { tree: at, exits: exits.collect(), spare, end: slots + spare_slots(tree) })
    }

    /// The exit that a returned number means.
    fn exit(&self, number: u32) -> &Exit {
        &self.exits[(number & !AHEAD) as usize]
    }

    /// How a run has ended that has returned this number.
    fn outcome(&self, number: u32) -> Outcome {
        let snap = self.exit(number).snap;
        if number < AHEAD { Outcome::Left(self.tree, snap) } else { Outcome::LeftAhead(self.tree, snap) }
    }

    /// How many slots the code may touch, those for sunk tables among them.
    pub fn slots(&self) -> u32 {
        self.end
    }

    /// How many slots are at least from the function of a frame to that of the next.
    fn per_frame(&self) -> u32 {
        let mut least = u32::MAX;
        for exit in &self.exits {
            let mut below = 0;
            for frame in exit.frames.iter().filter(|frame| frame.func > 0) {
                let distance = frame.func - below;
                // There is the frame of the protected call between them.
                least = least.min(if frame.protected.is_some() { distance / 2 } else { distance });
                below = frame.func;
            }
        }
        least.max(1)
    }
}

fn table_image(image: perilune_codegen::TableImage) -> TableImage {
    let perilune_codegen::TableImage { shape, meta, first, count, elements, slots } = image;
    TableImage { shape, meta, first, count, elements, slots: slots.into() }
}

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
    /// Whether it may call a function in the place of its own.
    is_replaced: bool,
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

/// How a run of one piece of code has ended.
enum Ran {
    /// There was no room for it, or the values had other types.
    Refused,
    /// It has left by this exit, whose state is complete but for the frames.
    Left(u32),
    /// Otherwise.
    Ended(Outcome),
}

/// Most pieces of code that are run one after the other. Who looks at what they cost comes to it then.
const MAX_LINKS: u32 = 500;

/// Fuel until the next try to put more work into code.
const RETRY: i64 = 1_000_000;

/// What a header expects.
type Entry = Box<[(u32, u8)]>;

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
            tail: tail as *const () as u64,
            go_on: go_on as *const () as u64,
            unwound: unwound as *const () as u64,
            left_open: left_open as *const () as u64,
            settle: settle as *const () as u64,
        },
        call_out: call_out as *const () as u64,
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
        let types = |id| entry_types(tree, id).into_iter().map(|(slot, ty)| (slot, ty as u8)).collect();
        let entries = tree.header_ids().map(types).collect();
        let need = Need { slots: exits.slots(), frames: notes.frames + 1, calls: !notes.functions.is_empty() };
        Compiled {
            code,
            exits,
            entries,
            need,
            need_of_all: Cell::new(need),
            most_fuel: tree.most_fuel(),
            // Where nothing is written, what lies above the tree's slots is none of its own.
            first_written: tree.first_written().min(notes.slots),
            until_worth_more: Cell::new(until_worth_more),
            gate,
            is_function,
            is_replaced: tree.segments.iter().any(|segment| matches!(segment.end, End::Tail(..))),
            links: Links::default(),
        }
    }

    /// Lets a fragment of the tree go on where this code, or another fragment, leaves.
    pub fn link(&self, fragment: &Fragment, code: Rc<Compiled>) {
        self.need_of_all.set(self.need_of_all.get().and(code.need));
        self.links.add(fragment, code);
    }

    /// How many inputs of a header of the tree the code, or the fragment that has the header, looks at when it is entered there.
    pub fn checked_inputs(&self, header: HeaderId) -> usize {
        match (self.entries.get(header.index()), self.links.of_header(header)) {
            (Some(entry), _) => entry.len(),
            (None, Some(Link { code: Some(code), header })) => code.entries[header.index()].len(),
            (None, _) => 0,
        }
    }

    /// How often fragments have gone on since this was asked last.
    pub fn take_followed(&self) -> u32 {
        self.links.take_followed()
    }

    /// Notes that it has spent fuel: whether it has spent so much by now that more work is worth being put into it. If that
    /// cannot be done, the same is asked after some more.
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
            if !compiled::make_room(vm, need.slots, need.frames) {
                return Outcome::NotEntered;
            }
            let mut next = Link { code: None, header };
            let mut left: Option<(Link, u32)> = None;
            for _ in 0..MAX_LINKS {
                let code = next.code.as_deref().unwrap_or(self);
                // From the second one on the stack must stay as it is: it has values that no frame tells of.
                match code.run_piece(vm, next.header, need.calls && left.is_none()) {
                    Ran::Ended(outcome) => return outcome,
                    Ran::Refused => break,
                    Ran::Left(n) => {
                        let onward = self.onward(code, n);
                        left = Some((next, n));
                        match onward {
                            Some(link) => next = link,
                            None => break,
                        }
                    }
                }
            }
            match left {
                Some((Link { code, .. }, n)) => code.as_deref().unwrap_or(self).leave(vm, n),
                None => Outcome::NotEntered,
            }
        }
    }

    /// The code that goes on where `code`, which is this or one of its fragments, has left by exit `n`.
    fn onward(&self, code: &Compiled, n: u32) -> Option<Link> {
        if n >= AHEAD {
            return None;
        }
        let exit = code.exits.exit(n);
        match exit.onward {
            Onward::Nothing => None,
            Onward::Fragment => self.links.at(exit.snap),
            Onward::Header(header) if header.index() < self.entries.len() => Some(Link { code: None, header }),
            Onward::Header(header) => self.links.of_header(header),
        }
    }

    /// As [`Compiled::run`] from where this code, which compiled code has called, has left by exit `n` on; its registers begin at
    /// `base`. A status as that of code. Unless it is `n`, what has not returned is noted to be unwound.
    ///
    /// # Safety
    /// The code has just left, and its caller waits.
    unsafe fn go_on_inside(&self, vm: *mut Vm, base: *mut Value, n: u32) -> i64 {
        let mut last = Link { code: None, header: HeaderId::ROOT };
        let (mut left, mut is_first) = (n, true);
        // SAFETY: the caller's duty. Code of functions never calls out, nor looks at the frame, so that it needs none; nothing
        // collects, so that what it holds needs no root.
        unsafe {
            loop {
                let code = last.code.as_deref().unwrap_or(self);
                let exit = code.exits.exit(left);
                let next = if left < AHEAD { self.onward(code, left) } else { None };
                let fits = |link: &Link| {
                    let code = link.code.as_deref().unwrap_or(self);
                    !code.is_replaced && compiled::has_room_inside(vm, base, code.need.slots)
                };
                let Some(next) = next.filter(fits) else {
                    if is_first {
                        return i64::from(n);
                    }
                    code.note_left(vm, left, false);
                    return UNWOUND;
                };
                exit.complete(vm, base, exit.fuel);
                let piece = next.code.as_deref().unwrap_or(self);
                let has_tags = compiled::have_tags(base, &piece.entries[next.header.index()]);
                let status = if has_tags { piece.enter(vm, base, next.header) } else { MISMATCH };
                if status == MISMATCH {
                    code.note_left(vm, left, true);
                    return UNWOUND;
                }
                if status < 0 {
                    return status;
                }
                (left, last, is_first) = (status as u32, next, false);
            }
        }
    }

    /// Notes that the code, which compiled code has called, has left by exit `n`, and whether the slots are as that says.
    unsafe fn note_left(&self, vm: *mut Vm, n: u32, is_complete: bool) {
        let exits = self.exits().expose_provenance() as u64;
        // SAFETY: the VM is ours.
        unsafe {
            (*vm).push_unwound(Unwound { exits, snap: n, top: None, flags: 0, is_paid: is_complete, is_complete });
        }
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

    /// Makes the frames of the state that the code has left in by exit `n`.
    ///
    /// # Safety
    /// It has just left, and nothing has run since.
    unsafe fn leave(&self, vm: *mut Vm, n: u32) -> Outcome {
        let exit = self.exits.exit(n);
        // SAFETY: the state is as the snapshot tells.
        unsafe { compiled::push_frames(vm, &exit.frames, exit.pc, exit.top) };
        self.exits.outcome(n)
    }

    /// Runs this code from a header on, after room was made for calls if `makes_room`.
    ///
    /// # Safety
    /// As [`Compiled::run`], but the header may be one of inlined calls, whose frames are not made; then nothing makes room.
    unsafe fn run_piece(&self, vm: *mut Vm, header: HeaderId, makes_room: bool) -> Ran {
        // SAFETY: the caller's duty; the block holds a function of this signature, made for this very VM layout.
        unsafe {
            if !compiled::has_room(vm, self.need.slots, self.need.frames) {
                return Ran::Refused;
            }
            if !compiled::have_tags(compiled::registers(vm), &self.entries[header.index()]) {
                return Ran::Refused;
            }
            let per_frame = self.gate.as_ref().map_or(1, |gate| gate.per_frame());
            let before = compiled::enter_room(vm, makes_room, self.first_written, per_frame);
            let status = self.enter(vm, compiled::registers(vm), header);
            let ran = self.ran(vm, status);
            compiled::leave_room(vm, before);
            ran
        }
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
                    match self.ran(vm, status) {
                        Ran::Refused => Outcome::NotEntered,
                        Ran::Left(n) => self.leave(vm, n),
                        Ran::Ended(outcome) => outcome,
                    }
                }
            };
            compiled::leave_room(vm, before);
            outcome
        }
    }

    /// What a status of the code means. Where it has left, the state gets to be as the snapshot tells, but for frames.
    ///
    /// # Safety
    /// The code has just returned the status.
    unsafe fn ran(&self, vm: *mut Vm, status: i64) -> Ran {
        // SAFETY: the state is as the snapshot tells, whose number the code has returned.
        unsafe {
            match status {
                MISMATCH => Ran::Refused,
                CALLED => Ran::Ended(Outcome::LeftOver),
                UNWOUND => Ran::Ended(make_unwound(vm)),
                TAIL => {
                    compiled::replace_function(vm);
                    Ran::Ended(Outcome::Replaced)
                }
                n if n <= RETURNED => Ran::Ended(Outcome::Returned((RETURNED - n) as u32)),
                n => {
                    let exit = self.exits.exit(n as u32);
                    exit.complete(vm, compiled::registers(vm), exit.fuel);
                    Ran::Left(n as u32)
                }
            }
        }
    }
}

/// Makes the frames of the calls in the middle of which execution has left.
///
/// # Safety
/// Compiled code has just returned [`UNWOUND`].
unsafe fn make_unwound(vm: *mut Vm) -> Outcome {
    // SAFETY: the exits live as long as the code that has noted them: the runner keeps that of the outermost frame, cells keep
    // that of the others, and nothing was compiled or flushed since. The outermost call comes first, so that each frame is
    // there when what lies above it is made; that slots and frames are there, the code has checked at each call (`Room`).
    unsafe {
        let mut innermost = Outcome::NotEntered;
        let mut depth = 0;
        while let Some(Unwound { exits, snap, top, flags, is_paid, is_complete }) = (*vm).pop_unwound() {
            let exits = &*std::ptr::with_exposed_provenance::<Exits>(exits as usize);
            let exit = exits.exit(snap);
            if !is_complete {
                exit.complete(vm, compiled::registers(vm), if is_paid { 0 } else { exit.fuel });
            }
            if let (Some(callee), Some((exits, snap))) = (exit.frames.last(), (*vm).last_unwound()) {
                // Its frame needs the function, which may have been in a register.
                let exits = &*std::ptr::with_exposed_provenance::<Exits>(exits as usize);
                let writes = &exits.exit(snap).writes;
                if let Some(function) = writes.iter().find(|write| write.slot == 0) {
                    let function = SlotImage { slot: callee.func, ..*function };
                    compiled::complete(vm, compiled::registers(vm), &[function], 0);
                }
            }
            compiled::push_frames(vm, &exit.frames, exit.pc, top.or(exit.top));
            compiled::add_flags(vm, flags);
            innermost = exits.outcome(snap);
            depth += 1;
        }
        compiled::left_calls(vm, depth);
        innermost
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

/// Calls the functions that compiled functions have called in their places; see [`Calls::tail`].
unsafe extern "C" fn tail(vm: *mut Vm, registers: *mut Value) -> i64 {
    // SAFETY: compiled code has just stored a cell. Cells hold code of functions, and a function that is called in
    // another's place finds its arguments where that one had its own.
    unsafe {
        loop {
            let cell = compiled::tail_of(vm);
            let function = std::ptr::with_exposed_provenance::<Function>(cell as usize);
            let status = enter_function((*function).gate(), vm, registers, u64::from(ANY_VERSION), (*function).code());
            if status != TAIL {
                // What it has called may have left others here.
                compiled::set_tail(vm, cell);
                return status;
            }
        }
    }
}

/// Lets fragments of a function go on; see [`Calls::go_on`].
unsafe extern "C" fn go_on(vm: *mut Vm, registers: *mut Value, function: *const Function, status: i64) -> i64 {
    if !(0..i64::from(AHEAD)).contains(&status) {
        return status;
    }
    // SAFETY: compiled code passes the cell of the function that it has called, whose code is the one that has just
    // returned; so is that of the function called last in another's place.
    unsafe {
        let tail = function.is_null().then(|| compiled::tail_of(vm));
        let function = tail.map_or(function, |cell| std::ptr::with_exposed_provenance(cell as usize));
        let Some(compiled) = (*function).compiled() else { return status };
        let status = (*compiled).go_on_inside(vm, registers, status as u32);
        if let Some(cell) = tail {
            // What a fragment has called may have left others here.
            compiled::set_tail(vm, cell);
        }
        status
    }
}

/// A call of a compiled function has not returned; see [`Calls::unwound`].
unsafe extern "C" fn unwound(
    vm: *mut Vm,
    exits: *const Exits,
    snap: u64,
    mut function: *const Function,
    status: i64,
) -> i64 {
    // SAFETY: compiled code passes the exits that it was made with, and the cell of the function that it has called, whose
    // code is the one that has just returned; so is that of the function called last in another's place.
    unsafe {
        let address = |exits: *const Exits| exits.expose_provenance() as u64;
        let mut flags = 0;
        if function.is_null() {
            flags = frame::TAIL;
            function = std::ptr::with_exposed_provenance(compiled::tail_of(vm) as usize);
        }
        if status >= 0
            && let Some(exits) = (*function).exits()
        {
            let snap = status as u32;
            (*vm).push_unwound(Unwound {
                exits: address(exits),
                snap,
                top: None,
                flags: 0,
                is_paid: false,
                is_complete: false,
            });
        }
        // If nothing has run, the caller leaves in front of the function's first instruction.
        (*vm).push_unwound(Unwound {
            exits: address(exits),
            snap: snap as u32,
            top: None,
            flags,
            is_paid: true,
            is_complete: false,
        });
        UNWOUND
    }
}

/// A list of results has another length; see [`Calls::left_open`].
unsafe extern "C" fn left_open(vm: *mut Vm, exits: *const Exits, snap: u64, top: u64) -> i64 {
    // SAFETY: as in `unwound`.
    unsafe {
        let exits = exits.expose_provenance() as u64;
        (*vm).push_unwound(Unwound {
            exits,
            snap: snap as u32,
            top: Some(top as u32),
            flags: 0,
            is_paid: true,
            is_complete: false,
        });
        UNWOUND
    }
}

/// Fills up the results of a function; see [`Calls::settle`].
unsafe extern "C" fn settle(func: *mut Value, count: u64, wanted: u64) {
    // SAFETY: the caller's registers have room for the results that it wants.
    unsafe { compiled::settle(func, count as usize, wanted as usize) }
}

/// Calls a native function out of compiled code; see [`Environment::call_out`].
unsafe extern "C" fn call_out(
    vm: *mut Vm,
    exits: *const Exits,
    snap: u64,
    func: u64,
    nargs: u64,
    nresults: u64,
) -> *mut Value {
    // SAFETY: compiled code passes the exits that it was made with, which live as long as it, and a state as the
    // snapshot tells.
    unsafe {
        let exit = &(&(*exits).exits)[snap as usize];
        compiled::call_out(vm, &exit.frames, exit.pc, func as u32, nargs as u32, nresults as u32)
    }
}
