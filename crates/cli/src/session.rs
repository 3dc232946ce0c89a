//! One VM as the command uses it. Nothing else in this crate knows the engine.

use std::ffi::OsString;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use perilune_base::dialect::Dialect;
use perilune_base::dialect::table::CommandErrors;
use perilune_jit::{Jit, JitOptions, Sink, Stats};
use perilune_runtime::heap::Mode;
use perilune_runtime::spare::SpareMemory;
use perilune_runtime::value::Value;
use perilune_stdlib::Libraries;
use perilune_stdlib::package::NO_ENVIRONMENT;
use perilune_vm::host::{DeterministicHost, Host, StandardStream, SystemHost};
use perilune_vm::host_call::VmError;
use perilune_vm::limits::Limits;
use perilune_vm::meta::Event;
use perilune_vm::native::{Intrinsic, NativeResult};
use perilune_vm::sample::Sampler;
use perilune_vm::vm::{Vm, VmOptions};
use signal_hook::consts::SIGINT;

use crate::options::Command;

/// The allocator of the process. It keeps memory back, so that a script gets an error when the system refuses more.
#[global_allocator]
static MEMORY: SpareMemory = SpareMemory::new();

/// A VM with the standard libraries.
pub struct Session {
    vm: Box<Vm>,
    /// Whether running out of memory counts as reaching a limit.
    is_memory_limited: bool,
    /// The trace compiler, unless it is off.
    jit: Option<Rc<Jit>>,
    /// Whether to show what it did.
    stats: bool,
}

/// Why Lua code did not end well.
#[derive(Debug)]
pub enum Failure {
    /// An error, with its traceback if it has one: what the user should read.
    Error(Vec<u8>),
    /// An error that is nil, in versions that say nothing about it.
    Silent,
    /// A limit of the command line was reached.
    Limit(Vec<u8>),
    /// The script called `os.exit`.
    Exit {
        /// The exit code.
        code: i32,
        /// Whether to close the VM first.
        close: bool,
    },
}

/// A Lua value on its way from one call of a [`Session`] into the next.
pub type Chunk = Value;

/// Attaches the trace compiler.
fn attach_jit(vm: &mut Vm, command: &Command, dumps: Sink) -> Rc<Jit> {
    let mut options = JitOptions {
        log: command.trace_log,
        dump: command.dump,
        dump_to: dumps,
        passes_off: command.passes_off.clone(),
        perf_map: command.perf_map,
        effort: command.effort,
        ..JitOptions::default()
    };
    if let Some(hot) = command.hot {
        if hot == 1 {
            let JitOptions { waits_per_inst, free_insts, insts_to_record_anew, .. } = JitOptions::eager();
            (options.waits_per_inst, options.free_insts) = (waits_per_inst, free_insts);
            options.insts_to_record_anew = insts_to_record_anew;
        }
        options.hot = hot;
        options.hot_exit = options.hot_exit.min(hot);
    }
    if command.deterministic.is_some() {
        // A table that is not made moves the collector's next step, which a script can see.
        options.passes_off.push("sink".to_owned());
    }
    if let Some(bytes) = command.jit_memory {
        options.max_code = bytes;
    }
    if let Some(every) = command.exit_every {
        options.exit_every = every;
    }
    let jit = Jit::new(options);
    vm.set_tier(jit.clone());
    jit
}

impl Session {
    /// A VM as the options want it, with a place for the dumps that they ask for.
    pub fn new(command: &Command, dumps: Sink) -> Session {
        let mut host: Box<dyn Host> = Box::new(SystemHost::for_command());
        if let Some(seed) = command.deterministic {
            host = Box::new(DeterministicHost::new(host, seed));
        }
        let mut limits = Limits::default();
        limits.instructions = command.max_instructions;
        limits.memory = command.max_memory;
        limits.time = command.timeout;
        limits.depth = command.max_depth;
        limits.coroutines = command.max_coroutines;
        if let Some(preset) = command.sandbox {
            limits = limits.or(preset.limits());
        }
        let is_memory_limited = limits.memory.is_some();
        let mut vm = Vm::new(VmOptions { dialect: Dialect::of(command.version, command.strict), host, limits });
        vm.heap_mut().set_spare(&MEMORY);
        if command.no_environment {
            let registry = vm.registry();
            vm.set_field(registry, NO_ENVIRONMENT, Value::TRUE);
        }
        match command.sandbox {
            Some(preset) => preset.open(&mut vm, Libraries::ALL),
            None => perilune_stdlib::open_all(&mut vm),
        }
        // As `lua` does; it shows only in what `collectgarbage` returns.
        if vm.dialect().generational_command {
            vm.heap_mut().set_mode(Mode::Generational);
        }
        if command.jit_library {
            perilune_stdlib::jit::open(&mut vm);
        }
        let jit = command.jit.then(|| attach_jit(&mut vm, command, dumps));
        Session { vm, is_memory_limited, jit, stats: command.stats }
    }

    /// Lets an interrupt (Ctrl-C) end the running code with an error, as in `lua`. A second one before that has happened
    /// ends the process.
    pub fn watch_interrupts(&mut self) {
        let flag = Arc::new(AtomicBool::new(false));
        let watches = signal_hook::flag::register_conditional_default(SIGINT, flag.clone())
            .and_then(|_| signal_hook::flag::register(SIGINT, flag.clone()));
        // Where signals cannot be watched, they do what they do.
        if watches.is_ok() {
            self.vm.set_interrupt(flag);
        }
    }

    /// Sets the global `arg`: the command line, with index 0 at the script, or at the program if there is none.
    pub fn set_arguments(&mut self, arguments: &[OsString], script: usize) {
        let after = arguments.len().saturating_sub(script + 1);
        let table = self.vm.table(after, 0);
        for (i, argument) in arguments.iter().enumerate() {
            let text = self.vm.string(argument.as_encoded_bytes());
            let stored = self.vm.raw_set_int(table, i as i64 - script as i64, text);
            debug_assert!(stored.is_ok());
        }
        self.set_global("arg", Value::table(table));
    }

    /// The elements of the global `arg`: the script's arguments.
    pub fn arguments(&mut self) -> Result<Vec<Value>, Failure> {
        match self.global("arg").as_table() {
            Some(table) => Ok((1..=table.length()).map(|i| table.get_int(i)).collect()),
            None => Err(Failure::Error(b"'arg' is not a table".to_vec())),
        }
    }

    /// An environment variable.
    pub fn variable(&mut self, name: &str) -> Option<Vec<u8>> {
        self.vm.host().variable(name.as_bytes())
    }

    /// Has a profiler look at the program.
    pub fn set_sampler(&mut self, sampler: Box<dyn Sampler>) {
        self.vm.set_sampler(Some(sampler));
    }

    /// Turns warnings on.
    pub fn warnings_on(&mut self) {
        self.vm.warn(b"@on", false);
    }

    /// Compiles a piece of source.
    pub fn load(&mut self, source: &[u8], name: &[u8]) -> Result<Chunk, Failure> {
        use perilune_vm::load::LoadMode;
        let loaded = self.vm.load(source, name, LoadMode::Both, None);
        loaded.map_err(|message| self.load_failure(message))
    }

    /// Compiles a file, or the standard input if there is no path.
    pub fn load_file(&mut self, path: Option<&[u8]>) -> Result<Chunk, Failure> {
        let loaded = perilune_stdlib::base::load_file(&mut self.vm, path, None, None);
        loaded.map_err(|message| self.load_failure(message))
    }

    fn load_failure(&mut self, message: Value) -> Failure {
        Failure::Error(self.text_of(message).unwrap_or_default())
    }

    /// Calls a function; errors get a traceback.
    pub fn call(&mut self, function: Value, arguments: &[Value]) -> Result<Vec<Value>, Failure> {
        self.call_with(function, arguments, true)
    }

    /// Requires `module` or `global=module`, and sets the global to what that returns.
    pub fn require(&mut self, request: &[u8]) -> Result<(), Failure> {
        let (global, module) = match request.iter().position(|&b| b == b'=') {
            Some(at) => (&request[..at], &request[at + 1..]),
            // What follows a `-` tells versions of a module apart.
            None => (request.split(|&b| b == b'-').next().unwrap_or_default(), request),
        };
        let require = self.global("require");
        let module = self.vm.string(module);
        let results = self.call(require, &[module])?;
        let value = results.first().copied().unwrap_or(Value::NIL);
        let globals = self.vm.globals();
        let name = self.vm.string(global);
        let stored = self.vm.raw_set(globals, name, value);
        debug_assert!(stored.is_ok());
        Ok(())
    }

    /// Passes values to the global `print`; else gives the message.
    pub fn print(&mut self, values: &[Value]) -> Result<(), Failure> {
        let print = self.global("print");
        self.call_with(print, values, false).map(drop)
    }

    /// The text of a global as `tostring` gives it, if it is not nil.
    pub fn global_text(&mut self, name: &str) -> Option<Vec<u8>> {
        let value = self.global(name);
        if value.is_nil() { None } else { self.display(value) }
    }

    /// Writes to the standard output.
    pub fn write(&mut self, text: &[u8]) {
        // As with `print`, nobody hears of a failure.
        let _ = self.vm.host().stream(StandardStream::Output).write(text);
    }

    /// Writes to the standard error stream, after what was written to the standard output.
    pub fn report(&mut self, text: &[u8]) {
        self.vm.host().report(text);
    }

    /// Shows what was written so far.
    pub fn flush(&mut self) {
        let _ = self.vm.host().stream(StandardStream::Output).flush();
    }

    /// Reads a line of the standard input, without its end; shows the output so far first.
    pub fn read_line(&mut self) -> Option<Vec<u8>> {
        let host = self.vm.host();
        let _ = host.stream(StandardStream::Output).flush();
        let input = host.stream(StandardStream::Input);
        let mut line = Vec::new();
        loop {
            // An unreadable input has ended.
            let unread = input.fill().unwrap_or_default();
            if unread.is_empty() {
                return if line.is_empty() { None } else { Some(line) };
            }
            let end = unread.iter().position(|&b| b == b'\n');
            let count = end.unwrap_or(unread.len());
            line.extend_from_slice(&unread[..count]);
            input.consume(count + usize::from(end.is_some()));
            if end.is_some() {
                return Some(line);
            }
        }
    }

    /// What the trace compiler has done, and which share of the process's time it took.
    fn shown(&mut self, stats: &Stats) -> String {
        let (own, all) = (stats.time().as_secs_f64(), self.vm.host().cpu_time().as_secs_f64());
        format!("{stats}jit: recording and compiling took {:.1} % of {all:.2} s\n", 100.0 * own / all.max(own))
    }

    /// Closes the VM. Its finalizers may ask for an exit code.
    pub fn close(&mut self) -> Result<Option<i32>, Failure> {
        let closed = self.vm.try_close();
        for which in [StandardStream::Output, StandardStream::Error] {
            let _ = self.vm.host().stream(which).flush();
        }
        closed.map_err(|violation| Failure::Limit(violation.to_string().into_bytes()))
    }

    /// Ends the program, whose VM was closed or is left as it is, and writes all that waits.
    pub fn exit(mut self, code: i32, is_closed: bool) -> ! {
        if self.stats {
            self.report_stats();
        }
        // Finalizers have closed all files, and the memory goes with the process.
        if !is_closed {
            // Dropped files write their buffers, as `exit` does in C.
            self.vm.abandon();
            drop(self);
        }
        std::process::exit(code)
    }

    /// Shows what running the program took, however it ended.
    fn report_stats(&mut self) {
        let stats = self.jit.as_ref().map(|jit| jit.stats());
        let jit = stats.map(|stats| self.shown(&stats)).unwrap_or_default();
        let text = format!("{jit}fuel: {} units\n", self.vm.fuel_used());
        self.report(text.as_bytes());
    }

    /// Calls a function under the message handler of `lua`, or without one.
    fn call_with(&mut self, function: Value, arguments: &[Value], with_traceback: bool) -> Result<Vec<Value>, Failure> {
        let result = if with_traceback {
            let handler = match self.errors() {
                CommandErrors::DebugTraceback => handle_by_library,
                CommandErrors::Strings => handle_strings,
                CommandErrors::All => handle_message,
            };
            let handler = self.vm.native(handler, Intrinsic::None, &[]);
            self.vm.host_call_handled(function, handler, arguments)
        } else {
            self.vm.host_call(function, arguments, false)
        };
        result.map_err(|error| self.failure(error))
    }

    fn failure(&mut self, error: VmError) -> Failure {
        match error {
            VmError::Limit(violation) => Failure::Limit(violation.to_string().into_bytes()),
            VmError::Exit { code, close } => Failure::Exit { code, close },
            VmError::Lua { value, .. } if value.is_nil() && self.errors() != CommandErrors::All => Failure::Silent,
            VmError::Lua { value, .. } => match self.text_of(value) {
                Some(text) if self.is_memory_limited && tells_of_memory(&text) => Failure::Limit(text),
                Some(text) => Failure::Error(text),
                None if self.errors() != CommandErrors::All => {
                    Failure::Error(b"(error object is not a string)".to_vec())
                }
                None => {
                    let name = value.type_name();
                    Failure::Error(format!("(error object is a {name} value)").into_bytes())
                }
            },
        }
    }

    /// How the version shows errors.
    fn errors(&self) -> CommandErrors {
        self.vm.dialect().command_errors
    }

    /// The bytes of a string or number.
    fn text_of(&mut self, value: Value) -> Option<Vec<u8>> {
        self.vm.number_to_str(value).map(|text| text.as_bytes().to_vec())
    }

    /// The text that `tostring` gives; `None` if that fails.
    fn display(&mut self, value: Value) -> Option<Vec<u8>> {
        let display = self.vm.native(display, Intrinsic::None, &[]);
        let results = self.vm.host_call(display, &[value], false).ok()?;
        results.first()?.as_str().map(|text| text.as_bytes().to_vec())
    }

    fn global(&mut self, name: &str) -> Value {
        let globals = self.vm.globals();
        self.vm.get_field(globals, name)
    }

    fn set_global(&mut self, name: &str, value: Value) {
        let globals = self.vm.globals();
        self.vm.set_field(globals, name, value);
    }
}

/// Whether an error is about exhausted memory, alone or behind a position that coroutines have added.
fn tells_of_memory(text: &[u8]) -> bool {
    let first_line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    first_line.ends_with(b"not enough memory")
}

/// The message handler of [`CommandErrors::DebugTraceback`]: what the global `debug.traceback` makes of strings.
fn handle_by_library(vm: &mut Vm) -> NativeResult {
    let error = vm.arg(1);
    let library = match vm.thread_globals().as_table() {
        Some(globals) => vm.get_field(globals, "debug"),
        None => Value::NIL,
    };
    let traceback = match library.as_table() {
        Some(library) => vm.get_field(library, "traceback"),
        None => Value::NIL,
    };
    if vm.number_to_str(error).is_none() || !traceback.is_function() {
        return vm.ret(error);
    }
    let level = vm.int_value(2);
    let text = vm.call_value(traceback, &[error, level])?;
    vm.ret(text)
}

/// The message handler of [`CommandErrors::Strings`].
fn handle_strings(vm: &mut Vm) -> NativeResult {
    let error = vm.arg(1);
    if let Some(message) = vm.number_to_str(error) {
        let (thread, _) = vm.running();
        let text = vm.traceback(thread, Some(message.as_bytes()), 1);
        let text = vm.string(&text);
        return vm.ret(text);
    }
    if error.is_nil() {
        return vm.ret(error);
    }
    let convert = vm.metamethod(error, Event::ToString);
    let shown = if convert.is_nil() { vm.string(b"(no error message)") } else { vm.call_value(convert, &[error])? };
    vm.ret(shown)
}

/// The message handler: makes a string of the error and adds a traceback, unless the error says with `__tostring` how it
/// wants to be shown.
fn handle_message(vm: &mut Vm) -> NativeResult {
    let error = vm.arg(1);
    let message = match vm.number_to_str(error) {
        Some(text) => text.as_bytes().to_vec(),
        None => {
            let convert = vm.metamethod(error, Event::ToString);
            if !convert.is_nil() {
                let shown = vm.call_value(convert, &[error])?;
                if shown.as_str().is_some() {
                    return vm.ret(shown);
                }
            }
            format!("(error object is a {} value)", error.type_name()).into_bytes()
        }
    };
    let (thread, _) = vm.running();
    let text = vm.traceback(thread, Some(&message), 1);
    let text = vm.string(&text);
    vm.ret(text)
}

/// `tostring`, whatever the script has made of that global.
fn display(vm: &mut Vm) -> NativeResult {
    let value = vm.arg(1);
    let text = vm.to_display(value)?;
    vm.ret(Value::str(text))
}
