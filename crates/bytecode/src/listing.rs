//! The disassembler: prototypes as text, numbered and without addresses, the same in every run.
//!
//! ```text
//! function <main:0,0> 1 upvalue, 2 registers, vararg
//!   0 [1] gettabup r0 u0 "print"
//!   1 [1] loadi r1 1
//!   2 [1] call r0 2 1
//!   3 [1] return0
//! ```
//!
//! | operand       | shown as                                            |
//! |---------------|------------------------------------------------------|
//! | register      | `r3`                                                 |
//! | upvalue       | `u3`                                                 |
//! | constant, key | its value                                            |
//! | jump          | `-> 7`, the instruction it goes to                   |
//! | condition     | `true -> 7`: the outcome that jumps                  |
//! | child         | `f0`                                                 |
//! | count, flag   | the number in the instruction                        |
//!
//! Local variables follow as `local a 1..5`, in the order of activation, with the instructions at which they live, upvalues
//! as `upvalue 0 _ENV r0`, with the register or upvalue of the enclosing function. Operands out of range show as `?`: the
//! listing of a prototype that was not verified is no error.

use std::fmt::{self, Write as _};

use perilune_base::num::format::{write_float, write_int};

use crate::ops::{Format, Instr, Op};
use crate::proto::{Const, Proto, VarKind};

/// The listing of a function and of the functions inside it.
#[must_use]
pub fn list(proto: &Proto) -> String {
    Listing(proto).to_string()
}

/// The instruction at `pc`, as a line of the listing shows it.
#[must_use]
pub fn instruction(proto: &Proto, pc: usize) -> impl fmt::Display + '_ {
    InstrText { proto, pc, instr: proto.code[pc] }
}

/// Displays the listing of a prototype.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a>(pub &'a Proto);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_function(f, self.0, "main")
    }
}

fn write_function(f: &mut fmt::Formatter<'_>, proto: &Proto, path: &str) -> fmt::Result {
    write!(f, "function <{path}:{},{}>", proto.line_defined, proto.last_line)?;
    let mut separator = "";
    for (count, what) in [
        (usize::from(proto.num_params), "parameter"),
        (proto.upvals.len(), "upvalue"),
        (usize::from(proto.max_stack), "register"),
    ] {
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            write!(f, "{separator} {count} {what}{plural}")?;
            separator = ",";
        }
    }
    if proto.is_vararg {
        write!(f, "{separator} vararg")?;
    }
    writeln!(f)?;
    for (pc, &instr) in proto.code.iter().enumerate() {
        write!(f, "  {pc}")?;
        if let Some(line) = proto.lines.get(pc) {
            write!(f, " [{line}]")?;
        }
        writeln!(f, " {}", InstrText { proto, pc, instr })?;
    }
    for local in &proto.locals {
        writeln!(f, "  local {} {}..{}", Bytes(&local.name), local.start, local.end)?;
    }
    for (index, upval) in proto.upvals.iter().enumerate() {
        let origin = if upval.in_stack { 'r' } else { 'u' };
        let kind = match upval.kind {
            VarKind::Regular => "",
            VarKind::Const => " <const>",
            VarKind::ToBeClosed => " <close>",
        };
        writeln!(f, "  upvalue {index} {} {origin}{}{kind}", Bytes(&upval.name), upval.index)?;
    }
    for (index, child) in proto.protos.iter().enumerate() {
        write_function(f, child, &format!("{path}.f{index}"))?;
    }
    Ok(())
}

/// One instruction of a listing.
struct InstrText<'a> {
    proto: &'a Proto,
    pc: usize,
    instr: Instr,
}

impl fmt::Display for InstrText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(op) = self.instr.op() else {
            return write!(f, "? {:#018x}", self.instr.0);
        };
        f.write_str(op.mnemonic())?;
        self.write_operands(f, op)
    }
}

impl InstrText<'_> {
    fn write_operands(&self, f: &mut fmt::Formatter<'_>, op: Op) -> fmt::Result {
        let i = self.instr;
        let (a, b, c, d) = (i.a(), i.b(), i.c(), i.d());
        match op.format() {
            Format::None => Ok(()),
            Format::A => write!(f, " r{a}"),
            Format::AB => write!(f, " r{a} r{b}"),
            Format::ABC => write!(f, " r{a} r{b} r{c}"),
            Format::AImm => write!(f, " r{a} {d}"),
            Format::AK => write!(f, " r{a} {}", self.constant(d)),
            Format::ACount => write!(f, " r{a} {b}"),
            Format::AUp => write!(f, " r{a} u{b}"),
            Format::ABK => write!(f, " r{a} r{b} {}{}", self.constant(d), flag(c)),
            Format::ABImm => write!(f, " r{a} r{b} {d}{}", flag(c)),
            Format::ACImm => write!(f, " r{a} {d} r{c}"),
            Format::ABCache => write!(f, " r{a} r{b} {}", self.cache_key(d)),
            Format::ACCache => write!(f, " r{a} {} r{c}", self.cache_key(d)),
            Format::AUpCache => write!(f, " r{a} u{b} {}", self.cache_key(d)),
            Format::UpCCache => write!(f, " u{b} {} r{c}", self.cache_key(d)),
            Format::NewTable => write!(f, " r{a} {d} {}", i.bc()),
            Format::NewRecord => {
                write!(f, " r{a}")?;
                self.write_template(f, d)
            }
            Format::SetList => write!(f, " r{a} {b} {d}"),
            Format::Concat => write!(f, " r{a} r{b} {c}"),
            Format::Jump => write!(f, " -> {}", self.target(d)),
            Format::ACond => write!(f, " r{a}{}", self.condition()),
            Format::ABCond => write!(f, " r{a} r{b}{}", self.condition()),
            Format::AKCond => {
                write!(f, " r{a} {}{}", self.constant(i32::from(i.bc())), self.condition())
            }
            Format::AImmCond => write!(f, " r{a} {}{}", i.imm(), self.condition()),
            Format::Call => write!(f, " r{a} {b} {c}"),
            Format::Return => write!(f, " r{a} {b}{}", flag(c)),
            Format::AJump => write!(f, " r{a} -> {}", self.target(d)),
            Format::TForCall => write!(f, " r{a} {c}"),
            Format::Closure => write!(f, " r{a} f{d}"),
            Format::VarArg => write!(f, " r{a} {c}"),
            Format::VarArgOf => write!(f, " r{a} r{b} {c}"),
        }
    }

    fn target(&self, offset: i32) -> i64 {
        self.pc as i64 + 1 + i64::from(offset)
    }

    fn condition(&self) -> String {
        format!(" {} -> {}", self.instr.cond(), self.target(self.instr.cond_offset()))
    }

    fn constant(&self, index: i32) -> String {
        let found = usize::try_from(index).ok().and_then(|index| self.proto.consts.get(index));
        found.map_or_else(|| "?".to_owned(), constant_text)
    }

    fn cache_key(&self, index: i32) -> String {
        let found = usize::try_from(index).ok().and_then(|index| self.proto.caches.get(index));
        found.map_or_else(|| "?".to_owned(), |&key| self.constant(key as i32))
    }

    fn write_template(&self, f: &mut fmt::Formatter<'_>, index: i32) -> fmt::Result {
        let found = usize::try_from(index).ok().and_then(|index| self.proto.templates.get(index));
        let Some(keys) = found else { return f.write_str(" ?") };
        keys.iter().try_for_each(|&key| write!(f, " {}", self.constant(key as i32)))
    }
}

/// A flag, if it is set.
fn flag(c: u8) -> String {
    if c == 0 { String::new() } else { format!(" {c}") }
}

fn constant_text(constant: &Const) -> String {
    match constant {
        Const::Nil => "nil".to_owned(),
        Const::Bool(bool) => bool.to_string(),
        Const::Int(int) => number_text(|out| write_int(out, *int)),
        Const::Float(float) => number_text(|out| write_float(out, *float)),
        Const::Str(bytes) => format!("\"{}\"", Bytes(bytes)),
    }
}

fn number_text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut text = Vec::new();
    write(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Bytes as printable ASCII.
struct Bytes<'a>(&'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().try_for_each(|byte| f.write_char(char::from(byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{LocVar, UpvalDesc};

    #[test]
    fn every_format_prints_and_unknown_operands_are_question_marks() {
        let code = Op::ALL.iter().map(|&op| Instr::new(op, 1, 2, 3, 40)).collect();
        let proto = Proto { code, ..Proto::default() };
        let text = list(&proto);
        assert_eq!(text.lines().count(), Op::ALL.len() + 1);
        assert!(text.contains("loadk r1 ?\n"), "{text}");
        assert!(text.contains("eqk r1 ? false -> "), "{text}");
    }

    #[test]
    fn constants_show_their_values() {
        let proto = Proto {
            max_stack: 2,
            is_vararg: true,
            code: vec![
                Instr::new(Op::LoadK, 0, 0, 0, 0),
                Instr::new(Op::AddK, 0, 1, 1, 1),
                Instr::new(Op::GetTabUp, 0, 0, 0, 0),
                Instr::with_bc(Op::NewRecord, 0, 1, 0),
                Instr(0xff),
            ],
            lines: vec![1, 1, 2, 3, 3],
            consts: vec![Const::Float(1.0), Const::Int(-7), Const::Str((*b"a\"\x80").into())],
            caches: vec![2],
            templates: vec![[2].into()],
            locals: vec![LocVar { name: (*b"x").into(), start: 1, end: 4 }],
            upvals: vec![UpvalDesc {
                name: (*b"_ENV").into(),
                in_stack: true,
                index: 0,
                kind: VarKind::Const,
                is_assigned: true,
            }],
            ..Proto::default()
        };
        let expected = r#"function <main:0,0> 1 upvalue, 2 registers, vararg
  0 [1] loadk r0 1.0
  1 [1] addk r0 r1 -7 1
  2 [2] gettabup r0 u0 "a\"\x80"
  3 [3] newrecord r0 "a\"\x80"
  4 [3] ? 0x00000000000000ff
  local x 1..4
  upvalue 0 _ENV r0 <const>
"#;
        assert_eq!(list(&proto), expected);
    }
}
