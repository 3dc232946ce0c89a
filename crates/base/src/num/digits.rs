//! Decimal digits of floats by integers: exact, and some times faster than the general way, for floats of usual size.
//!
//! A float is `m * 2^-s` with a mantissa of 53 bits. Where `m * 10^k` fits into 128 bits, its division by `2^s` is a shift, and the
//! bits that are shifted out say how to round: to the nearest, ties to even, as the standard library and glibc do.

const MANTISSA_BITS: u32 = 52;
const BIAS: i32 = 1075;

/// The largest power of ten that a mantissa of 53 bits is multiplied by: `2^53 * 10^22 < 2^127`.
const MOST_POWER: u32 = 22;

/// The largest power of ten in 64 bits.
const MOST_DIGITS: usize = 19;

/// The exponent of the first of the powers of ten that exponents are found by.
const LEAST_EXPONENT: i32 = -6;

const POWERS: [f64; 24] = [
    1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14,
    1e15, 1e16, 1e17,
];

/// `magnitude * 10^power`, rounded, if that is below `2^64` and easily had.
pub(super) fn scaled(magnitude: f64, power: u32) -> Option<u64> {
    let bits = magnitude.to_bits();
    let exponent = (bits >> MANTISSA_BITS) as i32;
    if exponent == 0 || power > MOST_POWER {
        return None;
    }
    let mantissa = bits & ((1 << MANTISSA_BITS) - 1) | 1 << MANTISSA_BITS;
    let product = u128::from(mantissa) * 10_u128.pow(power);
    // The float is `mantissa * 2^-shift`. From 127 bits on, the product could be too small for any digit.
    let shift = u32::try_from(BIAS - exponent).ok().filter(|shift| *shift < 127)?;
    let whole = u64::try_from(product >> shift).ok().filter(|whole| *whole < u64::MAX)?;
    let rest = product & ((1 << shift) - 1);
    let half = if shift == 0 { u128::MAX } else { 1 << (shift - 1) };
    let goes_up = rest > half || rest == half && whole % 2 == 1;
    Some(whole + u64::from(goes_up))
}

/// The first `count` decimal digits of a magnitude, rounded, as one number, and the exponent of the first of them.
pub(super) fn leading(magnitude: f64, count: usize) -> Option<(u64, i32)> {
    if count == 0 || count >= MOST_DIGITS {
        return None;
    }
    let most = 10_u64.pow(count as u32);
    let place = POWERS.partition_point(|power| *power <= magnitude).checked_sub(1)?;
    let mut exponent = LEAST_EXPONENT + place as i32;
    loop {
        let power = u32::try_from(count as i32 - 1 - exponent).ok()?;
        let digits = scaled(magnitude, power)?;
        if digits < most {
            // Negative powers of ten are no floats: next to those the exponent may be one too large.
            return (digits > most / 10 || exponent >= 0).then_some((digits, exponent));
        }
        // Rounded up to the next power of ten.
        exponent += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{leading, scaled};

    /// Floats of all sizes, many of which are halfway between two decimals.
    fn floats() -> impl Iterator<Item = f64> {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        (0..60_000).map(move |n| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            match n % 6 {
                0 => (state >> 40) as f64 / 1024.0,
                1 => (state >> 20) as f64 * 0.001,
                2 => f64::from_bits(state >> 2),
                3 => ((state >> 50) as f64 + 0.5) / 8.0,
                4 => 10_f64.powi((state % 25) as i32 - 7),
                _ => (10_f64.powi((state % 20) as i32 - 5)).next_down(),
            }
        })
    }

    #[test]
    fn scaled_numbers_are_rounded_as_the_standard_library_does() {
        let mut count = 0;
        for x in floats() {
            for power in [0, 1, 2, 6, 14] {
                let Some(scaled) = scaled(x, power) else { continue };
                count += 1;
                let text = format!("{x:.*}", power as usize);
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                assert_eq!(digits.parse::<u64>().ok(), Some(scaled), "{x:e} with {power} digits");
            }
        }
        assert!(count > 100_000, "only {count}");
    }

    #[test]
    fn leading_digits_are_those_of_the_standard_library() {
        let mut seen = 0;
        for x in floats() {
            for count in [1, 2, 6, 14, 15, 17] {
                let Some((digits, exponent)) = leading(x, count) else { continue };
                seen += 1;
                let (first, rest) = (digits / 10_u64.pow(count as u32 - 1), digits % 10_u64.pow(count as u32 - 1));
                let mut text = first.to_string();
                if count > 1 {
                    text += &format!(".{rest:0width$}", width = count - 1);
                }
                assert_eq!(format!("{x:.*e}", count - 1), format!("{text}e{exponent}"), "{x:e} with {count} digits");
            }
        }
        assert!(seen > 100_000, "only {seen}");
    }

    #[test]
    fn what_is_too_large_or_small_is_left_to_others() {
        assert_eq!(scaled(1e300, 0), None);
        assert_eq!(scaled(5e-324, 3), None);
        assert_eq!(scaled(1e15, 6), None, "beyond 64 bits");
        assert_eq!(leading(1e-7, 14), None);
        assert_eq!(leading(0.0, 14), None);
        assert_eq!(leading(1.0, 19), None);
    }
}
