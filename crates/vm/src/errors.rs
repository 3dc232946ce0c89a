//! The texts of the errors that the VM itself raises, in the words of the reference.

use perilune_base::dialect::table::{NamePlace, Tracebacks};
use perilune_runtime::value::{Tag, Value};

use crate::frame;
use crate::interp::arith::is_bitwise;
use crate::meta::{self, Event};
use crate::names::{self, Named};
use crate::native::Raised;
use crate::vm::Vm;

/// ` (kind 'name')`, or nothing.
fn describe(named: Option<Named>) -> Vec<u8> {
    match named {
        Some((kind, name)) => {
            let mut t = format!(" ({kind} '").into_bytes();
            t.extend_from_slice(&name);
            t.extend_from_slice(b"')");
            t
        }
        None => Vec::new(),
    }
}

fn operand_name(vm: &Vm, v: Value) -> Option<Named> {
    // SAFETY: the current frame is alive.
    unsafe { names::operand_name(vm.dialect, (*vm.thread).frame, v) }
}

/// The type's name as error messages give it: `__name` of the metatable when that is a string.
pub(crate) fn type_name(vm: &mut Vm, v: Value) -> Vec<u8> {
    if vm.dialect.type_names
        && matches!(v.tag, Tag::Table | Tag::UserData)
        && let Some(m) = meta::metatable(vm, v)
        && let Some(name) = m.get_str(vm.event_name(Event::Name)).as_str()
    {
        return names::shown(name.as_bytes()).to_vec();
    }
    v.type_name().as_bytes().to_vec()
}

/// `attempt to <what> a <type> value (<kind> '<name>')`, or with the name in front.
fn type_error(vm: &mut Vm, what: &str, v: Value, named: Option<Named>) -> Raised {
    let name_of_type = type_name(vm, v);
    let text = match (named, vm.dialect.name_place) {
        (Some((kind, name)), NamePlace::Before) => {
            let before = format!("attempt to {what} {kind} '").into_bytes();
            [&before[..], &name, b"' (a ", &name_of_type, b" value)"].concat()
        }
        (named, _) => {
            let before = format!("attempt to {what} a ").into_bytes();
            [&before[..], &name_of_type, b" value", &describe(named)].concat()
        }
    };
    vm.run_error_bytes(&text)
}

/// An operator met a value that it cannot work on.
#[cold]
pub(crate) fn operand(vm: &mut Vm, what: &str, v: Value) -> Raised {
    let named = operand_name(vm, v);
    type_error(vm, what, v, named)
}

/// Indexing something that has no fields.
#[cold]
pub(crate) fn index(vm: &mut Vm, object: Value) -> Raised {
    operand(vm, "index", object)
}

/// Calling something that is no function. `slot` holds it.
#[cold]
pub(crate) fn call(vm: &mut Vm, slot: *mut Value) -> Raised {
    // SAFETY: the caller's slot is part of the current stack, the current frame is alive.
    unsafe {
        let v = *slot;
        let f = (*vm.thread).frame;
        let named = if (*f).kind == crate::frame::LUA { names::called_name(vm.dialect, f) } else { None };
        let named = named.filter(|(kind, _)| {
            (vm.dialect.names_bad_handlers || *kind != "metamethod")
                && (vm.dialect.iterator_names || !names::calls_iterator(f))
        });
        type_error(vm, "call", v, named)
    }
}

/// Calling a finalizer that is no function.
#[cold]
pub(crate) fn finalizer_call(vm: &mut Vm, handler: Value) -> Raised {
    type_error(vm, "call", handler, Some(("metamethod", b"__gc".to_vec())))
}

/// Arithmetic without a result.
#[cold]
pub(crate) fn arithmetic(vm: &mut Vm, event: Event, x: Value, y: Value) -> Raised {
    let coerces = !vm.dialect.string_metamethods;
    let is_number = |v: Value| if coerces { vm.to_number(v).is_some() } else { v.is_number() };
    let (x_is_number, both_numbers) = (is_number(x), is_number(x) && is_number(y));
    if both_numbers && event == Event::Mod {
        return vm.run_error("attempt to perform 'n%0'");
    }
    if both_numbers && event == Event::IDiv {
        return vm.run_error("attempt to divide by zero");
    }
    if is_bitwise(event) {
        if both_numbers {
            let bad = if vm.to_integer(x).is_some() { y } else { x };
            let mut text = b"number".to_vec();
            text.extend_from_slice(&describe(operand_name(vm, bad)));
            text.extend_from_slice(b" has no integer representation");
            return vm.run_error_bytes(&text);
        }
        let bad = if x_is_number { y } else { x };
        return operand(vm, "perform bitwise operation on", bad);
    }
    let bad = if x_is_number { y } else { x };
    operand(vm, "perform arithmetic on", bad)
}

/// Joining something that is neither string nor number.
#[cold]
pub(crate) fn concatenation(vm: &mut Vm, x: Value, y: Value) -> Raised {
    let bad = if matches!(x.tag, Tag::Str | Tag::Int | Tag::Float) { y } else { x };
    operand(vm, "concatenate", bad)
}

/// Ordering values that have no order.
#[cold]
pub(crate) fn comparison(vm: &mut Vm, x: Value, y: Value) -> Raised {
    let (a, b) = (type_name(vm, x), type_name(vm, y));
    let mut text = b"attempt to compare ".to_vec();
    let is_similar = vm.dialect.similar_types && a.get(2) == b.get(2);
    if a == b || is_similar {
        text.extend_from_slice(b"two ");
        text.extend_from_slice(&a);
        text.extend_from_slice(b" values");
    } else {
        text.extend_from_slice(&a);
        text.extend_from_slice(b" with ");
        text.extend_from_slice(&b);
    }
    vm.run_error_bytes(&text)
}

/// Too many tables ask one another for a field.
#[cold]
pub(crate) fn index_chain(vm: &mut Vm) -> Raised {
    let is_short = vm.dialect.loop_in_gettable;
    vm.run_error(if is_short { "loop in gettable" } else { "'__index' chain too long; possible loop" })
}

/// Too many tables leave it to one another to set a field.
#[cold]
pub(crate) fn newindex_chain(vm: &mut Vm) -> Raised {
    let is_short = vm.dialect.loop_in_gettable;
    vm.run_error(if is_short { "loop in settable" } else { "'__newindex' chain too long; possible loop" })
}

/// A numeric loop over something else.
#[cold]
pub(crate) fn for_loop(vm: &mut Vm, what: &str, v: Value) -> Raised {
    if !vm.dialect.strict_loops {
        return vm.run_error(&format!("'for' {what} must be a number"));
    }
    let mut text = format!("bad 'for' {what} (number expected, got ").into_bytes();
    text.extend_from_slice(&type_name(vm, v));
    text.push(b')');
    vm.run_error_bytes(&text)
}

/// A declaration gives a value to a global that has one.
#[cold]
pub(crate) fn global_defined(vm: &mut Vm, name: Value) -> Raised {
    let name = match name.as_str() {
        Some(name) => names::shown(name.as_bytes()).to_vec(),
        None => b"?".to_vec(),
    };
    vm.run_error_bytes(&[b"global '", &name[..], b"' already defined"].concat())
}

/// A `<close>` variable got a value that cannot be closed.
#[cold]
pub(crate) fn no_close_method(vm: &mut Vm, slot: *mut Value) -> Raised {
    // SAFETY: the slot is a register of the current Lua frame.
    let name = unsafe {
        let f = (*vm.thread).frame;
        let (p, _, pc) = names::code_of(f);
        let reg = slot.offset_from((*f).base) as usize;
        // The variable becomes alive with the next instruction.
        names::local_name(p, reg + 1, pc + 1).unwrap_or(b"?").to_vec()
    };
    let mut text = b"variable '".to_vec();
    text.extend_from_slice(&name);
    text.extend_from_slice(b"' got a non-closable value");
    vm.run_error_bytes(&text)
}

/// The `__close` handler of a variable was removed while it waited.
#[cold]
pub(crate) fn close_method_gone(vm: &mut Vm) -> Raised {
    // While an error closes the variables of a call, its Lua code is gone, and nothing names the handler.
    // SAFETY: the current frame is alive.
    let is_lua = unsafe { (*(*vm.thread).frame).kind == crate::frame::LUA };
    vm.run_error(&format!("attempt to call a nil value{}", if is_lua { " (metamethod 'close')" } else { "" }))
}

/// `bad argument #i to 'f' (message)`.
#[cold]
pub(crate) fn argument(vm: &mut Vm, i: usize, message: &[u8]) -> Raised {
    // SAFETY: the current frame is that of the native function, above the bottom frame.
    let (function, named, extra) = unsafe {
        let f = (*vm.thread).frame;
        (*(*f).func, names::function_name(vm.dialect, f, None), usize::from(frame::extra_arguments(f)))
    };
    // Those that `__call` has added are counted apart.
    let is_extra = i <= extra;
    let mut i = if is_extra { i } else { i - extra };
    let name = match named {
        Some(("method", name)) if !is_extra => {
            i -= 1;
            if i == 0 {
                let mut text = b"calling '".to_vec();
                text.extend_from_slice(&name);
                text.extend_from_slice(b"' on bad self (");
                text.extend_from_slice(message);
                text.push(b')');
                return vm.error_bytes(&text);
            }
            name
        }
        Some((_, name)) => name,
        None if vm.dialect.tracebacks == Tracebacks::Lines => b"?".to_vec(),
        None => crate::traceback::global_name(vm, function).unwrap_or_else(|| b"?".to_vec()),
    };
    let what = if is_extra { "extra argument" } else { "argument" };
    let mut text = format!("bad {what} #{i} to '").into_bytes();
    text.extend_from_slice(&name);
    text.extend_from_slice(b"' (");
    text.extend_from_slice(message);
    text.push(b')');
    vm.error_bytes(&text)
}

/// `bad argument #i to 'f' (expected expected, got actual)`.
#[cold]
pub(crate) fn argument_type(vm: &mut Vm, i: usize, expected: &str) -> Raised {
    let v = vm.arg(i);
    let actual = if i > vm.nargs() {
        b"no value".to_vec()
    } else if !vm.dialect.type_names {
        v.type_name().as_bytes().to_vec()
    } else if v.tag == Tag::Light {
        b"light userdata".to_vec()
    } else {
        // Any type's metatable may name it here, not only a table's.
        match vm.metafield(v, "__name").as_str() {
            Some(s) => names::shown(s.as_bytes()).to_vec(),
            None => v.type_name().as_bytes().to_vec(),
        }
    };
    let mut text = format!("{expected} expected, got ").into_bytes();
    text.extend_from_slice(&actual);
    argument(vm, i, &text)
}

/// The error for exhausted memory.
const NO_MEMORY: &[u8] = b"not enough memory";

impl Vm {
    /// Raises an error with the current position in front when Lua code is running, as `luaG_runerror`.
    #[cold]
    pub fn run_error(&mut self, message: &str) -> Raised {
        self.run_error_bytes(message.as_bytes())
    }

    /// [`Vm::run_error`] for a message of any bytes.
    #[cold]
    pub fn run_error_bytes(&mut self, message: &[u8]) -> Raised {
        // SAFETY: the current frame is alive; what raises errors in a Lua frame has stored its `pc`.
        let mut text = unsafe {
            if (*(*self.thread).frame).kind == crate::frame::LUA { self.running_position() } else { Vec::new() }
        };
        text.extend_from_slice(message);
        let v = self.string(&text);
        self.raise(v)
    }

    /// Raises a value. A message handler sees nil as it is; `__close` handlers and resumers see what it becomes.
    #[cold]
    pub(crate) fn raise(&mut self, error: Value) -> Raised {
        self.error = if error.is_nil() && self.message_handler().is_none() { self.nil_error() } else { error };
        self.unhandled = false;
        Raised(())
    }

    /// The error on its way, which goes no further: as whoever caught it gets to see it, after its message handler.
    pub(crate) fn caught_error(&mut self) -> Value {
        let error = std::mem::replace(&mut self.error, Value::NIL);
        if error.is_nil() { self.nil_error() } else { error }
    }

    /// What an error that is nil becomes once no message handler will see it.
    fn nil_error(&mut self) -> Value {
        if self.dialect.nil_errors_have_text { self.string(b"<no error object>") } else { Value::NIL }
    }

    /// Raises a value that no message handler sees.
    pub(crate) fn raise_unhandled(&mut self, error: &[u8]) -> Raised {
        let error = self.string(error);
        let raised = self.raise(error);
        self.unhandled = true;
        raised
    }

    /// Raises the error for exhausted memory.
    #[cold]
    pub fn memory_error(&mut self) -> Raised {
        self.raise_unhandled(NO_MEMORY)
    }

    /// Whether the error on its way is the one for exhausted memory, not one of a script with its text.
    pub(crate) fn is_memory_error(&self) -> bool {
        self.unhandled && self.error.as_str().is_some_and(|text| text.as_bytes() == NO_MEMORY)
    }

    #[cold]
    pub(crate) fn error_in_error_handling(&mut self) -> Raised {
        self.raise_unhandled(b"error in error handling")
    }
}
