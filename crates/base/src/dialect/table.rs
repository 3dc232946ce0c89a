//! The table of differences: one row for each behaviour, with its value in each version.
//!
//! A row reads
//!
//! ```text
//! /// What is observed when the row is true.
//! name, area: type = [5.1, 5.2, 5.3, 5.4, 5.5];
//! ```
//!
//! and becomes a field of [`Dialect`] and an element of [`ROWS`]. The values are those of the reference interpreter as its
//! default build ships it. Where the manual of a version says otherwise, a second list, behind `strict`, gives the values of
//! the strict dialect, which has only what the manual has.

use std::fmt;

use super::version::LuaVersion;

/// How `tostring` and `..` write a float.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FloatText {
    /// `%.14g`: `1e15` is `1e+15`, `3.0` is `3`.
    Plain,
    /// `%.14g`, marked as a float if it looks like an integer: `3.0`.
    Marked,
    /// `%.15g`, or `%.17g` where that does not read back; marked.
    RoundTrip,
}

/// What a global variable is a field of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Environments {
    /// Of the table that belongs to the running function, which `setfenv` replaces.
    Functions,
    /// Of the variable `_ENV`.
    Variable,
}

/// Where a declaration may have attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attributes {
    /// Nowhere.
    Nowhere,
    /// Behind each name: `local x <const>`.
    Names,
    /// Also before all names: `local <const> x, y`.
    Declarations,
}

/// A row, for documents.
#[derive(Clone, Copy)]
pub struct Row {
    /// The name of the field of [`Dialect`].
    pub name: &'static str,
    /// What part of the language or library it belongs to.
    pub area: &'static str,
    /// What it means, in lines.
    pub about: &'static [&'static str],
    /// The value in a dialect.
    pub value: fn(&Dialect) -> &dyn fmt::Debug,
}

/// The value of a row: the plain one, or the one of the strict dialect if that has its own.
macro_rules! cell {
    ($index:ident, $strict:ident, $plain:expr) => {
        $plain[$index]
    };
    ($index:ident, $strict:ident, $plain:expr, $manual:expr) => {
        if $strict { $manual[$index] } else { $plain[$index] }
    };
}

macro_rules! dialects {
    ($($(#[doc = $about:literal])+ $name:ident, $area:literal: $type:ty = $plain:expr $(, strict $manual:expr)?;)*) => {
        /// How a version of the language behaves. See the [module](self) for how to read and extend it.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct Dialect {
            /// The version.
            pub version: LuaVersion,
            /// Whether it has only what the manual of the version has.
            pub strict: bool,
            $($(#[doc = $about])+ pub $name: $type,)*
        }

        /// All rows in their order.
        pub const ROWS: &[Row] = &[$(Row {
            name: stringify!($name),
            area: $area,
            about: &[$($about),+],
            value: |dialect| &dialect.$name,
        },)*];

        const fn column(index: usize, strict: bool) -> Dialect {
            Dialect {
                version: LuaVersion::ALL[index],
                strict,
                $($name: cell!(index, strict, $plain $(, $manual)?),)*
            }
        }
    };
}

dialects! {
    /// Numbers have an integer subtype. Without it every number is a float.
    integers, "numbers": bool = [false, false, true, true, true];
    /// How a float is written.
    float_text, "numbers": FloatText =
        [FloatText::Plain, FloatText::Plain, FloatText::Marked, FloatText::Marked, FloatText::RoundTrip];
    /// A numeric loop never wraps around, has no step of zero, and takes no strings but for its limit.
    strict_loops, "numbers": bool = [false, false, false, true, true];
    /// Of the constants 0 and -0 of a function, the first one stands for both.
    merged_zeros, "numbers": bool = [true, false, false, false, false];
    /// Texts become numbers as by C's `strtod`: they end at a zero byte, and may spell `inf` and `nan`.
    c_numerals, "numbers": bool = [true, false, false, false, false];
    /// Arithmetic on strings is the affair of their metamethods; else the operators themselves convert them.
    string_metamethods, "numbers": bool = [false, false, false, true, true];
    /// There are `//`, `&`, `|`, `~`, `<<` and `>>`.
    integer_operators, "syntax": bool = [false, false, true, true, true];
    /// There are `goto` and labels, and `goto` is a reserved word.
    goto, "syntax": bool = [false, true, true, true, true];
    /// `;` is a statement.
    empty_statements, "syntax": bool = [false, true, true, true, true];
    /// `break` may stand anywhere in a block; else only at its end.
    break_anywhere, "syntax": bool = [false, true, true, true, true];
    /// Strings have the escapes `\x` and `\z`, and unknown ones are errors.
    hex_escapes, "syntax": bool = [false, true, true, true, true];
    /// The largest code of the escape `\u{}`.
    unicode_escapes, "syntax": Option<u32> =
        [None, None, Some(0x0010_ffff), Some(0x7fff_ffff), Some(0x7fff_ffff)];
    /// Where a declaration may have attributes.
    attributes, "syntax": Attributes = [
        Attributes::Nowhere,
        Attributes::Nowhere,
        Attributes::Nowhere,
        Attributes::Names,
        Attributes::Declarations,
    ];
    /// Globals can be declared: `global x`.
    global_declarations, "syntax": bool = [false, false, false, false, true];
    /// Varargs may have a name: `function f(...t)`.
    named_varargs, "syntax": bool = [false, false, false, false, true];
    /// The first variable of a loop cannot be assigned to.
    constant_loop_variables, "syntax": bool = [false, false, false, false, true];
    /// What a global variable is a field of.
    environments, "environments": Environments = [
        Environments::Functions,
        Environments::Variable,
        Environments::Variable,
        Environments::Variable,
        Environments::Variable,
    ];
    /// The suffix of environment variables of this version only, which count before those without it.
    variable_suffix, "command": Option<&'static str> = [None, Some("_5_2"), Some("_5_3"), Some("_5_4"), Some("_5_5")];
    /// `a <= b` without `__le` is `not (b < a)`.
    le_from_lt, "metamethods": bool = [true, true, true, true, true], strict [true, true, true, false, false];
}

static DIALECTS: [[Dialect; 2]; LuaVersion::ALL.len()] = [
    [column(0, false), column(0, true)],
    [column(1, false), column(1, true)],
    [column(2, false), column(2, true)],
    [column(3, false), column(3, true)],
    [column(4, false), column(4, true)],
];

impl Dialect {
    /// The dialect used when none is asked for.
    pub const DEFAULT: &'static Dialect = &DIALECTS[LuaVersion::DEFAULT.index()][0];

    /// The dialect of a version, strict or not.
    #[must_use]
    pub const fn of(version: LuaVersion, strict: bool) -> &'static Dialect {
        &DIALECTS[version.index()][strict as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_its_own_column() {
        for version in LuaVersion::ALL {
            for strict in [false, true] {
                let dialect = Dialect::of(version, strict);
                assert_eq!((dialect.version, dialect.strict), (version, strict));
            }
        }
        assert!(!Dialect::of(LuaVersion::Lua52, false).integers);
        assert!(Dialect::of(LuaVersion::Lua54, false).le_from_lt);
        assert!(!Dialect::of(LuaVersion::Lua54, true).le_from_lt);
    }

    #[test]
    fn rows_differ_somewhere_and_say_what_they_mean() {
        let dialects = || DIALECTS.iter().flatten();
        for row in ROWS {
            assert!(row.about.iter().all(|line| line.len() > 8), "{}", row.name);
            let first = format!("{:?}", (row.value)(&DIALECTS[0][0]));
            assert!(dialects().any(|dialect| format!("{:?}", (row.value)(dialect)) != first), "{}", row.name);
        }
    }
}
