//! Searching for bytes and for strings of bytes, many bytes at a time.
//!
//! The loops over blocks have no early exit, so that the compiler turns them into vector comparisons.

use super::meter::{BATCH, BYTES_PER_STEP, Meter};

/// Bytes looked at before asking whether there was a hit.
const BLOCK: usize = 32;

/// The first place of `needle`.
#[inline]
pub(crate) fn find_byte(hay: &[u8], needle: u8) -> Option<usize> {
    if hay.len() < BLOCK {
        return hay.iter().position(|&byte| byte == needle);
    }
    find_byte_in_blocks(hay, needle)
}

fn find_byte_in_blocks(hay: &[u8], needle: u8) -> Option<usize> {
    let (blocks, rest) = hay.as_chunks::<BLOCK>();
    for (number, block) in blocks.iter().enumerate() {
        if block.iter().fold(false, |hit, &byte| hit | (byte == needle)) {
            return block.iter().position(|&byte| byte == needle).map(|at| number * BLOCK + at);
        }
    }
    rest.iter().position(|&byte| byte == needle).map(|at| blocks.len() * BLOCK + at)
}

/// The first place of `needle`, which is 0 if it is empty.
///
/// Candidates are places where the first and the last byte fit. Comparing candidates is what can take long (`("a"):rep(n)
/// .. "b"` in many times `a`), so it is metered; the rest is paid for by the caller, in proportion to the distance.
pub(crate) fn find_bytes<M: Meter>(meter: &mut M, hay: &[u8], needle: &[u8]) -> Result<Option<usize>, M::Stop> {
    let [first, middle @ .., last] = needle else {
        return Ok(match needle {
            [only] => find_byte(hay, *only),
            _ => Some(0),
        });
    };
    if needle.len() > hay.len() {
        return Ok(None);
    }
    let places = hay.len() - needle.len() + 1;
    let heads = &hay[..places];
    let tails = &hay[needle.len() - 1..];
    let mut steps = 0;
    let mut is_match = |at: usize| -> Result<bool, M::Stop> {
        if heads[at] != *first || tails[at] != *last {
            return Ok(false);
        }
        steps += 1 + (middle.len() / BYTES_PER_STEP) as u32;
        if steps >= BATCH {
            meter.spend(steps)?;
            steps = 0;
        }
        Ok(hay[at + 1..at + 1 + middle.len()] == *middle)
    };
    let (head_blocks, _) = heads.as_chunks::<BLOCK>();
    let (tail_blocks, _) = tails.as_chunks::<BLOCK>();
    for (number, (head_block, tail_block)) in head_blocks.iter().zip(tail_blocks).enumerate() {
        let has_candidate = head_block
            .iter()
            .zip(tail_block)
            .fold(false, |hit, (&head, &tail)| hit | ((head == *first) & (tail == *last)));
        if has_candidate {
            for at in number * BLOCK..(number + 1) * BLOCK {
                if is_match(at)? {
                    return Ok(Some(at));
                }
            }
        }
    }
    for at in head_blocks.len() * BLOCK..places {
        if is_match(at)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::meter::testing::{Budget, UsedUp};
    use super::*;

    fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
        find_bytes(&mut Budget(u64::MAX), hay, needle).unwrap()
    }

    #[test]
    fn bytes_are_found_in_blocks_and_in_the_rest() {
        for len in [0, 1, 31, 32, 33, 64, 100] {
            let mut hay = vec![b'.'; len];
            assert_eq!(find_byte(&hay, b'x'), None);
            for at in (0..len).rev() {
                hay[at] = b'x';
                assert_eq!(find_byte(&hay, b'x'), Some(at));
            }
        }
    }

    #[test]
    fn strings_are_found_where_a_naive_search_finds_them() {
        let hay: Vec<u8> = (0..200u32).map(|i| b"ab"[(i * i / 7 % 2) as usize]).collect();
        for len in 0..12 {
            for start in 0..hay.len() - len {
                let needle = &hay[start..start + len];
                let naive = if len == 0 { Some(0) } else { hay.windows(len).position(|window| window == needle) };
                assert_eq!(find(&hay, needle), naive);
            }
        }
        assert_eq!(find(b"abc", b"abcd"), None);
        assert_eq!(find(b"abc", b"abc"), Some(0));
        assert_eq!(find(b"a\0b\0c", b"\0c"), Some(3));
    }

    #[test]
    fn comparing_candidates_is_metered() {
        let hay = vec![b'a'; 20_000];
        let mut needle = vec![b'a'; 10_000];
        needle[5_000] = b'b';
        assert_eq!(find_bytes(&mut Budget(100_000), &hay, &needle), Err(UsedUp));
    }
}
