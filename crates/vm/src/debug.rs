//! Looking at frames and functions: what the debug library and debuggers see.

use perilune_base::dialect::Dialect;
use perilune_base::dialect::table::Environments;
use perilune_runtime::object::{LuaClosure, NativeClosure, Thread, ThreadRef, UpVal};
use perilune_runtime::stack::Frame;
use perilune_runtime::value::{Tag, Value};

use crate::frame;
use crate::names;
use crate::traceback::{Level, current_line, levels, short_source};
use crate::vm::Vm;

/// A frame of a thread, valid as long as the frame is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameId(usize);

impl FrameId {
    /// A call that was replaced by a tail call: it has no function, and no variables.
    pub const LOST: FrameId = FrameId(usize::MAX);
}

/// What `debug.getinfo` can tell.
#[derive(Clone, Debug, Default)]
pub struct Info {
    /// The function; not set for a frame that has none.
    pub func: Option<Value>,
    /// `Lua`, `C` or `main`.
    pub what: &'static str,
    /// The chunk's name as it was given.
    pub source: Vec<u8>,
    /// The chunk's name for messages.
    pub short_source: Vec<u8>,
    /// First line; -1 for a native function.
    pub line_defined: i64,
    /// Last line; -1 for a native function.
    pub last_line_defined: i64,
    /// The line being executed; -1 when unknown.
    pub current_line: i64,
    /// The function's name as its caller knows it, and what that name is; both are empty for a call that is lost.
    pub name: Option<(&'static str, Vec<u8>)>,
    /// Whether a tail call made the frame.
    pub is_tail_call: bool,
    /// Number of upvalues.
    pub upvalues: u32,
    /// Number of fixed parameters.
    pub params: u32,
    /// Whether it takes more.
    pub is_vararg: bool,
    /// Lines with code, in order; `None` for a native function.
    pub active_lines: Option<Vec<u32>>,
    /// Arguments that `__call` added.
    pub extra_arguments: u16,
    /// First value transferred by the call or return that a hook is about.
    pub first_transfer: u16,
    /// Number of those values.
    pub transfers: u16,
}

impl Vm {
    /// The frame at a level: 0 is the running function of that thread.
    pub fn frame_at(&self, thread: ThreadRef, n: usize) -> Option<FrameId> {
        // SAFETY: the thread is alive.
        unsafe {
            Some(match levels(thread.as_ptr()).nth(n)? {
                Level::Active(f) => FrameId(f.offset_from((*thread.as_ptr()).frames) as usize),
                Level::Lost => FrameId::LOST,
            })
        }
    }

    /// What there is to know about a function.
    pub fn function_info(&self, f: Value) -> Info {
        let mut info = Info { func: Some(f), current_line: -1, ..Info::default() };
        match (f.as_lua_fn(), f.as_native_fn()) {
            (Some(c), _) => {
                // SAFETY: the closure and its prototype are alive.
                let (p, source, short, upvalues) = unsafe {
                    let c: *mut LuaClosure = c.as_ptr();
                    let proto = (*c).proto;
                    let info = &(*proto).info;
                    (&info.plain, info.source, short_source(self.dialect, proto), (*c).header.word)
                };
                info.what = if p.line_defined == 0 { "main" } else { "Lua" };
                info.source = source.as_str().map_or_else(Vec::new, |s| s.as_bytes().to_vec());
                info.short_source = short;
                info.line_defined = i64::from(p.line_defined);
                info.last_line_defined = i64::from(p.last_line);
                info.upvalues = upvalues.saturating_sub(self.hidden_upvalues() as u32);
                info.params = u32::from(p.num_params);
                info.is_vararg = p.is_vararg;
                let prologue = names::prologue(self.dialect, p);
                let mut lines: Vec<u32> = p.lines.iter().skip(prologue).copied().collect();
                lines.sort_unstable();
                lines.dedup();
                info.active_lines = Some(lines);
            }
            (None, Some(c)) => {
                info.what = "C";
                info.source = b"=[C]".to_vec();
                info.short_source = b"[C]".to_vec();
                info.line_defined = -1;
                info.last_line_defined = -1;
                info.is_vararg = true;
                // SAFETY: the closure is alive.
                info.upvalues = unsafe { (*c.as_ptr()).header.word };
            }
            (None, None) => {}
        }
        info
    }

    /// What there is to know about an active frame.
    pub fn frame_info(&self, thread: ThreadRef, id: FrameId) -> Info {
        if id == FrameId::LOST {
            return Info {
                what: "tail",
                source: b"=(tail call)".to_vec(),
                short_source: b"(tail call)".to_vec(),
                name: Some(("", Vec::new())),
                line_defined: -1,
                last_line_defined: -1,
                current_line: -1,
                ..Info::default()
            };
        }
        let f = frame_of(thread, id);
        // SAFETY: the frame is active; its function slot holds its function.
        unsafe {
            let mut info = self.function_info(*(*f).func);
            if (*f).kind == frame::LUA {
                info.current_line = current_line(f).map_or(-1, i64::from);
            }
            let above = (f != (*thread.as_ptr()).frame).then(|| f.add(1));
            info.name = names::function_name(self.dialect, f, above);
            info.is_tail_call = (*f).flags & frame::TAIL != 0;
            info.extra_arguments = frame::extra_arguments(f);
            info.first_transfer = self.transfer.first;
            info.transfers = self.transfer.count;
            info
        }
    }

    /// The name and value of a frame's local variable: parameters and locals from 1, extra arguments from -1 down.
    pub fn local(&self, thread: ThreadRef, id: FrameId, n: i64) -> Option<(Vec<u8>, Value)> {
        let (name, slot) = find_local(self.dialect, thread, id, n)?;
        // SAFETY: `find_local` gives slots of the thread's stack.
        let value = unsafe { *slot };
        // Numeric loops count by integers even where scripts see none.
        Some((name, self.key_value(value)))
    }

    /// Sets a frame's local variable; its name when there is one.
    pub fn set_local(&mut self, thread: ThreadRef, id: FrameId, n: i64, v: Value) -> Option<Vec<u8>> {
        if id == FrameId::LOST {
            return None;
        }
        let f = frame_of(thread, id);
        // Native code relies on its arguments, and a numeric loop on its three hidden registers, staying what they were
        // checked to be.
        // SAFETY: the frame is active.
        unsafe {
            if (*f).kind != frame::LUA {
                return None;
            }
            let (p, _, pc) = names::code_of(f);
            let reg = usize::try_from(n).ok().filter(|&n| n > 0).map(|n| names::visible_local(p, n, pc).0);
            let reg = reg.and_then(|reg| u8::try_from(reg).ok());
            if reg.is_some_and(|reg| perilune_bytecode::verify::is_loop_state(p, pc, reg)) {
                return None;
            }
        }
        let (name, slot) = find_local(self.dialect, thread, id, n)?;
        // SAFETY: as in `local`. Stacks are traced again before a cycle ends, so no barrier is needed.
        unsafe {
            *slot = v;
        }
        Some(name)
    }

    /// The name of a function's parameter, as `debug.getlocal` gives it for a function.
    pub fn parameter_name(&self, f: Value, n: i64) -> Option<Vec<u8>> {
        let p = crate::load::plain_of(f)?;
        let n = usize::try_from(n).ok().filter(|&n| n > 0)?;
        names::local_name(p, n, 0).map(<[u8]>::to_vec)
    }

    /// Upvalues in front of those of the program: the environment, where it belongs to the function.
    fn hidden_upvalues(&self) -> i64 {
        i64::from(self.dialect.environments == Environments::Functions)
    }

    /// The name and value of a function's upvalue, from 1.
    pub fn function_upvalue(&self, f: Value, n: i64) -> Option<(Vec<u8>, Value)> {
        // SAFETY: the closures are alive; the index is checked against their count.
        unsafe {
            if let Some(c) = f.as_lua_fn() {
                let n = n.checked_add(self.hidden_upvalues()).filter(|_| n > 0)?;
                let up = lua_upvalue(c.as_ptr(), n)?;
                let p = crate::load::plain_of(f)?;
                let name = &p.upvals.get(n as usize - 1)?.name;
                let name = match (name.is_empty(), self.dialect.starred_names) {
                    (false, _) => name.to_vec(),
                    (true, true) => b"(*no name)".to_vec(),
                    (true, false) => b"(no name)".to_vec(),
                };
                return Some((name, *(**up).slot));
            }
            let slot = native_upvalue(f, n)?;
            Some((Vec::new(), *slot))
        }
    }

    /// Sets a function's upvalue; its name when there is one.
    pub fn set_function_upvalue(&mut self, f: Value, n: i64, v: Value) -> Option<Vec<u8>> {
        // Native functions rely on what they put into their upvalues.
        f.as_lua_fn()?;
        let (name, _) = self.function_upvalue(f, n)?;
        // SAFETY: as in `function_upvalue`.
        unsafe {
            let up = *lua_upvalue(f.as_lua_fn()?.as_ptr(), n + self.hidden_upvalues())?;
            *(*up).slot = v;
            self.heap.barrier_forward(up.cast(), v);
        }
        Some(name)
    }

    /// What tells an upvalue from others: the address of the variable.
    pub fn upvalue_id(&self, f: Value, n: i64) -> Option<u64> {
        // SAFETY: as in `function_upvalue`.
        unsafe {
            match f.as_lua_fn() {
                Some(c) => Some((*lua_upvalue(c.as_ptr(), n)?).expose_provenance() as u64),
                None => Some(native_upvalue(f, n)?.expose_provenance() as u64),
            }
        }
    }

    /// Whether [`Vm::join_upvalues`] has done so: then the prototypes do not tell who assigns to variables.
    pub fn has_joined_upvalues(&self) -> bool {
        self.upvalues_are_joined
    }

    /// Makes upvalue `n` of one Lua function refer to upvalue `m` of another; false when either does not exist.
    pub fn join_upvalues(&mut self, f: Value, n: i64, g: Value, m: i64) -> bool {
        // SAFETY: as in `function_upvalue`.
        unsafe {
            let (Some(f), Some(g)) = (f.as_lua_fn(), g.as_lua_fn()) else { return false };
            let (Some(to), Some(from)) = (lua_upvalue(f.as_ptr(), n), lua_upvalue(g.as_ptr(), m)) else {
                return false;
            };
            *to = *from;
            self.upvalues_are_joined = true;
            self.heap.barrier_object(f.header(), (*from).cast());
            self.flush_compiled();
            true
        }
    }
}

fn frame_of(thread: ThreadRef, id: FrameId) -> *mut Frame {
    // SAFETY: the thread is alive and the id was made for one of its frames.
    unsafe {
        let th: *mut Thread = thread.as_ptr();
        debug_assert!(id.0 <= (*th).frame.offset_from((*th).frames) as usize);
        (*th).frames.add(id.0)
    }
}

unsafe fn lua_upvalue(c: *mut LuaClosure, n: i64) -> Option<*mut *mut UpVal> {
    // SAFETY: the closure is alive by the caller's duty; the index is checked.
    unsafe { (n >= 1 && n <= i64::from((*c).header.word)).then(|| LuaClosure::upvals(c).add(n as usize - 1)) }
}

unsafe fn native_upvalue(f: Value, n: i64) -> Option<*mut Value> {
    let c: *mut NativeClosure = f.as_native_fn()?.as_ptr();
    // SAFETY: the closure is alive by the caller's duty; the index is checked.
    unsafe { (n >= 1 && n <= i64::from((*c).header.word)).then(|| NativeClosure::upvals(c).add(n as usize - 1)) }
}

fn find_local(dialect: &Dialect, thread: ThreadRef, id: FrameId, n: i64) -> Option<(Vec<u8>, *mut Value)> {
    if id == FrameId::LOST {
        return None;
    }
    let f = frame_of(thread, id);
    // SAFETY: the frame is active. Named registers lie inside it; temporaries below the next frame's function or the
    // thread's top; extra arguments between the function and the base.
    unsafe {
        let th: *mut Thread = thread.as_ptr();
        let is_lua = (*f).kind == frame::LUA;
        if n < 0 {
            let k = n.unsigned_abs();
            let has_extra = dialect.parameter_info && is_lua && (*names::code_of(f).1).is_vararg;
            if !has_extra || k > frame::varargs(f) as u64 {
                return None;
            }
            let first = (*f).base.sub(frame::varargs(f));
            let name: &[u8] = if dialect.starred_names { b"(*vararg)" } else { b"(vararg)" };
            return Some((name.to_vec(), first.add(k as usize - 1)));
        }
        let k = usize::try_from(n).ok().filter(|&k| k > 0)?;
        let mut k = k;
        if is_lua {
            let (p, _, pc) = names::code_of(f);
            let (reg, name) = names::visible_local(p, k, pc);
            if let Some(name) = name {
                return Some((name.to_vec(), (*f).base.add(reg)));
            }
            k = reg + 1;
        }
        let slot = (*f).base.add(k - 1);
        let limit = if f == (*th).frame { (*th).top } else { (*f.add(1)).func };
        if k <= limit.offset_from((*f).base).max(0) as usize {
            let name: &[u8] = match is_lua {
                _ if dialect.starred_names => b"(*temporary)",
                true => b"(temporary)",
                false => b"(C temporary)",
            };
            return Some((name.to_vec(), slot));
        }
        None
    }
}

/// The light userdata that stands for an upvalue's identity.
pub fn identity(address: u64) -> Value {
    Value { payload: address, tag: Tag::Light }
}
