//! `goto`, labels, and `break`, which is a `goto` to a label that no source can name, behind its loop.
//!
//! A jump backwards finds its label at once. A jump forwards is pending until the label appears; when the block around it
//! ends first, the jump moves out to the enclosing block, and remembers whether it left variables that must be closed.
//! The label then closes them.

use perilune_base::dialect::table::BreakText;
use perilune_bytecode::ops::Op;
use perilune_syntax::ast::{Name, Stat, StatKind};

use crate::exp::{JumpList, Pc, Reg};
use crate::failure::{Failure, Place, Res};
use crate::func_state::FuncState;
use crate::scope::{BlockScope, VarName};

/// What a jump is looking for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JumpName {
    Break,
    Label(Name),
}

/// A label that jumps can see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    name: JumpName,
    pc: Pc,
    line: u32,
    /// Variables active at the label.
    active: usize,
    /// Open lists of statements at the label.
    depth: usize,
}

/// A jump forwards to a label not seen yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goto {
    name: JumpName,
    jump: JumpList,
    line: u32,
    /// Variables active at the jump, or around the blocks it has left.
    active: usize,
    /// Their registers.
    level: Reg,
    /// Whether it leaves the scope of variables that must be closed.
    close: bool,
}

impl FuncState<'_> {
    /// Adds a pending jump.
    pub(crate) fn add_goto(&mut self, name: JumpName, line: u32, jump: JumpList) {
        let level = self.local_top();
        self.gotos.push(Goto { name, jump, line, active: self.active, level, close: false });
    }

    /// `goto name`
    pub(crate) fn goto(&mut self, name: Name, line: u32) {
        match self.find_label(name).filter(|label| !self.is_hidden(label, name)) {
            Some(label) => {
                let level = self.reg_level(label.active);
                if self.local_top() > level {
                    self.emit_abc(Op::Close, level, 0, 0);
                }
                self.emit_loop(label.pc);
            }
            None => {
                let jump = self.jump();
                self.add_goto(JumpName::Label(name), line, Some(jump));
            }
        }
    }

    /// `::name::`. If only no-op statements follow in the block (`is_last`), the label counts as outside its variables.
    pub(crate) fn label_statement(&mut self, name: Name, line: u32, is_last: bool, next_line: u32) -> Res<()> {
        let nested = self.dialect.nested_labels;
        let first = if nested { self.blocks.last().map_or(0, |block| block.labels) } else { 0 };
        if let Some(label) = self.find_label_from(name, first) {
            // Of labels in a row, the last one is here first.
            let (defined, place) = if nested {
                (label.line.min(line), label.line.max(line))
            } else if self.dialect.errors_in_last_line {
                (label.line, self.at.line)
            } else {
                (label.line, next_line)
            };
            let text = self.label_text(name);
            let message = format!("label '{text}' already defined on line {defined}");
            return Err(Failure::new(message, Place::Line { line: place, end: self.at.end }));
        }
        let (block_active, first_goto) = self.blocks.last().map_or((0, 0), |block| (block.active, block.gotos));
        let active = if is_last { block_active } else { self.active };
        self.create_label_at(JumpName::Label(name), line, active, first_goto, next_line)?;
        Ok(())
    }

    /// Creates a label and resolves the pending jumps to it, from number `first_goto`. Returns whether it closes
    /// variables.
    pub(crate) fn create_label(&mut self, name: JumpName, line: u32, active: usize, first_goto: usize) -> Res<bool> {
        self.create_label_at(name, line, active, first_goto, line)
    }

    fn create_label_at(
        &mut self,
        name: JumpName,
        line: u32,
        active: usize,
        first_goto: usize,
        error_line: u32,
    ) -> Res<bool> {
        let pc = self.label();
        let label = Label { name, pc, line, active, depth: self.following.len() };
        self.labels.push(label);
        let (found, others) = self.gotos.drain(first_goto..).partition::<Vec<_>, _>(|goto| goto.name == name);
        self.gotos.extend(others);
        let mut needs_close = false;
        for goto in found {
            if goto.active < active {
                let error = self.jump_into_scope(&goto, error_line);
                if !self.dialect.jumps_checked_last {
                    return Err(error);
                }
                self.jump_errors.push((self.blocks.len(), error));
            }
            needs_close |= goto.close;
            self.patch_list(goto.jump, pc);
        }
        if needs_close {
            self.emit_abc(Op::Close, self.local_top(), 0, 0);
        }
        Ok(needs_close)
    }

    fn jump_into_scope(&self, goto: &Goto, line: u32) -> Box<Failure> {
        let variable = match self.vars[goto.active].name {
            VarName::Source(name) => self.label_text(name),
            VarName::Hidden(name) => name.to_owned(),
            VarName::Own => String::new(),
            VarName::AllGlobals => "*".to_owned(),
        };
        let kind = if self.dialect.scope_text_says_local { "local " } else { "" };
        let message = format!(
            "<goto {}> at line {} jumps into the scope of {kind}'{variable}'",
            self.jump_text(goto.name),
            goto.line,
        );
        Failure::new(message, Place::Line { line, end: self.at.end })
    }

    /// Moves the pending jumps of a block that ends to the enclosing one, whose variables end at `level`.
    pub(crate) fn move_gotos_out(&mut self, block: &BlockScope, level: Reg) {
        for goto in &mut self.gotos[block.gotos..] {
            if goto.level > level {
                goto.close |= block.needs_close;
            }
            goto.active = block.active;
            goto.level = level;
        }
    }

    /// The error of a jump that is still pending at the end of the function.
    pub(crate) fn pending_goto_error(&self, place: Place) -> Option<Box<Failure>> {
        let goto = self.gotos.first()?;
        let message = match goto.name {
            JumpName::Break if self.dialect.break_text == BreakText::NotInside => {
                format!("<break> at line {} not inside a loop", goto.line)
            }
            JumpName::Break => format!("break outside loop at line {}", goto.line),
            JumpName::Label(name) => {
                format!("no visible label '{}' for <goto> at line {}", self.label_text(name), goto.line)
            }
        };
        Some(Failure::new(message, place))
    }

    /// Whether a label is hidden by one with the same name that follows in a block further inside.
    ///
    /// ```lua
    /// ::l:: do goto l; ::l:: end   -- goes forwards
    /// ```
    fn is_hidden(&self, label: &Label, name: Name) -> bool {
        let is_same = |stat: &Stat| matches!(stat.kind, StatKind::Label { name: other, .. } if other == name);
        self.following[label.depth..].iter().any(|stats| stats.iter().any(is_same))
    }

    /// Whether a label with this name is visible, so that a jump to it goes backwards.
    pub(crate) fn has_label(&self, name: Name) -> bool {
        self.find_label(name).is_some_and(|label| !self.is_hidden(&label, name))
    }

    fn find_label(&self, name: Name) -> Option<Label> {
        self.find_label_from(name, 0)
    }

    /// The innermost of the visible labels with this name, but for the `first` ones.
    fn find_label_from(&self, name: Name, first: usize) -> Option<Label> {
        self.labels[first..].iter().rev().find(|label| label.name == JumpName::Label(name)).copied()
    }

    fn label_text(&self, name: Name) -> String {
        String::from_utf8_lossy(self.chunk.name(name)).into_owned()
    }

    fn jump_text(&self, name: JumpName) -> String {
        match name {
            JumpName::Break => "break".to_owned(),
            JumpName::Label(name) => self.label_text(name),
        }
    }
}
