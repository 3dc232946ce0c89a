//! Functions that compiled code calls: the cells by which callers find the newest code of a function.
//!
//! A function whose entry is the root of a tree has a cell. Its address is a constant of the callers' code, so that the
//! function's code can be replaced while theirs stays. A cell without code holds the address of code that refuses all calls.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::enter::{Compiled, Exits};
use crate::gate::Gate;
use crate::view::{ProtoAt, View};

/// The cell of a function.
#[derive(Debug)]
#[repr(C)]
pub struct Function {
    /// Where its code begins. Compiled code reads it: it is the first field.
    code: Cell<*const u8>,
    /// Keeps the code.
    compiled: RefCell<Option<Rc<Compiled>>>,
    /// The way in, and what refuses calls.
    gate: Rc<Gate>,
}

impl Function {
    fn new(gate: &Rc<Gate>) -> Rc<Function> {
        let code = Cell::new(gate.refusal());
        Rc::new(Function { code, compiled: RefCell::default(), gate: gate.clone() })
    }

    /// The way into its code.
    pub fn gate(&self) -> &Rc<Gate> {
        &self.gate
    }

    /// The address of the cell, which stays the same.
    pub fn address(self: &Rc<Function>) -> u64 {
        Rc::as_ptr(self).expose_provenance() as u64
    }

    /// Where its code begins.
    pub fn code(&self) -> *const u8 {
        self.code.get()
    }

    /// Gives the function other code, or none. No frame of the old one may be on the host's stack: code that is called by
    /// compiled code never runs anything that could come here.
    pub fn set(&self, compiled: Option<Rc<Compiled>>) {
        self.code.set(compiled.as_ref().map_or(self.gate.refusal(), |compiled| compiled.address()));
        *self.compiled.borrow_mut() = compiled;
    }

    /// What runs when host code calls it.
    #[inline]
    pub fn compiled(&self) -> Option<*const Compiled> {
        self.compiled.borrow().as_ref().map(Rc::as_ptr)
    }

    /// The exits of its code.
    pub fn exits(&self) -> Option<*const Exits> {
        self.compiled.borrow().as_ref().map(|compiled| compiled.exits())
    }
}

/// All functions with cells, shared by the policy and the recorder.
#[derive(Clone, Debug, Default)]
pub struct Functions(Rc<RefCell<FxHashMap<ProtoAt, Known>>>);

/// What is known of a function.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its cell.
    pub cell: Rc<Function>,
    /// Segments of its tree; none while the first of them is recorded.
    pub segments: usize,
    /// Whether it calls compiled functions, itself maybe.
    pub calls: bool,
}

/// Segments from which on a function is called rather than copied into each of its callers.
const LARGE: usize = 4;

impl Known {
    /// Whether the function has code that is better called than followed: what calls compiled functions would be copied with
    /// all of its calls, and what has many ways with all of them.
    pub fn is_large(&self) -> bool {
        self.segments > 0 && (self.calls || self.segments > LARGE)
    }
}

impl Functions {
    /// What is known of the function with a prototype.
    pub fn get(&self, proto: ProtoAt) -> Option<Known> {
        self.0.borrow().get(&proto).cloned()
    }

    /// Gives a cell to the function with a prototype, whose tree is about to be recorded.
    pub fn begin(&self, proto: ProtoAt, gate: &Rc<Gate>) {
        let fresh = || Known { cell: Function::new(gate), segments: 0, calls: false };
        self.0.borrow_mut().entry(proto).or_insert_with(fresh);
    }

    /// Its tree has code.
    pub fn grown(&self, proto: ProtoAt, code: Rc<Compiled>, segments: usize, calls: bool) {
        if let Some(known) = self.0.borrow_mut().get_mut(&proto) {
            known.cell.set(Some(code));
            View::set_entry(proto, Rc::as_ptr(&known.cell).cast());
            known.segments = segments;
            known.calls = calls;
        }
    }

    /// Forgets functions whose first recording has come to nothing.
    pub fn forget_unfinished(&self) {
        self.0.borrow_mut().retain(|_, known| known.segments > 0);
    }

    /// Forgets the function with a prototype.
    pub fn remove(&self, proto: ProtoAt) {
        if let Some(known) = self.0.borrow_mut().remove(&proto) {
            forget(proto, &known);
        }
    }

    /// Forgets all of them, before the prototypes of those that have code may die.
    pub fn clear(&self) {
        for (proto, known) in self.0.borrow_mut().drain() {
            forget(proto, &known);
        }
    }
}

/// Takes the code of a function away.
fn forget(proto: ProtoAt, known: &Known) {
    known.cell.set(None);
    if known.segments > 0 {
        View::set_entry(proto, std::ptr::null());
    }
}
