//! What a host lets scripts say about the compiler tier: whether it compiles, what it must not compile, and what it forgets.
//!
//! Whether a function may be compiled is a mark on its prototype, so that it holds for all closures of its code. A tier looks
//! at the mark when it is about to begin with a function, or to follow a call into one; code that has done so already is
//! forgotten when the mark is set. Compiled code that waits for a call to return is left when it does ([`Vm::flush_compiled`]
//! says how).

use perilune_runtime::object::{Gc, LuaClosure, Proto};

use crate::tier::TierState;
use crate::vm::Vm;

impl Vm {
    /// What the compiler tier has and does.
    pub fn tier_state(&self) -> TierState {
        self.tier.state()
    }

    /// Switches the compiler tier on or off. Off, it neither compiles nor runs what it has compiled, which is forgotten.
    pub fn switch_tier(&mut self, on: bool) {
        self.tier.switch(on);
        if !on {
            self.flush_compiled();
        }
    }

    /// Whether a function may be compiled, and whether it, or a loop in it, has code of its own.
    pub fn compiles(&self, f: Gc<LuaClosure>) -> (bool, bool) {
        // SAFETY: a reachable function and its prototype are alive.
        unsafe {
            let proto = (*f.as_ptr()).proto;
            (!(*proto).is_never_compiled, self.tier.has_code(proto))
        }
    }

    /// Lets a function be compiled, or not any more; if asked to, the functions inside of it, too.
    pub fn let_compile(&mut self, f: Gc<LuaClosure>, allowed: bool, with_inner: bool) {
        // SAFETY: as in `compiles`.
        unsafe {
            mark((*f.as_ptr()).proto, !allowed, with_inner);
        }
        if !allowed {
            self.flush_compiled();
        }
    }

    /// Forgets the compiled code in which a function has a part.
    pub fn forget_compiled(&mut self, f: Gc<LuaClosure>) {
        self.epoch = self.epoch.wrapping_add(1);
        // SAFETY: as in `compiles`.
        let proto = unsafe { (*f.as_ptr()).proto };
        let tier = self.tier.clone();
        tier.forget(proto);
    }
}

/// Sets the mark of a prototype.
///
/// # Safety
/// `proto` is alive.
unsafe fn mark(proto: *mut Proto, never: bool, with_inner: bool) {
    // SAFETY: a prototype keeps those inside of it.
    unsafe {
        (*proto).is_never_compiled = never;
        if with_inner {
            let inner = &(*proto).info.protos;
            for inner in inner {
                mark(*inner, never, true);
            }
        }
    }
}
