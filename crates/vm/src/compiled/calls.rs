//! Calls of native functions from compiled code, with all roots on the stack or with the VM frozen; the parent's
//! documentation says when which.

use std::ptr;

use perilune_runtime::object::{Direct, NativeClosure};
use perilune_runtime::stack::Frame;
use perilune_runtime::value::Value;

use crate::call::Step;
use crate::frame;
use crate::interp::pointer;
use crate::native::{MIN_STACK, NativeFn, RETURN_CALL, Raised};
use crate::switch;
use crate::vm::Vm;

use super::image::{FrameImage, push_frames, set_pc};
#[cfg(doc)]
use super::make_room;
use super::measure_room;

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
