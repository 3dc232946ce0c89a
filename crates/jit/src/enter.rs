//! Running compiled trees: the way in, the calls out, and what is left behind at an exit.

use std::pin::Pin;

use perilune_codegen::{Environment, entry_types, exit_writes};
use perilune_runtime::value::Value;
use perilune_trace::ir::{HeaderId, SnapId, Tree};
use perilune_vm::Vm;
use perilune_vm::compiled::{self, FrameImage, SlotImage};
use perilune_vm::tier::VM_OFFSETS;

use crate::code::CodeBlock;
use crate::helpers;
use crate::record::Notes;

/// What the runner knows of each snapshot.
#[derive(Clone, Debug)]
struct Exit {
    pc: u32,
    frames: Box<[FrameImage]>,
    top: Option<u32>,
    writes: Box<[SlotImage]>,
    fuel: u32,
}

/// The exits of a tree, where its code finds them.
#[derive(Debug)]
pub struct Exits(Vec<Exit>);

impl Exits {
    /// The exits of a tree.
    pub fn of(tree: &Tree) -> Pin<Box<Exits>> {
        let ids = (0..).map(SnapId);
        let exits = tree.snapshots.iter().zip(ids).map(|(snapshot, id)| Exit {
            pc: snapshot.pc,
            writes: exit_writes(tree, id)
                .into_iter()
                .map(|write| SlotImage { slot: write.slot, tag: write.ty as u8, payload: write.payload })
                .collect(),
            fuel: snapshot.fuel,
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
    /// By header: the slots of its inputs, and the tags that they must have.
    entries: Box<[Entry]>,
    slots: u32,
    frames: u32,
    most_fuel: u32,
}

/// What a header expects.
type Entry = Box<[(u32, u8)]>;

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
    pub fn new(code: CodeBlock, exits: Pin<Box<Exits>>, tree: &Tree, notes: &Notes) -> Compiled {
        let types = |id| entry_types(tree, id).into_iter().map(|(slot, ty)| (slot, ty as u8)).collect();
        let entries = tree.header_ids().map(types).collect();
        Compiled { code, exits, entries, slots: notes.slots, frames: notes.frames, most_fuel: tree.most_fuel() }
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
        type Function = unsafe extern "C" fn(*mut Vm, *mut Value, u64) -> i64;
        // SAFETY: the caller's duty; the block holds a function of this signature, made for this very VM layout.
        unsafe {
            if !compiled::make_room(vm, self.slots, self.frames + 1) {
                return Outcome::NotEntered;
            }
            let base = (*(*(*vm).current_thread()).frame).base;
            if !compiled::have_tags(base, &self.entries[header.index()]) {
                return Outcome::NotEntered;
            }
            let function = std::mem::transmute::<*const u8, Function>(self.code.address());
            match function(vm, base, u64::from(header.0)) {
                n if n >= 0 => {
                    let snap = SnapId(n as u32);
                    let exit = &self.exits.0[snap.index()];
                    compiled::complete(vm, &exit.writes, exit.fuel);
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
