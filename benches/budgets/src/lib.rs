//! What one operation allocates, in steady state: the readings that `budgets.toml` limits.
//!
//! | number | counted by | is |
//! |---|---|---|
//! | `heap_bytes` | the heap's own accounting, with the collector stopped | bytes that the operation leaves to the collector |
//! | `host_allocations` | the global allocator | requests to the system's allocator |
//! | `host_bytes` | the global allocator | bytes of those |
//!
//! The heap takes large blocks from the system and cuts them up, so the last two are mostly of Rust: argument lists,
//! handles, boxes. A scenario is run often before it is measured, so that inline caches, stacks and free lists are
//! what they are in a program that has run for a while.
#![forbid(unsafe_code)]

mod scenarios;

use std::collections::BTreeMap;

use perilune::Lua;

/// Operations of one measurement. Large enough to make a single growth of some buffer a fraction that rounds to nothing.
const OPERATIONS: u32 = 2_000;

/// What an operation allocates. Fractions come from what several operations share.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Bytes of the heap.
    pub heap_bytes: f64,
    /// Requests to the system's allocator.
    pub host_allocations: f64,
    /// Bytes of those requests.
    pub host_bytes: f64,
}

impl Reading {
    /// The numbers with their names, as `budgets.toml` calls them.
    pub fn numbers(&self) -> [(&'static str, f64); 3] {
        [("heap_bytes", self.heap_bytes), ("host_allocations", self.host_allocations), ("host_bytes", self.host_bytes)]
    }
}

/// A reading of each scenario.
pub fn readings() -> BTreeMap<&'static str, Reading> {
    let mut readings: BTreeMap<&'static str, Reading> =
        scenarios::SCENARIOS.iter().map(|scenario| (scenario.name, measure(scenario))).collect();
    readings.insert("vm/idle", idle());
    readings
}

/// A scenario: what it needs in the VM, and the Lua expression or statement that is one operation of it.
struct Scenario {
    name: &'static str,
    /// Lua that is run once, and may use what [`scenarios::provide`] gives.
    setup: &'static str,
    /// Lua that is one operation.
    operation: &'static str,
}

/// What one operation of a scenario allocates.
fn measure(scenario: &Scenario) -> Reading {
    // Compiled code allocates what interpreted code does, or less; when it is compiled would blur the readings.
    let lua = Lua::builder().jit(false).build().expect("a VM");
    scenarios::provide(&lua).expect("nothing here can fail");
    let source =
        format!("{}\nreturn function() for i = 1, {OPERATIONS} do {} end end", scenario.setup, scenario.operation);
    let run: perilune::Function = lua.load(source).set_name(scenario.name).eval().expect("the scenario is well formed");
    // Twice: what the first run leaves for the collector is what the measured one finds free.
    for _ in 0..2 {
        lua.gc_stop();
        run.call::<()>(()).expect("the scenario does not fail");
        lua.gc_restart();
        lua.gc_collect().expect("nothing has a finalizer");
    }
    lua.gc_stop();
    let before = lua.used_memory();
    let host = allocation_counter::measure(|| run.call::<()>(()).expect("the scenario does not fail"));
    let heap = lua.used_memory().saturating_sub(before);
    per_operation(heap as u64, host.count_total, host.bytes_total)
}

fn per_operation(heap: u64, count: u64, bytes: u64) -> Reading {
    // What is shared by so many operations that it is below a hundredth of a byte is nothing.
    let share = |total: u64| (total as f64 / f64::from(OPERATIONS) * 100.0).floor() / 100.0;
    Reading { heap_bytes: share(heap), host_allocations: share(count), host_bytes: share(bytes) }
}

/// A VM with all libraries that has run nothing, without the trace compiler: here `host_bytes` is the peak of what the process gave it.
fn idle() -> Reading {
    let mut used = 0;
    let host = allocation_counter::measure(|| {
        used = Lua::builder().jit(false).build().expect("a VM").used_memory();
    });
    Reading { heap_bytes: used as f64, host_allocations: host.count_total as f64, host_bytes: host.bytes_max as f64 }
}
