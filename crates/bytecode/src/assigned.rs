//! Which variables functions assign to through an upvalue.
//!
//! ```lua
//! local calls = 0
//! local function fib(n)                  -- `calls` is assigned to by fib
//!   calls = calls + 1
//!   if n < 2 then return n end
//!   return fib(n - 1) + fib(n - 2)       -- nobody assigns to `fib`
//! end
//! ```
//!
//! While functions only call and return, a variable of the second kind stays as it is for all functions that see it as an
//! upvalue: the one that has declared it waits for them, or has returned. A variable is known by its register, so that those
//! of other scopes in the same register count as one.

use crate::ops::Op;
use crate::proto::Proto;

/// Deeper nesting is not looked at.
const MAX_NESTING: usize = 200;

/// Fills [`UpvalDesc::is_assigned`](crate::proto::UpvalDesc::is_assigned) of a prototype and all that are inside it. Where they
/// are nested too deep, it stays as it is.
pub fn find_assigned(root: &mut Proto) {
    if !is_deeper(root, MAX_NESTING) {
        gather(root);
        spread(root);
    }
}

fn is_deeper(proto: &Proto, levels: usize) -> bool {
    levels == 0 || proto.protos.iter().any(|child| is_deeper(child, levels - 1))
}

/// Says of the upvalues of all functions whether they, or functions inside of them, assign to them.
fn gather(proto: &mut Proto) {
    for upval in &mut proto.upvals {
        upval.is_assigned = false;
    }
    for i in proto.code.iter().filter(|i| i.op() == Some(Op::SetUpval)) {
        if let Some(upval) = proto.upvals.get_mut(usize::from(i.b())) {
            upval.is_assigned = true;
        }
    }
    for child in &mut proto.protos {
        gather(child);
        for theirs in child.upvals.iter().filter(|upval| upval.is_assigned && !upval.in_stack) {
            if let Some(ours) = proto.upvals.get_mut(usize::from(theirs.index)) {
                ours.is_assigned = true;
            }
        }
    }
}

/// What one function assigns to is assigned to for all that see the variable.
fn spread(proto: &mut Proto) {
    let mut registers = [false; 256];
    for upval in proto.protos.iter().flat_map(|child| &child.upvals) {
        if upval.in_stack {
            registers[usize::from(upval.index)] |= upval.is_assigned;
        }
    }
    for child in &mut proto.protos {
        for upval in &mut child.upvals {
            let index = usize::from(upval.index);
            upval.is_assigned = if upval.in_stack {
                registers[index]
            } else {
                proto.upvals.get(index).is_none_or(|ours| ours.is_assigned)
            };
        }
        spread(child);
    }
}

#[cfg(test)]
mod tests {
    use super::find_assigned;
    use crate::ops::{Instr, Op};
    use crate::proto::{Proto, UpvalDesc, VarKind};

    /// A function with one upvalue, which it assigns to or not.
    fn function(in_stack: bool, index: u8, assigns: bool, protos: Vec<Proto>) -> Proto {
        let upval = UpvalDesc { name: Box::default(), in_stack, index, kind: VarKind::Regular, is_assigned: true };
        let code = if assigns { vec![Instr::new(Op::SetUpval, 0, 0, 0, 0)] } else { Vec::new() };
        Proto { upvals: vec![upval], code, protos, ..Proto::default() }
    }

    #[test]
    fn one_assignment_counts_for_all_that_see_the_variable() {
        let deep = function(false, 0, true, Vec::new());
        let mut root = function(
            true,
            0,
            false,
            vec![
                function(true, 3, false, vec![deep]),
                function(true, 3, false, Vec::new()),
                function(true, 4, false, Vec::new()),
            ],
        );
        find_assigned(&mut root);
        let are_assigned: Vec<bool> = root.protos.iter().map(|child| child.upvals[0].is_assigned).collect();
        assert_eq!(are_assigned, [true, true, false]);
        assert!(root.protos[0].protos[0].upvals[0].is_assigned);
        assert!(!root.upvals[0].is_assigned);
    }
}
