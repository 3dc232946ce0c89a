//! Comparisons whose outcome the loop could not see at a glance.

use perilune_base::dialect::table::SharedHandlers;
use perilune_bytecode::ops::Instr;
use perilune_runtime::stack::Frame;
use perilune_runtime::value::{Tag, Value};

use super::{finish, number_le, number_lt};
use crate::call::Step;
use crate::meta::{self, Event};
use crate::native::Raised;
use crate::vm::Vm;

/// What `resume` of a frame says while a handler decides its comparison: the outcome is what the handler returns.
const DIRECT: u8 = 0;

/// The outcome is the opposite of what the handler returns.
const OPPOSITE: u8 = 1;

/// The outcome of a comparison of `frame`, whose handler has returned this.
///
/// # Safety
/// The frame is alive, and waited for a handler of its comparison.
pub(crate) unsafe fn outcome(frame: *mut Frame, result: Value) -> bool {
    // SAFETY: the caller's duty.
    result.is_truthy() != (unsafe { (*frame).resume } == OPPOSITE)
}

/// An outcome, or the handler that decides.
enum Decision {
    Known(bool),
    Handler(Value),
    /// The opposite of what this handler says of the values in the other order.
    Opposite(Value),
}

/// Length from which on strings take long to compare.
const LONG: usize = 64 << 10;

/// Bytes that are compared for a unit of fuel, of long strings. Short ones come with the instruction.
const BYTES_PER_UNIT: usize = 64;

/// Whether two strings may take long to compare. Compiled code leaves those to the interpreter.
#[inline]
pub(crate) fn are_long(a: &[u8], b: &[u8]) -> bool {
    a.len().min(b.len()) >= LONG
}

/// Charges for what comparing long strings takes.
#[inline]
fn charge(vm: &mut Vm, a: &[u8], b: &[u8]) -> Result<(), Raised> {
    if are_long(a, b) { vm.charge((a.len().min(b.len()) / BYTES_PER_UNIT) as u64) } else { Ok(()) }
}

fn decide_eq(vm: &mut Vm, x: Value, y: Value) -> Result<Decision, Raised> {
    if let (Some(a), Some(b)) = (x.as_str(), y.as_str())
        && a.len() == b.len()
    {
        charge(vm, a.as_bytes(), b.as_bytes())?;
    }
    Ok(decide_raw_eq(vm, x, y))
}

fn decide_raw_eq(vm: &Vm, x: Value, y: Value) -> Decision {
    if x.raw_equals(y) {
        return Decision::Known(true);
    }
    if x.tag != y.tag || !matches!(x.tag, Tag::Table | Tag::UserData) {
        return Decision::Known(false);
    }
    let h = match vm.dialect.shared_handlers {
        SharedHandlers::Either => either_handler(vm, Event::Eq, x, y),
        SharedHandlers::Both | SharedHandlers::BothForEq => shared_handler(vm, Event::Eq, x, y),
    };
    if h.is_nil() { Decision::Known(false) } else { Decision::Handler(h) }
}

/// The handler of the first value, or else of the second.
fn either_handler(vm: &Vm, event: Event, x: Value, y: Value) -> Value {
    let h = meta::metamethod(vm, x, event);
    if h.is_nil() { meta::metamethod(vm, y, event) } else { h }
}

/// The handler that both values have.
fn shared_handler(vm: &Vm, event: Event, x: Value, y: Value) -> Value {
    let h = meta::metamethod(vm, x, event);
    if h.raw_equals(meta::metamethod(vm, y, event)) { h } else { Value::NIL }
}

fn order_handler(vm: &Vm, event: Event, x: Value, y: Value) -> Value {
    match vm.dialect.shared_handlers {
        SharedHandlers::Both if x.type_name() != y.type_name() => Value::NIL,
        SharedHandlers::Both => shared_handler(vm, event, x, y),
        SharedHandlers::Either | SharedHandlers::BothForEq => either_handler(vm, event, x, y),
    }
}

fn decide_order(vm: &mut Vm, event: Event, x: Value, y: Value) -> Result<Decision, Raised> {
    if x.is_number() && y.is_number() {
        let r = if event == Event::Lt { number_lt(x, y) } else { number_le(x, y) };
        return Ok(Decision::Known(r));
    }
    if let (Some(a), Some(b)) = (x.as_str(), y.as_str()) {
        charge(vm, a.as_bytes(), b.as_bytes())?;
        // Byte order, which is what the reference's collation gives in the C locale.
        let r = if event == Event::Lt { a.as_bytes() < b.as_bytes() } else { a.as_bytes() <= b.as_bytes() };
        return Ok(Decision::Known(r));
    }
    let h = order_handler(vm, event, x, y);
    if !h.is_nil() {
        return Ok(Decision::Handler(h));
    }
    if event == Event::Le && vm.dialect.le_from_lt {
        let h = order_handler(vm, Event::Lt, y, x);
        if !h.is_nil() {
            return Ok(Decision::Opposite(h));
        }
    }
    Err(crate::errors::comparison(vm, x, y))
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
            Ok(Decision::Handler(h)) => {
                (*(*(*vm).thread).frame).resume = DIRECT;
                finish::call_handler(vm, h, &[x, y], 1)
            }
            Ok(Decision::Opposite(h)) => {
                (*(*(*vm).thread).frame).resume = OPPOSITE;
                finish::call_handler(vm, h, &[y, x], 1)
            }
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
        let d = decide_eq(&mut *vm, x, y);
        conclude(vm, i, d, x, y)
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
        match decide_eq(self, a, b)? {
            Decision::Known(r) => Ok(r),
            Decision::Handler(h) | Decision::Opposite(h) => Ok(self.call_value(h, &[a, b])?.is_truthy()),
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
            Decision::Opposite(h) => Ok(!self.call_value(h, &[b, a])?.is_truthy()),
        }
    }
}
