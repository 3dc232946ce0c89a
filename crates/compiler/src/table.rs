//! Table constructors.
//!
//! A constructor whose items all have distinct constant names becomes one `newrecord`, its values in registers. Others
//! become `newtable`, with an instruction for each keyed item and a `setlist` for each run of positional ones.

use perilune_base::index::Slice;
use perilune_base::limits::MAX_RECORD;
use perilune_bytecode::ops::{Instr, Op};
use perilune_syntax::ast::{Expr, ExprId, ExprKind, Field, Name};

use crate::exp::{Exp, Kind, Reg};
use crate::failure::Res;
use crate::{Compiler, Records};

/// Positional items held in registers before they are stored (`LFIELDS_PER_FLUSH`).
const ITEMS_PER_FLUSH: u8 = 50;

/// Records are not built above this register, to leave room for what their values need.
const MAX_RECORD_REGISTER: usize = 160;

impl Compiler<'_> {
    /// `{ fields }`, whose brace opens in `line`.
    pub(crate) fn table(&mut self, fields: Slice<Field>, line: u32, node: &Expr) -> Res<Exp> {
        if let Some(names) = self.record_names(fields) {
            return self.record(fields, &names, line, node);
        }
        let base = self.fs.free;
        let pc = self.fs.emit_abc(Op::NewTable, base, 0, 0);
        self.fs.reserve(1)?;
        self.fs.at.line = line;
        let mut stored = 0i32;
        let mut to_store = 0u8;
        let mut keyed = 0usize;
        let mut pending = Exp::new(Kind::Void);
        for (index, &field) in self.chunk.fields[fields].iter().enumerate() {
            if index > 0 {
                self.consume_token(1);
            }
            if pending.kind != Kind::Void {
                self.fs.exp_to_next(&mut pending)?;
                pending = Exp::new(Kind::Void);
                if to_store == ITEMS_PER_FLUSH {
                    self.set_list(base, stored, to_store);
                    stored += i32::from(to_store);
                    to_store = 0;
                }
            }
            match field {
                Field::Positional(value) => {
                    pending = self.expr(value)?;
                    to_store += 1;
                }
                Field::Keyed { key, value } => {
                    self.keyed_item(base, key, value)?;
                    keyed += 1;
                }
            }
        }
        if pending.is_multi() {
            self.fs.set_returns(&pending, None)?;
            self.consumed(node.line, node.end);
            self.set_list(base, stored, 0);
            stored += i32::from(to_store) - 1;
        } else if to_store > 0 {
            self.consumed(node.line, node.end);
            if pending.kind != Kind::Void {
                self.fs.exp_to_next(&mut pending)?;
            }
            self.set_list(base, stored, to_store);
            stored += i32::from(to_store);
        }
        self.consumed(node.line, node.end);
        let keyed = u16::try_from(keyed).unwrap_or(u16::MAX);
        *self.fs.instr_mut(pc) = Instr::with_bc(Op::NewTable, base, keyed, stored);
        Ok(Exp::new(Kind::Reg(base)))
    }

    /// `[key] = value` or `key = value` in the table in `base`.
    fn keyed_item(&mut self, base: Reg, key: ExprId, value: ExprId) -> Res<()> {
        let free = self.fs.free;
        let mut key = self.expr(key)?;
        self.fs.exp_to_value(&mut key)?;
        let item = self.fs.indexed(Exp::new(Kind::Reg(base)), &mut key)?;
        let mut value = self.expr(value)?;
        self.fs.store(&item, &mut value)?;
        self.fs.free = free;
        Ok(())
    }

    /// Stores the `n` values above the table in `base`, or all up to the top for 0.
    fn set_list(&mut self, base: Reg, stored: i32, n: u8) {
        self.fs.emit(Instr::new(Op::SetList, base, n, 0, stored));
        self.fs.free = base + 1;
    }

    /// The names of the items, if they make a record.
    fn record_names(&self, fields: Slice<Field>) -> Option<Vec<Name>> {
        let top = usize::from(self.fs.free) + 1 + fields.len();
        let fits = (1..=MAX_RECORD).contains(&fields.len()) && top <= MAX_RECORD_REGISTER;
        if self.records == Records::Forbidden || !fits {
            return None;
        }
        let mut names = Vec::with_capacity(fields.len());
        for field in &self.chunk.fields[fields] {
            let Field::Keyed { key, .. } = *field else { return None };
            let ExprKind::Str(name) = self.chunk.exprs[key].kind else { return None };
            if names.contains(&name) {
                return None;
            }
            names.push(name);
        }
        Some(names)
    }

    /// A constructor of distinct names. The instruction counts to the line of the last value, so that it begins none.
    ///
    /// The reference makes the table first, and stores each item before the next one. Where its instruction would begin a
    /// line, ours does something harmless, so that the same lines have code, in the same order, for line hooks and breakpoints.
    fn record(&mut self, fields: Slice<Field>, names: &[Name], line: u32, node: &Expr) -> Res<Exp> {
        let base = self.fs.free;
        self.fs.reserve(1)?;
        let table_line = self.fs.at.line;
        self.fs.at.line = line;
        for (index, &field) in self.chunk.fields[fields].iter().enumerate() {
            if let Field::Keyed { key, value } = field {
                self.expr(key)?;
                // A function is made in the line of its end.
                let is_function = matches!(self.chunk.exprs[value].kind, ExprKind::Function(_));
                let value_line = if is_function { self.chunk.exprs[value].line } else { self.fs.at.line };
                if index == 0 && value_line != table_line {
                    self.fs.emit_abc(Op::LoadFalse, base, 0, 0);
                    self.fs.fix_line(table_line);
                }
                self.expr_to_next(value)?;
                if index + 1 < fields.len() {
                    self.line_of_item(base);
                }
            }
        }
        let keys = names.iter().map(|&name| self.fs.str_const(name)).collect();
        let template = self.fs.proto.templates.len() as i32;
        self.fs.proto.templates.push(keys);
        self.fs.emit(Instr::with_bc(Op::NewRecord, base, names.len() as u16, template));
        self.fs.free = base + 1;
        self.consumed(node.line, node.end);
        Ok(Exp::new(Kind::Reg(base)))
    }

    /// Lets some instruction count to the current line, where the reference would store the item that has been made: the one
    /// that made it, if it is a record and begins no line itself.
    fn line_of_item(&mut self, base: Reg) {
        let line = self.fs.at.line;
        let [.., before, last] = *self.fs.proto.lines else { return };
        if last == line {
            return;
        }
        if before == last && self.fs.op(self.fs.pc() - 1) == Op::NewRecord {
            self.fs.fix_line(line);
        } else {
            self.fs.emit_abc(Op::LoadFalse, base, 0, 0);
        }
    }
}
