//! Library functions that hot code calls.
//!
//! | the function | becomes |
//! |---|---|
//! | does what IR operations do | these operations |
//! | has no effect, and runs no Lua code for arguments of these types | a helper's call of the function itself |
//! | anything else | a call out of the tree |
//!
//! [`math`], [`string`] and [`table`] hold the first row, by library; [`direct`] holds the second.

use perilune_runtime::value::{Tag, Value};
use perilune_trace::ir::{Field, Helper, Op as Ir, Ref, Ty};
use perilune_vm::native::Intrinsic;

mod direct;
mod math;
mod string;
mod table;

pub(super) use self::direct::Pending;
use self::direct::count_of;
use super::Recorder;
use super::loops::int_of;
use crate::abort::Abort;
use crate::view::View;

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
            Intrinsic::RawSet if args.len() == 3 => self.raw_set(view, args),
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

    /// `coroutine.status`: what a coroutine is doing decides the way that the path goes.
    fn coroutine_status(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let Some(co) = args.seen.first().and_then(|seen| seen.as_thread()) else { return Ok(None) };
        let status = self.load(Field::Status, args.refs[0]);
        let expected = self.builder.int(view.status(co));
        self.decide(Ir::Eq, &[status, expected])?;
        let name = view.interned(perilune_vm::control::status_of(co).as_bytes());
        Ok(Some(vec![self.constant_of(name)?]))
    }
}
