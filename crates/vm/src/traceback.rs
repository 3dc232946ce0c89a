//! Tracebacks and positions.

use perilune_base::chunkid::chunkid;
use perilune_base::dialect::Dialect;
use perilune_base::dialect::table::Tracebacks;
use perilune_runtime::object::{LuaClosure, Proto, Thread, ThreadRef};
use perilune_runtime::stack::Frame;
use perilune_runtime::value::Value;

use crate::call::frames_down;
use crate::frame;
use crate::interp::pointer;
use crate::names;
use crate::vm::Vm;

/// Levels shown at the top of a long traceback.
const FIRST_LEVELS: usize = 10;
/// Levels shown at its bottom.
const LAST_LEVELS: usize = 11;
/// As [`FIRST_LEVELS`], in versions that count from the first level of all.
const FIRST_LEVELS_OLD: usize = 12;
/// As [`LAST_LEVELS`], in those versions.
const LAST_LEVELS_OLD: usize = 10;

/// A level of a thread.
#[derive(Clone, Copy)]
pub(crate) enum Level {
    /// A call in progress.
    Active(*mut Frame),
    /// A call that was replaced by a tail call, where the language counts them.
    Lost,
}

/// The levels of a thread from the current one, which is level 0.
///
/// # Safety
/// `th` is alive.
pub(crate) unsafe fn levels(th: *mut Thread) -> impl Iterator<Item = Level> {
    // SAFETY: the caller's duty.
    unsafe {
        frames_down(th).filter(|&f| (*f).kind != frame::BOTTOM).flat_map(|f| {
            let lost = std::iter::repeat_n(Level::Lost, frame::lost_calls(f) as usize);
            std::iter::once(Level::Active(f)).chain(lost)
        })
    }
}

/// The line that a Lua frame is executing, if its function has lines.
///
/// # Safety
/// `f` is a Lua frame of a live thread, with `pc` stored.
pub(crate) unsafe fn current_line(f: *mut Frame) -> Option<u32> {
    // SAFETY: the caller's duty.
    unsafe {
        let (p, _, pc) = names::code_of(f);
        p.lines.get(pc).copied()
    }
}

/// The short name of a prototype's source.
///
/// # Safety
/// `proto` is alive.
pub(crate) unsafe fn short_source(dialect: &Dialect, proto: *mut Proto) -> Vec<u8> {
    // SAFETY: the caller's duty; the source is kept alive by the prototype. An empty name is left out.
    match unsafe { (*proto).info.source.as_str() } {
        Some(s) => chunkid(s.as_bytes(), dialect),
        None => chunkid(b"", dialect),
    }
}

/// The name under which a loaded module holds a function: `string.rep`, or `print` for a global. A function that is a module
/// has the module's name.
pub(crate) fn global_name(vm: &mut Vm, function: Value) -> Option<Vec<u8>> {
    let registry = vm.registry;
    let loaded = vm.get_field(registry, "_LOADED").as_table()?;
    let mut best: Option<Vec<u8>> = None;
    let mut key = Value::NIL;
    while let Ok(Some((k, module))) = loaded.next(key) {
        key = k;
        let Some(module_name) = k.as_str() else { continue };
        if module.raw_equals(function) {
            best.get_or_insert_with(|| names::shown(module_name.as_bytes()).to_vec());
        }
        let Some(module) = module.as_table() else { continue };
        let mut field = Value::NIL;
        while let Ok(Some((name, v))) = module.next(field) {
            field = name;
            let Some(name) = name.as_str() else { continue };
            if v.raw_equals(function) {
                if module_name.as_bytes() == b"_G" {
                    return Some(names::shown(name.as_bytes()).to_vec());
                }
                if best.is_none() {
                    let mut full = module_name.as_bytes().to_vec();
                    full.push(b'.');
                    full.extend_from_slice(name.as_bytes());
                    best = Some(names::shown(&full).to_vec());
                }
            }
        }
    }
    best
}

impl Vm {
    /// `chunk:line: ` of the function at a level (0 is the running one), or nothing when it has no lines.
    pub fn position(&self, n: usize) -> Vec<u8> {
        // SAFETY: the current thread is alive.
        unsafe {
            match levels(self.thread).nth(n) {
                Some(Level::Active(f)) if (*f).kind == frame::LUA => {
                    let (_, proto, _) = names::code_of(f);
                    match current_line(f) {
                        Some(line) => {
                            let mut text = short_source(self.dialect, proto);
                            text.extend_from_slice(format!(":{line}: ").as_bytes());
                            text
                        }
                        None => Vec::new(),
                    }
                }
                _ => Vec::new(),
            }
        }
    }

    /// `chunk:line: ` in front of the errors of the running Lua function's own instructions; `?:-1: ` if it was stripped.
    ///
    /// # Safety
    /// The current frame is a Lua frame, with `pc` stored.
    pub(crate) unsafe fn running_position(&self) -> Vec<u8> {
        // SAFETY: the caller's duty.
        unsafe {
            let f = (*self.thread).frame;
            let (_, proto, _) = names::code_of(f);
            let Some(line) = current_line(f) else {
                return format!("{} ", self.dialect.stripped_position).into_bytes();
            };
            let mut text = short_source(self.dialect, proto);
            text.extend_from_slice(format!(":{line}: ").as_bytes());
            text
        }
    }

    /// A traceback of `thread` from a level on, as `luaL_traceback` writes it.
    pub fn traceback(&mut self, thread: ThreadRef, message: Option<&[u8]>, from: usize) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(m) = message {
            // Only where the library of Lua itself joins the texts do they go past a zero byte.
            out.extend_from_slice(if self.dialect.tracebacks == Tracebacks::Lines { m } else { names::shown(m) });
            out.push(b'\n');
        }
        out.extend_from_slice(b"stack traceback:");
        // SAFETY: the thread is alive; nothing below runs Lua code.
        unsafe {
            let all: Vec<Level> = levels(thread.as_ptr()).collect();
            let style = self.dialect.tracebacks;
            let left_out = omission(style, from, all.len());
            let mut at = from;
            while at < all.len() {
                if let Some((first, end)) = left_out
                    && at == first
                {
                    out.extend_from_slice(b"\n\t...");
                    if matches!(style, Tracebacks::Counted | Tracebacks::Called) {
                        // One level more than the announced number is left out, as in the reference.
                        out.extend_from_slice(format!("\t(skipping {} levels)", end - first - 1).as_bytes());
                    }
                    at = end;
                    continue;
                }
                match all[at] {
                    Level::Active(f) => {
                        let above = all[..at].iter().rev().find_map(|level| match level {
                            Level::Active(above) => Some(*above),
                            Level::Lost => None,
                        });
                        self.traceback_level(&mut out, f, above);
                    }
                    Level::Lost => out.extend_from_slice(b"\n\t(tail call): ?"),
                }
                at += 1;
            }
        }
        out
    }

    /// One line of a traceback, about a frame that waits for the one `above`.
    ///
    /// # Safety
    /// `f` is a frame of a live thread above its bottom frame; `above` is one of the same thread.
    unsafe fn traceback_level(&mut self, out: &mut Vec<u8>, f: *mut Frame, above: Option<*mut Frame>) {
        // SAFETY: the caller's duty; the function slot of a frame holds its function.
        unsafe {
            let is_lua = (*f).kind == frame::LUA;
            out.extend_from_slice(b"\n\t");
            if is_lua {
                let (_, proto, _) = names::code_of(f);
                out.extend_from_slice(&short_source(self.dialect, proto));
                if let Some(line) = current_line(f) {
                    out.extend_from_slice(format!(":{line}").as_bytes());
                }
            } else {
                out.extend_from_slice(b"[C]");
            }
            out.extend_from_slice(b": ");
            out.extend_from_slice(&self.described_function(f, above));
            if (*f).flags & frame::TAIL != 0 && !self.dialect.counts_tail_calls {
                out.extend_from_slice(b"\n\t(...tail calls...)");
            }
        }
    }

    /// What a line of a traceback says about the function of a frame.
    ///
    /// # Safety
    /// As [`Vm::traceback_level`].
    unsafe fn described_function(&mut self, f: *mut Frame, above: Option<*mut Frame>) -> Vec<u8> {
        // SAFETY: the caller's duty; the function slot of a frame holds its function.
        unsafe {
            let is_lua = (*f).kind == frame::LUA;
            let function = *(*f).func;
            let line_defined = crate::load::plain_of(function).map_or(0, |plain| plain.line_defined);
            let is_main = is_lua && line_defined == 0;
            let style = self.dialect.tracebacks;
            let named = names::function_name(self.dialect, f, above);
            let quoted = |kind: &str, name: &[u8]| [b"in ", kind.as_bytes(), b" '", name, b"'"].concat();
            match (style, named) {
                (Tracebacks::Lines | Tracebacks::Functions, Some((_, name))) => return quoted("function", &name),
                (Tracebacks::Called, Some((kind, name))) => return quoted(kind, &name),
                (Tracebacks::Called, None) if is_main => {}
                (Tracebacks::Lines, None) if !is_lua => return b"?".to_vec(),
                (Tracebacks::Lines | Tracebacks::Functions, None) if is_lua => {}
                (_, named) => {
                    if let Some(name) = global_name(self, function) {
                        return quoted("function", &name);
                    }
                    if let Some((kind, name)) = named {
                        return quoted(kind, &name);
                    }
                }
            }
            if !is_lua {
                return b"in ?".to_vec();
            }
            let proto = (*pointer::<LuaClosure>(function)).proto;
            match line_defined {
                0 => b"in main chunk".to_vec(),
                line => {
                    let place = format!(":{line}>");
                    [b"in function <", &short_source(self.dialect, proto)[..], place.as_bytes()].concat()
                }
            }
        }
    }
}

/// The levels that a traceback of levels `from..count` leaves out: the first one, and the one behind them.
fn omission(style: Tracebacks, from: usize, count: usize) -> Option<(usize, usize)> {
    let (first, end) = match style {
        Tracebacks::Lines if FIRST_LEVELS_OLD.max(from) + LAST_LEVELS_OLD + 1 < count => {
            (FIRST_LEVELS_OLD.max(from), count - LAST_LEVELS_OLD)
        }
        Tracebacks::Lines => return None,
        Tracebacks::Functions if count > FIRST_LEVELS_OLD + LAST_LEVELS_OLD + 1 && from < FIRST_LEVELS_OLD => {
            (FIRST_LEVELS_OLD - 1, count - 1 - LAST_LEVELS_OLD)
        }
        Tracebacks::Functions => return None,
        Tracebacks::Kinds | Tracebacks::Counted | Tracebacks::Called => {
            let is_long = count.saturating_sub(from) > FIRST_LEVELS + LAST_LEVELS + 1;
            if !is_long {
                return None;
            }
            (from + FIRST_LEVELS, count - LAST_LEVELS)
        }
    };
    (first < end).then_some((first, end))
}
