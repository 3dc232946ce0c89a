//! Comparisons whose outcome the loop could not see at a glance.

use perilune_bytecode::ops::Instr;
use perilune_runtime::value::{Tag, Value};

use super::{finish, number_le, number_lt};
use crate::call::Step;
use crate::meta::{self, Event};
use crate::native::Raised;
use crate::vm::Vm;

/// An outcome, or the handler that decides.
enum Decision {
    Known(bool),
    Handler(Value),
}

fn decide_eq(vm: &Vm, x: Value, y: Value) -> Decision {
    if x.raw_equals(y) {
        return Decision::Known(true);
    }
    if x.tag != y.tag || !matches!(x.tag, Tag::Table | Tag::UserData) {
        return Decision::Known(false);
    }
    let mut h = meta::metamethod(vm, x, Event::Eq);
    if h.is_nil() {
        h = meta::metamethod(vm, y, Event::Eq);
    }
    if h.is_nil() { Decision::Known(false) } else { Decision::Handler(h) }
}

fn decide_order(vm: &mut Vm, event: Event, x: Value, y: Value) -> Result<Decision, Raised> {
    if x.is_number() && y.is_number() {
        let r = if event == Event::Lt { number_lt(x, y) } else { number_le(x, y) };
        return Ok(Decision::Known(r));
    }
    if let (Some(a), Some(b)) = (x.as_str(), y.as_str()) {
        // Byte order, which is what the reference's collation gives in the C locale.
        let r = if event == Event::Lt { a.as_bytes() < b.as_bytes() } else { a.as_bytes() <= b.as_bytes() };
        return Ok(Decision::Known(r));
    }
    let mut h = meta::metamethod(vm, x, event);
    if h.is_nil() {
        h = meta::metamethod(vm, y, event);
    }
    if h.is_nil() { Err(crate::errors::comparison(vm, x, y)) } else { Ok(Decision::Handler(h)) }
}

/// Ends a comparison of the interpreter.
unsafe fn conclude(vm: *mut Vm, i: Instr, decision: Result<Decision, Raised>, x: Value, y: Value) -> Step {
    // SAFETY: the current frame is a Lua frame whose `pc` is stored, behind the comparison `i`.
    unsafe {
        match decision {
            Ok(Decision::Known(outcome)) => {
                let f = (*(*vm).thread).frame;
                if outcome == i.cond() {
                    (*f).pc = (*f).pc.offset(i.cond_offset() as isize);
                }
                Step::Next
            }
            Ok(Decision::Handler(h)) => finish::call_handler(vm, h, &[x, y], 1),
            Err(_) => Step::Raise,
        }
    }
}

/// `==` of two values of one tag with different payloads.
///
/// # Safety
/// The current frame is a Lua frame whose `pc` is stored; `i` is its instruction.
#[inline(never)]
pub(crate) unsafe fn eq(vm: *mut Vm, i: Instr, x: Value, y: Value) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        let d = decide_eq(&*vm, x, y);
        conclude(vm, i, Ok(d), x, y)
    }
}

macro_rules! orders {
    ($($name:ident $event:ident |$x:ident, $y:ident| $first:ident $second:ident)*) => {
        $(
            /// The cold side of an ordering.
            ///
            /// # Safety
            /// As for [`eq`].
            #[inline(never)]
            pub(crate) unsafe fn $name(vm: *mut Vm, i: Instr, $x: Value, $y: Value) -> Step {
                // SAFETY: the caller's duty.
                unsafe {
                    let d = decide_order(&mut *vm, Event::$event, $first, $second);
                    conclude(vm, i, d, $first, $second)
                }
            }
        )*
    };
}
orders! { lt Lt |x, y| x y le Le |x, y| x y gt Lt |x, y| y x ge Le |x, y| y x }

impl Vm {
    /// `a == b` with metamethods. **(safepoint)**
    pub fn equals(&mut self, a: Value, b: Value) -> Result<bool, Raised> {
        match decide_eq(self, a, b) {
            Decision::Known(r) => Ok(r),
            Decision::Handler(h) => Ok(self.call_value(h, &[a, b])?.is_truthy()),
        }
    }

    /// `a < b` with metamethods. **(safepoint)**
    #[inline]
    pub fn less_than(&mut self, a: Value, b: Value) -> Result<bool, Raised> {
        if a.tag == Tag::Int && b.tag == Tag::Int {
            return Ok(a.raw_int() < b.raw_int());
        }
        self.order(Event::Lt, a, b)
    }

    /// `a <= b` with metamethods. **(safepoint)**
    pub fn less_equal(&mut self, a: Value, b: Value) -> Result<bool, Raised> {
        self.order(Event::Le, a, b)
    }

    fn order(&mut self, event: Event, a: Value, b: Value) -> Result<bool, Raised> {
        match decide_order(self, event, a, b)? {
            Decision::Known(r) => Ok(r),
            Decision::Handler(h) => Ok(self.call_value(h, &[a, b])?.is_truthy()),
        }
    }
}
