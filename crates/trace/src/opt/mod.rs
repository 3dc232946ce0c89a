//! The passes over a finished tree, in their order.
//!
//! Folding, common subexpressions and forwarding happen while the tree is recorded, in [`crate::build`].

pub mod count;
pub mod hoist;
pub mod places;
pub mod ranges;
pub mod recursion;
pub mod sink;

use crate::ir::Tree;

/// A pass: its name, and what it does.
pub struct Pass {
    /// The name, for switches and dumps.
    pub name: &'static str,
    /// Whether code without it is right, if slower.
    pub is_optional: bool,
    /// Changes the tree; running it again on its own result changes nothing more.
    pub run: fn(&mut Tree),
}

/// All passes, in the order in which they run.
pub const PASSES: &[Pass] = &[
    // First: what it removes changes nothing that the others look for.
    Pass { name: "sink", is_optional: true, run: sink::run },
    Pass { name: "hoist", is_optional: true, run: hoist::run },
    Pass { name: "recursion", is_optional: true, run: recursion::run },
    Pass { name: "ranges", is_optional: true, run: ranges::run },
    Pass { name: "count", is_optional: true, run: count::run },
    // Exits rely on it.
    Pass { name: "places", is_optional: false, run: places::run },
];
