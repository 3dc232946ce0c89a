//! Number semantics: pure functions shared by constant folding, interpreter, compiled code and
//! libraries, so that they cannot disagree.

pub mod arith;
pub mod compare;
pub mod convert;
mod digits;
pub mod for_loop;
pub mod format;
pub mod parse;

/// A number: an integer or a float.
///
/// Equality is Rust's: of the same kind and equal. For Lua's `==` see [`compare::eq`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Num {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
}

impl Num {
    /// The value as a float, rounded if it is a large integer.
    #[inline]
    #[must_use]
    pub const fn to_float(self) -> f64 {
        match self {
            Num::Int(int) => int as f64,
            Num::Float(float) => float,
        }
    }

    /// The value as an integer, if it has an exact integer representation.
    #[inline]
    #[must_use]
    pub fn to_int(self) -> Option<i64> {
        match self {
            Num::Int(int) => Some(int),
            Num::Float(float) => convert::float_to_int(float),
        }
    }
}

impl From<i64> for Num {
    #[inline]
    fn from(int: i64) -> Self {
        Num::Int(int)
    }
}

impl From<f64> for Num {
    #[inline]
    fn from(float: f64) -> Self {
        Num::Float(float)
    }
}
