//! What a compiler tier is to the interpreter, and what an observer of the interpreter's loop is.
//!
//! The VM owns these traits and never knows who implements them.

use perilune_runtime::object::Proto;

/// A compiler tier: it is told about hot places.
pub trait Tier {
    /// Whether hot counters should be kept. Asked once when an interpreter loop is entered: a tier that says no costs
    /// nothing.
    fn counts(&self) -> bool;

    /// A back-edge of `proto` at instruction `pc` was taken often, or (with `pc` 0) `proto` was called often.
    fn hot(&mut self, proto: *mut Proto, pc: u32);
}

/// The tier that compiles nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullTier;

impl Tier for NullTier {
    fn counts(&self) -> bool {
        false
    }

    fn hot(&mut self, _proto: *mut Proto, _pc: u32) {}
}

/// An instance of the interpreter's loop. The loop's source is one; what a mode does not do costs its instance nothing.
pub(crate) trait Mode {
    /// Whether something looks at each instruction before it runs.
    const INSPECTS: bool;
    /// Whether calls and back-edges are counted for the tier.
    const COUNTS: bool;
}

/// Nobody looks.
pub(crate) struct Plain;
/// Calls and back-edges are counted.
pub(crate) struct Counting;
/// Debug hooks look at each instruction.
pub(crate) struct Hooked;

impl Mode for Plain {
    const INSPECTS: bool = false;
    const COUNTS: bool = false;
}

impl Mode for Counting {
    const INSPECTS: bool = false;
    const COUNTS: bool = true;
}

impl Mode for Hooked {
    const INSPECTS: bool = true;
    const COUNTS: bool = false;
}
