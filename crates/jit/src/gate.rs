//! The way from the VM into compiled functions, which call each other by a convention of their own; see
//! `perilune_codegen::Gate`.

use std::cell::Cell;
use std::rc::Rc;

use perilune_codegen::Machine;
use perilune_vm::tier::VM_OFFSETS;

use crate::abort::Abort;
use crate::code::CodeBlock;

/// The gate of a VM.
#[derive(Debug)]
pub struct Gate {
    block: CodeBlock,
    refusal: usize,
    /// How many slots are at least between two frames that code which calls functions makes when it leaves.
    per_frame: Cell<u32>,
}

/// Frames that are further apart are rare.
const MOST_PER_FRAME: u32 = 8;

impl Gate {
    /// Makes it.
    ///
    /// # Errors
    /// If no code can be made, or there is no memory for it.
    pub fn new(machine: &mut Machine) -> Result<Rc<Gate>, Abort> {
        let code = machine.compile_gate(VM_OFFSETS.fuel as i32).map_err(|_| Abort::Code)?;
        let block = CodeBlock::new(&code.bytes).map_err(|_| Abort::Memory)?;
        Ok(Rc::new(Gate { block, refusal: code.refusal, per_frame: Cell::new(MOST_PER_FRAME) }))
    }

    /// How many slots are at least from the function of a frame to that of the next, where the code of functions, and code that
    /// calls them, leaves in the middle of calls.
    pub fn per_frame(&self) -> u32 {
        self.per_frame.get()
    }

    /// Such code leaves with frames that are so many slots apart.
    pub fn lower_per_frame(&self, slots: u32) {
        self.per_frame.set(self.per_frame.get().min(slots));
    }

    /// Where it begins: `fn(vm, base, header, code) -> status`.
    pub fn address(&self) -> *const u8 {
        self.block.address()
    }

    /// What stands for the code of a function that has none: nothing runs, and the interpreter makes the call.
    pub fn refusal(&self) -> *const u8 {
        self.block.address().wrapping_add(self.refusal)
    }
}
