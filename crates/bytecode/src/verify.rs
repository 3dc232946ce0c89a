//! The verifier: decides whether an interpreter that checks nothing can run a prototype from outside.
//!
//! It is not about meaning: a verified function may do nonsense, but only the nonsense that Lua values allow. What is
//! established, and where:
//!
//! 1. **Operands** (`operands`). Every register that an instruction reads, writes or needs for a call is below
//!    `max_stack`; every constant, key, template, child and upvalue exists and has the kind that the instruction expects;
//!    flags have known values. Descriptors of upvalues refer to existing registers and upvalues of the enclosing function.
//! 2. **Control** (`control`). Jumps go to instructions of the function; only back-edges go backwards; the code cannot
//!    run off its end. An open sequence (`c == 0` sets the top, `b == 0` uses it) is two adjacent instructions, the second
//!    of which nothing jumps to, so that the top is always the one just set. `tforcall` and `tforloop` are such a pair too.
//! 3. **Numeric loops** (`control`). `forloop` trusts the tags of its three state registers. That they are the ones
//!    written by `forprep` is proved by structure. For each `forprep a` at `p` and its `forloop a` at `l`:
//!    `forprep` exits to `l + 1`, `forloop` goes back to `p + 1`, and the regions `p+1..=l` of different loops are disjoint
//!    or nested. No jump enters a region from outside. No instruction of the region but the `forloop` writes or destroys
//!    `R[a..=a+2]`, or lets a closure capture one of them. Finally no upvalue is open on them at `p` (point 4). So, by
//!    induction over the steps of a run: whenever the run is inside the region, the last write to the state registers was
//!    by this `forprep` or this `forloop`. Nothing else reads them either (point 4). (`debug.setlocal` is not an
//!    instruction: whoever implements it must refuse registers for which [`is_loop_state`] holds.)
//! 4. **Flow** (`flow`). A data-flow analysis over the reachable code proves that registers are assigned before they are
//!    read, that an open upvalue or a variable to be closed never loses its register (to a call, or to a return that does
//!    not close it), that variables are marked to be closed in increasing order of registers, and that `setlist` works on
//!    a table made by `newtable` or `newrecord`.
//! 5. **Debug information** (`debug_info`). There are lines for all instructions or none. Variables live inside the code,
//!    and never more of them at once than there are registers.
//!
//! Functions inside functions are verified in turn, to a limited depth.

mod control;
mod debug_info;
mod floats;
mod flow;
mod operands;

use std::fmt;

use crate::proto::Proto;

/// Deepest nesting of functions in a prototype.
pub const MAX_NESTING: usize = 256;

/// Longest code of a function.
pub const MAX_CODE: usize = 1 << 30;

/// Why a prototype was rejected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VerifyError {
    /// What is wrong.
    pub problem: Problem,
    /// The offending instruction, if there is one.
    pub pc: Option<usize>,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.problem.text())?;
        match self.pc {
            Some(pc) => write!(f, " at instruction {pc}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for VerifyError {}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident $text:literal;)*) => {
        /// The ways in which a prototype can be invalid.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub enum Problem {
            $($(#[$doc])* $name,)*
        }

        impl Problem {
            /// The problem in words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Problem::$name => $text,)* }
            }
        }
    };
}

problems! {
    /// Functions are nested more than [`MAX_NESTING`] deep.
    TooDeep "functions nested too deep";
    /// `max_stack` is below 2 or below the number of parameters.
    StackSize "invalid stack size";
    /// There is no instruction, or there are more than [`MAX_CODE`].
    CodeSize "invalid code size";
    /// A table of the function is larger than an operand can index.
    TableSize "too many constants, caches, templates or functions";
    /// The key of a cache or template is not a string constant, or a template repeats one.
    Key "invalid key";
    /// There are more than 255 upvalues, or one refers to nothing in the enclosing function.
    Upvalue "invalid upvalue";
    /// The number of lines is not that of the instructions.
    Lines "invalid line information";
    /// A local variable lives outside the code, or too many live at once.
    Locals "invalid local variables";
    /// The opcode is unknown.
    Opcode "unknown opcode";
    /// A register is not below `max_stack`.
    Register "register out of range";
    /// A constant, cache, template, child or upvalue does not exist.
    Index "operand out of range";
    /// A constant is not of the kind that the instruction needs.
    ConstantKind "constant of the wrong kind";
    /// A flag or count has no meaning.
    Flag "invalid flag or count";
    /// `vararg` in a function without varargs.
    NoVarargs "vararg in a fixed-argument function";
    /// A jump leaves the code, or goes backwards though it is no back-edge, or forwards though it is one.
    Target "invalid jump";
    /// The last instruction can be passed.
    NoEnd "code without an end";
    /// An open operand without its counterpart.
    Open "unpaired open operand";
    /// A jump goes between two instructions that belong together.
    Split "jump into a pair of instructions";
    /// A `for` instruction without its counterpart.
    LoopPair "unpaired loop instruction";
    /// A jump enters a numeric loop.
    LoopEntry "jump into a numeric loop";
    /// The state of a numeric loop is changed by something else.
    LoopState "numeric loop state overwritten";
    /// A register is read that may have no value.
    Unassigned "unassigned register";
    /// A register is overwritten or left while an upvalue or a variable to be closed needs it.
    NotClosed "variable not closed";
    /// A variable is marked to be closed though a higher one is.
    CloseOrder "variables to be closed out of order";
    /// `setlist` on something that may not be a new table.
    NotTable "list without its table";
    /// An integer is made where the language has none.
    Integer "integer where all numbers are floats";
}

impl Problem {
    /// The error that an instruction has this problem.
    fn at(self, pc: usize) -> VerifyError {
        VerifyError { problem: self, pc: Some(pc) }
    }

    /// The error that the prototype as a whole has this problem.
    fn whole(self) -> VerifyError {
        VerifyError { problem: self, pc: None }
    }
}

/// Verifies a prototype and the prototypes inside it.
///
/// Upvalues of the outermost one are not checked against an enclosing function: whoever loads it creates them.
///
/// # Errors
///
/// The first problem found.
pub fn verify(proto: &Proto) -> Result<(), VerifyError> {
    verify_function(proto, 0)
}

/// Whether a verified prototype, and those inside it, make no integers. Compiled code relies on that where the language has none.
///
/// # Errors
///
/// The first one that is made.
pub fn verify_floats(proto: &Proto) -> Result<(), VerifyError> {
    floats::check(proto)?;
    proto.protos.iter().try_for_each(verify_floats)
}

fn verify_function(proto: &Proto, depth: usize) -> Result<(), VerifyError> {
    if depth >= MAX_NESTING {
        return Err(Problem::TooDeep.whole());
    }
    if proto.code.is_empty() || proto.code.len() > MAX_CODE {
        return Err(Problem::CodeSize.whole());
    }
    operands::check(proto)?;
    debug_info::check(proto)?;
    let control = control::check(proto)?;
    flow::check(proto, &control)?;
    proto.protos.iter().try_for_each(|child| verify_function(child, depth + 1))
}

/// Whether `reg` belongs to the state of a numeric loop that is running at instruction `pc` of a verified prototype.
/// Nothing but the loop itself may change it.
#[must_use]
pub fn is_loop_state(proto: &Proto, pc: usize, reg: u8) -> bool {
    control::loop_starts(proto)
        .any(|(start, end, base)| (start..=end).contains(&pc) && (base..=base.saturating_add(2)).contains(&reg))
}

#[cfg(test)]
mod tests;
