//! Which registers an instruction reads, writes and destroys.
//!
//! A register is *destroyed* if its old value must not be used afterwards, whatever else happens to it: a call uses the
//! registers from its function up for the frame of the callee, a concatenation may use its operands as scratch space, and
//! what builds an object does so on top of everything that lives: the collector clears what is above. Results are written
//! after that.
//!
//! | instruction            | what the description leaves out                                             |
//! |------------------------|------------------------------------------------------------------------------|
//! | `testset`              | writes only if it jumps                                                      |
//! | `forprep`              | writes the loop variable only if it does not jump                            |
//! | `forloop`, `tforloop`  | write the variable or the control only if they jump                          |
//! | open operands          | `b == 0` reads, and `c == 0` writes, up to the top that the previous one set |

use crate::ops::{Format, Instr, Op};

/// Consecutive registers. They may lie beyond the last register, in an instruction that is not valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first register.
    pub first: u16,
    /// How many.
    pub len: u16,
}

impl Span {
    /// No register.
    pub const NONE: Span = Span { first: 0, len: 0 };

    /// One register.
    #[must_use]
    pub const fn one(reg: u8) -> Span {
        Span { first: reg as u16, len: 1 }
    }

    /// `len` registers from `first + skip` up.
    #[must_use]
    pub const fn from(first: u8, skip: u16, len: u16) -> Span {
        Span { first: first as u16 + skip, len }
    }

    /// All registers from `first + skip` up.
    #[must_use]
    pub const fn above(first: u8, skip: u16) -> Span {
        let first = first as u16 + skip;
        Span { first, len: 512 - first }
    }

    /// The register behind the last one.
    #[must_use]
    pub const fn end(self) -> u16 {
        self.first.saturating_add(self.len)
    }

    /// Whether both have a register in common.
    #[must_use]
    pub const fn overlaps(self, other: Span) -> bool {
        self.first < other.end() && other.first < self.end()
    }
}

/// The registers that an instruction uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Registers read.
    pub reads: [Span; 2],
    /// A further single register read.
    pub also_reads: Option<u8>,
    /// Registers whose old values are lost.
    pub destroys: Span,
    /// Registers written.
    pub writes: Span,
    /// Registers that must exist besides these.
    pub needs: Span,
}

impl Effects {
    const NONE: Effects = Effects {
        reads: [Span::NONE; 2],
        also_reads: None,
        destroys: Span::NONE,
        writes: Span::NONE,
        needs: Span::NONE,
    };

    const fn read(mut self, span: Span) -> Effects {
        if self.reads[0].len == 0 {
            self.reads[0] = span;
        } else {
            self.reads[1] = span;
        }
        self
    }

    const fn read_reg(self, reg: u8) -> Effects {
        self.read(Span::one(reg))
    }

    const fn write(mut self, span: Span) -> Effects {
        self.writes = span;
        self
    }

    const fn write_reg(self, reg: u8) -> Effects {
        self.write(Span::one(reg))
    }

    const fn destroy(mut self, span: Span) -> Effects {
        self.destroys = span;
        self
    }

    const fn need(mut self, span: Span) -> Effects {
        self.needs = span;
        self
    }
}

/// The registers that `instr` uses, whose opcode is `op`.
#[must_use]
pub fn effects(op: Op, instr: Instr) -> Effects {
    let (a, b, c) = (instr.a(), instr.b(), instr.c());
    let none = Effects::NONE;
    match op {
        Op::Move | Op::Unm | Op::BNot | Op::Not | Op::Len | Op::LenF | Op::TestSet => none.read_reg(b).write_reg(a),
        Op::LoadI
        | Op::LoadF
        | Op::LoadK
        | Op::LoadFalse
        | Op::LoadTrue
        | Op::LoadFalseSkip
        | Op::GetUpval
        | Op::GetTabUp
        | Op::VarArgTable => none.write_reg(a),
        Op::NewTable | Op::Closure => none.destroy(Span::above(a, 1)).write_reg(a),
        Op::LoadNil => none.write(Span::from(a, 0, b as u16 + 1)),
        Op::SetUpval | Op::NewGlobal | Op::Test | Op::Return1 | Op::Tbc => none.read_reg(a),
        Op::SetTabUp => none.read_reg(c),
        Op::GetTable
        | Op::GetVarArg
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Div
        | Op::Mod
        | Op::ModF
        | Op::IDiv
        | Op::Pow
        | Op::BAnd
        | Op::BOr
        | Op::BXor
        | Op::Shl
        | Op::Shr => none.read_reg(b).read_reg(c).write_reg(a),
        Op::GetInt
        | Op::GetField
        | Op::AddK
        | Op::SubK
        | Op::MulK
        | Op::DivK
        | Op::ModK
        | Op::ModFK
        | Op::IDivK
        | Op::PowK
        | Op::AddI
        | Op::BAndK
        | Op::BOrK
        | Op::BXorK
        | Op::ShlI
        | Op::ShrI => none.read_reg(b).write_reg(a),
        Op::SetTable => Effects { also_reads: Some(c), ..none.read_reg(a).read_reg(b) },
        Op::SetInt | Op::SetField => none.read_reg(a).read_reg(c),
        Op::SelfField => none.read_reg(b).write(Span::from(a, 0, 2)),
        Op::NewRecord => none.read(Span::from(a, 1, instr.bc())).destroy(Span::above(a, 1)).write_reg(a),
        Op::SetList => none.read(Span::from(a, 0, b as u16 + 1)).destroy(Span::above(a, 1)),
        Op::Concat => none.read(Span::from(b, 0, c as u16)).destroy(Span::above(b, 0)).write_reg(a),
        Op::Jump | Op::Loop | Op::Return0 | Op::Close => none,
        crate::comparison!() if op.format() == Format::ABCond => none.read_reg(a).read_reg(b),
        crate::comparison!() => none.read_reg(a),
        Op::Call => none.read(call_operands(a, b)).destroy(Span::above(a, 0)).write(values(a, c)).need(Span::one(a)),
        Op::TailCall => none.read(call_operands(a, b)).need(Span::one(a)),
        Op::Return => none.read(values(a, b)),
        Op::VarArgOf if c == 0 => none.read_reg(b).destroy(Span::above(a, 0)).need(Span::one(a)),
        Op::VarArgOf => none.read_reg(b).write(values(a, c)).need(Span::one(a)),
        Op::VarArg if c == 0 => none.destroy(Span::above(a, 0)).need(Span::one(a)),
        Op::VarArg => none.write(values(a, c)).need(Span::one(a)),
        Op::ForPrep | Op::ForPrepOld | Op::ForLoop => none.read(Span::from(a, 0, 3)).write(Span::from(a, 0, 4)),
        Op::ForFloat => none.read_reg(a).write_reg(a),
        Op::TForPrep | Op::TForPrepOld => none.read(Span::from(a, 0, 4)),
        Op::TForCall => none
            .read(Span::from(a, 0, 3))
            .destroy(Span::above(a, 4))
            .write(Span::from(a, 4, c as u16))
            .need(Span::from(a, 4, 3)),
        Op::TForLoop => none.read(Span::from(a, 4, 1)).write(Span::from(a, 2, 1)),
    }
}

/// The function and its arguments.
const fn call_operands(a: u8, b: u8) -> Span {
    if b == 0 { Span::one(a) } else { Span::from(a, 0, b as u16) }
}

/// `count - 1` values from `a` up, none if open.
const fn values(a: u8, count: u8) -> Span {
    if count == 0 { Span::NONE } else { Span::from(a, 0, count as u16 - 1) }
}
