//! The runtime functions that compiled code calls: one table of names, operand kinds, results and effects.
//!
//! Helpers never run Lua code and never collect. One that can fail has had no effect when it does: the trace leaves, and
//! the interpreter runs the same instruction again, errors, collections and metamethods included.

use super::inst::{Class, Field, Ty};

/// What a helper takes for an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// A 64-bit integer.
    Int,
    /// A 64-bit float.
    Float,
    /// An address: an object or a `Ptr`.
    Address,
    /// A Lua value of any type, as two machine arguments: payload and tag.
    Value,
}

/// What a helper returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// Nothing, and it cannot fail.
    Nothing,
    /// A result of this type, and it cannot fail.
    Plain(Ty),
    /// An address of this type; null when it fails.
    OrNull(Ty),
    /// True, or false when it fails.
    Success,
    /// The tag of a Lua value whose payload it leaves in the VM's scratch place: the trace goes on when the tag is the
    /// one that `Inst::ty` expects, and otherwise the helper has failed.
    Value,
}

/// Memory that a helper may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effects {
    /// None: equal operands give equal results.
    Pure,
    /// None, but the result depends on tables.
    ReadsTables,
    /// A new object; nothing that exists changes.
    Allocates,
    /// Elements of arrays and entries of hash parts, with all that describes them.
    WritesElements,
    /// Shapes and property slots.
    WritesProperties,
    /// A property that was not there: shapes, and where slots are, but no slot that exists.
    AddsProperty,
    /// Metatables.
    WritesMeta,
    /// Stack slots that the trace has handed over: their places.
    WritesPlaces,
    /// Upvalues are closed: their variables move off the stack.
    Closes,
}

impl Effects {
    /// Whether a helper with these effects may change memory of `class`.
    #[must_use]
    pub const fn clobbers(self, class: Class) -> bool {
        match self {
            Effects::Pure | Effects::ReadsTables | Effects::Allocates | Effects::WritesPlaces => false,
            Effects::AddsProperty => matches!(class, Class::Field(Field::Shape | Field::Slots)),
            Effects::WritesMeta => matches!(class, Class::Field(Field::Meta)),
            Effects::Closes => matches!(class, Class::Up | Class::FixedUp | Class::Field(Field::UpSlot)),
            Effects::WritesElements => matches!(
                class,
                Class::Any
                    | Class::Packed(_)
                    | Class::Flags
                    | Class::HashPart
                    | Class::Field(Field::Array | Field::Hash | Field::Kind | Field::Len | Field::Cap)
            ),
            Effects::WritesProperties => matches!(
                class,
                Class::Prop(..) | Class::HashPart | Class::Field(Field::Shape | Field::Slots | Field::Hash)
            ),
        }
    }
}

/// Expands to a callback over the whole table, so that every consumer matches the same rows.
#[macro_export]
macro_rules! for_each_trace_helper {
    ($callback:ident) => {
        $callback! {
            // Numbers.
            Pow "pow" (Float, Float) Plain(Ty::Float) Pure "`a ^ b`";
            FMod "fmod" (Float, Float) Plain(Ty::Float) Pure "`a % b` of floats";
            FRem "frem" (Float, Float) Plain(Ty::Float) Pure "the remainder with the sign of `a`";
            Sin "sin" (Float) Plain(Ty::Float) Pure "the sine";
            Cos "cos" (Float) Plain(Ty::Float) Pure "the cosine";
            Tan "tan" (Float) Plain(Ty::Float) Pure "the tangent";
            Exp "exp" (Float) Plain(Ty::Float) Pure "e to the power of the operand";
            Log "log" (Float) Plain(Ty::Float) Pure "the natural logarithm";

            // Tables. All are raw: the recorder has guarded that no metamethod matters.
            NewRecord "newrecord" (Address, Int) OrNull(Ty::Table) Allocates "a table of this shape, all of whose properties are stored next, with room for so many";
            NewTable "newtable" (Address, Int, Int) OrNull(Ty::Table) Allocates "a table of this shape, all of whose properties are stored next, with room for so many 8-byte elements, and for so many properties";
            GetRaw "getraw" (Address, Value) Value ReadsTables "the value of a key";
            GetInt "getint" (Address, Int) Value ReadsTables "the value of an integer key";
            GetStr "getstr" (Address, Address) Value ReadsTables "the value of a string key, of a table that is a dictionary most likely";
            GetEntry "getentry" (Address, Address, Int) Value ReadsTables "the value of a constant string key, of a dictionary whose entry of this number has it most likely";
            GetProp "getprop" (Address, Address) Value ReadsTables "the value of a string key, of a table with a shape most likely";
            SetRaw "setraw" (Address, Value, Value) Success WritesElements "the value of a key that is no string";
            SetInt "setint" (Address, Int, Value) Success WritesElements "the value of an integer key";
            SetStr "setstr" (Address, Address, Value) Success WritesProperties "the value of a constant string key";
            SetDynamic "setdynamic" (Address, Address, Value) Success WritesProperties "the value of a string key that was computed";
            AddProp "addprop" (Address, Address, Value) Success AddsProperty "the property that this shape adds to a table's";
            SetList "setlist" (Address, Address, Int) Success WritesElements "elements from 1 on, of consecutive places";
            NextPair "nextpair" (Address, Address, Int) Plain(Ty::Int) WritesPlaces "a step of `next` in the registers of a loop";

            // Strings.
            StrSub "strsub" (Address, Int, Int) OrNull(Ty::Str) Allocates "`string.sub`";
            StrChar "strchar" (Int) OrNull(Ty::Str) Allocates "the string of one byte";
            StrCat "strcat" (Address, Address) OrNull(Ty::Str) Allocates "both strings joined";
            Concat "concat" (Address, Int) OrNull(Ty::Str) Allocates "the texts in consecutive places joined";
            StrCompare "strcmp" (Address, Address) Plain(Ty::Int) Pure "negative, zero or positive, as `<` orders strings, or the least integer: they are too long";
            StrEq "streq" (Address, Address) Plain(Ty::Int) Pure "1 if two strings are equal, 0 if not, or the least integer: they are too long";

            // Functions.
            NewClosure "newclosure" (Address, Address, Address) OrNull(Ty::LuaFn) Allocates "a function of this prototype";
            SameClosure "sameclosure" (Address, Address, Address) OrNull(Ty::LuaFn) Allocates "as `newclosure`, or the last one if it has the same upvalues";
            Close "close" (Address) Success Closes "the upvalues from a place up are closed";
            // Code that a tree runs through marks no variable, and what it calls has closed its own.
            Pending "pending" (Address) Plain(Ty::Int) Pure "1 if variables from a place up wait for their `__close`, 0 if none do";
            VarArg "vararg" (Address, Int) Plain(Ty::Int) WritesPlaces "that many variable arguments of the root frame, or nil, in consecutive places: how many there are";
            // The function is in the first of consecutive places; the second operand holds the numbers of arguments and of
            // results, see `calls`. -1 if it failed, or wanted to run Lua code: then nothing has happened.
            CallPure "callpure" (Address, Int) Plain(Ty::Int) WritesPlaces "the number of results of a native function without effects";
            CallOnTable "callontable" (Address, Int) Plain(Ty::Int) WritesElements "as `callpure`, of one that changes elements";
        }
    };
}

macro_rules! define_helpers {
    ($($name:ident $mnemonic:literal ($($arg:ident),*) $returns:ident $(($ty:expr))? $effects:ident $meaning:literal;)*) => {
        /// A runtime function.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Helper {
            $(#[doc = $meaning] $name,)*
        }

        impl Helper {
            /// All helpers in the order of their numbers.
            pub const ALL: &'static [Helper] = &[$(Helper::$name,)*];

            /// The name in the text form.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Helper::$name => $mnemonic,)* }
            }

            /// What it takes.
            #[must_use]
            pub const fn args(self) -> &'static [Arg] {
                match self { $(Helper::$name => &[$(Arg::$arg),*],)* }
            }

            /// What it returns.
            #[must_use]
            pub const fn returns(self) -> Returns {
                match self { $(Helper::$name => Returns::$returns $(($ty))?,)* }
            }

            /// What it changes.
            #[must_use]
            pub const fn effects(self) -> Effects {
                match self { $(Helper::$name => Effects::$effects,)* }
            }
        }
    };
}
for_each_trace_helper!(define_helpers);

/// What a helper does with the value of a key: compiled code looks for the key first, and calls only if it cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// Reads it, most likely in the hash part.
    ReadsEntry,
    /// Reads it, most likely in the entry whose number is the third operand.
    ReadsKnownEntry,
    /// Reads it, most likely in a property slot.
    ReadsProperty,
    /// Replaces it, most likely in the hash part.
    ReplacesEntry,
}

impl Helper {
    /// Whether it is one that looks for the key which is its second operand.
    #[must_use]
    pub const fn key_use(self) -> Option<KeyUse> {
        match self {
            Helper::GetStr | Helper::GetInt | Helper::GetRaw => Some(KeyUse::ReadsEntry),
            Helper::GetEntry => Some(KeyUse::ReadsKnownEntry),
            Helper::GetProp => Some(KeyUse::ReadsProperty),
            Helper::SetStr | Helper::SetDynamic | Helper::SetInt | Helper::SetRaw => Some(KeyUse::ReplacesEntry),
            Helper::Pow
            | Helper::FMod
            | Helper::FRem
            | Helper::Sin
            | Helper::Cos
            | Helper::Tan
            | Helper::Exp
            | Helper::Log
            | Helper::NewRecord
            | Helper::NewTable
            | Helper::AddProp
            | Helper::SetList
            | Helper::NextPair
            | Helper::StrSub
            | Helper::StrChar
            | Helper::StrCat
            | Helper::Concat
            | Helper::StrCompare
            | Helper::StrEq
            | Helper::NewClosure
            | Helper::SameClosure
            | Helper::Close
            | Helper::Pending
            | Helper::VarArg
            | Helper::CallPure
            | Helper::CallOnTable => None,
        }
    }

    /// Whether it pays fuel: `Inst::aux` is then what the path from the header has cost before.
    #[must_use]
    pub const fn pays(self) -> bool {
        matches!(self, Helper::CallPure | Helper::CallOnTable)
    }

    /// Whether execution may leave the trace at the call.
    #[must_use]
    pub const fn can_fail(self) -> bool {
        match self.returns() {
            Returns::Nothing | Returns::Plain(_) => false,
            Returns::OrNull(_) | Returns::Success | Returns::Value => true,
        }
    }

    /// The type of the result, where the helper alone decides it.
    #[must_use]
    pub const fn result(self) -> Option<Ty> {
        match self.returns() {
            Returns::Nothing | Returns::Success => Some(Ty::Void),
            Returns::Plain(ty) | Returns::OrNull(ty) => Some(ty),
            Returns::Value => None,
        }
    }
}
