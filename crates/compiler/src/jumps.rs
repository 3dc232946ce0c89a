//! Jumps whose target is not known yet, chained through their own offsets.
//!
//! A list is the index of its first jump; each jump holds the index of the next one in the place of its offset, and the
//! last one holds [`END`]. Patching a list walks it and writes the offsets.
//!
//! `and` and `or` make [`Op::TestSet`] instructions without a destination ([`NO_REG`]). When it turns out that the value
//! is wanted in a register, patching fills the destination in; when only the condition is wanted, it becomes an
//! [`Op::Test`]. Comparisons have no value to give: a list that contains them and is wanted as a value jumps to
//! instructions that load `false` or `true`.

use perilune_bytecode::ops::{Format, Instr, Op};

use crate::exp::{JumpList, Pc, Reg};
use crate::func_state::FuncState;

/// The destination of a [`Op::TestSet`] that has none yet. No function has this many registers.
pub(crate) const NO_REG: Reg = Reg::MAX;

/// In place of the next jump at the end of a list.
const END: i32 = -1;

impl FuncState<'_> {
    /// Emits a jump and returns it as a list.
    pub(crate) fn jump(&mut self) -> Pc {
        self.emit(Instr::new(Op::Jump, 0, 0, 0, END))
    }

    /// Emits a conditional jump without a target. The fields below `d` are those of `instr`.
    pub(crate) fn cond_jump(&mut self, instr: Instr, cond: bool) -> Pc {
        self.emit(instr.set_d(END << 1 | i32::from(cond)))
    }

    /// Whether the instruction can be a member of a list.
    pub(crate) fn is_forward_jump(&self, pc: Pc) -> bool {
        match self.op(pc).format() {
            Format::Jump => self.op(pc) == Op::Jump,
            format => is_conditional(format),
        }
    }

    fn offset(&self, pc: Pc) -> i32 {
        let instr = self.instr(pc);
        if instr.op() == Some(Op::Jump) { instr.d() } else { instr.cond_offset() }
    }

    fn set_offset(&mut self, pc: Pc, offset: i32) {
        let instr = self.instr(pc);
        *self.instr_mut(pc) = if instr.op() == Some(Op::Jump) {
            instr.set_d(offset)
        } else {
            instr.set_d(offset << 1 | i32::from(instr.cond()))
        };
    }

    fn next(&self, pc: Pc) -> JumpList {
        let next = self.offset(pc);
        (next != END).then_some(next as Pc)
    }

    fn set_next(&mut self, pc: Pc, next: JumpList) {
        self.set_offset(pc, next.map_or(END, |next| next as i32));
    }

    /// The target of a jump whose list has been patched.
    pub(crate) fn jump_target(&self, pc: Pc) -> Pc {
        (pc as i32 + 1 + self.offset(pc)) as Pc
    }

    /// Sets the target of a jump.
    pub(crate) fn fix_jump(&mut self, pc: Pc, target: Pc) {
        debug_assert!(target > pc, "only loops jump backwards");
        self.set_offset(pc, target as i32 - (pc as i32 + 1));
    }

    /// Puts a new jump, which is a list of one, in front of a list.
    pub(crate) fn prepend(&mut self, list: &mut JumpList, jump: JumpList) {
        if let Some(pc) = jump {
            self.set_next(pc, *list);
            *list = jump;
        }
    }

    /// Appends the list `tail`. Costs the length of `list`.
    pub(crate) fn append(&mut self, list: &mut JumpList, tail: JumpList) {
        let Some(mut last) = *list else {
            *list = tail;
            return;
        };
        while let Some(next) = self.next(last) {
            last = next;
        }
        self.set_next(last, tail);
    }

    /// Gives a [`Op::TestSet`] its destination, or turns it into a [`Op::Test`] if there is none or it is the tested
    /// register. Returns false for other jumps.
    fn patch_test_reg(&mut self, pc: Pc, reg: Reg) -> bool {
        let instr = self.instr(pc);
        if instr.op() != Some(Op::TestSet) {
            return false;
        }
        if reg != NO_REG && reg != instr.b() {
            self.set_a(pc, reg);
        } else {
            *self.instr_mut(pc) = Instr::new(Op::Test, instr.b(), 0, 0, instr.d());
        }
        true
    }

    /// Makes sure that no jump of the list leaves a value.
    pub(crate) fn remove_values(&mut self, list: JumpList) {
        let mut list = list;
        while let Some(pc) = list {
            self.patch_test_reg(pc, NO_REG);
            list = self.next(pc);
        }
    }

    /// Whether a jump of the list leaves no value, so that one must be loaded.
    pub(crate) fn needs_value(&self, list: JumpList) -> bool {
        let mut list = list;
        while let Some(pc) = list {
            if self.op(pc) != Op::TestSet {
                return true;
            }
            list = self.next(pc);
        }
        false
    }

    /// Sets the targets of a list: jumps that leave their value in `reg` go to `value_target`, others to `target`.
    pub(crate) fn patch_values(&mut self, list: JumpList, value_target: Pc, reg: Reg, target: Pc) {
        let mut list = list;
        while let Some(pc) = list {
            list = self.next(pc);
            let has_value = self.patch_test_reg(pc, reg);
            self.fix_jump(pc, if has_value { value_target } else { target });
        }
    }

    /// Lets all jumps of a list go to `target`.
    pub(crate) fn patch_list(&mut self, list: JumpList, target: Pc) {
        self.patch_values(list, target, NO_REG, target);
    }

    /// Lets all jumps of a list go to the next instruction.
    pub(crate) fn patch_to_here(&mut self, list: JumpList) {
        let here = self.label();
        self.patch_list(list, here);
    }
}

/// Whether the instruction's `d` holds a condition and an offset.
fn is_conditional(format: Format) -> bool {
    match format {
        Format::ACond | Format::ABCond | Format::AKCond | Format::AImmCond => true,
        Format::None
        | Format::A
        | Format::AB
        | Format::ABC
        | Format::AImm
        | Format::AK
        | Format::ACount
        | Format::AUp
        | Format::ABK
        | Format::ABImm
        | Format::ACImm
        | Format::ABCache
        | Format::ACCache
        | Format::AUpCache
        | Format::UpCCache
        | Format::NewTable
        | Format::NewRecord
        | Format::SetList
        | Format::Concat
        | Format::Jump
        | Format::Call
        | Format::Return
        | Format::AJump
        | Format::TForCall
        | Format::Closure
        | Format::VarArg
        | Format::VarArgOf => false,
    }
}
