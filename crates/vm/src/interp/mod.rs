//! The interpreter's loop.
//!
//! One `match` over the opcodes, generic over a [`Mode`]. What a handler does inline is the case that hot code meets; the
//! rest is a call to a cold function of the same family in this folder, which does the whole operation and says with a
//! [`Step`] how to go on.
//!
//! # State
//! `pc`, `base`, `consts` and `caches` are locals and live in machine registers. Whatever may raise, call, collect or look
//! at the frame needs `frame.pc` stored first (the macros `slow!` and `save_pc!` do it), and must assume afterwards that
//! both the stack and the frames have moved: `base` and `frame` are read again.
//!
//! # Invariants
//! The bytecode has passed the verifier, or comes from our compiler, which makes only what the verifier accepts: every
//! register, constant, cache and jump of an instruction is in range, `ForLoop` finds the registers that `ForPrep` left, and an
//! open list of values is consumed by the instruction after the one that made it. The stack has room for `max_stack`
//! registers behind `base`. These two facts, established by [`crate::load`] and [`crate::call::push_lua_frame`], make every
//! raw access below sound; handlers say more only where they rely on more.

pub(crate) mod arith;
pub(crate) mod close;
pub(crate) mod closure;
pub(crate) mod compare;
pub(crate) mod concat;
pub(crate) mod finish;
pub(crate) mod index;
pub(crate) mod loops;

use perilune_base::num::{arith as num, compare as cmp};
use perilune_bytecode::ops::{Instr, Op};
use perilune_runtime::object::{ANY_ELEMENTS, Cache, Gc, LuaClosure, NativeClosure, Proto, Table, mark};
use perilune_runtime::stack::Frame;
use perilune_runtime::value::{Tag, Value};

use crate::call::{self, Step};
use crate::frame;
use crate::native::Intrinsic;
use crate::tier::Mode;
use crate::vm::Vm;

/// Why an interpreter loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The frame that the host called has returned.
    Returned,
    /// An error passed the frame that the host called.
    Raised,
    /// Another instance of the loop must go on.
    SwitchMode,
}

/// Reads an object's pointer out of a value whose tag was just tested.
#[inline(always)]
pub(crate) fn pointer<T>(v: Value) -> *mut T {
    std::ptr::with_exposed_provenance_mut(v.payload as usize)
}

/// The tag with number `n`.
///
/// # Safety
/// `n` is an element kind other than [`ANY_ELEMENTS`], which is always the number of a tag.
#[inline(always)]
pub(crate) unsafe fn tag_of_kind(n: u8) -> Tag {
    debug_assert!(n <= Tag::Thread as u8);
    // SAFETY: the caller's duty; `Tag` is `repr(u8)` with all numbers from 0 to `Thread`.
    unsafe { std::mem::transmute::<u8, Tag>(n) }
}

/// Runs from the current frame until the frame that the host called returns.
///
/// # Safety
/// `vm` is exclusively ours, and its current frame is a Lua frame pushed by [`call::push_lua_frame`].
pub(crate) unsafe fn execute<M: Mode>(vm: *mut Vm) -> Exit {
    // SAFETY: see the module's invariants; `vm` is valid and not referenced elsewhere while this runs.
    unsafe {
        let mut frame: *mut Frame;
        let mut base: *mut Value;
        let mut pc: *const Instr;
        let mut consts: *const Value;
        let mut caches: *mut Cache;
        let mut closure: *mut LuaClosure;

        macro_rules! reload {
            () => {{
                frame = (*(*vm).thread).frame;
                debug_assert!((*frame).kind == frame::LUA);
                base = (*frame).base;
                pc = (*frame).pc;
                closure = pointer::<LuaClosure>(*(*frame).func);
                let proto = (*closure).proto;
                consts = (*proto).consts;
                caches = (*proto).caches;
            }};
        }
        macro_rules! save_pc {
            () => {
                (*frame).pc = pc
            };
        }
        // After a step that raised: find who handles it.
        macro_rules! raise {
            () => {{
                match call::unwind(vm) {
                    Step::Raise => return Exit::Raised,
                    Step::Exit => return Exit::Returned,
                    Step::Switch => return Exit::SwitchMode,
                    _ => {
                        reload!();
                        continue;
                    }
                }
            }};
        }
        macro_rules! go_on {
            ($step:expr) => {{
                match $step {
                    Step::Next => {
                        frame = (*(*vm).thread).frame;
                        base = (*frame).base;
                        continue;
                    }
                    Step::Reload => {
                        reload!();
                        continue;
                    }
                    Step::Raise => raise!(),
                    Step::Exit => return Exit::Returned,
                    Step::Switch => return Exit::SwitchMode,
                }
            }};
        }
        macro_rules! slow {
            ($step:expr) => {{
                save_pc!();
                go_on!($step)
            }};
        }
        macro_rules! reg {
            ($i:expr) => {
                base.add($i as usize)
            };
        }
        macro_rules! jump {
            ($offset:expr) => {
                pc = pc.offset($offset as isize)
            };
        }
        macro_rules! branch {
            ($i:expr, $outcome:expr) => {{
                let outcome: bool = $outcome;
                if outcome == $i.cond() {
                    jump!($i.cond_offset());
                }
                continue;
            }};
        }
        // A back-edge over `$n` instructions: fuel, hot counter.
        macro_rules! back_edge {
            ($offset:expr) => {{
                jump!($offset);
                if M::COUNTS {
                    loops::count(vm, closure, pc);
                }
                (*vm).fuel += $offset as i64;
                if (*vm).fuel < 0 {
                    slow!(loops::fuel_spent(vm));
                }
                continue;
            }};
        }
        macro_rules! int_float_op {
            ($i:expr, $x:expr, $y:expr, $int:expr, $float:expr, $slow:path) => {{
                let (x, y): (Value, Value) = ($x, $y);
                if x.tag == Tag::Int && y.tag == Tag::Int {
                    *reg!($i.a()) = Value::int($int(x.raw_int(), y.raw_int()));
                    continue;
                }
                if x.tag == Tag::Float {
                    if y.tag == Tag::Float {
                        *reg!($i.a()) = Value::float($float(x.raw_float(), y.raw_float()));
                        continue;
                    }
                    if y.tag == Tag::Int {
                        *reg!($i.a()) = Value::float($float(x.raw_float(), y.raw_int() as f64));
                        continue;
                    }
                } else if x.tag == Tag::Int && y.tag == Tag::Float {
                    *reg!($i.a()) = Value::float($float(x.raw_int() as f64, y.raw_float()));
                    continue;
                }
                slow!($slow(vm, $i, x, y))
            }};
        }
        // Integer division and modulo, whose integer form fails for a zero divisor.
        macro_rules! divide_op {
            ($i:expr, $x:expr, $y:expr, $int:path, $float:path, $slow:path) => {{
                let (x, y): (Value, Value) = ($x, $y);
                if x.tag == Tag::Int && y.tag == Tag::Int {
                    if let Some(r) = $int(x.raw_int(), y.raw_int()) {
                        *reg!($i.a()) = Value::int(r);
                        continue;
                    }
                } else if x.tag == Tag::Float && y.tag == Tag::Float {
                    *reg!($i.a()) = Value::float($float(x.raw_float(), y.raw_float()));
                    continue;
                }
                slow!($slow(vm, $i, x, y))
            }};
        }
        macro_rules! float_op {
            ($i:expr, $x:expr, $y:expr, $float:expr, $slow:path) => {{
                let (x, y): (Value, Value) = ($x, $y);
                if x.tag == Tag::Float && y.tag == Tag::Float {
                    *reg!($i.a()) = Value::float($float(x.raw_float(), y.raw_float()));
                    continue;
                }
                if x.is_number() && y.is_number() {
                    *reg!($i.a()) = Value::float($float(arith::as_float(x), arith::as_float(y)));
                    continue;
                }
                slow!($slow(vm, $i, x, y))
            }};
        }
        macro_rules! bit_op {
            ($i:expr, $x:expr, $y:expr, $int:expr, $slow:path) => {{
                let (x, y): (Value, Value) = ($x, $y);
                if x.tag == Tag::Int && y.tag == Tag::Int {
                    *reg!($i.a()) = Value::int($int(x.raw_int(), y.raw_int()));
                    continue;
                }
                slow!($slow(vm, $i, x, y))
            }};
        }
        macro_rules! order_op {
            ($i:expr, $x:expr, $y:expr, $op:tt, $slow:path) => {{
                let (x, y): (Value, Value) = ($x, $y);
                if x.tag == Tag::Int && y.tag == Tag::Int {
                    branch!($i, x.raw_int() $op y.raw_int());
                }
                if x.tag == Tag::Float && y.tag == Tag::Float {
                    branch!($i, x.raw_float() $op y.raw_float());
                }
                slow!($slow(vm, $i, x, y))
            }};
        }
        macro_rules! order_imm {
            ($i:expr, $op:tt, $slow:path) => {{
                let x = *reg!($i.a());
                let imm = $i.imm() as i64;
                if x.tag == Tag::Int {
                    branch!($i, x.raw_int() $op imm);
                }
                if x.tag == Tag::Float {
                    branch!($i, x.raw_float() $op imm as f64);
                }
                slow!($slow(vm, $i, x, Value::int(imm)))
            }};
        }

        reload!();
        loop {
            if M::INSPECTS {
                save_pc!();
                match crate::hooks::before_instruction(vm) {
                    Step::Next => {
                        frame = (*(*vm).thread).frame;
                        base = (*frame).base;
                    }
                    Step::Raise => raise!(),
                    _ => return Exit::SwitchMode,
                }
            }
            let i = *pc;
            pc = pc.add(1);
            // SAFETY: verified code holds only opcodes of the table.
            let op = std::mem::transmute::<u8, Op>(i.op_byte());
            match op {
                Op::Move => *reg!(i.a()) = *reg!(i.b()),
                Op::LoadI => *reg!(i.a()) = Value::int(i.d() as i64),
                Op::LoadF => *reg!(i.a()) = Value::float(i.d() as f64),
                Op::LoadK => *reg!(i.a()) = *consts.add(i.d() as usize),
                Op::LoadNil => {
                    for n in 0..=i.b() as usize {
                        *reg!(i.a()).add(n) = Value::NIL;
                    }
                }
                Op::LoadFalse => *reg!(i.a()) = Value::FALSE,
                Op::LoadTrue => *reg!(i.a()) = Value::TRUE,
                Op::LoadFalseSkip => {
                    *reg!(i.a()) = Value::FALSE;
                    pc = pc.add(1);
                }
                Op::GetUpval => {
                    let up = *LuaClosure::upvals(closure).add(i.b() as usize);
                    *reg!(i.a()) = *(*up).slot;
                }
                Op::SetUpval => {
                    let up = *LuaClosure::upvals(closure).add(i.b() as usize);
                    let v = *reg!(i.a());
                    *(*up).slot = v;
                    if (*up).header.mark & mark::BLACK != 0 && v.is_object() {
                        (*vm).heap.barrier_forward(up.cast(), v);
                    }
                }

                Op::GetTabUp => {
                    let up = *LuaClosure::upvals(closure).add(i.b() as usize);
                    let object = *(*up).slot;
                    let cache = caches.add(i.d() as usize);
                    if object.tag == Tag::Table {
                        let t = pointer::<Table>(object);
                        if (*t).shape == (*cache).shape {
                            let v = *(*t).slots.add((*cache).slot as usize);
                            if !v.is_nil() {
                                *reg!(i.a()) = v;
                                continue;
                            }
                        }
                    }
                    slow!(index::get_field(vm, i, cache, object))
                }
                Op::GetField => {
                    let object = *reg!(i.b());
                    let cache = caches.add(i.d() as usize);
                    if object.tag == Tag::Table {
                        let t = pointer::<Table>(object);
                        if (*t).shape == (*cache).shape {
                            let v = *(*t).slots.add((*cache).slot as usize);
                            if !v.is_nil() {
                                *reg!(i.a()) = v;
                                continue;
                            }
                        }
                    }
                    slow!(index::get_field(vm, i, cache, object))
                }
                Op::SelfField => {
                    let object = *reg!(i.b());
                    let cache = caches.add(i.d() as usize);
                    if object.tag == Tag::Table {
                        let t = pointer::<Table>(object);
                        let v = index::cached_method(t, cache);
                        if !v.is_nil() {
                            *reg!(i.a()).add(1) = object;
                            *reg!(i.a()) = v;
                            continue;
                        }
                    }
                    slow!(index::get_method(vm, i, cache, object))
                }
                Op::GetTable => {
                    let object = *reg!(i.b());
                    let key = *reg!(i.c());
                    if object.tag == Tag::Table && key.tag == Tag::Int {
                        let t = pointer::<Table>(object);
                        let n = key.payload.wrapping_sub(1);
                        if n < (*t).header.word as u64 {
                            let kind = (*t).header.aux;
                            if kind != ANY_ELEMENTS {
                                let payload = *(*t).array.cast::<u64>().add(n as usize);
                                *reg!(i.a()) = Value { payload, tag: tag_of_kind(kind) };
                                continue;
                            }
                            let v = *(*t).array.cast::<Value>().add(n as usize);
                            if !v.is_nil() {
                                *reg!(i.a()) = v;
                                continue;
                            }
                        }
                    }
                    slow!(index::get_table(vm, i, object, key))
                }
                Op::GetInt => {
                    let object = *reg!(i.b());
                    if object.tag == Tag::Table {
                        let t = pointer::<Table>(object);
                        let n = (i.d() as i64 as u64).wrapping_sub(1);
                        if n < (*t).header.word as u64 {
                            let kind = (*t).header.aux;
                            if kind != ANY_ELEMENTS {
                                let payload = *(*t).array.cast::<u64>().add(n as usize);
                                *reg!(i.a()) = Value { payload, tag: tag_of_kind(kind) };
                                continue;
                            }
                            let v = *(*t).array.cast::<Value>().add(n as usize);
                            if !v.is_nil() {
                                *reg!(i.a()) = v;
                                continue;
                            }
                        }
                    }
                    slow!(index::get_table(vm, i, object, Value::int(i.d() as i64)))
                }
                Op::SetTabUp => {
                    let up = *LuaClosure::upvals(closure).add(i.b() as usize);
                    let object = *(*up).slot;
                    let cache = caches.add(i.d() as usize);
                    let v = *reg!(i.c());
                    if object.tag == Tag::Table && index::store_cached(vm, pointer(object), cache, v) {
                        continue;
                    }
                    slow!(index::set_field(vm, cache, object, v))
                }
                Op::SetField => {
                    let object = *reg!(i.a());
                    let cache = caches.add(i.d() as usize);
                    let v = *reg!(i.c());
                    if object.tag == Tag::Table && index::store_cached(vm, pointer(object), cache, v) {
                        continue;
                    }
                    slow!(index::set_field(vm, cache, object, v))
                }
                Op::SetTable => {
                    let object = *reg!(i.a());
                    let key = *reg!(i.b());
                    let v = *reg!(i.c());
                    if object.tag == Tag::Table
                        && key.tag == Tag::Int
                        && index::store_element(vm, pointer(object), key.payload.wrapping_sub(1), v)
                    {
                        continue;
                    }
                    slow!(index::set_table(vm, object, key, v))
                }
                Op::SetInt => {
                    let object = *reg!(i.a());
                    let v = *reg!(i.c());
                    let n = (i.d() as i64 as u64).wrapping_sub(1);
                    if object.tag == Tag::Table && index::store_element(vm, pointer(object), n, v) {
                        continue;
                    }
                    slow!(index::set_table(vm, object, Value::int(i.d() as i64), v))
                }
                Op::NewTable => slow!(index::new_table(vm, i)),
                Op::NewRecord => {
                    save_pc!();
                    let proto = (*closure).proto;
                    index::new_record(vm, base, i, *(*proto).templates.add(i.d() as usize));
                    if (*vm).heap.bytes >= (*vm).heap.threshold {
                        go_on!(call::collect_in_lua(vm))
                    }
                }
                Op::SetList => slow!(index::set_list(vm, i)),

                Op::Add => {
                    int_float_op!(i, *reg!(i.b()), *reg!(i.c()), i64::wrapping_add, |x: f64, y: f64| x + y, arith::add)
                }
                Op::Sub => {
                    int_float_op!(i, *reg!(i.b()), *reg!(i.c()), i64::wrapping_sub, |x: f64, y: f64| x - y, arith::sub)
                }
                Op::Mul => {
                    int_float_op!(i, *reg!(i.b()), *reg!(i.c()), i64::wrapping_mul, |x: f64, y: f64| x * y, arith::mul)
                }
                Op::AddK => {
                    let k = *consts.add(i.d() as usize);
                    int_float_op!(i, *reg!(i.b()), k, i64::wrapping_add, |x: f64, y: f64| x + y, arith::add)
                }
                Op::SubK => {
                    let k = *consts.add(i.d() as usize);
                    int_float_op!(i, *reg!(i.b()), k, i64::wrapping_sub, |x: f64, y: f64| x - y, arith::sub)
                }
                Op::MulK => {
                    let k = *consts.add(i.d() as usize);
                    int_float_op!(i, *reg!(i.b()), k, i64::wrapping_mul, |x: f64, y: f64| x * y, arith::mul)
                }
                Op::AddI => {
                    let x = *reg!(i.b());
                    if x.tag == Tag::Int {
                        *reg!(i.a()) = Value::int(x.raw_int().wrapping_add(i.d() as i64));
                        continue;
                    }
                    if x.tag == Tag::Float {
                        *reg!(i.a()) = Value::float(x.raw_float() + i.d() as f64);
                        continue;
                    }
                    slow!(arith::add_immediate(vm, i, x))
                }
                Op::Div => {
                    float_op!(i, *reg!(i.b()), *reg!(i.c()), |x: f64, y: f64| x / y, arith::div)
                }
                Op::DivK => {
                    let k = *consts.add(i.d() as usize);
                    float_op!(i, *reg!(i.b()), k, |x: f64, y: f64| x / y, arith::div)
                }
                Op::Pow => float_op!(i, *reg!(i.b()), *reg!(i.c()), num::pow, arith::pow),
                Op::PowK => {
                    let k = *consts.add(i.d() as usize);
                    float_op!(i, *reg!(i.b()), k, num::pow, arith::pow)
                }
                Op::Mod => {
                    divide_op!(i, *reg!(i.b()), *reg!(i.c()), num::int_mod, num::float_mod, arith::modulo)
                }
                Op::ModK => {
                    let k = *consts.add(i.d() as usize);
                    divide_op!(i, *reg!(i.b()), k, num::int_mod, num::float_mod, arith::modulo)
                }
                Op::IDiv => {
                    divide_op!(i, *reg!(i.b()), *reg!(i.c()), num::int_idiv, num::float_idiv, arith::idiv)
                }
                Op::IDivK => {
                    let k = *consts.add(i.d() as usize);
                    divide_op!(i, *reg!(i.b()), k, num::int_idiv, num::float_idiv, arith::idiv)
                }
                Op::BAnd => bit_op!(i, *reg!(i.b()), *reg!(i.c()), |x, y| x & y, arith::band),
                Op::BOr => bit_op!(i, *reg!(i.b()), *reg!(i.c()), |x, y| x | y, arith::bor),
                Op::BXor => bit_op!(i, *reg!(i.b()), *reg!(i.c()), |x, y| x ^ y, arith::bxor),
                Op::Shl => bit_op!(i, *reg!(i.b()), *reg!(i.c()), num::shift_left, arith::shl),
                Op::Shr => bit_op!(i, *reg!(i.b()), *reg!(i.c()), num::shift_right, arith::shr),
                Op::BAndK => bit_op!(i, *reg!(i.b()), *consts.add(i.d() as usize), |x, y| x & y, arith::band),
                Op::BOrK => bit_op!(i, *reg!(i.b()), *consts.add(i.d() as usize), |x, y| x | y, arith::bor),
                Op::BXorK => bit_op!(i, *reg!(i.b()), *consts.add(i.d() as usize), |x, y| x ^ y, arith::bxor),
                Op::ShlI => bit_op!(i, *reg!(i.b()), Value::int(i.d() as i64), num::shift_left, arith::shl),
                Op::ShrI => bit_op!(i, *reg!(i.b()), Value::int(i.d() as i64), num::shift_right, arith::shr),
                Op::Unm => {
                    let x = *reg!(i.b());
                    if x.tag == Tag::Int {
                        *reg!(i.a()) = Value::int(x.raw_int().wrapping_neg());
                        continue;
                    }
                    if x.tag == Tag::Float {
                        *reg!(i.a()) = Value::float(-x.raw_float());
                        continue;
                    }
                    slow!(arith::unm(vm, i, x))
                }
                Op::BNot => {
                    let x = *reg!(i.b());
                    if x.tag == Tag::Int {
                        *reg!(i.a()) = Value::int(!x.raw_int());
                        continue;
                    }
                    slow!(arith::bnot(vm, i, x))
                }
                Op::Not => *reg!(i.a()) = Value::bool(!(*reg!(i.b())).is_truthy()),
                Op::Len => {
                    let x = *reg!(i.b());
                    if x.tag == Tag::Table {
                        let t = pointer::<Table>(x);
                        if (*t).meta.is_null() {
                            *reg!(i.a()) = Value::int(Gc::from_ptr(t).length());
                            continue;
                        }
                    }
                    slow!(index::len(vm, i, x))
                }
                Op::Concat => {
                    save_pc!();
                    go_on!(concat::concat(vm, i))
                }

                Op::Jump => jump!(i.d()),
                Op::Loop => back_edge!(i.d()),
                Op::Test => branch!(i, (*reg!(i.a())).is_truthy()),
                Op::TestSet => {
                    let v = *reg!(i.b());
                    if v.is_truthy() == i.cond() {
                        *reg!(i.a()) = v;
                        jump!(i.cond_offset());
                    }
                }
                Op::Eq => {
                    let (x, y) = (*reg!(i.a()), *reg!(i.b()));
                    if x.tag == y.tag {
                        if x.tag == Tag::Float {
                            branch!(i, x.raw_float() == y.raw_float());
                        }
                        if x.tag as u8 <= Tag::True as u8 || x.payload == y.payload {
                            branch!(i, true);
                        }
                        if x.tag as u8 <= Tag::Light as u8 {
                            branch!(i, false);
                        }
                        slow!(compare::eq(vm, i, x, y))
                    }
                    if x.is_number() && y.is_number() {
                        branch!(i, x.raw_equals(y));
                    }
                    branch!(i, false)
                }
                Op::EqK => {
                    let (x, y) = (*reg!(i.a()), *consts.add(i.bc() as usize));
                    if x.tag == y.tag && x.payload == y.payload && x.tag != Tag::Float {
                        branch!(i, true);
                    }
                    branch!(i, x.raw_equals(y))
                }
                Op::EqI => {
                    let x = *reg!(i.a());
                    if x.tag == Tag::Int {
                        branch!(i, x.raw_int() == i.imm() as i64);
                    }
                    branch!(i, x.tag == Tag::Float && x.raw_float() == i.imm() as f64)
                }
                Op::Lt => order_op!(i, *reg!(i.a()), *reg!(i.b()), <, compare::lt),
                Op::Le => order_op!(i, *reg!(i.a()), *reg!(i.b()), <=, compare::le),
                Op::LtK => order_op!(i, *reg!(i.a()), *consts.add(i.bc() as usize), <, compare::lt),
                Op::LeK => order_op!(i, *reg!(i.a()), *consts.add(i.bc() as usize), <=, compare::le),
                Op::GtK => order_op!(i, *reg!(i.a()), *consts.add(i.bc() as usize), >, compare::gt),
                Op::GeK => order_op!(i, *reg!(i.a()), *consts.add(i.bc() as usize), >=, compare::ge),
                Op::LtI => order_imm!(i, <, compare::lt),
                Op::LeI => order_imm!(i, <=, compare::le),
                Op::GtI => order_imm!(i, >, compare::gt),
                Op::GeI => order_imm!(i, >=, compare::ge),

                Op::Call => {
                    let func = reg!(i.a());
                    let callee = *func;
                    save_pc!();
                    if callee.tag == Tag::LuaFn {
                        let target = pointer::<LuaClosure>(callee);
                        let proto = (*target).proto;
                        let args = func.add(1);
                        let nargs = if i.b() != 0 {
                            i.b() as usize - 1
                        } else {
                            (*(*vm).thread).top.offset_from(args) as usize
                        };
                        let th = (*vm).thread;
                        let top = args.add((*proto).max_stack as usize);
                        let next = frame.add(1);
                        (*vm).fuel -= 1;
                        if !(*proto).is_vararg && top <= (*th).stack_limit && next <= (*th).frames_limit && (*vm).fuel >= 0
                        {
                            let params = (*proto).num_params as usize;
                            let mut n = nargs;
                            while n < params {
                                *args.add(n) = Value::NIL;
                                n += 1;
                            }
                            (*next).func = func;
                            (*next).base = args;
                            (*next).top = top;
                            (*next).nresults = i.c() as i32 - 1;
                            (*next).kind = frame::LUA;
                            (*next).flags = 0;
                            (*th).frame = next;
                            frame = next;
                            base = args;
                            pc = (*proto).code;
                            consts = (*proto).consts;
                            caches = (*proto).caches;
                            closure = target;
                            if M::COUNTS {
                                loops::count(vm, closure, pc);
                            }
                            if M::INSPECTS {
                                save_pc!();
                                go_on!(crate::hooks::call(vm));
                            }
                            continue;
                        }
                        (*vm).fuel += 1;
                    }
                    go_on!(call::call_instruction(vm, i, func))
                }
                Op::TailCall => slow!(call::tail_call_instruction(vm, i)),
                Op::Return => slow!(call::return_instruction(vm, i)),
                Op::Return0 => {
                    if !M::INSPECTS && (*frame).flags == 0 && (*frame).nresults <= 0 {
                        let th = (*vm).thread;
                        if (*frame).nresults < 0 {
                            (*th).top = (*frame).func;
                        }
                        (*th).frame = frame.sub(1);
                        reload!();
                        continue;
                    }
                    slow!(call::return_values(vm, base, 0))
                }
                Op::Return1 => {
                    if !M::INSPECTS && (*frame).flags == 0 {
                        let v = *reg!(i.a());
                        let th = (*vm).thread;
                        let func = (*frame).func;
                        let wanted = (*frame).nresults;
                        if wanted == 1 {
                            *func = v;
                            (*th).frame = frame.sub(1);
                            reload!();
                            continue;
                        }
                        if wanted < 0 {
                            *func = v;
                            (*th).top = func.add(1);
                            (*th).frame = frame.sub(1);
                            reload!();
                            continue;
                        }
                    }
                    slow!(call::return_values(vm, reg!(i.a()), 1))
                }
                Op::Closure => slow!(closure::closure(vm, i)),
                Op::VarArg => slow!(call::vararg_instruction(vm, i)),

                Op::ForPrep => {
                    save_pc!();
                    match loops::prepare(vm, reg!(i.a())) {
                        Ok(true) => {}
                        Ok(false) => jump!(i.d()),
                        Err(_) => raise!(),
                    }
                }
                Op::ForLoop => {
                    let ra = reg!(i.a());
                    if (*ra.add(2)).tag == Tag::Int {
                        let count = (*ra.add(1)).payload;
                        if count > 0 {
                            let index = (*ra).payload.wrapping_add((*ra.add(2)).payload);
                            (*ra.add(1)).payload = count - 1;
                            (*ra).payload = index;
                            *ra.add(3) = Value { payload: index, tag: Tag::Int };
                            back_edge!(i.d());
                        }
                        continue;
                    }
                    let step = (*ra.add(2)).raw_float();
                    let limit = (*ra.add(1)).raw_float();
                    let index = (*ra).raw_float() + step;
                    if if step > 0.0 { index <= limit } else { limit <= index } {
                        (*ra).payload = index.to_bits();
                        *ra.add(3) = Value::float(index);
                        back_edge!(i.d());
                    }
                }
                Op::TForPrep => {
                    let closing = *reg!(i.a()).add(3);
                    if !closing.is_nil() {
                        save_pc!();
                        if close::mark_to_be_closed(vm, reg!(i.a()).add(3)).is_err() {
                            raise!();
                        }
                    } else {
                        // A nil carries the cursor of a traversal by `next` in its payload.
                        (*reg!(i.a()).add(3)).payload = 0;
                    }
                    jump!(i.d());
                }
                Op::TForCall => {
                    let ra = reg!(i.a());
                    let iterator = *ra;
                    if iterator.tag == Tag::NativeFn && (*ra.add(1)).tag == Tag::Table && !M::INSPECTS {
                        let known = (*pointer::<NativeClosure>(iterator)).intrinsic;
                        if known == Intrinsic::Next as u32 || known == Intrinsic::IpairsStep as u32 {
                            let more = if known == Intrinsic::Next as u32 {
                                loops::next_pair(ra, i.c())
                            } else {
                                loops::next_element(ra, i.c())
                            };
                            match more {
                                loops::Advance::More => {
                                    // The TForLoop behind this instruction goes on with the loop.
                                    let l = *pc;
                                    pc = pc.add(1);
                                    *ra.add(2) = *ra.add(4);
                                    back_edge!(l.d());
                                }
                                loops::Advance::Done => {
                                    pc = pc.add(1);
                                    continue;
                                }
                                loops::Advance::Unknown => {}
                            }
                        }
                    }
                    let func = ra.add(4);
                    *func = *ra;
                    *func.add(1) = *ra.add(1);
                    *func.add(2) = *ra.add(2);
                    slow!(call::call_iterator(vm, i))
                }
                Op::TForLoop => {
                    let ra = reg!(i.a());
                    if !(*ra.add(4)).is_nil() {
                        *ra.add(2) = *ra.add(4);
                        back_edge!(i.d());
                    }
                }
                Op::Tbc => {
                    save_pc!();
                    if close::mark_to_be_closed(vm, reg!(i.a())).is_err() {
                        raise!();
                    }
                }
                Op::Close => slow!(close::close_instruction(vm, i)),
            }
        }
    }
}

/// The pieces of a prototype that the loop's cold functions need again and again.
///
/// # Safety
/// The current frame is a Lua frame.
#[inline]
pub(crate) unsafe fn current_proto(vm: *mut Vm) -> *mut Proto {
    // SAFETY: the function slot of a Lua frame holds its closure.
    unsafe {
        let frame = (*(*vm).thread).frame;
        debug_assert!((*frame).kind == frame::LUA);
        (*pointer::<LuaClosure>(*(*frame).func)).proto
    }
}

/// Orders an integer and a float, for the cold sides of comparisons.
#[inline]
pub(crate) fn number_lt(x: Value, y: Value) -> bool {
    match (x.tag, y.tag) {
        (Tag::Int, Tag::Int) => x.raw_int() < y.raw_int(),
        (Tag::Float, Tag::Float) => x.raw_float() < y.raw_float(),
        (Tag::Int, _) => cmp::int_lt_float(x.raw_int(), y.raw_float()),
        _ => cmp::float_lt_int(x.raw_float(), y.raw_int()),
    }
}

/// As [`number_lt`], for `<=`.
#[inline]
pub(crate) fn number_le(x: Value, y: Value) -> bool {
    match (x.tag, y.tag) {
        (Tag::Int, Tag::Int) => x.raw_int() <= y.raw_int(),
        (Tag::Float, Tag::Float) => x.raw_float() <= y.raw_float(),
        (Tag::Int, _) => cmp::int_le_float(x.raw_int(), y.raw_float()),
        _ => cmp::float_le_int(x.raw_float(), y.raw_int()),
    }
}
