//! Comparisons and tests: which way the path goes.

use perilune_base::dialect::table::SharedHandlers;
use perilune_bytecode::ops::{Instr, Op};
use perilune_runtime::value::{Tag, Value};
use perilune_trace::ir::{Helper, Op as Ir, Ref, Ty};
use perilune_vm::compiled::NOT_COMPARED;
use perilune_vm::meta::Event;

use super::Recorder;
use super::arith::is_number;
use super::loops::float_of;
use crate::abort::Abort;
use crate::view::View;

/// An order between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Lt,
    Le,
    Gt,
    Ge,
}

impl Recorder {
    /// Goes the way that `outcome` says.
    fn branch(&mut self, i: Instr, outcome: bool) {
        if outcome == i.cond() {
            self.jump(i.cond_offset());
        }
    }

    pub(super) fn test(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let x = self.get_number(view, i.a())?;
        // The type was checked when the value was loaded.
        self.branch(i, !matches!(self.ty(x), Ty::Nil | Ty::False));
        Ok(())
    }

    pub(super) fn test_set(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let x = self.get_number(view, i.b())?;
        let outcome = !matches!(self.ty(x), Ty::Nil | Ty::False);
        if outcome == i.cond() {
            self.set(i.a(), x);
        }
        self.branch(i, outcome);
        Ok(())
    }

    pub(super) fn eq(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let (x, y) = (self.get_number(view, i.a())?, self.get_number(view, i.b())?);
        let seen = (view.reg(i.a().into()), view.reg(i.b().into()));
        if let Some(outcome) = self.equality(view, x, y, seen, true)? {
            self.branch(i, outcome);
        }
        Ok(())
    }

    pub(super) fn eq_constant(&mut self, view: &View<'_>, op: Op, i: Instr) -> Result<(), Abort> {
        let x = self.get_number(view, i.a())?;
        let constant = if op == Op::EqI {
            Value::int(i64::from(i.imm()))
        } else {
            view.constant(self.frame().proto, usize::from(i.bc()))
        };
        let y = self.constant_of(constant)?;
        let seen = (view.reg(i.a().into()), constant);
        if let Some(outcome) = self.equality(view, x, y, seen, false)? {
            self.branch(i, outcome);
        }
        Ok(())
    }

    /// Whether two values are equal, guarded. `None` if a metamethod decides, whose call has begun.
    fn equality(
        &mut self,
        view: &View<'_>,
        x: Ref,
        y: Ref,
        seen: (Value, Value),
        with_meta: bool,
    ) -> Result<Option<bool>, Abort> {
        let outcome = seen.0.raw_equals(seen.1);
        let (tx, ty) = (self.ty(x), self.ty(y));
        if tx != ty || tx == Ty::Num {
            if is_number(tx) && is_number(ty) {
                self.mixed_equality(x, y, outcome)?;
            }
            return Ok(Some(outcome));
        }
        match tx {
            Ty::Nil | Ty::False | Ty::True => {}
            Ty::Float => self.decide(if outcome { Ir::FEq } else { Ir::FNe }, &[x, y])?,
            Ty::Str => self.string_equality(view, x, y, seen, outcome)?,
            Ty::Table | Ty::UserData if !outcome && with_meta => {
                // Different objects may still be equal for a metamethod.
                self.guard(Ir::Ne, &[x, y])?;
                if tx == Ty::Table && view.dialect().shared_handlers != SharedHandlers::Either {
                    let Some(handler) = self.shared_handler(view, Event::Eq, (x, y), seen)? else {
                        return Ok(Some(false));
                    };
                    self.call_handler(view, handler.0, handler.1, &[x, y], 1)?;
                    return Ok(None);
                }
                for (r, v) in [(x, seen.0), (y, seen.1)] {
                    if tx == Ty::UserData {
                        let (meta, meta_view) = self.userdata_metatable(view, r, v)?;
                        if self.own_field(meta, meta_view, view.event_name(Event::Eq))?.is_some() {
                            return Err(Abort::Metamethod);
                        }
                        continue;
                    }
                    if let Some((function, handler)) = self.metamethod(view, r, v, Event::Eq)? {
                        self.call_handler(view, function, handler, &[x, y], 1)?;
                        return Ok(None);
                    }
                }
            }
            _ => self.decide(if outcome { Ir::Eq } else { Ir::Ne }, &[x, y])?,
        }
        Ok(Some(outcome))
    }

    fn string_equality(
        &mut self,
        view: &View<'_>,
        x: Ref,
        y: Ref,
        seen: (Value, Value),
        outcome: bool,
    ) -> Result<(), Abort> {
        let tree = self.builder.tree();
        let is_short_constant = tree.is_const(x) && view.is_short(seen.0) || tree.is_const(y) && view.is_short(seen.1);
        if is_short_constant {
            // A short string is one object: another object is another string.
            return self.decide(if outcome { Ir::Eq } else { Ir::Ne }, &[x, y]);
        }
        if view.are_long_strings(seen.0, seen.1) {
            return Err(Abort::LongStrings);
        }
        // Those that are long fail the guard, whatever the outcome.
        let same = self.builder.call(Helper::StrEq, &[x, y], Ty::Int, None);
        let expected = self.builder.int(i64::from(outcome));
        self.decide(Ir::Eq, &[same, expected])
    }

    /// Numbers that are not of the same kind for sure: an integer equals the float that it is exactly.
    fn mixed_equality(&mut self, x: Ref, y: Ref, outcome: bool) -> Result<(), Abort> {
        let (x, y) = (self.exact_float(x)?, self.exact_float(y)?);
        self.decide(if outcome { Ir::FEq } else { Ir::FNe }, &[x, y])
    }

    pub(super) fn order_registers(&mut self, view: &View<'_>, op: Op, i: Instr) -> Result<(), Abort> {
        let (x, y) = (self.get_number(view, i.a())?, self.get_number(view, i.b())?);
        let order = if op == Op::Lt { Order::Lt } else { Order::Le };
        self.order(view, i, order, (x, y), (view.reg(i.a().into()), view.reg(i.b().into())))
    }

    pub(super) fn order_constant(&mut self, view: &View<'_>, op: Op, i: Instr) -> Result<(), Abort> {
        let x = self.get_number(view, i.a())?;
        let (order, is_immediate) = match op {
            Op::LtI => (Order::Lt, true),
            Op::LeI => (Order::Le, true),
            Op::GtI => (Order::Gt, true),
            Op::GeI => (Order::Ge, true),
            Op::LtK => (Order::Lt, false),
            Op::LeK => (Order::Le, false),
            Op::GtK => (Order::Gt, false),
            Op::GeK => (Order::Ge, false),
            _ => return Err(Abort::Opcode),
        };
        let constant = if is_immediate {
            Value::int(i64::from(i.imm()))
        } else {
            view.constant(self.frame().proto, usize::from(i.bc()))
        };
        let y = self.constant_of(constant)?;
        self.order(view, i, order, (x, y), (view.reg(i.a().into()), constant))
    }

    fn order(
        &mut self,
        view: &View<'_>,
        i: Instr,
        order: Order,
        operands: (Ref, Ref),
        seen: (Value, Value),
    ) -> Result<(), Abort> {
        let (x, y) = operands;
        let outcome = match (self.ty(x), self.ty(y)) {
            (Ty::Int, Ty::Int) => self.order_ints(order, x, y, (seen.0.raw_int(), seen.1.raw_int()))?,
            (Ty::Float, Ty::Float) => self.order_floats(order, x, y, (seen.0.raw_float(), seen.1.raw_float()))?,
            (tx, ty) if is_number(tx) && is_number(ty) => {
                let (x, y) = (self.exact_float(x)?, self.exact_float(y)?);
                self.order_floats(order, x, y, (float_of(seen.0), float_of(seen.1)))?
            }
            (Ty::Str, Ty::Str) => {
                if view.are_long_strings(seen.0, seen.1) {
                    return Err(Abort::LongStrings);
                }
                let result = self.builder.call(Helper::StrCompare, &[x, y], Ty::Int, None);
                let not_compared = self.builder.int(NOT_COMPARED);
                self.guard(Ir::Ne, &[result, not_compared])?;
                let zero = self.builder.int(0);
                let compared = view.compare_strings(seen.0, seen.1);
                self.order_ints(order, result, zero, (compared, 0))?
            }
            _ => {
                let (event, operands, seen) = match order {
                    Order::Lt => (Event::Lt, (x, y), seen),
                    Order::Le => (Event::Le, (x, y), seen),
                    Order::Gt => (Event::Lt, (y, x), (seen.1, seen.0)),
                    Order::Ge => (Event::Le, (y, x), (seen.1, seen.0)),
                };
                return self.binary_metamethod(view, event, operands, seen);
            }
        };
        self.branch(i, outcome);
        Ok(())
    }

    fn order_ints(&mut self, order: Order, x: Ref, y: Ref, seen: (i64, i64)) -> Result<bool, Abort> {
        let (outcome, holds, fails) = match order {
            Order::Lt => (seen.0 < seen.1, Ir::Lt, Ir::Ge),
            Order::Le => (seen.0 <= seen.1, Ir::Le, Ir::Gt),
            Order::Gt => (seen.0 > seen.1, Ir::Gt, Ir::Le),
            Order::Ge => (seen.0 >= seen.1, Ir::Ge, Ir::Lt),
        };
        self.decide(if outcome { holds } else { fails }, &[x, y])?;
        Ok(outcome)
    }

    fn order_floats(&mut self, order: Order, x: Ref, y: Ref, seen: (f64, f64)) -> Result<bool, Abort> {
        let (outcome, holds, fails, args) = match order {
            Order::Lt => (seen.0 < seen.1, Ir::FLt, Ir::FNotLt, [x, y]),
            Order::Le => (seen.0 <= seen.1, Ir::FLe, Ir::FNotLe, [x, y]),
            Order::Gt => (seen.0 > seen.1, Ir::FLt, Ir::FNotLt, [y, x]),
            Order::Ge => (seen.0 >= seen.1, Ir::FLe, Ir::FNotLe, [y, x]),
        };
        self.decide(if outcome { holds } else { fails }, &args)?;
        Ok(outcome)
    }

    /// Whether a value is a string at all.
    pub(super) fn is_string(seen: Value) -> bool {
        seen.tag == Tag::Str
    }
}
