//! Calls of compiled functions by compiled code, as far as they need the runner: those that end otherwise than by a return, and those
//! out of compiled code.
//!
//! ```text
//! status            means, of the function called                       its caller
//! RETURNED - n      it has returned n values                            goes on
//! TAIL              it wants another function called in its place       asks `tail`, which does
//! exit n            it has left                                         asks `go_on`: a fragment may return for it
//! UNWOUND, exit n   so it has, or what it has called, and that is all   asks `unwound`, which notes where the caller is, and leaves too
//! ```

use perilune_codegen::{AHEAD, ANY_VERSION, MISMATCH, TAIL, UNWOUND};
use perilune_runtime::value::Value;
use perilune_vm::Vm;
use perilune_vm::compiled::{self, SlotImage, SlotTag, Unwound};
use perilune_vm::frame;

use super::{Compiled, Exits, Link, Outcome, enter_function};
use crate::function::Function;

impl Compiled {
    /// As [`Compiled::run`] from where this code, which compiled code has called, has left by exit `n` on; its registers begin at
    /// `base`. A status as that of code. Unless it is `n`, what has not returned is noted to be unwound.
    ///
    /// # Safety
    /// The code has just left, and its caller waits.
    unsafe fn go_on_inside(&self, vm: *mut Vm, base: *mut Value, n: u32) -> i64 {
        let (mut code, mut left, mut is_first) = (self, n, true);
        // SAFETY: `go_on` has the code that has just left, and compiled code, its caller, keeps the registers. A piece is entered with
        // the types of its entry and room for its slots, both looked at here; none that needs a frame; and compiled code without calls
        // out collects nothing, so that what the slots hold needs no root. The links are ours.
        unsafe {
            loop {
                let exit = code.exits.exit(left);
                let fits = |link: &&Link| {
                    let code = link.code();
                    !code.needs_frame && compiled::has_room_inside(vm, base, code.need.slots)
                };
                let Some(next) = self.onward(exit, left).filter(fits) else {
                    if is_first {
                        return i64::from(n);
                    }
                    code.note_left(vm, left, false);
                    return UNWOUND;
                };
                exit.complete(vm, base, exit.fuel);
                let piece = next.code();
                let has_tags = compiled::have_tags(base, &next.unknown);
                debug_assert!(!has_tags || piece.finds_tags(base, next.header));
                let status = if has_tags { piece.enter(vm, base, next.header) } else { MISMATCH };
                if status == MISMATCH {
                    code.note_left(vm, left, true);
                    return UNWOUND;
                }
                if status < 0 {
                    return status;
                }
                (left, code, is_first) = (status as u32, piece, false);
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
}

/// Makes the frames of the calls in the middle of which execution has left.
///
/// # Safety
/// Compiled code has just returned [`UNWOUND`].
pub(super) unsafe fn make_unwound(vm: *mut Vm) -> Outcome {
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
                let (tag, value) = exits.exit(snap).write(0);
                let tag = tag.map(|tag| SlotTag { slot: callee.func, ..tag });
                let value = value.map(|value| SlotImage { slot: callee.func, ..value });
                compiled::complete(vm, compiled::registers(vm), tag.as_slice(), value.as_slice(), 0);
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

/// Calls the functions that compiled functions have called in their places; see [`Calls::tail`].
pub(super) unsafe extern "C" fn tail(vm: *mut Vm, registers: *mut Value) -> i64 {
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
pub(super) unsafe extern "C" fn go_on(
    vm: *mut Vm,
    registers: *mut Value,
    function: *const Function,
    status: i64,
) -> i64 {
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
pub(super) unsafe extern "C" fn unwound(
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
pub(super) unsafe extern "C" fn left_open(vm: *mut Vm, exits: *const Exits, snap: u64, top: u64) -> i64 {
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
pub(super) unsafe extern "C" fn settle(func: *mut Value, count: u64, wanted: u64) {
    // SAFETY: the caller's registers have room for the results that it wants.
    unsafe { compiled::settle(func, count as usize, wanted as usize) }
}

/// Calls a native function out of compiled code; see [`Environment::call_out`].
pub(super) unsafe extern "C" fn call_out(
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
        let exit = (*exits).exit(snap as u32);
        compiled::call_out(vm, &exit.frames, exit.pc, func as u32, nargs as u32, nresults as u32)
    }
}
