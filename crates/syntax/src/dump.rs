//! The text form of a syntax tree: S-expressions, one statement a line.
//!
//! ```text
//! (local (x <const>) 1)            local x <const> = 1
//! (if (< x 2)                      if x < 2 then
//!   ((call print x))                 print(x)
//!   else                           else
//!   ((return (. t "f"))))            return t.f
//! ```
//!
//! Calls are `(call callee args...)` and `(method obj name args...)`, indexing is `(. obj key)`, function
//! bodies are `(function (params...) statements...)`.

use std::fmt;

use perilune_base::index::Slice;
use perilune_base::num::format::write_float;

use crate::ast::{Attrib, Binding, Block, Chunk, ExprId, ExprKind, ExprList, Field, FuncBody, Name, StatKind, Varargs};

impl fmt::Display for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut printer = Printer { chunk: self, out: f, indent: 0 };
        for (index, stat) in self.stats[self.main.block.stats].iter().enumerate() {
            if index > 0 {
                printer.new_line()?;
            }
            printer.stat(&stat.kind)?;
        }
        Ok(())
    }
}

struct Printer<'a, 'f> {
    chunk: &'a Chunk,
    out: &'a mut fmt::Formatter<'f>,
    indent: usize,
}

impl Printer<'_, '_> {
    fn text(&mut self, text: &str) -> fmt::Result {
        self.out.write_str(text)
    }

    fn new_line(&mut self) -> fmt::Result {
        writeln!(self.out)?;
        write!(self.out, "{:width$}", "", width = 2 * self.indent)
    }

    fn name(&mut self, name: Name) -> fmt::Result {
        write!(self.out, "{}", self.chunk.name(name).escape_ascii())
    }

    /// Prints ` expr` for each expression of a list.
    fn exprs(&mut self, exprs: ExprList) -> fmt::Result {
        for &expr in &self.chunk.expr_lists[exprs] {
            self.text(" ")?;
            self.expr(expr)?;
        }
        Ok(())
    }

    fn bindings(&mut self, bindings: Slice<Binding>) -> fmt::Result {
        self.text("(")?;
        for (index, binding) in self.chunk.bindings[bindings].iter().enumerate() {
            if index > 0 {
                self.text(" ")?;
            }
            self.binding(binding)?;
        }
        self.text(")")
    }

    fn binding(&mut self, binding: &Binding) -> fmt::Result {
        self.name(binding.name)?;
        match binding.attrib {
            Attrib::None => Ok(()),
            Attrib::Const => self.text(" <const>"),
            Attrib::Close => self.text(" <close>"),
        }
    }

    /// Prints the statements of a block, indented, in parentheses.
    fn block(&mut self, block: &Block) -> fmt::Result {
        self.indent += 1;
        self.new_line()?;
        self.text("(")?;
        for (index, stat) in self.chunk.stats[block.stats].iter().enumerate() {
            if index > 0 {
                self.new_line()?;
                self.text(" ")?;
            }
            self.stat(&stat.kind)?;
        }
        self.indent -= 1;
        self.text(")")
    }

    fn function(&mut self, body: &FuncBody) -> fmt::Result {
        self.text("(function ")?;
        self.bindings(body.params)?;
        match body.varargs {
            Varargs::None => {}
            Varargs::Plain => self.text(" ...")?,
            Varargs::Named { name, .. } => {
                self.text(" ...")?;
                self.name(name.name)?;
            }
        }
        self.block(&body.block)?;
        self.text(")")
    }

    fn stat(&mut self, stat: &StatKind) -> fmt::Result {
        let chunk = self.chunk;
        self.text("(")?;
        match *stat {
            StatKind::Local { bindings, exprs } => {
                self.text("local ")?;
                self.bindings(bindings)?;
                self.exprs(exprs)?;
            }
            StatKind::Global { bindings, exprs, line: _ } => {
                self.text("global ")?;
                self.bindings(bindings)?;
                self.exprs(exprs)?;
            }
            StatKind::GlobalAll(attrib) => {
                self.text("global-all")?;
                if attrib == Attrib::Const {
                    self.text(" const")?;
                }
            }
            StatKind::GlobalFunction { binding, func } => {
                self.text("global-function ")?;
                self.name(chunk.bindings[binding].name)?;
                self.text(" ")?;
                self.expr(func)?;
            }
            StatKind::Assign { targets, exprs, line: _ } => {
                self.text("set (")?;
                for (index, &target) in chunk.expr_lists[targets].iter().enumerate() {
                    if index > 0 {
                        self.text(" ")?;
                    }
                    self.expr(target)?;
                }
                self.text(")")?;
                self.exprs(exprs)?;
            }
            StatKind::Call(call) => {
                self.text("do-call ")?;
                self.expr(call)?;
            }
            StatKind::Do(block) => {
                self.text("do")?;
                self.block(&block)?;
            }
            StatKind::While { cond, block } => {
                self.text("while ")?;
                self.expr(cond)?;
                self.block(&block)?;
            }
            StatKind::Repeat { block, cond } => {
                self.text("repeat")?;
                self.block(&block)?;
                self.text(" ")?;
                self.expr(cond)?;
            }
            StatKind::If { arms, otherwise } => {
                self.text("if")?;
                for arm in &chunk.arms[arms] {
                    self.text(" ")?;
                    self.expr(arm.cond)?;
                    self.block(&arm.block)?;
                }
                if let Some(block) = otherwise {
                    self.text(" else")?;
                    self.block(&block)?;
                }
            }
            StatKind::NumericFor { var, start, limit, step, block } => {
                self.text("for ")?;
                self.name(chunk.bindings[var].name)?;
                for expr in [Some(start), Some(limit), step].into_iter().flatten() {
                    self.text(" ")?;
                    self.expr(expr)?;
                }
                self.block(&block)?;
            }
            StatKind::GenericFor { vars, exprs, block } => {
                self.text("for-in ")?;
                self.bindings(vars)?;
                self.exprs(exprs)?;
                self.block(&block)?;
            }
            StatKind::Function { target, func } => {
                self.text("set-function ")?;
                self.expr(target)?;
                self.text(" ")?;
                self.expr(func)?;
            }
            StatKind::LocalFunction { binding, func } => {
                self.text("local-function ")?;
                self.name(chunk.bindings[binding].name)?;
                self.text(" ")?;
                self.expr(func)?;
            }
            StatKind::Return(exprs) => {
                self.text("return")?;
                self.exprs(exprs)?;
            }
            StatKind::Break => self.text("break")?,
            StatKind::Goto { name, line: _ } => {
                self.text("goto ")?;
                self.name(name)?;
            }
            StatKind::Label { name, next_line: _, is_last } => {
                self.text("label ")?;
                self.name(name)?;
                self.text(if is_last { " last" } else { "" })?;
            }
        }
        self.text(")")
    }

    /// Prints an expression. Left operands are not visited by recursion: their chains have no bound.
    fn expr(&mut self, expr: ExprId) -> fmt::Result {
        let chunk = self.chunk;
        let mut spine = Vec::new();
        let mut leftmost = expr;
        loop {
            let left = match chunk.exprs[leftmost].kind {
                ExprKind::Binop { op, lhs, .. } => {
                    write!(self.out, "({} ", op.text())?;
                    lhs
                }
                ExprKind::Index { obj, .. } => {
                    self.text("(. ")?;
                    obj
                }
                ExprKind::Call { callee, .. } => {
                    self.text("(call ")?;
                    callee
                }
                ExprKind::MethodCall { obj, .. } => {
                    self.text("(method ")?;
                    obj
                }
                _ => break,
            };
            spine.push(leftmost);
            leftmost = left;
        }
        self.operand(leftmost)?;
        for node in spine.into_iter().rev() {
            match chunk.exprs[node].kind {
                ExprKind::Binop { rhs: right, .. } | ExprKind::Index { key: right, .. } => {
                    self.text(" ")?;
                    self.expr(right)?;
                }
                ExprKind::Call { args, .. } => self.exprs(args)?,
                ExprKind::MethodCall { method, args, .. } => {
                    self.text(" ")?;
                    self.expr(method)?;
                    self.exprs(args)?;
                }
                _ => {}
            }
            self.text(")")?;
        }
        Ok(())
    }

    /// Prints an expression that has no left operand.
    fn operand(&mut self, expr: ExprId) -> fmt::Result {
        let chunk = self.chunk;
        match chunk.exprs[expr].kind {
            ExprKind::Nil => self.text("nil"),
            ExprKind::True => self.text("true"),
            ExprKind::False => self.text("false"),
            ExprKind::Int(int) => write!(self.out, "{int}"),
            ExprKind::Float(float) => {
                let mut text = Vec::new();
                write_float(&mut text, float);
                self.text(&String::from_utf8_lossy(&text))
            }
            ExprKind::Str(string) => {
                self.text("\"")?;
                self.name(string)?;
                self.text("\"")
            }
            ExprKind::Vararg => self.text("..."),
            ExprKind::Function(function) => self.function(&chunk.functions[function]),
            ExprKind::Name(name) => self.name(name),
            ExprKind::Paren(inner) => {
                self.text("(paren ")?;
                self.expr(inner)?;
                self.text(")")
            }
            ExprKind::Table { fields, line: _ } => self.table(&chunk.fields[fields]),
            ExprKind::Unop { op, operand, line: _ } => {
                write!(self.out, "({} ", op.text())?;
                self.expr(operand)?;
                self.text(")")
            }
            ExprKind::Binop { .. } | ExprKind::Index { .. } | ExprKind::Call { .. } | ExprKind::MethodCall { .. } => {
                self.expr(expr)
            }
        }
    }

    fn table(&mut self, fields: &[Field]) -> fmt::Result {
        self.text("(table")?;
        for field in fields {
            self.text(" ")?;
            match *field {
                Field::Positional(value) => self.expr(value)?,
                Field::Keyed { key, value } => {
                    self.text("[")?;
                    self.expr(key)?;
                    self.text("]=")?;
                    self.expr(value)?;
                }
            }
        }
        self.text(")")
    }
}
