//! What compiled code asks of the VM: room before it runs, frames when it stops, and calls of native functions.
//!
//! Compiled functions call one another on the host's stack, without frames. When execution leaves in the middle of such
//! calls, each of them notes on its way out what it was doing ([`Unwound`]), and the frames are made from the notes.
//!
//! Compiled code keeps values in machine registers, where the collector does not see them. So two kinds of calls exist:
//!
//! * [`call_out`]: all live values are on the stack, frames included. Anything may happen.
//! * [`call_pure`]: they are not. The VM is *frozen* for the time of the call: it neither collects nor runs Lua code; a
//!   function that wants either fails instead, and whoever called it does so again later in the interpreter.

use std::ptr;

use perilune_bytecode::ops::Op;
use perilune_runtime::heap::Heap;
use perilune_runtime::object::{Direct, LuaClosure, NativeClosure, Proto, StrRef, Table, TableRef};
use perilune_runtime::stack::{Frame, Room};
use perilune_runtime::value::{Tag, Value};

use crate::call::Step;
use crate::frame;
use crate::interp::{concat, pointer};
use crate::native::{MIN_STACK, NativeFn, RETURN_CALL, Raised};
use crate::switch;
use crate::vm::Vm;

/// The frame of a call that compiled code has followed. Slots are counted from the root frame's function.
#[derive(Clone, Copy, Debug)]
pub struct FrameImage {
    /// The function's slot, where the function itself is.
    pub func: u32,
    /// The slot of register 0.
    pub base: u32,
    /// Extra arguments below `base`.
    pub extra: u32,
    /// Calls that tail calls have replaced, where the language counts them.
    pub lost: u32,
    /// If a protected call has called it, whose frame is directly below: how many results that one wants.
    pub protected: Option<i32>,
    /// Whether the protected call has a message handler, in the slot below the function.
    pub handled: bool,
    /// Where its caller goes on.
    pub return_pc: u32,
    /// Results that its caller wants; -1 for all.
    pub nresults: i32,
    /// The frame's flags.
    pub flags: u16,
}

/// The tag of the value in a slot. Slots are counted from the root frame's function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotTag {
    /// The slot.
    pub slot: u32,
    /// The number of the tag.
    pub tag: u8,
}

/// The value of a slot. Slots are counted from the root frame's function.
#[derive(Clone, Copy, Debug)]
pub struct SlotImage {
    /// The slot.
    pub slot: u32,
    /// The value's tag.
    pub tag: u8,
    /// The payload.
    pub payload: u64,
}

/// A table that compiled code has not made, for an exit that needs it. Slots are counted from the root frame's function.
#[derive(Clone, Debug)]
pub struct TableImage {
    /// The address of its shape.
    pub shape: u64,
    /// The address of its metatable, or 0.
    pub meta: u64,
    /// The slot with its first property; the others are behind it, and behind them its elements.
    pub first: u32,
    /// How many properties it has.
    pub count: u32,
    /// How many elements it has; the last of them is not nil.
    pub elements: u32,
    /// The slots that get it: registers, and parts of other such tables.
    pub slots: Box<[u32]>,
}

/// Whether slots have the tags that compiled code expects, counted from the function below `base`.
///
/// # Safety
/// The slots are on the stack.
#[inline]
pub unsafe fn have_tags(base: *const Value, expected: &[SlotTag]) -> bool {
    // SAFETY: the caller's duty.
    expected.iter().all(|SlotTag { slot, tag }| unsafe { (*base.add(*slot as usize).sub(1)).tag as u8 == *tag })
}

/// The registers of the current frame.
///
/// # Safety
/// There is one.
#[inline]
pub unsafe fn registers(vm: *const Vm) -> *mut Value {
    // SAFETY: the caller's duty.
    unsafe { (*(*(*vm).thread).frame).base }
}

/// Completes the state that compiled code has left: slots get what the code did not store, some of them a tag alone, and the path is
/// paid for.
///
/// # Safety
/// The code's registers begin at `base`; the tags are numbers of tags, and go with what is in the slots.
#[inline]
pub unsafe fn complete(vm: *mut Vm, base: *mut Value, tags: &[SlotTag], values: &[SlotImage], fuel: u32) {
    // SAFETY: the caller's duty: `make_room` has made room for the slots, and the tags are the numbers of types of Lua values,
    // which the trace IR numbers as tags are.
    unsafe {
        (*vm).fuel -= i64::from(fuel);
        let root = base.sub(1);
        for SlotTag { slot, tag } in tags {
            (*root.add(*slot as usize)).tag = std::mem::transmute::<u8, Tag>(*tag);
        }
        for SlotImage { slot, tag, payload } in values {
            let place = root.add(*slot as usize);
            (*place).tag = std::mem::transmute::<u8, Tag>(*tag);
            (*place).payload = *payload;
        }
    }
}

/// Makes the tables of an exit, and puts them where they belong. Nothing is collected, nor refused for the memory limit: it
/// is the next allocation that pays for both.
///
/// # Safety
/// As for [`complete`], which has run. Shapes are of this VM and not the dictionary shape, and have `count` properties, of
/// which there are no more than a cell has room for; metatables are live tables; each table is in one of its `slots`.
pub unsafe fn make_tables(vm: *mut Vm, base: *mut Value, tables: &[TableImage]) {
    // SAFETY: the caller's duty: the pass `sink` bounds `count`, so that each table has room for its properties, and `make_room`
    // has made room for the slots. The new tables are white, and nothing collects before all of them are in their places: no
    // barrier is needed.
    unsafe {
        let root = base.sub(1);
        for table in tables {
            let shape = ptr::with_exposed_provenance_mut(table.shape as usize);
            let values = root.add(table.first as usize);
            let made = (*vm).heap.new_record(shape, values, table.count as u16);
            (*made.as_ptr()).meta = ptr::with_exposed_provenance_mut(table.meta as usize);
            for slot in &table.slots {
                *root.add(*slot as usize) = Value::table(made);
            }
        }
        for table in tables {
            // Each is in a slot, or it would not be made.
            let Some(slot) = table.slots.first() else { continue };
            let made = pointer::<Table>(*root.add(*slot as usize));
            debug_assert!(u32::from((*made).slot_cap) >= table.count);
            let parts = root.add(table.first as usize);
            ptr::copy_nonoverlapping(parts, (*made).slots, table.count as usize);
            if table.elements > 0 {
                let elements = std::slice::from_raw_parts(parts.add(table.count as usize), table.elements as usize);
                TableRef::from_ptr(made).fill_unlimited(&mut (*vm).heap, elements);
            }
        }
    }
}

/// Makes room for `slots` slots above the current frame's function and for `frames` frames; false if there cannot be any.
///
/// # Safety
/// The current frame is a Lua frame.
pub unsafe fn make_room(vm: *mut Vm, slots: u32, frames: u32) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        let th = (*vm).thread;
        let base = (*(*th).frame).base;
        if base.add(slots as usize) > (*th).stack_limit {
            (*th).top = (*(*th).frame).top;
            if (*vm).has_stack_for(slots as usize) && (*vm).ensure_stack(slots as usize).is_ok() {
                return make_room(vm, slots, frames);
            }
            return false;
        }
        if (*th).frame.add(frames as usize) > (*th).frames_limit {
            if !(*vm).heap.may_grow_frames(th, frames as usize) {
                return false;
            }
            return (*vm).heap.grow_frames(th).is_ok() && make_room(vm, slots, frames);
        }
        true
    }
}

/// Whether there is room, as [`make_room`] would make it. Nothing moves.
///
/// # Safety
/// The current frame is a Lua frame.
#[inline]
pub unsafe fn has_room(vm: *const Vm, slots: u32, frames: u32) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        let th = (*vm).thread;
        let (base, frame) = ((*(*th).frame).base, (*th).frame);
        base.wrapping_add(slots as usize) <= (*th).stack_limit
            && frame.wrapping_add(frames as usize) <= (*th).frames_limit
    }
}

/// Whether there is room for `slots` slots of code that compiled code has called, from the function below `base` on.
///
/// # Safety
/// Compiled code runs.
#[inline]
pub unsafe fn has_room_inside(vm: *const Vm, base: *const Value, slots: u32) -> bool {
    let here = 0_u8;
    // SAFETY: the caller's duty.
    let room = unsafe { &(*vm).room };
    let end = base.wrapping_add(slots as usize).addr() as u64;
    end <= room.slots_end && std::ptr::from_ref(&here).addr() as u64 >= room.host_end
}

/// What a call inside compiled code was in the middle of when execution left: the state that one of the exits of its code
/// tells. The VM only keeps it.
#[derive(Clone, Copy, Debug)]
pub struct Unwound {
    /// The exits of the code, an address that the tier knows.
    pub exits: u64,
    /// The number of the exit.
    pub snap: u32,
    /// The slot behind an open list of results, where it is not as the exit says.
    pub top: Option<u32>,
    /// Flags of its innermost frame besides those that the exit tells.
    pub flags: u16,
    /// Whether what the path has cost is paid.
    pub is_paid: bool,
    /// Whether the slots are as the exit says already.
    pub is_complete: bool,
}

/// Frames that code which calls compiled functions gets at first, if there are so many.
pub(crate) const CALL_FRAMES: u32 = 250;

/// Most of them, once calls have been deep.
const MAX_CALL_FRAMES: u32 = 4000;

/// For each call inside compiled code when execution left it, there is to be room for so many: they may be deeper the next
/// time, and their frames larger than [`SLOTS_PER_CALL`].
const FRAMES_PER_CALL: u32 = 8;

/// Stack slots for each of them.
const SLOTS_PER_CALL: u32 = 8;

/// Bytes of the host's stack that calls inside compiled code may use.
const HOST_ROOM: u64 = 512 << 10;

/// Notes how much room there is for calls inside compiled code that is about to run from the current frame on, and makes
/// more if it `calls`. It writes no slot below the one with the number `unwritten`, and each of its calls begins `per_frame` slots
/// above the one before, or more. What was noted before is returned, and goes to [`leave_room`].
///
/// # Safety
/// The current frame is a Lua frame, and [`make_room`] has made room for the code itself.
#[inline]
pub unsafe fn enter_room(vm: *mut Vm, calls: bool, unwritten: u32, per_frame: u32) -> Room {
    // SAFETY: the caller's duty.
    unsafe {
        if calls {
            // If there cannot be so much, what there is must do.
            let (slots, frames) = ((*vm).call_frames * SLOTS_PER_CALL, (*vm).call_frames);
            let _ = has_room(vm, slots, frames) || make_room(vm, slots, frames);
        }
        let before = (*vm).room;
        if before.host_end == 0 {
            let here = 0_u8;
            (*vm).room.host_end = (std::ptr::from_ref(&here).addr() as u64).saturating_sub(HOST_ROOM);
        }
        (*vm).room.unwritten = u64::from(unwritten);
        (*vm).room.per_frame = u64::from(per_frame);
        measure_room(vm);
        before
    }
}

/// Other code runs in the same frame. It writes no slot below the one with the number `unwritten`, and its calls are as far from each
/// other as [`enter_room`] says, or as `per_frame` does, if that is less.
///
/// # Safety
/// [`enter_room`] was called for the frame, or since the stack has moved, [`measure_room`].
#[inline]
pub unsafe fn set_written(vm: *mut Vm, unwritten: u32, per_frame: u32) {
    // SAFETY: the VM is the caller's. `held` is the address of the current frame's function, as `enter_room` or `measure_room` has left
    // it: the caller's duty, and nothing but those writes it.
    unsafe {
        let room = &mut (*vm).room;
        debug_assert_eq!(room.held, (*(*(*vm).thread).frame).base.wrapping_sub(1).addr() as u64);
        room.unwritten = u64::from(unwritten);
        room.written = room.held + u64::from(unwritten) * size_of::<Value>() as u64;
        if u64::from(per_frame) < room.per_frame {
            room.per_frame = u64::from(per_frame);
            measure_room(vm);
        }
    }
}

/// Execution has left in the middle of `depth` calls. If those are many for the room, there is more the next time: all of them
/// have become frames, which is what happens again where the room ends.
///
/// # Safety
/// `vm` is exclusively the caller's.
pub unsafe fn left_calls(vm: *mut Vm, depth: u32) {
    // SAFETY: the caller's duty.
    unsafe {
        if (*vm).call_frames / FRAMES_PER_CALL < depth {
            (*vm).call_frames = ((*vm).call_frames * 2).min(MAX_CALL_FRAMES);
        }
    }
}

/// As [`enter_room`], for a function in slot `func` that host code calls, and that gets a frame only when it leaves. It looks for
/// room by slots alone, each of which stands for a frame that may be made, so that `slots` frames are made room for.
///
/// # Safety
/// The current frame is that of the native function which calls.
pub unsafe fn enter_called(vm: *mut Vm, func: *mut Value, slots: u32, unwritten: u32) -> Room {
    // SAFETY: the caller's duty. One of the frames that there is room for is the function's own.
    unsafe {
        let before = (*vm).room;
        if before.host_end == 0 {
            let here = 0_u8;
            (*vm).room.host_end = (std::ptr::from_ref(&here).addr() as u64).saturating_sub(HOST_ROOM);
        }
        let th = (*vm).thread;
        let frames = slots as usize + 1;
        if (*th).frame.add(frames) > (*th).frames_limit && (*vm).heap.may_grow_frames(th, frames) {
            // Where there is no memory, the code finds no room.
            let _ = (*vm).heap.grow_frames(th);
        }
        let base = func.add(1);
        let frames = ((*th).frames_limit.offset_from((*th).frame) - 1).max(0) as usize;
        (*vm).room.slots_end = base.wrapping_add(frames).min((*th).stack_limit).addr() as u64;
        (*vm).room.unwritten = u64::from(unwritten);
        (*vm).room.held = func.addr() as u64;
        (*vm).room.written = func.wrapping_add(unwritten as usize).addr() as u64;
        (*vm).fuel -= 1;
        before
    }
}

/// The call was not begun: it is not charged.
///
/// # Safety
/// `vm` is exclusively the caller's.
pub unsafe fn refuse_called(vm: *mut Vm) {
    // SAFETY: the caller's duty.
    unsafe { (*vm).fuel += 1 }
}

/// Makes the frame of a function in slot `func` that host code has called, and whose code has left.
///
/// # Safety
/// The code has found room, see [`enter_called`].
pub unsafe fn push_called(vm: *mut Vm, func: *mut Value, nresults: i32) {
    // SAFETY: the caller's duty; the function is in its slot, and takes no varargs.
    unsafe {
        let th = (*vm).thread;
        let closure = pointer::<LuaClosure>(*func);
        let f = (*th).frame.add(1);
        (*f).func = func;
        (*f).base = func.add(1);
        (*f).top = (*f).base.add((*(*closure).proto).max_stack as usize);
        (*f).closure = closure;
        (*f).pc = (*(*closure).proto).code;
        Frame::set_plain(f, nresults);
        (*f).flags = frame::FRESH;
        (*f).extra = 0;
        (*th).frame = f;
        (*th).top = (*f).top;
    }
}

/// The stack may have moved: looks again where it ends.
///
/// # Safety
/// The current frame is the one that compiled code was entered in.
#[inline]
pub unsafe fn measure_room(vm: *mut Vm) {
    // SAFETY: the current frame is alive by the caller's duty, and both limits are of its thread. The functions of frames are
    // `per_frame` slots apart at least, so that where the slots end the frames have not ended yet.
    unsafe {
        let th = (*vm).thread;
        let (frame, base) = ((*th).frame, (*(*th).frame).base);
        let frames = (*th).frames_limit.offset_from(frame).max(0) as usize;
        let by_frames = base.wrapping_add(frames * (*vm).room.per_frame as usize);
        (*vm).room.slots_end = by_frames.min((*th).stack_limit).addr() as u64;
        let held = base.wrapping_sub(1);
        (*vm).room.held = held.addr() as u64;
        (*vm).room.written = held.wrapping_add((*vm).room.unwritten as usize).addr() as u64;
    }
}

/// The current frame's function has called another in its place, which is at its slot with its arguments behind it.
///
/// # Safety
/// The current frame is a Lua frame without extra arguments; what is at its slot is a Lua function, and room has been made
/// for its registers.
pub unsafe fn replace_function(vm: *mut Vm) {
    // SAFETY: the caller's duty.
    unsafe {
        let frame = (*(*vm).thread).frame;
        debug_assert!((*(*frame).func).tag == Tag::LuaFn && ptr::eq((*frame).func.add(1), (*frame).base));
        let closure = pointer::<LuaClosure>(*(*frame).func);
        (*frame).closure = closure;
        (*frame).top = (*frame).base.add((*(*closure).proto).max_stack as usize);
        (*frame).pc = (*(*closure).proto).code;
        (*frame).flags |= frame::TAIL;
        (*frame).extra = 0;
        (*(*vm).thread).top = (*frame).top;
    }
}

/// The function that compiled code has called in another's place; see [`Room::tail`].
///
/// # Safety
/// `vm` is exclusively the caller's.
pub unsafe fn tail_of(vm: *const Vm) -> u64 {
    // SAFETY: the caller's duty.
    unsafe { (*vm).room.tail }
}

/// Sets what [`tail_of`] gives.
///
/// # Safety
/// `vm` is exclusively the caller's.
pub unsafe fn set_tail(vm: *mut Vm, function: u64) {
    // SAFETY: the caller's duty.
    unsafe { (*vm).room.tail = function }
}

/// Adds flags to the current frame.
///
/// # Safety
/// The current frame was just made for a call inside compiled code.
pub unsafe fn add_flags(vm: *mut Vm, flags: u16) {
    // SAFETY: the caller's duty.
    unsafe { (*(*(*vm).thread).frame).flags |= flags }
}

/// Whether compiled code that runs may stay on the host's stack while a loop of the interpreter runs above it.
///
/// # Safety
/// `vm` is exclusively the caller's.
#[inline]
pub(crate) unsafe fn has_host_room(vm: *const Vm) -> bool {
    let here = 0_u8;
    // SAFETY: the caller's duty.
    unsafe { std::ptr::from_ref(&here).addr() as u64 > (*vm).room.host_end + HOST_ROOM / 2 }
}

/// Compiled code has been left.
///
/// # Safety
/// `vm` is exclusively the caller's.
#[inline]
pub unsafe fn leave_room(vm: *mut Vm, before: Room) {
    // SAFETY: the caller's duty.
    unsafe { (*vm).room = before }
}

impl Vm {
    /// Keeps what a call inside compiled code was in the middle of.
    pub fn push_unwound(&mut self, unwound: Unwound) {
        self.unwound.push(unwound);
    }

    /// The exit of what [`Vm::pop_unwound`] would give, and the number of that.
    pub fn last_unwound(&self) -> Option<(u64, u32)> {
        self.unwound.last().map(|unwound| (unwound.exits, unwound.snap))
    }

    /// What was kept, the outermost call first.
    pub fn pop_unwound(&mut self) -> Option<Unwound> {
        self.unwound.pop()
    }
}

/// Makes `count` results of a compiled function, which stand at `func`, as many as `wanted`.
///
/// # Safety
/// There is room for so many at `func`.
pub unsafe fn settle(func: *mut Value, count: usize, wanted: usize) {
    // SAFETY: the caller's duty.
    unsafe {
        for n in count..wanted {
            *func.add(n) = Value::NIL;
        }
    }
}

/// Lets a recording wait for the return of the current frame.
///
/// # Safety
/// The current frame is a Lua frame that a Lua instruction has called.
pub unsafe fn watch_return(vm: *mut Vm) {
    // SAFETY: the caller's duty.
    unsafe {
        let frame = (*(*vm).thread).frame;
        (*frame).flags |= frame::WATCHED;
    }
}

/// Lets a recording wait until the coroutine gives back that the thread at an address has just resumed; false if it has not.
///
/// # Safety
/// `vm` is exclusively the caller's.
pub unsafe fn watch_resumer(vm: *mut Vm, thread: u64) -> bool {
    // SAFETY: the thread that has resumed the running one is alive, and its current frame waits.
    unsafe {
        let resumer = (*(*vm).thread).resumer;
        if resumer.is_null() || resumer.expose_provenance() as u64 != thread {
            return false;
        }
        (*(*resumer).frame).flags |= frame::WATCHED;
        true
    }
}

/// Pushes the frames of the calls that compiled code has followed, and puts the innermost frame in front of its
/// instruction `pc`. `top` is the slot behind an open list of values. An image at slot 0 says that the root frame's function
/// has called another in its place.
///
/// # Safety
/// The current frame is the code's root frame; the slots hold what they must; [`make_room`] has made room.
#[inline]
pub unsafe fn push_frames(vm: *mut Vm, images: &[FrameImage], pc: u32, top: Option<u32>) {
    // SAFETY: the current frame is the code's root frame, and has room for `images` above it: the caller's duty, by `make_room`. Then the
    // frame that is current behind them is one of these, or that.
    unsafe {
        let th = (*vm).thread;
        let root = (*(*th).frame).base.sub(1);
        if !images.is_empty() {
            push_images(vm, images);
        }
        let f = (*th).frame;
        set_pc(f, pc);
        (*th).top = top.map_or((*f).top, |top| root.add(top as usize));
    }
}

/// Pushes the frames of [`push_frames`].
///
/// # Safety
/// As there.
unsafe fn push_images(vm: *mut Vm, images: &[FrameImage]) {
    // SAFETY: the caller's duty: each function is in its slot, and `frames` more frames fit.
    unsafe {
        let th = (*vm).thread;
        let root = (*(*th).frame).base.sub(1);
        let mut f = (*th).frame;
        for image in images {
            if image.func == 0 {
                let lost = frame::lost_calls((*th).frame);
                replace_function(vm);
                frame::set_lost_calls((*th).frame, lost.saturating_add(image.lost));
                continue;
            }
            set_pc(f, image.return_pc);
            if let Some(wanted) = image.protected {
                f = f.add(1);
                set_protected(f, root.add(image.func as usize), image.handled, wanted);
            } else if image.flags & frame::HANDLED != 0 {
                // Handlers of concatenations are followed for two operands only, and those of comparisons where what
                // they return is the outcome.
                (*f).resume = if (*(*f).pc.sub(1)).op() == Some(Op::Concat) { 2 } else { 0 };
            }
            f = f.add(1);
            let func = root.add(image.func as usize);
            debug_assert!((*func).tag == Tag::LuaFn);
            let closure = pointer::<LuaClosure>(*func);
            (*f).func = func;
            (*f).base = root.add(image.base as usize);
            (*f).top = (*f).base.add((*(*closure).proto).max_stack as usize);
            (*f).closure = closure;
            (*f).nresults = image.nresults;
            (*f).kind = frame::LUA;
            (*f).resume = 0;
            (*f).flags = image.flags;
            (*f).extra = u64::from(image.extra);
            frame::set_lost_calls(f, image.lost);
        }
        (*th).frame = f;
    }
}

/// Makes `f` the frame of a protected call of the function in slot `callee`, as `call_native` and `control` leave it: `pcall` or
/// `xpcall` is below the function, with the handler between them.
unsafe fn set_protected(f: *mut Frame, callee: *mut Value, handled: bool, wanted: i32) {
    // SAFETY: the caller has room for the frame.
    unsafe {
        let func = callee.sub(1 + usize::from(handled));
        debug_assert!((*func).tag == Tag::NativeFn);
        (*f).func = func;
        (*f).base = func.add(1);
        (*f).top = callee.add(1 + MIN_STACK);
        (*f).closure = ptr::null_mut();
        (*f).pc = ptr::null();
        (*f).nresults = wanted;
        (*f).kind = if handled { frame::XPCALL } else { frame::PCALL };
        (*f).resume = 0;
        (*f).flags = 0;
        (*f).extra = 0;
    }
}

#[inline]
unsafe fn set_pc(f: *mut Frame, pc: u32) {
    // SAFETY: `f` is a Lua frame; `pc` is an instruction of its prototype.
    unsafe {
        let proto: *mut Proto = (*(*f).closure).proto;
        (*f).pc = (*proto).code.add(pc as usize);
    }
}

/// Calls the native function in slot `func` of the root frame, in the state that the images tell: the root frame's base, which
/// may have moved, if it has returned in the ordinary way, its results are in place, and the images' frames are gone again.
/// Otherwise null; the interpreter must go on with what the VM has in store for it.
///
/// # Safety
/// As [`push_frames`]; the function and its arguments are in their slots.
#[inline]
pub unsafe fn call_out(
    vm: *mut Vm,
    images: &[FrameImage],
    pc: u32,
    func: u32,
    nargs: u32,
    nresults: u32,
) -> *mut Value {
    // SAFETY: the caller's duty.
    unsafe {
        let th = (*vm).thread;
        let depth = (*th).frame.offset_from((*th).frames);
        let root = (*(*th).frame).base.sub(1);
        if images.is_empty() {
            set_pc((*th).frame, pc);
        } else {
            push_frames(vm, images, pc, None);
        }
        let caller = (*th).frame.offset_from((*th).frames);
        let epoch = (*vm).epoch;
        let func = root.add(func as usize);
        (*th).top = func.add(1 + nargs as usize);
        let step = switch::resume_inside(vm, func, nresults as i32);
        // A protected call that is done has its caller's frame reloaded.
        let is_back = ptr::eq((*vm).thread, th) && (*th).frame.offset_from((*th).frames) == caller;
        let is_done = step == Step::Next || step == Step::Reload && is_back;
        if !is_done || !is_back || (*vm).hooked || (*vm).epoch != epoch {
            // A hook that was set meanwhile is seen in another instance of the loop.
            (*vm).left_over = if is_done { Step::Reload } else { step };
            if (*vm).hooked && is_done {
                (*vm).left_over = Step::Switch;
            }
            return ptr::null_mut();
        }
        (*th).frame = (*th).frames.offset(depth);
        measure_room(vm);
        (*(*th).frame).base
    }
}

/// Calls a native function that has no effects, and needs no root. Its function and arguments are at `func`, where the
/// results come; `wanted` of them, or all for -1. `None` if it failed: then it should be called again with all roots.
///
/// # Safety
/// The current frame is a Lua frame, [`make_room`] has made room for the values and `MIN_STACK` more.
#[inline]
pub unsafe fn call_pure(vm: *mut Vm, func: *mut Value, nargs: usize, wanted: i32) -> Option<u32> {
    // SAFETY: the caller's duty; a frozen VM runs nothing, so that the pushed frame is the current one until it is popped.
    unsafe {
        let th = (*vm).thread;
        // Fuel that does not last for the call is noticed before it: one that has drawn a random number must not run again.
        if (*th).frame >= (*th).frames_limit || (*vm).hooked || (*vm).fuel <= 0 {
            return None;
        }
        let closure = pointer::<NativeClosure>(*func);
        debug_assert!((*closure).control == 0);
        // SAFETY: compiled code has put the arguments behind the function, by the caller's duty; a direct form looks at no stack, so that
        // they stay while it runs, and the slot of the result is written when the slice is gone.
        if wanted == 1
            && let Some(direct) = (*closure).direct
            && let Direct::One(result) = direct(&mut (*vm).heap, std::slice::from_raw_parts(func.add(1), nargs), wanted)
        {
            *func = result;
            (*vm).fuel -= 1;
            return Some(1);
        }
        let (top, fuel) = ((*th).top, (*vm).fuel);
        (*th).top = func.add(1 + nargs);
        if (*th).top.add(MIN_STACK) > (*th).stack_limit {
            (*th).top = top;
            return None;
        }
        (*vm).fuel -= 1;
        let f = (*th).frame.add(1);
        (*f).func = func;
        (*f).base = func.add(1);
        (*f).top = (*th).top.add(MIN_STACK);
        (*f).closure = ptr::null_mut();
        (*f).pc = ptr::null();
        Frame::set_plain(f, wanted);
        (*f).kind = frame::NATIVE;
        (*f).extra = 0;
        (*th).frame = f;
        (*vm).frozen = true;
        // SAFETY: native closures without control are made from a `NativeFn`; see `call::call_native`.
        let code: NativeFn = std::mem::transmute::<*const (), NativeFn>((*closure).code);
        let result = code(&mut *vm);
        (*vm).frozen = false;
        let count = match result {
            Ok(n) if n < RETURN_CALL => {
                debug_assert!((*vm).fuel >= 0, "a charge that nothing is left for fails");
                let first = (*th).top.sub(n as usize);
                if n == 1 && wanted == 1 {
                    *func = *first;
                } else {
                    let count = if wanted < 0 { n } else { wanted as u32 };
                    for k in 0..count as usize {
                        *func.add(k) = if k < n as usize { *first.add(k) } else { Value::NIL };
                    }
                }
                Some(n)
            }
            _ => {
                (*vm).error = Value::NIL;
                (*vm).fuel = fuel;
                None
            }
        };
        (*th).frame = f.sub(1);
        (*th).top = top;
        count
    }
}

/// Joins the texts of `n` strings and numbers; `None` where the interpreter would have to collect or to look at limits.
///
/// # Safety
/// There are `n` values at `first`, all strings or numbers.
pub unsafe fn join(vm: *mut Vm, first: *const Value, n: usize) -> Option<StrRef> {
    // SAFETY: the caller's duty.
    unsafe {
        (*vm).frozen = true;
        let fuel = (*vm).fuel;
        let joined = concat::join_text(&mut *vm, std::slice::from_raw_parts(first, n));
        (*vm).frozen = false;
        // Long results are charged for, which the interpreter does.
        if joined.is_err() || (*vm).fuel != fuel {
            (*vm).error = Value::NIL;
            (*vm).fuel = fuel;
            return None;
        }
        joined.ok()
    }
}

/// A new function of prototype `proto`, made in a frame of function `outer` whose registers begin at `base`.
///
/// # Safety
/// All are live, and belong together.
pub unsafe fn new_closure(vm: *mut Vm, outer: *mut LuaClosure, proto: *mut Proto, base: *mut Value) -> *mut LuaClosure {
    // SAFETY: the caller's duty; creating objects is no safepoint.
    unsafe { crate::interp::closure::make(vm, outer, proto, base).as_ptr() }
}

/// As [`new_closure`], or the last function of the prototype, if a new one would have the same upvalues.
///
/// # Safety
/// As [`new_closure`].
pub unsafe fn same_closure(
    vm: *mut Vm,
    outer: *mut LuaClosure,
    proto: *mut Proto,
    base: *mut Value,
) -> *mut LuaClosure {
    // SAFETY: the caller's duty; creating objects is no safepoint.
    unsafe { crate::interp::closure::reuse(vm, outer, proto, base).as_ptr() }
}

/// Closes the upvalues of the current thread's slots from `level` up.
///
/// # Safety
/// `level` is a slot of the current thread's stack; the slots hold their variables' values.
pub unsafe fn close_upvalues(vm: *mut Vm, level: *mut Value) {
    // SAFETY: the caller's duty.
    unsafe { crate::interp::close::close_upvalues(vm, level) }
}

/// Whether variables from `level` up wait to be closed.
///
/// # Safety
/// The current thread is alive.
pub unsafe fn has_pending_close(vm: *const Vm, level: usize) -> bool {
    // SAFETY: the caller's duty.
    unsafe { crate::interp::close::has_pending((*vm).thread, level) }
}

/// A step of `next` in the registers of a generic loop from `ra` on: 1 for a pair, 0 at the end, 2 if it must be called.
/// Numbers among the keys may be floats only.
///
/// # Safety
/// As the interpreter's step: `ra` is the first of the loop's registers, and `R[a+1]` a table.
pub unsafe fn next_pair(ra: *mut Value, wanted: u8, with_floats: bool) -> i64 {
    use crate::interp::loops::{Advance, next_pair, next_pair_float};
    let step = if with_floats { next_pair_float } else { next_pair };
    // SAFETY: the caller's duty.
    match unsafe { step(ra, wanted) } {
        Advance::More => 1,
        Advance::Done => 0,
        Advance::Unknown => 2,
    }
}

/// Copies `wanted` variable arguments of the current frame, or nil for what it lacks: how many it has.
///
/// # Safety
/// The current frame is that of a Lua function that takes varargs; there are `wanted` slots at `target`, above its base.
pub unsafe fn var_args(vm: *mut Vm, target: *mut Value, wanted: usize) -> usize {
    // SAFETY: the caller's duty: the extra arguments are directly below the base.
    unsafe {
        let frame = (*(*vm).thread).frame;
        let extra = frame::varargs(frame);
        let first = (*frame).base.sub(extra);
        for n in 0..wanted {
            *target.add(n) = if n < extra { *first.add(n) } else { Value::NIL };
        }
        extra
    }
}

/// The outcome of a comparison that is left to the interpreter.
pub const NOT_COMPARED: i64 = i64::MIN;

/// Whether two strings are left to the interpreter, which charges for comparing them.
#[inline]
pub fn are_long(a: &[u8], b: &[u8]) -> bool {
    crate::interp::compare::are_long(a, b)
}

/// The heap of a VM, for helpers.
///
/// # Safety
/// The VM is exclusively the caller's.
pub unsafe fn heap<'a>(vm: *mut Vm) -> &'a mut Heap {
    // SAFETY: the caller's duty.
    unsafe { &mut (*vm).heap }
}

impl Vm {
    /// Whether the running native function is called by [`call_pure`]: then it will be called again, should it fail.
    #[inline]
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Fails where [`Vm::is_frozen`], in front of what must not be done twice.
    #[inline]
    pub fn demand_thaw(&self) -> Result<(), Raised> {
        if self.frozen { Err(Raised(())) } else { Ok(()) }
    }
}
