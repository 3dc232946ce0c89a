//! What the runner knows of the exits of a piece of code: where they leave, what is left to be written, and what may go on there.

use std::cell::OnceCell;
use std::pin::Pin;

use perilune_codegen::{AHEAD, Handover, SlotWrite, Tags, exit_tables, spare_slots};
use perilune_runtime::value::{Tag, Value};
use perilune_trace::fragment::{self, Fragment, Way};
use perilune_trace::ir::{HeaderId, InlinedFrame, Inputs, SnapId, Tree};
use perilune_vm::Vm;
use perilune_vm::compiled::{self, FrameImage, SlotImage, SlotTag, TableImage};

use super::link::Link;
use super::{Entry, Outcome};

/// What the runner knows of each snapshot.
#[derive(Debug)]
pub(super) struct Exit {
    /// What goes on there, once there is such code.
    pub(super) next: OnceCell<Link>,
    /// The slots that get a tag, and those that get all of a value.
    tags: Box<[SlotTag]>,
    values: Box<[SlotImage]>,
    tables: Box<[TableImage]>,
    pub(super) fuel: u32,
    /// Where execution stands then, as the tree has it.
    pub(super) snap: SnapId,
    /// What may go on there.
    pub(super) onward: Onward,
    /// The header that the path has come from, and those of its inputs whose places still have their tags: a bit for each of the first 64.
    from: HeaderId,
    kept: u64,
    /// The same for [`Exits::found`].
    passed: u64,
    pub(super) pc: u32,
    pub(super) frames: Box<[FrameImage]>,
    pub(super) top: Option<u32>,
}

impl Exit {
    /// Completes the state that the code has left, which costs so much fuel.
    ///
    /// # Safety
    /// The code, whose registers begin at `base`, has left through this exit.
    #[inline]
    pub(super) unsafe fn complete(&self, vm: *mut Vm, base: *mut Value, fuel: u32) {
        // SAFETY: the caller's duty. The tables' shapes and metatables are constants of the tree, which is forgotten when one dies; the
        // pass `sink` has bounded their properties, and verified that slots name all of them.
        unsafe {
            compiled::complete(vm, base, &self.tags, &self.values, fuel);
            if !self.tables.is_empty() {
                compiled::make_tables(vm, base, &self.tables);
            }
        }
    }

    /// What the slot gets of a value.
    pub(super) fn write(&self, slot: u32) -> (Option<SlotTag>, Option<SlotImage>) {
        let tag = self.tags.iter().find(|write| write.slot == slot);
        (tag.copied(), self.values.iter().find(|write| write.slot == slot).copied())
    }

    /// The tags that are known to be in their places when the state is complete, first those that are written. `exits` has the exit, and
    /// `entries` are those of its code.
    ///
    /// Nothing but the interpreter and what is called out of compiled code changes a tag behind its back, as `debug.setlocal` does. The
    /// first does not run between the exit and what goes on; and a path that has called out keeps no tags.
    pub(super) fn known(&self, exits: &Exits, entries: &[Entry]) -> Vec<SlotTag> {
        let tags = self.tags.iter().copied();
        let values = self.values.iter().map(|SlotImage { slot, tag, .. }| SlotTag { slot: *slot, tag: *tag });
        let tables = self.tables.iter().flat_map(|table| &table.slots);
        let tables = tables.map(|slot| SlotTag { slot: *slot, tag: Tag::Table as u8 });
        let kept = chosen(&entries[self.from.index()], self.kept);
        let mut known: Vec<SlotTag> = tags.chain(values).chain(tables).chain(kept).collect();
        for tag in chosen(&exits.found, self.passed) {
            if known.iter().all(|known| known.slot != tag.slot) {
                known.push(tag);
            }
        }
        known
    }
}

/// Those of a list's first entries that have a bit.
fn chosen(tags: &[SlotTag], bits: u64) -> impl Iterator<Item = SlotTag> {
    tags.iter().take(64).enumerate().filter(move |(n, _)| bits >> n & 1 != 0).map(|(_, tag)| *tag)
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
    /// Of a fragment: the tags that the exit which leads there is known to leave in places. All that enters the fragment where it begins
    /// sees to them.
    pub(super) found: Box<[SlotTag]>,
    /// The first of the slots that sunk tables are handed over in, and the one behind the last.
    pub(super) spare: u32,
    end: u32,
}

impl Exits {
    /// The exits of a tree, which has `slots` slots of its own.
    pub fn of(at: usize, tree: &Tree, slots: u32) -> Pin<Box<Exits>> {
        Exits::with(at, tree, slots, Box::default(), |snap| (snap, Onward::Fragment))
    }

    /// Those of a fragment of a tree, as the passes have left it, that begins where tags are known as `found` says.
    pub fn of_fragment(
        at: usize,
        fragment: &Fragment,
        tree: &Tree,
        slots: u32,
        found: Box<[SlotTag]>,
    ) -> Pin<Box<Exits>> {
        Exits::with(at, tree, slots, found, |snap| {
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

    fn with(
        at: usize,
        tree: &Tree,
        slots: u32,
        found: Box<[SlotTag]>,
        way: impl Fn(SnapId) -> (SnapId, Onward),
    ) -> Pin<Box<Exits>> {
        let spare = slots + 1;
        let ids = (0..).map(SnapId);
        let inputs = Inputs::of(tree);
        let tags_left = Tags::of(tree, &inputs);
        let mut handover = Handover::of(tree, &inputs);
        let (mut tags, mut values) = (Vec::new(), Vec::new());
        let exits = tree.snapshots.iter().zip(ids).map(|(snapshot, id)| {
            let (snap, onward) = way(id);
            let from = inputs.header_of(snapshot.segment);
            let found = if from == fragment::ENTRY.0 { &*found } else { &[] };
            tags.clear();
            values.clear();
            handover.writes(id, spare).for_each(|SlotWrite { slot, ty, payload }| match payload {
                Some(payload) => values.push(SlotImage { slot, tag: ty as u8, payload }),
                None => tags.push(SlotTag { slot, tag: ty as u8 }),
            });
            Exit {
                next: OnceCell::new(),
                tags: tags.as_slice().into(),
                values: values.as_slice().into(),
                tables: exit_tables(tree, id, spare).into_iter().map(table_image).collect(),
                fuel: snapshot.fuel,
                snap,
                onward,
                from,
                kept: tags_left.kept(id),
                passed: tags_left.passed(id, found.iter().map(|tag| tag.slot)),
                pc: snapshot.pc,
                frames: snapshot.frames.iter().map(frame_image).collect(),
                top: snapshot.top,
            }
        });
        let exits = exits.collect();
        Box::pin(Exits { tree: at, exits, found, spare, end: slots + spare_slots(tree) })
    }

    /// The exit that a returned number means.
    #[inline]
    pub(super) fn exit(&self, number: u32) -> &Exit {
        &self.exits[(number & !AHEAD) as usize]
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Exit] {
        &self.exits
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

fn frame_image(frame: &InlinedFrame) -> FrameImage {
    FrameImage {
        func: frame.func,
        base: frame.base,
        extra: frame.extra,
        lost: frame.lost,
        protected: frame.protected,
        handled: frame.handled,
        return_pc: frame.return_pc,
        nresults: frame.nresults,
        flags: frame.flags,
    }
}

fn table_image(image: perilune_codegen::TableImage) -> TableImage {
    let perilune_codegen::TableImage { shape, meta, first, count, elements, slots } = image;
    TableImage { shape, meta, first, count, elements, slots: slots.into() }
}
