//! Each rule of the verifier, by the smallest function that breaks it.

use super::*;
use crate::ops::{Instr, Op};
use crate::proto::{Const, LocVar, UpvalDesc, VarKind};

fn abc(op: Op, a: u8, b: u8, c: u8) -> Instr {
    Instr::new(op, a, b, c, 0)
}

fn d(op: Op, a: u8, d: i32) -> Instr {
    Instr::new(op, a, 0, 0, d)
}

fn cond(op: Op, a: u8, b: u8, offset: i32) -> Instr {
    Instr::new(op, a, b, 0, offset << 1)
}

fn upval(in_stack: bool, index: u8) -> UpvalDesc {
    UpvalDesc { name: (*b"u").into(), in_stack, index, kind: VarKind::Regular, is_assigned: true }
}

fn local(start: u32, end: u32) -> LocVar {
    LocVar { name: (*b"x").into(), start, end }
}

/// A vararg function of two parameters and ten registers; its child 0 captures register 0, child 1 nothing.
fn proto(code: &[Instr]) -> Proto {
    let child = |upvals| Proto { max_stack: 2, code: vec![abc(Op::Return0, 0, 0, 0)], upvals, ..Proto::default() };
    Proto {
        num_params: 2,
        is_vararg: true,
        max_stack: 10,
        code: code.to_vec(),
        consts: vec![
            Const::Int(1),
            Const::Float(1.5),
            Const::Str((*b"a").into()),
            Const::Str((*b"b").into()),
            Const::Nil,
        ],
        caches: vec![2, 3],
        templates: vec![[2, 3].into()],
        protos: vec![child(vec![upval(true, 0)]), child(Vec::new())],
        upvals: vec![upval(true, 0)],
        ..Proto::default()
    }
}

fn problem(code: &[Instr]) -> Option<Problem> {
    verify(&proto(code)).err().map(|error| error.problem)
}

const RETURN: Instr = Instr::new(Op::Return0, 0, 0, 0, 0);

#[track_caller]
fn accepts(code: &[Instr]) {
    assert_eq!(problem(&[code, &[RETURN]].concat()), None);
}

#[track_caller]
fn rejects(expected: Problem, code: &[Instr]) {
    assert_eq!(problem(&[code, &[RETURN]].concat()), Some(expected));
}

#[test]
fn registers_are_below_the_stack_size() {
    accepts(&[abc(Op::Move, 9, 0, 0)]);
    rejects(Problem::Register, &[abc(Op::Move, 10, 0, 0)]);
    rejects(Problem::Register, &[abc(Op::Move, 0, 10, 0)]);
    accepts(&[abc(Op::LoadNil, 2, 7, 0)]);
    rejects(Problem::Register, &[abc(Op::LoadNil, 2, 8, 0)]);
    accepts(&[abc(Op::Call, 0, 2, 11)]);
    rejects(Problem::Register, &[abc(Op::Call, 0, 2, 12)]);
    rejects(Problem::Register, &[abc(Op::Call, 0, 12, 2)]);
    rejects(Problem::Register, &[Instr::new(Op::SelfField, 9, 0, 0, 0)]);
    rejects(Problem::Register, &[abc(Op::SetTable, 0, 1, 200)]);
    rejects(Problem::Register, &[abc(Op::Concat, 0, 5, 6)]);
    rejects(Problem::Register, &[abc(Op::VarArg, 5, 0, 7)]);
    accepts(&[abc(Op::Close, 10, 0, 0)]);
    rejects(Problem::Register, &[abc(Op::Close, 11, 0, 0)]);
}

#[test]
fn indices_and_kinds_of_constants_fit() {
    accepts(&[d(Op::LoadK, 0, 4), d(Op::GetField, 0, 1), d(Op::Closure, 3, 1), d(Op::GetUpval, 0, 0)]);
    rejects(Problem::Index, &[d(Op::LoadK, 0, 5)]);
    rejects(Problem::Index, &[d(Op::LoadK, 0, -1)]);
    rejects(Problem::Index, &[d(Op::GetField, 0, 2)]);
    rejects(Problem::Index, &[d(Op::Closure, 0, 2)]);
    rejects(Problem::Index, &[abc(Op::GetUpval, 0, 1, 0)]);
    rejects(Problem::Index, &[abc(Op::SetTabUp, 0, 1, 0)]);
    accepts(&[d(Op::AddK, 0, 1), d(Op::BAndK, 0, 0), Instr::with_bc(Op::LtK, 0, 1, 0)]);
    rejects(Problem::ConstantKind, &[d(Op::AddK, 0, 2)]);
    rejects(Problem::ConstantKind, &[d(Op::BAndK, 0, 1)]);
    rejects(Problem::ConstantKind, &[Instr::with_bc(Op::LtK, 0, 4, 0)]);
    rejects(Problem::Flag, &[Instr::new(Op::SubK, 0, 0, 1, 0)]);
    rejects(Problem::Flag, &[Instr::new(Op::AddI, 0, 0, 3, 0)]);
    rejects(Problem::Flag, &[abc(Op::Concat, 2, 0, 1)]);
    rejects(Problem::Flag, &[d(Op::NewTable, 0, 1000)]);
    rejects(Problem::Opcode, &[Instr(0xff)]);
    let record = Instr::with_bc(Op::NewRecord, 4, 2, 0);
    accepts(&[abc(Op::LoadNil, 5, 1, 0), record]);
    rejects(Problem::Flag, &[abc(Op::LoadNil, 5, 1, 0), Instr::with_bc(Op::NewRecord, 4, 1, 0)]);
}

/// Records that reach beyond the registers, and such as are longer than any.
#[test]
fn records_of_all_lengths_end_below_the_stack_size() {
    let lengths = [
        (7, None),
        (8, Some(Problem::Register)),
        (64, Some(Problem::Register)),
        (65, Some(Problem::Key)),
        (65_535, Some(Problem::Key)),
    ];
    for (values, problem) in lengths {
        let code = [abc(Op::LoadNil, 3, 6, 0), Instr::with_bc(Op::NewRecord, 2, values, 0), RETURN];
        let mut proto = proto(&code);
        let first = proto.consts.len() as u32;
        proto.templates[0] = (first..first + u32::from(values)).collect();
        proto.consts.extend((0..values).map(|n| Const::Str(format!("k{n}").into_bytes().into())));
        assert_eq!(verify(&proto).err().map(|error| error.problem), problem, "{values}");
    }
}

#[test]
fn the_function_as_a_whole_is_sound() {
    let check = |change: fn(&mut Proto)| {
        let mut proto = proto(&[RETURN]);
        change(&mut proto);
        verify(&proto).err().map(|error| error.problem)
    };
    assert_eq!(check(|_| {}), None);
    assert_eq!(check(|p| p.max_stack = 1), Some(Problem::StackSize));
    assert_eq!(check(|p| p.num_params = 11), Some(Problem::StackSize));
    assert_eq!(check(|p| p.code.clear()), Some(Problem::CodeSize));
    assert_eq!(check(|p| p.caches[0] = 0), Some(Problem::Key));
    assert_eq!(check(|p| p.caches[0] = 9), Some(Problem::Key));
    assert_eq!(check(|p| p.templates[0] = [2, 2].into()), Some(Problem::Key));
    assert_eq!(check(|p| p.consts[3] = p.consts[2].clone()), Some(Problem::Key));
    assert_eq!(check(|p| p.protos[0].upvals[0].index = 10), Some(Problem::Upvalue));
    assert_eq!(check(|p| p.protos[0].upvals[0] = upval(false, 1)), Some(Problem::Upvalue));
    assert_eq!(check(|p| p.protos[1].code.clear()), Some(Problem::CodeSize));
    assert_eq!(check(|p| p.lines = vec![1, 2]), Some(Problem::Lines));
    assert_eq!(check(|p| p.locals = vec![local(0, 2)]), Some(Problem::Locals));
    assert_eq!(check(|p| p.locals = vec![local(0, 1); 11]), Some(Problem::Locals));
    assert_eq!(check(|p| p.locals = vec![local(0, 0); 11]), None);
    assert_eq!(
        check(|p| {
            for _ in 0..MAX_NESTING {
                let inner = std::mem::take(p);
                *p = Proto { max_stack: 2, code: vec![RETURN], protos: vec![inner], ..Proto::default() };
            }
        }),
        Some(Problem::TooDeep)
    );
}

#[test]
fn jumps_stay_inside_and_only_loops_go_back() {
    accepts(&[d(Op::Jump, 0, 0)]);
    rejects(Problem::Target, &[d(Op::Jump, 0, 1)]);
    rejects(Problem::Target, &[d(Op::Jump, 0, -1)]);
    rejects(Problem::Target, &[cond(Op::Test, 0, 0, -1)]);
    rejects(Problem::Target, &[d(Op::Jump, 0, i32::MAX)]);
    accepts(&[d(Op::Loop, 0, -1)]);
    rejects(Problem::Target, &[d(Op::Loop, 0, 0)]);
    rejects(Problem::Target, &[d(Op::Loop, 0, -2)]);
    assert_eq!(problem(&[abc(Op::Move, 0, 0, 0)]), Some(Problem::NoEnd));
    assert_eq!(problem(&[abc(Op::LoadFalseSkip, 0, 0, 0)]), Some(Problem::Target));
    assert_eq!(problem(&[RETURN, d(Op::Loop, 0, -2)]), None);
}

#[test]
fn open_operands_come_in_pairs() {
    let all = abc(Op::VarArg, 3, 0, 0);
    accepts(&[abc(Op::Move, 2, 0, 0), all, abc(Op::Call, 2, 0, 1)]);
    accepts(&[abc(Op::Call, 0, 1, 0), abc(Op::Return, 0, 0, 0)]);
    rejects(Problem::Open, &[all]);
    rejects(Problem::Open, &[abc(Op::Return, 0, 0, 0)]);
    rejects(Problem::Open, &[all, abc(Op::Move, 2, 0, 0), abc(Op::Call, 2, 0, 1)]);
    rejects(Problem::Open, &[all, abc(Op::Call, 3, 0, 1)]);
    rejects(Problem::Open, &[all, abc(Op::Return, 4, 0, 0)]);
    rejects(Problem::Unassigned, &[all, abc(Op::Call, 2, 0, 1)]);
    let jump_between = [abc(Op::Move, 2, 0, 0), cond(Op::Test, 0, 0, 1), all, abc(Op::Call, 2, 0, 1)];
    rejects(Problem::Split, &jump_between);
    let mut fixed = proto(&[all, abc(Op::Return, 3, 0, 0), RETURN]);
    fixed.is_vararg = false;
    assert_eq!(verify(&fixed).err().map(|error| error.problem), Some(Problem::NoVarargs));
}

#[test]
fn generic_loops_are_complete() {
    let prep = [abc(Op::LoadNil, 2, 3, 0)];
    let looped = |body: &[Instr], skip: i32, back: i32| {
        let tail = [abc(Op::TForCall, 2, 0, 1), d(Op::TForLoop, 2, back), abc(Op::Close, 2, 0, 0)];
        [&prep[..], &[d(Op::TForPrep, 2, skip)], body, &tail].concat()
    };
    accepts(&looped(&[], 0, -2));
    accepts(&looped(&[abc(Op::Move, 0, 6, 0)], 1, -3));
    rejects(Problem::LoopPair, &looped(&[abc(Op::Move, 0, 6, 0)], 1, -2));
    rejects(Problem::LoopPair, &looped(&[abc(Op::Move, 0, 6, 0)], 0, -3));
    rejects(Problem::LoopPair, &[abc(Op::LoadNil, 2, 3, 0), abc(Op::TForCall, 2, 0, 1)]);
    rejects(Problem::Unassigned, &looped(&[abc(Op::Move, 0, 7, 0)], 1, -3));
    let unclosed = looped(&[], 0, -2);
    rejects(Problem::NotClosed, &unclosed[..unclosed.len() - 1]);
}

/// `for` over registers 2 to 5 with this body.
fn numeric(body: &[Instr]) -> Vec<Instr> {
    let len = body.len() as i32;
    let start = [abc(Op::LoadNil, 2, 2, 0), d(Op::ForPrep, 2, len + 1)];
    [&start, body, &[d(Op::ForLoop, 2, -len - 1)]].concat()
}

#[test]
fn the_state_of_a_numeric_loop_is_its_own() {
    accepts(&numeric(&[]));
    accepts(&numeric(&[abc(Op::Move, 0, 5, 0), abc(Op::LoadNil, 5, 4, 0)]));
    for write in [
        abc(Op::Move, 4, 0, 0),
        abc(Op::LoadNil, 0, 2, 0),
        abc(Op::Call, 1, 1, 1),
        abc(Op::VarArg, 2, 0, 2),
        abc(Op::TestSet, 2, 0, 0),
    ] {
        rejects(Problem::LoopState, &numeric(&[write]));
    }
    let mut capturing = proto(&[&numeric(&[d(Op::Closure, 6, 0)])[..], &[RETURN]].concat());
    assert_eq!(verify(&capturing).err().map(|error| error.problem), Some(Problem::NotClosed));
    capturing.protos[0].upvals[0].index = 3;
    assert_eq!(verify(&capturing).err().map(|error| error.problem), Some(Problem::LoopState));
    // A closure made before the loop keeps an upvalue open on a register of its state.
    let before = [&[abc(Op::LoadNil, 2, 2, 0), d(Op::Closure, 6, 0)], &numeric(&[])[..]].concat();
    let mut captured = proto(&[&before[..], &[abc(Op::Return, 0, 1, 1)]].concat());
    assert_eq!(verify(&captured), Ok(()));
    captured.protos[0].upvals[0].index = 3;
    assert_eq!(verify(&captured).err().map(|error| error.problem), Some(Problem::LoopState));
    captured.code.insert(2, abc(Op::Close, 3, 0, 0));
    assert_eq!(verify(&captured), Ok(()));
}

/// It may count in integers where the language has none.
#[test]
fn nothing_but_a_loop_reads_its_state() {
    accepts(&numeric(&[abc(Op::Move, 0, 5, 0)]));
    rejects(Problem::Unassigned, &numeric(&[abc(Op::Move, 0, 2, 0)]));
    rejects(Problem::Unassigned, &[&numeric(&[])[..], &[abc(Op::Move, 0, 3, 0)]].concat());
    rejects(Problem::Unassigned, &[&[cond(Op::Test, 0, 0, 0)], &numeric(&[])[..], &[abc(Op::Move, 0, 4, 0)]].concat());
}

#[test]
fn integers_are_refused_where_there_are_none() {
    let problem = |code: &[Instr]| {
        let mut proto = proto(&[code, &[RETURN]].concat());
        proto.consts[0] = Const::Float(1.0);
        assert_eq!(verify(&proto), Ok(()));
        verify_floats(&proto).err().map(|error| error.problem)
    };
    for code in [abc(Op::LenF, 0, 1, 0), d(Op::LoadF, 0, 3), abc(Op::Add, 0, 1, 1), abc(Op::ModF, 0, 1, 1)] {
        assert_eq!(problem(&[code]), None);
    }
    for code in [abc(Op::Len, 0, 1, 0), d(Op::LoadI, 0, 3), abc(Op::BAnd, 0, 1, 1), d(Op::AddI, 0, 1)] {
        assert_eq!(problem(&[code]), Some(Problem::Integer));
    }
    let looped = |body: &[Instr]| {
        let n = body.len() as i32;
        let prep = [abc(Op::LoadNil, 2, 3, 0), d(Op::ForPrepOld, 2, n + 1)];
        problem(&[&prep[..], body, &[d(Op::ForLoop, 2, -n - 1)]].concat())
    };
    assert_eq!(looped(&[abc(Op::ForFloat, 5, 0, 0)]), None);
    assert_eq!(looped(&[abc(Op::Move, 0, 5, 0)]), Some(Problem::Integer));
    assert_eq!(looped(&[]), Some(Problem::Integer));
    assert_eq!(verify_floats(&proto(&[RETURN])).err().map(|error| error.problem), Some(Problem::Integer));
}

#[test]
fn variables_of_loops_become_floats_in_the_first_instruction() {
    let old = |body: &[Instr]| {
        let n = body.len() as i32;
        let prep = [abc(Op::LoadNil, 2, 3, 0), d(Op::ForPrepOld, 2, n + 1)];
        [&prep[..], body, &[d(Op::ForLoop, 2, -n - 1)]].concat()
    };
    let (float, other) = (abc(Op::ForFloat, 5, 0, 0), abc(Op::Move, 0, 5, 0));
    accepts(&old(&[float, other]));
    rejects(Problem::LoopPair, &old(&[other, float]));
    rejects(Problem::LoopPair, &old(&[abc(Op::ForFloat, 0, 0, 0)]));
    rejects(Problem::LoopPair, &numeric(&[float]));
    rejects(Problem::LoopPair, &[abc(Op::LoadNil, 2, 3, 0), float]);
}

#[test]
fn numeric_loops_are_entered_at_their_beginning() {
    rejects(Problem::LoopPair, &[abc(Op::LoadNil, 2, 3, 0), d(Op::ForLoop, 2, -2)]);
    rejects(Problem::LoopPair, &[abc(Op::LoadNil, 2, 3, 0), d(Op::ForPrep, 2, 1), RETURN]);
    let around = |first: Instr| [&[first], &numeric(&[abc(Op::Move, 0, 5, 0)])[..]].concat();
    accepts(&around(cond(Op::Test, 0, 0, 4)));
    rejects(Problem::LoopEntry, &around(cond(Op::Test, 0, 0, 2)));
    rejects(Problem::LoopEntry, &around(cond(Op::Test, 0, 0, 3)));
    let back_into = [&numeric(&[abc(Op::Move, 0, 5, 0)])[..], &[d(Op::Loop, 0, -3)]].concat();
    rejects(Problem::LoopEntry, &back_into);
    let skipping =
        [abc(Op::LoadNil, 2, 3, 0), abc(Op::LoadFalseSkip, 6, 0, 0), d(Op::ForPrep, 2, 1), d(Op::ForLoop, 2, -1)];
    rejects(Problem::LoopEntry, &skipping);
    accepts(&numeric(&[d(Op::Jump, 0, 1)]));
    // Two loops that overlap without being nested.
    let crossed = [
        abc(Op::LoadNil, 2, 7, 0),
        d(Op::ForPrep, 2, 2),
        d(Op::ForPrep, 6, 2),
        d(Op::ForLoop, 2, -2),
        d(Op::ForLoop, 6, -2),
    ];
    rejects(Problem::LoopPair, &crossed);
}

#[test]
fn the_state_of_running_loops_can_be_asked_for() {
    let proto = proto(&numeric(&[abc(Op::Move, 0, 5, 0)]));
    for (pc, expected) in [(0, false), (1, false), (2, true), (3, true), (4, false)] {
        assert_eq!(is_loop_state(&proto, pc, 4), expected, "{pc}");
        assert!(!is_loop_state(&proto, pc, 5) && !is_loop_state(&proto, pc, 1));
    }
}

#[test]
fn registers_are_assigned_before_they_are_read() {
    rejects(Problem::Unassigned, &[abc(Op::Move, 0, 2, 0)]);
    rejects(Problem::Unassigned, &[cond(Op::Test, 0, 0, 1), abc(Op::Move, 2, 0, 0), abc(Op::Move, 0, 2, 0)]);
    let both = [
        cond(Op::Test, 0, 0, 2),
        abc(Op::Move, 2, 0, 0),
        d(Op::Jump, 0, 1),
        abc(Op::Move, 2, 1, 0),
        abc(Op::Move, 0, 2, 0),
    ];
    accepts(&both);
    // A call takes the registers above its results.
    accepts(&[abc(Op::LoadNil, 2, 3, 0), abc(Op::Call, 2, 2, 2), abc(Op::Move, 0, 2, 0)]);
    rejects(Problem::Unassigned, &[abc(Op::LoadNil, 2, 3, 0), abc(Op::Call, 2, 2, 2), abc(Op::Move, 0, 3, 0)]);
    // What is assigned before a loop may be gone at its second turn.
    rejects(
        Problem::Unassigned,
        &[abc(Op::LoadNil, 2, 1, 0), abc(Op::Move, 0, 3, 0), abc(Op::Call, 2, 1, 2), d(Op::Loop, 0, -3)],
    );
    // Code that is never reached does not matter.
    accepts(&[d(Op::Jump, 0, 1), abc(Op::Move, 0, 2, 0)]);
}

/// The collector clears what is above an object that was just built.
#[test]
fn what_builds_an_object_stands_above_all_that_lives() {
    let (first, read) = (abc(Op::LoadNil, 3, 0, 0), abc(Op::Move, 0, 3, 0));
    let record = [abc(Op::LoadNil, 3, 2, 0), Instr::with_bc(Op::NewRecord, 2, 2, 0)];
    for build in [&[d(Op::NewTable, 2, 0)][..], &[d(Op::Closure, 2, 1)], &record, &[abc(Op::Concat, 0, 1, 2)]] {
        let live = [&[first, abc(Op::LoadNil, 1, 1, 0)], build].concat();
        accepts(&live);
        rejects(Problem::Unassigned, &[&live[..], &[read]].concat());
    }
    let list = [d(Op::NewTable, 2, 1), first, abc(Op::SetList, 2, 1, 0)];
    accepts(&list);
    rejects(Problem::Unassigned, &[&list[..], &[read]].concat());
    let nested = [d(Op::NewTable, 3, 1), d(Op::NewTable, 2, 1), abc(Op::LoadNil, 4, 0, 0), abc(Op::SetList, 3, 1, 0)];
    rejects(Problem::Unassigned, &nested);
    rejects(Problem::LoopState, &numeric(&[d(Op::NewTable, 1, 0)]));
    rejects(Problem::NotClosed, &[first, abc(Op::Tbc, 3, 0, 0), d(Op::NewTable, 2, 0), abc(Op::Close, 2, 0, 0)]);
}

#[test]
fn what_must_be_closed_keeps_its_register() {
    let closure = d(Op::Closure, 6, 0);
    rejects(Problem::NotClosed, &[closure]);
    accepts(&[closure, abc(Op::Close, 0, 0, 0)]);
    accepts(&[closure, abc(Op::Return, 0, 1, 1)]);
    rejects(Problem::NotClosed, &[closure, abc(Op::Return, 0, 1, 0)]);
    rejects(Problem::NotClosed, &[closure, abc(Op::Call, 0, 1, 1), abc(Op::Close, 0, 0, 0)]);
    accepts(&[closure, abc(Op::TailCall, 1, 1, 1)]);
    let mark = abc(Op::Tbc, 1, 0, 0);
    accepts(&[mark, abc(Op::Return, 0, 1, 1)]);
    rejects(Problem::NotClosed, &[mark]);
    rejects(Problem::NotClosed, &[mark, abc(Op::TailCall, 0, 1, 1)]);
    rejects(Problem::CloseOrder, &[mark, mark, abc(Op::Return, 0, 1, 1)]);
    rejects(Problem::CloseOrder, &[mark, abc(Op::Tbc, 0, 0, 0), abc(Op::Return, 0, 1, 1)]);
    accepts(&[abc(Op::Tbc, 0, 0, 0), mark, abc(Op::Return, 0, 1, 1)]);
    rejects(Problem::CloseOrder, &[mark, d(Op::Loop, 0, -2)]);
}

#[test]
fn a_list_goes_into_a_new_table() {
    let list = abc(Op::SetList, 2, 1, 0);
    let table = d(Op::NewTable, 2, 1);
    let value = abc(Op::Move, 3, 0, 0);
    accepts(&[table, value, list]);
    rejects(Problem::NotTable, &[abc(Op::Move, 2, 0, 0), value, list]);
    rejects(Problem::NotTable, &[table, abc(Op::Move, 2, 0, 0), value, list]);
    rejects(Problem::NotTable, &[table, value, cond(Op::TestSet, 2, 0, 0), list]);
    rejects(Problem::NotTable, &[abc(Op::Move, 2, 0, 0), cond(Op::Test, 0, 0, 1), table, value, list]);
}
