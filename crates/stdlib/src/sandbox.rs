//! Presets for scripts that are not trusted: which libraries they get, what is taken out of these, and what they may spend.
//!
//! | preset | meant for | leaves |
//! |---|---|---|
//! | [`Sandbox::Moderate`] | mods and plugins of a program that its user has chosen | the standard streams, the clock, `load` of source |
//! | [`Sandbox::Restrictive`] | code of unknown origin | computation, `print`, and the clock; tight limits |
//!
//! What is not listed in `DENIED` stays. Neither preset lets a script reach files, processes, the environment, other
//! modules or binary chunks.
//!
//! Both presets limit what a script may spend, so that each ends: a pattern that backtracks for ever, too. Fuel and time count
//! from when the limits are set. So a host that keeps a VM sets them anew for each call that it makes, with
//! [`Sandbox::limits`] or its own.

use std::time::Duration;

use perilune_runtime::value::Value;
use perilune_vm::limits::Limits;
use perilune_vm::native::{Intrinsic, NativeResult};
use perilune_vm::vm::Vm;

use crate::Libraries;

/// A preset of access and limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sandbox {
    /// No files, processes, environment, modules or binary chunks.
    Moderate,
    /// As `Moderate`; no code from strings, no streams, and tight limits.
    Restrictive,
}

/// What is denied from which preset on: library (empty for globals) and field.
const DENIED: &[(&str, &str, Sandbox)] = &[
    ("", "dofile", Sandbox::Moderate),
    ("", "loadfile", Sandbox::Moderate),
    ("", "load", Sandbox::Restrictive),
    ("", "loadstring", Sandbox::Restrictive),
    ("", "collectgarbage", Sandbox::Restrictive),
    ("string", "dump", Sandbox::Moderate),
    ("os", "execute", Sandbox::Moderate),
    ("os", "exit", Sandbox::Moderate),
    ("os", "getenv", Sandbox::Moderate),
    ("os", "remove", Sandbox::Moderate),
    ("os", "rename", Sandbox::Moderate),
    ("os", "setlocale", Sandbox::Moderate),
    ("os", "tmpname", Sandbox::Moderate),
    ("io", "open", Sandbox::Moderate),
    ("io", "popen", Sandbox::Moderate),
    ("io", "lines", Sandbox::Moderate),
    ("io", "input", Sandbox::Moderate),
    ("io", "output", Sandbox::Moderate),
    ("io", "tmpfile", Sandbox::Moderate),
];

impl Sandbox {
    /// The preset of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Sandbox> {
        match name {
            "moderate" => Some(Sandbox::Moderate),
            "restrictive" => Some(Sandbox::Restrictive),
            _ => None,
        }
    }

    /// The libraries that scripts get.
    #[must_use]
    pub const fn libraries(self) -> Libraries {
        let without = Libraries::PACKAGE.union(Libraries::DEBUG);
        match self {
            Sandbox::Moderate => Libraries::ALL.without(without),
            Sandbox::Restrictive => Libraries::ALL.without(without).without(Libraries::IO),
        }
    }

    /// What scripts may spend, where nothing else is said.
    #[must_use]
    pub fn limits(self) -> Limits {
        const MIB: usize = 1 << 20;
        match self {
            Sandbox::Moderate => Limits::new()
                .with_instructions(10_000_000_000)
                .with_memory(256 * MIB)
                .with_time(Duration::from_secs(60))
                .with_depth(100_000)
                .with_coroutines(10_000),
            Sandbox::Restrictive => Limits::new()
                .with_instructions(1_000_000_000)
                .with_memory(64 * MIB)
                .with_time(Duration::from_secs(10))
                .with_depth(1000)
                .with_coroutines(100),
        }
    }

    /// Opens those of the `libraries` that the preset allows, and takes out of them what it denies.
    pub fn open(self, vm: &mut Vm, libraries: Libraries) {
        crate::open(vm, libraries.and(self.libraries()));
        for &(library, field, from) in DENIED {
            if self >= from {
                deny(vm, library, field);
            }
        }
        let globals = vm.globals();
        // What takes functions only, or strings only, in old versions takes both here.
        for name in ["load", "loadstring"] {
            if !vm.get_field(globals, name).is_nil() {
                let load = vm.native(load_text, Intrinsic::None, &[]);
                vm.set_field(globals, name, load);
            }
        }
    }
}

/// Removes a field of a library, if the script has got that.
fn deny(vm: &mut Vm, library: &str, field: &str) {
    let globals = vm.globals();
    let holder = if library.is_empty() { Some(globals) } else { vm.get_field(globals, library).as_table() };
    if let Some(holder) = holder
        && !vm.get_field(holder, field).is_nil()
    {
        vm.set_field(holder, field, Value::NIL);
    }
}

/// `load` that takes source only, whatever mode is asked for.
fn load_text(vm: &mut Vm) -> NativeResult {
    const MODE: usize = 3;
    if vm.nargs() < MODE {
        vm.set_top(MODE);
    }
    let text = vm.string(b"t");
    vm.set_arg(MODE, text);
    crate::base::load(vm)
}
