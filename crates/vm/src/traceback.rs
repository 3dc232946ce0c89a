//! Tracebacks and positions.

use perilune_base::chunkid::chunkid;
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

/// The frames of a thread from the current one down, without the bottom one.
///
/// # Safety
/// `th` is alive.
pub(crate) unsafe fn levels(th: *mut Thread) -> Vec<*mut Frame> {
    // SAFETY: the caller's duty.
    unsafe { frames_down(th).filter(|&f| (*f).kind != frame::BOTTOM).collect() }
}

/// The frame at a level of a thread: 0 is the running function.
///
/// # Safety
/// `th` is alive.
pub(crate) unsafe fn level(th: *mut Thread, n: usize) -> Option<*mut Frame> {
    // SAFETY: the caller's duty.
    unsafe { frames_down(th).filter(|&f| (*f).kind != frame::BOTTOM).nth(n) }
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
pub(crate) unsafe fn short_source(proto: *mut Proto) -> Vec<u8> {
    // SAFETY: the caller's duty; the source is kept alive by the prototype. An empty name is left out.
    match unsafe { (*proto).info.source.as_str() } {
        Some(s) => chunkid(s.as_bytes()),
        None => chunkid(b""),
    }
}

/// The name under which a loaded module holds a function: `string.rep`, or `print` for a global.
pub(crate) fn global_name(vm: &mut Vm, function: Value) -> Option<Vec<u8>> {
    let registry = vm.registry;
    let loaded = vm.get_field(registry, "_LOADED").as_table()?;
    let mut best: Option<Vec<u8>> = None;
    let mut key = Value::NIL;
    while let Ok(Some((k, module))) = loaded.next(key) {
        key = k;
        let (Some(module_name), Some(module)) = (k.as_str(), module.as_table()) else { continue };
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
            match level(self.thread, n) {
                Some(f) if (*f).kind == frame::LUA => {
                    let (_, proto, _) = names::code_of(f);
                    match current_line(f) {
                        Some(line) => {
                            let mut text = short_source(proto);
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
            let line = current_line(f).map_or(-1, i64::from);
            let mut text = short_source(proto);
            text.extend_from_slice(format!(":{line}: ").as_bytes());
            text
        }
    }

    /// A traceback of `thread` from a level on, as `luaL_traceback` writes it.
    pub fn traceback(&mut self, thread: ThreadRef, message: Option<&[u8]>, from: usize) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(m) = message {
            out.extend_from_slice(m);
            out.push(b'\n');
        }
        out.extend_from_slice(b"stack traceback:");
        // SAFETY: the thread is alive; nothing below runs Lua code.
        unsafe {
            let all = levels(thread.as_ptr());
            let shown = all.get(from..).unwrap_or(&[]);
            // One level more than the announced number is left out, as in the reference.
            let skip = shown.len() > FIRST_LEVELS + LAST_LEVELS + 1;
            let mut at = 0;
            while at < shown.len() {
                if skip && at == FIRST_LEVELS {
                    let skipped = shown.len() - FIRST_LEVELS - LAST_LEVELS;
                    out.extend_from_slice(format!("\n\t...\t(skipping {} levels)", skipped - 1).as_bytes());
                    at += skipped;
                    continue;
                }
                self.traceback_level(&mut out, shown[at]);
                at += 1;
            }
        }
        out
    }

    /// One line of a traceback.
    ///
    /// # Safety
    /// `f` is a frame of a live thread above its bottom frame.
    unsafe fn traceback_level(&mut self, out: &mut Vec<u8>, f: *mut Frame) {
        // SAFETY: the caller's duty; the function slot of a frame holds its function.
        unsafe {
            let is_lua = (*f).kind == frame::LUA;
            if is_lua {
                let (_, proto, _) = names::code_of(f);
                out.extend_from_slice(b"\n\t");
                out.extend_from_slice(&short_source(proto));
                match current_line(f) {
                    Some(line) => out.extend_from_slice(format!(":{line}: in ").as_bytes()),
                    None => out.extend_from_slice(b": in "),
                }
            } else {
                out.extend_from_slice(b"\n\t[C]: in ");
            }
            let function = *(*f).func;
            if let Some(name) = global_name(self, function) {
                out.extend_from_slice(b"function '");
                out.extend_from_slice(&name);
                out.push(b'\'');
            } else if let Some((kind, name)) = names::function_name(f) {
                out.extend_from_slice(kind.as_bytes());
                out.extend_from_slice(b" '");
                out.extend_from_slice(&name);
                out.push(b'\'');
            } else if is_lua {
                let proto = (*pointer::<LuaClosure>(function)).proto;
                let p = &(*proto).info.plain;
                if p.line_defined == 0 {
                    out.extend_from_slice(b"main chunk");
                } else {
                    out.extend_from_slice(b"function <");
                    out.extend_from_slice(&short_source(proto));
                    out.extend_from_slice(format!(":{}>", p.line_defined).as_bytes());
                }
            } else {
                out.push(b'?');
            }
            if (*f).flags & frame::TAIL != 0 {
                out.extend_from_slice(b"\n\t(...tail calls...)");
            }
        }
    }
}
