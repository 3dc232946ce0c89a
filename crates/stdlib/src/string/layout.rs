//! The formats of `string.pack`: which items they ask for, how large, and how aligned.

/// Largest integer that can be packed, in bytes.
const MAX_INT_SIZE: i64 = 16;

/// What to pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `b h l j i`
    Int,
    /// `B H L J T I`
    Uint,
    /// `f`
    Float,
    /// `n d`
    Double,
    /// `c`: a string of a fixed size
    Chars,
    /// `s`: a string behind its length
    Sized,
    /// `z`: a string before a zero
    Zero,
    /// `x`: a byte of padding
    Padding,
    /// `X`: alignment only
    Align,
    /// A configuration, or a space.
    Nothing,
}

/// An item of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) kind: Kind,
    /// Bytes without alignment; of the length for [`Kind::Sized`].
    pub(super) size: usize,
    /// Bytes of padding before it.
    pub(super) padding: usize,
    /// Whether its bytes go from the lowest to the highest.
    pub(super) is_little: bool,
}

/// What is wrong with a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// An error with this message.
    Error(Vec<u8>),
    /// An error about the format as an argument.
    Argument(&'static str),
}

/// A format on its way to be read.
#[derive(Clone, Debug)]
pub(super) struct Layout<'a> {
    rest: &'a [u8],
    is_little: bool,
    max_align: i64,
    /// What `!` without a number stands for.
    native_alignment: i64,
    /// The largest size that can be asked for.
    max_size: i64,
}

impl<'a> Layout<'a> {
    /// A format, which ends at its first zero byte.
    pub(super) fn new(format: &'a [u8], max_size: usize, native_alignment: i64) -> Layout<'a> {
        let len = format.iter().position(|&byte| byte == 0).unwrap_or(format.len());
        let max_size = i64::try_from(max_size).unwrap_or(i64::MAX);
        Layout {
            rest: &format[..len],
            is_little: cfg!(target_endian = "little"),
            max_align: 1,
            native_alignment,
            max_size,
        }
    }

    /// Bytes of the format that are left.
    pub(super) fn unread(&self) -> usize {
        self.rest.len()
    }

    /// The next item, to be put behind `total` bytes.
    pub(super) fn next(&mut self, total: usize) -> Result<Option<Item>, Malformed> {
        let Some((kind, size)) = self.option()? else { return Ok(None) };
        let mut align = size;
        if kind == Kind::Align {
            // `X` takes its alignment from the option behind it.
            match self.option()? {
                Some((next, size)) if next != Kind::Chars && size != 0 => align = size,
                _ => return Err(Malformed::Argument("invalid next option for option 'X'")),
            }
        }
        let mut padding = 0;
        if align > 1 && kind != Kind::Chars {
            let align = align.min(self.max_align);
            if align & (align - 1) != 0 {
                return Err(Malformed::Argument("format asks for alignment not power of 2"));
            }
            let mask = align as usize - 1;
            padding = total.wrapping_neg() & mask;
        }
        Ok(Some(Item { kind, size: size as usize, padding, is_little: self.is_little }))
    }

    /// The next option and its size.
    fn option(&mut self) -> Result<Option<(Kind, i64)>, Malformed> {
        let Some((&option, rest)) = self.rest.split_first() else { return Ok(None) };
        self.rest = rest;
        let nothing = (Kind::Nothing, 0);
        Ok(Some(match option {
            b'b' => (Kind::Int, 1),
            b'B' => (Kind::Uint, 1),
            b'h' => (Kind::Int, 2),
            b'H' => (Kind::Uint, 2),
            b'l' | b'j' => (Kind::Int, 8),
            b'L' | b'J' | b'T' => (Kind::Uint, 8),
            b'f' => (Kind::Float, 4),
            b'n' | b'd' => (Kind::Double, 8),
            b'i' => (Kind::Int, self.limited_number(4)?),
            b'I' => (Kind::Uint, self.limited_number(4)?),
            b's' => (Kind::Sized, self.limited_number(8)?),
            b'c' => match self.number() {
                Some(size) => (Kind::Chars, size),
                None => return Err(Malformed::Error(b"missing size for format option 'c'".to_vec())),
            },
            b'z' => (Kind::Zero, 0),
            b'x' => (Kind::Padding, 1),
            b'X' => (Kind::Align, 0),
            b' ' => nothing,
            b'<' => {
                self.is_little = true;
                nothing
            }
            b'>' => {
                self.is_little = false;
                nothing
            }
            b'=' => {
                self.is_little = cfg!(target_endian = "little");
                nothing
            }
            b'!' => {
                self.max_align = self.limited_number(self.native_alignment)?;
                nothing
            }
            _ => return Err(Malformed::Error([&b"invalid format option '"[..], &[option], b"'"].concat())),
        }))
    }

    /// A numeral. It ends before it could exceed the largest size; then what is left of it is taken for an option.
    fn number(&mut self) -> Option<i64> {
        let last_to_extend = (self.max_size - 9) / 10;
        let mut number = None;
        while let [digit @ b'0'..=b'9', rest @ ..] = self.rest
            && number.unwrap_or(0) <= last_to_extend
        {
            number = Some(number.unwrap_or(0) * 10 + i64::from(digit - b'0'));
            self.rest = rest;
        }
        number
    }

    /// A numeral that is the size of an integer.
    fn limited_number(&mut self, default: i64) -> Result<i64, Malformed> {
        match self.number().unwrap_or(default) {
            size @ 1..=MAX_INT_SIZE => Ok(size),
            size => {
                // The reference shows it as C's `int`.
                let size = size as i32;
                let message = format!("integral size ({size}) out of limits [1,{MAX_INT_SIZE}]");
                Err(Malformed::Error(message.into_bytes()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(format: &str) -> Result<Vec<(Kind, usize, usize)>, Malformed> {
        let mut layout = Layout::new(format.as_bytes(), i32::MAX as usize, 8);
        let (mut total, mut items) = (0, Vec::new());
        while let Some(item) = layout.next(total)? {
            total += item.padding + item.size;
            if item.kind != Kind::Nothing {
                items.push((item.kind, item.size, item.padding));
            }
        }
        Ok(items)
    }

    #[test]
    fn items_are_aligned_up_to_the_maximum() {
        let expected = [(Kind::Int, 1, 0), (Kind::Int, 4, 3), (Kind::Double, 8, 0), (Kind::Chars, 3, 0)];
        assert_eq!(items("!8 b i4 d c3").unwrap(), expected);
        assert_eq!(items("b i4").unwrap(), [(Kind::Int, 1, 0), (Kind::Int, 4, 0)]);
        assert_eq!(items("!4 b d").unwrap(), [(Kind::Int, 1, 0), (Kind::Double, 8, 3)]);
        assert_eq!(items("!bXi4").unwrap(), [(Kind::Int, 1, 0), (Kind::Align, 0, 3)]);
        assert_eq!(items("b\0?").unwrap(), [(Kind::Int, 1, 0)]);
    }

    #[test]
    fn malformed_formats_have_the_messages_of_the_reference() {
        let error = |format: &str| match items(format).unwrap_err() {
            Malformed::Error(message) => String::from_utf8(message).unwrap(),
            Malformed::Argument(message) => message.to_owned(),
        };
        assert_eq!(error("i17"), "integral size (17) out of limits [1,16]");
        assert_eq!(error("i0"), "integral size (0) out of limits [1,16]");
        assert_eq!(error("c"), "missing size for format option 'c'");
        assert_eq!(error("y"), "invalid format option 'y'");
        assert_eq!(error("!3i4"), "format asks for alignment not power of 2");
        assert_eq!(error("X"), "invalid next option for option 'X'");
        assert_eq!(error("Xz"), "invalid next option for option 'X'");
        assert_eq!(error("Xc1"), "invalid next option for option 'X'");
        assert_eq!(error("c2147483647c"), "invalid format option '7'");
    }
}
