//! Code memory: pages that are never writable and executable at once.
//!
//! A block of code gets pages of its own from the system: written while they are writable, then made executable, and given
//! back when the block is dropped. Whoever runs a block holds it.

use std::fmt;

use memmap2::{Mmap, MmapMut};

/// Why there is no executable memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCodeMemory;

/// Executable code.
pub struct CodeBlock {
    pages: Mmap,
}

impl fmt::Debug for CodeBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeBlock").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

/// Bytes of a page, or a multiple of them: what the system gives out is rounded up anyway.
const PAGE: usize = 4096;

impl CodeBlock {
    /// Executable memory with this code.
    ///
    /// # Errors
    /// If the system refuses memory, or refuses to make it executable.
    pub fn new(code: &[u8]) -> Result<CodeBlock, NoCodeMemory> {
        let bytes = code.len().next_multiple_of(PAGE).max(PAGE);
        let mut pages = MmapMut::map_anon(bytes).map_err(|_| NoCodeMemory)?;
        pages[..code.len()].copy_from_slice(code);
        let pages = pages.make_exec().map_err(|_| NoCodeMemory)?;
        flush_instructions(&pages[..code.len()]);
        Ok(CodeBlock { pages })
    }

    /// The address of the first instruction.
    pub fn address(&self) -> *const u8 {
        self.pages.as_ptr()
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        self.pages.len()
    }
}

/// Makes what was written visible to instruction fetches, on machines where that does not go by itself.
#[cfg(target_arch = "aarch64")]
fn flush_instructions(code: &[u8]) {
    use std::ffi::c_char;

    unsafe extern "C" {
        fn __clear_cache(start: *mut c_char, end: *mut c_char);
    }
    let range = code.as_ptr_range();
    // SAFETY: the range is that of a slice, so it is mapped and readable, and nothing is written through the pointers.
    unsafe { __clear_cache(range.start.cast_mut().cast(), range.end.cast_mut().cast()) }
}

#[cfg(not(target_arch = "aarch64"))]
fn flush_instructions(_code: &[u8]) {}

#[cfg(test)]
mod tests {
    use super::CodeBlock;

    #[test]
    fn code_takes_whole_pages() {
        let block = CodeBlock::new(&[0xc3]).expect("memory");
        assert_eq!(block.bytes() % 4096, 0);
        assert_eq!(block.address() as usize % 4096, 0);
    }
}
