//! Compiled traces are run, as programs of their own, and must do what the evaluator says.
//!
//! | machine | how |
//! |---|---|
//! | x86-64 | by this processor, where it is one |
//! | AArch64 | by this processor, or by `qemu-aarch64` (Debian: `qemu-user`); skipped, and said so, where that is missing |
//!
//! | module | what it has |
//! |---|---|
//! | `cases` | the traces, with memory for them to work on |
//! | `image` | a model of memory as bytes |
//! | `elf` | programs around code |
//! | `lookup` | traces that look for keys of tables |
//! | `sunk` | traces with tables that only exits make |
//! | `tables` | hash parts and shapes as bytes |
//! | `stubs` | what stands for the VM's functions |
#![expect(clippy::disallowed_methods, reason = "tests that write and run programs")]

mod cases;
mod elf;
mod flags;
mod image;
mod lookup;
mod stubs;
mod sunk;
mod tables;
mod walks;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use perilune_trace::eval::{self, Model, Outcome};
use perilune_trace::ir::{End, HeaderId, Inputs, Op, Segment, Tree, Ty};
use perilune_trace::opt::PASSES;
use perilune_trace::verify::verify;

use self::cases::Case;
use self::elf::{Arch, CODE, DATA};
use self::image::{Image, RESULT, STACK};
use crate::lower::convention;
use crate::{Callable, Effort, Environment, Handover, Machine, SlotWrite, entry_types, exit_tables};

/// Traces that must have run at least.
const LEAST: usize = 60;

/// The first spare slot, above those of all traces.
const SPARE: u32 = 512;

/// What the emulator is called.
const EMULATOR: &str = "qemu-aarch64";

/// A program must not be started while another thread has the file of its own open, which a new process would inherit.
static PROGRAMS: Mutex<()> = Mutex::new(());

/// What runs programs of a machine: nothing in front, or an emulator. `None` if there is neither.
fn runner(arch: Arch) -> Option<Option<&'static str>> {
    let is_native = match arch {
        Arch::X86 => cfg!(all(target_arch = "x86_64", target_os = "linux")),
        Arch::Arm => cfg!(all(target_arch = "aarch64", target_os = "linux")),
    };
    if is_native {
        return Some(None);
    }
    let is_there = Command::new(EMULATOR).arg("-version").output().is_ok_and(|output| output.status.success());
    (arch == Arch::Arm && is_there).then_some(Some(EMULATOR))
}

/// How a tree is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// As one that is no function.
    Tree,
    /// As a function with so many parameters, by the VM.
    Gate(u32),
    /// As such a function, by compiled code.
    Call(u32),
}

/// Makes programs for a machine, and runs them.
struct Workshop {
    arch: Arch,
    emulator: Option<&'static str>,
    machine: Machine,
    effort: Effort,
    stubs: stubs::Stubs,
    path: PathBuf,
}

impl Workshop {
    fn new(arch: Arch, emulator: Option<&'static str>, effort: Effort) -> Workshop {
        let path = std::env::temp_dir().join(format!("perilune-trace-{}-{arch:?}-{effort:?}", std::process::id()));
        // As it is used: the least of the x86-64 processors has no instructions that round.
        let machine = if emulator.is_none() { Machine::host() } else { Machine::of_triple(arch.triple()) };
        let machine = machine.expect("a back end");
        Workshop { arch, emulator, machine, effort, stubs: stubs::Stubs::new(arch), path }
    }

    /// The program's memory after it has run the tree on a model.
    fn run(&mut self, tree: &Tree, model: &Model, way: Way) -> Image {
        let callable = match way {
            Way::Tree => None,
            Way::Gate(params) | Way::Call(params) => Some(Callable { slots: 0, params, cell: 0 }),
        };
        let (mut code, helpers) = self.stubs.at(CODE + stubs::ROOM as u64);
        let env = Environment {
            fuel: image::FUEL,
            heap_bytes: image::HEAP_BYTES,
            heap_threshold: image::HEAP_THRESHOLD,
            heap_free: image::HEAP_FREE,
            heap_white: image::HEAP_WHITE,
            scratch: image::SCRATCH,
            helpers,
            // Objects of the models are never black.
            barriers: [0; 2],
            room: image::ROOM,
            callable,
            spare: SPARE,
            calls: crate::layout::Calls::default(),
            call_out: 0,
            exit_every: 0,
            exits: 0,
        };
        let trace = CODE + (stubs::ROOM + code.len()) as u64;
        let made = self.machine.compile(tree, &env, self.effort).expect("code");
        assert_eq!(made.effort, self.effort);
        code.extend(made.bytes);
        code.resize(code.len().next_multiple_of(stubs::ALIGN), 0);
        let around = CODE + (stubs::ROOM + code.len()) as u64;
        let (function, header) = match way {
            Way::Tree => (trace, 0),
            Way::Gate(_) => {
                code.extend(self.machine.compile_gate(image::FUEL).expect("a gate").bytes);
                (around, 0)
            }
            Way::Call(params) => {
                code.extend(stubs::caller(self.arch, params as usize));
                let types: Vec<Ty> = (1..=params).map(|slot| model.slot(slot).ty).collect();
                (around, convention::types_of(types.into_iter()) as u64)
            }
        };
        let registers = STACK + eval::VALUE;
        let mut start = self.arch.start(function, [DATA, registers, header, trace], DATA + RESULT as u64);
        assert!(start.len() <= stubs::ROOM);
        start.resize(stubs::ROOM, 0);
        start.extend(code);
        self.execute(&elf::executable(self.arch, &start, &Image::of(model, tree).0))
    }

    fn execute(&self, program: &[u8]) -> Image {
        let _one_at_a_time = PROGRAMS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::fs::write(&self.path, program).expect("a temporary file");
        make_executable(&self.path);
        let mut command = match self.emulator {
            Some(emulator) => {
                let mut command = Command::new(emulator);
                command.arg(&self.path);
                command
            }
            None => Command::new(&self.path),
        };
        let output = command.output().expect("a process");
        assert!(output.status.success(), "{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout.len(), elf::DATA_SIZE);
        Image(output.stdout)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // It need not be there.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(unix)]
fn make_executable(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).expect("permissions");
}

#[cfg(not(unix))]
fn make_executable(_path: &std::path::Path) {}

/// Runs a case; what is wrong about it.
fn check(workshop: &mut Workshop, case: &Case) -> Vec<String> {
    let mut tree = case.tree.clone();
    assert_eq!(verify(&tree), Ok(()), "{}", case.name);
    for pass in PASSES {
        (pass.run)(&mut tree);
        assert_eq!(verify(&tree), Ok(()), "{} after {}", case.name, pass.name);
    }
    let mut expected = case.model.clone();
    let (outcome, arrivals) = eval::run(&tree, &mut expected, HeaderId::ROOT, u64::MAX);
    let mut wrong = passes_keep(case, &tree, outcome, &expected, arrivals);
    if outcome == Outcome::Mismatch {
        // Nobody enters.
        let fits = entry_types(&tree, HeaderId::ROOT).iter().all(|(slot, ty)| case.model.slot(*slot).ty == *ty);
        return if fits { vec![format!("{}: the types fit", case.name)] } else { wrong };
    }
    wrong.extend(differences(workshop, &tree, case, Way::Tree, outcome, &expected));
    if !wrong.is_empty() {
        wrong.push(tree.to_string());
    }
    wrong
}

/// What is wrong about a tree that is entered in some way, and must come to this outcome.
fn differences(
    workshop: &mut Workshop,
    tree: &Tree,
    case: &Case,
    way: Way,
    outcome: Outcome,
    expected: &Model,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut image = workshop.run(tree, &case.model, way);
    let result = image.vm(RESULT) as i64;
    let live = match outcome {
        Outcome::Left(snap) => {
            if result & !i64::from(crate::AHEAD) != i64::from(snap.0) {
                wrong.push(format!("left through {result} instead of {}", snap.0));
            }
            let writes: Vec<SlotWrite> = Handover::of(tree, &Inputs::of(tree)).writes(snap, SPARE).collect();
            image.complete(&writes, tree.snapshot(snap).fuel);
            image.make_tables(&exit_tables(tree, snap, SPARE));
            let snapshot = tree.snapshot(snap);
            snapshot.live.iter().copied().chain(snapshot.slots.iter().map(|slot| slot.slot)).collect()
        }
        Outcome::Returned(count) => {
            if result != crate::RETURNED - i64::from(count) {
                wrong.push(format!("{result} instead of the return of {count} values"));
            }
            (0..count).collect()
        }
        Outcome::Mismatch if matches!(way, Way::Call(_)) => {
            if result != crate::MISMATCH {
                wrong.push(format!("{result} instead of a refusal"));
            }
            (0..tree.slots_end()).collect()
        }
        Outcome::Mismatch | Outcome::Stopped(_) | Outcome::Undefined(_) => {
            wrong.push(format!("the case has no meaning: {outcome:?}"));
            Vec::new()
        }
    };
    wrong.extend(image.differences(expected, |slot| live.contains(&slot)));
    wrong.into_iter().map(|what| format!("{way:?}: {what}")).collect()
}

/// Runs a case as the code of a function; what is wrong about it.
fn check_function(workshop: &mut Workshop, case: &Case) -> Vec<String> {
    let mut tree = case.tree.clone();
    let root = tree.header(HeaderId::ROOT);
    let inputs = root.inputs.iter().map(|input| tree.inst(*input).aux);
    let params = inputs.chain(root.live.iter().copied()).max().unwrap_or(0);
    // Places above what the outermost tree writes are no place to read a variable from, but the model does not know it.
    let reads_places = tree.insts.iter().any(|inst| inst.op == Op::OffWritten);
    if params as usize > convention::MOST_PARAMS || reads_places {
        return Vec::new();
    }
    tree.set_called(true);
    for pass in PASSES {
        (pass.run)(&mut tree);
        assert_eq!(verify(&tree), Ok(()), "{} after {}", case.name, pass.name);
    }
    let mut expected = case.model.clone();
    let (outcome, _) = eval::run(&tree, &mut expected, HeaderId::ROOT, u64::MAX);
    let mut wrong = differences(workshop, &tree, case, Way::Call(params), outcome, &expected);
    if outcome != Outcome::Mismatch {
        wrong.extend(differences(workshop, &tree, case, Way::Gate(params), outcome, &expected));
    }
    if !wrong.is_empty() {
        wrong.push(tree.to_string());
    }
    wrong
}

/// Whether the tree does the same without the passes: a hoisted guard may leave earlier, at the header. Where it goes to an
/// alternative instead, the tree without passes leaves, and there is nothing to compare.
fn passes_keep(case: &Case, tree: &Tree, outcome: Outcome, expected: &Model, arrivals: u64) -> Vec<String> {
    let is_sunk = tree.insts.iter().any(|inst| inst.op == Op::Sunk);
    // Where a table is sunk, nobody looks whether the collector wants to come.
    if tree.headers.iter().any(|header| header.alternative.is_some()) || is_sunk && case.model.collects {
        return Vec::new();
    }
    let mut plain = case.model.clone();
    let (mut plain_outcome, _) = eval::run(&case.tree, &mut plain, HeaderId::ROOT, u64::MAX);
    if plain_outcome != outcome {
        plain = case.model.clone();
        plain_outcome = eval::run(&case.tree, &mut plain, HeaderId::ROOT, arrivals).0;
    }
    let is_same = match (outcome, plain_outcome) {
        (Outcome::Left(snap), Outcome::Stopped(header)) => {
            let goes_back = |segment: &Segment| (segment.end, segment.end_snap) == (End::Around(header), Some(snap));
            tree.header(header).snap == snap || tree.segments.iter().any(goes_back)
        }
        _ => outcome == plain_outcome,
    };
    let is_equal = if is_sunk { plain.looks_like(expected, tree.slots_end()) } else { plain == *expected };
    if is_same && is_equal {
        return Vec::new();
    }
    vec![format!("without passes: {plain_outcome:?} {plain:?}; with them: {outcome:?} {expected:?}")]
}

fn run_all(arch: Arch, effort: Effort) {
    let Some(emulator) = runner(arch) else {
        println!("skipped: nothing runs programs for {arch:?} here ({EMULATOR}, in Debian's package qemu-user, would)");
        return;
    };
    run_all_in(&mut Workshop::new(arch, emulator, effort));
}

fn run_all_in(workshop: &mut Workshop) {
    let (arch, effort) = (workshop.arch, workshop.effort);
    let mut cases = cases::all();
    lookup::add(&mut cases);
    sunk::add(&mut cases);
    flags::add(&mut cases);
    walks::add(&mut cases);
    let mut failures = Vec::new();
    for case in &cases {
        let mut wrong = check(workshop, case);
        wrong.extend(check_function(workshop, case));
        if !wrong.is_empty() {
            failures.push(format!("{}:\n{}", case.name, wrong.join("\n")));
        }
    }
    println!("traces run for {arch:?}, {effort:?}: {}", cases.len());
    assert!(failures.is_empty(), "{} of {} traces failed\n{}", failures.len(), cases.len(), failures.join("\n\n"));
    assert!(cases.len() >= LEAST, "only {} traces ran", cases.len());
}

#[test]
fn traces_run_on_x86_64() {
    run_all(Arch::X86, Effort::Full);
}

#[test]
fn traces_run_on_x86_64_in_quick_code() {
    run_all(Arch::X86, Effort::Quick);
}

/// On processors that have no more than all have.
#[test]
fn traces_run_on_the_least_x86_64_in_quick_code() {
    if let Some(emulator) = runner(Arch::X86) {
        let mut workshop = Workshop::new(Arch::X86, emulator, Effort::Quick);
        workshop.path.set_extension("least");
        workshop.machine.quick = crate::quick::Features::default();
        run_all_in(&mut workshop);
    }
}

#[test]
fn traces_run_on_aarch64() {
    run_all(Arch::Arm, Effort::Full);
}
