//! Functions that compiled code calls as they are, and the results that they leave in their places.

use perilune_trace::ir::{ExitKind, Field, Helper, Op as Ir, Ref, SnapId, Ty};
use perilune_vm::native::Intrinsic;

use super::Args;
use crate::abort::Abort;
use crate::record::Recorder;
use crate::view::View;

/// Results of a call that a trace takes when it takes all: each of them is an instruction or two.
const MAX_RESULTS: u32 = 250;

/// Results of a native function that were not there yet when its call was recorded.
#[derive(Clone, Copy, Debug)]
pub(in crate::record) struct Pending {
    /// The first one's slot.
    func: u32,
    /// How many there will be; negative for as many as the function gives.
    wanted: i32,
    /// Whether they become an open list.
    pub(super) is_open: bool,
    /// How many there are.
    count: Ref,
    /// The snapshot in front of the call.
    before: SnapId,
    /// Whether they are those of a tail call.
    is_tail: bool,
}

/// How many results a function always has, if it must not run a second time: what is wrong with its results is seen only
/// after it has run.
pub(super) fn count_of(intrinsic: Intrinsic) -> Option<i32> {
    match intrinsic {
        Intrinsic::TableInsert => Some(0),
        Intrinsic::TableRemove | Intrinsic::MathRandom => Some(1),
        _ => None,
    }
}

impl Recorder {
    /// The helper that may call a function as it is: without effects (or with those on elements), and without running Lua
    /// code for arguments of these types. Should it fail, the interpreter calls it again. `nresults` is negative where all results
    /// are wanted.
    pub(super) fn directly(
        &mut self,
        view: &View<'_>,
        intrinsic: Intrinsic,
        args: &Args,
        nresults: i32,
    ) -> Option<Helper> {
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
    pub(super) fn guard_plain(&mut self, args: &Args, n: usize) -> bool {
        let meta = self.load(Field::Meta, args.refs[n]);
        let null = self.builder.pointer(0);
        self.guard(Ir::Eq, &[meta, null]).is_ok()
    }

    /// Calls a function that has no effects, should it fail.
    pub(in crate::record) fn call_pure(
        &mut self,
        function: Ref,
        func: u32,
        args: &[Ref],
        nresults: i32,
    ) -> Result<(), Abort> {
        self.call_directly(Helper::CallPure, function, func, args, nresults)
    }

    pub(super) fn call_directly(
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
    pub(in crate::record) fn take_results(&mut self, view: &View<'_>) -> Result<bool, Abort> {
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
            let ty = crate::record::state::type_of(self.seen(view, seen_at + k))?;
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
    pub(in crate::record) fn pending_is_tail(&mut self) -> bool {
        match &mut self.pending {
            Some(pending) => {
                pending.is_tail = true;
                true
            }
            None => false,
        }
    }
}
