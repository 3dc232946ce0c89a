//! The library `debug` (manual §6.10).

use perilune_base::dialect::LuaVersion::{Lua51, Lua52, Lua53, Lua54};
use perilune_base::dialect::table::Environments;
use perilune_runtime::object::ThreadRef;
use perilune_runtime::value::{Tag, Value};
use perilune_vm::debug::{FrameId, Info, identity};
use perilune_vm::hooks;
use perilune_vm::host::StandardStream;
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::c_string;
use crate::row::{Row, row};

/// The functions of the library.
pub const ROWS: &[Row] = &[
    row("debug", debug),
    row("gethook", gethook),
    row("getinfo", getinfo),
    row("getlocal", getlocal),
    row("getmetatable", getmetatable),
    row("getregistry", getregistry),
    row("getupvalue", getupvalue),
    row("getfenv", getfenv).until(Lua51),
    row("getuservalue", getuservalue).since(Lua54),
    row("getuservalue", get_only_user_value).since(Lua52).until(Lua53),
    row("setcstacklimit", setcstacklimit).since(Lua54).until(Lua54),
    row("setfenv", setfenv).until(Lua51),
    row("sethook", sethook),
    row("setlocal", setlocal),
    row("setmetatable", setmetatable).since(Lua52),
    row("setmetatable", setmetatable_and_tell).until(Lua51),
    row("setupvalue", setupvalue),
    row("setuservalue", setuservalue).since(Lua54),
    row("setuservalue", set_only_user_value).since(Lua52).until(Lua53),
    row("traceback", traceback).since(Lua52),
    row("traceback", traceback_of_strings).until(Lua51),
    row("upvalueid", upvalueid).since(Lua52),
    row("upvaluejoin", upvaluejoin).since(Lua52),
];

/// Opens the library.
pub fn open(vm: &mut Vm) {
    crate::new_library(vm, "debug", ROWS);
    if vm.dialect().environments == Environments::Functions {
        return;
    }
    // `LUA_RIDX_MAINTHREAD` and `LUA_RIDX_GLOBALS`: the library is what shows the registry to scripts.
    let registry = vm.registry();
    for (i, value) in [
        (2, Value::table(vm.globals())),
        (1, Value::FALSE),
        (vm.dialect().main_thread_index, Value::thread(vm.main_thread())),
    ] {
        let stored = vm.raw_set_int(registry, i, value);
        debug_assert!(stored.is_ok());
    }
}

/// The optional thread in front of the other arguments, and how many arguments it takes.
fn thread_argument(vm: &Vm) -> (ThreadRef, usize) {
    match vm.arg(1).as_thread() {
        Some(t) => (t, 1),
        None => (vm.running().0, 0),
    }
}

/// Pushes a string field.
fn string(vm: &mut Vm, bytes: &[u8]) -> Value {
    vm.string(bytes)
}

fn getinfo(vm: &mut Vm) -> NativeResult {
    let (thread, n) = thread_argument(vm);
    let mut options = match vm.opt_str(n + 2)? {
        Some(s) => s.as_bytes().to_vec(),
        None => vm.dialect().info_options.as_bytes().to_vec(),
    };
    let dialect = vm.dialect();
    let known: &[u8] = match (dialect.parameter_info, dialect.closing_values) {
        (false, _) => b"SlnuLf",
        (true, false) => b"SlnutLf>",
        (true, true) => b"SlnrutLf",
    };
    if options.first() == Some(&b'>') && known.contains(&b'r') {
        return Err(vm.arg_error(n + 2, "invalid option '>'"));
    }
    let subject = vm.arg(n + 1);
    let info = if subject.is_function() {
        vm.function_info(subject)
    } else {
        if dialect.lenient_levels && vm.to_number(subject).is_none() {
            return Err(vm.arg_error(n + 1, "function or level expected"));
        }
        match level_argument(vm, thread, n + 1)? {
            Some(frame) => vm.frame_info(thread, frame),
            None => return vm.ret(Value::NIL),
        }
    };
    // The reference looks at no options where there is no function.
    if info.func.is_some() && options.iter().any(|o| !known.contains(o)) {
        return Err(vm.arg_error(n + 2, "invalid option"));
    }
    options.retain(|option| known.contains(option));
    let t = vm.table(0, 16);
    vm.push(Value::table(t));
    fill_info(vm, &info, &options)?;
    Ok(1)
}

/// Fills the table on top of the stack with what the options ask for.
fn fill_info(vm: &mut Vm, info: &Info, options: &[u8]) -> Result<(), Raised> {
    let Some(t) = vm.arg(vm.nargs()).as_table() else { return Ok(()) };
    let has = |o: u8| options.contains(&o);
    if has(b'S') {
        let source = string(vm, &info.source);
        vm.set_field(t, "source", source);
        let short = string(vm, &info.short_source);
        vm.set_field(t, "short_src", short);
        vm.set_field(t, "linedefined", vm.int_value(info.line_defined));
        vm.set_field(t, "lastlinedefined", vm.int_value(info.last_line_defined));
        let what = string(vm, info.what.as_bytes());
        vm.set_field(t, "what", what);
    }
    if has(b'l') {
        vm.set_field(t, "currentline", vm.int_value(info.current_line));
    }
    if has(b'u') {
        vm.set_field(t, "nups", vm.int_value(i64::from(info.upvalues)));
        if vm.dialect().parameter_info {
            vm.set_field(t, "nparams", vm.int_value(i64::from(info.params)));
            vm.set_field(t, "isvararg", Value::bool(info.is_vararg));
        }
    }
    if has(b'n') {
        let (what, name) = match &info.name {
            Some((what, name)) => (*what, string(vm, name)),
            None => ("", Value::NIL),
        };
        vm.set_field(t, "name", name);
        let what = string(vm, what.as_bytes());
        vm.set_field(t, "namewhat", what);
    }
    if has(b'r') {
        vm.set_field(t, "ftransfer", vm.int_value(i64::from(info.first_transfer)));
        vm.set_field(t, "ntransfer", vm.int_value(i64::from(info.transfers)));
    }
    if has(b't') {
        vm.set_field(t, "istailcall", Value::bool(info.is_tail_call));
        if vm.dialect().extra_arguments {
            vm.set_field(t, "extraargs", vm.int_value(i64::from(info.extra_arguments)));
        }
    }
    if has(b'L')
        && let Some(lines) = &info.active_lines
    {
        let set = vm.table(0, 0);
        vm.set_field(t, "activelines", Value::table(set));
        // The line of a vararg function's header holds no code of its own.
        for &line in lines {
            vm.raw_set_int(set, i64::from(line), Value::TRUE)?;
        }
    }
    if has(b'f') {
        let func = info.func.unwrap_or(Value::NIL);
        vm.set_field(t, "func", func);
    }
    Ok(())
}

/// The frame at the level in argument `i`, if there is one. Where calls that were replaced by tail calls have levels, every
/// negative level is one, as in the reference.
fn level_argument(vm: &mut Vm, thread: ThreadRef, i: usize) -> Result<Option<FrameId>, Raised> {
    // A level is a C `int`, which large numbers wrap around to.
    let level = vm.check_int(i)? as i32;
    Ok(match usize::try_from(level) {
        Ok(level) => vm.frame_at(thread, level),
        Err(_) => vm.dialect().counts_tail_calls.then_some(FrameId::LOST),
    })
}

/// The frame at the level in argument `i`, or the error for a level out of range.
fn frame_argument(vm: &mut Vm, thread: ThreadRef, i: usize) -> Result<FrameId, Raised> {
    match level_argument(vm, thread, i)? {
        Some(frame) => Ok(frame),
        None => Err(vm.arg_error(i, "level out of range")),
    }
}

fn getlocal(vm: &mut Vm) -> NativeResult {
    let (thread, n) = thread_argument(vm);
    if !vm.dialect().parameter_info {
        frame_argument(vm, thread, n + 1)?;
    }
    let index = vm.check_int(n + 2)?;
    let subject = vm.arg(n + 1);
    if subject.is_function() {
        let name = match vm.parameter_name(subject, index) {
            Some(name) => string(vm, &name),
            None => Value::NIL,
        };
        return vm.ret(name);
    }
    let frame = frame_argument(vm, thread, n + 1)?;
    match vm.local(thread, frame, index) {
        Some((name, value)) => {
            let name = string(vm, &name);
            vm.push(name);
            vm.push(value);
            Ok(2)
        }
        None => vm.ret(Value::NIL),
    }
}

fn setlocal(vm: &mut Vm) -> NativeResult {
    let (thread, n) = thread_argument(vm);
    let index = vm.check_int(n + 2)?;
    let frame = frame_argument(vm, thread, n + 1)?;
    let value = vm.check_any(n + 3)?;
    let name = match vm.set_local(thread, frame, index, value) {
        Some(name) => string(vm, &name),
        None => Value::NIL,
    };
    vm.ret(name)
}

fn getmetatable(vm: &mut Vm) -> NativeResult {
    let v = vm.check_any(1)?;
    let meta = vm.metatable_of(v).map_or(Value::NIL, Value::table);
    vm.ret(meta)
}

fn setmetatable(vm: &mut Vm) -> NativeResult {
    let meta = vm.arg(2);
    if vm.nargs() < 2 || !meta.is_nil() && meta.as_table().is_none() {
        return Err(crate::expected(vm, 2, "nil or table"));
    }
    let v = vm.arg(1);
    vm.set_metatable(v, meta.as_table());
    vm.ret(v)
}

/// Whether it succeeded, which it always does.
fn setmetatable_and_tell(vm: &mut Vm) -> NativeResult {
    setmetatable(vm)?;
    vm.ret(Value::TRUE)
}

fn getfenv(vm: &mut Vm) -> NativeResult {
    let owner = vm.arg(1);
    let has_one = owner.is_function() || owner.as_userdata().is_some() || owner.as_thread().is_some();
    let environment = if has_one { vm.environment(owner) } else { Value::NIL };
    vm.ret(environment)
}

fn setfenv(vm: &mut Vm) -> NativeResult {
    let environment = vm.check_table(2)?;
    let owner = vm.arg(1);
    if !(owner.is_function() || owner.as_userdata().is_some() || owner.as_thread().is_some()) {
        return Err(vm.error("'setfenv' cannot change environment of given object"));
    }
    vm.set_environment(owner, environment)?;
    vm.ret(owner)
}

fn getregistry(vm: &mut Vm) -> NativeResult {
    let registry = vm.registry();
    vm.ret(Value::table(registry))
}

fn getupvalue(vm: &mut Vm) -> NativeResult {
    let index = vm.check_int(2)?;
    let f = vm.check_function(1)?;
    match vm.function_upvalue(f, index) {
        Some((name, value)) => {
            let name = string(vm, &name);
            vm.push(name);
            vm.push(value);
            Ok(2)
        }
        None => Ok(0),
    }
}

fn setupvalue(vm: &mut Vm) -> NativeResult {
    let value = vm.check_any(3)?;
    let index = vm.check_int(2)?;
    let f = vm.check_function(1)?;
    match vm.set_function_upvalue(f, index, value) {
        Some(name) => {
            let name = string(vm, &name);
            vm.ret(name)
        }
        None => Ok(0),
    }
}

/// The identity of the upvalue that two arguments name, `None` when there is no such upvalue.
fn upvalue_argument(vm: &mut Vm, f: usize, n: usize) -> Result<(Value, i64, Option<u64>), Raised> {
    let index = vm.check_int(n)?;
    let function = vm.check_function(f)?;
    Ok((function, index, vm.upvalue_id(function, index)))
}

fn upvalueid(vm: &mut Vm) -> NativeResult {
    let (_, _, id) = upvalue_argument(vm, 1, 2)?;
    if id.is_none() && vm.dialect().checked_upvalue_ids {
        return Err(vm.arg_error(2, "invalid upvalue index"));
    }
    vm.ret(id.map_or(Value::NIL, identity))
}

fn upvaluejoin(vm: &mut Vm) -> NativeResult {
    let (f, n, to) = upvalue_argument(vm, 1, 2)?;
    if to.is_none() {
        return Err(vm.arg_error(2, "invalid upvalue index"));
    }
    let (g, m, from) = upvalue_argument(vm, 3, 4)?;
    if from.is_none() {
        return Err(vm.arg_error(4, "invalid upvalue index"));
    }
    if f.as_lua_fn().is_none() {
        return Err(vm.arg_error(1, "Lua function expected"));
    }
    if g.as_lua_fn().is_none() {
        return Err(vm.arg_error(3, "Lua function expected"));
    }
    vm.join_upvalues(f, n, g, m);
    Ok(0)
}

/// `getuservalue` of versions with one user value for each userdata.
fn get_only_user_value(vm: &mut Vm) -> NativeResult {
    let value = vm.arg(1).as_userdata().and_then(|u| u.user_value(1));
    vm.ret(value.unwrap_or(Value::NIL))
}

/// `setuservalue` of the same versions; where tables have environments behind it, the value is a table.
fn set_only_user_value(vm: &mut Vm) -> NativeResult {
    let Some(u) = vm.arg(1).as_userdata() else {
        let is_light = vm.arg(1).tag == Tag::Light && vm.dialect().parameter_info && !vm.dialect().integers;
        return Err(if is_light {
            vm.arg_error(1, "full userdata expected, got light userdata")
        } else {
            vm.type_error(1, "userdata")
        });
    };
    let value = if vm.dialect().integers {
        vm.check_any(2)?
    } else if vm.arg(2).is_nil() {
        Value::NIL
    } else {
        Value::table(vm.check_table(2)?)
    };
    u.set_user_value(vm.heap_mut(), 1, value);
    vm.ret(Value::userdata(u))
}

fn getuservalue(vm: &mut Vm) -> NativeResult {
    let n = vm.opt_int(2, 1)?;
    let Some(u) = vm.arg(1).as_userdata() else { return vm.ret(Value::NIL) };
    match u32::try_from(n).ok().and_then(|n| u.user_value(n)) {
        Some(v) => {
            vm.push(v);
            vm.push(Value::TRUE);
            Ok(2)
        }
        None => vm.ret(Value::NIL),
    }
}

fn setuservalue(vm: &mut Vm) -> NativeResult {
    let n = vm.opt_int(3, 1)?;
    let Some(u) = vm.arg(1).as_userdata() else { return Err(vm.type_error(1, "userdata")) };
    let value = vm.check_any(2)?;
    let done = u32::try_from(n).is_ok_and(|n| u.set_user_value(vm.heap_mut(), n, value));
    vm.ret(if done { Value::userdata(u) } else { Value::NIL })
}

fn setcstacklimit(vm: &mut Vm) -> NativeResult {
    // The limit is fixed, as in the reference since 5.4.3: the call is accepted and reports it.
    vm.check_int(1)?;
    vm.ret(vm.int_value(perilune_base::limits::MAX_C_CALLS as i64))
}

/// The field of the registry with the table of hooks by thread.
const HOOKS: &str = "_HOOKKEY";

/// The letters of a hook's mask.
const MASKS: [(u8, u8); 3] = [(b'c', hooks::CALL), (b'r', hooks::RETURN), (b'l', hooks::LINE)];

fn sethook(vm: &mut Vm) -> NativeResult {
    let (thread, n) = thread_argument(vm);
    if vm.arg(n + 1).is_nil() {
        vm.set_hook(thread, Value::NIL, 0, 0);
        return show_hook(vm, thread, Value::NIL);
    }
    let letters = vm.check_str(n + 2)?;
    let function = vm.check_function(n + 1)?;
    let count = vm.opt_int(n + 3, 0)?;
    let mut mask = 0;
    for (letter, bit) in MASKS {
        if letters.as_bytes().contains(&letter) {
            mask |= bit;
        }
    }
    let count = count as i32;
    if count > 0 {
        mask |= hooks::COUNT;
    }
    vm.set_hook(thread, function, mask, count);
    show_hook(vm, thread, function)
}

/// Puts a thread's hook into the table that shows hooks in the registry.
fn show_hook(vm: &mut Vm, thread: ThreadRef, hook: Value) -> NativeResult {
    let registry = vm.registry();
    let hooks = match vm.get_field(registry, HOOKS).as_table() {
        Some(hooks) => hooks,
        None => {
            let hooks = vm.table(0, 0);
            vm.set_field(registry, HOOKS, Value::table(hooks));
            // It is its own metatable, and keeps no thread alive.
            let mode = string(vm, b"k");
            vm.set_field(hooks, "__mode", mode);
            vm.set_metatable(Value::table(hooks), Some(hooks));
            hooks
        }
    };
    vm.raw_set(hooks, Value::thread(thread), hook)?;
    Ok(0)
}

fn gethook(vm: &mut Vm) -> NativeResult {
    let (thread, _) = thread_argument(vm);
    let (mut function, mask, count) = vm.hook(thread);
    if mask == 0 {
        if !vm.dialect().hook_triples {
            return vm.ret(Value::NIL);
        }
        // What was set last, even if nothing calls it.
        let registry = vm.registry();
        let hooks = vm.get_field(registry, HOOKS).as_table().filter(|_| vm.dialect().lenient_levels);
        function = hooks.map_or(Value::NIL, |hooks| hooks.get(Value::thread(thread)));
    }
    let letters: Vec<u8> = MASKS.iter().filter(|(_, bit)| mask & bit != 0).map(|(l, _)| *l).collect();
    vm.push(function);
    let letters = string(vm, &letters);
    vm.push(letters);
    vm.push(vm.int_value(i64::from(count)));
    Ok(3)
}

/// `traceback` of 5.1: any message but a string or number comes back as it is, nil included.
fn traceback_of_strings(vm: &mut Vm) -> NativeResult {
    let (thread, n) = thread_argument(vm);
    let message = vm.arg(n + 1);
    let has_message = vm.nargs() > n;
    let text = vm.number_to_str(message);
    if has_message && text.is_none() {
        return vm.ret(message);
    }
    let own = thread == vm.running().0;
    let given = vm.arg(n + 2);
    let level = vm.to_number(given).and_then(|level| vm.to_integer(level)).unwrap_or(i64::from(own));
    let mut text = text.map(|text| text.as_bytes().to_vec());
    // A string that is no level is taken for the rest of the message.
    if let (Some(text), Some(rest)) = (&mut text, given.as_str().filter(|_| vm.to_number(given).is_none())) {
        text.extend_from_slice(rest.as_bytes());
    }
    let trace = vm.traceback(thread, text.as_deref(), usize::try_from(level).unwrap_or(0));
    let trace = string(vm, &trace);
    vm.ret(trace)
}

fn traceback(vm: &mut Vm) -> NativeResult {
    let (thread, n) = thread_argument(vm);
    let message = vm.arg(n + 1);
    if !message.is_nil() && vm.number_to_str(message).is_none() {
        return vm.ret(message);
    }
    let own = thread == vm.running().0;
    let level = vm.opt_int(n + 2, i64::from(own))? as i32;
    let text = vm.number_to_str(message).map(|text| c_string(text.as_bytes()).to_vec());
    // No frame is at a negative level, or above it.
    let trace = vm.traceback(thread, text.as_deref(), usize::try_from(level).unwrap_or(usize::MAX));
    let trace = string(vm, &trace);
    vm.ret(trace)
}

/// `debug.debug`: runs the lines of the standard input until `cont`.
fn debug(vm: &mut Vm) -> NativeResult {
    loop {
        vm.host().report(b"lua_debug> ");
        let mut line = Vec::new();
        loop {
            let before = line.len();
            let read = vm.host().stream(StandardStream::Input).read(&mut line, 1);
            if read.is_err() || line.len() == before {
                return Ok(0);
            }
            if line.last() == Some(&b'\n') {
                line.pop();
                break;
            }
        }
        if line == b"cont" {
            return Ok(0);
        }
        let loaded = vm.load(&line, b"=(debug command)", perilune_vm::load::LoadMode::Both, None);
        let failed = match loaded {
            Err(message) => Some(message),
            Ok(f) => match vm.host_call(f, &[], false) {
                Ok(_) => None,
                Err(perilune_vm::host_call::VmError::Lua { value, .. }) => Some(value),
                Err(_) => return Err(vm.error("interrupted")),
            },
        };
        if let Some(error) = failed {
            let text = vm.to_display(error)?;
            let mut text = text.as_bytes().to_vec();
            text.push(b'\n');
            vm.host().report(&text);
        }
    }
}
