//! Code memory: pages that are never writable and executable at once.
//!
//! A block of code gets pages of its own from the system: written while they are writable, then made executable, and given
//! back when the block is dropped. Whoever runs a block holds it.

use std::fmt;
use std::ptr::{self, NonNull};

/// Why there is no executable memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCodeMemory;

/// Executable code.
pub struct CodeBlock {
    start: NonNull<u8>,
    bytes: usize,
}

impl fmt::Debug for CodeBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeBlock").field("bytes", &self.bytes).finish_non_exhaustive()
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
        // SAFETY: a new anonymous mapping of `bytes` bytes, which hold the code; nobody else knows it before it is
        // executable, and it is unmapped by `drop` alone.
        unsafe {
            let start = libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            if start == libc::MAP_FAILED {
                return Err(NoCodeMemory);
            }
            let block = CodeBlock { start: NonNull::new(start.cast()).ok_or(NoCodeMemory)?, bytes };
            ptr::copy_nonoverlapping(code.as_ptr(), block.start.as_ptr(), code.len());
            if libc::mprotect(start, bytes, libc::PROT_READ | libc::PROT_EXEC) != 0 {
                return Err(NoCodeMemory);
            }
            flush_instructions(block.start.as_ptr(), code.len());
            Ok(block)
        }
    }

    /// The address of the first instruction.
    pub fn address(&self) -> *const u8 {
        self.start.as_ptr()
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for CodeBlock {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this size. Nothing runs in it: see the module.
        unsafe {
            libc::munmap(self.start.as_ptr().cast(), self.bytes);
        }
    }
}

/// Makes what was written visible to instruction fetches, on machines where that does not go by itself.
#[cfg(target_arch = "aarch64")]
unsafe fn flush_instructions(start: *mut u8, bytes: usize) {
    unsafe extern "C" {
        fn __clear_cache(start: *mut libc::c_char, end: *mut libc::c_char);
    }
    // SAFETY: the range is mapped and readable.
    unsafe { __clear_cache(start.cast(), start.add(bytes).cast()) }
}

#[cfg(not(target_arch = "aarch64"))]
unsafe fn flush_instructions(_start: *mut u8, _bytes: usize) {}

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
