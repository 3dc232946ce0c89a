//! The native-function interface: how library code written in Rust sees its arguments, makes values, calls Lua and fails.
//!
//! A native function is a plain `fn(&mut Vm) -> NativeResult`. When it runs, its arguments are the slots `1..=nargs` of
//! its frame; what it pushes goes above them; it returns how many of the topmost values are its results.
//!
//! # What keeps values alive
//! Arguments and pushed values are roots. A value held only in a Rust variable is *not*: it may die at the next safepoint.
//! Safepoints inside a native function are exactly the methods marked **(safepoint)**: those that may run Lua code or
//! collect. Creating strings and tables is not one. So: push what must survive a call, and read it back after it.

use perilune_runtime::object::{DirectFn, StrRef, TableRef, ThreadRef, UserDataRef};
use perilune_runtime::stack::{HANDLER_ROOM, MAX_SLOTS};
use perilune_runtime::table::SetError;
use perilune_runtime::value::{Tag, Value};

use crate::meta::Event;
use crate::vm::Vm;

/// Proof that an error was raised: the error itself waits in the VM. Return it at once.
#[derive(Debug)]
#[must_use = "a raised error must be returned to the interpreter"]
pub struct Raised(pub(crate) ());

/// What a native function returns: the number of results on top of its stack, or an error.
pub type NativeResult = Result<u32, Raised>;

/// A native function.
pub type NativeFn = fn(&mut Vm) -> NativeResult;

/// Slots that a native function may push without asking [`Vm::ensure_stack`].
pub const MIN_STACK: usize = 20;

/// The result count that asks the interpreter to call the function below the pushed arguments and to return its results as
/// the native function's own; see [`Vm::return_call`].
pub(crate) const RETURN_CALL: u32 = u32::MAX - 0xff;

macro_rules! intrinsics {
    ($($name:ident)*) => {
        /// The library functions that hot code calls, as a compiler tier and the interpreter's fast paths know them.
        ///
        /// `Plain` are all others that have no effect, and run no Lua code for numbers, strings, booleans and nil.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        #[expect(missing_docs, reason = "each is the library function of its name")]
        pub enum Intrinsic { None = 0, $($name,)* }

        impl Intrinsic {
            /// The intrinsic with this number; what has none is `None`.
            #[must_use]
            pub fn of(number: u32) -> Intrinsic {
                const ALL: &[Intrinsic] = &[Intrinsic::None, $(Intrinsic::$name,)*];
                ALL.get(number as usize).copied().unwrap_or(Intrinsic::None)
            }
        }
    };
}
intrinsics! {
    Assert Type Next NextFloat Pairs Ipairs IpairsStep IpairsStepFloat RawGet RawSet RawEqual RawLen Select SetMetatable GetMetatable ToNumber ToString
    Unpack TableInsert TableRemove TableRemoveOld TableConcat
    MathAbs MathCeil MathFloor MathFmod MathMax MathMin MathSqrt MathSin MathCos MathTan MathExp MathLog MathModf MathToInteger MathType MathRandom MathUlt
    StringByte StringChar StringLen StringSub StringRep StringFind StringMatch StringGsub StringGmatch GmatchStep StringFormat StringUpper StringLower StringReverse
    BitAnd BitOr BitXor BitNot BitLshift BitRshift BitLrotate BitRrotate BitArshift BitExtract BitTest BitOther
    Wrapped CoroutineStatus
    IoWrite
    Plain
}

impl Intrinsic {
    /// What the function is where all numbers are floats: of iterators, which the interpreter knows by their numbers alone.
    const fn without_integers(self) -> Intrinsic {
        match self {
            Intrinsic::Next => Intrinsic::NextFloat,
            Intrinsic::IpairsStep => Intrinsic::IpairsStepFloat,
            other => other,
        }
    }
}

// Arguments.
impl Vm {
    /// Number of arguments of the running native function.
    #[inline]
    pub fn nargs(&self) -> usize {
        // SAFETY: while a native function runs, its frame is the current one and `base..top` are its values.
        unsafe {
            let th = self.thread;
            ((*th).top.offset_from((*(*th).frame).base)) as usize
        }
    }

    /// Argument `i` (from 1), or nil when there are fewer.
    ///
    /// Counts everything pushed so far: read the arguments before pushing.
    #[inline]
    pub fn arg(&self, i: usize) -> Value {
        // SAFETY: as in `nargs`; the slot is read only when it is below `top`.
        unsafe {
            let th = self.thread;
            let slot = (*(*th).frame).base.add(i - 1);
            if slot < (*th).top { *slot } else { Value::NIL }
        }
    }

    /// Overwrites argument `i` (from 1), which must exist.
    #[inline]
    pub fn set_arg(&mut self, i: usize, v: Value) {
        debug_assert!(i >= 1 && i <= self.nargs());
        // SAFETY: as in `nargs`; the slot exists by the assertion.
        unsafe {
            *(*(*self.thread).frame).base.add(i - 1) = v;
        }
    }

    /// Makes the number of values exactly `n`: drops what is above, or fills with nil.
    pub fn set_top(&mut self, n: usize) {
        debug_assert!(n <= self.nargs() + MIN_STACK);
        // SAFETY: as in `nargs`; room for MIN_STACK slots above the arguments was made when the function was called.
        unsafe {
            let th = self.thread;
            let want = (*(*th).frame).base.add(n);
            while (*th).top < want {
                *(*th).top = Value::NIL;
                (*th).top = (*th).top.add(1);
            }
            (*th).top = want;
        }
    }

    /// Pushes a value.
    #[inline]
    pub fn push(&mut self, v: Value) {
        // SAFETY: natives push at most MIN_STACK values without `ensure_stack`, which keeps `top` inside the stack.
        unsafe {
            let th = self.thread;
            debug_assert!((*th).top < (*th).stack_limit.add(perilune_runtime::stack::EXTRA_SLOTS));
            *(*th).top = v;
            (*th).top = (*th).top.add(1);
        }
    }

    /// Pops the topmost value.
    #[inline]
    pub fn pop(&mut self) -> Value {
        debug_assert!(self.nargs() > 0);
        // SAFETY: as in `nargs`; there is a value by the assertion, which callers uphold by balanced pushes.
        unsafe {
            let th = self.thread;
            (*th).top = (*th).top.sub(1);
            *(*th).top
        }
    }

    /// Pushes one result: `return vm.ret(v)`.
    #[inline]
    pub fn ret(&mut self, v: Value) -> NativeResult {
        self.push(v);
        Ok(1)
    }

    /// Makes room for `n` more pushes; a stack overflow is a Lua error (`stack overflow`).
    pub fn ensure_stack(&mut self, n: usize) -> Result<(), Raised> {
        // SAFETY: reads the bounds of the current thread's stack.
        let room = unsafe { (*self.thread).stack_limit.offset_from((*self.thread).top) };
        if room >= n as isize { Ok(()) } else { self.grow_stack_by(n) }
    }

    /// As [`Vm::ensure_stack`]; where memory is short, it collects. **(safepoint)**
    pub fn reserve_stack(&mut self, n: usize) -> Result<(), Raised> {
        // SAFETY: as in `ensure_stack`.
        let room = unsafe { (*self.thread).stack_limit.offset_from((*self.thread).top) };
        if room >= n as isize { Ok(()) } else { self.grow_stack_or_collect(n) }
    }

    /// As [`Vm::reserve_stack`]; a stack overflow is a Lua error that says for what (`stack overflow (what)`). **(safepoint)**
    pub fn reserve_stack_for(&mut self, n: usize, what: &str) -> Result<(), Raised> {
        if self.has_stack_for(n) { self.reserve_stack(n) } else { Err(self.error(&format!("stack overflow ({what})"))) }
    }

    /// Whether the stack may grow by `n` slots.
    pub fn has_stack_for(&self, n: usize) -> bool {
        let reserved = if self.overflowing { 0 } else { HANDLER_ROOM };
        n < (MAX_SLOTS - reserved).saturating_sub(self.stack_height())
    }

    /// Argument `i`, which must be present (nil counts): else `bad argument #i to 'f' (value expected)`.
    pub fn check_any(&mut self, i: usize) -> Result<Value, Raised> {
        if i > self.nargs() { Err(self.arg_error(i, "value expected")) } else { Ok(self.arg(i)) }
    }

    /// Integer argument, with the conversions of `luaL_checkinteger`.
    #[inline]
    pub fn check_int(&mut self, i: usize) -> Result<i64, Raised> {
        let v = self.arg(i);
        if v.tag == Tag::Int { Ok(v.raw_int()) } else { self.check_int_slow(i) }
    }

    #[cold]
    fn check_int_slow(&mut self, i: usize) -> Result<i64, Raised> {
        let v = self.arg(i);
        self.before_conversion(v);
        match self.to_integer(v) {
            Some(n) => Ok(n),
            None if self.to_number(v).is_some() => Err(self.arg_error(i, "number has no integer representation")),
            None => Err(self.type_error(i, "number")),
        }
    }

    /// Number argument as a float.
    #[inline]
    pub fn check_float(&mut self, i: usize) -> Result<f64, Raised> {
        let v = self.arg(i);
        match v.tag {
            Tag::Float => Ok(v.raw_float()),
            Tag::Int => Ok(v.raw_int() as f64),
            _ => match self.convert(v) {
                Some(n) => Ok(if n.tag == Tag::Int { n.raw_int() as f64 } else { n.raw_float() }),
                None => Err(self.type_error(i, "number")),
            },
        }
    }

    /// Number argument, integer or float as it is (numeric strings are converted).
    #[inline]
    pub fn check_number(&mut self, i: usize) -> Result<Value, Raised> {
        let v = self.arg(i);
        if v.is_number() {
            return Ok(v);
        }
        match self.convert(v) {
            Some(n) => Ok(n),
            None => Err(self.type_error(i, "number")),
        }
    }

    /// The number that an argument is or spells.
    #[cold]
    fn convert(&mut self, v: Value) -> Option<Value> {
        self.before_conversion(v);
        self.to_number(v)
    }

    /// String argument; a number is converted, and the string takes its place among the arguments.
    #[inline]
    pub fn check_str(&mut self, i: usize) -> Result<StrRef, Raised> {
        match self.arg(i).as_str() {
            Some(s) => Ok(s),
            None => self.check_str_slow(i),
        }
    }

    #[cold]
    fn check_str_slow(&mut self, i: usize) -> Result<StrRef, Raised> {
        let v = self.arg(i);
        match self.number_to_str(v) {
            Some(s) => {
                self.set_arg(i, Value::str(s));
                Ok(s)
            }
            None => Err(self.type_error(i, "string")),
        }
    }

    /// Table argument.
    #[inline]
    pub fn check_table(&mut self, i: usize) -> Result<TableRef, Raised> {
        match self.arg(i).as_table() {
            Some(t) => Ok(t),
            None => Err(self.type_error(i, "table")),
        }
    }

    /// Function argument.
    pub fn check_function(&mut self, i: usize) -> Result<Value, Raised> {
        let v = self.arg(i);
        if v.is_function() { Ok(v) } else { Err(self.type_error(i, "function")) }
    }

    /// Coroutine argument.
    pub fn check_thread(&mut self, i: usize) -> Result<ThreadRef, Raised> {
        match self.arg(i).as_thread() {
            Some(t) => Ok(t),
            None => Err(match self.dialect.coroutine_expected {
                Some(message) => self.arg_error(i, message),
                None => self.type_error(i, "thread"),
            }),
        }
    }

    /// Integer argument, `default` when absent or nil.
    #[inline]
    pub fn opt_int(&mut self, i: usize, default: i64) -> Result<i64, Raised> {
        if self.arg(i).is_nil() { Ok(default) } else { self.check_int(i) }
    }

    /// Float argument, `default` when absent or nil.
    pub fn opt_float(&mut self, i: usize, default: f64) -> Result<f64, Raised> {
        if self.arg(i).is_nil() { Ok(default) } else { self.check_float(i) }
    }

    /// String argument, `None` when absent or nil.
    pub fn opt_str(&mut self, i: usize) -> Result<Option<StrRef>, Raised> {
        if self.arg(i).is_nil() { Ok(None) } else { self.check_str(i).map(Some) }
    }

    /// The index of string argument `i` in `options`, as `luaL_checkoption`: `invalid option 'x'`.
    pub fn check_option(&mut self, i: usize, default: Option<&str>, options: &[&str]) -> Result<usize, Raised> {
        let found = match (default, self.arg(i).is_nil()) {
            (Some(d), true) => d.as_bytes().to_vec(),
            _ => self.check_str(i)?.as_bytes().to_vec(),
        };
        match options.iter().position(|o| o.as_bytes() == found) {
            Some(p) => Ok(p),
            None => {
                let mut msg = b"invalid option '".to_vec();
                msg.extend_from_slice(&found);
                msg.push(b'\'');
                Err(self.arg_error_bytes(i, &msg))
            }
        }
    }

    /// Userdata argument whose host value is a `T`; `type_name` names it in the error (`FILE* expected, got nil`).
    pub fn check_userdata<T: 'static>(&mut self, i: usize, type_name: &str) -> Result<UserDataRef, Raised> {
        match self.arg(i).as_userdata() {
            Some(u) if u.is::<T>() => Ok(u),
            _ => Err(self.type_error(i, type_name)),
        }
    }

    /// The `i`-th upvalue (from 1) of the running native function.
    pub fn upvalue(&self, i: usize) -> Value {
        // SAFETY: a native frame's function slot holds its closure; the index is checked against its count.
        unsafe {
            match (*(*(*self.thread).frame).func).as_native_fn() {
                Some(f) if i >= 1 && i <= (*f.header()).word as usize => {
                    *perilune_runtime::object::NativeClosure::upvals(f.as_ptr()).add(i - 1)
                }
                _ => Value::NIL,
            }
        }
    }

    /// Overwrites the `i`-th upvalue (from 1) of the running native function.
    pub fn set_upvalue(&mut self, i: usize, v: Value) {
        // SAFETY: as in `upvalue`.
        unsafe {
            if let Some(f) = (*(*(*self.thread).frame).func).as_native_fn()
                && i >= 1
                && i <= (*f.header()).word as usize
            {
                *perilune_runtime::object::NativeClosure::upvals(f.as_ptr()).add(i - 1) = v;
                self.heap.barrier_forward(f.header(), v);
            }
        }
    }
}

// Errors. All return `Raised`, so that a caller writes `return Err(vm.error("..."))`.
impl Vm {
    /// Raises an error with the position of the calling Lua function in front, as `luaL_error`.
    #[cold]
    pub fn error(&mut self, message: &str) -> Raised {
        self.error_bytes(message.as_bytes())
    }

    /// [`Vm::error`] for a message of any bytes.
    #[cold]
    pub fn error_bytes(&mut self, message: &[u8]) -> Raised {
        let mut text = self.position(1);
        text.extend_from_slice(message);
        let v = self.string(&text);
        self.throw(v)
    }

    /// Raises any value as an error, as it is.
    #[cold]
    pub fn throw(&mut self, error: Value) -> Raised {
        self.raise(error)
    }

    /// `bad argument #i to 'f' (message)`, as `luaL_argerror`.
    #[cold]
    pub fn arg_error(&mut self, i: usize, message: &str) -> Raised {
        self.arg_error_bytes(i, message.as_bytes())
    }

    /// [`Vm::arg_error`] for a message of any bytes.
    #[cold]
    pub fn arg_error_bytes(&mut self, i: usize, message: &[u8]) -> Raised {
        crate::errors::argument(self, i, message)
    }

    /// `bad argument #i to 'f' (expected expected, got actual)`, as `luaL_typeerror`.
    #[cold]
    pub fn type_error(&mut self, i: usize, expected: &str) -> Raised {
        crate::errors::argument_type(self, i, expected)
    }

    /// Turns a refused table store into its Lua error.
    #[cold]
    pub fn set_error(&mut self, e: SetError) -> Raised {
        match e {
            SetError::NilKey => self.run_error("table index is nil"),
            SetError::NanKey => self.run_error("table index is NaN"),
            SetError::Memory => self.memory_error(),
            SetError::Overflow => self.run_error("table overflow"),
        }
    }
}

// Values.
impl Vm {
    /// A string.
    #[inline]
    pub fn string(&mut self, bytes: &[u8]) -> Value {
        Value::str(self.heap.new_str(bytes))
    }

    /// A new table with room.
    #[inline]
    pub fn table(&mut self, array: usize, properties: usize) -> TableRef {
        self.heap.new_table(array.min(u32::MAX as usize) as u32, properties.min(u16::MAX as usize) as u16)
    }

    /// A native function value with upvalues.
    pub fn native(&mut self, func: NativeFn, intrinsic: Intrinsic, upvalues: &[Value]) -> Value {
        let intrinsic = if self.dialect.integers { intrinsic } else { intrinsic.without_integers() };
        Value::native_fn(self.heap.new_native(func as *const (), intrinsic as u32, None, upvalues))
    }

    /// A library function, with its direct form in languages with integers: those forms are about integers.
    pub fn library_function(&mut self, func: NativeFn, intrinsic: Intrinsic, direct: Option<DirectFn>) -> Value {
        let has_integers = self.dialect.integers;
        let intrinsic = if has_integers { intrinsic } else { intrinsic.without_integers() };
        let direct = direct.filter(|_| has_integers);
        Value::native_fn(self.heap.new_native(func as *const (), intrinsic as u32, direct, &[]))
    }

    /// A userdata owning `data`, with `metatable`, registered for finalization when that has `__gc`.
    pub fn userdata(
        &mut self,
        data: Box<dyn std::any::Any>,
        metatable: Option<TableRef>,
        user_values: u16,
    ) -> Result<UserDataRef, Raised> {
        let Ok(u) = self.heap.new_userdata(data, u32::from(user_values), 0) else {
            return Err(self.memory_error());
        };
        if let Some(m) = metatable {
            self.set_metatable(Value::userdata(u), Some(m));
        }
        Ok(u)
    }

    /// Raw store that reports a refused key or exhausted memory as a Lua error. Where memory is short it collects, but keeps
    /// the table, the key and the value. **(safepoint)**
    pub fn raw_set(&mut self, t: TableRef, key: Value, value: Value) -> Result<(), Raised> {
        // What collects rarely is to collect always where that is tested.
        if self.heap.stress() {
            self.collect_around([Value::table(t), key, value]);
        }
        match t.set(&mut self.heap, key, value) {
            Ok(()) => Ok(()),
            Err(SetError::Memory) => {
                self.collect_around([Value::table(t), key, value]);
                t.set(&mut self.heap, key, value).map_err(|e| self.set_error(e))
            }
            Err(e) => Err(self.set_error(e)),
        }
    }

    /// Raw store under an integer key. **(safepoint)**
    #[inline]
    pub fn raw_set_int(&mut self, t: TableRef, key: i64, value: Value) -> Result<(), Raised> {
        self.raw_set(t, Value::int(key), value)
    }

    /// Raw store of a named field (libraries, metatables).
    pub fn set_field(&mut self, t: TableRef, name: &str, value: Value) {
        let key = self.heap.new_str(name.as_bytes());
        // A field of a fresh library table: the key is a string, so only memory could refuse it, and it does not for
        // small tables.
        let stored = t.set_field(&mut self.heap, key, value);
        debug_assert!(stored.is_ok());
    }

    /// Raw load of a named field.
    pub fn get_field(&mut self, t: TableRef, name: &str) -> Value {
        let key = self.heap.new_str(name.as_bytes());
        t.get_str(key)
    }

    /// The table that only host code sees.
    pub fn registry(&self) -> TableRef {
        self.registry
    }

    /// The table of globals.
    pub fn globals(&self) -> TableRef {
        self.globals
    }

    /// The metatable of any value.
    pub fn metatable_of(&self, v: Value) -> Option<TableRef> {
        crate::meta::metatable(self, v)
    }

    /// The metamethod `event` of a value, nil when absent.
    #[inline]
    pub fn metamethod(&self, v: Value, event: Event) -> Value {
        crate::meta::metamethod(self, v, event)
    }

    /// The field `name` of a value's metatable, nil when absent (for `__name`, `__metatable`, `__pairs`).
    pub fn metafield(&mut self, v: Value, name: &str) -> Value {
        match self.metatable_of(v) {
            Some(m) => self.get_field(m, name),
            None => Value::NIL,
        }
    }
}
