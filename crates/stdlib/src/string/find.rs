//! `string.find`, `string.match` and `string.gmatch`.

use perilune_runtime::value::Value;
use perilune_vm::native::{Intrinsic, NativeResult, Raised};
use perilune_vm::vm::Vm;

use super::meter::BYTES_PER_STEP;
use super::pattern::{Captured, Matcher, PatternError, Stop};
use super::search::find_bytes;
use super::{buffer, position};

pub(super) fn find(vm: &mut Vm) -> NativeResult {
    find_or_match(vm, true)
}

pub(super) fn r#match(vm: &mut Vm) -> NativeResult {
    find_or_match(vm, false)
}

#[inline]
fn find_or_match(vm: &mut Vm, is_find: bool) -> NativeResult {
    let s = vm.check_str(1)?;
    let p = vm.check_str(2)?;
    let (subject, pattern) = (s.as_bytes(), p.as_bytes());
    let mut init = position::start(vm.opt_int(3, 1)?, subject.len()) - 1;
    if vm.dialect().c_strings {
        init = init.min(subject.len());
    }
    if init > subject.len() {
        return vm.ret(Value::NIL);
    }
    vm.charge((pattern.len() / BYTES_PER_STEP / 16) as u64)?;
    if is_find && (vm.arg(4).is_truthy() || is_plain(pattern)) {
        return find_plain(vm, subject, pattern, init);
    }
    let old;
    let (is_anchored, pattern) = if vm.dialect().c_strings {
        old = as_c_pattern(pattern);
        unanchored(&old)
    } else {
        unanchored(pattern)
    };
    let mut matcher = Matcher::new(subject, pattern);
    let found = if is_anchored {
        let end = matcher.try_at(vm, init);
        end.map(|end| end.map(|end| (init, end)))
    } else {
        matcher.find_lead();
        matcher.search(vm, init)
    };
    matcher.settle(vm)?;
    let Some((start, end)) = found.map_err(|stop| raise(vm, stop))? else {
        return vm.ret(Value::NIL);
    };
    if !is_find {
        return push_captures(vm, &matcher, start, end);
    }
    vm.push(vm.int_value(start as i64 + 1));
    vm.push(vm.int_value(end as i64));
    match matcher.level() {
        0 => Ok(2),
        _ => Ok(push_captures(vm, &matcher, start, end)? + 2),
    }
}

fn find_plain(vm: &mut Vm, subject: &[u8], text: &[u8], init: usize) -> NativeResult {
    let rest = &subject[init..];
    let found = find_bytes(vm, rest, text)?;
    let distance = found.unwrap_or(rest.len());
    vm.charge((distance / BYTES_PER_STEP) as u64)?;
    if found.is_none() {
        return vm.ret(Value::NIL);
    }
    let start = init + distance;
    vm.push(vm.int_value(start as i64 + 1));
    vm.push(vm.int_value((start + text.len()) as i64));
    Ok(2)
}

/// Whether a pattern matches itself only. (`)` alone does not count: the reference takes it for plain.)
fn is_plain(pattern: &[u8]) -> bool {
    !pattern.iter().any(|byte| matches!(byte, b'^' | b'$' | b'*' | b'+' | b'?' | b'.' | b'(' | b'[' | b'%' | b'-'))
}

/// Whether a pattern is anchored, and what it is without the anchor.
pub(super) fn unanchored(pattern: &[u8]) -> (bool, &[u8]) {
    match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    }
}

/// A pattern of a version in which patterns end at a zero byte and have no class `%g`.
#[cold]
pub(super) fn as_c_pattern(pattern: &[u8]) -> Vec<u8> {
    let end = pattern.iter().position(|byte| *byte == 0).unwrap_or(pattern.len());
    let mut out = Vec::with_capacity(end);
    let mut rest = &pattern[..end];
    loop {
        rest = match rest {
            [] => return out,
            [b'%', letter @ (b'g' | b'G'), behind @ ..] => {
                out.push(*letter);
                behind
            }
            [b'%', b'b', first, second, behind @ ..] => {
                out.extend_from_slice(&[b'%', b'b', *first, *second]);
                behind
            }
            [b'%', escaped, behind @ ..] => {
                out.extend_from_slice(&[b'%', *escaped]);
                behind
            }
            [byte, behind @ ..] => {
                out.push(*byte);
                behind
            }
        }
    }
}

/// Returns an iterator over the matches. Its upvalues are the subject, the pattern, where to go on, and where the last
/// match ended (-1 before the first).
pub(super) fn gmatch(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(1)?;
    let p = vm.check_str(2)?;
    let p = if vm.dialect().c_strings {
        let pattern = vm.string(&as_c_pattern(p.as_bytes()));
        vm.set_arg(2, pattern);
        vm.check_str(2)?
    } else {
        p
    };
    let init = if vm.dialect().gmatch_init { position::start(vm.opt_int(3, 1)?, s.len()) - 1 } else { 0 };
    let from = init.min(s.len() + 1) as i64;
    let upvalues = [Value::str(s), Value::str(p), Value::int(from), Value::int(-1)];
    let iterator = vm.native(gmatch_step, Intrinsic::GmatchStep, &upvalues);
    vm.ret(iterator)
}

const SUBJECT: usize = 1;
const PATTERN: usize = 2;
const FROM: usize = 3;
const LAST_END: usize = 4;

fn gmatch_step(vm: &mut Vm) -> NativeResult {
    let (Some(s), Some(p)) = (vm.upvalue(SUBJECT).as_str(), vm.upvalue(PATTERN).as_str()) else { return Ok(0) };
    let mut from = vm.upvalue(FROM).raw_int() as usize;
    let last_end = usize::try_from(vm.upvalue(LAST_END).raw_int()).ok().filter(|_| !vm.dialect().empty_matches_follow);
    let mut matcher = Matcher::new(s.as_bytes(), p.as_bytes());
    matcher.find_lead();
    let found = loop {
        match matcher.search(vm, from) {
            // An empty match right behind the last match is none.
            Ok(Some((start, end))) if Some(end) == last_end => from = start + 1,
            found => break found,
        }
    };
    matcher.settle(vm)?;
    let Some((start, end)) = found.map_err(|stop| raise(vm, stop))? else { return Ok(0) };
    // Where an empty match may follow any other, one must not follow itself.
    let next = if end == start && vm.dialect().empty_matches_follow { end + 1 } else { end };
    let count = push_captures(vm, &matcher, start, end)?;
    // From here on nothing fails, so that a step which does can be taken again.
    vm.set_upvalue(FROM, Value::int(next as i64));
    vm.set_upvalue(LAST_END, Value::int(end as i64));
    Ok(count)
}

/// Pushes the captures of a match, or the whole match if there are none; returns how many.
pub(super) fn push_captures(vm: &mut Vm, matcher: &Matcher<'_, Raised>, start: usize, end: usize) -> NativeResult {
    let count = matcher.level().max(1);
    vm.reserve_stack_for(count, "too many captures")?;
    for index in 0..count {
        push_capture(vm, matcher, index, start, end)?;
    }
    Ok(count as u32)
}

/// Pushes a capture of a match.
#[inline]
pub(super) fn push_capture(
    vm: &mut Vm,
    matcher: &Matcher<'_, Raised>,
    index: usize,
    start: usize,
    end: usize,
) -> Result<(), Raised> {
    let value = match matcher.capture(index, start, end) {
        Ok(Captured::Text(text)) => buffer::string(vm, text)?,
        Ok(Captured::Position(position)) => vm.int_value(position),
        Err(error) => return Err(raise_pattern_error(vm, error)),
    };
    vm.push(value);
    Ok(())
}

/// Raises what stopped a matcher.
#[cold]
pub(super) fn raise(vm: &mut Vm, stop: Stop<Raised>) -> Raised {
    match stop {
        Stop::Pattern(error) => raise_pattern_error(vm, error),
        Stop::Meter(raised) => raised,
    }
}

/// Raises an error about a pattern.
#[cold]
pub(super) fn raise_pattern_error(vm: &mut Vm, error: PatternError) -> Raised {
    match error {
        PatternError::CaptureIndex(_) if vm.dialect().c_strings => vm.error("invalid capture index"),
        PatternError::BalanceWithoutBytes if vm.dialect().c_strings => vm.error("unbalanced pattern"),
        error => vm.error(&error.to_string()),
    }
}
