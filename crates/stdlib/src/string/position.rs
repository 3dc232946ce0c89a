//! Positions in strings as scripts give them: from 1, or from the end if negative.

/// Where a range begins (`posrelatI`): at least 1, and maybe behind the end.
#[inline]
pub(super) fn start(position: i64, len: usize) -> usize {
    match position {
        1.. => position as usize,
        0 => 1,
        _ => len.saturating_add_signed(position as isize).saturating_add(1),
    }
}

/// Where a range ends (`getendpos`): from 0 to `len`.
#[inline]
pub(super) fn end(position: i64, len: usize) -> usize {
    match position {
        0.. => (position as usize).min(len),
        _ => (len + 1).saturating_add_signed(position as isize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_clipped_to_the_front_only() {
        let starts = [1, 0, 3, 9, -1, -3, -4, i64::MIN, i64::MAX].map(|position| start(position, 3));
        assert_eq!(starts, [1, 1, 3, 9, 3, 1, 1, 1, i64::MAX as usize]);
    }

    #[test]
    fn ends_are_clipped_to_the_string() {
        let ends = [1, 0, 3, 9, -1, -3, -4, i64::MIN, i64::MAX].map(|position| end(position, 3));
        assert_eq!(ends, [1, 0, 3, 3, 3, 1, 0, 0, 3]);
    }
}
