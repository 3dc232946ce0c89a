//! How the libraries of versions differ where a yes or no does not say it: the types of rows of the [table](super::table).

/// How `string.format` turns numbers into the integers of `%d`, `%x` and the like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FormatInts {
    /// Whatever C makes of them.
    Cut,
    /// Without their fractions; what does not fit is an error.
    InRange,
    /// Only integers will do.
    Exact,
}

/// What `%q` writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quoted {
    /// Strings, of which only zeros and carriage returns are spelled out.
    Lines,
    /// Strings, with all control characters spelled out.
    Strings,
    /// All literals; infinities and NaN as C writes them.
    Literals,
    /// All literals; infinities and NaN as expressions.
    Expressions,
}

/// What `%s` takes, and what it does with zero bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FormatText {
    /// Strings up to their first zero, unless they are long.
    Strings,
    /// Anything, up to the first zero, unless it is long.
    Anything,
    /// Anything; zeros are an error if there are modifiers.
    Whole,
}

/// When `table.sort` notices that a comparison function is inconsistent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SortBounds {
    /// When it has gone beyond the list.
    Outside,
    /// When it reaches the ends of the range that it sorts.
    Ends,
    /// As soon as it can be seen.
    Exact,
}

/// The generator behind `math.random`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Random {
    /// C's `rand`, in intervals of C's `int`s.
    FeedbackOfInts,
    /// C's `rand`, in intervals of floats.
    FeedbackOfFloats,
    /// C's `random`, in intervals of integers.
    FeedbackOfIntegers,
    /// xoshiro256**, seeded anew by each program.
    Xoshiro,
}

/// The library `utf8`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Utf8 {
    /// There is none.
    Absent,
    /// Code points of Unicode, surrogates included.
    Unicode,
    /// Code points of Unicode without surrogates, or what the original encoding has if a function is told to be lax.
    Lax,
}

/// Where the default paths of `package` have the current directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CurrentDirectory {
    /// Before all others.
    First,
    /// Behind all others.
    Last,
    /// Behind all others, for files `init.lua` too.
    LastWithInit,
}
