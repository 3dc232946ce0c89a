//! Expression descriptors: what is known about an expression whose value has not been put anywhere yet.
//!
//! Code for an expression is generated as late as possible, when its consumer says where the value is wanted: `x + 1`
//! reads the local `x` in place, `a and b` as a condition never produces a value. The descriptor carries the pending
//! state: a constant, a variable, an instruction whose destination is still open, plus two lists of jumps.
//!
//! The lists `t` and `f` hold the jumps that leave the expression early because it is already known to be true or false
//! (see [`crate::jumps`]). An expression with jumps is complete only after its lists are patched.

use perilune_base::num::convert::float_to_int;
use perilune_syntax::ast::Name;

/// A register.
pub(crate) type Reg = u8;

/// The index of an instruction.
pub(crate) type Pc = u32;

/// An index into the constants of the function.
pub(crate) type ConstId = u32;

/// The head of a list of jumps with an open target.
pub(crate) type JumpList = Option<Pc>;

/// An expression in the middle of being compiled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exp {
    pub kind: Kind,
    /// Jumps taken when the expression is true.
    pub t: JumpList,
    /// Jumps taken when the expression is false.
    pub f: JumpList,
}

/// Where the value of an expression is, or how to get it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// There is no expression.
    Void,
    /// The constant `nil`.
    Nil,
    /// The constant `true`.
    True,
    /// The constant `false`.
    False,
    /// An integer constant.
    Int(i64),
    /// A float constant.
    Float(f64),
    /// A string constant.
    Str(Name),
    /// The value is in this register.
    Reg(Reg),
    /// The active local variable with number `var`.
    Local { var: usize, reg: Reg },
    /// An upvalue.
    Upval(u8),
    /// An upvalue indexed by a constant string.
    UpField { up: u8, key: ConstId },
    /// A register indexed by a constant string.
    Field { obj: Reg, key: ConstId },
    /// A register indexed by a constant integer.
    IntItem { obj: Reg, key: i32 },
    /// A register indexed by a register.
    Item { obj: Reg, key: Reg },
    /// The variable for extra arguments, indexed by a register.
    ExtraItem { table: Reg, key: Reg },
    /// The outcome of the comparison at this instruction, which jumps if it is true.
    Jump(Pc),
    /// The result of this instruction, whose destination is still open.
    Pending(Pc),
    /// A call, so far with one result.
    Call(Pc),
    /// A `vararg` instruction with neither destination nor count.
    Vararg(Pc),
}

impl Exp {
    /// An expression without jumps.
    pub(crate) const fn new(kind: Kind) -> Exp {
        Exp { kind, t: None, f: None }
    }

    /// Whether jumps leave the expression early. (A [`Kind::Jump`] is not counted.)
    pub(crate) fn has_jumps(&self) -> bool {
        self.t.is_some() || self.f.is_some()
    }

    /// Whether it is a numeral.
    pub(crate) fn is_numeral(&self) -> bool {
        !self.has_jumps() && matches!(self.kind, Kind::Int(_) | Kind::Float(_))
    }

    /// The value, if it is an integer constant.
    pub(crate) fn as_int(&self) -> Option<i64> {
        match self.kind {
            Kind::Int(int) if !self.has_jumps() => Some(int),
            _ => None,
        }
    }

    /// The integer that equals a numeral.
    pub(crate) fn integral(&self) -> Option<i64> {
        match self.kind {
            _ if self.has_jumps() => None,
            Kind::Int(int) => Some(int),
            Kind::Float(float) => float_to_int(float),
            _ => None,
        }
    }

    /// Whether the value is known without running anything.
    pub(crate) fn is_constant(&self) -> bool {
        !self.has_jumps() && self.kind.is_constant()
    }

    /// Whether it may have any number of values.
    pub(crate) fn is_multi(&self) -> bool {
        matches!(self.kind, Kind::Call(_) | Kind::Vararg(_))
    }

    /// Whether it is an indexed variable.
    pub(crate) fn is_indexed(&self) -> bool {
        matches!(
            self.kind,
            Kind::UpField { .. }
                | Kind::Field { .. }
                | Kind::IntItem { .. }
                | Kind::Item { .. }
                | Kind::ExtraItem { .. }
        )
    }
}

impl Kind {
    /// Whether it is a constant.
    pub(crate) fn is_constant(self) -> bool {
        matches!(self, Kind::Nil | Kind::False) || self.is_true_constant()
    }

    /// Whether it is a constant other than `nil` and `false`.
    pub(crate) fn is_true_constant(self) -> bool {
        matches!(self, Kind::True | Kind::Int(_) | Kind::Float(_) | Kind::Str(_))
    }
}
