//! Machine code in a seventh of the time: what a tree gets before it has shown that it is worth Cranelift's work.
//!
//! Trees of branchy programs grow by dozens of side segments, and each growth makes the code of the whole tree anew.
//! Cranelift takes about two microseconds for each of its instructions, most of them for register allocation over the many
//! small blocks that guards make. So the same function that [`crate::lower`] has filled is translated here as it stands:
//!
//! ```text
//! lower ──> mir ──┬──> Cranelift: its own IR, legalize, select, regalloc2, emit      Effort::Full
//!                 └──> plan ──> alloc ──> emit                                       Effort::Quick
//! ```
//!
//! | module | question it answers |
//! |---|---|
//! | `order` | in which order do blocks stand, which of them belong together |
//! | `plan` | what is computed only where it is used, what is each value worth |
//! | `live` | from where to where is each value needed |
//! | `webs` | which values share a place, so that edges need no moves |
//! | `alloc` | in which register or stack slot is each value |
//! | `asm` | what are the bytes, and where do jumps go |
//! | `moves` | how do several values change places at once |
//! | `emit` | which instructions are there for each operation |
//!
//! What makes it quick is what it does not do: a value's life is never split, so that no edge needs repair beyond the moves of
//! block parameters; no operation is matched with more than its operands; nothing is done twice.
//!
//! It knows x86-64 with the System V convention, and the operations that `lower` uses. Whatever else it is given, it
//! refuses: then Cranelift makes the code.

mod alloc;
mod asm;
mod emit;
mod live;
mod moves;
mod order;
mod plan;
mod webs;

use crate::mir::{Block, Func};

/// An operation, type or convention that is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown(String);

impl Unknown {
    fn new(what: impl std::fmt::Debug) -> Unknown {
        Unknown(format!("{what:?}"))
    }
}

/// What a processor has beyond what all of them have.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Features {
    /// Operations on floats that have a target of their own.
    pub(crate) avx: bool,
}

impl Features {
    /// What this processor has.
    pub(crate) fn of_host() -> Features {
        #[cfg(target_arch = "x86_64")]
        {
            Features { avx: std::arch::is_x86_feature_detected!("avx") }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            Features::default()
        }
    }
}

/// The code of a function for x86-64 with these features, and its listing if that is asked for. `headers` are the blocks of the
/// tree's headers.
///
/// # Errors
/// [`Unknown`] if the function has something that only Cranelift knows.
pub(crate) fn compile(
    func: &Func,
    headers: &[Block],
    features: Features,
    explain: bool,
) -> Result<(Vec<u8>, Option<String>), Unknown> {
    for signature in func.signatures.iter().chain([&func.signature]) {
        emit::knows(signature)?;
    }
    if emit::on_stack(&func.signature) > 0 {
        return Err(Unknown::new(&func.signature));
    }
    let plan = plan::Plan::of(func, headers)?;
    let places = alloc::allocate(func, &plan);
    emit::emit(func, &plan, &places, features, explain)
}
