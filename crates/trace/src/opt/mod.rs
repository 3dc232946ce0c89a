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
    /// Whether code without it is right, if slower.
    pub is_optional: bool,
    /// Changes the tree; running it again on its own result changes nothing more.
    pub run: fn(&mut Tree),
}

/// All passes, in the order in which they run.
pub const PASSES: &[Pass] = &[
    Pass { name: "hoist", is_optional: true, run: hoist::run },
    Pass { name: "ranges", is_optional: true, run: ranges::run },
    // Exits rely on it.
    Pass { name: "places", is_optional: false, run: places::run },
];

/// Forgets what passes have found out of a tree that has grown since.
pub fn reset(tree: &mut Tree) {
    for header in &mut tree.headers {
        header.hoisted.clear();
        header.ranges.clear();
        header.stale.clear();
        header.untagged.clear();
    }
}
