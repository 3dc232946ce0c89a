//! The value: sixteen bytes, a payload and a tag.
//!
//! The tag is one byte and the struct is a pair of scalars, so the compiler keeps a value in two machine registers and
//! copies it with two moves. A 16-byte vector copy would stall on values whose tag was stored apart from the payload.
//!
//! # Pointers
//! A payload may be the address of a heap object. Addresses are exposed when they are stored and recovered with
//! `with_exposed_provenance` when they are used: the pointer model of this crate is permissive provenance.
//!
//! # Who keeps an object alive
//! A `Value` does not root what it refers to. The collector runs only at safepoints (see `perilune-vm`), and what is live
//! then must be reachable from a stack, a table, the registry or a root list. Freed cells are poisoned in debug builds, and
//! every typed access asserts the kind of the object that it finds.

use crate::object::{
    GcHeader, Kind, LuaClosure, NativeClosure, Str, StrRef, Table, TableRef, Thread, ThreadRef, UserData, UserDataRef,
};

/// The tag of a value. Falsy tags come first; tags of heap objects come last, so that each question is one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Tag {
    /// `nil`
    Nil = 0,
    /// `false`
    False = 1,
    /// `true`
    True = 2,
    /// 64-bit integer
    Int = 3,
    /// 64-bit float
    Float = 4,
    /// light userdata: an address without meaning to Lua
    Light = 5,
    /// string
    Str = 6,
    /// table
    Table = 7,
    /// Lua function
    LuaFn = 8,
    /// native function
    NativeFn = 9,
    /// full userdata
    UserData = 10,
    /// coroutine
    Thread = 11,
}

impl Tag {
    /// The first tag whose payload is a heap object.
    pub const FIRST_OBJECT: Tag = Tag::Str;

    /// The type's name as `type` gives it.
    pub const fn type_name(self) -> &'static str {
        match self {
            Tag::Nil => "nil",
            Tag::False | Tag::True => "boolean",
            Tag::Int | Tag::Float => "number",
            Tag::Light | Tag::UserData => "userdata",
            Tag::Str => "string",
            Tag::Table => "table",
            Tag::LuaFn | Tag::NativeFn => "function",
            Tag::Thread => "thread",
        }
    }
}

/// A Lua value.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Value {
    /// Integer, float bits, or address; zero for the other tags unless a holder says otherwise.
    pub payload: u64,
    /// What the payload is.
    pub tag: Tag,
}

const _: () = assert!(size_of::<Value>() == 16 && align_of::<Value>() == 8);

impl Value {
    /// `nil`
    pub const NIL: Value = Value { payload: 0, tag: Tag::Nil };
    /// `false`
    pub const FALSE: Value = Value { payload: 0, tag: Tag::False };
    /// `true`
    pub const TRUE: Value = Value { payload: 0, tag: Tag::True };

    /// An integer.
    #[inline(always)]
    pub const fn int(i: i64) -> Value {
        Value { payload: i as u64, tag: Tag::Int }
    }

    /// A float.
    #[inline(always)]
    pub const fn float(f: f64) -> Value {
        Value { payload: f.to_bits(), tag: Tag::Float }
    }

    /// A boolean.
    #[inline(always)]
    pub const fn bool(b: bool) -> Value {
        Value { payload: 0, tag: if b { Tag::True } else { Tag::False } }
    }

    /// A light userdata.
    #[inline(always)]
    pub const fn light(address: u64) -> Value {
        Value { payload: address, tag: Tag::Light }
    }

    /// A string.
    #[inline(always)]
    pub fn str(s: StrRef) -> Value {
        Value { payload: s.address(), tag: Tag::Str }
    }

    /// A table.
    #[inline(always)]
    pub fn table(t: TableRef) -> Value {
        Value { payload: t.address(), tag: Tag::Table }
    }

    /// A full userdata.
    #[inline(always)]
    pub fn userdata(u: UserDataRef) -> Value {
        Value { payload: u.address(), tag: Tag::UserData }
    }

    /// A coroutine.
    #[inline(always)]
    pub fn thread(t: ThreadRef) -> Value {
        Value { payload: t.address(), tag: Tag::Thread }
    }

    /// A Lua function.
    #[inline(always)]
    pub fn lua_fn(f: crate::object::Gc<LuaClosure>) -> Value {
        Value { payload: f.address(), tag: Tag::LuaFn }
    }

    /// A native function.
    #[inline(always)]
    pub fn native_fn(f: crate::object::Gc<NativeClosure>) -> Value {
        Value { payload: f.address(), tag: Tag::NativeFn }
    }

    /// Is it `nil`?
    #[inline(always)]
    pub fn is_nil(self) -> bool {
        self.tag == Tag::Nil
    }

    /// Is it anything but `nil` and `false`?
    #[inline(always)]
    pub fn is_truthy(self) -> bool {
        self.tag as u8 > Tag::False as u8
    }

    /// Is it an integer or a float?
    #[inline(always)]
    pub fn is_number(self) -> bool {
        matches!(self.tag, Tag::Int | Tag::Float)
    }

    /// Is it a function of either sort?
    #[inline(always)]
    pub fn is_function(self) -> bool {
        matches!(self.tag, Tag::LuaFn | Tag::NativeFn)
    }

    /// Does its payload refer to a heap object?
    #[inline(always)]
    pub fn is_object(self) -> bool {
        self.tag as u8 >= Tag::FIRST_OBJECT as u8
    }

    /// The payload read as an integer; meaningful when the tag is `Int`.
    #[inline(always)]
    pub fn raw_int(self) -> i64 {
        self.payload as i64
    }

    /// The payload read as a float; meaningful when the tag is `Float`.
    #[inline(always)]
    pub fn raw_float(self) -> f64 {
        f64::from_bits(self.payload)
    }

    /// The integer, if it is one (no conversion).
    #[inline(always)]
    pub fn as_int(self) -> Option<i64> {
        (self.tag == Tag::Int).then_some(self.payload as i64)
    }

    /// The float, if it is one (no conversion).
    #[inline(always)]
    pub fn as_float(self) -> Option<f64> {
        (self.tag == Tag::Float).then(|| self.raw_float())
    }

    /// The string, if it is one (no conversion).
    #[inline(always)]
    pub fn as_str(self) -> Option<StrRef> {
        // SAFETY: a `Str` tag is only ever made by `Value::str` from a live string.
        (self.tag == Tag::Str).then(|| unsafe { StrRef::from_address(self.payload) })
    }

    /// The table, if it is one.
    #[inline(always)]
    pub fn as_table(self) -> Option<TableRef> {
        // SAFETY: a `Table` tag is only ever made by `Value::table` from a live table.
        (self.tag == Tag::Table).then(|| unsafe { TableRef::from_address(self.payload) })
    }

    /// The full userdata, if it is one.
    #[inline(always)]
    pub fn as_userdata(self) -> Option<UserDataRef> {
        // SAFETY: a `UserData` tag is only ever made by `Value::userdata` from a live userdata.
        (self.tag == Tag::UserData).then(|| unsafe { UserDataRef::from_address(self.payload) })
    }

    /// The coroutine, if it is one.
    #[inline(always)]
    pub fn as_thread(self) -> Option<ThreadRef> {
        // SAFETY: a `Thread` tag is only ever made by `Value::thread` from a live thread.
        (self.tag == Tag::Thread).then(|| unsafe { ThreadRef::from_address(self.payload) })
    }

    /// The Lua closure, if it is one.
    #[inline(always)]
    pub fn as_lua_fn(self) -> Option<crate::object::Gc<LuaClosure>> {
        // SAFETY: a `LuaFn` tag is only ever made by `Value::lua_fn` from a live closure.
        (self.tag == Tag::LuaFn).then(|| unsafe { crate::object::Gc::from_address(self.payload) })
    }

    /// The native closure, if it is one.
    #[inline(always)]
    pub fn as_native_fn(self) -> Option<crate::object::Gc<NativeClosure>> {
        // SAFETY: a `NativeFn` tag is only ever made by `Value::native_fn` from a live closure.
        (self.tag == Tag::NativeFn).then(|| unsafe { crate::object::Gc::from_address(self.payload) })
    }

    /// The object's header when the value refers to one.
    #[inline(always)]
    pub fn header(self) -> Option<*mut GcHeader> {
        self.is_object().then(|| std::ptr::with_exposed_provenance_mut(self.payload as usize))
    }

    /// The type's name as `type` gives it.
    #[inline]
    pub fn type_name(self) -> &'static str {
        self.tag.type_name()
    }

    /// Equality without metamethods (`rawequal`): integers and floats compare by value, strings by content.
    #[inline]
    pub fn raw_equals(self, other: Value) -> bool {
        if self.tag == other.tag {
            match self.tag {
                Tag::Nil | Tag::False | Tag::True => true,
                Tag::Float => self.raw_float() == other.raw_float(),
                Tag::Str => self.payload == other.payload || long_strings_equal(self, other),
                Tag::Int | Tag::Light | Tag::Table | Tag::LuaFn | Tag::NativeFn | Tag::UserData | Tag::Thread => {
                    self.payload == other.payload
                }
            }
        } else {
            match (self.tag, other.tag) {
                (Tag::Int, Tag::Float) => perilune_base::num::compare::int_eq_float(self.raw_int(), other.raw_float()),
                (Tag::Float, Tag::Int) => perilune_base::num::compare::int_eq_float(other.raw_int(), self.raw_float()),
                _ => false,
            }
        }
    }
}

#[cold]
#[inline(never)]
fn long_strings_equal(a: Value, b: Value) -> bool {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => !a.is_short() && !b.is_short() && a.as_bytes() == b.as_bytes(),
        _ => false,
    }
}

/// Each object kind that a `Value` may refer to, and its tag.
const _: () = {
    assert!(Kind::Str as u8 == Tag::Str as u8);
    assert!(Kind::Table as u8 == Tag::Table as u8);
    assert!(Kind::LuaFn as u8 == Tag::LuaFn as u8);
    assert!(Kind::NativeFn as u8 == Tag::NativeFn as u8);
    assert!(Kind::UserData as u8 == Tag::UserData as u8);
    assert!(Kind::Thread as u8 == Tag::Thread as u8);
    // The object types named here are those behind the tags.
    let _ = (size_of::<Str>(), size_of::<Table>(), size_of::<UserData>(), size_of::<Thread>());
};
