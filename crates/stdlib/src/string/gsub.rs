//! `string.gsub`.

use perilune_base::num::format::write_int;
use perilune_runtime::object::{StrRef, TableRef};
use perilune_runtime::value::{Tag, Value};
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::numbers::{write_count, write_float};

use super::buffer::{self, append};
use super::find::{as_c_pattern, push_capture, push_captures, raise, raise_pattern_error, unanchored};
use super::pattern::{Captured, Matcher};
use super::search::find_byte;

/// The argument that says what to replace matches with.
const REPLACEMENT: usize = 3;

/// What matches are replaced with.
enum Replacement {
    /// A string without `%`.
    Plain(StrRef),
    /// A string with references to captures.
    Template(StrRef),
    /// The value in a table under the first capture.
    Table(TableRef),
    /// The result of a call with the captures.
    Function(Value),
}

/// A match, with what the matcher knows of it.
struct Match<'m, 'a> {
    matcher: &'m Matcher<'a, Raised>,
    subject: &'a [u8],
    /// Where the text before the match begins that is not in the output yet.
    copied: usize,
    start: usize,
    end: usize,
}

impl Match<'_, '_> {
    /// The text before the match that is not in the output yet.
    fn before(&self) -> &[u8] {
        &self.subject[self.copied..self.start]
    }

    fn text(&self) -> &[u8] {
        &self.subject[self.start..self.end]
    }
}

pub(super) fn gsub(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(1)?;
    let p = vm.check_str(2)?;
    let subject = s.as_bytes();
    let most = vm.opt_int(4, subject.len() as i64 + 1)?;
    let most = if vm.dialect().c_strings { i64::from(most as i32) } else { most };
    // A count without sign, in the version that has it so.
    let most = if vm.dialect().unsigned_gsub_counts && most < 0 { i64::MAX } else { most };
    let replacement = Replacement::of_argument(vm)?;
    let old;
    let (is_anchored, pattern) = if vm.dialect().c_strings {
        old = as_c_pattern(p.as_bytes());
        unanchored(&old)
    } else {
        unanchored(p.as_bytes())
    };
    let empty_may_follow = vm.dialect().empty_matches_follow;
    let mut matcher = Matcher::new(subject, pattern);
    if !is_anchored {
        matcher.find_lead();
    }
    let mut out = vm.take_buffer();
    // What is before `copied` is in `out`. Matches that keep their text are copied with what follows them.
    let (mut copied, mut from) = (0, 0);
    let mut last_end = None;
    let mut count = 0;
    let mut is_changed = false;
    while count < most {
        let found = if is_anchored {
            let end = matcher.try_at(vm, 0);
            end.map(|end| end.map(|end| (0, end)))
        } else {
            matcher.search(vm, from)
        };
        let Some((start, end)) = found.map_err(|stop| raise(vm, stop))? else { break };
        if last_end == Some(end) && !empty_may_follow {
            // An empty match right behind the last match is none.
            from = start + 1;
            continue;
        }
        count += 1;
        if replacement.add(vm, &mut out, &Match { matcher: &matcher, subject, copied, start, end })? {
            copied = end;
            is_changed = true;
        }
        from = if empty_may_follow && start == end { end + 1 } else { end };
        last_end = Some(end);
        if is_anchored || from > subject.len() {
            break;
        }
    }
    matcher.settle(vm)?;
    if is_changed {
        append(vm, &mut out, &subject[copied..])?;
        buffer::return_buffer(vm, out)?;
    } else {
        vm.give_buffer(out);
        vm.push(vm.arg(1));
    }
    vm.push(vm.int_value(count));
    Ok(2)
}

impl Replacement {
    fn of_argument(vm: &mut Vm) -> Result<Replacement, Raised> {
        let value = vm.arg(REPLACEMENT);
        Ok(match value.tag {
            Tag::Str | Tag::Int | Tag::Float => {
                let text = vm.check_str(REPLACEMENT)?;
                match find_byte(text.as_bytes(), b'%') {
                    None => Replacement::Plain(text),
                    Some(_) => Replacement::Template(text),
                }
            }
            Tag::LuaFn | Tag::NativeFn => Replacement::Function(value),
            _ => match value.as_table() {
                Some(table) => Replacement::Table(table),
                None => return Err(crate::expected(vm, REPLACEMENT, "string/function/table")),
            },
        })
    }

    /// Appends the text before a match, and what replaces the match. Returns false, and has appended nothing, if the match
    /// keeps its text.
    fn add(&self, vm: &mut Vm, out: &mut Vec<u8>, found: &Match<'_, '_>) -> Result<bool, Raised> {
        match self {
            Replacement::Plain(text) => {
                append(vm, out, found.before())?;
                append(vm, out, text.as_bytes())?;
            }
            Replacement::Template(text) => {
                append(vm, out, found.before())?;
                add_template(vm, out, text.as_bytes(), found)?;
            }
            Replacement::Table(table) => {
                // Nothing else in this loop lets the collector have what the captures leave behind.
                vm.safepoint()?;
                push_capture(vm, found.matcher, 0, found.start, found.end)?;
                let key = vm.arg(vm.nargs());
                let value = match table.metatable() {
                    None => table.get(key),
                    Some(_) => vm.index(Value::table(*table), key)?,
                };
                vm.pop();
                vm.push(value);
                return add_top(vm, out, found.before());
            }
            Replacement::Function(function) => {
                vm.push(*function);
                let count = push_captures(vm, found.matcher, found.start, found.end)?;
                vm.call(count as usize, 1)?;
                return add_top(vm, out, found.before());
            }
        }
        Ok(true)
    }
}

/// Appends a replacement string, with references to captures resolved.
fn add_template(vm: &mut Vm, out: &mut Vec<u8>, template: &[u8], found: &Match<'_, '_>) -> Result<(), Raised> {
    let mut rest = template;
    while let Some(at) = find_byte(rest, b'%') {
        append(vm, out, &rest[..at])?;
        match rest.get(at + 1) {
            Some(b'%') => append(vm, out, b"%")?,
            Some(b'0') => append(vm, out, found.text())?,
            Some(digit @ b'1'..=b'9') => {
                match found.matcher.capture(usize::from(digit - b'1'), found.start, found.end) {
                    Ok(Captured::Text(text)) => append(vm, out, text)?,
                    Ok(Captured::Position(position)) => write_count(vm, out, position),
                    Err(_) if !vm.dialect().integers => return Err(vm.error("invalid capture index")),
                    Err(error) => return Err(raise_pattern_error(vm, error)),
                }
            }
            other if vm.dialect().lax_replacements => {
                append(vm, out, &[other.copied().unwrap_or(0)])?;
                rest = rest.get(at + 2..).unwrap_or_default();
                continue;
            }
            _ => return Err(vm.error("invalid use of '%' in replacement string")),
        }
        rest = &rest[at + 2..];
    }
    append(vm, out, rest)
}

/// Pops what a table or function gave, and appends it behind the text before the match. Returns false, and has appended
/// nothing, if the match keeps its text.
fn add_top(vm: &mut Vm, out: &mut Vec<u8>, before: &[u8]) -> Result<bool, Raised> {
    let value = vm.arg(vm.nargs());
    if value.is_truthy() {
        append(vm, out, before)?;
        match value.tag {
            Tag::Int => write_int(out, value.raw_int()),
            Tag::Float => write_float(vm, out, value.raw_float()),
            _ => match value.as_str() {
                Some(text) => append(vm, out, text.as_bytes())?,
                None => {
                    let message = format!("invalid replacement value (a {})", value.type_name());
                    return Err(vm.error(&message));
                }
            },
        }
    }
    vm.pop();
    Ok(value.is_truthy())
}
