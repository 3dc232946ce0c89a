//! `goto`, labels, and `break`, which is a `goto` to a label that no source can name, behind its loop.
//!
//! A jump backwards finds its label at once. A jump forwards is pending until the label appears; when the block around it
//! ends first, the jump moves out to the enclosing block, and remembers whether it left variables that must be closed.
//! The label then closes them.
//!
//! Labels and pending jumps are found by name, so that the time for a function with many of both grows with their number,
//! not with its square.

use std::collections::HashMap;

use perilune_base::dialect::table::BreakText;
use perilune_bytecode::ops::Op;
use perilune_syntax::ast::{Name, Stat, StatKind};

use crate::exp::{JumpList, Pc, Reg};
use crate::failure::{Failure, Place, Res};
use crate::func_state::FuncState;
use crate::scope::{BlockScope, VarName};

/// What a jump is looking for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum JumpName {
    Break,
    Label(Name),
}

/// A label that jumps can see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    name: Name,
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
    /// Whether its label has appeared. It keeps its place, so that the others keep theirs.
    is_resolved: bool,
}

/// The jumps and labels of a function, and where those with a name are.
#[derive(Default, Debug)]
pub(crate) struct Jumps {
    /// Visible labels, outermost first.
    labels: Vec<Label>,
    /// Those with a name, as indices in `labels`, innermost last.
    labels_of: HashMap<Name, Vec<usize>>,
    /// Jumps to labels not seen yet, and some that are resolved.
    gotos: Vec<Goto>,
    /// The pending ones with a name, as indices in `gotos`, in their order.
    pending: HashMap<JumpName, Vec<usize>>,
    /// Open lists of statements.
    open_lists: usize,
    /// The labels with a name that follow the current statement in the open lists: the number of the list of each, innermost
    /// last.
    labels_ahead: HashMap<Name, Vec<usize>>,
}

impl Jumps {
    /// How many labels are visible.
    pub(crate) fn label_count(&self) -> usize {
        self.labels.len()
    }

    /// How many places jumps have taken.
    pub(crate) fn goto_count(&self) -> usize {
        self.gotos.len()
    }

    /// Begins a list of statements.
    pub(crate) fn open_list(&mut self, stats: &[Stat]) {
        for stat in stats {
            if let StatKind::Label { name, .. } = stat.kind {
                self.labels_ahead.entry(name).or_default().push(self.open_lists);
            }
        }
        self.open_lists += 1;
    }

    /// Ends a list of statements, all of whose labels have been passed.
    pub(crate) fn close_list(&mut self) {
        self.open_lists -= 1;
    }

    /// Notes that a label of the innermost list is the current statement.
    fn pass_label(&mut self, name: Name) {
        let list = self.labels_ahead.get_mut(&name).and_then(Vec::pop);
        debug_assert_eq!(list, Some(self.open_lists - 1), "labels of inner lists have been passed");
    }

    fn add_label(&mut self, label: Label) {
        self.labels_of.entry(label.name).or_default().push(self.labels.len());
        self.labels.push(label);
    }

    /// Forgets all but the first `count` labels.
    pub(crate) fn hide_labels(&mut self, count: usize) {
        for label in self.labels.drain(count..) {
            if let Some(indices) = self.labels_of.get_mut(&label.name) {
                indices.truncate(indices.partition_point(|&index| index < count));
            }
        }
    }

    /// The innermost of the visible labels with this name, but for the `first` ones.
    fn find_label(&self, name: Name, first: usize) -> Option<&Label> {
        let index = *self.labels_of.get(&name)?.last()?;
        self.labels.get(index).filter(|_| index >= first)
    }

    /// Whether a label is hidden by one with the same name that follows in a block further inside.
    ///
    /// ```lua
    /// ::l:: do goto l; ::l:: end   -- goes forwards
    /// ```
    fn is_hidden(&self, label: &Label) -> bool {
        let innermost = self.labels_ahead.get(&label.name).and_then(|lists| lists.last());
        innermost.is_some_and(|&list| list >= label.depth)
    }

    fn add_goto(&mut self, goto: Goto) {
        self.pending.entry(goto.name).or_default().push(self.gotos.len());
        self.gotos.push(goto);
    }

    /// Takes the pending jumps to a label, from place `first` on.
    fn take_pending(&mut self, name: JumpName, first: usize) -> Vec<Goto> {
        let Some(indices) = self.pending.get_mut(&name) else { return Vec::new() };
        let found = indices.split_off(indices.partition_point(|&index| index < first));
        let taken = found
            .into_iter()
            .map(|index| {
                self.gotos[index].is_resolved = true;
                self.gotos[index]
            })
            .collect();
        while self.gotos.len() > first && self.gotos.last().is_some_and(|goto| goto.is_resolved) {
            self.gotos.pop();
        }
        taken
    }
}

impl FuncState<'_> {
    /// Adds a pending jump.
    pub(crate) fn add_goto(&mut self, name: JumpName, line: u32, jump: JumpList) {
        let level = self.local_top();
        let goto = Goto { name, jump, line, active: self.active, level, close: false, is_resolved: false };
        self.jumps.add_goto(goto);
    }

    /// `goto name`
    pub(crate) fn goto(&mut self, name: Name, line: u32) {
        match self.visible_label(name) {
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
        self.jumps.pass_label(name);
        let nested = self.dialect.nested_labels;
        let first = if nested { self.blocks.last().map_or(0, |block| block.labels) } else { 0 };
        if let Some(label) = self.jumps.find_label(name, first) {
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
        let pc = self.label();
        self.jumps.add_label(Label { name, pc, line, active, depth: self.jumps.open_lists });
        self.resolve_jumps(JumpName::Label(name), active, first_goto, next_line)?;
        Ok(())
    }

    /// Resolves the pending jumps behind a loop that ends here, from place `first_goto` on. Returns whether variables were
    /// closed.
    pub(crate) fn resolve_breaks(&mut self, active: usize, first_goto: usize) -> Res<bool> {
        self.label();
        self.resolve_jumps(JumpName::Break, active, first_goto, 0)
    }

    /// Lets the pending jumps from place `first_goto` on end here, where `active` variables are active. Returns whether
    /// variables were closed.
    fn resolve_jumps(&mut self, name: JumpName, active: usize, first_goto: usize, error_line: u32) -> Res<bool> {
        let pc = self.pc();
        let mut needs_close = false;
        for goto in self.jumps.take_pending(name, first_goto) {
            if goto.active < active {
                let error = self.jump_into_scope(&goto, error_line);
                if !self.dialect.jumps_checked_last {
                    return Err(error);
                }
                // Of those that are told at the same place, the first one is told.
                let depth = self.blocks.len();
                if self.jump_errors.iter().all(|(of, _)| *of != depth) {
                    self.jump_errors.push((depth, error));
                }
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
        for goto in &mut self.jumps.gotos[block.gotos..] {
            if goto.level > level {
                goto.close |= block.needs_close;
            }
            goto.active = block.active;
            goto.level = level;
        }
    }

    /// The error of a jump that is still pending at the end of the function.
    pub(crate) fn pending_goto_error(&self, place: Place) -> Option<Box<Failure>> {
        let goto = self.jumps.gotos.iter().find(|goto| !goto.is_resolved)?;
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

    /// Whether a label with this name is visible, so that a jump to it goes backwards.
    pub(crate) fn has_label(&self, name: Name) -> bool {
        self.visible_label(name).is_some()
    }

    fn visible_label(&self, name: Name) -> Option<Label> {
        self.jumps.find_label(name, 0).filter(|label| !self.jumps.is_hidden(label)).copied()
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
