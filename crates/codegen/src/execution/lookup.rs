//! Traces that look for keys of tables: all kinds of keys and values, found, absent, and left to the helper; and traces that
//! make tables.

use perilune_runtime::object::Table;
use perilune_runtime::table::Cursor;
use perilune_trace::eval::{Model, Reply, VALUE, Val};
use perilune_trace::ir::{Field, Helper, Ty};

use super::cases::{Case, buffer, case, model, object, packed, whole};

pub(super) const fn val(ty: Ty, bits: u64) -> Val {
    Val { ty, bits }
}

fn string(n: u64) -> Val {
    val(Ty::Str, object(8 + n))
}

/// A table whose chains of entries are long, with strings of which the last is a long one, and another table.
pub(super) fn hashed() -> Model {
    let mut m = model();
    let table = object(0);
    for n in 0..5 {
        m.bytes.insert(string(n).bits, vec![b'a' + n as u8]);
    }
    let entries = [
        (string(0), Val::int(11)),
        (string(1), Val::float(2.5)),
        (string(2), Val::NIL),
        (string(3), val(Ty::Table, object(1))),
        (Val::int(10), Val::int(12)),
        (Val::int(-3), val(Ty::True, 0)),
        (Val::int(string(4).bits as i64), Val::int(13)),
        (val(Ty::True, 0), val(Ty::False, 0)),
        (val(Ty::Table, object(1)), string(0)),
        (val(Ty::LuaFn, object(2)), Val::int(14)),
    ];
    for (key, value) in entries {
        m.entries.insert((table, key.ty, key.bits), value);
    }
    m.fields.insert((table, Field::Len, 0), 2);
    m.fields.insert((table, Field::Kind, 0), 3);
    m.fields.insert((table, Field::Array, 0), buffer(0));
    m.packed.extend([(buffer(0), 21), (buffer(0) + 8, 22)]);
    for helper in [Helper::GetStr, Helper::GetEntry, Helper::GetProp, Helper::GetInt, Helper::GetRaw] {
        m.replies.insert(helper, Reply { result: Ty::Int as u64, scratch: 99 });
    }
    for helper in [Helper::SetStr, Helper::SetDynamic, Helper::SetInt, Helper::SetRaw] {
        m.replies.insert(helper, Reply { result: 1, scratch: 0 });
    }
    m.set_slot(1, val(Ty::Table, table));
    m
}

fn keys() -> Vec<Val> {
    let strings = (0..6).map(string);
    let others = [1, 2, 3, 0, 10, -3, i64::MIN].map(Val::int);
    let objects = [val(Ty::Table, object(1)), val(Ty::Table, object(2)), val(Ty::LuaFn, object(2)), val(Ty::True, 0)];
    strings.chain(others).chain(objects).chain([val(Ty::False, 0), Val::float(0.5)]).collect()
}

/// The operand for a key: a constant, or what is in slot 2.
fn operands(key: Val) -> Vec<String> {
    let constant = match key.ty {
        Ty::Int => (key.bits as i64).to_string(),
        Ty::Float => format!("{:?}", f64::from_bits(key.bits)),
        ty if ty.is_primitive() => return vec![ty.name().to_owned()],
        ty => format!("{}@20:{:#x}", ty.name(), key.bits),
    };
    vec![constant, "%1".to_owned()]
}

pub(super) fn read(call: &str, key: Val, ty: Ty) -> String {
    format!(
        "\
header 0 pc 1, snap 0, inputs %0=#1:tab %1=#2:{}
segment 0 from header 0
  %2 = call.{call} {} -> snap 1
  exit snap 2
snap 0 guard, pc 1
snap 1 guard, pc 2, fuel 1
snap 2 end, pc 3, slots #3=%2, fuel 2
",
        key.ty.name(),
        ty.name()
    )
}

pub(super) const TYPES: [Ty; 5] = [Ty::Nil, Ty::True, Ty::Int, Ty::Float, Ty::Table];

fn reads(cases: &mut Vec<Case>) {
    for key in keys() {
        let helper = match key.ty {
            Ty::Str => "getstr",
            Ty::Int => "getint",
            _ => "getraw",
        };
        let mut m = hashed();
        m.set_slot(2, key);
        for operand in operands(key) {
            let types = if operand == "%1" { TYPES.as_slice() } else { &[Ty::Nil, Ty::Int] };
            for ty in types {
                let ty = *ty;
                let name = format!("{helper} {key:?} as {operand}, {}", ty.name());
                cases.push(case(name, &read(&format!("{helper} %0 {operand}"), key, ty), m.clone()));
            }
        }
        if key.ty == Ty::Str {
            let at = m.entries.keys().position(|(_, ty, bits)| (*ty, *bits) == (key.ty, key.bits)).unwrap_or(2);
            for n in [at, at + 1, 1000] {
                let call = format!("getentry %0 str@20:{:#x} {n}", key.bits);
                cases.push(case(format!("{call} {key:?}"), &read(&call, key, Ty::Int), m.clone()));
            }
        }
    }
    // Without a hash part.
    let mut m = hashed();
    m.entries.clear();
    m.fields.insert((object(0), Field::Shape, 0), object(4));
    for properties in [vec![], vec![string(3).bits]] {
        m.shapes.insert(object(4), properties);
        m.set_slot(2, string(0));
        for ty in [Ty::Nil, Ty::Int] {
            let name = format!("getstr of no hash part, {} with {} properties", ty.name(), m.shapes[&object(4)].len());
            cases.push(case(name, &read("getstr %0 %1", string(0), ty), m.clone()));
        }
    }
    for key in [string(0), Val::int(1), Val::int(10), val(Ty::Table, object(1))] {
        let helper =
            ["getraw", "getint", "getstr"][usize::from(key.ty == Ty::Int) + 2 * usize::from(key.ty == Ty::Str)];
        m.set_slot(2, key);
        cases.push(case(
            format!("{helper} of no hash part"),
            &read(&format!("{helper} %0 %1"), key, Ty::Int),
            m.clone(),
        ));
    }
}

fn elements(cases: &mut Vec<Case>) {
    let values = [Val::int(5), Val::NIL, Val::float(0.5), val(Ty::True, 0), Val::int(6)];
    for n in [0, 1, 2, 3, 4, 5, 6, 10] {
        let mut m = hashed();
        m.packed.clear();
        whole(&mut m, 0, &values);
        m.fields.insert((object(0), Field::Kind, 0), 0xff);
        m.set_slot(2, Val::int(n));
        for ty in TYPES {
            let key = Val::int(n);
            cases.push(case(format!("element {n}, {}", ty.name()), &read("getint %0 %1", key, ty), m.clone()));
        }
        for value in ["7", "1.5", "nil", "tru"] {
            let text = write("setint", "int", "%1", value);
            cases.push(case(format!("element {n} = {value}"), &text, m.clone()));
        }
    }
    // Packed elements, and those behind the last one, with room and without, with index keys in the hash part and without.
    for (key, cap, index_keys, kind) in [
        (2, 2, true, 3),
        (3, 2, false, 3),
        (3, 4, true, 3),
        (3, 4, false, 3),
        (3, 4, false, 4),
        (3, 4, false, 0xff),
        (4, 4, false, 3),
    ] {
        let mut m = hashed();
        packed(&mut m, 0, &[1, 2]);
        if !index_keys {
            m.entries.retain(|(_, ty, bits), _| *ty != Ty::Int || (*bits as i64) < 0);
        }
        m.fields.insert((object(0), Field::Cap, 0), cap);
        m.fields.insert((object(0), Field::Kind, 0), kind);
        if kind == 0xff {
            m.packed.clear();
            m.values.extend([(buffer(0), Val::int(1)), (buffer(0) + VALUE, Val::int(2))]);
        }
        m.set_slot(2, Val::int(key));
        for value in ["7", "2.5", "nil"] {
            let name = format!("packed element {key} of room {cap}, kind {kind}, {index_keys} = {value}");
            cases.push(case(name, &write("setint", "int", "%1", value), m.clone()));
        }
    }
}

pub(super) fn write(helper: &str, key: &str, operand: &str, value: &str) -> String {
    format!(
        "\
header 0 pc 1, snap 0, inputs %0=#1:tab %1=#2:{key}
segment 0 from header 0
  %2 call.{helper} %0 {operand} {value} -> snap 1
  exit snap 2
snap 0 guard, pc 1
snap 1 service, pc 2, fuel 1
snap 2 end, pc 3, fuel 2
"
    )
}

fn writes(cases: &mut Vec<Case>) {
    for key in keys() {
        let helpers: &[&str] = match key.ty {
            Ty::Str => &["setstr", "setdynamic"],
            Ty::Int => &["setint"],
            _ => &["setraw"],
        };
        let mut m = hashed();
        m.set_slot(2, key);
        for helper in helpers {
            for operand in operands(key) {
                for value in ["-0.5", "nil", &format!("tab@21:{:#x}", object(3))] {
                    let text = write(helper, key.ty.name(), &operand, value);
                    let name = format!("{helper} {key:?} as {operand} = {value}");
                    cases.push(case(name, &text, m.clone()));
                }
            }
        }
    }
    let mut m = hashed();
    m.replies.clear();
    m.set_slot(2, string(4));
    cases.push(case("a key that cannot be added", &write("setstr", "str", "%1", "1"), m));
}

fn properties(cases: &mut Vec<Case>) {
    for n in 0..6 {
        let mut m = hashed();
        m.fields.insert((object(0), Field::Shape, 0), object(4));
        m.fields.insert((object(0), Field::Slots, 0), buffer(2));
        m.shapes.insert(object(4), vec![string(3).bits, string(0).bits, string(1).bits]);
        for (slot, value) in [Val::int(31), Val::NIL, Val::float(3.5)].into_iter().enumerate() {
            m.values.insert(buffer(2) + slot as u64 * VALUE, value);
        }
        m.entries.clear();
        m.set_slot(2, string(n));
        for ty in TYPES {
            let name = format!("property {n}, {}", ty.name());
            cases.push(case(name, &read("getprop %0 %1", string(n), ty), m.clone()));
        }
    }
}

/// Records of several sizes, of which the free cells do not last for all.
fn records(cases: &mut Vec<Case>) {
    let text = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:flt, live 1 2 3 4
segment 0 from header 0
  %2 = call.newrecord ptr@20:0x50008100 2 tab -> snap 1
  %3 = load.slots %2 ptr
  %4 stprop %3 [0 of ptr@20:0x50008100] %0
  %5 stprop %3 [1 of ptr@20:0x50008100] %1
  %6 nocoll -> snap 2
  %7 = call.newrecord ptr@21:0x50008200 0 tab -> snap 3
  %8 nocoll -> snap 4
  %9 = add %0 1 int
  %10 lt %9 3 -> snap 5
  around header 0, snap 6
snap 0 guard, pc 1
snap 1 service, pc 1
snap 2 service, segment 0, at 6, pc 2, slots #3=%2, fuel 1
snap 3 service, segment 0, at 7, pc 2, slots #3=%2, fuel 1
snap 4 service, segment 0, at 8, pc 3, slots #3=%2 #4=%7, fuel 2
snap 5 guard, segment 0, at 10, pc 9, slots #1=%9 #3=%2 #4=%7, fuel 3
snap 6 guard, pc 1, slots #1=%9 #3=%2 #4=%7, fuel 4
";
    let cells = |n: u64, count: u64| (0..count).map(move |k| object(0x20 + 8 * n + k)).collect::<Vec<u64>>();
    for (two, none, collects) in [(3, 3, false), (3, 2, false), (0, 1, false), (1, 1, true), (2, 3, false)] {
        let mut m = Model { collects, ..model() };
        for (n, count) in [(2, two), (0, none)] {
            m.cells.insert(n, cells(n, count));
            for cell in cells(n, count) {
                m.fields.insert((cell, Field::Slots, 0), cell + size_of::<Table>() as u64);
            }
        }
        let spare = object(0x60);
        m.fields.insert((spare, Field::Slots, 0), spare + size_of::<Table>() as u64);
        m.set_slot(1, Val::int(0));
        m.set_slot(2, Val::float(0.5));
        cases.push(case(format!("{two} and {none} cells for records, none left"), text, m.clone()));
        m.replies.insert(Helper::NewRecord, Reply { result: spare, scratch: 0 });
        cases.push(case(format!("{two} and {none} cells for records, then the helper's"), text, m));
    }
}

/// Steps through the entries of a table, from each of them on, with the right cursor and with others.
fn steps(cases: &mut Vec<Case>) {
    let text = "\
header 0 pc 1, snap 0, inputs %0=#2:tab %1=#8:int
segment 0 from header 0
  %2 = place #1 ptr
  %3 = call.nextpair %0 %2 WANTED int
  %4 eq %3 1 -> snap 1
  %5 = ldplace #5 str -> snap 2
  %6 stplace %5 #3
  %7 = add %1 1 int
  %8 lt %7 3 -> snap 3
  around header 0, snap 4
snap 0 guard, pc 1
snap 1 guard, segment 0, at 4, pc 2, fuel 1, in place 5 6
snap 2 guard, segment 0, at 5, pc 3, fuel 1, in place 5 6
snap 3 guard, segment 0, at 8, pc 4, slots #8=%7, fuel 2, in place 5 6
snap 4 guard, pc 1, slots #8=%7, fuel 3, in place 5 6
";
    let hash_cursor = Cursor::HASH.0;
    let table = object(0);
    let keys: Vec<Val> = hashed().entries.keys().map(|(_, ty, bits)| val(*ty, *bits)).collect();
    for (n, key) in keys.iter().enumerate() {
        let right = hash_cursor + n as u64 + 1;
        for (cursor, ty) in
            [(right, Ty::Nil), (right + 1, Ty::Nil), (hash_cursor, Ty::Nil), (0, Ty::Nil), (right, Ty::Int)]
        {
            for wanted in ["1", "2", "3"] {
                let mut m = hashed();
                m.replies.insert(Helper::NextPair, Reply { result: 0, scratch: 0 });
                m.set_slot(2, val(Ty::Table, table));
                m.set_slot(3, *key);
                m.set_slot(4, val(ty, cursor));
                m.set_slot(5, Val::NIL);
                m.set_slot(6, Val::NIL);
                m.set_slot(8, Val::int(0));
                let name = format!("the step behind {key:?} at {cursor:#x} {}, {wanted} wanted", ty.name());
                cases.push(case(name, &text.replace("WANTED", wanted), m));
            }
        }
    }
}

pub(super) fn add(cases: &mut Vec<Case>) {
    reads(cases);
    elements(cases);
    writes(cases);
    properties(cases);
    records(cases);
    steps(cases);
}
