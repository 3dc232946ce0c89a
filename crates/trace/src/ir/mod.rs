//! The data of a trace tree: types, instructions, snapshots, segments.

mod helper;
mod inputs;
mod inst;
mod parse;
mod slots;
mod text;
mod tree;

pub use helper::{Arg, Effects, Helper, KeyUse, Returns};
pub use inputs::Inputs;
pub use inst::{Class, Field, Format, Inst, Op, Ref, ResultType, Ty};
pub use parse::ParseError;
pub use slots::Slots;
pub use tree::{
    Counted, End, ExitKind, Header, HeaderId, InlinedFrame, ProtoId, Range, Recipe, Segment, SegmentId, SnapId,
    SnapSlot, Snapshot, Start, Tree,
};
