//! Runs one fixture as the command would, in a mode.
//!
//! The runner starts its own program again for each run: so a crash or a hang ends one test, each script has its own
//! current directory, and a mode may set what the command has no option for.
//!
//! ```text
//! tests/fixtures.rs                     the same program, in the fixture's folder
//!   drive(fixture, version, mode) ------> PROGRAM --drive MODE VERSION FILE ---> requested() ---> serve()
//!         ^------ Run { status, output, errors } -------'
//! ```

use std::ffi::OsString;
use std::io;
use std::process::Command;
use std::time::Duration;

use perilune_base::dialect::table::CommandErrors;
use perilune_base::dialect::{Dialect, LuaVersion};
use perilune_fixtures::Fixture;
use perilune_fixtures::normal::PROGRAM;
use perilune_jit::{Effort, Jit, JitOptions};
use perilune_runtime::heap::Mode as Collector;
use perilune_runtime::value::Value;
use perilune_vm::control::Control;
use perilune_vm::hooks;
use perilune_vm::host::{StandardStream, SystemHost};
use perilune_vm::host_call::VmError;
use perilune_vm::limits::Limits;
use perilune_vm::meta::Event;
use perilune_vm::native::{Intrinsic, NativeResult};
use perilune_vm::{Vm, VmOptions};

use crate::lab;
use crate::mode::{self, Mode};
use crate::process::{self, Run};

/// The option that asks the program to run a fixture instead of the tests.
const OPTION: &str = "--drive";

/// The exit code of a script that failed.
const ERROR: i32 = 1;

/// The exit code when the collector's walker found something wrong.
pub const UNSOUND: i32 = 70;

/// The exit code when the time of [`Mode::budget`] was over.
pub const CUT_SHORT: i32 = 75;

/// What a script may use before it counts as run wild: the tests share a machine with others.
const MEMORY: usize = 2 << 30;

/// Runs a fixture as a script of a version, in another process of this program.
///
/// # Errors
/// When the process cannot be started.
pub fn drive(fixture: &Fixture, version: LuaVersion, mode: Mode, limit: Duration) -> io::Result<Run> {
    let mut command = Command::new(std::env::current_exe()?);
    command.current_dir(fixture.folder()).args([OPTION, mode.name(), version.number(), fixture.file_name()]);
    process::run(&mut command, limit)
}

/// What a process of this program is to run instead of the tests.
pub struct Request {
    mode: Mode,
    version: LuaVersion,
    file: OsString,
}

/// What to run, if this process was started to run a fixture.
pub fn requested() -> Option<Request> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != OPTION {
        return None;
    }
    let mode = Mode::named(arguments.next()?.to_str()?)?;
    let version = arguments.next()?.to_str()?.parse().ok()?;
    Some(Request { mode, version, file: arguments.next()? })
}

/// Runs a script as the command would, and ends the process.
pub fn serve(request: &Request) -> ! {
    let mut vm = prepare(request);
    let (mut code, close) = match execute(&mut vm, &request.file) {
        Ok(()) => (0, true),
        Err(End::Exit { code, close }) => (code, close),
        Err(End::OutOfTime) => (CUT_SHORT, false),
        Err(End::Error(message)) => {
            let mut text = format!("{PROGRAM}: ").into_bytes();
            text.extend_from_slice(&message);
            text.push(b'\n');
            vm.host().report(&text);
            (ERROR, true)
        }
    };
    // A script that was cut short must not be slow once more.
    if code == CUT_SHORT {
        vm.heap_mut().set_stress(false);
    }
    if close {
        vm.set_limits(Limits::default());
        // A finalizer may ask for another code.
        code = vm.close().unwrap_or(code);
    }
    for which in [StandardStream::Output, StandardStream::Error] {
        // Nobody is left to tell that this failed.
        let _ = vm.host().stream(which).flush();
    }
    match lab::check(&vm) {
        Ok(_) => std::process::exit(code),
        Err(problem) => {
            eprintln!("the heap is not sound: {problem}");
            std::process::exit(UNSOUND)
        }
    }
}

/// Why a script did not run to its end.
enum End {
    Error(Vec<u8>),
    Exit { code: i32, close: bool },
    OutOfTime,
}

fn prepare(request: &Request) -> Box<Vm> {
    let Request { mode, version, file } = request;
    let limits = Limits::default();
    let mut vm =
        Vm::new(VmOptions { dialect: Dialect::of(*version, false), host: Box::new(SystemHost::for_command()), limits });
    perilune_stdlib::open_all(&mut vm);
    if vm.dialect().generational_command {
        vm.heap_mut().set_mode(Collector::Generational);
    }
    let arguments = vm.table(0, 0);
    for (index, text) in [(-1, PROGRAM.as_bytes()), (0, file.as_encoded_bytes())] {
        let text = vm.string(text);
        let stored = vm.raw_set_int(arguments, index, text);
        assert!(stored.is_ok(), "a small table has room");
    }
    let globals = vm.globals();
    vm.set_field(globals, "arg", Value::table(arguments));
    let mut limits = Limits::default();
    limits.memory = Some(MEMORY);
    limits.time = mode.budget();
    vm.set_limits(limits);
    match mode {
        Mode::Plain => {}
        Mode::Stress => vm.heap_mut().set_stress(true),
        Mode::Hooked => hook_a_thread_that_never_runs(&mut vm),
        Mode::Jit => vm.set_tier(Jit::new(JitOptions { hot: 120, free_insts: 12_000, ..JitOptions::default() })),
        Mode::Hot => vm.set_tier(Jit::new(hot(Effort::Quick))),
        Mode::Warm => {
            let threshold = mode::warm_threshold(file.as_encoded_bytes(), *version);
            let options = JitOptions { hot: threshold, hot_exit: threshold, ..hot(Effort::Full) };
            vm.set_tier(Jit::new(options));
        }
        Mode::Exits => vm.set_tier(Jit::new(JitOptions { exit_every: 3, ..hot(Effort::Full) })),
        Mode::HotStress => {
            vm.set_tier(Jit::new(hot(Effort::Full)));
            vm.heap_mut().set_stress(true);
        }
    }
    vm
}

/// Each loop and each exit is hot at once. Fixtures are too short for code to prove itself: so some modes make quick code, and
/// some have Cranelift make all of it.
fn hot(effort: Effort) -> JitOptions {
    JitOptions { free_insts: 12_000, effort: Some(effort), ..JitOptions::eager() }
}

/// Any thread with a hook makes the interpreter look for hooks everywhere. Scripts cannot see this one.
fn hook_a_thread_that_never_runs(vm: &mut Vm) {
    let nothing = vm.native(nothing, Intrinsic::None, &[]);
    let Ok(thread) = vm.new_coroutine(nothing) else { return };
    vm.pin(Value::thread(thread));
    vm.set_hook(thread, nothing, hooks::COUNT, 1);
}

fn nothing(_: &mut Vm) -> NativeResult {
    Ok(0)
}

/// Runs the script below a protected call of its own with [`message_handler`], as the command does: tracebacks end with
/// the line of that call, `[C]: in ?`.
fn execute(vm: &mut Vm, file: &OsString) -> Result<(), End> {
    let chunk = perilune_stdlib::base::load_file(vm, Some(file.as_encoded_bytes()), None, None);
    let chunk = chunk.map_err(|message| End::Error(text_of(vm, message).unwrap_or_default()))?;
    let protected = vm.control_function(Control::XPCall, &[]);
    let handler = vm.native(message_handler, Intrinsic::None, &[]);
    match vm.host_call(protected, &[chunk, handler], false) {
        Ok(results) if results.first().is_some_and(|ok| ok.is_truthy()) => Ok(()),
        Ok(results) => {
            let error = results.get(1).copied().unwrap_or(Value::NIL);
            let text = text_of(vm, error);
            Err(End::Error(text.unwrap_or_else(|| b"(error message not a string)".to_vec())))
        }
        Err(VmError::Exit { code, close }) => Err(End::Exit { code, close }),
        Err(VmError::Limit(_)) => Err(End::OutOfTime),
        Err(VmError::Lua { value, .. }) => Err(End::Error(text_of(vm, value).unwrap_or_default())),
    }
}

/// Makes what the command says about an error that nothing caught: its text with a traceback, or what `__tostring` gives.
fn message_handler(vm: &mut Vm) -> NativeResult {
    let error = vm.arg(1);
    if vm.dialect().command_errors == CommandErrors::DebugTraceback && vm.number_to_str(error).is_some() {
        return trace_by_library(vm, error);
    }
    let text = match text_of(vm, error) {
        Some(text) => text,
        None => {
            let shown = vm.metamethod(error, Event::ToString);
            if !shown.is_nil() {
                let shown = vm.call_value(shown, &[error])?;
                if shown.as_str().is_some() {
                    return vm.ret(shown);
                }
            }
            format!("(error object is a {} value)", error.type_name()).into_bytes()
        }
    };
    let (thread, _) = vm.running();
    let text = vm.traceback(thread, Some(&text), 1);
    let text = vm.string(&text);
    vm.ret(text)
}

/// What the global `debug.traceback` makes of an error, which counts one level more.
fn trace_by_library(vm: &mut Vm, error: Value) -> NativeResult {
    let globals = vm.globals();
    let library = vm.get_field(globals, "debug").as_table();
    let traceback = library.map_or(Value::NIL, |library| vm.get_field(library, "traceback"));
    if !traceback.is_function() {
        return vm.ret(error);
    }
    let level = vm.int_value(2);
    let text = vm.call_value(traceback, &[error, level])?;
    vm.ret(text)
}

/// The bytes of a string or number.
fn text_of(vm: &mut Vm, value: Value) -> Option<Vec<u8>> {
    vm.number_to_str(value).map(|text| text.as_bytes().to_vec())
}
