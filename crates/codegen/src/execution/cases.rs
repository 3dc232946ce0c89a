//! The traces, with memory for them to work on.
//!
//! Operations are tried in loops over packed arrays with all pairs of difficult operands, as a loop over arrays of a program
//! would be recorded.

use perilune_trace::eval::{Model, Reply, VALUE, Val};
use perilune_trace::ir::{Field, Helper, Op, Tree, Ty};

use super::image::{OBJECTS, STACK};

pub(super) struct Case {
    pub(super) name: String,
    pub(super) tree: Tree,
    pub(super) model: Model,
}

/// Element kind of packed integers, as far as a guard is concerned.
const KIND: u64 = 3;

/// Objects are this far from one another, buffers further.
const OBJECT: u64 = 0x100;
const BUFFER: u64 = 0x1000;

pub(super) fn case(name: impl Into<String>, text: &str, model: Model) -> Case {
    let name = name.into();
    let tree = text.parse().unwrap_or_else(|why| panic!("{name}: {why}\n{text}"));
    Case { name, tree, model }
}

pub(super) fn model() -> Model {
    Model { stack: STACK, fuel: 1_000_000, ..Model::default() }
}

pub(super) fn object(n: u64) -> u64 {
    OBJECTS + n * OBJECT
}

pub(super) fn buffer(n: u64) -> u64 {
    OBJECTS + 0x1000 + n * BUFFER
}

/// Table `n` with a packed array.
pub(super) fn packed(model: &mut Model, n: u64, elements: &[u64]) -> Val {
    let table = object(n);
    for (field, value) in [(Field::Kind, KIND), (Field::Len, elements.len() as u64), (Field::Array, buffer(n))] {
        model.fields.insert((table, field, 0), value);
    }
    for (k, element) in elements.iter().enumerate() {
        model.packed.insert(buffer(n) + 8 * k as u64, *element);
    }
    Val { ty: Ty::Table, bits: table }
}

/// Table `n` with an array of whole values.
pub(super) fn whole(model: &mut Model, n: u64, elements: &[Val]) -> Val {
    let table = packed(model, n, &[]);
    model.fields.insert((object(n), Field::Len, 0), elements.len() as u64);
    for (k, element) in elements.iter().enumerate() {
        model.values.insert(buffer(n) + VALUE * k as u64, *element);
    }
    table
}

const INTS: [i64; 14] = [0, 1, -1, 2, -2, 3, -7, 10, 63, 64, -65, 1 << 40, i64::MAX, i64::MIN];

const FLOATS: [f64; 14] =
    [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e15, -1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 4.9e-324, TWO_63];

/// The first float that is too large for an integer.
const TWO_63: f64 = 9_223_372_036_854_775_808.0;

fn pairs(numbers: &[u64]) -> Vec<(u64, u64)> {
    numbers.iter().flat_map(|a| numbers.iter().map(move |b| (*a, *b))).collect()
}

/// Slots 1 to 3: tables of left operands, right operands and results; 4: the index from 0.
fn operands(pairs: &[(u64, u64)]) -> Model {
    let mut model = model();
    let left: Vec<u64> = pairs.iter().map(|(a, _)| *a).collect();
    let right: Vec<u64> = pairs.iter().map(|(_, b)| *b).collect();
    let tables = [left, right, vec![0; pairs.len()]];
    for (n, elements) in tables.iter().enumerate() {
        let table = packed(&mut model, n as u64, elements);
        model.set_slot(n as u32 + 1, table);
    }
    model.set_slot(4, Val::int(0));
    model
}

/// `for i = 0, #x - 1 do z[i] = <line> end`; `%8` and `%9` are the operands, `%10` the result.
fn over_arrays(line: &str, from: &str, to: &str, count: usize, rest: &str) -> String {
    format!(
        "\
header 0 pc 1, snap 0, inputs %0=#1:tab %1=#2:tab %2=#3:tab %3=#4:int
segment 0 from header 0
  %4 = load.len %0 int
  %5 = load.array %0 ptr
  %6 = load.array %1 ptr
  %7 = load.array %2 ptr
  %8 = ldpack %5 %3 {from}
  %9 = ldpack %6 %3 {from}
  {line}
  %11 stpack %7 %3 {to}
  %12 = add %3 1 int
  %13 below %12 %4 -> snap 1
  %14 lt %12 {count} -> snap 1
  around header 0, snap 2
{rest}snap 0 guard, pc 1
snap 1 guard, pc 9, slots #4=%12, fuel 1
snap 2 guard, pc 1, slots #4=%12, fuel 3
"
    )
}

fn int_bits() -> Vec<u64> {
    INTS.iter().map(|n| *n as u64).collect()
}

fn float_bits() -> Vec<u64> {
    FLOATS.iter().map(|x| x.to_bits()).collect()
}

fn binary_ints(cases: &mut Vec<Case>) {
    let ops = [Op::Add, Op::Sub, Op::Mul, Op::IDiv, Op::Mod, Op::And, Op::Or, Op::Xor];
    for op in ops.into_iter().chain([Op::Shl, Op::Shr, Op::IMax, Op::IMin]) {
        let mut pairs = pairs(&int_bits());
        if matches!(op, Op::IDiv | Op::Mod) {
            pairs.retain(|(_, b)| *b != 0);
        }
        let line = format!("%10 = {} %8 %9 int", op.mnemonic());
        cases.push(case(op.mnemonic(), &over_arrays(&line, "int", "%10", pairs.len(), ""), operands(&pairs)));
    }
}

/// The code generator has ways of its own for constants.
fn constant_ints(cases: &mut Vec<Case>) {
    let constants: [(Op, &[i64]); 8] = [
        (Op::Add, &[1, -1, i64::MAX]),
        (Op::Sub, &[1, i64::MIN]),
        (Op::Shl, &[1, 63, 64, -3]),
        (Op::Shr, &[1, 63, 64, -3]),
        (Op::Sar, &[1, 63]),
        (Op::IDiv, &[1, 2, 7, 10, 1 << 20, -1, -3, i64::MAX]),
        (Op::Mod, &[2, 7, 1000, 1 << 20, -1, -3, i64::MIN]),
        (Op::And, &[255]),
    ];
    let pairs = pairs(&int_bits());
    for (op, numbers) in constants {
        for n in numbers {
            let line = format!("%10 = {} %8 {n} int", op.mnemonic());
            let name = format!("{} by {n}", op.mnemonic());
            cases.push(case(name, &over_arrays(&line, "int", "%10", pairs.len(), ""), operands(&pairs)));
        }
    }
    // What cannot be negative is divided in fewer steps. The second operand is as good a place for it as any.
    for op in [Op::IDiv, Op::Mod] {
        for n in [3, 7, 1000, i64::MAX] {
            let line = format!("%10 = {} %9 {n} int", op.mnemonic());
            let text = over_arrays(&line, "int", "%10", pairs.len(), "");
            let text = text.replace("%9 = ldpack %6 %3 int", &format!("%9 = and %8 {} int", i64::MAX));
            cases.push(case(format!("{} of no negative by {n}", op.mnemonic()), &text, operands(&pairs)));
        }
    }
}

fn floats(cases: &mut Vec<Case>) {
    let pairs = pairs(&float_bits());
    for op in [Op::FAdd, Op::FSub, Op::FMul, Op::FDiv, Op::FMax, Op::FMin] {
        let line = format!("%10 = {} %8 %9 flt", op.mnemonic());
        cases.push(case(op.mnemonic(), &over_arrays(&line, "flt", "%10", pairs.len(), ""), operands(&pairs)));
    }
    for op in [Op::FNeg, Op::FAbs, Op::FSqrt, Op::FFloor, Op::FCeil] {
        let line = format!("%10 = {} %8 flt", op.mnemonic());
        cases.push(case(op.mnemonic(), &over_arrays(&line, "flt", "%10", pairs.len(), ""), operands(&pairs)));
    }
    let line = "%10 = fadd %8 1.5 flt";
    cases.push(case("fadd of a constant", &over_arrays(line, "flt", "%10", pairs.len(), ""), operands(&pairs)));
}

fn unary_ints(cases: &mut Vec<Case>) {
    let pairs = pairs(&int_bits());
    for op in [Op::Neg, Op::Not] {
        let line = format!("%10 = {} %8 int", op.mnemonic());
        cases.push(case(op.mnemonic(), &over_arrays(&line, "int", "%10", pairs.len(), ""), operands(&pairs)));
    }
    for op in [Op::IToF, Op::SmallToF] {
        let line = format!("%10 = {} %8 flt", op.mnemonic());
        cases.push(case(op.mnemonic(), &over_arrays(&line, "int", "%10", pairs.len(), ""), operands(&pairs)));
    }
}

/// Each guard decides between two paths, which both go on: one in the first segment, one beside it.
fn guards(cases: &mut Vec<Case>) {
    let side = "\
segment 1 from snap 3
  %15 stpack %7 %3 2
  %16 = add %3 1 int
  %17 lt %16 COUNT -> snap 4
  around header 0, snap 5
";
    let snaps = "snap 3 guard, pc 4
snap 4 guard, pc 9, slots #4=%16, fuel 2
snap 5 guard, pc 1, slots #4=%16, fuel 2
";
    let ints = [Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge, Op::Below, Op::NotBelow].map(|op| (op, "int"));
    let floats = [Op::FEq, Op::FNe, Op::FLt, Op::FLe, Op::FNotLt, Op::FNotLe].map(|op| (op, "flt"));
    for (op, ty) in ints.into_iter().chain(floats) {
        let pairs = pairs(&if ty == "int" { int_bits() } else { float_bits() });
        let line = format!("%10 {} %8 %9 -> snap 3", op.mnemonic());
        let side = side.replace("COUNT", &pairs.len().to_string());
        let text = over_arrays(&line, ty, "1", pairs.len(), &side) + snaps;
        cases.push(case(op.mnemonic(), &text, operands(&pairs)));
    }
    let pairs = pairs(&float_bits());
    let side = side.replace("COUNT", &pairs.len().to_string());
    let text = over_arrays("%10 = ftoi %8 int -> snap 3", "flt", "%10", pairs.len(), &side) + snaps;
    cases.push(case("ftoi", &text, operands(&pairs)));
}

/// `s = s + t[i]` over whole values: leaves at the first element of another type.
fn whole_values(cases: &mut Vec<Case>) {
    let text = "\
header 0 pc 1, snap 0, inputs %0=#1:tab %1=#2:int %2=#3:flt
segment 0 from header 0
  %3 = load.len %0 int
  %4 = load.array %0 ptr
  %5 below %1 %3 -> snap 1
  %6 haselem %4 %1 -> snap 1
  %7 = ldelem %4 %1 flt -> snap 1
  %8 = fadd %2 %7 flt
  %9 stelem %4 %1 %1
  %10 = add %1 1 int
  around header 0, snap 2
snap 0 guard, pc 1
snap 1 guard, pc 2
snap 2 guard, pc 1, slots #2=%10 #3=%8, fuel 2
";
    let half = Val::float(0.5);
    for (name, last) in [("nil", Val::NIL), ("true", Val { ty: Ty::True, bits: 0 }), ("an integer", Val::int(7))] {
        let mut m = model();
        let table = whole(&mut m, 0, &[half, half, half, last]);
        m.set_slot(1, table);
        m.set_slot(2, Val::int(0));
        m.set_slot(3, Val::float(-0.0));
        cases.push(case(format!("elements up to {name}"), text, m));
    }
}

/// `o.n = o.n + 1` while `o.n < 10`, with the shape's guard in front of the loop.
fn properties(cases: &mut Vec<Case>) {
    let shape = object(9);
    let text = format!(
        "\
consts: %10=ptr@10:{shape:#x}
header 0 pc 1, snap 0, inputs %0=#1:tab
segment 0 from header 0
  %1 = load.shape %0 ptr
  %2 eq %1 ptr@10 -> snap 1
  %3 = load.slots %0 ptr
  %4 hasprop %3 [1 of ptr@10] -> snap 1
  %5 = ldprop %3 [2 of ptr@10] int -> snap 1
  %6 = add %5 1 int
  %7 stprop %3 [2 of ptr@10] %6
  %8 barrier %0 %0
  %9 lt %6 10 -> snap 2
  around header 0, snap 3
snap 0 guard, pc 1
snap 1 guard, pc 1
snap 2 guard, pc 5, fuel 1
snap 3 guard, pc 1, fuel 3
"
    );
    for (name, known, n) in [
        ("a counter in a property", shape, Val::int(0)),
        ("another shape", shape + 16, Val::int(0)),
        ("a property of another type", shape, Val::float(1.0)),
    ] {
        let mut m = model();
        m.fields.insert((object(0), Field::Shape, 0), known);
        m.fields.insert((object(0), Field::Slots, 0), buffer(0));
        m.values.insert(buffer(0) + VALUE, Val { ty: Ty::Table, bits: object(0) });
        m.values.insert(buffer(0) + 2 * VALUE, n);
        m.set_slot(1, Val { ty: Ty::Table, bits: object(0) });
        cases.push(case(name, &text, m));
    }
}

/// A loop in a loop: the inner one may go round without the outer one's preheader.
fn nested(cases: &mut Vec<Case>) {
    let text = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:int %2=#3:flt
header 1 pc 5, snap 1, inputs %8=#1:int %9=#2:int %10=#3:flt %11=#4:int
segment 0 from header 0
  %3 = mul %1 3 int
  %4 = itof %3 flt
  %5 = fadd %2 %4 flt
  %6 lt %0 6 -> snap 7
  enter header 1, snap 2
segment 1 from header 1
  %12 = mul %9 %8 int
  %13 = itof %12 flt
  %14 = fsub %10 %13 flt
  %15 = add %11 1 int
  %16 lt %15 4 -> snap 3
  around header 1, snap 4
segment 2 from snap 3
  %17 = add %8 1 int
  around header 0, snap 5
snap 0 guard, pc 1
snap 1 guard, pc 5
snap 2 guard, pc 5, slots #3=%5 #4=0, fuel 2
snap 3 guard, pc 9, slots #3=%14 #4=%15
snap 4 guard, pc 5, slots #3=%14 #4=%15, fuel 3
snap 5 guard, pc 1, slots #1=%17 #3=%14, fuel 5
snap 6 end, segment 0, at 3, pc 7
snap 7 guard, pc 8, slots #3=%5
";
    for (name, fuel, header_type) in [
        ("nested loops", 10_000, Val::float(1.0)),
        ("nested loops, short of fuel in the inner one", 20, Val::float(1.0)),
        ("nested loops, no fuel at all", 0, Val::float(1.0)),
        ("nested loops, another type", 10_000, Val::int(1)),
    ] {
        let mut m = model();
        m.fuel = fuel;
        m.set_slot(1, Val::int(0));
        m.set_slot(2, Val::int(5));
        m.set_slot(3, header_type);
        cases.push(case(name, text, m));
    }
}

/// A hoisted guard fails: execution goes to the header's other copy, which has another view of the table.
fn alternatives(cases: &mut Vec<Case>) {
    let text = "\
header 0 pc 1, snap 0, inputs %0=#1:tab %1=#2:int, alternative 1
header 1 pc 1, snap 1, inputs %6=#1:tab %7=#2:int
segment 0 from header 0
  %2 = load.kind %0 int
  %3 eq %2 4 -> snap 2
  %4 = add %1 1 int
  %5 lt %4 10 -> snap 3
  around header 0, snap 4
segment 1 from header 1
  %8 = load.kind %6 int
  %9 eq %8 3 -> snap 5
  %10 = add %7 100 int
  %11 lt %10 1000 -> snap 6
  around header 1, snap 7
snap 0 guard, pc 1
snap 1 guard, pc 1
snap 2 guard, pc 1
snap 3 guard, pc 9, slots #2=%4
snap 4 guard, pc 1, slots #2=%4, fuel 1
snap 5 guard, pc 1
snap 6 guard, pc 9, slots #2=%10
snap 7 guard, pc 1, slots #2=%10, fuel 1
";
    for (name, kind) in [("the first copy of a loop", 4), ("the second copy", 3), ("no copy at all", 5)] {
        let mut m = model();
        let table = packed(&mut m, 0, &[]);
        m.fields.insert((object(0), Field::Kind, 0), kind);
        m.set_slot(1, table);
        m.set_slot(2, Val::int(0));
        cases.push(case(name, text, m));
    }
}

/// Bounds that are checked in front of the loop: inside, and one element too far.
fn ranges(cases: &mut Vec<Case>) {
    let text = "\
header 0 pc 1, snap 0, inputs %0=#1:tab %1=#2:int %2=#3:int %3=#4:int %4=#5:int
segment 0 from header 0
  %5 = load.len %0 int
  %6 = load.array %0 ptr
  %7 = add %4 -1 int
  %8 below %7 %5 -> snap 1
  %9 = ldpack %6 %7 int
  %10 below %4 %5 -> snap 1
  %11 stpack %6 %4 %9
  %12 ne %3 0 -> snap 2
  %13 = add %3 -1 int
  %14 = add %1 %2 int
  around header 0, snap 3
snap 0 guard, pc 1
snap 1 guard, pc 1
snap 2 guard, pc 9, fuel 1
snap 3 guard, pc 1, slots #2=%14 #4=%13 #5=%14, fuel 3
";
    for (name, step, count) in [
        ("a range of elements", 1, 2),
        ("a range that is too long", 1, 3),
        ("a range with gaps", 2, 1),
        ("a range with gaps that is too long", 2, 2),
        ("a long step that is not made", 4, 0),
        ("a step longer than the array", 5, 0),
        ("no step", 0, 2),
        ("a step back", -1, 1),
        ("a step that comes around", i64::MAX, 2),
    ] {
        let mut m = model();
        let table = packed(&mut m, 0, &[5, 6, 7, 8]);
        m.set_slot(1, table);
        for (slot, n) in [(2, 1), (3, step), (4, count), (5, 1)] {
            m.set_slot(slot, Val::int(n));
        }
        cases.push(case(name, text, m));
    }
    for (name, step, first, count) in [
        ("a range downwards", -1, 3, 2),
        ("a range downwards that is too long", -1, 3, 3),
        ("a range downwards that begins too high", -1, 4, 2),
        ("a range downwards with gaps", -2, 3, 1),
        ("a range downwards with gaps that is too long", -2, 3, 2),
        ("one round of a range downwards", -4, 1, 0),
        ("one round of a range downwards by more than the array", -5, 1, 0),
        ("a step down that comes around", -i64::MAX, 3, 2),
    ] {
        let text = text.replace("add %1 %2", &format!("add %1 {step}"));
        let mut m = model();
        let table = packed(&mut m, 0, &[5, 6, 7, 8]);
        m.set_slot(1, table);
        for (slot, n) in [(2, first), (3, step), (4, count), (5, first)] {
            m.set_slot(slot, Val::int(n));
        }
        cases.push(case(name, &text, m));
    }
}

/// Loops that count, with two inputs of the same value, and with a path of their own for each kind of round: the fuel lasts, or
/// it is short before the loop, in it, or behind its last round.
fn counted(cases: &mut Vec<Case>) {
    let text = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:int %2=#3:int %3=#4:int
segment 0 from header 0
  %4 = and %1 1 int
  %5 eq %4 0 -> snap 1
  %6 = add %3 %1 int
  %7 ne %2 0 -> snap 2
  %8 = add %2 -1 int
  %9 = add %0 1 int
  around header 0, snap 3
segment 1 from snap 1
  %10 = mul %3 3 int
  %11 ne %2 0 -> snap 4
  %12 = add %2 -1 int
  %13 = add %0 1 int
  around header 0, snap 5
snap 0 guard, pc 1
snap 1 guard, pc 3
snap 2 guard, pc 9, slots #4=%6, fuel 1
snap 3 guard, pc 1, slots #1=%9 #2=%9 #3=%8 #4=%6, fuel 5
snap 4 guard, segment 1, pc 9, slots #4=%10, fuel 2
snap 5 guard, segment 1, pc 1, slots #1=%13 #2=%13 #3=%12 #4=%10, fuel 5
";
    let short = [0, 4, 5, 9, 10, 14, 15, 16, 54, 55, 56, 59, 60, 61, 1_000_000].map(|fuel| (fuel, 10, 4));
    let others = [(50, i64::MAX, 4), (50, -1, 4), (50, 1 << 31, 4), (1 << 40, 0, 4), (100, 10, 5), (i64::MAX, 3, 4)];
    for (fuel, count, variable) in short.into_iter().chain(others) {
        let mut m = model();
        m.fuel = fuel;
        for (slot, n) in [(1, 4), (2, variable), (3, count), (4, 1)] {
            m.set_slot(slot, Val::int(n));
        }
        cases.push(case(format!("a loop that counts {count} rounds from {variable} with {fuel} fuel"), text, m));
    }
}

/// Functions that return: from the first path, from a side path, and nothing at all.
fn returns(cases: &mut Vec<Case>) {
    let text = "\
header 0 pc 0, snap 0, inputs %0=#1:int %1=#2:flt
segment 0 from header 0
  %2 lt %0 10 -> snap 1
  %3 = add %0 1 int
  %4 stplace %3 #0
  %5 stplace %1 #1
  return 2, snap 2
segment 1 from snap 1
  %6 gt %0 100 -> snap 3
  %7 stplace nil #0
  return 0, snap 4
snap 0 guard, pc 0
snap 1 guard, pc 0
snap 2 end, pc 3, fuel 4
snap 3 guard, segment 1, pc 5, fuel 2
snap 4 end, segment 1, pc 7, fuel 9
";
    for n in [3, 10, 50, 101] {
        let mut m = model();
        m.set_slot(1, Val::int(n));
        m.set_slot(2, Val::float(2.5));
        cases.push(case("returns", text, m));
    }
}

/// Upvalues, places, lengths that grow, bytes, what helpers reply.
fn others(cases: &mut Vec<Case>) {
    let text = "\
header 0 pc 1, snap 0, inputs %0=#1:lfn %1=#2:int
segment 0 from header 0
  %2 = load.upval %0 #2 ptr
  %3 = load.upslot %2 ptr
  %4 offstack %3 -> snap 1
  %5 = ldup %3 int -> snap 1
  %6 = add %5 %1 int
  %7 stup %3 %6
  %8 stplace %6 #5
  %9 = ldplace #5 int -> snap 2
  %10 = add %1 1 int
  %11 lt %10 5 -> snap 3
  around header 0, snap 4
snap 0 guard, pc 1
snap 1 guard, pc 1
snap 2 guard, segment 0, at 9, pc 2
snap 3 guard, pc 3, slots #2=%10 #6=%9, fuel 7
snap 4 guard, pc 1, slots #2=%10, fuel 9
";
    let mut m = model();
    let (function, upvalue) = (object(0), object(1));
    m.fields.insert((function, Field::UpVal, 2), upvalue);
    m.fields.insert((upvalue, Field::UpSlot, 0), buffer(1));
    m.values.insert(buffer(1), Val::int(100));
    m.set_slot(1, Val { ty: Ty::LuaFn, bits: function });
    m.set_slot(2, Val::int(0));
    cases.push(case("an upvalue", text, m.clone()));
    m.fields.insert((upvalue, Field::UpSlot, 0), m.place(2));
    cases.push(case("an upvalue on the traced stack", text, m.clone()));
    let reads = text.replace("offstack", "offwritten").replace("  %7 stup %3 %6\n", "  %7 stplace %6 #7\n");
    for (name, slot) in [("an upvalue that only reads, unwritten", 1), ("an upvalue that only reads, written", 2)] {
        m.fields.insert((upvalue, Field::UpSlot, 0), m.place(slot));
        cases.push(case(
            name,
            &reads
                .replace("ldup %3 int", if slot == 1 { "ldup %3 lfn" } else { "ldup %3 int" })
                .replace("add %5 %1", "add %1 %1"),
            m.clone(),
        ));
    }
    let writes_nothing = "\
header 0 pc 1, snap 0, inputs %0=#1:lfn
segment 0 from header 0
  %1 = load.upval %0 #2 ptr
  %2 = load.upslot %1 ptr
  %3 offwritten %2 -> snap 1
  %4 = ldup %2 int -> snap 1
  %5 lt %4 1000 -> snap 1
  exit snap 2
snap 0 guard, pc 1
snap 1 guard, pc 1
snap 2 end, segment 0, at 6, pc 2
";
    m.fields.insert((upvalue, Field::UpSlot, 0), buffer(1));
    cases.push(case("an upvalue of code that writes no slot", writes_nothing, m.clone()));

    let text = "\
header 0 pc 1, snap 0, inputs %0=#1:tab %1=#2:str %2=#3:int
segment 0 from header 0
  %3 = load.strlen %1 int
  %4 below %2 %3 -> snap 1
  %5 = ldbyte %1 %2 int
  %6 = load.len %0 int
  %7 = load.array %0 ptr
  %8 stpack %7 %6 %5
  %9 = add %6 1 int
  %10 stfield.len %0 %9
  %11 = add %2 1 int
  around header 0, snap 2
snap 0 guard, pc 1
snap 1 guard, pc 9
snap 2 guard, pc 1, slots #3=%11, fuel 2
";
    let mut m = model();
    let table = packed(&mut m, 0, &[]);
    let string = object(3);
    m.bytes.insert(string, b"a\0\xff".to_vec());
    m.fields.insert((string, Field::StrLen, 0), 3);
    m.set_slot(1, table);
    m.set_slot(2, Val { ty: Ty::Str, bits: string });
    m.set_slot(3, Val::int(0));
    cases.push(case("bytes of a string into a growing table", text, m));
    helpers(cases);
}

/// Numbers of either kind: every combination of an element of `x` and one of `y`, packed or not, through all operations.
fn either(cases: &mut Vec<Case>) {
    let text = "\
header 0 pc 1, snap 0, inputs %0=#1:tab %1=#2:tab %2=#3:tab %3=#4:int
segment 0 from header 0
  %4 = load.len %0 int
  %5 below %3 %4 -> snap 1
  %6 = load.array %0 ptr
  %7 = load.array %1 ptr
  %8 = load.array %2 ptr
  %9 = tagmixed %6 %3 %0 int -> snap 1
  %10 = rawmixed %9 int -> snap 1
  %11 = num %10 %9 num
  %12 = tagelem %7 %3 int -> snap 1
  %13 = rawelem %7 %3 int -> snap 1
  %14 = ntof %10 %9 flt
  %15 = ntof %13 %12 flt
  %16 = fsub %14 %15 flt
  %17 = sub %10 %13 int
  %18 = imax %9 %12 int
  %19 = nsel %18 %17 %16 int
  %20 = num %19 %18 num
  %21 = asflt %19 flt
  %22 stelem %8 %3 %20
  %23 stplace %11 #6
  %24 = add %3 1 int
  %25 lt %24 1000 -> snap 2
  around header 0, snap 3
snap 0 guard, pc 1
snap 1 guard, pc 2
snap 2 guard, segment 0, at 25, pc 9, slots #4=%24 #5=%20, fuel 1
snap 3 guard, pc 1, slots #4=%24 #5=%20 #7=%21, fuel 3
";
    let number = |bits: u64, ty| Val { ty, bits };
    let ints: Vec<Val> = INTS.iter().map(|n| Val::int(*n)).collect();
    let floats: Vec<Val> = FLOATS.iter().map(|x| Val::float(*x)).collect();
    let mixed: Vec<Val> = ints.iter().zip(&floats).flat_map(|(n, x)| [*n, *x]).collect();
    for (name, left, kind) in
        [("ints", &ints, 3), ("floats", &floats, 4), ("mixed", &mixed, 255), ("strings", &ints, 6)]
    {
        let pairs: Vec<(Val, Val)> = left.iter().flat_map(|x| mixed.iter().map(move |y| (*x, *y))).collect();
        let (xs, ys): (Vec<Val>, Vec<Val>) = pairs.into_iter().unzip();
        let mut m = model();
        let x = if kind == 255 {
            whole(&mut m, 0, &xs)
        } else {
            packed(&mut m, 0, &xs.iter().map(|x| x.bits).collect::<Vec<_>>())
        };
        m.fields.insert((object(0), Field::Kind, 0), kind);
        m.set_slot(1, x);
        let y = whole(&mut m, 4, &ys);
        m.set_slot(2, y);
        let results = whole(&mut m, 8, &vec![number(0, Ty::Nil); ys.len()]);
        m.set_slot(3, results);
        m.set_slot(4, Val::int(0));
        cases.push(case(format!("numbers of either kind, {name}"), text, m));
    }
    // An element that is no number.
    let mut m = model();
    let x = whole(&mut m, 0, &[Val::int(1), Val::float(0.5), Val { ty: Ty::Str, bits: object(3) }]);
    let y = whole(&mut m, 1, &[Val::float(2.5), Val::int(3), Val::int(4)]);
    let results = whole(&mut m, 2, &[Val::NIL; 3]);
    m.fields.insert((object(0), Field::Kind, 0), 255);
    for (slot, value) in [(1, x), (2, y), (3, results), (4, Val::int(0))] {
        m.set_slot(slot, value);
    }
    cases.push(case("numbers of either kind, then a string", text, m));
}

fn helpers(cases: &mut Vec<Case>) {
    let text = "\
header 0 pc 1, snap 0, inputs %0=#1:flt %1=#2:tab %2=#3:int
segment 0 from header 0
  %3 = call.pow %0 2.5 flt
  %4 = call.sin %3 flt
  %5 call.setint %1 %2 %4 -> snap 1
  %6 nocoll -> snap 2
  %7 = call.getraw %1 true int -> snap 2
  %8 = call.strcmp str@20 str@21 int
  exit snap 3
snap 0 guard, pc 1
snap 1 service, pc 2, slots #1=%4, fuel 3
snap 2 service, pc 3, slots #1=%4, fuel 4
snap 3 end, pc 4, slots #1=%7 #2=%8, fuel 5
"
    .replace("true", "tru");
    let replies = [
        (Helper::Pow, Reply { result: 2.25f64.to_bits(), scratch: 0 }),
        (Helper::Sin, Reply { result: (-0.5f64).to_bits(), scratch: 0 }),
        (Helper::SetInt, Reply { result: 1, scratch: 0 }),
        (Helper::GetRaw, Reply { result: Ty::Int as u64, scratch: 77 }),
        (Helper::StrCompare, Reply { result: -1i64 as u64, scratch: 0 }),
    ];
    let mut m = model();
    m.replies.extend(replies);
    m.set_slot(1, Val::float(1.5));
    m.set_slot(2, Val { ty: Ty::Table, bits: object(0) });
    m.set_slot(3, Val::int(-9));
    cases.push(case("helpers", &text, m.clone()));
    cases.push(case("a collector step is due", &text, Model { collects: true, ..m.clone() }));
    m.replies.insert(Helper::GetRaw, Reply { result: Ty::Float as u64, scratch: 77 });
    cases.push(case("a helper that replies another type", &text, m.clone()));
    m.replies.insert(Helper::SetInt, Reply::default());
    cases.push(case("a helper that fails", &text, m));
}

/// A path whose exits store more and more of the same, and one of them another value for a slot that the others agree on.
/// Each exit is taken once, and so is the way through the loop.
fn exits_in_common(cases: &mut Vec<Case>) {
    let text = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:flt %2=#3:int
segment 0 from header 0
  %3 = add %0 1 int
  %4 = mul %3 %3 int
  %5 ne %4 4 -> snap 1
  %6 = fadd %1 0.5 flt
  %7 = xor %4 21 int
  %8 ne %3 3 -> snap 2
  %9 = sub %7 %0 int
  %10 ne %3 5 -> snap 3
  %11 = mul %9 3 int
  %12 ne %3 7 -> snap 4
  %13 lt %3 %2 -> snap 5
  around header 0, snap 6
snap 0 guard, pc 1
snap 1 guard, pc 2, slots #1=%3 #4=%4, fuel 1
snap 2 guard, pc 3, slots #1=%3 #2=%6 #4=%4 #5=%7, fuel 2
snap 3 guard, pc 4, slots #1=%3 #2=%6 #4=%4 #5=%7 #6=%9 #7=7, fuel 3
snap 4 guard, pc 5, slots #1=%3 #2=%6 #4=%4 #5=%9 #6=%11 #7=%7, fuel 4
snap 5 guard, pc 6, slots #1=%3 #2=%6 #4=%4 #5=%7 #6=%9 #8=%0, fuel 5
snap 6 guard, pc 1, slots #1=%3 #2=%6, fuel 6
";
    for (start, fuel) in [(1, 100), (2, 100), (4, 100), (6, 100), (7, 100), (7, 14)] {
        let mut m = Model { fuel, ..model() };
        m.set_slot(1, Val::int(start));
        m.set_slot(2, Val::float(0.25));
        m.set_slot(3, Val::int(20));
        cases.push(case(format!("exits in common from {start} with fuel {fuel}"), text, m));
    }
}

/// A loop that counts inside of one that does not: the inner one's last exit goes on with the next round of the outer one.
fn counted_inside(cases: &mut Vec<Case>) {
    let text = "\
header 0 pc 1, snap 0, inputs %0=#1:int
header 1 pc 2, snap 2, inputs %1=#1:int %2=#2:int
segment 0 from header 0
  %3 = add %0 2 int
  enter header 1, snap 1
segment 1 from header 1
  %4 ne %2 0 -> snap 3
  %5 = add %2 -1 int
  around header 1, snap 4
segment 2 from snap 3
  %6 lt %1 5 -> snap 5
  %7 = add %1 1 int
  around header 0, snap 6
snap 0 guard, pc 1, live 1
snap 1 guard, pc 2, fuel 2, live 1 2, slots #2=%3
snap 2 guard, segment 1, at 4, pc 2, live 1 2
snap 3 guard, segment 1, at 4, pc 5, fuel 3, live 1
snap 4 guard, segment 1, pc 2, fuel 7, live 1 2, slots #2=%5
snap 5 guard, segment 2, at 6, pc 6, fuel 4, live 1
snap 6 guard, segment 2, pc 1, fuel 11, live 1, slots #1=%7
";
    for fuel in [1_000, 100, 60, 30, 12] {
        let mut m = Model { fuel, ..model() };
        m.set_slot(1, Val::int(0));
        m.set_slot(2, Val::int(0));
        cases.push(case(format!("a loop that counts inside of another, with {fuel} fuel"), text, m));
    }
}

/// A loop whose variable is the result of a call, while others are alive across it: the result has the place that the variable
/// had in front of the call.
fn counted_by_a_call(cases: &mut Vec<Case>) {
    let text = "\
header 0 pc 1, snap 0, inputs %0=#1:flt %1=#2:int %2=#3:int
segment 0 from header 0
  %3 = fadd %0 1.0 flt
  %4 = call.pow %3 2.0 flt
  %5 = add %1 1 int
  %6 lt %5 %2 -> snap 1
  around header 0, snap 2
snap 0 guard, pc 1
snap 1 guard, pc 2, slots #1=%4 #2=%5, fuel 2
snap 2 guard, pc 1, slots #1=%4 #2=%5, fuel 3
";
    let mut m = model();
    m.replies.insert(Helper::Pow, Reply { result: 2.25f64.to_bits(), scratch: 0 });
    m.set_slot(1, Val::float(1.5));
    m.set_slot(2, Val::int(0));
    m.set_slot(3, Val::int(5));
    cases.push(case("a loop that is counted by a call", text, m));
}

/// More values alive in a loop than there are registers, integers and floats, all of which change places in each round.
fn many_values(cases: &mut Vec<Case>) {
    const SLOTS: usize = 20;
    let slot = |n: usize| n + 1;
    let ty = |n: usize| if n.is_multiple_of(2) { "int" } else { "flt" };
    let inputs: Vec<String> = (0..SLOTS).map(|n| format!("%{n}=#{}:{}", slot(n), ty(n))).collect();
    let mut text = format!("header 0 pc 1, snap 0, inputs {}\nsegment 0 from header 0\n", inputs.join(" "));
    // Each is made of the one two further on: so all of the old ones are needed to the end.
    let made = |n: usize| SLOTS + n;
    for n in 0..SLOTS {
        let next = (n + 2) % SLOTS;
        let (op, one) = if n.is_multiple_of(2) { ("add", "1") } else { ("fadd", "0.5") };
        text += &format!("  %{} = {op} %{next} {one} {}\n", made(n), ty(n));
    }
    let slots: Vec<String> = (0..SLOTS).map(|n| format!("#{}=%{}", slot(n), made(n))).collect();
    let slots = slots.join(" ");
    text += &format!("  %{} lt %{} 40 -> snap 1\n  around header 0, snap 2\n", 2 * SLOTS, made(0));
    text += "snap 0 guard, pc 1\n";
    text += &format!("snap 1 guard, pc 2, slots {slots}, fuel 2\nsnap 2 guard, pc 1, slots {slots}, fuel 3\n");
    let mut m = model();
    for n in 0..SLOTS {
        let value = if n.is_multiple_of(2) { Val::int(n as i64) } else { Val::float(n as f64) };
        m.set_slot(slot(n) as u32, value);
    }
    cases.push(case("more values than registers change places", &text, m));
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    let families = [binary_ints, constant_ints, unary_ints, floats, guards, whole_values, properties, nested];
    for add in families
        .into_iter()
        .chain([alternatives, ranges, counted, returns, exits_in_common, others, either])
        .chain([counted_by_a_call, counted_inside, many_values])
    {
        add(&mut cases);
    }
    cases
}
