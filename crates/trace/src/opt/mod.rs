//! The passes over a finished tree, in their order.
//!
//! Folding, common subexpressions and forwarding happen while the tree is recorded, in [`crate::build`].

pub mod hoist;
pub mod places;
pub mod ranges;

use crate::ir::Tree;

/// A pass: its name, and what it does.
pub struct Pass {
    /// The name, for switches and dumps.
    pub name: &'static str,
    /// Changes the tree; running it again on its own result changes nothing more.
    pub run: fn(&mut Tree),
}

/// All passes, in the order in which they run.
pub const PASSES: &[Pass] = &[
    Pass { name: "hoist", run: hoist::run },
    Pass { name: "ranges", run: ranges::run },
    Pass { name: "places", run: places::run },
];
