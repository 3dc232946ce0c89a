//! Metatables and metamethods: which events there are, and how a value's handler is found.

use perilune_runtime::object::TableRef;
use perilune_runtime::value::{Tag, Value};

use crate::vm::Vm;

macro_rules! events {
    ($($name:ident $text:literal)*) => {
        /// An event that a metatable may handle. The first eight are cached as absent in a table's flags.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Event { $(#[doc = concat!("`", $text, "`")] $name,)* }

        impl Event {
            /// All events in the order of their numbers.
            pub const ALL: &'static [Event] = &[$(Event::$name,)*];

            /// The field's name in a metatable.
            pub const fn name(self) -> &'static str {
                match self { $(Event::$name => $text,)* }
            }
        }
    };
}
events! {
    Index "__index" NewIndex "__newindex" Eq "__eq" Len "__len" Call "__call" Gc "__gc" Mode "__mode" Close "__close"
    Add "__add" Sub "__sub" Mul "__mul" Mod "__mod" Pow "__pow" Div "__div" IDiv "__idiv"
    BAnd "__band" BOr "__bor" BXor "__bxor" Shl "__shl" Shr "__shr"
    Unm "__unm" BNot "__bnot" Lt "__lt" Le "__le" Concat "__concat"
    ToString "__tostring" Name "__name" Pairs "__pairs" Metatable "__metatable"
}

/// Number of events whose absence a table's flags remember.
const CACHED_EVENTS: u8 = 8;

/// The metatable of a value.
#[inline]
pub fn metatable(vm: &Vm, v: Value) -> Option<TableRef> {
    match v.tag {
        Tag::Table => v.as_table().and_then(|t| t.metatable()),
        Tag::UserData => v.as_userdata().and_then(|u| u.metatable()),
        _ => vm.type_metatables[v.tag as usize],
    }
}

/// The handler of `event` in a metatable, nil when absent.
#[inline]
pub fn handler(vm: &Vm, meta: TableRef, event: Event) -> Value {
    let bit = event as u8;
    if bit < CACHED_EVENTS {
        if meta.flags() & (1 << bit) != 0 {
            return Value::NIL;
        }
        let v = meta.get_str(vm.event_name(event));
        if v.is_nil() {
            meta.add_flags(1 << bit);
        }
        return v;
    }
    meta.get_str(vm.event_name(event))
}

/// Values that a call through `__call` moves for one unit of fuel.
const MOVES_PER_UNIT: u64 = 4;

/// What a call through `__call` costs beyond the handler's own call: the called value and its arguments, `moved` of them
/// together, make room for the handler.
#[must_use]
pub const fn fuel_of_call(moved: u64) -> u64 {
    1 + moved / MOVES_PER_UNIT
}

/// What is called in place of a value that is no function, nil when it cannot be called.
pub(crate) fn callable(vm: &Vm, v: Value) -> Value {
    let h = metamethod(vm, v, Event::Call);
    if h.is_function() || vm.dialect.call_chains { h } else { Value::NIL }
}

/// The handler of `event` for a value, nil when absent.
#[inline]
pub fn metamethod(vm: &Vm, v: Value, event: Event) -> Value {
    match metatable(vm, v) {
        Some(m) => handler(vm, m, event),
        None => Value::NIL,
    }
}
