//! `string`: bytes and pieces of strings that the trace has in a register.

use perilune_trace::ir::{Field, Helper, Op as Ir, Ref, Ty};
use perilune_vm::meta::Event;

use super::{Args, Replaced};
use crate::abort::Abort;
use crate::record::Recorder;
use crate::view::View;

/// Bytes that `string.byte` is followed for.
const MAX_BYTES: i64 = 8;

impl Recorder {
    /// `string.byte` of a few positions inside the string: how many they are is relied on.
    fn bytes(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let [s, start, end] = args.refs[..] else { return Ok(None) };
        if self.ty(s) != Ty::Str || self.ty(start) != Ty::Int || self.ty(end) != Ty::Int {
            return Ok(None);
        }
        let (first, last) = (args.seen[1].raw_int(), args.seen[2].raw_int());
        if first < 1 || last < first || last > view.string_len(args.seen[0]) as i64 || last - first >= MAX_BYTES {
            return Ok(None);
        }
        let (distance, expected) = (self.builder.value(Ir::Sub, &[end, start]), self.builder.int(last - first));
        self.guard(Ir::Eq, &[distance, expected])?;
        let len = self.load(Field::StrLen, s);
        let one = self.builder.int(1);
        let low = self.builder.value(Ir::Sub, &[start, one]);
        self.guard(Ir::Below, &[low, len])?;
        // The distance does not wrap around between two positions that are both inside.
        let high = self.builder.value(Ir::Sub, &[end, one]);
        self.guard(Ir::Below, &[high, len])?;
        let mut bytes = Vec::new();
        for n in 0..=last - first {
            let n = self.builder.int(n);
            let index = self.builder.value(Ir::Add, &[low, n]);
            bytes.push(self.builder.value(Ir::LoadByte, &[s, index]));
        }
        Ok(Some(bytes))
    }

    /// `string.byte` of one position inside the string.
    pub(super) fn byte(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let Some(&s) = args.refs.first() else { return Ok(None) };
        if self.ty(s) != Ty::Str || args.len() > 2 {
            return self.bytes(view, args);
        }
        let (position, seen) = match args.refs.get(1) {
            None => (self.builder.int(1), 1),
            Some(n) if self.ty(*n) == Ty::Int => (*n, args.seen[1].raw_int()),
            Some(_) => return Ok(None),
        };
        if seen == 0 {
            return Ok(None);
        }
        let len = self.load(Field::StrLen, s);
        let index = if seen > 0 {
            let one = self.builder.int(1);
            self.builder.value(Ir::Sub, &[position, one])
        } else {
            let zero = self.builder.int(0);
            self.guard(Ir::Lt, &[position, zero])?;
            self.builder.value(Ir::Add, &[len, position])
        };
        let size = view.string_len(args.seen[0]) as i64;
        let at = if seen > 0 { seen - 1 } else { size + seen };
        if !(0..size).contains(&at) {
            if seen > 0 {
                // A negative position is not below the length either, but may be one from the end.
                let zero = self.builder.int(0);
                self.guard(Ir::Gt, &[position, zero])?;
            }
            self.guard(Ir::NotBelow, &[index, len])?;
            return Ok(Some(Vec::new()));
        }
        self.guard(Ir::Below, &[index, len])?;
        Ok(Some(vec![self.builder.value(Ir::LoadByte, &[s, index])]))
    }

    /// The string of one byte, which is below 256.
    fn one_byte(&mut self, view: &View<'_>, byte: Ref) -> Result<Option<Ref>, Abort> {
        let Some(strings) = view.one_byte_strings() else { return Ok(None) };
        let strings = self.builder.pointer(strings);
        Ok(Some(self.builder.load_packed(strings, byte, Ty::Str)?))
    }

    pub(super) fn char(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let byte = args.refs[0];
        if !(0..256).contains(&args.seen[0].raw_int()) {
            return Err(Abort::Error);
        }
        let limit = self.builder.int(256);
        self.guard(Ir::Below, &[byte, limit])?;
        if let Some(made) = self.one_byte(view, byte)? {
            return Ok(Some(vec![made]));
        }
        let snap = self.service();
        let made = self.builder.call(Helper::StrChar, &[byte], Ty::Str, Some(snap));
        self.allocated = true;
        Ok(Some(vec![made]))
    }

    pub(super) fn sub(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let (s, start, end) = match args.refs[..] {
            [s, start] => (s, start, self.builder.int(-1)),
            [s, start, end] => (s, start, end),
            _ => return Ok(None),
        };
        if self.ty(s) != Ty::Str || self.ty(start) != Ty::Int || self.ty(end) != Ty::Int {
            return Ok(None);
        }
        if start == end
            && let Some(made) = self.sub_of_one(view, s, start, args)?
        {
            return Ok(Some(vec![made]));
        }
        let snap = self.service();
        let made = self.builder.call(Helper::StrSub, &[s, start, end], Ty::Str, Some(snap));
        self.allocated = true;
        Ok(Some(vec![made]))
    }

    /// `s:sub(i, i)` where there is such a byte: nothing is made.
    fn sub_of_one(&mut self, view: &View<'_>, s: Ref, position: Ref, args: &Args) -> Result<Option<Ref>, Abort> {
        let seen = args.seen[1].raw_int();
        if !(1..=view.string_len(args.seen[0]) as i64).contains(&seen) {
            return Ok(None);
        }
        let len = self.load(Field::StrLen, s);
        let one = self.builder.int(1);
        let index = self.builder.value(Ir::Sub, &[position, one]);
        self.guard(Ir::Below, &[index, len])?;
        let byte = self.builder.value(Ir::LoadByte, &[s, index]);
        self.one_byte(view, byte)
    }

    /// The text of a string is the string itself, unless the metatable of strings says something else.
    pub(super) fn text_of_string(&mut self, view: &View<'_>, string: Ref) -> Result<Option<Vec<Ref>>, Abort> {
        if let Some(meta) = view.string_metatable() {
            let holder = self.constant_of(meta.value())?;
            if self.own_field(holder, meta, view.event_name(Event::ToString))?.is_some() {
                return Err(Abort::Metamethod);
            }
        }
        Ok(Some(vec![string]))
    }
}
