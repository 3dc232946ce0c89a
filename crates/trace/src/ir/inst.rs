//! The instructions: one table, from which the opcode enum, the mnemonics and the typing rules follow.

use super::helper::{Effects, Helper};
use super::tree::SnapId;

/// The type of an instruction's result.
///
/// Every Lua value in a trace has a statically known tag: a load checks the tag that was seen when the trace was recorded. Only
/// where a place has held integers and floats, the tag of a number is a value of its own ([`Ty::Num`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Ty {
    /// `nil`: no payload.
    Nil = 0,
    /// `false`: no payload.
    False = 1,
    /// `true`: no payload.
    True = 2,
    /// A 64-bit integer.
    Int = 3,
    /// A 64-bit float.
    Float = 4,
    /// A light userdata.
    Light = 5,
    /// A string, by address.
    Str = 6,
    /// A table, by address.
    Table = 7,
    /// A Lua function, by address.
    LuaFn = 8,
    /// A native function, by address.
    NativeFn = 9,
    /// A full userdata, by address.
    UserData = 10,
    /// A coroutine, by address.
    Thread = 11,
    /// A machine address that is no Lua value: a shape, a buffer, an upvalue, null.
    Ptr = 12,
    /// No result.
    Void = 13,
    /// An integer or a float: [`Op::Num`] names payload and tag.
    Num = 14,
}

impl Ty {
    /// All types in the order of their numbers.
    pub const ALL: [Ty; 15] = [
        Ty::Nil,
        Ty::False,
        Ty::True,
        Ty::Int,
        Ty::Float,
        Ty::Light,
        Ty::Str,
        Ty::Table,
        Ty::LuaFn,
        Ty::NativeFn,
        Ty::UserData,
        Ty::Thread,
        Ty::Ptr,
        Ty::Void,
        Ty::Num,
    ];

    /// The name in the text form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Ty::Nil => "nil",
            Ty::False => "fal",
            Ty::True => "tru",
            Ty::Int => "int",
            Ty::Float => "flt",
            Ty::Light => "lgt",
            Ty::Str => "str",
            Ty::Table => "tab",
            Ty::LuaFn => "lfn",
            Ty::NativeFn => "nfn",
            Ty::UserData => "udt",
            Ty::Thread => "thr",
            Ty::Ptr => "ptr",
            Ty::Void => "-",
            Ty::Num => "num",
        }
    }

    /// The type of Lua values with the tag number `tag`.
    #[must_use]
    pub fn of_tag(tag: u8) -> Option<Ty> {
        Ty::ALL.get(tag as usize).copied().filter(|ty| ty.has_tag())
    }

    /// Whether it is the type of Lua values.
    #[must_use]
    pub const fn is_value(self) -> bool {
        self.has_tag() || matches!(self, Ty::Num)
    }

    /// Whether it is the type of Lua values that all have the same tag, which is its number then.
    #[must_use]
    pub const fn has_tag(self) -> bool {
        (self as u8) < Ty::Ptr as u8
    }

    /// Whether the tag says everything: nil, false and true have no payload.
    #[must_use]
    pub const fn is_primitive(self) -> bool {
        (self as u8) <= Ty::True as u8
    }

    /// Whether values are heap objects.
    #[must_use]
    pub const fn is_object(self) -> bool {
        self as u8 >= Ty::Str as u8 && self.has_tag()
    }
}

/// An instruction of a tree, which is also the value that it results in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ref(pub u32);

impl Ref {
    /// No operand.
    pub const NONE: Ref = Ref(u32::MAX);

    /// The position in the tree's list of instructions.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Whether it refers to an instruction.
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.0 != u32::MAX
    }
}

/// The parts of objects that loads and stores name. The code generator is told where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Field {
    /// Table: its shape.
    Shape,
    /// Table: its metatable or null.
    Meta,
    /// Table: its property slots.
    Slots,
    /// Table: its array elements.
    Array,
    /// Table: its hash part or null.
    Hash,
    /// Table: element kind of the array part.
    Kind,
    /// Table: length of the array part.
    Len,
    /// Table: room of the array part.
    Cap,
    /// Upvalue: the place of its variable.
    UpSlot,
    /// Upvalue array entry of a Lua function; the number is in `Inst::aux`. Never changes.
    UpVal,
    /// Lua function: its prototype. Never changes.
    Proto,
    /// String: length in bytes. Never changes.
    StrLen,
    /// Native function: the number of the intrinsic that it is. Never changes.
    Known,
    /// Coroutine: what it is doing.
    Status,
    /// Userdata: its metatable or null.
    UserMeta,
}

impl Field {
    /// All fields in the order of their numbers.
    pub const ALL: [Field; 15] = [
        Field::Shape,
        Field::Meta,
        Field::Slots,
        Field::Array,
        Field::Hash,
        Field::Kind,
        Field::Len,
        Field::Cap,
        Field::UpSlot,
        Field::UpVal,
        Field::Proto,
        Field::StrLen,
        Field::Known,
        Field::Status,
        Field::UserMeta,
    ];

    /// The name in the text form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Field::Shape => "shape",
            Field::Meta => "meta",
            Field::Slots => "slots",
            Field::Array => "array",
            Field::Hash => "hash",
            Field::Kind => "kind",
            Field::Len => "len",
            Field::Cap => "cap",
            Field::UpSlot => "upslot",
            Field::UpVal => "upval",
            Field::Proto => "proto",
            Field::StrLen => "strlen",
            Field::Known => "known",
            Field::Status => "status",
            Field::UserMeta => "usermeta",
        }
    }

    /// The type of what is loaded.
    #[must_use]
    pub const fn ty(self) -> Ty {
        match self {
            Field::Kind | Field::Len | Field::Cap | Field::StrLen | Field::Known | Field::Status => Ty::Int,
            Field::Shape
            | Field::Meta
            | Field::Slots
            | Field::Array
            | Field::Hash
            | Field::UserMeta
            | Field::UpSlot
            | Field::UpVal
            | Field::Proto => Ty::Ptr,
        }
    }

    /// Whether nothing ever changes it.
    #[must_use]
    pub const fn is_constant(self) -> bool {
        matches!(self, Field::UpVal | Field::Proto | Field::StrLen | Field::Known)
    }
}

/// A class of memory: accesses of different classes never touch the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A field of an object's header or struct.
    Field(Field),
    /// Property slots with this number, of the tables that have this shape. Tables of different shapes are different
    /// tables, and whatever changes a shape changes all of these classes.
    Prop(u32, u64),
    /// Elements of array parts that hold whole values.
    Any,
    /// Elements of array parts of this packed type.
    Packed(Ty),
    /// Elements of array parts that hold booleans and nils as tags.
    Flags,
    /// Variables of upvalues that are not slots of the trace.
    Up,
    /// Those among them that no function assigns to.
    FixedUp,
    /// Entries of hash parts, as helpers see them.
    HashPart,
}

/// How the operands of an instruction are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `imm` is the value.
    Const,
    /// `aux` is a stack slot, `imm` the header.
    Slot,
    /// `a`.
    Unary,
    /// `a`, `b`.
    Binary,
    /// `a`, `b`, `c`.
    Ternary,
    /// `a`, `b`, checked: execution leaves through `snap` unless it holds.
    Guard,
    /// `a`, checked.
    GuardUnary,
    /// Checked, no operand.
    GuardNullary,
    /// Field `imm` of `a`, `aux` its number if it is one of many.
    Field,
    /// Property `aux` behind `a`, of type `ty`, checked; `imm` is the shape of the table.
    Prop,
    /// Element `b` behind `a`, of type `ty`, checked.
    Elem,
    /// Element `b` behind `a`, of type `ty`; the element kind says so.
    Packed,
    /// The value at `a`, of type `ty`, checked.
    Up,
    /// Number `b` behind `a`, the array of table `c`, whatever its element kind, checked; or, of what was checked so by `a`,
    /// the payload.
    Mixed,
    /// Property `aux` behind `a` becomes `b`; `imm` is the shape of the table.
    StoreProp,
    /// Element `b` behind `a` becomes `c`.
    StoreElem,
    /// The value at `a` becomes `b`.
    StoreUp,
    /// Field `imm` of `a` becomes `b`.
    StoreField,
    /// Helper `imm` with the operands that are there.
    Call,
    /// `aux` is a stack slot, counted as in snapshots.
    Place,
    /// `a`, checked against stack slot `aux`.
    GuardPlace,
    /// Stack slot `aux`, of type `ty`, checked.
    LoadPlace,
    /// Stack slot `aux` becomes `a`.
    StorePlace,
    /// A call out of the tree: `aux` is the function's slot, `imm` the number of arguments and of results.
    CallOut,
    /// A call of a compiled function, by the cell `a` that has its code: `aux` is the function's slot, `imm` the number of
    /// results that are wanted, with its sign.
    CallFn,
    /// `a`, a call of a compiled function whose slot is `aux`, checked against `imm`.
    Returned,
    /// Nothing runs.
    Gone,
}

/// The rule for the type of an instruction's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultType {
    /// Always this one.
    Is(Ty),
    /// What `Inst::ty` says: a Lua type.
    Given,
    /// That of the field.
    OfField,
    /// That of the helper.
    OfHelper,
}

/// Expands to a callback over the whole table, so that every consumer matches the same rows.
#[macro_export]
macro_rules! for_each_trace_op {
    ($callback:ident) => {
        $callback! {
            // Constants: one instruction for each value, wherever it is used.
            KInt "kint" Const Is(Ty::Int) "the integer `imm`";
            KFloat "kflt" Const Is(Ty::Float) "the float with the bits `imm`";
            KPrim "kprim" Const Given "nil, false or true";
            KObj "kobj" Const Given "the object at address `imm`";
            KPtr "kptr" Const Is(Ty::Ptr) "the address `imm`";

            // Inputs. The entry checks the tag; iterations after the first get the value from the back-edge.
            Slot "slot" Slot Given "stack slot `aux` at header `imm`";

            // Integers. All wrap around.
            Add "add" Binary Is(Ty::Int) "`a + b`";
            Sub "sub" Binary Is(Ty::Int) "`a - b`";
            Mul "mul" Binary Is(Ty::Int) "`a * b`";
            IDiv "idiv" Binary Is(Ty::Int) "`a // b`, rounded down; `b` is not zero";
            Mod "mod" Binary Is(Ty::Int) "`a % b`, with the sign of `b`; `b` is not zero";
            And "and" Binary Is(Ty::Int) "`a & b`";
            Or "or" Binary Is(Ty::Int) "`a | b`";
            Xor "xor" Binary Is(Ty::Int) "`a ~ b`";
            Shl "shl" Binary Is(Ty::Int) "`a << b` for any `b`, as Lua shifts";
            Shr "shr" Binary Is(Ty::Int) "`a >> b`, logical, for any `b`, as Lua shifts";
            Sar "sar" Binary Is(Ty::Int) "`a >> b`, with the sign; `b` is a constant from 0 to 63";
            IMax "imax" Binary Is(Ty::Int) "`b` if `a < b`, else `a`";
            IMin "imin" Binary Is(Ty::Int) "`b` if `b < a`, else `a`";
            Neg "neg" Unary Is(Ty::Int) "`-a`";
            Not "not" Unary Is(Ty::Int) "`~a`";

            // Floats.
            FAdd "fadd" Binary Is(Ty::Float) "`a + b`";
            FSub "fsub" Binary Is(Ty::Float) "`a - b`";
            FMul "fmul" Binary Is(Ty::Float) "`a * b`";
            FDiv "fdiv" Binary Is(Ty::Float) "`a / b`";
            FMax "fmax" Binary Is(Ty::Float) "`b` if `a < b`, else `a`";
            FMin "fmin" Binary Is(Ty::Float) "`b` if `b < a`, else `a`";
            FNeg "fneg" Unary Is(Ty::Float) "`-a`";
            FAbs "fabs" Unary Is(Ty::Float) "the absolute value of `a`";
            FSqrt "fsqrt" Unary Is(Ty::Float) "the square root of `a`";
            FFloor "ffloor" Unary Is(Ty::Float) "`a` rounded down, a float";
            FCeil "fceil" Unary Is(Ty::Float) "`a` rounded up, a float";

            // Conversions.
            IToF "itof" Unary Is(Ty::Float) "the integer `a` as a float";
            SmallToF "stof" Unary Is(Ty::Float) "the integer `a`, known to have at most 52 bits, as a float";
            AsTable "astab" Unary Is(Ty::Table) "the table at the address `a`, which a guard has found not to be null";
            FToI "ftoi" GuardUnary Is(Ty::Int) "the float `a` as an integer; leaves unless it is one exactly";

            // Numbers of either kind: a payload, which travels as an integer, and a tag.
            Num "num" Binary Is(Ty::Num) "the number with the payload `a` and the tag `b`: no machine value of its own";
            NToF "ntof" Binary Is(Ty::Float) "the number with the payload `a` and the tag `b` as a float";
            NSel "nsel" Ternary Is(Ty::Int) "the payload of a number with the tag `a`: the integer `b` or the float `c`";
            AsFloat "asflt" Unary Is(Ty::Float) "the float with the payload `a`";

            // Guards: execution goes on when the condition holds.
            Eq "eq" Guard Is(Ty::Void) "`a == b`: integers, addresses";
            Ne "ne" Guard Is(Ty::Void) "`a ~= b`: integers, addresses";
            Lt "lt" Guard Is(Ty::Void) "`a < b`, integers";
            Le "le" Guard Is(Ty::Void) "`a <= b`, integers";
            Gt "gt" Guard Is(Ty::Void) "`a > b`, integers";
            Ge "ge" Guard Is(Ty::Void) "`a >= b`, integers";
            Below "below" Guard Is(Ty::Void) "`a < b`, both unsigned: a bounds check";
            NotBelow "nbelow" Guard Is(Ty::Void) "`a >= b`, both unsigned";
            FEq "feq" Guard Is(Ty::Void) "`a == b`, floats";
            FNe "fne" Guard Is(Ty::Void) "`a ~= b`, floats";
            FLt "flt" Guard Is(Ty::Void) "`a < b`, floats";
            FLe "fle" Guard Is(Ty::Void) "`a <= b`, floats";
            FNotLt "fnlt" Guard Is(Ty::Void) "`not (a < b)`, floats";
            FNotLe "fnle" Guard Is(Ty::Void) "`not (a <= b)`, floats";
            Fuel "fuel" GuardNullary Is(Ty::Void) "there is fuel left for the longest path";
            NoCollect "nocoll" GuardNullary Is(Ty::Void) "no collector step is due";
            // The slots of the trace live in registers, so that it must not touch them through an upvalue.
            OffStack "offstack" GuardUnary Is(Ty::Void) "the address `a` is not in the part of the stack that the trace uses";
            OffWritten "offwritten" GuardUnary Is(Ty::Void) "the address `a` is not in the part of the stack that it writes";

            // The stack. A slot's place is used for what helpers read or write, and after calls out of the tree.
            PlaceAddr "place" Place Is(Ty::Ptr) "the address of slot `aux`";
            UpIsPlace "upisplace" GuardPlace Is(Ty::Void) "the variable of upvalue `a` is slot `aux`";
            LoadPlace "ldplace" LoadPlace Given "the value in the place of slot `aux`";
            StorePlace "stplace" StorePlace Is(Ty::Void) "the place of slot `aux` = `a`";

            // Memory.
            Load "load" Field OfField "field of `a`";
            LoadProp "ldprop" Prop Given "property `aux` behind the slots pointer `a`";
            HasProp "hasprop" Prop Is(Ty::Void) "property `aux` behind the slots pointer `a` is not nil";
            HasElem "haselem" Elem Is(Ty::Void) "element `b` (from 0) behind the array pointer `a` is not nil";
            LoadElem "ldelem" Elem Given "element `b` (from 0) behind the array pointer `a`";
            LoadPacked "ldpack" Packed Given "packed element `b` (from 0) behind the array pointer `a`";
            LoadFlag "ldflag" Elem Given "element `b` (from 0) behind the array pointer `a` of booleans and nils";
            LoadUp "ldup" Up Given "the variable at address `a`";
            LoadFixed "ldfix" Up Given "the variable at address `a`, which no function assigns to as its upvalue";
            TagProp "tagprop" Prop Is(Ty::Int) "the tag of property `aux` behind `a`, which is a number";
            RawProp "rawprop" Prop Is(Ty::Int) "the payload of property `aux` behind `a`";
            TagElem "tagelem" Elem Is(Ty::Int) "the tag of element `b` behind `a`, which is a number";
            RawElem "rawelem" Elem Is(Ty::Int) "the payload of element `b` behind `a`";
            TagUp "tagup" Up Is(Ty::Int) "the tag of the variable at `a`, which is a number";
            RawUp "rawup" Up Is(Ty::Int) "the payload of the variable at `a`";
            TagMixed "tagmixed" Mixed Is(Ty::Int) "the tag of element `b` behind `a`, the array of table `c`; it is a number";
            RawMixed "rawmixed" Mixed Is(Ty::Int) "the payload of the element whose tag `a` is";
            StoreProp "stprop" StoreProp Is(Ty::Void) "property `aux` behind `a` = `b`";
            StoreElem "stelem" StoreElem Is(Ty::Void) "element `b` behind `a` = `c`";
            StorePacked "stpack" StoreElem Is(Ty::Void) "packed element `b` behind `a` = `c`";
            StoreFlag "stflag" StoreElem Is(Ty::Void) "element `b` behind `a` = `c`, a boolean";
            StoreUp "stup" StoreUp Is(Ty::Void) "the variable at `a` = `b`";
            StoreField "stfield" StoreField Is(Ty::Void) "field of `a` = `b`";
            // Keeps the collector's invariant after a store of the object `b` into `a`.
            Barrier "barrier" Binary Is(Ty::Void) "table `a` refers to `b` now";
            BarrierUp "barrierup" Binary Is(Ty::Void) "upvalue `a` refers to `b` now";
            LoadByte "ldbyte" Binary Is(Ty::Int) "byte `b` (from 0) of the string `a`";

            // Calls of runtime functions.
            Call "call" Call OfHelper "the result of a helper; leaves through `snap` when it reports failure";
            // May run anything: all slots are in their places, and all memory is new afterwards.
            CallOut "callout" CallOut Is(Ty::Void) "the native function in slot `aux` is called in the state that `snap` tells";
            // `snap` is the state in front of the function's first instruction, its frame made. The slots of the tree stay
            // as they are; all memory is new afterwards.
            CallFn "callfn" CallFn Is(Ty::Int) "how many results the compiled function in slot `aux` has; they are in their places from there on";
            Returned "returned" Returned Is(Ty::Void) "the call `a` has had `imm` results";

            // What `opt::sink` leaves of allocations that the path can do without.
            Sunk "sunk" Gone Is(Ty::Table) "a table that only exits make, as their snapshots tell";
            Gone "gone" Gone Is(Ty::Void) "an instruction that was about a sunk table";
        }
    };
}

macro_rules! define_ops {
    ($($name:ident $mnemonic:literal $format:ident $result:ident $(($ty:expr))? $meaning:literal;)*) => {
        /// An operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Op {
            $(#[doc = $meaning] $name,)*
        }

        impl Op {
            /// All operations in the order of their numbers.
            pub const ALL: &'static [Op] = &[$(Op::$name,)*];

            /// The name in the text form.
            #[must_use]
            pub const fn mnemonic(self) -> &'static str {
                match self { $(Op::$name => $mnemonic,)* }
            }

            /// How the operands are read.
            #[must_use]
            pub const fn format(self) -> Format {
                match self { $(Op::$name => Format::$format,)* }
            }

            /// The rule for the type of the result.
            #[must_use]
            pub const fn result(self) -> ResultType {
                match self { $(Op::$name => ResultType::$result $(($ty))?,)* }
            }
        }
    };
}
for_each_trace_op!(define_ops);

impl Class {
    /// Whether a call of a compiled function may change such memory. It calls nothing but compiled functions, so that whoever
    /// has declared the variables of this function's upvalues waits, or has returned.
    #[must_use]
    pub const fn outlives_calls(self) -> bool {
        matches!(self, Class::FixedUp | Class::Field(Field::UpSlot))
    }
}

impl Op {
    /// Whether two instances with equal operands have equal results whenever they run, and no effect.
    #[must_use]
    pub const fn is_pure(self) -> bool {
        match self.format() {
            Format::Const | Format::Slot | Format::Unary | Format::Ternary => true,
            // The bytes of a string never change.
            Format::Binary => !matches!(self, Op::Barrier | Op::BarrierUp),
            Format::Guard | Format::GuardUnary | Format::GuardNullary => false,
            Format::Field | Format::Prop | Format::Elem | Format::Packed | Format::Up | Format::Mixed => false,
            Format::StoreProp | Format::StoreElem | Format::StoreUp | Format::StoreField | Format::Call => false,
            // An address of the stack is good until a call moves it.
            Format::Place | Format::GuardPlace | Format::LoadPlace | Format::StorePlace => false,
            Format::CallOut | Format::CallFn | Format::Returned | Format::Gone => false,
        }
    }

    /// Whether it can leave the trace (a helper call says so itself).
    #[must_use]
    pub const fn is_checked(self) -> bool {
        matches!(
            self.format(),
            Format::Guard
                | Format::GuardUnary
                | Format::GuardNullary
                | Format::GuardPlace
                | Format::LoadPlace
                | Format::Prop
                | Format::Elem
                | Format::Up
                | Format::Mixed
                | Format::Returned
        )
    }

    /// The guard that holds where this one, of two operands, does not.
    #[must_use]
    pub const fn opposite(self) -> Option<Op> {
        Some(match self {
            Op::Eq => Op::Ne,
            Op::Ne => Op::Eq,
            Op::Lt => Op::Ge,
            Op::Ge => Op::Lt,
            Op::Le => Op::Gt,
            Op::Gt => Op::Le,
            Op::Below => Op::NotBelow,
            Op::NotBelow => Op::Below,
            Op::FEq => Op::FNe,
            Op::FNe => Op::FEq,
            Op::FLt => Op::FNotLt,
            Op::FNotLt => Op::FLt,
            Op::FLe => Op::FNotLe,
            Op::FNotLe => Op::FLe,
            _ => return None,
        })
    }

    /// Whether it reads memory that stores or helpers may change.
    #[must_use]
    pub const fn is_load(self) -> bool {
        matches!(
            self.format(),
            Format::Field | Format::Prop | Format::Elem | Format::Packed | Format::Up | Format::Mixed
        )
    }

    /// Whether it writes memory (helpers apart).
    #[must_use]
    pub const fn is_store(self) -> bool {
        matches!(self.format(), Format::StoreProp | Format::StoreElem | Format::StoreUp | Format::StoreField)
            || matches!(self, Op::Barrier | Op::BarrierUp)
    }
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inst {
    /// What it does.
    pub op: Op,
    /// The type of its result.
    pub ty: Ty,
    /// Operands; [`Ref::NONE`] where there is none.
    pub args: [Ref; 3],
    /// A number: stack slot, property slot, number of an upvalue.
    pub aux: u32,
    /// A constant's value, a field, a helper, a shape.
    pub imm: u64,
    /// Where execution leaves when a check fails.
    pub snap: Option<SnapId>,
}

impl Inst {
    /// An instruction without operands.
    #[must_use]
    pub const fn new(op: Op, ty: Ty) -> Inst {
        Inst { op, ty, args: [Ref::NONE; 3], aux: 0, imm: 0, snap: None }
    }

    /// The operands that are there.
    pub fn operands(&self) -> impl Iterator<Item = Ref> + '_ {
        self.args.iter().copied().filter(|r| r.is_some())
    }

    /// The first operand.
    #[must_use]
    pub const fn a(&self) -> Ref {
        self.args[0]
    }

    /// The second operand.
    #[must_use]
    pub const fn b(&self) -> Ref {
        self.args[1]
    }

    /// The third operand.
    #[must_use]
    pub const fn c(&self) -> Ref {
        self.args[2]
    }

    /// Whether running it twice differs from running it once. New objects that nothing refers to are no difference.
    #[must_use]
    pub fn has_effect(&self) -> bool {
        match self.helper() {
            Some(helper) => !matches!(helper.effects(), Effects::Pure | Effects::ReadsTables | Effects::Allocates),
            None => self.op.is_store() || matches!(self.op, Op::StorePlace | Op::CallOut | Op::CallFn),
        }
    }

    /// Whether it loads a part of a number, which is known as a whole when both parts are there.
    #[must_use]
    pub const fn is_part(&self) -> bool {
        matches!(
            self.op,
            Op::TagProp | Op::RawProp | Op::TagElem | Op::RawElem | Op::TagUp | Op::RawUp | Op::TagMixed | Op::RawMixed
        )
    }

    /// The field of a load or store of one.
    #[must_use]
    pub fn field(&self) -> Option<Field> {
        matches!(self.op, Op::Load | Op::StoreField).then(|| Field::ALL.get(self.imm as usize).copied()).flatten()
    }

    /// The helper of a call.
    #[must_use]
    pub fn helper(&self) -> Option<Helper> {
        (self.op == Op::Call).then(|| Helper::ALL.get(self.imm as usize).copied()).flatten()
    }

    /// The memory that a load reads or a store writes; `None` for others.
    #[must_use]
    pub fn class(&self) -> Option<Class> {
        match self.op.format() {
            Format::Field | Format::StoreField => self.field().map(Class::Field),
            Format::Prop | Format::StoreProp => Some(Class::Prop(self.aux, self.imm)),
            Format::Elem if self.op == Op::LoadFlag => Some(Class::Flags),
            Format::Elem => Some(Class::Any),
            Format::Packed => Some(Class::Packed(self.ty)),
            // A store's `ty` is void: its class is that of the element, which the tree knows; see `Tree::store_class`.
            Format::StoreElem => None,
            Format::Up if self.op == Op::LoadFixed => Some(Class::FixedUp),
            Format::Up | Format::StoreUp => Some(Class::Up),
            // It depends on the element kind: such a load is never remembered, nor moved.
            Format::Mixed => None,
            Format::Const
            | Format::Slot
            | Format::Unary
            | Format::Binary
            | Format::Ternary
            | Format::Guard
            | Format::GuardUnary
            | Format::GuardNullary
            | Format::Call
            | Format::Place
            | Format::GuardPlace
            | Format::LoadPlace
            | Format::StorePlace
            | Format::CallOut
            | Format::CallFn
            | Format::Returned
            | Format::Gone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_the_opposite_of_its_opposite() {
        for op in Op::ALL.iter().filter(|op| op.format() == Format::Guard) {
            assert_eq!(op.opposite().and_then(Op::opposite), Some(*op));
        }
    }

    #[test]
    fn numbers_of_types_and_fields_are_their_places() {
        for (n, ty) in Ty::ALL.iter().enumerate() {
            assert_eq!(*ty as usize, n);
        }
        for (n, field) in Field::ALL.iter().enumerate() {
            assert_eq!(*field as usize, n);
        }
        assert_eq!(Ty::of_tag(Ty::Ptr as u8), None);
        assert_eq!(Ty::of_tag(7), Some(Ty::Table));
    }
}
