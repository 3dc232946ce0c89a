//! Running compiled trees: the way in, the calls out, and what is left behind at an exit.

use std::pin::Pin;

use perilune_codegen::{Environment, MISMATCH};
use perilune_runtime::value::Value;
use perilune_trace::ir::{HeaderId, SnapId, Tree};
use perilune_vm::Vm;
use perilune_vm::compiled::{self, FrameImage};
use perilune_vm::tier::VM_OFFSETS;

use crate::code::CodeBlock;
use crate::helpers;

/// What the runner knows of each snapshot.
#[derive(Clone, Debug)]
struct Exit {
    pc: u32,
    frames: Box<[FrameImage]>,
    top: Option<u32>,
}

/// The exits of a tree, where its code finds them.
#[derive(Debug)]
pub struct Exits(Vec<Exit>);

impl Exits {
    /// The exits of a tree.
    pub fn of(tree: &Tree) -> Pin<Box<Exits>> {
        let exits = tree.snapshots.iter().map(|snapshot| Exit {
            pc: snapshot.pc,
            frames: snapshot
                .frames
                .iter()
                .map(|frame| FrameImage {
                    func: frame.func,
                    base: frame.base,
                    extra: frame.extra,
                    return_pc: frame.return_pc,
                    nresults: frame.nresults,
                    flags: frame.flags,
                })
                .collect(),
            top: snapshot.top,
        });
        Box::pin(Exits(exits.collect()))
    }
}

/// Machine code of a tree.
#[derive(Debug)]
pub struct Compiled {
    code: CodeBlock,
    exits: Pin<Box<Exits>>,
    slots: u32,
    frames: u32,
    most_fuel: u32,
}

/// How a run of compiled code ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was no room for it, or the values had other types.
    NotEntered,
    /// It left through a snapshot; the VM stands where that says.
    Left(SnapId),
    /// A call out of it did not come back; the VM knows how to go on.
    LeftOver,
}

/// What compiled code must know of a VM.
pub fn environment(exits: &Pin<Box<Exits>>, exit_every: u32) -> Environment {
    Environment {
        fuel: VM_OFFSETS.fuel as i32,
        heap_bytes: VM_OFFSETS.heap_bytes as i32,
        heap_threshold: VM_OFFSETS.heap_threshold as i32,
        scratch: VM_OFFSETS.scratch as i32,
        helpers: helpers::addresses(),
        barriers: helpers::barriers(),
        call_out: call_out as *const () as u64,
        exits: std::ptr::from_ref::<Exits>(exits).expose_provenance() as u64,
        exit_every,
    }
}

impl Compiled {
    /// Code that was made with the environment of `exits`.
    pub fn new(code: CodeBlock, exits: Pin<Box<Exits>>, slots: u32, frames: u32, most_fuel: u32) -> Compiled {
        Compiled { code, exits, slots, frames, most_fuel }
    }

    /// With less fuel the code leaves at once.
    pub fn most_fuel(&self) -> i64 {
        i64::from(self.most_fuel)
    }

    /// Runs the code from a header on.
    ///
    /// # Safety
    /// The current frame stands at the header, and is one that the tree was recorded for; its `pc` is stored. The VM is
    /// exclusively the caller's.
    pub unsafe fn run(&self, vm: *mut Vm, header: HeaderId) -> Outcome {
        type Entry = unsafe extern "C" fn(*mut Vm, *mut Value, u64) -> i64;
        // SAFETY: the caller's duty; the block holds a function of this signature, made for this very VM layout.
        unsafe {
            if !compiled::make_room(vm, self.slots, self.frames + 1) {
                return Outcome::NotEntered;
            }
            let entry = std::mem::transmute::<*const u8, Entry>(self.code.address());
            let base = (*(*(*vm).current_thread()).frame).base;
            match entry(vm, base, u64::from(header.0)) {
                MISMATCH => Outcome::NotEntered,
                n if n >= 0 => {
                    let snap = SnapId(n as u32);
                    let exit = &self.exits.0[snap.index()];
                    compiled::push_frames(vm, &exit.frames, exit.pc, exit.top);
                    Outcome::Left(snap)
                }
                _ => Outcome::LeftOver,
            }
        }
    }
}

/// Calls a native function out of compiled code; see [`Environment::call_out`].
unsafe extern "C" fn call_out(
    vm: *mut Vm,
    exits: *const Exits,
    snap: u64,
    func: u64,
    nargs: u64,
    nresults: u64,
) -> *mut Value {
    // SAFETY: compiled code passes the exits that it was made with, which live as long as it, and a state as the
    // snapshot tells.
    unsafe {
        let exit = &(&(*exits).0)[snap as usize];
        if compiled::call_out(vm, &exit.frames, exit.pc, func as u32, nargs as u32, nresults as u32) {
            return (*(*(*vm).current_thread()).frame).base;
        }
        std::ptr::null_mut()
    }
}
