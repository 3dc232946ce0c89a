//! Images of what compiled code has not kept up to date: values, tables and frames of an exit, and how they come to be.
//!
//! An exit of compiled code tells them, and `perilune-jit` makes them when execution leaves there: first the room, then the
//! values and tables ([`complete`], [`make_tables`]), then the frames ([`push_frames`]). A call of [`super::call_out`] has its
//! frames from here too.

use std::ptr;

use perilune_bytecode::ops::Op;
use perilune_runtime::object::{LuaClosure, Proto, Table, TableRef};
use perilune_runtime::stack::Frame;
use perilune_runtime::value::{Tag, Value};

use crate::frame;
use crate::interp::pointer;
use crate::native::MIN_STACK;
use crate::vm::Vm;

use super::replace_function;

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

/// Pushes the frames of the calls that compiled code has followed, and puts the innermost frame in front of its
/// instruction `pc`. `top` is the slot behind an open list of values. An image at slot 0 says that the root frame's function
/// has called another in its place.
///
/// # Safety
/// The current frame is the code's root frame; the slots hold what they must; [`make_room`](super::make_room) has made room.
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
pub(super) unsafe fn set_pc(f: *mut Frame, pc: u32) {
    // SAFETY: `f` is a Lua frame; `pc` is an instruction of its prototype.
    unsafe {
        let proto: *mut Proto = (*(*f).closure).proto;
        (*f).pc = (*proto).code.add(pc as usize);
    }
}
