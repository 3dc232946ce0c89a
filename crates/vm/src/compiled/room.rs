//! Room of compiled code: slots and frames on the thread's stack, and the host's stack for calls inside it.
//!
//! Whoever enters compiled code first makes the room that the code itself needs ([`make_room`]). Then [`enter_room`] notes
//! where the stacks end ([`Room`]), which every call inside compiled code compares with, and [`leave_room`] puts back what was
//! noted before. [`measure_room`] comes in between whenever the stack may have moved.

use perilune_runtime::stack::Room;
use perilune_runtime::value::Value;

use crate::vm::Vm;

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
