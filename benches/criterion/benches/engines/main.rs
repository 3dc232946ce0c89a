//! Perilune and the reference Lua 5.4, embedded in one process: what a Rust program that hosts scripts would notice.
//!
//! ```sh
//! cargo bench                                  # all; reports in target/criterion/report/index.html
//! cargo bench -p perilune-criterion -- RustToLua
//! ```
//!
//! The reference is used through `mlua`, as such a program would use it. Both have interfaces of the same shape, so the
//! scenarios are one source that is compiled twice: [`on_perilune`] and [`on_reference`] differ in what `api` means.
//!
//! Both sides of a case run minutes apart at most, in one process, but not interleaved: on a busy machine believe the
//! ratios of `cargo xtask bench`, and look here for what whole programs cannot show.

mod on_perilune;
mod on_reference;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};

/// What is timed.
type Work = Box<dyn FnMut()>;

/// One side of a comparison.
struct Case {
    /// The scenario, a group of the report.
    group: &'static str,
    /// What of it.
    name: &'static str,
    /// How many operations one call of the work does.
    operations: u64,
    prepare: fn() -> Work,
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let sides = [("perilune", on_perilune::scenarios::CASES), ("lua54", on_reference::scenarios::CASES)];
    let mut groups: Vec<&str> = sides[0].1.iter().map(|case| case.group).collect();
    groups.dedup();
    for name in groups {
        let mut group = criterion.benchmark_group(name);
        for (engine, cases) in sides {
            for case in cases.iter().filter(|case| case.group == name) {
                group.throughput(Throughput::Elements(case.operations));
                group.bench_function(BenchmarkId::new(case.name, engine), |bencher| {
                    let mut work = (case.prepare)();
                    bencher.iter(&mut work);
                });
            }
        }
        group.finish();
    }
    criterion.final_summary();
}
