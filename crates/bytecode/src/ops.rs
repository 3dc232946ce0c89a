//! The instruction set: one table, from which the opcode enum, the mnemonics and the operand formats follow.
//!
//! An instruction is one 64-bit word, little end first:
//!
//! ```text
//!  bits  0..8   op
//!  bits  8..16  a   register (usually the destination)
//!  bits 16..24  b   register or small count   \ together `bc`, 16 bits
//!  bits 24..32  c   register or small count   /
//!  bits 32..64  d   signed: jump, immediate, or index of a constant, cache, template or child prototype
//! ```
//!
//! The width is fixed so that an instruction always has room for three registers *and* a jump or an index: no operand is
//! shared between a register and a constant, no extra words follow, and a comparison carries its own jump.
//!
//! Jumps are relative to the following instruction. A *conditional jump* packs its condition below the offset:
//! `d = offset << 1 | cond`; it jumps when the test's outcome equals `cond`. Only [`Op::Loop`], [`Op::ForLoop`] and
//! [`Op::TForLoop`] jump backwards: they are the back-edges, where fuel is charged and loops are counted. The verifier
//! rejects any other backward jump.
//!
//! Notation in the table: `R[x]` register, `K[x]` constant, `U[x]` upvalue, `C[x]` inline cache (its key is a string
//! constant), `imm` the signed 16 bits of `bc`.

/// What the operands of an instruction are, for the disassembler and the verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// No operand.
    None,
    /// `a` register.
    A,
    /// `a`, `b` registers.
    AB,
    /// `a`, `b`, `c` registers.
    ABC,
    /// `a` register, `d` signed immediate.
    AImm,
    /// `a` register, `d` constant index.
    AK,
    /// `a` register, `b` further registers follow it.
    ACount,
    /// `a` register, `b` upvalue index.
    AUp,
    /// `a`, `b` registers, `d` constant index, `c` flag (operands were swapped).
    ABK,
    /// `a`, `b` registers, `d` signed immediate, `c` flag.
    ABImm,
    /// `a`, `c` registers, `d` signed immediate.
    ACImm,
    /// `a`, `b` registers, `d` cache index.
    ABCache,
    /// `a`, `c` registers, `d` cache index.
    ACCache,
    /// `a` register, `b` upvalue, `d` cache index.
    AUpCache,
    /// `b` upvalue, `c` register, `d` cache index.
    UpCCache,
    /// `a` register, `bc` property count, `d` array count.
    NewTable,
    /// `a` register, `bc` value count, `d` record template index.
    NewRecord,
    /// `a` register, `b` count (0: to the top), `d` index of the element before the first.
    SetList,
    /// `a` first operand and destination, `b` first register, `c` count.
    Concat,
    /// `d` jump.
    Jump,
    /// `a` register, `d` conditional jump.
    ACond,
    /// `a`, `b` registers, `d` conditional jump.
    ABCond,
    /// `a` register, `bc` constant index, `d` conditional jump.
    AKCond,
    /// `a` register, `bc` signed immediate, `d` conditional jump.
    AImmCond,
    /// `a` register, `b` argument count + 1 (0: to the top), `c` result count + 1 (0: all).
    Call,
    /// `a` register, `b` value count + 1 (0: to the top), `c` 1 when upvalues or variables must be closed.
    Return,
    /// `a` register, `d` jump.
    AJump,
    /// `a` register, `c` result count.
    TForCall,
    /// `a` register, `d` child prototype, `c` flag.
    Closure,
    /// `a` register, `c` value count + 1 (0: all).
    VarArg,
    /// As [`Format::VarArg`], with `b` register.
    VarArgOf,
}

/// Expands to a callback over the whole table, so that every consumer matches the same rows.
#[macro_export]
macro_rules! for_each_op {
    ($callback:ident) => {
        $callback! {
            // Moves and constants.
            Move "move" AB "R[a] = R[b]";
            LoadI "loadi" AImm "R[a] = integer d";
            LoadF "loadf" AImm "R[a] = float d";
            LoadK "loadk" AK "R[a] = K[d]";
            LoadNil "loadnil" ACount "R[a], ..., R[a+b] = nil";
            LoadFalse "loadfalse" A "R[a] = false";
            LoadTrue "loadtrue" A "R[a] = true";
            LoadFalseSkip "loadfalseskip" A "R[a] = false; skip the next instruction";
            GetUpval "getupval" AUp "R[a] = U[b]";
            SetUpval "setupval" AUp "U[b] = R[a]";

            // Tables.
            GetTabUp "gettabup" AUpCache "R[a] = U[b][C[d]]";
            SetTabUp "settabup" UpCCache "U[b][C[d]] = R[c]";
            GetTable "gettable" ABC "R[a] = R[b][R[c]]";
            GetInt "getint" ABImm "R[a] = R[b][d]";
            GetField "getfield" ABCache "R[a] = R[b][C[d]]";
            SetTable "settable" ABC "R[a][R[b]] = R[c]";
            SetInt "setint" ACImm "R[a][d] = R[c]";
            SetField "setfield" ACCache "R[a][C[d]] = R[c]";
            SelfField "self" ABCache "R[a+1] = R[b]; R[a] = R[b][C[d]]";
            NewTable "newtable" NewTable "R[a] = {} with room for d elements and bc properties";
            NewRecord "newrecord" NewRecord "R[a] = {keys of template d = R[a+1], ..., R[a+bc]}";
            SetList "setlist" SetList "R[a][d+i] = R[a+i] for i in 1..=b";

            // Arithmetic. `c` of the K forms is 1 when the constant was the left operand (only Add and Mul).
            // `c` of AddI: 0 for `x + d`, 1 for `x - (-d)`, 2 for `d + x`.
            Add "add" ABC "R[a] = R[b] + R[c]";
            Sub "sub" ABC "R[a] = R[b] - R[c]";
            Mul "mul" ABC "R[a] = R[b] * R[c]";
            Div "div" ABC "R[a] = R[b] / R[c]";
            Mod "mod" ABC "R[a] = R[b] % R[c]";
            IDiv "idiv" ABC "R[a] = R[b] // R[c]";
            Pow "pow" ABC "R[a] = R[b] ^ R[c]";
            AddK "addk" ABK "R[a] = R[b] + K[d]";
            SubK "subk" ABK "R[a] = R[b] - K[d]";
            MulK "mulk" ABK "R[a] = R[b] * K[d]";
            DivK "divk" ABK "R[a] = R[b] / K[d]";
            ModK "modk" ABK "R[a] = R[b] % K[d]";
            IDivK "idivk" ABK "R[a] = R[b] // K[d]";
            PowK "powk" ABK "R[a] = R[b] ^ K[d]";
            AddI "addi" ABImm "R[a] = R[b] + d";
            BAnd "band" ABC "R[a] = R[b] & R[c]";
            BOr "bor" ABC "R[a] = R[b] | R[c]";
            BXor "bxor" ABC "R[a] = R[b] ~ R[c]";
            Shl "shl" ABC "R[a] = R[b] << R[c]";
            Shr "shr" ABC "R[a] = R[b] >> R[c]";
            // `c` is 1 when the constant (always an integer) was the left operand.
            BAndK "bandk" ABK "R[a] = R[b] & K[d]";
            BOrK "bork" ABK "R[a] = R[b] | K[d]";
            BXorK "bxork" ABK "R[a] = R[b] ~ K[d]";
            ShlI "shli" ABImm "R[a] = R[b] << d";
            ShrI "shri" ABImm "R[a] = R[b] >> d";
            Unm "unm" AB "R[a] = -R[b]";
            BNot "bnot" AB "R[a] = ~R[b]";
            Not "not" AB "R[a] = not R[b]";
            Len "len" AB "R[a] = #R[b]";
            // Where all numbers are floats.
            LenF "lenf" AB "R[a] = #R[b], a float";
            ModF "modf" ABC "R[a] = R[b] - floor(R[b] / R[c]) * R[c]";
            ModFK "modfk" ABK "R[a] = R[b] - floor(R[b] / K[d]) * K[d]";
            Concat "concat" Concat "R[a] = R[b] .. ... .. R[b+c-1]";

            // Jumps and tests.
            Jump "jump" Jump "pc += d";
            Loop "loop" Jump "pc += d, a back-edge";
            Test "test" ACond "if truth(R[a]) == cond, jump";
            TestSet "testset" ABCond "if truth(R[b]) == cond, R[a] = R[b] and jump";
            Eq "eq" ABCond "if (R[a] == R[b]) == cond, jump";
            Lt "lt" ABCond "if (R[a] < R[b]) == cond, jump";
            Le "le" ABCond "if (R[a] <= R[b]) == cond, jump";
            EqK "eqk" AKCond "if (R[a] == K[bc]) == cond, jump";
            EqI "eqi" AImmCond "if (R[a] == imm) == cond, jump";
            // The constants of the K forms are numbers. Gt and Ge keep the operand order of the source
            // (`R[a] > 3` calls `__lt(3, R[a])`).
            LtK "ltk" AKCond "if (R[a] < K[bc]) == cond, jump";
            LeK "lek" AKCond "if (R[a] <= K[bc]) == cond, jump";
            GtK "gtk" AKCond "if (R[a] > K[bc]) == cond, jump";
            GeK "gek" AKCond "if (R[a] >= K[bc]) == cond, jump";
            LtI "lti" AImmCond "if (R[a] < imm) == cond, jump";
            LeI "lei" AImmCond "if (R[a] <= imm) == cond, jump";
            GtI "gti" AImmCond "if (R[a] > imm) == cond, jump";
            GeI "gei" AImmCond "if (R[a] >= imm) == cond, jump";

            // Calls.
            Call "call" Call "R[a], ..., R[a+c-2] = R[a](R[a+1], ..., R[a+b-1])";
            TailCall "tailcall" Return "return R[a](R[a+1], ..., R[a+b-1]); c: as in return, also where calls are counted";
            Return "return" Return "return R[a], ..., R[a+b-2]";
            Return0 "return0" None "return, nothing to close";
            Return1 "return1" A "return R[a], nothing to close";
            Closure "closure" Closure "R[a] = closure of child prototype d; c: 1 if it may be the last one once more";
            VarArg "vararg" VarArg "R[a], ..., R[a+c-2] = ...";
            VarArgTable "varargtable" A "R[a] = {..., n = number of them}";
            GetVarArg "getvararg" ABC "R[a] = extra argument R[c], or their number if R[c] is \"n\"; R[b] is the variable for them";
            VarArgOf "varargof" VarArgOf "R[a], ..., R[a+c-2] = R[b][1], ..., R[b][R[b].n]";
            // Since 5.5.
            NewGlobal "newglobal" AK "fail if R[a] ~= nil: the global K[d] is already defined";

            // Loops. Numeric: R[a] index, R[a+1] limit or remaining count, R[a+2] step, R[a+3] the variable.
            ForPrep "forprep" AJump "prepare R[a..a+2]; if the loop does not run, pc += d";
            // Before 5.4.
            ForPrepOld "forprepold" AJump "as forprep, by older rules";
            // The first instruction of the body, where all numbers are floats.
            ForFloat "forfloat" A "R[a], the variable of a numeric loop, as a float: the loop may have narrowed it";
            ForLoop "forloop" AJump "step; if the loop goes on, R[a+3] = index and pc += d, a back-edge";
            // Generic: R[a] iterator, R[a+1] state, R[a+2] control, R[a+3] closing value, R[a+4..] the variables.
            // TForCall stands directly before its TForLoop.
            TForPrep "tforprep" AJump "mark R[a+3] to be closed; pc += d";
            // Before 5.4, when there is no closing value.
            TForPrepOld "tforprepold" AJump "R[a+3] is nil; pc += d";
            TForCall "tforcall" TForCall "R[a+4], ..., R[a+3+c] = R[a](R[a+1], R[a+2])";
            TForLoop "tforloop" AJump "if R[a+4] ~= nil, R[a+2] = R[a+4] and pc += d, a back-edge";

            // Scopes.
            Tbc "tbc" A "mark R[a] to be closed";
            Close "close" A "close upvalues and variables from R[a] up";
        }
    };
}

macro_rules! define_ops {
    ($($name:ident $mnemonic:literal $format:ident $meaning:literal;)*) => {
        /// An opcode.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Op {
            $(#[doc = concat!("`", $meaning, "`")] $name,)*
        }

        impl Op {
            /// All opcodes in the order of their numbers.
            pub const ALL: &'static [Op] = &[$(Op::$name,)*];

            /// The name in listings.
            pub const fn mnemonic(self) -> &'static str {
                match self { $(Op::$name => $mnemonic,)* }
            }

            /// What the operands are.
            pub const fn format(self) -> Format {
                match self { $(Op::$name => Format::$format,)* }
            }
        }
    };
}
for_each_op!(define_ops);

/// The comparisons, as a pattern, so that a match which lists all instructions need not list these: conditional jumps whose
/// outcome a metamethod may decide.
#[macro_export]
macro_rules! comparison {
    () => {
        $crate::ops::Op::Eq
            | $crate::ops::Op::Lt
            | $crate::ops::Op::Le
            | $crate::ops::Op::EqK
            | $crate::ops::Op::EqI
            | $crate::ops::Op::LtK
            | $crate::ops::Op::LeK
            | $crate::ops::Op::GtK
            | $crate::ops::Op::GeK
            | $crate::ops::Op::LtI
            | $crate::ops::Op::LeI
            | $crate::ops::Op::GtI
            | $crate::ops::Op::GeI
    };
}

impl Op {
    /// Whether it is one of the comparisons, see [`comparison!`](crate::comparison).
    #[inline]
    #[must_use]
    pub const fn is_comparison(self) -> bool {
        matches!(self, comparison!())
    }

    /// The opcode with number `byte`, if there is one.
    #[inline]
    pub fn from_byte(byte: u8) -> Option<Op> {
        Op::ALL.get(byte as usize).copied()
    }
}

/// One instruction word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Instr(pub u64);

impl Instr {
    /// An instruction from all its fields.
    #[inline]
    pub const fn new(op: Op, a: u8, b: u8, c: u8, d: i32) -> Instr {
        Instr(op as u64 | (a as u64) << 8 | (b as u64) << 16 | (c as u64) << 24 | (d as u32 as u64) << 32)
    }

    /// An instruction whose `b` and `c` form one 16-bit operand.
    #[inline]
    pub const fn with_bc(op: Op, a: u8, bc: u16, d: i32) -> Instr {
        Instr::new(op, a, bc as u8, (bc >> 8) as u8, d)
    }

    /// The opcode, or `None` for a word that no compiler made.
    #[inline]
    pub fn op(self) -> Option<Op> {
        Op::from_byte(self.0 as u8)
    }

    /// The number of the opcode.
    #[inline]
    pub const fn op_byte(self) -> u8 {
        self.0 as u8
    }

    /// Operand `a`.
    #[inline]
    pub const fn a(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// Operand `b`.
    #[inline]
    pub const fn b(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// Operand `c`.
    #[inline]
    pub const fn c(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// Operands `b` and `c` as one unsigned number.
    #[inline]
    pub const fn bc(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Operands `b` and `c` as one signed immediate.
    #[inline]
    pub const fn imm(self) -> i16 {
        self.bc() as i16
    }

    /// Operand `d`.
    #[inline]
    pub const fn d(self) -> i32 {
        (self.0 >> 32) as i32
    }

    /// The condition of a conditional jump.
    #[inline]
    pub const fn cond(self) -> bool {
        (self.0 >> 32) & 1 != 0
    }

    /// The offset of a conditional jump.
    #[inline]
    pub const fn cond_offset(self) -> i32 {
        self.d() >> 1
    }

    /// The same instruction with another `d`.
    #[inline]
    pub const fn set_d(self, d: i32) -> Instr {
        Instr(self.0 & 0xffff_ffff | (d as u32 as u64) << 32)
    }
}
