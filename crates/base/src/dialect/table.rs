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

use super::library::{CurrentDirectory, FormatInts, FormatText, Quoted, Random, SortBounds, Utf8};
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

/// Which bytes are taken for a numeral before it is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Numerals {
    /// Digits and dots, an exponent, then all letters, digits and `_`.
    Words,
    /// Hexadecimal digits, dots and exponents.
    Digits,
    /// As [`Numerals::Digits`], and a letter behind them, which is then an error.
    Separate,
}

/// How messages show tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenText {
    /// All in quotes: `'<eof>'`, `'char(1)'`.
    Quoted,
    /// `<eof>`, `char(1)`.
    Codes,
    /// `<eof>`, `'<\1>'`.
    Escapes,
}

/// What escape sequences an error shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EscapeText {
    /// The string before it.
    Before,
    /// The escape sequence.
    Alone,
    /// The string up to and with it.
    Whole,
}

/// The error of source that is nested too deeply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DepthText {
    /// `chunk has too many syntax levels`
    SyntaxLevels,
    /// `too many C levels (limit is 200) in main function near 'x'`
    CLevels,
    /// `C stack overflow`, without position.
    StackOverflow,
}

/// Which handler of `__eq`, `__lt` and `__le` decides about two values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SharedHandlers {
    /// One that both values have.
    Both,
    /// For `__eq` one that both values have, else the first one's or the second one's.
    BothForEq,
    /// The first one's or the second one's.
    Either,
}

/// Where messages name a variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NamePlace {
    /// `attempt to call global 'f' (a nil value)`
    Before,
    /// `attempt to call a nil value (global 'f')`
    Behind,
}

/// What a function called as a metamethod is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetamethodNames {
    /// Nothing.
    Unnamed,
    /// `__index`
    Whole,
    /// `index`
    Short,
}

/// The form of tracebacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tracebacks {
    /// `in function 'name'`, `?`, and a line for each tail call.
    Lines,
    /// `in function 'name'`; functions of libraries by their places only if they have no other name.
    Functions,
    /// Functions of libraries by their places, others with their kind: `in local 'f'`, `in function <x:1>`.
    Kinds,
    /// As [`Tracebacks::Kinds`], and the number of levels left out.
    Counted,
    /// As [`Tracebacks::Counted`], but functions are called what they are called by first of all.
    Called,
}

/// How the command shows errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommandErrors {
    /// With what `debug.traceback` makes of strings; other values are only said not to be strings.
    DebugTraceback,
    /// With a traceback for strings; other values are said to be no message. Nothing for nil.
    Strings,
    /// With a traceback, whatever the value is.
    All,
}

/// How long names of chunks are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameText {
    /// With room for quotes that are not there.
    Padded,
    /// With all the room there is.
    Full,
}

/// What the error of resuming a coroutine that neither is suspended nor has ended calls it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResumeText {
    /// By its status.
    Status,
    /// Dead if it waits for another one without arguments left.
    Dead,
    /// Non-suspended.
    NonSuspended,
}

/// The error of reading more from a file than fits into memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadTooMuch {
    /// That of exhausted memory.
    Memory,
    /// `memory allocation error: block too big`, without a position
    Block,
    /// `not enough memory for buffer allocation`
    Buffer,
    /// `resulting string too large`
    Result,
}

/// How errors of binary chunks are worded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinaryText {
    /// `unexpected end in precompiled chunk`
    In,
    /// `truncated precompiled chunk`
    Chunk,
    /// `bad binary format (truncated chunk)`
    Format,
}

/// The error of a function that needs too many registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegisterText {
    /// `function or expression too complex near 'x'`
    TooComplex,
    /// `function or expression needs too many registers near 'x'`
    TooMany,
    /// `too many registers (limit is 255) in f near 'x'`
    Limit,
}

/// The error of a `break` outside of a loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BreakText {
    /// `no loop to break near 't'`
    NoLoop,
    /// `<break> at line 1 not inside a loop`
    NotInside,
    /// `break outside loop at line 1`
    Outside,
    /// `break outside loop near 'break'`
    OutsideNear,
}

/// What becomes of the error of a finalizer, other than at the end of the program, when it is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FinalizerErrors {
    /// It is raised where the collector was at work.
    Raised,
    /// It is raised as `error in __gc metamethod (...)`.
    Wrapped,
    /// It becomes a warning.
    Warned,
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
    /// `%` on floats looks at the sign of a product to see whether a remainder has the sign of the divisor, and so misses
    /// remainders for which the product is too small to have one.
    modulo_by_product, "numbers": bool = [false, false, true, false, false];
    /// Texts become numbers as by C's `strtod`: they end at a zero byte, and may spell `inf` and `nan`.
    c_numerals, "numbers": bool = [true, false, false, false, false];
    /// `x - 0` is `x + 0`, which makes a negative zero positive.
    subtracts_by_adding, "numbers": bool = [false, false, false, true, true];
    /// Arithmetic on strings is the affair of their metamethods; else the operators themselves convert them.
    string_metamethods, "numbers": bool = [false, false, false, true, true];
    /// There are `//`, `&`, `|`, `~`, `<<` and `>>`.
    integer_operators, "syntax": bool = [false, false, true, true, true];
    /// Which bytes are taken for a numeral.
    numerals, "syntax": Numerals =
        [Numerals::Words, Numerals::Digits, Numerals::Digits, Numerals::Separate, Numerals::Separate];
    /// A call whose `(` stands in another line than the function is an error.
    ambiguous_calls, "syntax": bool = [true, false, false, false, false];
    /// Vararg functions that do not use `...` find their extra arguments in the local variable `arg`.
    vararg_table, "syntax": bool = [true, false, false, false, false];
    /// A label may have the name of one in a block around it, and the second one of a name in a block is at fault.
    nested_labels, "syntax": bool = [false, true, true, false, false];
    /// `[[` inside of `[[...]]` is an error, in comments too.
    nested_brackets_refused, "syntax": bool = [true, false, false, false, false];
    /// Levels that constructs of a source may be nested, and calls by the host around the one that loads it.
    max_levels, "syntax": u32 = [199, 199, 199, 198, 198];
    /// Upvalues of a function.
    max_upvalues, "syntax": usize = [60, 255, 255, 255, 255];
    /// How long names of chunks are shown.
    name_text, "errors": NameText =
        [NameText::Padded, NameText::Full, NameText::Full, NameText::Full, NameText::Full];
    /// Room for the name of a chunk in messages about its syntax.
    syntax_name_size, "errors": usize = [80, 60, 60, 60, 60];
    /// How messages show tokens.
    token_text, "errors": TokenText =
        [TokenText::Quoted, TokenText::Codes, TokenText::Escapes, TokenText::Escapes, TokenText::Escapes];
    /// What errors in escape sequences show.
    escape_text, "errors": EscapeText =
        [EscapeText::Before, EscapeText::Alone, EscapeText::Whole, EscapeText::Whole, EscapeText::Whole];
    /// The error of an unfinished long string or comment names the line where it begins.
    long_text_starts, "errors": bool = [false, false, true, true, true];
    /// The error of exceeded limits is `too many x (limit is n) in f near 't'`; else `f has more than n x`.
    limits_named_first, "errors": bool = [false, true, true, true, true];
    /// The error of source that is nested too deeply.
    depth_text, "errors": DepthText = [
        DepthText::SyntaxLevels,
        DepthText::CLevels,
        DepthText::CLevels,
        DepthText::StackOverflow,
        DepthText::StackOverflow,
    ];
    /// The error of a `break` outside of a loop.
    break_text, "errors": BreakText = [
        BreakText::NoLoop,
        BreakText::NotInside,
        BreakText::NotInside,
        BreakText::Outside,
        BreakText::OutsideNear,
    ];
    /// The error of a jump into the scope of a variable says that it is a local one.
    scope_text_says_local, "errors": bool = [true, true, true, true, false];
    /// What is wrong with the meaning of a source is told in the line of the last token before it; else of the one behind.
    errors_in_last_line, "errors": bool = [false, false, false, false, true];
    /// Jumps are looked at where the block of their label ends; else where the label is.
    jumps_checked_last, "errors": bool = [false, false, false, false, true];
    /// An error that is nil becomes a message.
    nil_errors_have_text, "errors": bool = [false, false, false, false, true];
    /// How errors of binary chunks are worded.
    binary_text, "errors": BinaryText =
        [BinaryText::In, BinaryText::Chunk, BinaryText::Chunk, BinaryText::Format, BinaryText::Format];
    /// The error of a function that needs too many registers.
    register_text, "errors": RegisterText = [
        RegisterText::TooComplex,
        RegisterText::TooComplex,
        RegisterText::TooMany,
        RegisterText::TooMany,
        RegisterText::Limit,
    ];
    /// Local variables are counted when their scopes begin; else when they are declared.
    locals_count_when_active, "syntax": bool = [false, false, false, false, true];
    /// A loop has fewer hidden variables: its index, or the last value of its first variable, is no variable.
    few_loop_variables, "debug": bool = [false, false, false, false, true];
    /// There are `goto` and labels, and `goto` is a reserved word.
    goto, "syntax": bool = [false, true, true, true, true];
    /// `;` is a statement.
    empty_statements, "syntax": bool = [false, true, true, true, true];
    /// `break` may stand anywhere in a block; else only at its end.
    break_anywhere, "syntax": bool = [false, true, true, true, true];
    /// Strings have the escapes `\x` and `\z`, and unknown escapes are errors; else they are what they escape.
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
    /// `global` is a reserved word; else it is one only where it begins a declaration.
    global_reserved, "syntax": bool = [false, false, false, false, false], strict [false, false, false, false, true];
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
    /// The global `arg` is set when a script is about to run: what runs before it, or without one, has none.
    arg_for_scripts, "command": bool = [true, true, false, false, false];
    /// The suffix of environment variables of this version only, which count before those without it.
    variable_suffix, "command": Option<&'static str> = [None, Some("_5_2"), Some("_5_3"), Some("_5_4"), Some("_5_5")];
    /// `__close` gets a second argument even if there is no error: nil.
    close_gets_nil, "metamethods": bool = [true, true, true, true, false];
    /// A function expression gives the closure that it gave before, if all upvalues are the same variables.
    reused_closures, "environments": bool = [false, true, true, false, false];
    /// Loading a binary chunk sets the first upvalue to the globals only if there is no other upvalue.
    env_of_single_upvalue, "environments": bool = [false, true, false, false, false];
    /// Which handler of `__eq`, `__lt` and `__le` decides.
    shared_handlers, "metamethods": SharedHandlers = [
        SharedHandlers::Both,
        SharedHandlers::BothForEq,
        SharedHandlers::Either,
        SharedHandlers::Either,
        SharedHandlers::Either,
    ];
    /// `__len` gets its operand twice, as other unary operators do; else nil is its second argument.
    len_gets_operand_twice, "metamethods": bool = [false, true, true, true, true];
    /// `#t` of a table calls `__len`.
    len_of_tables, "metamethods": bool = [false, true, true, true, true];
    /// Tables with `__gc` are finalized; else only userdata are.
    gc_of_tables, "metamethods": bool = [false, true, true, true, true];
    /// `__call` may be anything that can be called; else it must be a function.
    call_chains, "metamethods": bool = [false, false, false, true, true];
    /// The fourth value of a generic loop is closed when the loop ends.
    closing_values, "metamethods": bool = [false, false, false, true, true];
    /// A coroutine may yield inside protected calls, metamethods and iterators.
    yields_anywhere, "coroutines": bool = [false, true, true, true, true];
    /// `xpcall` takes functions only for its message handler; else an error that meets something else is one in error
    /// handling.
    checked_handlers, "coroutines": bool = [false, false, true, true, true];
    /// A wrapped coroutine that runs out of memory says so without a position.
    bare_memory_errors, "coroutines": bool = [false, false, false, true, true];
    /// `xpcall` passes further arguments on.
    xpcall_arguments, "coroutines": bool = [false, true, true, true, true];
    /// What the error of resuming a coroutine that neither is suspended nor has ended calls it.
    resume_text, "coroutines": ResumeText = [
        ResumeText::Status,
        ResumeText::Dead,
        ResumeText::Dead,
        ResumeText::NonSuspended,
        ResumeText::NonSuspended,
    ];
    /// What becomes of the error of a finalizer.
    finalizer_errors, "collector": FinalizerErrors = [
        FinalizerErrors::Raised,
        FinalizerErrors::Wrapped,
        FinalizerErrors::Wrapped,
        FinalizerErrors::Warned,
        FinalizerErrors::Warned,
    ];
    /// Finalizers may collect garbage.
    finalizers_collect, "collector": bool = [true, true, true, false, false];
    /// An object that was finalized is never finalized again, even if it gets another `__gc`.
    finalized_once, "collector": bool = [true, true, false, false, false];
    /// In a table with weak keys, a value does not keep its own key alive.
    ephemerons, "collector": bool = [false, true, true, true, true];
    /// Where messages name a variable.
    name_place, "errors": NamePlace =
        [NamePlace::Before, NamePlace::Before, NamePlace::Behind, NamePlace::Behind, NamePlace::Behind];
    /// Messages call a method a field if its name is not among the first constants of the function.
    far_methods_are_fields, "errors": bool = [false, false, false, false, true];
    /// What a metamethod that cannot be called is the metamethod of is named.
    names_bad_handlers, "errors": bool = [false, false, false, true, true];
    /// Values of two types are compared in an error as those of one type if the third letters of their names are equal.
    similar_types, "errors": bool = [true, false, false, false, false];
    /// A loop in `__index` is a `loop in gettable`.
    loop_in_gettable, "errors": bool = [true, true, false, false, false];
    /// Messages name string constants.
    constant_names, "errors": bool = [false, true, true, true, true];
    /// A value is named by the last instruction that sets it on the way where each forward jump is taken; else by one that
    /// no jump passes.
    names_take_jumps, "errors": bool = [true, false, false, false, false];
    /// A field with a small integer constant as its key is named `integer index`; else `?`.
    integer_index_names, "errors": bool = [false, false, false, true, true];
    /// What a function called as a metamethod is named.
    metamethod_names, "errors": MetamethodNames = [
        MetamethodNames::Unnamed,
        MetamethodNames::Whole,
        MetamethodNames::Whole,
        MetamethodNames::Short,
        MetamethodNames::Short,
    ];
    /// The form of tracebacks.
    tracebacks, "errors": Tracebacks = [
        Tracebacks::Lines,
        Tracebacks::Functions,
        Tracebacks::Kinds,
        Tracebacks::Counted,
        Tracebacks::Called,
    ];
    /// A call counts to the line where the chain of its suffixes begins; else to that of its arguments.
    calls_begin_chains, "errors": bool = [false, true, true, false, false];
    /// An operation counts to the line of its operator; else to that of the end of its last operand.
    operators_have_lines, "errors": bool = [false, true, true, true, true];
    /// The instruction of a condition counts to the line of the condition's end; else to that of `then`.
    conditions_end_before_then, "errors": bool = [true, false, false, false, true];
    /// `if x then break end` is one conditional jump, without an instruction in the line of the `break`.
    conditions_jump, "errors": bool = [false, true, true, true, false];
    /// The jump of a `break` or `goto` counts to the line of the token before it.
    jumps_end_lines, "errors": bool = [false, true, true, false, false];
    /// `function f() end` looks whether `f` may be assigned to before the body, not after it.
    functions_check_targets_first, "errors": bool = [false, false, false, false, true];
    /// Where stripped code is, in messages.
    stripped_position, "errors": &'static str = ["?:-1:", "?:-1:", "?:-1:", "?:-1:", "?:?:"];
    /// Names of variables that no source has begin with a star: `(*temporary)`.
    starred_names, "debug": bool = [true, true, true, false, false];
    /// The hidden variables of loops have names of their own, as `(for index)`; else all are `(for state)`.
    loop_state_names, "debug": bool = [true, true, true, false, false];
    /// A hook is told of the return from each call that was replaced by a tail call, and of tail calls as of others.
    tail_returns, "debug": bool = [true, false, false, false, false];
    /// Levels of the stack count calls that were replaced by tail calls.
    counts_tail_calls, "errors": bool = [true, false, false, false, false];
    /// Messages name what a generic loop calls `for iterator`, also when it cannot be called.
    iterator_names, "errors": bool = [false, false, false, true, true];
    /// Messages and tracebacks call the function that a finalizer has interrupted the finalizer.
    finalizers_name_interrupted, "errors": bool = [false, false, true, false, false];
    /// The finalizer itself is named.
    finalizers_are_named, "errors": bool = [false, false, false, true, true];
    /// A hook that interrupts a Lua function is named as one; elsewhere, like what the interrupted instruction calls.
    hooks_are_named, "errors": bool = [false, false, true, true, true];
    /// So is one that interrupts a native function; elsewhere, it has no name.
    hooks_in_natives_are_named, "errors": bool = [false, false, false, true, true];
    /// A line hook sees nothing of variables that begin a function without values.
    nils_at_start_are_free, "debug": bool = [true, false, false, false, false];
    /// How the command shows errors.
    command_errors, "command": CommandErrors = [
        CommandErrors::DebugTraceback,
        CommandErrors::Strings,
        CommandErrors::All,
        CommandErrors::All,
        CommandErrors::All,
    ];
    /// The command collects in generational mode.
    generational_command, "command": bool = [false, false, false, true, true];
    /// Messages name a type by the `__name` of its metatable.
    type_names, "errors": bool = [false, false, true, true, true];
    /// Setting a field looks at the key before `__newindex`.
    keys_checked_first, "metamethods": bool = [true, false, false, false, false];
    /// `ipairs` and the functions of `table` take tables only, and read and write their elements without metamethods.
    raw_lists, "library": bool = [true, true, false, false, false];
    /// How many values `pairs` returns, of which the last ones are nil without `__pairs`.
    pairs_results, "library": usize = [3, 3, 3, 3, 4];
    /// The function that `pairs` returns is another one than `next`, though it does the same.
    pairs_own_next, "library": bool = [true, false, false, false, false];
    /// `pairs` calls `__pairs`.
    pairs_handlers, "library": bool = [false, true, true, true, true];
    /// `ipairs` calls `__ipairs`.
    ipairs_handlers, "library": bool = [false, true, true, false, false], strict [false, true, false, false, false];
    /// The smallest step multiplier that is kept.
    least_step_multiplier, "library": i32 = [i32::MIN, i32::MIN, 40, i32::MIN, i32::MIN];
    /// The KiB of work of a collector's step that says no size: in 5.4 enough for the whole cycle of a small program.
    basic_step, "library": i32 = [1, 1, 1, 600, 17];
    /// The collector's percentages are kept in a byte, so that they come back rounded.
    coded_collector_params, "library": bool = [false, false, false, true, false];
    /// `string.format` knows which modifiers a conversion may have; else C takes what it likes.
    checked_formats, "library": bool = [false, false, false, true, true];
    /// How `string.format` turns numbers into the integers of `%d`, `%x` and the like.
    format_ints, "library": FormatInts =
        [FormatInts::Cut, FormatInts::InRange, FormatInts::Exact, FormatInts::Exact, FormatInts::Exact];
    /// What `%q` writes.
    quoted, "library": Quoted =
        [Quoted::Lines, Quoted::Strings, Quoted::Literals, Quoted::Expressions, Quoted::Expressions];
    /// What `%s` takes, and what it does with zero bytes.
    format_text, "library": FormatText =
        [FormatText::Strings, FormatText::Anything, FormatText::Whole, FormatText::Whole, FormatText::Whole];
    /// `string.format` has `%a`.
    hex_float_format, "library": bool = [false, true, true, true, true];
    /// `string.format` has `%p`.
    pointer_format, "library": bool = [false, false, false, true, true];
    /// Patterns and what `print` writes are C strings, which end at a zero; and patterns have no class `%g`.
    c_strings, "library": bool = [true, false, false, false, false];
    /// Where a match ended, an empty match may begin.
    empty_matches_follow, "library": bool = [true, true, false, false, false];
    /// In a replacement, `%` before anything else than a digit is dropped; else that is an error.
    lax_replacements, "library": bool = [true, false, false, false, false];
    /// `string.gmatch` takes a position to begin at.
    gmatch_init, "library": bool = [false, false, false, true, true];
    /// `string.dump` leaves debug information out if asked to.
    strips, "library": bool = [false, false, true, true, true];
    /// `string.rep` takes a separator.
    rep_separator, "library": bool = [false, true, true, true, true];
    /// `table.insert` takes any position, and lets the list grow up to it.
    lists_grow, "library": bool = [true, false, false, false, false];
    /// Positions for `table.insert` and `table.remove` are compared without signs, so that a list of the greatest length may
    /// grow and a position of it wrap around.
    positions_wrap, "library": bool = [false, false, false, true, true];
    /// Functions that C makes of one expression look at their last argument first.
    arguments_from_the_last, "library": bool = [true, false, false, false, false];
    /// A function that `load` reads a source from is called again when the first piece is the end.
    empty_readers_are_asked_again, "library": bool = [true, false, false, false, false];
    /// `collectgarbage` looks at its number whatever is asked for.
    collector_takes_number, "library": bool = [true, true, true, false, false];
    /// The argument of `table.remove` that counts as wrong when the position is.
    remove_complaint, "library": usize = [2, 1, 1, 2, 2];
    /// When `table.sort` notices that a comparison function is inconsistent.
    sort_bounds, "library": SortBounds = [
        SortBounds::Outside,
        SortBounds::Ends,
        SortBounds::Exact,
        SortBounds::Exact,
        SortBounds::Exact,
    ];
    /// `unpack` checks that its argument is a table or like one; else only its length and elements must be had.
    unpack_checks, "library": bool = [true, true, false, false, true];
    /// `unpack` asks for the length even when it is told where to end.
    unpack_measures, "library": bool = [false, false, false, false, true];
    /// The values that a library function may have on the stack, results included.
    native_stack, "library": usize = [8000, 1_000_000, 1_000_000, 1_000_000, 1_000_000];
    /// The library `utf8`.
    utf8, "library": Utf8 = [Utf8::Absent, Utf8::Absent, Utf8::Unicode, Utf8::Lax, Utf8::Lax];
    /// `io` and `os` are thin faces of C: modes of files are C's, `file:write` and closing a pipe give true,
    /// `os.execute` gives the status as a number, `lines` takes no formats, and failures are complaints about arguments.
    c_modes, "library": bool = [true, false, false, false, false];
    /// `os.exit` takes a number alone, and does not close the state.
    exit_by_number, "library": bool = [true, false, false, false, false];
    /// `table.remove` compares positions as numbers without sign: behind a negative length, all positive ones are inside.
    unsigned_removal, "library": bool = [false, false, false, true, true];
    /// The error of reading more than fits into memory.
    read_too_much, "errors": ReadTooMuch = [
        ReadTooMuch::Memory,
        ReadTooMuch::Block,
        ReadTooMuch::Buffer,
        ReadTooMuch::Memory,
        ReadTooMuch::Result,
    ];
    /// The mode of `io.popen` is left to C.
    c_pipe_modes, "library": bool = [true, true, false, false, false];
    /// A file that can be opened but not read is an error that says why; else it says only that.
    read_errors_have_reasons, "library": bool = [true, true, true, true, false];
    /// Loading a file skips a byte order mark.
    byte_order_marks, "library": bool = [false, true, true, true, true];
    /// `read("*n")` takes what C's `fscanf` takes, infinities and NaN among it, and its longest prefix that is a numeral counts.
    scanned_numbers, "library": bool = [true, true, false, false, false];
    /// The formats of `read` begin with `*`.
    starred_formats, "library": bool = [true, true, false, false, false];
    /// The methods of files are in a table of their own; else in their metatable.
    file_methods_apart, "library": bool = [false, false, false, true, true];
    /// Each full userdata has one user value, unless it asked for others.
    one_user_value, "library": bool = [false, true, true, false, false];
    /// `os.date` and `os.time` complain about what they cannot represent, and fields must be integers.
    date_errors, "library": bool = [false, false, true, true, true];
    /// `os.date` writes conversions that it does not know as they are.
    c_dates, "library": bool = [true, false, false, false, false];
    /// `os.time` looks at the year first; else at the second.
    ordered_date_fields, "library": bool = [false, false, false, true, true];
    /// The field of `package` with the searchers.
    searchers, "library": &'static str = ["loaders", "searchers", "searchers", "searchers", "searchers"];
    /// Searchers give a loader and nothing else; `require` marks modules that are being loaded.
    plain_searchers, "library": bool = [true, false, false, false, false];
    /// `require` also returns the second value of the searcher; and it begins a line for each reason itself.
    loader_data, "library": bool = [false, false, false, true, true];
    /// Where the default paths have the current directory.
    current_directory, "library": CurrentDirectory = [
        CurrentDirectory::First,
        CurrentDirectory::Last,
        CurrentDirectory::LastWithInit,
        CurrentDirectory::LastWithInit,
        CurrentDirectory::LastWithInit,
    ];
    /// `debug` functions on levels ask for a function or level, and take numeric strings.
    lenient_levels, "library": bool = [true, true, false, false, false];
    /// The options of `debug.getinfo` without any.
    info_options, "library": &'static str = ["flnSu", "flnStu", "flnStu", "flnSrtu", "flnSrtu"];
    /// `debug.getlocal` knows extra arguments and the parameters of functions, and `debug.getinfo` whether they are vararg.
    parameter_info, "library": bool = [false, true, true, true, true];
    /// `debug.getinfo` counts the arguments that `__call` added.
    extra_arguments, "library": bool = [false, false, false, false, true];
    /// `debug.gethook` gives three values also where there is no hook.
    hook_triples, "library": bool = [true, true, true, false, false];
    /// `debug.upvalueid` of an upvalue that is not there is an error.
    checked_upvalue_ids, "library": bool = [false, true, true, false, false];
    /// What is said about an argument that is no coroutine, if not what it is.
    coroutine_expected, "errors": Option<&'static str> =
        [Some("coroutine expected"), Some("coroutine expected"), Some("thread expected"), None, None];
    /// Coroutines run Lua functions only.
    lua_bodies, "library": bool = [true, false, false, false, false];
    /// What a default file is called in the error that it is closed.
    default_file_word, "errors": &'static str = ["standard", "standard", "standard", "default", "default"];
    /// A negative count of `string.gsub` is a large one.
    unsigned_gsub_counts, "library": bool = [false, true, false, false, false];
    /// The index in an error of `table.concat` is shown in full; else in C's `int`.
    wide_concat_index, "errors": bool = [false, false, false, true, true];
    /// `B` in the mode of `load` is refused: it is for chunks of C.
    refuses_fixed_chunks, "library": bool = [false, false, false, false, true];
    /// Warnings are on from the start.
    warnings_on, "library": bool = [false, false, false, false, true];
    /// A coroutine may close itself, and `coroutine.close` without an argument does that.
    closes_itself, "coroutines": bool = [false, false, false, false, true];
    /// The alignment that `!` without a number stands for in formats of `string.pack`.
    native_alignment, "library": i64 = [8, 8, 8, 8, 16];
    /// Sizes of strings are bounded by the integers; else by C's `int`.
    wide_sizes, "library": bool = [false, false, false, false, true];
    /// `string.unpack` begins with the first byte if its position lies before that; else that is an error.
    unpacks_from_first, "library": bool = [false, false, false, true, true];
    /// `string.unpack` adds the length of a string of the format `s` without regard to overflow.
    wrapping_lengths, "library": bool = [false, false, true, false, false];
    /// `string.unpack` takes the end of the data for the end of a string of the format `z`.
    open_strings, "library": bool = [false, false, true, false, false];
    /// A failing `write` also tells how many bytes it has written.
    counts_written, "library": bool = [false, false, false, false, true];
    /// Where the registry has the main thread.
    main_thread_index, "library": i64 = [1, 1, 1, 1, 3];
    /// The library `bit32`.
    bit32, "library": bool = [false, true, true, false, false], strict [false, true, false, false, false];
    /// The generator behind `math.random`.
    random, "library": Random = [
        Random::FeedbackOfInts,
        Random::FeedbackOfFloats,
        Random::FeedbackOfIntegers,
        Random::Xoshiro,
        Random::Xoshiro,
    ];
    /// The error of an argument that is none of several types says what it is.
    got_of_several, "errors": bool = [false, false, false, true, true];
    /// `a <= b` without `__le` is `not (b < a)`.
    le_from_lt, "metamethods": bool = [true, true, true, true, false], strict [true, true, true, false, false];
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
