//! Traces with tables that only exits and side segments make.

use std::mem::size_of;

use perilune_runtime::object::Table;
use perilune_trace::eval::{Model, Reply, Val};
use perilune_trace::ir::{Field, Helper};

use super::cases::{Case, case, model, object, packed};

/// Adds all cases.
pub(super) fn add(cases: &mut Vec<Case>) {
    let texts = [
        ("at an exit", AT_EXIT),
        ("in one another", NESTED),
        ("in a side segment", SIDE),
        ("that grows", GROWING),
        ("with elements", LIST),
        ("with elements, in a side segment", SIDE_LIST),
    ];
    for (name, text) in texts {
        for (rounds, collects) in [(3, false), (2, false), (1, false), (1, true)] {
            let mut m = Model { collects, ..model() };
            for (n, first) in [(1, 0x20), (2, 0x30)] {
                let cells: Vec<u64> = (0..4).map(|k| object(first + k)).collect();
                for cell in &cells {
                    m.fields.insert((*cell, Field::Slots, 0), cell + size_of::<Table>() as u64);
                }
                m.cells.insert(n, cells);
            }
            let cells: Vec<u64> = (0..4).map(|k| object(0x40 + k)).collect();
            for cell in &cells {
                m.fields.insert((*cell, Field::Slots, 0), cell + size_of::<Table>() as u64);
            }
            m.cells.insert(0, cells);
            // Where a list is made, it is this one.
            let list = packed(&mut m, 8, &[]).bits;
            m.fields.insert((list, Field::Shape, 0), 0x5000_8100);
            m.fields.insert((list, Field::Meta, 0), 0);
            m.replies.insert(Helper::NewTable, Reply { result: list, scratch: 0 });
            m.set_slot(1, Val::int(4 - rounds));
            m.set_slot(2, Val::float(0.5));
            let collects = if collects { ", and a collector step" } else { "" };
            cases.push(case(format!("a table {name}, {rounds} rounds{collects}"), text, m));
        }
    }
}

/// One value of each sort: an input, a constant, a number whose kind only the code knows.
const AT_EXIT: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:flt
segment 0 from header 0
  %2 = add %0 1 int
  %3 = call.newrecord ptr@40:0x50008100 2 tab -> snap 1
  %4 = load.slots %3 ptr
  %5 stprop %4 [0 of ptr@40:0x50008100] %2
  %6 stprop %4 [1 of ptr@40:0x50008100] 7
  %7 stfield.meta %3 ptr@41:0x50008200
  %8 nocoll -> snap 2
  %9 lt %2 4 -> snap 3
  around header 0, snap 4
snap 0 guard, pc 1
snap 1 service, pc 1, segment 0, at 3
snap 2 service, pc 2, segment 0, at 8, slots #3=%3, fuel 1
snap 3 guard, pc 9, segment 0, at 9, slots #1=%2 #3=%3 #5=%3, fuel 3
snap 4 guard, pc 1, slots #1=%2, fuel 4
";

/// The outer table is older than the inner one, which refers back to it.
const NESTED: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:flt
segment 0 from header 0
  %2 = add %0 1 int
  %3 = call.newrecord ptr@40:0x50008100 2 tab -> snap 1
  %4 = load.slots %3 ptr
  %5 = call.newrecord ptr@41:0x50008200 1 tab -> snap 2
  %6 = load.slots %5 ptr
  %7 stprop %6 [0 of ptr@41:0x50008200] %3
  %8 stprop %4 [0 of ptr@40:0x50008100] %1
  %9 stprop %4 [1 of ptr@40:0x50008100] %5
  %10 nocoll -> snap 3
  %11 lt %2 4 -> snap 4
  around header 0, snap 5
snap 0 guard, pc 1
snap 1 service, pc 1, segment 0, at 3
snap 2 service, pc 1, segment 0, at 3
snap 3 service, pc 2, segment 0, at 10, slots #4=%5, fuel 1
snap 4 guard, pc 9, segment 0, at 11, slots #1=%2 #4=%5, fuel 3
snap 5 guard, pc 1, slots #1=%2, fuel 4
";

/// The side segment of the last round needs one of two tables, and leaves with both.
const SIDE: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:flt
segment 0 from header 0
  %2 = add %0 1 int
  %3 = call.newrecord ptr@40:0x50008100 2 tab -> snap 1
  %4 = load.slots %3 ptr
  %5 stprop %4 [0 of ptr@40:0x50008100] %2
  %6 stprop %4 [1 of ptr@40:0x50008100] %1
  %7 = call.newrecord ptr@41:0x50008200 1 tab -> snap 2
  %8 = load.slots %7 ptr
  %9 stprop %8 [0 of ptr@41:0x50008200] %3
  %10 nocoll -> snap 3
  %11 lt %2 4 -> snap 4
  around header 0, snap 5
segment 1 from snap 4
  %12 stprop %4 [0 of ptr@40:0x50008100] 9
  %13 ne %3 null -> snap 6
  %14 = mul %2 3 int
  exit snap 7
snap 0 guard, pc 1
snap 1 service, pc 1, segment 0, at 3
snap 2 service, pc 1, segment 0, at 7, slots #3=%3
snap 3 service, pc 2, segment 0, at 10, slots #3=%3 #4=%7, fuel 1
snap 4 guard, pc 9, segment 0, at 11, slots #1=%2 #3=%3 #4=%7, fuel 3
snap 5 guard, pc 1, slots #1=%2, fuel 4
snap 6 guard, segment 1, at 13, pc 10, slots #1=%2 #3=%3 #4=%7, fuel 4
snap 7 end, pc 11, slots #1=%14 #3=%3 #4=%7, fuel 5
";

/// A property is added, and another changed.
const GROWING: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:flt
segment 0 from header 0
  %2 = add %0 1 int
  %3 = call.newrecord ptr@40:0x50008100 1 tab -> snap 1
  %4 = load.slots %3 ptr
  %5 stprop %4 [0 of ptr@40:0x50008100] %2
  %6 lt %2 3 -> snap 2
  %7 stprop %4 [0 of ptr@40:0x50008100] tru
  %8 lt %2 2 -> snap 3
  around header 0, snap 4
snap 0 guard, pc 1
snap 1 service, pc 1, segment 0, at 3
snap 2 guard, pc 9, segment 0, at 6, slots #1=%2 #3=%3, fuel 2
snap 3 guard, pc 9, segment 0, at 8, slots #1=%2 #3=%3, fuel 3
snap 4 guard, pc 1, slots #1=%2, fuel 4
";

/// A list of numbers, whose first element is changed later, in a record.
const LIST: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:flt
segment 0 from header 0
  %2 = add %0 1 int
  %3 = call.newtable ptr@40:0x50008100 2 0 tab -> snap 1
  %4 stfield.kind %3 4
  %5 stfield.len %3 2
  %6 = load.array %3 ptr
  %7 stpack %6 0 %1
  %8 stpack %6 1 2.5
  %9 = call.newrecord ptr@41:0x50008200 1 tab -> snap 2
  %10 = load.slots %9 ptr
  %11 stprop %10 [0 of ptr@41:0x50008200] %3
  %12 nocoll -> snap 3
  %13 = fadd %1 1.0 flt
  %14 stpack %6 0 %13
  %15 lt %2 4 -> snap 4
  around header 0, snap 5
snap 0 guard, pc 1
snap 1 service, pc 1, segment 0, at 3
snap 2 service, pc 1, segment 0, at 9, slots #3=%3
snap 3 service, pc 2, segment 0, at 12, slots #3=%3 #4=%9, fuel 1
snap 4 guard, pc 9, segment 0, at 15, slots #1=%2 #4=%9, fuel 3
snap 5 guard, pc 1, slots #1=%2, fuel 4
";

/// The side segment of the last round looks at the list, and stores into it.
const SIDE_LIST: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:flt
segment 0 from header 0
  %2 = add %0 1 int
  %3 = call.newtable ptr@40:0x50008100 4 0 tab -> snap 1
  %4 stfield.kind %3 255
  %5 stfield.cap %3 2
  %6 stfield.len %3 2
  %7 = load.array %3 ptr
  %8 stelem %7 0 %1
  %9 stelem %7 1 %2
  %10 nocoll -> snap 2
  %11 lt %2 4 -> snap 3
  around header 0, snap 4
segment 1 from snap 3
  %12 stelem %7 1 nil
  %13 stelem %7 1 %1
  %14 ne %3 null -> snap 5
  exit snap 6
snap 0 guard, pc 1
snap 1 service, pc 1, segment 0, at 3
snap 2 service, pc 2, segment 0, at 10, slots #3=%3, fuel 1
snap 3 guard, pc 9, segment 0, at 11, slots #1=%2 #3=%3, fuel 3
snap 4 guard, pc 1, slots #1=%2, fuel 4
snap 5 guard, segment 1, at 14, pc 10, slots #1=%2 #3=%3, fuel 4
snap 6 end, pc 11, slots #1=%2 #3=%3, fuel 5
";
