//! What a `%` in a format of `string.format` says.
//!
//! A *directive* is `%` with flags, width and precision, up to its conversion. Which of them are allowed depends on the
//! conversion, and is checked only after the argument: `("%#d"):format({})` complains about the argument.

use perilune_base::num::format::{Flags, Spec};

/// Flags of `%a %e %f %g`; also the bytes, with the digits and `.`, that may stand before a conversion.
pub(super) const FLOAT_FLAGS: &[u8] = b"-+#0 ";
/// Flags of `%o %x %X`.
pub(super) const HEX_FLAGS: &[u8] = b"-#0";
/// Flags of `%d %i`.
pub(super) const INT_FLAGS: &[u8] = b"-+0 ";
/// Flags of `%u`.
pub(super) const UNSIGNED_FLAGS: &[u8] = b"-0";
/// Flags of `%c %p %s`.
pub(super) const TEXT_FLAGS: &[u8] = b"-";

/// A directive, split but not checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directive<'a> {
    /// What stands between `%` and the conversion.
    modifiers: &'a [u8],
    /// The conversion; 0 at the end of the format.
    pub(super) conversion: u8,
}

/// What is wrong with a directive: the message.
pub(super) type Malformed = Vec<u8>;

impl<'a> Directive<'a> {
    /// The directive behind a `%`, and the format behind that.
    pub(super) fn split(format: &'a [u8]) -> Result<(Directive<'a>, &'a [u8]), Malformed> {
        /// What the reference has room for.
        const LONGEST: usize = 20;
        let is_modifier = |byte: &u8| FLOAT_FLAGS.contains(byte) || matches!(byte, b'1'..=b'9' | b'.');
        let len = format.iter().position(|byte| !is_modifier(byte)).unwrap_or(format.len());
        if len > LONGEST {
            return Err(b"invalid format (too long)".to_vec());
        }
        let (modifiers, rest) = format.split_at(len);
        let (conversion, rest) = rest.split_first().unwrap_or((&0, rest));
        Ok((Directive { modifiers, conversion: *conversion }, rest))
    }

    /// The same by the rules of versions that leave most to C.
    pub(super) fn split_as_c(format: &'a [u8]) -> Result<(Directive<'a>, &'a [u8]), Malformed> {
        /// Flags that there may be.
        const FLAGS: usize = 5;
        let flags = format.iter().take_while(|byte| FLOAT_FLAGS.contains(byte)).count();
        if flags > FLAGS {
            return Err(b"invalid format (repeated flags)".to_vec());
        }
        let mut rest = up_to_two_digits(&format[flags..]).1;
        if let [b'.', others @ ..] = rest {
            rest = up_to_two_digits(others).1;
        }
        if rest.first().is_some_and(u8::is_ascii_digit) {
            return Err(b"invalid format (width or precision too long)".to_vec());
        }
        let modifiers = &format[..format.len() - rest.len()];
        let (conversion, rest) = rest.split_first().unwrap_or((&0, rest));
        Ok((Directive { modifiers, conversion: *conversion }, rest))
    }

    /// Flags, width and precision, without those that C passes over.
    pub(super) fn spec_as_c(&self, known_flags: &[u8], has_precision: bool) -> Spec {
        let mut spec = Spec::default();
        let flags = self.modifiers.iter().take_while(|byte| FLOAT_FLAGS.contains(byte)).count();
        for flag in self.modifiers[..flags].iter().filter(|flag| known_flags.contains(flag)) {
            set_flag(&mut spec.flags, *flag);
        }
        let (width, rest) = up_to_two_digits(&self.modifiers[flags..]);
        spec.width = width;
        if let [b'.', digits @ ..] = rest
            && has_precision
        {
            spec.precision = Some(up_to_two_digits(digits).0);
        }
        spec
    }

    /// Whether there is nothing but the conversion.
    pub(super) fn is_bare(&self) -> bool {
        self.modifiers.is_empty()
    }

    /// Whether there is a precision, or the beginning of one.
    pub(super) fn has_point(&self) -> bool {
        self.modifiers.contains(&b'.')
    }

    /// Flags, width and precision, if these are allowed.
    pub(super) fn spec(&self, allowed_flags: &[u8], may_have_precision: bool) -> Result<Spec, Malformed> {
        let mut spec = Spec::default();
        let mut rest = self.modifiers;
        while let [flag, others @ ..] = rest
            && allowed_flags.contains(flag)
        {
            set_flag(&mut spec.flags, *flag);
            rest = others;
        }
        // A width cannot begin with 0.
        if rest.first() != Some(&b'0') {
            (spec.width, rest) = up_to_two_digits(rest);
            if let [b'.', others @ ..] = rest
                && may_have_precision
            {
                let (precision, others) = up_to_two_digits(others);
                spec.precision = Some(precision);
                rest = others;
            }
        }
        if rest.is_empty() { Ok(spec) } else { Err(self.message(b"invalid conversion specification: '", b"'")) }
    }

    /// The message for a conversion that does not exist.
    pub(super) fn unknown(&self) -> Malformed {
        self.message(b"invalid conversion '", b"' to 'format'")
    }

    /// A message that quotes the directive.
    fn message(&self, before: &[u8], after: &[u8]) -> Malformed {
        let conversion: &[u8] = if self.conversion == 0 { b"" } else { &[self.conversion] };
        [before, b"%", self.modifiers, conversion, after].concat()
    }
}

fn set_flag(flags: &mut Flags, flag: u8) {
    match flag {
        b'-' => flags.left = true,
        b'+' => flags.plus = true,
        b' ' => flags.space = true,
        b'#' => flags.alternate = true,
        _ => flags.zero = true,
    }
}

fn up_to_two_digits(text: &[u8]) -> (usize, &[u8]) {
    let len = text.iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(len);
    (digits.iter().fold(0, |value, digit| value * 10 + usize::from(digit - b'0')), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &[u8], flags: &[u8], may_have_precision: bool) -> Result<Spec, String> {
        Directive::split(format)
            .and_then(|(directive, _)| directive.spec(flags, may_have_precision))
            .map_err(|message| String::from_utf8(message).unwrap())
    }

    #[test]
    fn modifiers_are_read() {
        let spec = check(b"-+#0 12.34g", FLOAT_FLAGS, true).unwrap();
        let flags = Flags { left: true, plus: true, space: true, alternate: true, zero: true };
        assert_eq!(spec, Spec { flags, width: 12, precision: Some(34) });
        assert_eq!(check(b"5.f", FLOAT_FLAGS, true).unwrap().precision, Some(0));
        assert_eq!(check(b"d", INT_FLAGS, true).unwrap(), Spec::default());
    }

    #[test]
    fn what_a_conversion_does_not_allow_is_refused() {
        let refused = |format: &[u8], flags, may_have_precision| check(format, flags, may_have_precision).unwrap_err();
        assert_eq!(refused(b"#d", INT_FLAGS, true), "invalid conversion specification: '%#d'");
        assert_eq!(refused(b"010c", TEXT_FLAGS, false), "invalid conversion specification: '%010c'");
        assert_eq!(refused(b".3c", TEXT_FLAGS, false), "invalid conversion specification: '%.3c'");
        assert_eq!(refused(b"-#5s", TEXT_FLAGS, true), "invalid conversion specification: '%-#5s'");
        assert_eq!(refused(b"100s", TEXT_FLAGS, true), "invalid conversion specification: '%100s'");
        assert_eq!(refused(b".123d", INT_FLAGS, true), "invalid conversion specification: '%.123d'");
        assert_eq!(refused(b"0123456789012345678901234d", INT_FLAGS, true), "invalid format (too long)");
    }

    #[test]
    fn unknown_conversions_are_quoted_without_zeros() {
        let unknown = |format: &[u8]| String::from_utf8(Directive::split(format).unwrap().0.unknown()).unwrap();
        assert_eq!(unknown(b"y"), "invalid conversion '%y' to 'format'");
        assert_eq!(unknown(b"5"), "invalid conversion '%5' to 'format'");
        assert_eq!(unknown(b"\0a"), "invalid conversion '%' to 'format'");
    }
}
