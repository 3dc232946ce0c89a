//! Where a program has mixed integers and floats.
//!
//! The first recording that passes a load relies on the kind of number that it sees. If another one sees the other kind at the
//! same instruction, loads there are of numbers of either kind from then on (see `perilune_trace::build`): a path for each
//! kind of each number would be one for each combination of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use perilune_runtime::object::ANY_ELEMENTS;
use perilune_trace::ir::Ty;

use crate::view::ProtoAt;

/// What an instruction was seen to load: a bit for each kind of number, and for each element kind of the tables.
type Kinds = u8;

/// How a load of numbers is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// All numbers were of one kind so far.
    Typed,
    /// They were of both kinds.
    Either,
    /// They were of both kinds, in arrays of several element kinds.
    Mixed,
}

/// All instructions that have loaded numbers, shared by the policy and the recorder.
#[derive(Clone, Debug, Default)]
pub struct Numbers(Rc<RefCell<HashMap<(ProtoAt, u32), Kinds>>>);

impl Numbers {
    /// Instruction `pc` loads a number of type `ty`, from an array with the element kind `elements`, if from one.
    pub fn load(&self, proto: ProtoAt, pc: u32, ty: Ty, elements: Option<u8>) -> Load {
        let element_bit = match elements {
            None => 0,
            Some(ANY_ELEMENTS) => 4,
            Some(_) => 8,
        };
        let mut known = self.0.borrow_mut();
        let kinds = known.entry((proto, pc)).or_default();
        *kinds |= element_bit | if ty == Ty::Int { 1 } else { 2 };
        match (*kinds & 3 == 3, *kinds & 8 != 0) {
            (false, _) => Load::Typed,
            (true, false) => Load::Either,
            (true, true) => Load::Mixed,
        }
    }

    /// Forgets everything: addresses may be used again.
    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{Load, Numbers};
    use crate::view::ProtoAt;
    use perilune_runtime::object::ANY_ELEMENTS;
    use perilune_trace::ir::Ty;

    #[test]
    fn what_was_seen_decides() {
        let numbers = Numbers::default();
        let load = |pc, ty, elements| numbers.load(ProtoAt(16), pc, ty, elements);
        assert_eq!(load(1, Ty::Int, None), Load::Typed);
        assert_eq!(load(1, Ty::Int, None), Load::Typed);
        assert_eq!(load(1, Ty::Float, None), Load::Either);
        assert_eq!(load(1, Ty::Int, None), Load::Either);
        assert_eq!(load(2, Ty::Float, Some(ANY_ELEMENTS)), Load::Typed);
        assert_eq!(load(2, Ty::Int, Some(ANY_ELEMENTS)), Load::Either);
        assert_eq!(load(2, Ty::Int, Some(Ty::Int as u8)), Load::Mixed);
        numbers.clear();
        assert_eq!(load(1, Ty::Float, None), Load::Typed);
    }
}
