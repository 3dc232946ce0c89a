//! Traces over arrays of booleans, whose elements are tags of one byte.

use perilune_trace::eval::{Model, Val};
use perilune_trace::ir::{Field, Ty};

use super::cases::{Case, buffer, case, model, object};
use super::lookup::{TYPES, hashed, read, val, write};

/// The element kind, as the runtime has it.
const KIND: u64 = 0xfe;

/// Table `n` with an array of booleans and nils.
fn flags(model: &mut Model, n: u64, elements: &[Ty]) -> Val {
    let table = object(n);
    for (field, value) in [(Field::Kind, KIND), (Field::Len, elements.len() as u64), (Field::Array, buffer(n))] {
        model.fields.insert((table, field, 0), value);
    }
    for (at, ty) in (buffer(n)..).zip(elements) {
        model.flags.insert(at, *ty);
    }
    val(Ty::Table, table)
}

/// `while t[i] do t[i + 3] = false; i = i + 1 end`: each store may be what a later round loads.
fn loops(cases: &mut Vec<Case>) {
    let text = "\
header 0 pc 1, snap 0, inputs %0=#1:tab %1=#2:int
segment 0 from header 0
  %2 = load.kind %0 int
  %3 eq %2 254 -> snap 1
  %4 = load.len %0 int
  %5 below %1 %4 -> snap 1
  %6 = load.array %0 ptr
  %7 = ldflag %6 %1 tru -> snap 1
  %8 = add %1 3 int
  %9 below %8 %4 -> snap 1
  %10 stflag %6 %8 fal
  %11 = ldflag %6 0 tru -> snap 2
  %12 = add %1 1 int
  around header 0, snap 3
snap 0 guard, pc 1
snap 1 guard, pc 2
snap 2 guard, pc 3, fuel 1
snap 3 guard, pc 1, slots #2=%12, fuel 2
";
    let (nil, no, yes) = (Ty::Nil, Ty::False, Ty::True);
    for (name, elements) in [
        ("all true", [yes; 9]),
        ("one nil", [yes, yes, nil, yes, yes, yes, yes, yes, yes]),
        ("one false", [yes, no, yes, yes, yes, yes, yes, yes, yes]),
        ("the first false", [no, yes, yes, yes, yes, yes, yes, yes, yes]),
    ] {
        for first in [0, 1, 4, 8, 9, -1] {
            let mut m = model();
            let table = flags(&mut m, 0, &elements);
            m.set_slot(1, table);
            m.set_slot(2, Val::int(first));
            cases.push(case(format!("flags, {name}, from {first}"), text, m));
        }
    }
}

/// Keys of which it is not known whether they are those of elements.
fn keys(cases: &mut Vec<Case>) {
    let elements = [Ty::True, Ty::Nil, Ty::False];
    for n in [0, 1, 2, 3, 4, 5, 10] {
        for (cap, has_index_keys) in [(3, false), (16, false), (16, true)] {
            let mut m = hashed();
            m.packed.clear();
            flags(&mut m, 0, &elements);
            m.fields.insert((object(0), Field::Cap, 0), cap);
            if !has_index_keys {
                m.entries.retain(|(_, ty, bits), _| *ty != Ty::Int || (*bits as i64) < 0);
            }
            m.set_slot(2, Val::int(n));
            for ty in TYPES {
                let name = format!("flag {n} of room {cap}, {has_index_keys}, {}", ty.name());
                cases.push(case(name, &read("getint %0 %1", Val::int(n), ty), m.clone()));
            }
            for value in ["7", "1.5", "nil", "tru", "fal", &format!("tab@21:{:#x}", object(3))] {
                let name = format!("flag {n} of room {cap}, {has_index_keys} = {value}");
                cases.push(case(name, &write("setint", "int", "%1", value), m.clone()));
            }
        }
    }
}

pub(super) fn add(cases: &mut Vec<Case>) {
    loops(cases);
    keys(cases);
}
