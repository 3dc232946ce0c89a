//! Bytes: instructions from Cranelift's assembler, labels, jumps between them, and constants behind the code.

use std::fmt;

use cranelift_assembler_x64::{
    Amode, AmodeOffset, AmodeOffsetPlusKnownOffset, CodeSink, Constant, DeferredTarget, GprMem, KnownOffset, NonRspGpr,
    Registers, Scale, TrapCode, XmmMem,
};

/// The registers are named by their numbers.
pub(super) struct Regs;

impl Registers for Regs {
    type ReadGpr = u8;
    type ReadWriteGpr = u8;
    type WriteGpr = u8;
    type ReadXmm = u8;
    type ReadWriteXmm = u8;
    type WriteXmm = u8;
}

pub(super) type Address = Amode<u8>;
pub(super) type GprOrMemory = GprMem<u8, u8>;
pub(super) type XmmOrMemory = XmmMem<u8, u8>;

/// The memory `offset` bytes behind what a register points to.
pub(super) fn at(base: u8, offset: i32) -> Address {
    let simm32 = AmodeOffsetPlusKnownOffset { simm32: AmodeOffset::new(offset), offset: None };
    Amode::ImmReg { base, simm32, trap: None }
}

/// The sum of two registers, the second of which, not the stack pointer, is shifted by up to three bits, and an offset.
pub(super) fn sum(base: u8, index: u8, shift: u8, offset: i32) -> Address {
    let index = NonRspGpr::new(index);
    Amode::ImmRegRegShift { base, index, scale: Scale::new(shift), simm32: AmodeOffset::new(offset), trap: None }
}

/// A place in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(u32);

/// The second byte of a conditional jump, or of another instruction with a condition, without the condition.
const JCC: u8 = 0x80;

/// What the flags must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Condition {
    Below = 2,
    AboveOrEqual = 3,
    Equal = 4,
    NotEqual = 5,
    BelowOrEqual = 6,
    Above = 7,
    Parity = 10,
    NoParity = 11,
    Less = 12,
    GreaterOrEqual = 13,
    LessOrEqual = 14,
    Greater = 15,
}

impl Condition {
    /// The opposite.
    pub(super) fn inverse(self) -> Condition {
        match self {
            Condition::Below => Condition::AboveOrEqual,
            Condition::AboveOrEqual => Condition::Below,
            Condition::Equal => Condition::NotEqual,
            Condition::NotEqual => Condition::Equal,
            Condition::BelowOrEqual => Condition::Above,
            Condition::Above => Condition::BelowOrEqual,
            Condition::Parity => Condition::NoParity,
            Condition::NoParity => Condition::Parity,
            Condition::Less => Condition::GreaterOrEqual,
            Condition::GreaterOrEqual => Condition::Less,
            Condition::LessOrEqual => Condition::Greater,
            Condition::Greater => Condition::LessOrEqual,
        }
    }
}

/// Where a jump or a constant must still be filled in: four bytes that say how far it is from behind them.
enum Fixup {
    Label(usize, Label),
    Constant(usize, u32),
}

/// Code under way.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    /// Where labels are, `u32::MAX` while that is not known.
    labels: Vec<u32>,
    fixups: Vec<Fixup>,
    constants: Vec<u64>,
    listing: Option<String>,
}

impl Buffer {
    pub(super) fn new(explain: bool) -> Buffer {
        Buffer { listing: explain.then(String::new), ..Buffer::default() }
    }

    /// Notes an instruction for the listing, which is made before its bytes.
    pub(super) fn note(&mut self, instruction: impl fmt::Display) {
        if let Some(listing) = &mut self.listing {
            *listing += &format!("{:6x}  {instruction}\n", self.bytes.len());
        }
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(u32::MAX);
        Label(self.labels.len() as u32 - 1)
    }

    /// The label is here.
    pub(super) fn bind(&mut self, label: Label) {
        if let Some(listing) = &mut self.listing {
            *listing += &format!("label{}:\n", label.0);
        }
        self.labels[label.0 as usize] = self.bytes.len() as u32;
    }

    pub(super) fn jump(&mut self, to: Label) {
        self.note(format_args!("jmp label{}", to.0));
        self.bytes.push(0xe9);
        self.distance_to(to);
    }

    pub(super) fn call(&mut self, to: Label) {
        self.note(format_args!("call label{}", to.0));
        self.bytes.push(0xe8);
        self.distance_to(to);
    }

    pub(super) fn jump_if(&mut self, condition: Condition, to: Label) {
        self.note(format_args!("j{condition:?} label{}", to.0));
        self.bytes.extend([0x0f, JCC | condition as u8]);
        self.distance_to(to);
    }

    fn distance_to(&mut self, to: Label) {
        self.fixups.push(Fixup::Label(self.bytes.len(), to));
        self.bytes.extend([0; 4]);
    }

    /// Eight bytes behind the code.
    pub(super) fn constant(&mut self, bits: u64) -> Address {
        let known = self.constants.iter().position(|known| *known == bits);
        let n = known.unwrap_or_else(|| {
            self.constants.push(bits);
            self.constants.len() - 1
        });
        Amode::RipRelative { target: DeferredTarget::Constant(Constant(n as u32)) }
    }

    /// The bytes, with all jumps filled in, and the listing.
    pub(super) fn finish(mut self) -> (Vec<u8>, Option<String>) {
        let pool = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(pool, 0xcc);
        for bits in &self.constants {
            self.bytes.extend(bits.to_le_bytes());
        }
        for fixup in &self.fixups {
            let (at, target) = match *fixup {
                Fixup::Label(at, label) => (at, self.labels[label.0 as usize] as usize),
                Fixup::Constant(at, n) => (at, pool + n as usize * 8),
            };
            debug_assert!(target <= self.bytes.len(), "a label is nowhere");
            let field: &mut [u8] = &mut self.bytes[at..at + 4];
            // What is there already says how many bytes of the instruction follow.
            let bias = i32::from_le_bytes([field[0], field[1], field[2], field[3]]);
            let distance = target as i32 - (at as i32 + 4) + bias;
            field.copy_from_slice(&distance.to_le_bytes());
        }
        (self.bytes, self.listing)
    }
}

impl CodeSink for Buffer {
    fn put1(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    fn put2(&mut self, n: u16) {
        self.bytes.extend(n.to_le_bytes());
    }

    fn put4(&mut self, n: u32) {
        self.bytes.extend(n.to_le_bytes());
    }

    fn put8(&mut self, n: u64) {
        self.bytes.extend(n.to_le_bytes());
    }

    fn add_trap(&mut self, _: TrapCode) {}

    fn use_target(&mut self, target: DeferredTarget) {
        if let DeferredTarget::Constant(Constant(n)) = target {
            self.fixups.push(Fixup::Constant(self.bytes.len(), n));
        }
    }

    fn known_offset(&self, _: KnownOffset) -> i32 {
        debug_assert!(false, "no offset is left open");
        0
    }
}
