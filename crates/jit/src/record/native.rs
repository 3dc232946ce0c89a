//! Library functions that hot code calls.
//!
//! | the function | becomes |
//! |---|---|
//! | does what IR operations do | these operations |
//! | has no effect, and runs no Lua code for arguments of these types | a helper's call of the function itself |
//! | anything else | a call out of the tree |

use perilune_runtime::object::may_have_holes;
use perilune_runtime::value::{Tag, Value};
use perilune_trace::ir::{ExitKind, Field, Helper, Op as Ir, Ref, Ty};
use perilune_vm::meta::Event;
use perilune_vm::native::Intrinsic;

use super::Recorder;
use super::loops::int_of;
use crate::abort::Abort;
use crate::view::{TableView, View};

/// The results of a function that the recorder has replaced; `None` leaves it to the next way of calling it.
type Replaced = Result<Option<Vec<Ref>>, Abort>;

/// The arguments of a call: what the trace and what the VM has.
struct Args {
    refs: Vec<Ref>,
    seen: Vec<Value>,
}

impl Args {
    fn len(&self) -> usize {
        self.refs.len()
    }
}

/// Results of a native function that were not there yet when its call was recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// The first one's slot.
    func: u32,
    /// How many there will be; negative for as many as the function gives.
    wanted: i32,
    /// Whether they become an open list.
    is_open: bool,
    /// How many there are.
    count: Ref,
    /// The snapshot in front of the call.
    before: perilune_trace::ir::SnapId,
    /// Whether they are those of a tail call.
    is_tail: bool,
}

/// Bytes that `string.byte` is followed for.
const MAX_BYTES: i64 = 8;

/// Values that `table.unpack` is followed for.
const MAX_UNPACKED: u64 = 8;

/// Results of a call that a trace takes when it takes all: each of them is an instruction or two.
const MAX_RESULTS: u32 = 250;

/// How many results a function always has, if it must not run a second time: what is wrong with its results is seen only
/// after it has run.
fn count_of(intrinsic: Intrinsic) -> Option<i32> {
    match intrinsic {
        Intrinsic::TableInsert => Some(0),
        Intrinsic::TableRemove | Intrinsic::MathRandom => Some(1),
        _ => None,
    }
}

/// Whether argument `n` (from 0) of a function is an integer, even where the language has none.
fn takes_int(intrinsic: Intrinsic, n: usize) -> bool {
    match intrinsic {
        Intrinsic::StringByte | Intrinsic::StringSub => n == 1 || n == 2,
        Intrinsic::StringChar => true,
        Intrinsic::Select => n == 0,
        _ => false,
    }
}

impl Recorder {
    /// The call of a native function: its results, or `None` when they will be in their places.
    pub(super) fn native(
        &mut self,
        view: &View<'_>,
        function: Ref,
        seen: Value,
        func: u32,
        nargs: u32,
        nresults: i32,
    ) -> Result<Option<Vec<Ref>>, Abort> {
        let intrinsic = Intrinsic::of(view.intrinsic(seen));
        let mut args = Args { refs: Vec::new(), seen: Vec::new() };
        for n in 0..nargs {
            let value = self.seen(view, func + 1 + n);
            args.refs.push(self.slot(func + 1 + n, value)?);
            args.seen.push(value);
        }
        self.guard_native(view, function, seen)?;
        if let Some(results) = self.replaced(view, intrinsic, seen, &args)? {
            self.fuel += 1;
            return Ok(Some(results));
        }
        if self.in_tail && self.frames.len() == 1 {
            // How many results the caller wants is not known.
            return Err(Abort::LeftLoop);
        }
        if self.in_tail && self.frame().protected.is_some_and(|wanted| wanted >= 0) {
            // Behind a protected call with so many results nobody sees how many there were.
            return Err(Abort::OpenResults);
        }
        if let Some(helper) = self.directly(view, intrinsic, &args, if self.in_tail { -1 } else { nresults }) {
            let always = count_of(intrinsic);
            if self.in_tail && (always.is_some() || self.fuel == 0) {
                // The results are looked at when no snapshot can tell that the call has run, but not its return: it runs again
                // if they are others, and what it has cost is taken off what the path has.
                return Err(Abort::Native);
            }
            self.call_directly(
                helper,
                function,
                func,
                &args.refs,
                always.filter(|_| nresults < 0).unwrap_or(nresults),
            )?;
            if let Some(pending) = &mut self.pending {
                pending.is_open = nresults < 0;
            }
            return Ok(None);
        }
        self.call_out(view, function, seen, (func, nargs, nresults))?;
        Ok(None)
    }

    /// As [`Recorder::replace`], in any version: where all numbers are floats, functions that are about integers get and
    /// give floats.
    fn replaced(&mut self, view: &View<'_>, intrinsic: Intrinsic, function: Value, args: &Args) -> Replaced {
        if view.dialect().integers {
            return self.replace(view, intrinsic, function, args);
        }
        let mut narrow = Args { refs: args.refs.clone(), seen: args.seen.clone() };
        for n in 0..args.len() {
            // Values that C's `int` cannot hold are for the function.
            let int = int_of(args.seen[n]).filter(|int| i32::try_from(*int).is_ok());
            if let Some(int) = int.filter(|_| takes_int(intrinsic, n)) {
                narrow.refs[n] = self.int_of(args.refs[n])?;
                narrow.seen[n] = Value::int(int);
            }
        }
        let results = self.replace(view, intrinsic, function, &narrow)?;
        Ok(results.map(|values| values.into_iter().map(|value| self.number_of(view, value)).collect()))
    }

    fn replace(&mut self, view: &View<'_>, intrinsic: Intrinsic, function: Value, args: &Args) -> Replaced {
        match intrinsic {
            Intrinsic::MathFloor | Intrinsic::MathCeil => self.rounded(view, intrinsic, args),
            Intrinsic::MathAbs => self.absolute(args),
            Intrinsic::MathMax | Intrinsic::MathMin => self.extreme(intrinsic == Intrinsic::MathMax, args),
            Intrinsic::MathSqrt => Ok(self.float_arg(args).map(|x| vec![self.builder.value(Ir::FSqrt, &[x])])),
            Intrinsic::MathSin => self.float_helper(Helper::Sin, args),
            Intrinsic::MathCos => self.float_helper(Helper::Cos, args),
            Intrinsic::MathTan => self.float_helper(Helper::Tan, args),
            Intrinsic::MathExp => self.float_helper(Helper::Exp, args),
            Intrinsic::MathLog if args.len() == 1 => self.float_helper(Helper::Log, args),
            Intrinsic::MathFmod => self.remainder(args),
            Intrinsic::MathToInteger if args.len() == 1 && self.ty(args.refs[0]) == Ty::Int => {
                Ok(Some(vec![args.refs[0]]))
            }
            Intrinsic::StringLen if args.len() == 1 && self.ty(args.refs[0]) == Ty::Str => {
                Ok(Some(vec![self.load(Field::StrLen, args.refs[0])]))
            }
            Intrinsic::StringByte => self.byte(view, args),
            Intrinsic::StringChar if args.len() == 1 && self.ty(args.refs[0]) == Ty::Int => self.char(view, args),
            Intrinsic::StringSub => self.sub(view, args),
            Intrinsic::Type if args.len() == 1 => {
                let name = view.type_name(args.seen[0]).ok_or(Abort::Types)?;
                Ok(Some(vec![self.constant_of(name)?]))
            }
            Intrinsic::MathType if args.len() == 1 => self.math_type(view, args),
            Intrinsic::Assert if !args.refs.is_empty() => {
                if matches!(self.ty(args.refs[0]), Ty::Nil | Ty::False) {
                    return Err(Abort::Error);
                }
                Ok(Some(args.refs.clone()))
            }
            Intrinsic::BitAnd
            | Intrinsic::BitOr
            | Intrinsic::BitXor
            | Intrinsic::BitNot
            | Intrinsic::BitLshift
            | Intrinsic::BitRshift
            | Intrinsic::BitLrotate
            | Intrinsic::BitRrotate
            | Intrinsic::BitArshift
            | Intrinsic::BitExtract
            | Intrinsic::BitTest => Ok(self.bits(intrinsic, &args.refs, &args.seen)?.map(|word| vec![word])),
            Intrinsic::Select => self.select(view, args),
            Intrinsic::RawGet if args.len() == 2 => self.raw_get(view, args),
            Intrinsic::RawLen if args.len() == 1 => self.raw_len(args),
            Intrinsic::RawEqual if args.len() == 2 => self.raw_equal(args),
            Intrinsic::Ipairs if args.len() == 1 => {
                let step = self.constant_of(view.native_upvalue(function).ok_or(Abort::Native)?)?;
                Ok(Some(vec![step, args.refs[0], self.builder.int(0)]))
            }
            Intrinsic::Pairs if args.len() == 1 => self.pairs(view, function, args),
            Intrinsic::SetMetatable if args.len() == 2 => self.set_metatable(view, args),
            Intrinsic::CoroutineStatus => self.coroutine_status(view, args),
            Intrinsic::Unpack if args.len() == 1 => self.unpack(view, args),
            Intrinsic::GetMetatable if args.len() == 1 => self.get_metatable(view, args),
            Intrinsic::TableInsert if args.len() == 2 => self.insert_last(view, args),
            Intrinsic::TableRemove | Intrinsic::TableRemoveOld if args.len() == 1 => self.remove_last(view, args),
            Intrinsic::ToString if args.len() == 1 && self.ty(args.refs[0]) == Ty::Str => {
                self.text_of_string(view, args.refs[0])
            }
            Intrinsic::ToNumber if args.len() == 1 && matches!(self.ty(args.refs[0]), Ty::Int | Ty::Float) => {
                Ok(Some(vec![args.refs[0]]))
            }
            _ => Ok(None),
        }
    }

    // Numbers.

    /// The first argument as a float.
    fn float_arg(&mut self, args: &Args) -> Option<Ref> {
        let x = *args.refs.first()?;
        matches!(self.ty(x), Ty::Int | Ty::Float).then(|| self.float_of(x))
    }

    fn float_helper(&mut self, helper: Helper, args: &Args) -> Replaced {
        Ok(self.float_arg(args).map(|x| vec![self.builder.call(helper, &[x], Ty::Float, None)]))
    }

    fn rounded(&mut self, view: &View<'_>, intrinsic: Intrinsic, args: &Args) -> Replaced {
        let Some(&x) = args.refs.first() else { return Ok(None) };
        match self.ty(x) {
            Ty::Int => Ok(Some(vec![x])),
            Ty::Float => {
                let op = if intrinsic == Intrinsic::MathFloor { Ir::FFloor } else { Ir::FCeil };
                let float = self.builder.value(op, &[x]);
                if !view.dialect().integers {
                    return Ok(Some(vec![float]));
                }
                let seen = args.seen[0].raw_float();
                let seen = if op == Ir::FFloor { seen.floor() } else { seen.ceil() };
                if perilune_base::num::convert::float_to_int(seen).is_none() {
                    return Ok(None);
                }
                let snap = self.snap();
                Ok(Some(vec![self.builder.float_to_int(float, snap)]))
            }
            _ => Ok(None),
        }
    }

    fn absolute(&mut self, args: &Args) -> Replaced {
        let Some(&x) = args.refs.first() else { return Ok(None) };
        match self.ty(x) {
            Ty::Float => Ok(Some(vec![self.builder.value(Ir::FAbs, &[x])])),
            Ty::Int => {
                // The smallest integer is its own negation, here as there.
                let negated = self.builder.value(Ir::Neg, &[x]);
                Ok(Some(vec![self.builder.value(Ir::IMax, &[x, negated])]))
            }
            _ => Ok(None),
        }
    }

    fn extreme(&mut self, is_max: bool, args: &Args) -> Replaced {
        let Some(ty) = args.refs.first().map(|x| self.ty(*x)) else { return Ok(None) };
        if args.refs.iter().any(|x| self.ty(*x) != ty) {
            return Ok(None);
        }
        let op = match (ty, is_max) {
            (Ty::Int, true) => Ir::IMax,
            (Ty::Int, false) => Ir::IMin,
            (Ty::Float, true) => Ir::FMax,
            (Ty::Float, false) => Ir::FMin,
            _ => return Ok(None),
        };
        let mut best = args.refs[0];
        for x in &args.refs[1..] {
            best = self.builder.value(op, &[best, *x]);
        }
        Ok(Some(vec![best]))
    }

    fn remainder(&mut self, args: &Args) -> Replaced {
        let [x, y] = args.refs[..] else { return Ok(None) };
        match (self.ty(x), self.ty(y)) {
            (Ty::Float, Ty::Float | Ty::Int) | (Ty::Int, Ty::Float) => {
                let (x, y) = (self.float_of(x), self.float_of(y));
                Ok(Some(vec![self.builder.call(Helper::FRem, &[x, y], Ty::Float, None)]))
            }
            _ => Ok(None),
        }
    }

    fn math_type(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let name = match self.ty(args.refs[0]) {
            Ty::Int => view.interned(b"integer"),
            Ty::Float => view.interned(b"float"),
            _ => return Ok(Some(vec![self.builder.primitive(Ty::Nil)])),
        };
        Ok(Some(vec![self.constant_of(name)?]))
    }

    // Strings.

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
    fn byte(&mut self, view: &View<'_>, args: &Args) -> Replaced {
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

    fn char(&mut self, view: &View<'_>, args: &Args) -> Replaced {
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

    fn sub(&mut self, view: &View<'_>, args: &Args) -> Replaced {
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

    // Tables.

    fn raw_get(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let Some(table) = view.table(args.seen[0]) else { return Ok(None) };
        Ok(Some(vec![self.element(view, args.refs[0], table, args.refs[1], args.seen[1])?]))
    }

    fn raw_len(&mut self, args: &Args) -> Replaced {
        let x = args.refs[0];
        match self.ty(x) {
            Ty::Table => Ok(Some(vec![self.load(Field::Len, x)])),
            Ty::Str => Ok(Some(vec![self.load(Field::StrLen, x)])),
            _ => Ok(None),
        }
    }

    fn raw_equal(&mut self, args: &Args) -> Replaced {
        let (x, y) = (args.refs[0], args.refs[1]);
        if self.ty(x) != Ty::Table || self.ty(y) != Ty::Table {
            return Ok(None);
        }
        let outcome = args.seen[0].raw_equals(args.seen[1]);
        self.guard(if outcome { Ir::Eq } else { Ir::Ne }, &[x, y])?;
        Ok(Some(vec![self.boolean(outcome)]))
    }

    fn pairs(&mut self, view: &View<'_>, function: Value, args: &Args) -> Replaced {
        let Some(table) = view.table(args.seen[0]) else { return Ok(None) };
        if self.handler(view, args.refs[0], table, Event::Pairs)?.is_some() {
            return Ok(None);
        }
        let next = self.constant_of(view.native_upvalue(function).ok_or(Abort::Native)?)?;
        let mut results = vec![next, args.refs[0]];
        results.resize(view.dialect().pairs_results, self.builder.primitive(Ty::Nil));
        Ok(Some(results))
    }

    /// `setmetatable` of a table that had none, to one without finalizer.
    fn set_metatable(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let (object, meta) = (args.refs[0], args.refs[1]);
        let (Some(table), Some(meta_view)) = (view.table(args.seen[0]), view.table(args.seen[1])) else {
            return Ok(None);
        };
        if table.meta().is_some() || meta_view.is_dictionary() {
            return Ok(None);
        }
        if self.own_field(meta, meta_view, view.event_name(Event::Gc))?.is_some() {
            return Ok(None);
        }
        let loaded = self.load(Field::Meta, object);
        let null = self.builder.pointer(0);
        self.guard(Ir::Eq, &[loaded, null])?;
        let site = (self.frame().proto, self.pc);
        if meta_view.is_shared() && self.met.metatable(site, table.shape(), meta_view.address()) {
            // What follows will look for fields through this very metatable.
            let known = self.constant_of(args.seen[1])?;
            self.guard(Ir::Eq, &[meta, known])?;
            let address = self.builder.pointer(meta_view.address());
            self.builder.store_field(Field::Meta, object, address);
            self.barrier(object, known);
        } else {
            self.builder.store_field(Field::Meta, object, meta);
            self.barrier(object, meta);
        }
        Ok(Some(vec![object]))
    }

    fn get_metatable(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let Some(table) = view.table(args.seen[0]) else { return Ok(None) };
        let Some((meta, meta_view)) = self.metatable(args.refs[0], table)? else {
            return Ok(Some(vec![self.builder.primitive(Ty::Nil)]));
        };
        let protected = self.own_field(meta, meta_view, view.event_name(Event::Metatable))?;
        Ok(Some(vec![protected.map_or(meta, |(value, _)| value)]))
    }

    /// Whether the functions of `table` find in a table's metatable none of the handlers that they would ask, relied on.
    fn is_list(&mut self, view: &View<'_>, object: Ref, table: TableView, events: &[Event]) -> Result<bool, Abort> {
        for event in events {
            if self.handler(view, object, table, *event)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `table.insert(t, v)`.
    fn insert_last(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let Some(table) = view.table(args.seen[0]) else { return Ok(None) };
        let object = args.refs[0];
        if self.ty(args.refs[1]) == Ty::Nil || !self.is_list(view, object, table, &[Event::Len, Event::NewIndex])? {
            return Ok(None);
        }
        let len = self.load(Field::Len, object);
        let one = self.builder.int(1);
        let key = self.builder.value(Ir::Add, &[len, one]);
        self.write_int(view, object, table, key, args.refs[1], table.len() as i64 + 1)?;
        Ok(Some(Vec::new()))
    }

    /// `table.remove(t)` of a list that is not empty.
    fn remove_last(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let Some(table) = view.table(args.seen[0]) else { return Ok(None) };
        let object = args.refs[0];
        // The element is there, so neither reading nor removing it asks a handler.
        if table.len() == 0 || !self.is_list(view, object, table, &[Event::Len])? {
            return Ok(None);
        }
        let len = self.load(Field::Len, object);
        let last = self.int_element(object, table, len, table.len() as i64)?;
        if may_have_holes(table.kind()) {
            // There may be nil below it, where the list ends then.
            let nil = self.builder.primitive(Ty::Nil);
            self.store_with_helper(Helper::SetInt, &[object, len, nil]);
        } else {
            let one = self.builder.int(1);
            let shorter = self.builder.value(Ir::Sub, &[len, one]);
            self.builder.store_field(Field::Len, object, shorter);
        }
        Ok(Some(vec![last]))
    }

    // Arguments.

    fn select(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let (Some(&n), Some(&seen)) = (args.refs.first(), args.seen.first()) else { return Ok(None) };
        let count = args.len() as i64;
        if seen.tag == Tag::Str {
            if !self.builder.tree().is_const(n) || view.string_byte(seen, 0) != Some(b'#') {
                return Ok(None);
            }
            return Ok(Some(vec![self.builder.int(count - 1)]));
        }
        if self.ty(n) != Ty::Int {
            return Ok(None);
        }
        if self.frames.len() == 1 && self.frame().always.is_some() && !self.builder.tree().is_const(n) {
            // A loop over the root frame's variable arguments: each round has another index.
            return Ok(None);
        }
        let index = seen.raw_int();
        let first = if index < 0 { count.saturating_add(index) } else { index.min(count) };
        if first < 1 {
            return Err(Abort::Error);
        }
        let expected = self.builder.int(index);
        self.guard(Ir::Eq, &[n, expected])?;
        Ok(Some(args.refs[first as usize..].to_vec()))
    }

    /// `table.unpack(t)` of a short list: how long it is is relied on.
    fn unpack(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let Some(table) = view.table(args.seen[0]) else { return Ok(None) };
        if table.meta().is_some() || table.len() > MAX_UNPACKED {
            return Ok(None);
        }
        let object = args.refs[0];
        if !self.guard_plain(args, 0) {
            return Ok(None);
        }
        let (len, seen) = (self.load(Field::Len, object), table.len() as i64);
        let expected = self.builder.int(seen);
        self.decide(Ir::Eq, &[len, expected])?;
        let mut values = Vec::new();
        for n in 1..=seen {
            let key = self.builder.int(n);
            values.push(self.int_element(object, table, key, n)?);
        }
        Ok(Some(values))
    }

    /// `coroutine.status`: what a coroutine is doing decides the way that the path goes.
    fn coroutine_status(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let Some(co) = args.seen.first().and_then(|seen| seen.as_thread()) else { return Ok(None) };
        let status = self.load(Field::Status, args.refs[0]);
        let expected = self.builder.int(view.status(co));
        self.decide(Ir::Eq, &[status, expected])?;
        let name = view.interned(perilune_vm::control::status_of(co).as_bytes());
        Ok(Some(vec![self.constant_of(name)?]))
    }

    // Functions that are called as they are.

    /// The text of a string is the string itself, unless the metatable of strings says something else.
    fn text_of_string(&mut self, view: &View<'_>, string: Ref) -> Result<Option<Vec<Ref>>, Abort> {
        if let Some(meta) = view.string_metatable() {
            let holder = self.constant_of(meta.value())?;
            if self.own_field(holder, meta, view.event_name(Event::ToString))?.is_some() {
                return Err(Abort::Metamethod);
            }
        }
        Ok(Some(vec![string]))
    }

    /// The helper that may call a function as it is: without effects (or with those on elements), and without running Lua
    /// code for arguments of these types. Should it fail, the interpreter calls it again. `nresults` is negative where all results
    /// are wanted.
    fn directly(&mut self, view: &View<'_>, intrinsic: Intrinsic, args: &Args, nresults: i32) -> Option<Helper> {
        let is_open = nresults < 0;
        let ty = |n: usize| args.refs.get(n).map(|r| self.ty(*r));
        let is_plain =
            |n: usize| matches!(ty(n), None | Some(Ty::Nil | Ty::False | Ty::True | Ty::Int | Ty::Float | Ty::Str));
        let all_plain = (0..args.len()).all(is_plain);
        let is_plain_table =
            |n: usize| args.seen.get(n).and_then(|v| view.table(*v)).is_some_and(|table| table.meta().is_none());
        let is_text = |n: usize| matches!(ty(n), Some(Ty::Int | Ty::Float | Ty::Str));
        let is_text_output = (1..args.len()).all(is_text) && (is_text(0) || ty(0) == Some(Ty::UserData));
        match intrinsic {
            Intrinsic::StringByte
            | Intrinsic::StringChar
            | Intrinsic::StringSub
            | Intrinsic::StringRep
            | Intrinsic::StringFind
            | Intrinsic::StringMatch
            | Intrinsic::StringFormat
            | Intrinsic::StringUpper
            | Intrinsic::StringLower
            | Intrinsic::StringReverse
            | Intrinsic::MathFloor
            | Intrinsic::MathCeil
            | Intrinsic::MathAbs
            | Intrinsic::MathMax
            | Intrinsic::MathMin
            | Intrinsic::MathFmod
            | Intrinsic::MathLog
            | Intrinsic::MathModf
            | Intrinsic::MathToInteger
            | Intrinsic::MathUlt
            | Intrinsic::ToNumber
            | Intrinsic::ToString
            | Intrinsic::BitAnd
            | Intrinsic::BitOr
            | Intrinsic::BitXor
            | Intrinsic::BitNot
            | Intrinsic::BitLshift
            | Intrinsic::BitRshift
            | Intrinsic::BitLrotate
            | Intrinsic::BitRrotate
            | Intrinsic::BitArshift
            | Intrinsic::BitExtract
            | Intrinsic::BitTest
            | Intrinsic::BitOther
                if all_plain =>
            {
                Some(Helper::CallPure)
            }
            Intrinsic::StringGsub | Intrinsic::StringGmatch | Intrinsic::Plain if all_plain => Some(Helper::CallPure),
            // The replacements are fields of a table.
            Intrinsic::StringGsub if args.len() == 3 && is_plain(0) && is_plain(1) && is_plain_table(2) => {
                self.guard_plain(args, 2).then_some(Helper::CallPure)
            }
            Intrinsic::ToString if args.len() == 1 && is_plain_table(0) => {
                self.guard_plain(args, 0).then_some(Helper::CallPure)
            }
            Intrinsic::GetMetatable if ty(0).is_some_and(|ty| ty != Ty::Table) => Some(Helper::CallPure),
            Intrinsic::Select => Some(Helper::CallPure),
            Intrinsic::MathRandom if all_plain => Some(Helper::CallPure),
            Intrinsic::Next | Intrinsic::NextFloat if ty(0) == Some(Ty::Table) => Some(Helper::CallPure),
            Intrinsic::TableConcat | Intrinsic::Unpack if is_plain_table(0) => {
                self.guard_plain(args, 0).then_some(Helper::CallPure)
            }
            // What it writes to is looked at, and refused, before it writes anything. Its result, which says whether that went
            // well, must not be looked at behind it: it would run again.
            Intrinsic::IoWrite if is_text_output && nresults == 0 => Some(Helper::CallOnTable),
            // Of an empty list it has no result; it must not run again when that turns out.
            Intrinsic::TableRemoveOld if is_open => None,
            Intrinsic::TableInsert | Intrinsic::TableRemove | Intrinsic::TableRemoveOld if is_plain_table(0) => {
                self.guard_plain(args, 0).then_some(Helper::CallOnTable)
            }
            _ => None,
        }
    }

    /// Relies on a table having no metatable.
    fn guard_plain(&mut self, args: &Args, n: usize) -> bool {
        let meta = self.load(Field::Meta, args.refs[n]);
        let null = self.builder.pointer(0);
        self.guard(Ir::Eq, &[meta, null]).is_ok()
    }

    /// Calls a function that has no effects, should it fail.
    pub(super) fn call_pure(&mut self, function: Ref, func: u32, args: &[Ref], nresults: i32) -> Result<(), Abort> {
        self.call_directly(Helper::CallPure, function, func, args, nresults)
    }

    fn call_directly(
        &mut self,
        helper: Helper,
        function: Ref,
        func: u32,
        args: &[Ref],
        nresults: i32,
    ) -> Result<(), Abort> {
        let before = self.own_snap();
        self.builder.store_place(func, function);
        for (n, arg) in args.iter().enumerate() {
            self.builder.store_place(func + 1 + n as u32, *arg);
        }
        let place = self.builder.place(func);
        let numbers = args.len() as i64 | i64::from(nresults) << 32;
        let numbers = self.builder.int(numbers);
        let count = self.builder.call_paying(helper, &[place, numbers], self.fuel);
        let service = self.service();
        let zero = self.builder.int(0);
        self.builder.guard(Ir::Ge, &[count, zero], service)?;
        self.reach(func + args.len() as u32 + 24);
        self.bury(func);
        self.allocated = true;
        self.pending = Some(Pending { func, wanted: nresults, is_open: false, count, before, is_tail: false });
        Ok(())
    }

    /// Takes the results of the call before this instruction, which the VM has by now. False if there was none.
    pub(super) fn take_results(&mut self, view: &View<'_>) -> Result<bool, Abort> {
        let Some(pending) = self.pending.take() else { return Ok(false) };
        let Pending { func, wanted, is_open, count, before, is_tail } = pending;
        // The interpreter has returned from the frame of a tail call already.
        let seen_at = if is_tail { self.frame().func } else { func };
        let n = if wanted < 0 { view.open_count(self.root + seen_at as usize) } else { wanted as u32 };
        if wanted < 0 && n > MAX_RESULTS {
            return Err(Abort::OpenResults);
        }
        let snap = if is_tail {
            let snap = self.snapshot_again(before);
            if wanted < 0 {
                let expected = self.builder.int(i64::from(n));
                self.builder.guard(Ir::Eq, &[count, expected], snap)?;
            }
            snap
        } else {
            self.open = is_open.then_some(func + n);
            if wanted < 0 {
                let snap = self.snapshot(ExitKind::Service, self.expected);
                self.builder.keep_in_place(snap, func..func + n);
                self.builder.returned(count, func, n, snap);
            }
            let snap = self.snapshot(ExitKind::Guard, self.expected);
            self.builder.keep_in_place(snap, func..func + n);
            snap
        };
        let mut results = Vec::new();
        for k in 0..n {
            let ty = super::state::type_of(self.seen(view, seen_at + k))?;
            results.push(self.builder.load_place(func + k, ty, snap));
        }
        if is_tail {
            self.return_values(&results)?;
            return Ok(true);
        }
        for (k, value) in results.iter().enumerate() {
            self.put(func + k as u32, *value);
        }
        self.open = is_open.then_some(func + n);
        Ok(true)
    }

    /// The call just recorded is a tail call: its results are the frame's.
    pub(super) fn pending_is_tail(&mut self) -> bool {
        match &mut self.pending {
            Some(pending) => {
                pending.is_tail = true;
                true
            }
            None => false,
        }
    }
}
