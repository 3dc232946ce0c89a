//! Arithmetic and bitwise operators: conversions, metamethods and errors.

use perilune_base::num::parse::text_to_number;
use perilune_base::num::{Num, arith as num, convert};
use perilune_bytecode::ops::{Instr, Op};
use perilune_runtime::value::{Tag, Value};

use super::finish;
use crate::call::Step;
use crate::meta::{self, Event};
use crate::native::Raised;
use crate::vm::Vm;

/// A number as a float.
#[inline(always)]
pub(crate) fn as_float(v: Value) -> f64 {
    debug_assert!(v.is_number());
    if v.tag == Tag::Int { v.raw_int() as f64 } else { v.raw_float() }
}

/// A number for the shared number functions.
#[inline]
fn as_num(v: Value) -> Option<Num> {
    match v.tag {
        Tag::Int => Some(Num::Int(v.raw_int())),
        Tag::Float => Some(Num::Float(v.raw_float())),
        _ => None,
    }
}

#[inline]
pub(crate) fn from_num(n: Num) -> Value {
    match n {
        Num::Int(i) => Value::int(i),
        Num::Float(f) => Value::float(f),
    }
}

/// The shared arithmetic of an event.
fn operator(event: Event) -> Option<num::ArithOp> {
    Some(match event {
        Event::Add => num::ArithOp::Add,
        Event::Sub => num::ArithOp::Sub,
        Event::Mul => num::ArithOp::Mul,
        Event::Mod => num::ArithOp::Mod,
        Event::Pow => num::ArithOp::Pow,
        Event::Div => num::ArithOp::Div,
        Event::IDiv => num::ArithOp::IDiv,
        Event::BAnd => num::ArithOp::BAnd,
        Event::BOr => num::ArithOp::BOr,
        Event::BXor => num::ArithOp::BXor,
        Event::Shl => num::ArithOp::Shl,
        Event::Shr => num::ArithOp::Shr,
        Event::Unm => num::ArithOp::Neg,
        Event::BNot => num::ArithOp::BNot,
        _ => return None,
    })
}

/// Length from which on a string takes long to read as a number.
const LONG: usize = 4 << 10;

/// Whether the event is a bitwise operator.
pub(crate) fn is_bitwise(event: Event) -> bool {
    matches!(event, Event::BAnd | Event::BOr | Event::BXor | Event::Shl | Event::Shr | Event::BNot)
}

/// The result of an operator on two numbers, if both are and it has one.
pub(crate) fn raw(vm: &Vm, event: Event, x: Value, y: Value) -> Option<Value> {
    num::arith_in(vm.dialect, operator(event)?, as_num(x)?, as_num(y)?).map(from_num)
}

/// The result of an operator where it converts strings itself. Arithmetic on them is done in floats, bitwise operators
/// need integers.
#[cold]
fn coerced(vm: &mut Vm, event: Event, x: Value, y: Value) -> Option<Value> {
    if vm.dialect.string_metamethods || x.is_number() && y.is_number() {
        return None;
    }
    vm.before_conversion(x);
    vm.before_conversion(y);
    let convert = |v: Value| {
        if is_bitwise(event) {
            vm.to_integer(v).map(Num::Int)
        } else {
            vm.to_number(v).map(|n| Num::Float(as_float(n)))
        }
    };
    num::arith_in(vm.dialect, operator(event)?, convert(x)?, convert(y)?).map(from_num)
}

/// What prevents a raw operation: a handler to call, or an error.
pub(crate) fn handler(vm: &mut Vm, event: Event, x: Value, y: Value) -> Result<Value, Raised> {
    // Of two numbers, only a division of integers by zero comes here, and bitwise operators, which do look for a handler.
    if x.is_number() && y.is_number() && matches!(event, Event::Mod | Event::IDiv) {
        return Err(crate::errors::arithmetic(vm, event, x, y));
    }
    let h = meta::metamethod(vm, x, event);
    if !h.is_nil() {
        return Ok(h);
    }
    let h = meta::metamethod(vm, y, event);
    if !h.is_nil() {
        return Ok(h);
    }
    Err(crate::errors::arithmetic(vm, event, x, y))
}

/// An operator in the interpreter, when the loop's own cases did not apply. `x` and `y` are in the order of the source.
#[inline]
unsafe fn operate(vm: *mut Vm, i: Instr, event: Event, x: Value, y: Value) -> Step {
    // SAFETY: the current frame is a Lua frame whose `pc` is stored; `a` is one of its registers.
    unsafe {
        let raw = raw(&*vm, event, x, y).or_else(|| coerced(&mut *vm, event, x, y));
        if let Some(r) = raw {
            *(*(*(*vm).thread).frame).base.add(i.a() as usize) = r;
            return Step::Next;
        }
        match handler(&mut *vm, event, x, y) {
            Ok(h) => finish::call_handler(vm, h, &[x, y], 1),
            Err(_) => Step::Raise,
        }
    }
}

/// Whether the operands of a constant form stand in the other order than in the source.
fn is_flipped(i: Instr) -> bool {
    matches!(i.op(), Some(Op::AddK | Op::MulK | Op::BAndK | Op::BOrK | Op::BXorK)) && i.c() == 1
}

macro_rules! operators {
    ($($name:ident $event:ident)*) => {
        $(
            /// The cold side of an operator.
            ///
            /// # Safety
            /// The current frame is a Lua frame whose `pc` is stored; `i` is its instruction.
            #[cold]
            #[inline(never)]
            pub(crate) unsafe fn $name(vm: *mut Vm, i: Instr, x: Value, y: Value) -> Step {
                let (x, y) = if is_flipped(i) { (y, x) } else { (x, y) };
                // SAFETY: the caller's duty.
                unsafe { operate(vm, i, Event::$event, x, y) }
            }
        )*
    };
}
operators! {
    add Add sub Sub mul Mul div Div modulo Mod idiv IDiv pow Pow
    band BAnd bor BOr bxor BXor shl Shl shr Shr
}

/// The cold side of `AddI`, which stands for `x + n`, `x - n` or `n + x`.
///
/// # Safety
/// As for the operators above.
#[cold]
#[inline(never)]
pub(crate) unsafe fn add_immediate(vm: *mut Vm, i: Instr, x: Value) -> Step {
    let n = i.d() as i64;
    // SAFETY: the caller's duty.
    unsafe {
        match i.c() {
            0 => operate(vm, i, Event::Add, x, Value::int(n)),
            1 => operate(vm, i, Event::Sub, x, Value::int(-n)),
            _ => operate(vm, i, Event::Add, Value::int(n), x),
        }
    }
}

/// The cold side of unary minus.
///
/// # Safety
/// As for the operators above.
#[cold]
#[inline(never)]
pub(crate) unsafe fn unm(vm: *mut Vm, i: Instr, x: Value) -> Step {
    // SAFETY: the caller's duty.
    unsafe { operate(vm, i, Event::Unm, x, x) }
}

/// The cold side of bitwise not.
///
/// # Safety
/// As for the operators above.
#[cold]
#[inline(never)]
pub(crate) unsafe fn bnot(vm: *mut Vm, i: Instr, x: Value) -> Step {
    // SAFETY: the caller's duty.
    unsafe { operate(vm, i, Event::BNot, x, x) }
}

impl Vm {
    /// An arithmetic or bitwise operator with metamethods. For unary ones `b` is `a` again. **(safepoint)**
    pub fn arith(&mut self, event: Event, a: Value, b: Value) -> Result<Value, Raised> {
        match raw(self, event, a, b).or_else(|| coerced(self, event, a, b)) {
            Some(v) => Ok(v),
            None => {
                let h = handler(self, event, a, b)?;
                self.call_value(h, &[a, b])
            }
        }
    }

    /// The number that a value is or that a string spells.
    #[inline]
    pub fn to_number(&self, v: Value) -> Option<Value> {
        match v.tag {
            Tag::Int | Tag::Float => Some(v),
            Tag::Str => text_to_number(v.as_str()?.as_bytes(), self.dialect).map(from_num),
            _ => None,
        }
    }

    /// To be called before a value is converted that a program may have made long.
    #[inline]
    pub fn before_conversion(&mut self, v: Value) {
        if v.as_str().is_some_and(|text| text.len() >= LONG) {
            self.hurry();
        }
    }

    /// The integer that a value is, equals, or spells; where all numbers are floats, what is left of one without its
    /// fraction.
    #[inline]
    pub fn to_integer(&self, v: Value) -> Option<i64> {
        match v.tag {
            Tag::Float if !self.dialect.integers => Some(convert::float_to_int_as_c(v.raw_float())),
            Tag::Int => Some(v.raw_int()),
            Tag::Float => convert::float_to_int(v.raw_float()),
            Tag::Str => match self.to_number(v)? {
                n if n.tag == Tag::Int => Some(n.raw_int()),
                n if self.dialect.integers => convert::float_to_int(n.raw_float()),
                n => Some(convert::float_to_int_as_c(n.raw_float())),
            },
            _ => None,
        }
    }
}
