//! Traces that step through array parts with `next`, from each element on, with the right cursor and with others.

use perilune_trace::eval::{Model, Reply, VALUE, Val};
use perilune_trace::ir::{Field, Helper, Ty};

use super::cases::{Case, buffer, case, model, object};
use super::lookup::{hashed, val};

/// `for k in next, t do n = n + 1 end` for up to three rounds.
const TEXT: &str = "\
header 0 pc 1, snap 0, inputs %0=#2:tab %1=#8:int
segment 0 from header 0
  %2 = place #1 ptr
  %3 = call.nextpair %0 %2 WANTED int
  %4 eq %3 1 -> snap 1
  %5 = ldplace #5 int -> snap 2
  %6 stplace %5 #3
  %7 = add %1 1 int
  %8 lt %7 3 -> snap 3
  around header 0, snap 4
snap 0 guard, pc 1
snap 1 guard, segment 0, at 4, pc 2, slots #9=%3, fuel 1, in place 5 6
snap 2 guard, segment 0, at 5, pc 3, fuel 1, in place 5 6
snap 3 guard, segment 0, at 8, pc 4, slots #8=%7, fuel 2, in place 5 6
snap 4 guard, pc 1, slots #8=%7, fuel 3, in place 5 6
";

/// A table with elements of this kind, and with `properties` keys in its shape; a hash part, too, if `is_hashed`.
fn table(kind: u64, elements: &[Val], properties: usize, is_hashed: bool) -> Model {
    let mut m = if is_hashed { hashed() } else { model() };
    m.packed.clear();
    let fields = [
        (Field::Kind, kind),
        (Field::Len, elements.len() as u64),
        (Field::Array, buffer(0)),
        (Field::Shape, object(6)),
    ];
    m.fields.extend(fields.map(|(field, value)| ((object(0), field, 0), value)));
    m.shapes.insert(object(6), vec![object(9); properties]);
    for (n, element) in (0..).zip(elements) {
        match kind {
            0xff => drop(m.values.insert(buffer(0) + VALUE * n, *element)),
            0xfe => drop(m.flags.insert(buffer(0) + n, element.ty)),
            _ => drop(m.packed.insert(buffer(0) + 8 * n, element.bits)),
        }
    }
    m.replies.insert(Helper::NextPair, Reply { result: 2, scratch: 0 });
    m.set_slot(2, val(Ty::Table, object(0)));
    m.set_slot(8, Val::int(0));
    for slot in [5, 6, 9] {
        m.set_slot(slot, Val::NIL);
    }
    m
}

fn walk(cases: &mut Vec<Case>, name: &str, from: &Model, len: u64) {
    for key in 0..=len + 1 {
        let last = if key == 0 { Val::NIL } else { Val::int(key as i64) };
        let others = [Val::NIL, Val::int(1), Val::float(key as f64), val(Ty::True, 0)];
        for control in [last].into_iter().chain(others) {
            for (cursor, ty) in [(key, Ty::Nil), (0, Ty::Nil), (1 << 32, Ty::Nil), (key, Ty::Int)] {
                let mut m = from.clone();
                m.set_slot(3, control);
                m.set_slot(4, val(ty, cursor));
                for wanted in ["1", "2", "3"] {
                    let name = format!("{name}: behind {control:?} at {cursor:#x} {}, {wanted} wanted", ty.name());
                    cases.push(case(name, &TEXT.replace("WANTED", wanted), m.clone()));
                }
            }
        }
    }
}

pub(super) fn add(cases: &mut Vec<Case>) {
    let flags = [Ty::True, Ty::False, Ty::Nil, Ty::True].map(|ty| val(ty, 0));
    let floats = [0.5, -0.0, 1e300].map(Val::float);
    let whole = [Val::int(1), val(Ty::False, 0), Val::NIL, Val::float(2.5)];
    walk(cases, "integers", &table(3, &[4, 5, 6].map(Val::int), 0, false), 3);
    walk(cases, "floats", &table(4, &floats, 1, false), 3);
    walk(cases, "values", &table(0xff, &whole, 0, true), 4);
    walk(cases, "flags", &table(0xfe, &flags, 0, false), 4);
    walk(cases, "nothing", &table(3, &[], 0, false), 0);
}
