//! VMs in the hands of a test: run a piece of Lua, look at what came of it, look at the heap.

use perilune_base::dialect::{Dialect, LuaVersion};
use perilune_runtime::heap::check::Census;
use perilune_runtime::heap::{Marker, Roots};
use perilune_runtime::value::{Tag, Value};
use perilune_vm::host::SystemHost;
use perilune_vm::host_call::VmError;
use perilune_vm::limits::{Limits, Violation};
use perilune_vm::load::LoadMode;
use perilune_vm::{Vm, VmOptions};

/// How a piece of Lua ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned these values, as `tostring` shows those that have one text.
    Values(Vec<String>),
    /// It failed with this error, or could not be compiled.
    Error(String),
    /// A limit was reached.
    Limit(Violation),
    /// It asked to end the program.
    Exit(i32),
}

impl Outcome {
    /// The values, joined by spaces.
    ///
    /// # Panics
    /// If it ended in any other way.
    #[track_caller]
    pub fn values(&self) -> String {
        match self {
            Outcome::Values(values) => values.join(" "),
            other => panic!("values were expected, not {other:?}"),
        }
    }

    /// The limit that was reached.
    ///
    /// # Panics
    /// If it ended in any other way.
    #[track_caller]
    pub fn violation(&self) -> &Violation {
        match self {
            Outcome::Limit(violation) => violation,
            other => panic!("a limit was to be reached, but: {other:?}"),
        }
    }

    /// The error's message.
    ///
    /// # Panics
    /// If it ended in any other way.
    #[track_caller]
    pub fn error(&self) -> &str {
        match self {
            Outcome::Error(message) => message,
            other => panic!("an error was expected, not {other:?}"),
        }
    }
}

/// A VM with all libraries.
pub struct Lab {
    /// The VM.
    pub vm: Box<Vm>,
}

impl Default for Lab {
    fn default() -> Lab {
        Lab::new()
    }
}

impl Lab {
    /// A VM without limits.
    pub fn new() -> Lab {
        Lab::with_limits(Limits::default())
    }

    /// A VM without libraries.
    pub fn bare() -> Lab {
        Lab {
            vm: Vm::new(VmOptions {
                dialect: Dialect::DEFAULT,
                host: Box::new(SystemHost::new()),
                limits: Limits::default(),
            }),
        }
    }

    /// A VM of a version, without limits.
    pub fn of_version(version: LuaVersion) -> Lab {
        let mut vm = Vm::new(VmOptions {
            dialect: Dialect::of(version, false),
            host: Box::new(SystemHost::new()),
            limits: Limits::default(),
        });
        perilune_stdlib::open_all(&mut vm);
        Lab { vm }
    }

    /// A VM with limits, which count from the first script on.
    pub fn with_limits(limits: Limits) -> Lab {
        let mut lab = Lab::of_version(LuaVersion::DEFAULT);
        lab.vm.set_limits(limits);
        lab
    }

    /// A VM that may spend so many units of fuel.
    pub fn with_fuel(units: u64) -> Lab {
        Lab::with_limits(fuel(units))
    }

    /// A VM whose heap may grow by so many bytes beyond what the libraries need.
    pub fn with_memory(bytes: usize) -> Lab {
        let mut lab = Lab::new();
        let limits = memory(lab.vm.heap().bytes + bytes);
        lab.vm.set_limits(limits);
        lab
    }

    /// Runs a piece of Lua.
    pub fn run(&mut self, source: &str) -> Outcome {
        self.run_bytes(source.as_bytes())
    }

    /// Runs a chunk in either form.
    pub fn run_bytes(&mut self, chunk: &[u8]) -> Outcome {
        match self.vm.load(chunk, b"=lab", LoadMode::Both, None) {
            Ok(function) => self.call(function, &[]),
            Err(message) => Outcome::Error(show(message)),
        }
    }

    /// Calls a function.
    pub fn call(&mut self, function: Value, arguments: &[Value]) -> Outcome {
        match self.vm.host_call(function, arguments, false) {
            Ok(values) => Outcome::Values(values.into_iter().map(show).collect()),
            Err(VmError::Lua { value, .. }) => Outcome::Error(show(value)),
            Err(VmError::Limit(violation)) => Outcome::Limit(violation),
            Err(VmError::Exit { code, .. }) => Outcome::Exit(code),
        }
    }

    /// Checks that the VM still works: the heap is sound and code runs, with nothing left of the limits before.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn assert_usable(&mut self) {
        self.vm.set_limits(fuel(1_000_000));
        self.assert_sound();
        let source = "
            local t = setmetatable({}, {__index = function(_, k) return k .. k end})
            local co = coroutine.wrap(function(...) local a = coroutine.yield(...) return a + 1 end)
            local first = co(1, 2)
            return t.x, first, co(41), select('#', pcall(error)), ('x'):rep(3)";
        assert_eq!(self.run(source).values(), "xx 1 42 2 xxx");
        self.vm.set_limits(Limits::default());
        assert_eq!(self.run("collectgarbage() return 1").values(), "1");
        self.assert_sound();
    }

    /// Lets the walker look at the heap.
    ///
    /// # Panics
    /// If it is not sound.
    #[track_caller]
    pub fn assert_sound(&self) -> Census {
        match check(&self.vm) {
            Ok(census) => census,
            Err(problem) => panic!("the heap is not sound: {problem}"),
        }
    }
}

/// Limits on fuel only.
pub fn fuel(units: u64) -> Limits {
    let mut limits = Limits::default();
    limits.instructions = Some(units);
    limits
}

/// Limits on memory only.
pub fn memory(bytes: usize) -> Limits {
    let mut limits = Limits::default();
    limits.memory = Some(bytes);
    limits
}

fn show(value: Value) -> String {
    match value.tag {
        Tag::Nil => "nil".to_owned(),
        Tag::False => "false".to_owned(),
        Tag::True => "true".to_owned(),
        Tag::Int => value.raw_int().to_string(),
        Tag::Float => value.raw_float().to_string(),
        _ => match value.as_str() {
            Some(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
            None => value.type_name().to_owned(),
        },
    }
}

/// Lets the walker look at a heap, from what a host can reach.
///
/// # Errors
/// What is not as it should be.
pub fn check(vm: &Vm) -> Result<Census, String> {
    let (running, _) = vm.running();
    let mut visible = Visible(vec![
        Value::table(vm.registry()),
        Value::table(vm.globals()),
        Value::thread(vm.main_thread()),
        Value::thread(running),
    ]);
    vm.heap().check(&mut visible)
}

/// The roots that a host can see. Those that it cannot are names and handles; nothing else hangs on them.
struct Visible(Vec<Value>);

impl Roots for Visible {
    fn trace(&mut self, marker: &mut Marker<'_>) {
        for value in &self.0 {
            marker.value(*value);
        }
    }
}
