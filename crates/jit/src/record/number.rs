//! Numbers of either kind, where the program has mixed integers and floats; see `perilune_trace::build`.
//!
//! They may be in slots that the path has written, and in what it stores; operations that need not know the kind take them as
//! they are. Everything else, loop headers and the arguments of compiled functions among it, relies on the kind that it sees.

use perilune_runtime::value::Value;
use perilune_trace::ir::{ExitKind, Op as Ir, Ref, SnapId, Ty};

use super::Recorder;
use super::state::{Shadow, type_of};
use crate::abort::Abort;
use crate::seen::Load;
use crate::view::View;

impl Recorder {
    /// How the current instruction loads a value of type `ty`, from an array with the element kind `elements`, if from one.
    pub(super) fn load_as(&self, ty: Ty, elements: Option<u8>) -> Load {
        if !matches!(ty, Ty::Int | Ty::Float) {
            return Load::Typed;
        }
        self.met.number((self.frame().proto, self.pc), ty, elements)
    }

    /// A register of the innermost frame, as it is.
    pub(super) fn get_number(&mut self, view: &View<'_>, register: u8) -> Result<Ref, Abort> {
        self.any_slot(self.frame().base + u32::from(register), view.reg(register.into()))
    }

    /// Relies on the kind of a number that may be of either.
    pub(super) fn typed(&mut self, value: Ref, seen: Value) -> Result<Ref, Abort> {
        if self.ty(value) != Ty::Num {
            return Ok(value);
        }
        let snap = self.snap();
        self.typed_at(value, seen, snap)
    }

    fn typed_at(&mut self, value: Ref, seen: Value, snap: SnapId) -> Result<Ref, Abort> {
        let ty = type_of(seen)?;
        if !matches!(ty, Ty::Int | Ty::Float) {
            return Err(Abort::Types);
        }
        Ok(self.builder.typed_number(value, ty, snap)?)
    }

    /// Relies on the kinds of all numbers in slots, behind the instruction that was recorded last.
    pub(super) fn settle_numbers(&mut self, view: &View<'_>) -> Result<(), Abort> {
        let is_number = |recorder: &Recorder, shadow: &Shadow| match shadow {
            Shadow::Value(value) => recorder.ty(*value) == Ty::Num,
            Shadow::Untouched | Shadow::Dead => false,
        };
        let slots: Vec<u32> =
            (0..self.shadow.len()).filter(|at| is_number(self, &self.shadow[*at])).map(|at| at as u32).collect();
        let live = if slots.is_empty() { Vec::new() } else { self.live_slots(self.expected) };
        let mut snap = None;
        for slot in slots.into_iter().filter(|slot| live.binary_search(slot).is_ok()) {
            let Shadow::Value(value) = self.shadow_at(slot) else { continue };
            let snap = match snap {
                Some(snap) => snap,
                None => *snap.insert(self.snapshot(ExitKind::Guard, self.expected)),
            };
            let typed = self.typed_at(value, self.seen(view, slot), snap)?;
            self.put(slot, typed);
        }
        Ok(())
    }

    /// `x + y`, `x - y` or `x * y`, of which one is a number of either kind.
    pub(super) fn either_op(&mut self, int: Ir, float: Ir, x: Ref, y: Ref) -> Ref {
        if self.ty(x) == Ty::Float || self.ty(y) == Ty::Float {
            let (x, y) = (self.float_of(x), self.float_of(y));
            return self.builder.value(float, &[x, y]);
        }
        self.builder.number_op(int, float, x, y)
    }

    /// A number as a float without loss.
    pub(super) fn exact_float(&mut self, x: Ref) -> Result<Ref, Abort> {
        if self.ty(x) == Ty::Float {
            return Ok(x);
        }
        let snap = self.snap();
        Ok(self.builder.number_as_exact_float(x, snap)?)
    }
}
