//! Names of values and functions for error messages: found by looking at the code that put a value into its register.
//!
//! As the reference does it: a register is named by the local variable that lives in it, or else by the last instruction
//! before the current one that wrote it, provided no jump leads around that instruction.

use perilune_base::dialect::Dialect;
use perilune_base::dialect::table::MetamethodNames;
use perilune_bytecode::ops::{Format, Instr, Op};
use perilune_bytecode::proto::{Const, ENV, FUNCTION_ENV, Proto as Plain};
use perilune_runtime::object::{LuaClosure, Proto};
use perilune_runtime::stack::Frame;
use perilune_runtime::value::Value;

use crate::frame;
use crate::interp::pointer;

/// A kind (`local`, `field`, ...) and a name.
pub(crate) type Named = (&'static str, Vec<u8>);

/// The plain prototype of a Lua frame and the index of its current instruction.
///
/// # Safety
/// `f` is a Lua frame of a live thread, with `pc` stored.
pub(crate) unsafe fn code_of<'a>(f: *mut Frame) -> (&'a Plain, *mut Proto, usize) {
    // SAFETY: the function slot of a Lua frame holds its closure; `pc` is behind the current instruction.
    unsafe {
        let proto = (*pointer::<LuaClosure>(*(*f).func)).proto;
        let at = (*f).pc.offset_from((*proto).code) as usize;
        (&(*proto).info.plain, proto, at.saturating_sub(1))
    }
}

/// The instructions of a loaded prototype.
///
/// # Safety
/// `proto` is alive.
unsafe fn code<'a>(proto: *mut Proto) -> &'a [Instr] {
    // SAFETY: `code` points to the plain prototype's instructions.
    unsafe { &(*proto).info.plain.code }
}

/// The n-th local variable (from 1) alive at instruction `pc`.
pub(crate) fn local_name(p: &Plain, mut n: usize, pc: usize) -> Option<&[u8]> {
    for v in &p.locals {
        if v.start as usize > pc {
            break;
        }
        if pc < v.end as usize {
            n -= 1;
            if n == 0 {
                return Some(&v.name);
            }
        }
    }
    None
}

/// The register of the n-th variable (from 1) that the debug library sees at instruction `pc`, and its name. Behind the
/// variables there are temporaries without names. Registers that only the engine needs are passed over.
pub(crate) fn visible_local(p: &Plain, n: usize, pc: usize) -> (usize, Option<&[u8]>) {
    let mut seen = 0;
    let mut registers = 0;
    for v in p.locals.iter().take_while(|v| v.start as usize <= pc).filter(|v| pc < v.end as usize) {
        if !v.name.is_empty() {
            seen += 1;
            if seen == n {
                return (registers, Some(&v.name));
            }
        }
        registers += 1;
    }
    (registers + n - seen - 1, None)
}

/// How many instructions a function begins with that belong to none of its lines: the one for the variable of extra
/// arguments.
pub(crate) fn prologue(dialect: &Dialect, p: &Plain) -> usize {
    let has_variable = dialect.named_varargs || dialect.vararg_table;
    usize::from(has_variable && p.is_vararg && p.line_defined > 0)
}

/// The name of an upvalue; `?` when stripped.
pub(crate) fn upvalue_name(p: &Plain, n: usize) -> &[u8] {
    match p.upvals.get(n) {
        Some(u) if !u.name.is_empty() => &u.name,
        _ => b"?",
    }
}

fn string_constant(p: &Plain, index: usize) -> Option<&[u8]> {
    match p.consts.get(index) {
        Some(Const::Str(s)) => Some(s),
        _ => None,
    }
}

fn cache_key(p: &Plain, cache: i32) -> &[u8] {
    p.caches.get(cache as usize).and_then(|&k| string_constant(p, k as usize)).unwrap_or(b"?")
}

/// The part of a text that the reference shows where it formats C strings: what is before the first zero byte.
pub(crate) fn shown(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Does the instruction write register `reg`?
fn writes(i: Instr, op: Op, reg: usize) -> bool {
    let a = i.a() as usize;
    match op {
        Op::LoadNil => a <= reg && reg <= a + i.b() as usize,
        Op::TForCall => reg >= a + 4,
        Op::Call | Op::TailCall | Op::VarArg | Op::VarArgOf => reg >= a,
        Op::SelfField => reg == a || reg == a + 1,
        Op::ForPrep | Op::ForPrepOld | Op::ForLoop => a <= reg && reg <= a + 3,
        Op::TForLoop => reg == a + 2,
        Op::SetUpval
        | Op::SetTabUp
        | Op::SetTable
        | Op::SetInt
        | Op::SetField
        | Op::SetList
        | Op::Jump
        | Op::Loop
        | Op::NewGlobal
        | Op::Test
        | perilune_bytecode::comparison!()
        | Op::Return
        | Op::Return0
        | Op::Return1
        | Op::TForPrep
        | Op::TForPrepOld
        | Op::Tbc
        | Op::Close => false,
        _ => reg == a,
    }
}

/// The forward jump that an instruction may take, as an offset.
fn jump_of(i: Instr, op: Op) -> Option<i32> {
    match op.format() {
        Format::Jump => Some(i.d()),
        Format::ACond | Format::ABCond | Format::AKCond | Format::AImmCond => Some(i.cond_offset()),
        _ => None,
    }
}

/// The instruction before `last` that put the current value into `reg`, if that is certain.
fn find_setter(code: &[Instr], last: usize, reg: usize) -> Option<usize> {
    let mut setter = None;
    let mut jump_target = 0;
    for (pc, &i) in code.iter().enumerate().take(last) {
        let Some(op) = i.op() else { continue };
        if let Some(offset) = jump_of(i, op) {
            let dest = (pc as i64 + 1 + offset as i64) as usize;
            if offset > 0 && dest <= last && dest > jump_target {
                jump_target = dest;
            }
        }
        if writes(i, op, reg) {
            setter = if pc < jump_target { None } else { Some(pc) };
        }
    }
    setter
}

/// The last instruction before `last` that sets `reg`, or tests it, on the way where each forward jump up to there is taken.
fn find_setter_by_jumps(code: &[Instr], last: usize, reg: usize) -> Option<usize> {
    let mut setter = None;
    let mut pc = 0;
    while pc < last {
        let i = code[pc];
        let op = i.op()?;
        if writes(i, op, reg) || op == Op::Test && i.a() as usize == reg {
            setter = Some(pc);
        }
        let taken = jump_of(i, op).and_then(|offset| usize::try_from(offset).ok()).map(|offset| pc + 1 + offset);
        pc = taken.filter(|target| *target <= last).unwrap_or(pc + 1);
    }
    setter
}

/// The name of what register `reg` holds at instruction `last`.
pub(crate) fn register_name(dialect: &Dialect, p: &Plain, code: &[Instr], last: usize, reg: usize) -> Option<Named> {
    if let Some(name) = local_name(p, reg + 1, last) {
        return Some(("local", name.to_vec()));
    }
    let pc = match dialect.names_take_jumps {
        true => find_setter_by_jumps(code, last, reg),
        false => find_setter(code, last, reg),
    }?;
    let i = code[pc];
    let field_kind = |env: bool| if env { "global" } else { "field" };
    match i.op()? {
        Op::Move if i.b() < i.a() => register_name(dialect, p, code, pc, i.b() as usize),
        Op::GetTabUp => {
            let env = matches!(upvalue_name(p, i.b() as usize), ENV | FUNCTION_ENV);
            Some((field_kind(env), shown(cache_key(p, i.d())).to_vec()))
        }
        Op::GetField => {
            let env = local_name(p, i.b() as usize + 1, pc) == Some(ENV);
            Some((field_kind(env), shown(cache_key(p, i.d())).to_vec()))
        }
        Op::GetTable | Op::GetVarArg => {
            let name = match register_name(dialect, p, code, pc, i.c() as usize) {
                Some(("constant", name)) => name,
                _ => b"?".to_vec(),
            };
            let env = local_name(p, i.b() as usize + 1, pc) == Some(ENV);
            Some((field_kind(env), name))
        }
        // The reference has such an instruction for the integers of a byte only.
        Op::GetInt if dialect.integer_index_names && (0..=0xff).contains(&i.d()) => {
            Some(("field", b"integer index".to_vec()))
        }
        Op::GetInt => Some(("field", b"?".to_vec())),
        Op::GetUpval => Some(("upvalue", upvalue_name(p, i.b() as usize).to_vec())),
        Op::LoadK if dialect.constant_names => Some(("constant", shown(string_constant(p, i.d() as usize)?).to_vec())),
        // The reference's instruction has a byte for the constant.
        Op::SelfField if dialect.far_methods_are_fields && p.caches.get(i.d() as usize).is_some_and(|&k| k > 0xff) => {
            Some(("field", shown(cache_key(p, i.d())).to_vec()))
        }
        Op::SelfField => Some(("method", shown(cache_key(p, i.d())).to_vec())),
        _ => None,
    }
}

/// The name of the function that the current instruction of a Lua frame calls, directly or as a metamethod.
///
/// # Safety
/// As [`code_of`].
pub(crate) unsafe fn called_name(dialect: &Dialect, f: *mut Frame) -> Option<Named> {
    // SAFETY: the caller's duty.
    let (p, code, pc) = unsafe {
        let (p, proto, pc) = code_of(f);
        (p, code(proto), pc)
    };
    let i = *code.get(pc)?;
    let event = match i.op()? {
        Op::Call | Op::TailCall => return register_name(dialect, p, code, pc, i.a() as usize),
        Op::TForCall if dialect.metamethod_names == MetamethodNames::Unnamed => {
            return Some(("local", b"(for generator)".to_vec()));
        }
        Op::TForCall => return Some(("for iterator", b"for iterator".to_vec())),
        Op::SelfField | Op::GetTabUp | Op::GetTable | Op::GetInt | Op::GetField => "index",
        Op::SetTabUp | Op::SetTable | Op::SetInt | Op::SetField => "newindex",
        Op::Add | Op::AddK => "add",
        Op::AddI => {
            if i.c() == 1 {
                "sub"
            } else {
                "add"
            }
        }
        Op::Sub | Op::SubK => "sub",
        Op::Mul | Op::MulK => "mul",
        Op::Div | Op::DivK => "div",
        Op::Mod | Op::ModK | Op::ModF | Op::ModFK => "mod",
        Op::IDiv | Op::IDivK => "idiv",
        Op::Pow | Op::PowK => "pow",
        Op::BAnd | Op::BAndK => "band",
        Op::BOr | Op::BOrK => "bor",
        Op::BXor | Op::BXorK => "bxor",
        Op::Shl | Op::ShlI => "shl",
        Op::Shr | Op::ShrI => "shr",
        Op::Unm => "unm",
        Op::BNot => "bnot",
        Op::Len | Op::LenF => "len",
        Op::Concat => "concat",
        Op::Eq | Op::EqK | Op::EqI => "eq",
        Op::Lt | Op::LtK | Op::LtI | Op::GtK | Op::GtI => "lt",
        Op::Le | Op::LeK | Op::LeI | Op::GeK | Op::GeI => "le",
        Op::Close | Op::Return => "close",
        _ => return None,
    };
    match dialect.metamethod_names {
        MetamethodNames::Unnamed => None,
        MetamethodNames::Whole => Some(("metamethod", format!("__{event}").into_bytes())),
        MetamethodNames::Short => Some(("metamethod", event.as_bytes().to_vec())),
    }
}

/// Whether the current instruction of a Lua frame calls the iterator of a generic loop.
///
/// # Safety
/// As [`code_of`].
pub(crate) unsafe fn calls_iterator(f: *mut Frame) -> bool {
    // SAFETY: the caller's duty.
    let (code, pc) = unsafe {
        let (_, proto, pc) = code_of(f);
        (code(proto), pc)
    };
    code.get(pc).and_then(|i| i.op()) == Some(Op::TForCall)
}

/// The name of the function running in `f`, as its caller knows it. `above` is the frame that it waits for.
///
/// # Safety
/// `f` is a frame of a live thread, above that thread's bottom frame; `above` is the next one, if there is one.
pub(crate) unsafe fn function_name(dialect: &Dialect, f: *mut Frame, above: Option<*mut Frame>) -> Option<Named> {
    // SAFETY: below a frame that is not the bottom one there is another.
    unsafe {
        if (*f).flags & frame::TAIL != 0 {
            return None;
        }
        let caller = f.sub(1);
        let hooks_are_named = match (*caller).kind {
            frame::LUA => dialect.hooks_are_named,
            _ => dialect.hooks_in_natives_are_named,
        };
        if hooks_are_named && (*f).flags & frame::HOOK != 0 {
            return Some(("hook", b"?".to_vec()));
        }
        let is_finalizer = |f: *mut Frame| (*f).flags & frame::FINALIZER != 0;
        let is_named = dialect.finalizers_are_named && is_finalizer(f);
        if is_named || dialect.finalizers_name_interrupted && above.is_some_and(is_finalizer) {
            return Some(("metamethod", b"__gc".to_vec()));
        }
        if (*caller).kind != frame::LUA {
            return None;
        }
        called_name(dialect, caller)
    }
}

/// The name of a value that an operator of the current instruction was applied to.
///
/// # Safety
/// `f` is the current frame of a live thread.
pub(crate) unsafe fn operand_name(dialect: &Dialect, f: *mut Frame, v: Value) -> Option<Named> {
    // SAFETY: registers of the instruction are slots of the frame.
    unsafe {
        if (*f).kind != frame::LUA {
            return None;
        }
        let (p, proto, pc) = code_of(f);
        let code = code(proto);
        let i = *code.get(pc)?;
        let op = i.op()?;
        let same = |x: Value| x.tag == v.tag && x.payload == v.payload;
        let mut registers: [Option<u8>; 2] = [None, None];
        match op.format() {
            Format::AUpCache | Format::UpCCache => {
                let closure = pointer::<LuaClosure>(*(*f).func);
                let upvalue = *LuaClosure::upvals(closure).add(i.b() as usize);
                // Else the value is what a metatable of the upvalue's has led to.
                return same(*(*upvalue).slot).then(|| ("upvalue", upvalue_name(p, i.b() as usize).to_vec()));
            }
            Format::ABCache | Format::ABK | Format::ABImm | Format::AB => registers[0] = Some(i.b()),
            Format::ACCache | Format::ACImm | Format::Call => registers[0] = Some(i.a()),
            Format::ABC if op == Op::SetTable => registers[0] = Some(i.a()),
            // Of the operands of an operator, the one at fault is the last that has the value.
            Format::ABC if op == Op::GetTable => registers[0] = Some(i.b()),
            Format::ABC => registers = [Some(i.b()), Some(i.c())],
            Format::Concat => {
                let end = i.b() as usize + (*f).resume as usize;
                return (end - 2..end)
                    .find(|&r| same(*(*f).base.add(r)))
                    .and_then(|r| register_name(dialect, p, code, pc, r));
            }
            _ => {}
        }
        // Where operators convert strings, constant operands are not in registers in the reference, and have no names.
        let is_binary = registers[1].is_some() || matches!(op.format(), Format::ABK | Format::ABImm);
        let has_name = |kind: &str| dialect.string_metamethods || !is_binary || kind != "constant";
        for r in registers.into_iter().flatten() {
            if same(*(*f).base.add(r as usize)) {
                return register_name(dialect, p, code, pc, r as usize).filter(|(kind, _)| has_name(kind));
            }
        }
        if dialect.constant_names
            && op.format() == Format::ABK
            && let Some(name) = string_constant(p, i.d() as usize)
        {
            return Some(("constant", shown(name).to_vec()));
        }
        None
    }
}
