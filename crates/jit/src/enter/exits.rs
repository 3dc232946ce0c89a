//! What the runner knows of the exits of a piece of code: where they leave, what is left to be written, and what may go on there.

use std::pin::Pin;

use perilune_codegen::{AHEAD, exit_tables, exit_writes, spare_slots};
use perilune_runtime::value::Value;
use perilune_trace::fragment::{self, Fragment, Way};
use perilune_trace::ir::{HeaderId, Inputs, SnapId, Tree};
use perilune_vm::Vm;
use perilune_vm::compiled::{self, FrameImage, SlotImage, TableImage};

use super::Outcome;

/// What the runner knows of each snapshot.
#[derive(Clone, Debug)]
pub(super) struct Exit {
    /// Where execution stands then, as the tree has it.
    pub(super) snap: SnapId,
    /// What may go on there.
    pub(super) onward: Onward,
    pub(super) pc: u32,
    pub(super) frames: Box<[FrameImage]>,
    pub(super) top: Option<u32>,
    pub(super) writes: Box<[SlotImage]>,
    tables: Box<[TableImage]>,
    pub(super) fuel: u32,
}

impl Exit {
    /// Completes the state that the code has left, which costs so much fuel.
    ///
    /// # Safety
    /// The code, whose registers begin at `base`, has left through this exit.
    pub(super) unsafe fn complete(&self, vm: *mut Vm, base: *mut Value, fuel: u32) {
        // SAFETY: the caller's duty. The tables' shapes and metatables are constants of the tree, which is forgotten when one dies; the
        // pass `sink` has bounded their properties, and verified that slots name all of them.
        unsafe {
            compiled::complete(vm, base, &self.writes, fuel);
            compiled::make_tables(vm, base, &self.tables);
        }
    }
}

/// What may go on where code has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Onward {
    /// A fragment that begins at the snapshot, if there is one.
    Fragment,
    /// The code of a header of the tree.
    Header(HeaderId),
    /// Only the interpreter.
    Nothing,
}

/// The exits of a tree, where its code finds them.
#[derive(Debug)]
pub struct Exits {
    tree: usize,
    exits: Vec<Exit>,
    /// The first of the slots that sunk tables are handed over in, and the one behind the last.
    pub(super) spare: u32,
    end: u32,
}

impl Exits {
    /// The exits of a tree, which has `slots` slots of its own.
    pub fn of(at: usize, tree: &Tree, slots: u32) -> Pin<Box<Exits>> {
        Exits::with(at, tree, slots, |snap| (snap, Onward::Fragment))
    }

    /// Those of a fragment of a tree, as the passes have left it.
    pub fn of_fragment(at: usize, fragment: &Fragment, tree: &Tree, slots: u32) -> Pin<Box<Exits>> {
        Exits::with(at, tree, slots, |snap| {
            let Way { snap: in_tree, joins } = fragment.ways[snap.index()];
            let onward = match joins {
                Some(header) => Onward::Header(header),
                // It is what was to go on there, and cannot.
                None if snap == fragment::ENTRY.1 => Onward::Nothing,
                None => Onward::Fragment,
            };
            (in_tree, onward)
        })
    }

    fn with(at: usize, tree: &Tree, slots: u32, way: impl Fn(SnapId) -> (SnapId, Onward)) -> Pin<Box<Exits>> {
        let spare = slots + 1;
        let ids = (0..).map(SnapId);
        let inputs = Inputs::of(tree);
        let exits = tree.snapshots.iter().zip(ids).map(|(snapshot, id)| Exit {
            snap: way(id).0,
            onward: way(id).1,
            pc: snapshot.pc,
            writes: exit_writes(tree, &inputs, id, spare)
                .into_iter()
                .map(|write| SlotImage { slot: write.slot, tag: write.ty as u8, payload: write.payload })
                .collect(),
            tables: exit_tables(tree, id, spare).into_iter().map(table_image).collect(),
            fuel: snapshot.fuel,
            frames: snapshot
                .frames
                .iter()
                .map(|frame| FrameImage {
                    func: frame.func,
                    base: frame.base,
                    extra: frame.extra,
                    lost: frame.lost,
                    protected: frame.protected,
                    handled: frame.handled,
                    return_pc: frame.return_pc,
                    nresults: frame.nresults,
                    flags: frame.flags,
                })
                .collect(),
            top: snapshot.top,
        });
        Box::pin(Exits { tree: at, exits: exits.collect(), spare, end: slots + spare_slots(tree) })
    }

    /// The exit that a returned number means.
    pub(super) fn exit(&self, number: u32) -> &Exit {
        &self.exits[(number & !AHEAD) as usize]
    }

    /// How a run has ended that has returned this number.
    pub(super) fn outcome(&self, number: u32) -> Outcome {
        let snap = self.exit(number).snap;
        if number < AHEAD { Outcome::Left(self.tree, snap) } else { Outcome::LeftAhead(self.tree, snap) }
    }

    /// How many slots the code may touch, those for sunk tables among them.
    pub fn slots(&self) -> u32 {
        self.end
    }

    /// How many slots are at least from the function of a frame to that of the next.
    pub(super) fn per_frame(&self) -> u32 {
        let mut least = u32::MAX;
        for exit in &self.exits {
            let mut below = 0;
            for frame in exit.frames.iter().filter(|frame| frame.func > 0) {
                let distance = frame.func - below;
                // There is the frame of the protected call between them.
                least = least.min(if frame.protected.is_some() { distance / 2 } else { distance });
                below = frame.func;
            }
        }
        least.max(1)
    }
}

fn table_image(image: perilune_codegen::TableImage) -> TableImage {
    let perilune_codegen::TableImage { shape, meta, first, count, elements, slots } = image;
    TableImage { shape, meta, first, count, elements, slots: slots.into() }
}
