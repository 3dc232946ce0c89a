//! The binary format of `string.dump` and `load`.
//!
//! All numbers are little endian and of fixed size; a list is its length as a `u32`, then its elements. Every length is
//! checked against what is left of the input before anything is allocated for it.
//!
//! ```text
//! chunk     header of the reference's format; FORMAT; version of the language; function
//! function  source: u8 0 for that of the enclosing function, 1 and string
//!           line_defined, last_line: u32; num_params, is_vararg, max_stack: u8
//!           code: list of u64; lines: list of u32
//!           consts: list of a tag and what it needs; caches: list of u32; templates: list of lists of u32
//!           upvals: list of name, in_stack, index, kind: u8; locals: list of name, start, end: u32
//!           protos: list of functions
//! string    list of bytes; a constant of SHARED_FROM bytes or more that occurs again is the number of its first occurrence
//! bool      u8 0 or 1
//! ```
//!
//! A chunk begins like one of the reference, byte for byte: programs check that header, and refuse what lacks it. What
//! follows it tells the two formats apart, so that chunks of the reference are refused with a reason.
//!
//! [`undump`] hands out only prototypes that the [verifier](crate::verify) accepts. What follows the function is ignored.

use std::collections::HashMap;
use std::fmt;

use perilune_base::dialect::LuaVersion;
use perilune_base::dialect::table::BinaryText;

use crate::ops::Instr;
use crate::proto::{Const, LocVar, Proto, UpvalDesc, VarKind};
use crate::verify::{MAX_NESTING, VerifyError, verify};

/// The first bytes of a binary chunk.
pub const SIGNATURE: &[u8] = b"\x1bLua";

/// The version of this format. A chunk of the reference has a number of upvalues here, and these bytes as one is absurd.
const FORMAT: &[u8] = b"\xa1Prl\x03";

/// The source of a function without debug information.
const UNKNOWN_SOURCE: &[u8] = b"=?";

/// What distinguishes a binary chunk from a text that was sent through a transfer of text.
const TRANSFER: &[u8] = b"\x19\x93\r\n\x1a\n";

/// The reference's header after the signature: version and format; bytes that a transfer as text would change; the sizes of
/// C's integers, instructions and numbers, with samples of them.
fn header(version: LuaVersion) -> Vec<u8> {
    let parts: [&[u8]; 3] = match version {
        LuaVersion::Lua51 => [b"\x51\0", b"", b"\x01\x04\x08\x04\x08\0"],
        LuaVersion::Lua52 => [b"\x52\0\x01\x04\x08\x04\x08\0", TRANSFER, b""],
        LuaVersion::Lua53 => [b"\x53\0", TRANSFER, b"\x04\x08\x04\x08\x08\x78\x56\0\0\0\0\0\0\0\0\0\0\0\x28\x77\x40"],
        LuaVersion::Lua54 => [b"\x54\0", TRANSFER, b"\x04\x08\x08\x78\x56\0\0\0\0\0\0\0\0\0\0\0\x28\x77\x40"],
        LuaVersion::Lua55 => [
            b"\x55\0",
            TRANSFER,
            b"\x04\x88\xa9\xff\xff\x04\x78\x56\x34\x12\x08\x88\xa9\xff\xff\xff\xff\xff\xff\x08\0\0\0\0\0\x28\x77\xc0",
        ],
    };
    parts.concat()
}

/// Why bytes are not a binary chunk that can be loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UndumpError {
    /// They do not begin with [`SIGNATURE`].
    NotBinary,
    /// They were dumped by another program, or another version of this one.
    Format,
    /// They were dumped under another version of the language.
    Version,
    /// They end too early.
    Truncated,
    /// They contain what no dump contains.
    Corrupted,
    /// The verifier rejects the function.
    Invalid(VerifyError),
}

impl UndumpError {
    /// What is wrong, in the words of a dialect.
    #[must_use]
    pub fn text(&self, words: BinaryText) -> String {
        let unsafe_code = |error: &VerifyError| format!("bad binary format ({error})");
        let what = match (self, words) {
            (UndumpError::NotBinary | UndumpError::Version | UndumpError::Format, BinaryText::In) => "bad header in",
            (UndumpError::Truncated, BinaryText::In) => "unexpected end in",
            (UndumpError::Corrupted, BinaryText::In) => "bad code in",
            (UndumpError::NotBinary, BinaryText::Chunk) => "not a",
            (UndumpError::Version, BinaryText::Chunk) => "version mismatch in",
            (UndumpError::Format, BinaryText::Chunk) => "format mismatch in",
            (UndumpError::Truncated, BinaryText::Chunk) => "truncated",
            (UndumpError::Corrupted, BinaryText::Chunk) => "corrupted",
            (UndumpError::NotBinary, BinaryText::Format) => return "bad binary format (not a binary chunk)".into(),
            (UndumpError::Version, BinaryText::Format) => return "bad binary format (version mismatch)".into(),
            (UndumpError::Format, BinaryText::Format) => return "bad binary format (format mismatch)".into(),
            (UndumpError::Truncated, BinaryText::Format) => return "bad binary format (truncated chunk)".into(),
            (UndumpError::Corrupted, BinaryText::Format) => return "bad binary format (corrupted chunk)".into(),
            (UndumpError::Invalid(error), _) => return unsafe_code(error),
        };
        format!("{what} precompiled chunk")
    }
}

impl fmt::Display for UndumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(BinaryText::Format))
    }
}

impl std::error::Error for UndumpError {}

/// Whether a chunk is meant to be binary: whether it begins with the first byte of [`SIGNATURE`].
#[must_use]
pub fn is_binary(chunk: &[u8]) -> bool {
    chunk.first() == SIGNATURE.first()
}

/// Whether a binary chunk that begins with these bytes is no dump made under this version, whatever follows.
#[must_use]
pub fn is_foreign(beginning: &[u8], version: LuaVersion) -> bool {
    let expected = [SIGNATURE, &header(version), FORMAT, &[version.as_u8()]].concat();
    beginning.len() >= expected.len() && !beginning.starts_with(&expected)
}

/// Writes a function as a binary chunk; with `strip`, without its debug information.
#[must_use]
pub fn dump(proto: &Proto, version: LuaVersion, strip: bool) -> Vec<u8> {
    let mut writer = Writer { strip, ..Writer::default() };
    writer.out.extend_from_slice(SIGNATURE);
    writer.out.extend_from_slice(&header(version));
    writer.out.extend_from_slice(FORMAT);
    writer.out.push(version.as_u8());
    writer.function(proto, None);
    writer.out
}

/// Reads a binary chunk and verifies it.
///
/// # Errors
///
/// If the bytes are not a dump made under this version of the language, or not safe to run.
pub fn undump(bytes: &[u8], version: LuaVersion) -> Result<Proto, UndumpError> {
    let mut reader = Reader { rest: bytes, size: bytes.len(), shared: Vec::new(), copied: 0 };
    let header = header(version);
    if version == LuaVersion::Lua52 && bytes.len() < SIGNATURE.len() + header.len() {
        // The header is read as a whole before it is looked at.
        return Err(UndumpError::Truncated);
    }
    reader.expect(SIGNATURE, UndumpError::NotBinary)?;
    reader.expect(&header, UndumpError::Version)?;
    reader.expect(FORMAT, UndumpError::Format)?;
    reader.expect(&[version.as_u8()], UndumpError::Version)?;
    let proto = reader.function(0)?;
    verify(&proto).map_err(UndumpError::Invalid)?;
    Ok(proto)
}

/// Length from which on constant strings are written but once.
const SHARED_FROM: usize = 16;

/// How many bytes of strings may be copied for each byte of a chunk, so that a small one does not fill the memory.
const MAX_COPIES: usize = 8;

#[derive(Default)]
struct Writer<'a> {
    out: Vec<u8>,
    strip: bool,
    /// Constant strings that were written, with their numbers.
    shared: HashMap<&'a [u8], u32>,
    /// How many numbers were given.
    numbered: u32,
    /// Bytes of strings that were not written again.
    copied: usize,
}

impl<'a> Writer<'a> {
    fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes the length of a list. The compiler makes none of 2^32 elements: sources are shorter.
    fn len(&mut self, len: usize) {
        self.u32(u32::try_from(len).unwrap_or(u32::MAX));
    }

    fn string(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.out.extend_from_slice(bytes);
    }

    fn u32s(&mut self, values: &[u32]) {
        self.len(values.len());
        for &value in values {
            self.u32(value);
        }
    }

    fn function(&mut self, proto: &'a Proto, enclosing_source: Option<&[u8]>) {
        let source: &[u8] = if self.strip { UNKNOWN_SOURCE } else { &proto.source };
        let source = match enclosing_source {
            Some(enclosing) if source.is_empty() || source == enclosing => {
                self.u8(0);
                enclosing
            }
            Some(_) | None => {
                self.u8(1);
                self.string(source);
                source
            }
        };
        self.u32(proto.line_defined);
        self.u32(proto.last_line);
        self.u8(proto.num_params);
        self.u8(u8::from(proto.is_vararg));
        self.u8(proto.max_stack);
        self.len(proto.code.len());
        for instr in &proto.code {
            self.u64(instr.0);
        }
        self.u32s(if self.strip { &[] } else { &proto.lines });
        self.len(proto.consts.len());
        for constant in &proto.consts {
            self.constant(constant);
        }
        self.u32s(&proto.caches);
        self.len(proto.templates.len());
        for template in &proto.templates {
            self.u32s(template);
        }
        self.len(proto.upvals.len());
        for upval in &proto.upvals {
            self.upval(upval);
        }
        let locals: &[LocVar] = if self.strip { &[] } else { &proto.locals };
        self.len(locals.len());
        for local in locals {
            self.string(&local.name);
            self.u32(local.start);
            self.u32(local.end);
        }
        self.len(proto.protos.len());
        for child in &proto.protos {
            self.function(child, Some(source));
        }
    }

    fn constant(&mut self, constant: &'a Const) {
        match constant {
            Const::Nil => self.u8(0),
            Const::Bool(false) => self.u8(1),
            Const::Bool(true) => self.u8(2),
            Const::Int(int) => {
                self.u8(3);
                self.u64(*int as u64);
            }
            Const::Float(float) => {
                self.u8(4);
                self.u64(float.to_bits());
            }
            Const::Str(bytes) => self.constant_string(bytes),
        }
    }

    fn constant_string(&mut self, bytes: &'a [u8]) {
        if bytes.len() >= SHARED_FROM {
            if let Some(&number) = self.shared.get(bytes)
                && self.copied + bytes.len() <= MAX_COPIES * self.out.len()
            {
                self.copied += bytes.len();
                self.u8(6);
                self.u32(number);
                return;
            }
            self.shared.insert(bytes, self.numbered);
            self.numbered += 1;
        }
        self.u8(5);
        self.string(bytes);
    }

    fn upval(&mut self, upval: &UpvalDesc) {
        self.string(if self.strip { b"" } else { &upval.name });
        self.u8(u8::from(upval.in_stack));
        self.u8(upval.index);
        self.u8(upval.kind as u8);
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    /// Length of the whole chunk.
    size: usize,
    /// Constant strings that may occur again.
    shared: Vec<Box<[u8]>>,
    copied: usize,
}

type Read<T> = Result<T, UndumpError>;

impl<'a> Reader<'a> {
    /// Reads bytes that must be these.
    fn expect(&mut self, expected: &[u8], error: UndumpError) -> Read<()> {
        let len = expected.len().min(self.rest.len());
        let (found, rest) = self.rest.split_at(len);
        if !expected.starts_with(found) {
            return Err(error);
        }
        if found.len() < expected.len() {
            return Err(UndumpError::Truncated);
        }
        self.rest = rest;
        Ok(())
    }

    fn bytes(&mut self, len: usize) -> Read<&'a [u8]> {
        let (found, rest) = self.rest.split_at_checked(len).ok_or(UndumpError::Truncated)?;
        self.rest = rest;
        Ok(found)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (found, rest) = self.rest.split_first_chunk().ok_or(UndumpError::Truncated)?;
        self.rest = rest;
        Ok(*found)
    }

    fn u8(&mut self) -> Read<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn bool(&mut self) -> Read<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(UndumpError::Corrupted),
        }
    }

    fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads the elements of a list, each of which takes at least `min_size` bytes.
    fn list<T>(&mut self, min_size: usize, mut element: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let len = self.u32()? as usize;
        if len > self.rest.len() / min_size {
            return Err(UndumpError::Truncated);
        }
        let mut elements = Vec::with_capacity(len);
        for _ in 0..len {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    fn string(&mut self) -> Read<Box<[u8]>> {
        let len = self.u32()? as usize;
        self.bytes(len).map(Box::from)
    }

    fn u32s(&mut self) -> Read<Vec<u32>> {
        self.list(4, Self::u32)
    }

    fn function(&mut self, depth: usize) -> Read<Proto> {
        if depth >= MAX_NESTING {
            return Err(UndumpError::Corrupted);
        }
        let source: Box<[u8]> = match self.bool()? {
            true => self.string()?,
            false if depth > 0 => Box::default(),
            false => return Err(UndumpError::Corrupted),
        };
        let line_defined = self.u32()?;
        let last_line = self.u32()?;
        let num_params = self.u8()?;
        let is_vararg = self.bool()?;
        let max_stack = self.u8()?;
        let code = self.list(8, |reader| reader.u64().map(Instr))?;
        let lines = self.u32s()?;
        let consts = self.list(1, Self::constant)?;
        let caches = self.u32s()?;
        let templates = self.list(4, |reader| reader.u32s().map(Vec::into_boxed_slice))?;
        let upvals = self.list(7, Self::upval)?;
        let locals = self.list(12, Self::local)?;
        let protos = self.list(44, |reader| reader.function(depth + 1))?;
        Ok(Proto {
            source,
            line_defined,
            last_line,
            num_params,
            is_vararg,
            max_stack,
            code,
            lines,
            consts,
            caches,
            templates,
            protos,
            upvals,
            locals,
        })
    }

    fn constant(&mut self) -> Read<Const> {
        Ok(match self.u8()? {
            0 => Const::Nil,
            1 => Const::Bool(false),
            2 => Const::Bool(true),
            3 => Const::Int(self.u64()? as i64),
            4 => Const::Float(f64::from_bits(self.u64()?)),
            5 => {
                let string = self.string()?;
                if string.len() >= SHARED_FROM {
                    self.shared.push(string.clone());
                }
                Const::Str(string)
            }
            6 => {
                let number = self.u32()? as usize;
                let string = self.shared.get(number).ok_or(UndumpError::Corrupted)?.clone();
                self.copied += string.len();
                if self.copied > MAX_COPIES * (self.size - self.rest.len()) {
                    return Err(UndumpError::Corrupted);
                }
                Const::Str(string)
            }
            _ => return Err(UndumpError::Corrupted),
        })
    }

    fn upval(&mut self) -> Read<UpvalDesc> {
        let name = self.string()?;
        let in_stack = self.bool()?;
        let index = self.u8()?;
        let kind = match self.u8()? {
            0 => VarKind::Regular,
            1 => VarKind::Const,
            2 => VarKind::ToBeClosed,
            _ => return Err(UndumpError::Corrupted),
        };
        Ok(UpvalDesc { name, in_stack, index, kind, is_assigned: true })
    }

    fn local(&mut self) -> Read<LocVar> {
        let name = self.string()?;
        let start = self.u32()?;
        let end = self.u32()?;
        Ok(LocVar { name, start, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Op;

    fn sample() -> Proto {
        let child = Proto {
            line_defined: 2,
            last_line: 3,
            num_params: 1,
            max_stack: 2,
            code: vec![Instr::new(Op::Return1, 0, 0, 0, 0)],
            lines: vec![3],
            locals: vec![LocVar { name: (*b"a").into(), start: 0, end: 1 }],
            ..Proto::default()
        };
        Proto {
            source: (*b"@x").into(),
            is_vararg: true,
            max_stack: 3,
            code: vec![
                Instr::new(Op::LoadK, 0, 0, 0, 0),
                Instr::new(Op::GetTabUp, 1, 0, 0, 0),
                Instr::new(Op::Closure, 2, 0, 0, 0),
                Instr::new(Op::Return0, 0, 0, 0, 0),
            ],
            lines: vec![1, 1, 2, 4],
            consts: vec![
                Const::Nil,
                Const::Bool(true),
                Const::Bool(false),
                Const::Int(i64::MIN),
                Const::Float(-0.0),
                Const::Str((*b"k\0").into()),
            ],
            caches: vec![5],
            templates: vec![[5].into()],
            protos: vec![child],
            upvals: vec![UpvalDesc {
                name: (*b"_ENV").into(),
                in_stack: true,
                index: 0,
                kind: VarKind::Regular,
                is_assigned: true,
            }],
            ..Proto::default()
        }
    }

    #[test]
    fn a_dump_reads_back_as_it_was() {
        let bytes = dump(&sample(), LuaVersion::Lua54, false);
        assert!(is_binary(&bytes));
        assert_eq!(undump(&bytes, LuaVersion::Lua54), Ok(sample()));
    }

    #[test]
    fn long_constants_are_written_once() {
        let text: Box<[u8]> = (*b"a string that is long enough").into();
        let consts = || vec![Const::Str(text.clone()), Const::Str((*b"short").into())];
        let child = || Proto { consts: consts(), ..sample() };
        let proto = Proto { protos: vec![child(), child()], consts: consts(), ..sample() };
        let bytes = dump(&proto, LuaVersion::Lua54, true);
        assert_eq!(bytes.windows(text.len()).filter(|window| **window == *text).count(), 1);
        let mut reader = Reader { rest: &bytes, size: bytes.len(), shared: Vec::new(), copied: 0 };
        reader.rest = &bytes[SIGNATURE.len() + header(LuaVersion::Lua54).len() + FORMAT.len() + 1..];
        let read = reader.function(0).unwrap();
        assert_eq!(read.protos[1].consts, consts());
    }

    #[test]
    fn a_stripped_dump_has_no_names_and_lines() {
        let bytes = dump(&sample(), LuaVersion::Lua54, true);
        let proto = undump(&bytes, LuaVersion::Lua54).unwrap();
        assert!(&*proto.source == UNKNOWN_SOURCE && proto.lines.is_empty() && proto.upvals[0].name.is_empty());
        assert!(proto.protos[0].locals.is_empty());
        assert_eq!(proto.code, sample().code);
        assert!(!bytes.windows(4).any(|window| window == b"_ENV"));
    }

    #[test]
    fn every_truncation_is_reported() {
        let bytes = dump(&sample(), LuaVersion::Lua54, false);
        for len in 0..bytes.len() {
            assert_eq!(undump(&bytes[..len], LuaVersion::Lua54), Err(UndumpError::Truncated), "{len}");
        }
    }

    #[test]
    fn other_formats_and_versions_are_refused() {
        let bytes = dump(&sample(), LuaVersion::Lua54, false);
        assert_eq!(undump(&bytes, LuaVersion::Lua53), Err(UndumpError::Version));
        let mut foreign = bytes.clone();
        foreign[SIGNATURE.len() + header(LuaVersion::Lua54).len()] = 1;
        assert_eq!(undump(&foreign, LuaVersion::Lua54), Err(UndumpError::Format));
        assert_eq!(undump(b"return", LuaVersion::Lua54), Err(UndumpError::NotBinary));
        let mut damaged = bytes;
        damaged[8] = b'\n';
        assert_eq!(undump(&damaged, LuaVersion::Lua54), Err(UndumpError::Version));
        let text = UndumpError::Truncated.to_string();
        assert_eq!(text, "bad binary format (truncated chunk)");
    }

    #[test]
    fn a_huge_length_allocates_nothing() {
        let mut bytes = dump(&sample(), LuaVersion::Lua54, false);
        let code_len = SIGNATURE.len() + header(LuaVersion::Lua54).len() + FORMAT.len() + 1 + 1 + 4 + 2 + 4 + 4 + 3;
        bytes[code_len..code_len + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(undump(&bytes, LuaVersion::Lua54), Err(UndumpError::Truncated));
    }
}
