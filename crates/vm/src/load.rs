//! Loading chunks: source or binary to a function, and functions to binary.

mod weight;

use perilune_bytecode::proto::Proto as Plain;
use perilune_bytecode::{dump, verify};
use perilune_compiler::Refused;
use perilune_runtime::heap::OutOfMemory;
use perilune_runtime::object::{LuaClosure, Proto};
use perilune_runtime::spare::has_room;
use perilune_runtime::value::Value;

pub use perilune_syntax::is_incomplete;

use crate::names::shown;
use crate::vm::Vm;

/// Which forms of a chunk are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadMode {
    /// Source only.
    Text,
    /// Binary only.
    Binary,
    /// Both.
    Both,
}

impl LoadMode {
    /// The mode that `load` means by a string: those of the letters `t` and `b` that it contains.
    pub fn accepts(text: bool, binary: bool) -> Option<LoadMode> {
        match (text, binary) {
            (true, true) => Some(LoadMode::Both),
            (true, false) => Some(LoadMode::Text),
            (false, true) => Some(LoadMode::Binary),
            (false, false) => None,
        }
    }
}

/// The message about source that is nested too deeply. It has no position, and is the only one that message handlers see.
pub const TOO_DEEP: &[u8] = b"C stack overflow";

/// Source that is compiled without asking whether the system has memory for that.
const SMALL_SOURCE: usize = 16 << 10;

/// First byte of a binary chunk.
const BINARY_MARK: u8 = 0x1b;

impl Vm {
    /// Compiles or undumps a chunk: a function whose first upvalue is `env` (the globals when `None`), or an error message.
    ///
    /// `name` is the chunk's name with its `=` or `@`. When time is up or someone interrupts, the chunk is given up, and the
    /// next charge ends the script, even if it is of no units. **(safepoint, before the function is made)**
    pub fn load(&mut self, source: &[u8], name: &[u8], mode: LoadMode, env: Option<Value>) -> Result<Value, Value> {
        let binary = source.first() == Some(&BINARY_MARK);
        let refused = match mode {
            LoadMode::Text if binary => Some(("binary", "t")),
            LoadMode::Binary if !binary => Some(("text", "b")),
            _ => None,
        };
        if let Some((what, mode)) = refused {
            let text = format!("attempt to load a {what} chunk (mode is '{mode}')");
            return Err(self.string(text.as_bytes()));
        }
        let plain = if binary { self.undump(source, name)? } else { self.compile(source, name)? };
        let count = plain.upvals.len() as u32;
        let proto = self.heap.new_proto(plain).as_ptr();
        let env = match env {
            Some(env) => env,
            None if binary && count > 1 && self.dialect.env_of_single_upvalue => Value::NIL,
            None => self.thread_globals(),
        };
        // SAFETY: prototype and closure were just made and nothing is collected until the function is returned; all
        // upvalue places are filled.
        unsafe {
            let f = self.heap.new_lua_closure(proto, count);
            for n in 0..count {
                let value = if n == 0 { env } else { Value::NIL };
                let up = self.heap.new_closed_upval(value);
                *LuaClosure::upvals(f.as_ptr()).add(n as usize) = up;
            }
            Ok(Value::lua_fn(f))
        }
    }

    /// Whether a source cannot be loaded, whatever may follow these bytes: they violate the grammar already, begin a binary chunk that
    /// was made elsewhere, or there is no memory or time to compile them. **(safepoint)**
    pub fn is_hopeless_source(&mut self, beginning: &[u8]) -> bool {
        if dump::is_binary(beginning) {
            return dump::is_foreign(beginning, self.dialect.version);
        }
        !self.has_room_for_source(beginning)
            || perilune_compiler::is_hopeless(beginning, self.dialect, &|| self.is_due())
    }

    /// Whether the limit and the system leave memory to compile a source. What the compiler works with lies outside the
    /// heap. **(safepoint)**
    fn has_room_for_source(&mut self, source: &[u8]) -> bool {
        if source.len() <= SMALL_SOURCE {
            return true;
        }
        let bytes = weight::of(source);
        if self.heap.try_reserve(bytes).is_err() {
            self.emergency_collect();
        }
        self.heap.try_reserve(bytes).is_ok() && has_room(bytes)
    }

    fn compile(&mut self, source: &[u8], name: &[u8]) -> Result<Plain, Value> {
        if !self.has_room_for_source(source) {
            return Err(self.string(OutOfMemory.to_string().as_bytes()));
        }
        // Calls by the host and nested constructs have one limit.
        match perilune_compiler::compile_source_at(self.host_depth, source, name, self.dialect, &|| self.is_due()) {
            Ok(plain) => {
                debug_assert!(verify::verify(&plain).is_ok(), "our own code must pass: {:?}", verify::verify(&plain));
                debug_assert!(self.dialect.integers || verify::verify_floats(&plain).is_ok(), "it has integers");
                Ok(plain)
            }
            Err(Refused::Wrong(error)) => Err(self.string(&error.message)),
            Err(Refused::Stopped) => {
                self.look_next();
                Err(self.string(b"interrupted!"))
            }
        }
    }

    fn undump(&mut self, source: &[u8], name: &[u8]) -> Result<Plain, Value> {
        let (version, words, integers) = (self.dialect.version, self.dialect.binary_text, self.dialect.integers);
        let mut failed = |reason: String| {
            let mut text = binary_name(name).to_vec();
            text.extend_from_slice(b": ");
            text.extend_from_slice(reason.as_bytes());
            self.string(&text)
        };
        let plain = dump::undump(source, version).map_err(|e| failed(e.text(words)))?;
        let mut verified = verify::verify(&plain);
        if !integers {
            verified = verified.and_then(|()| verify::verify_floats(&plain));
        }
        match verified {
            Ok(()) => Ok(plain),
            Err(e) => Err(failed(format!("bad binary format ({e})"))),
        }
    }

    /// The binary form of a Lua function; `None` for a native one.
    pub fn dump(&mut self, f: Value, strip: bool) -> Option<Vec<u8>> {
        let f = f.as_lua_fn()?;
        // SAFETY: a live closure's prototype and its children are alive.
        let whole = unsafe { assemble((*f.as_ptr()).proto, Value::NIL) };
        Some(dump::dump(&whole, self.dialect.version, strip))
    }
}

/// The name of a binary chunk in messages about it. Nothing is put around it, but its bytes are no name.
fn binary_name(name: &[u8]) -> &[u8] {
    match name.split_first() {
        Some((b'@' | b'=', rest)) => shown(rest),
        Some((&BINARY_MARK, _)) => b"binary string",
        _ => shown(name),
    }
}

/// The plain form of a loaded prototype, children included, inside of a function with this source.
///
/// # Safety
/// `proto` is alive.
unsafe fn assemble(proto: *mut Proto, enclosing_source: Value) -> Plain {
    // SAFETY: children are alive with their parent. The depth is bounded by the nesting that the parser or verifier allows.
    unsafe {
        let info = &(*proto).info;
        let mut plain = info.plain.clone();
        if let Some(source) = info.source.as_str().filter(|_| !info.source.raw_equals(enclosing_source)) {
            plain.source = source.as_bytes().into();
        }
        plain.protos = info.protos.iter().map(|&p| assemble(p, info.source)).collect();
        plain
    }
}

/// The plain form of a Lua function's prototype, without its children.
pub(crate) fn plain_of<'a>(f: Value) -> Option<&'a Plain> {
    f.as_lua_fn().map(|c| {
        let c: *mut LuaClosure = c.as_ptr();
        // SAFETY: the prototype of a live closure is alive; callers use the reference before the next safepoint.
        unsafe { &(*(*c).proto).info.plain }
    })
}
