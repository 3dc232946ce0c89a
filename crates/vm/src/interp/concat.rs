//! Concatenation.

use perilune_base::dialect::table::FloatText;
use perilune_base::num::format::write_float_as;
use perilune_bytecode::ops::Instr;
use perilune_runtime::object::StrRef;
use perilune_runtime::string::bytes_of;
use perilune_runtime::value::{Tag, Value};

use super::finish;
use crate::call::{self, Step};
use crate::meta::{self, Event};
use crate::native::Raised;
use crate::vm::Vm;

/// `Concat`: the registers `b .. b+c` joined from the right.
///
/// # Safety
/// The current frame is a Lua frame whose `pc` is stored; `i` is its instruction.
#[inline(never)]
pub(crate) unsafe fn concat(vm: *mut Vm, i: Instr) -> Step {
    // SAFETY: the operands are registers of the frame.
    unsafe {
        let first = (*(*(*vm).thread).frame).base.add(i.b() as usize);
        let step = join(vm, i, first, i.c() as usize);
        if step == Step::Next && (*vm).heap.bytes >= (*vm).heap.threshold {
            return call::collect_in_lua(vm);
        }
        step
    }
}

/// Goes on after a `__concat` handler, whose result takes the place of its two operands.
///
/// # Safety
/// As [`concat`].
pub(crate) unsafe fn resume(vm: *mut Vm, i: Instr, result: Value) -> Step {
    // SAFETY: how many operands are left stands where `join` put it: in the frame's `top` offset, kept in `resume`.
    unsafe {
        let f = (*(*vm).thread).frame;
        let left = (*f).resume as usize;
        let first = (*f).base.add(i.b() as usize);
        *first.add(left - 2) = result;
        let step = join(vm, i, first, left - 1);
        if step == Step::Next { Step::Reload } else { step }
    }
}

/// Joins the `n` values from `first` and stores the result.
unsafe fn join(vm: *mut Vm, i: Instr, first: *mut Value, mut n: usize) -> Step {
    // SAFETY: the values are registers; handlers are called above them, and the count of what is left waits in the frame.
    unsafe {
        while n > 1 {
            let (x, y) = (*first.add(n - 2), *first.add(n - 1));
            if !is_text(x) || !is_text(y) {
                let mut h = meta::metamethod(&*vm, x, Event::Concat);
                if h.is_nil() {
                    h = meta::metamethod(&*vm, y, Event::Concat);
                }
                // Who names the operand at fault, or goes on after the handler, needs to know how many are left.
                (*(*(*vm).thread).frame).resume = n as u8;
                if h.is_nil() {
                    let _ = crate::errors::concatenation(&mut *vm, x, y);
                    return Step::Raise;
                }
                return finish::call_handler(vm, h, &[x, y], 1);
            }
            // As many operands as are strings or numbers, joined at once.
            let mut from = n - 2;
            while from > 0 && is_text(*first.add(from - 1)) {
                from -= 1;
            }
            let parts = std::slice::from_raw_parts(first.add(from), n - from);
            match join_text(&mut *vm, parts) {
                Ok(s) => *first.add(from) = Value::str(s),
                Err(_) => return Step::Raise,
            }
            n = from + 1;
        }
        let f = (*(*vm).thread).frame;
        *(*f).base.add(i.a() as usize) = *(*f).base.add(i.b() as usize);
        Step::Next
    }
}

#[inline]
fn is_text(v: Value) -> bool {
    matches!(v.tag, Tag::Str | Tag::Int | Tag::Float)
}

/// Joins strings and numbers.
pub(crate) fn join_text(vm: &mut Vm, parts: &[Value]) -> Result<StrRef, Raised> {
    const SMALL: usize = 256;
    if let [x, y] = parts
        && let (Some(a), Some(b)) = (x.as_str(), y.as_str())
    {
        // Joining with an empty string is the other string itself.
        if b.is_empty() {
            return Ok(a);
        }
        if a.is_empty() {
            return Ok(b);
        }
        let total = a.len() + b.len();
        if total > SMALL {
            return vm.join_long(parts, total);
        }
    }
    let style = vm.dialect.float_text;
    let mut small = [0u8; SMALL];
    let mut used = 0;
    for p in parts {
        let mut digits = NumberText::default();
        let text = text_of(p, &mut digits, style);
        if used + text.len() > SMALL {
            let total = parts.iter().map(|p| text_of(p, &mut NumberText::default(), style).len()).sum();
            return vm.join_long(parts, total);
        }
        small[used..used + text.len()].copy_from_slice(text);
        used += text.len();
    }
    Ok(vm.heap.new_str(&small[..used]))
}

/// Room for the text of a number.
#[derive(Default)]
pub(crate) struct NumberText {
    bytes: Vec<u8>,
    fixed: [u8; 20],
}

/// The text of a string or number.
fn text_of<'a>(v: &'a Value, room: &'a mut NumberText, style: FloatText) -> &'a [u8] {
    match v.tag {
        Tag::Str => {
            // SAFETY: the tag says that it is a string; it is kept alive by the register that `v` refers to.
            unsafe { bytes_of(super::pointer(*v)) }
        }
        Tag::Int => write_int(v.raw_int(), &mut room.fixed),
        _ => {
            write_float_as(&mut room.bytes, v.raw_float(), style);
            &room.bytes
        }
    }
}

/// The decimal digits of an integer, written from the right.
fn write_int(n: i64, room: &mut [u8; 20]) -> &[u8] {
    let mut at = room.len();
    let mut rest = n.unsigned_abs();
    loop {
        at -= 1;
        room[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if n < 0 {
        at -= 1;
        room[at] = b'-';
    }
    &room[at..]
}

impl Vm {
    /// Joins into a string that is too long for the stack.
    fn join_long(&mut self, parts: &[Value], total: usize) -> Result<StrRef, Raised> {
        const LARGE: usize = 16 << 10;
        if total > LARGE {
            self.charge((total / 64) as u64)?;
        }
        self.reserve_str(total)?;
        let style = self.dialect.float_text;
        let made = self.heap.new_str_with(total, |out| {
            let mut at = 0;
            for p in parts {
                let mut digits = NumberText::default();
                let text = text_of(p, &mut digits, style);
                out[at..at + text.len()].copy_from_slice(text);
                at += text.len();
            }
        });
        made.map_err(|_| self.memory_error())
    }

    /// The string that a string or number is as text.
    pub fn number_to_str(&mut self, v: Value) -> Option<StrRef> {
        match v.tag {
            Tag::Str => v.as_str(),
            Tag::Int | Tag::Float => {
                let mut digits = NumberText::default();
                Some(self.heap.new_str(text_of(&v, &mut digits, self.dialect.float_text)))
            }
            _ => None,
        }
    }
}
