//! The recorder: turns instructions that are about to run into segments of a trace tree.
//!
//! It sees each instruction with the values that it will meet ([`View`]), decides from them which path and which types to
//! expect, and appends guards for what it relied on. It changes nothing: the interpreter runs every instruction itself.
//!
//! # Slots
//! The recorder keeps a shadow of the stack. Slot `n` is the stack slot `n` above the root frame's function, so that slot 0
//! is the function and slot `r + 1` register `r`; frames of inlined calls lie further up, as on the real stack.
//!
//! # Snapshots
//! A check leaves at the *beginning* of the instruction that needs it, which the interpreter then runs again. So
//! instructions check everything before they change anything, and one snapshot serves all checks of an instruction.
//!
//! # Headers
//! A path ends where a loop begins, in whatever frame: there it joins the header that the tree has for the place and the
//! types of the values, or becomes the first to arrive at a new one, and goes on from it. So nested loops become loops of
//! the compiled code, and a variable that changes its type gets a second copy of the loop.
//!
//! | module | instructions |
//! |---|---|
//! | `arith` | arithmetic, bits, length, concatenation |
//! | `number` | numbers that may be integers or floats |
//! | `compare` | comparisons and tests |
//! | `field` | fields of tables: shapes, metatables |
//! | `element` | elements of tables, constructors |
//! | `upvalue` | upvalues and closures |
//! | `call` | calls of functions that are followed, and calls out of the tree |
//! | `returns` | returns and tail calls |
//! | `handlers` | metamethods |
//! | `varargs` | variable arguments |
//! | `function` | calls of compiled functions, and trees that are such |
//! | `native` | library functions |
//! | `bits` | those of the library of bit operations |
//! | `loops` | numeric and generic loops |
//! | `headers` | the joining of paths |
//! | `unroll` | loops over variable arguments |
//! | `state` | the shadow stack and snapshots |

mod arith;
mod bits;
mod call;
mod compare;
mod element;
mod field;
mod function;
mod handlers;
mod headers;
mod loops;
mod native;
mod number;
mod returns;
mod state;
mod unroll;
mod upvalue;
mod varargs;

use std::rc::Rc;

use perilune_bytecode::ops::{Instr, Op};
use perilune_runtime::heap::Reached;
use perilune_runtime::value::Value;
use perilune_trace::build::Builder;
use perilune_trace::ir::{End, ExitKind, HeaderId, InlinedFrame, Op as Ir, Ref, SnapId, Tree};
use rustc_hash::FxHashSet;

use crate::abort::Abort;
use crate::function::{Function, Functions};
use crate::liveness::LivenessCache;
use crate::seen::Seen;
use crate::view::{ProtoAt, View};

use state::{Active, Mark, Shadow};

pub(crate) use loops::FLOAT_KEYS;

/// Most instructions of the interpreter in one recording.
const MAX_STEPS: u32 = 2000;

/// Most calls inside one another.
const MAX_FRAMES: usize = 12;

/// How the recording goes on after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// With the next one.
    On,
    /// When the current frame, which is marked, has returned.
    Wait,
    /// The tree is complete.
    Done,
}

/// The place where a tree begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The prototype.
    pub proto: ProtoAt,
    /// The index of the first instruction.
    pub pc: u32,
}

/// Functions that one instruction calls, from which on the paths through them meet again where they have returned. Each would have a
/// copy of its own of what follows otherwise, and of each such call in it.
const MANY_CALLEES: usize = 4;

/// What the recorder learns besides the tree.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// The prototypes that the tree runs through, by their number in the tree.
    pub protos: Vec<ProtoAt>,
    /// Objects that the tree refers to: it is forgotten when one of them dies.
    pub roots: Vec<Value>,
    /// The function that the root frame must run, where the code relies on it.
    pub function: Option<u64>,
    /// Slots that the tree may touch.
    pub slots: u32,
    /// Calls inside one another.
    pub frames: u32,
    /// The compiled functions that the tree calls.
    pub functions: Vec<Rc<Function>>,
    /// What the paths of the tree have followed calls into: who goes on where afterwards, and what was called.
    pub followed: Vec<(ProtoAt, u32, ProtoAt)>,
    /// By snapshot: the instructions of the interpreter that lead there from the last header.
    pub steps: Vec<u32>,
    /// Those of the shortest path to a return of the root frame; none if no path returns.
    pub steps_to_return: Option<u32>,
}

impl Notes {
    /// Notes what a call is followed into.
    fn follows(&mut self, caller: ProtoAt, return_pc: u32, callee: ProtoAt) {
        if !self.followed.contains(&(caller, return_pc, callee)) {
            self.followed.push((caller, return_pc, callee));
        }
    }

    /// Whether an instruction has called many functions.
    fn calls_many(&self, caller: ProtoAt, return_pc: u32) -> bool {
        let of_this_call = self.followed.iter().filter(|(by, at, _)| (*by, *at) == (caller, return_pc));
        of_this_call.count() >= MANY_CALLEES
    }

    /// Whether everything lives that the tree refers to.
    pub fn is_alive(&self, reached: &Reached<'_>) -> bool {
        self.protos.iter().all(|proto| View::is_proto_reached(*proto, reached))
            && self.roots.iter().all(|root| View::is_root_reached(*root, reached))
    }
}

/// Segments in the making.
pub struct Recorder {
    builder: Builder,
    origin: Origin,
    notes: Notes,
    liveness: LivenessCache,
    thread: u64,
    host_depth: u32,
    /// Frames below the root frame.
    root_depth: usize,
    /// Offset of slot 0 from the start of the stack.
    root: usize,
    frames: Vec<Active>,
    shadow: Vec<Shadow>,
    /// The state in front of the instruction that is recorded, of a side segment.
    mark: Mark,
    /// The slot behind the last one of an open list.
    open: Option<u32>,
    fuel: u32,
    /// The fuel of what was recorded, but for what is in `fuel`.
    charged: i64,
    steps: u32,
    /// Instructions on the path since the last header, those before a side segment included.
    path_steps: u32,
    /// Whether a segment of an existing tree is recorded.
    is_side: bool,
    /// The last snapshot for checks, and what had been changed before it.
    snap: Option<(SnapId, u32)>,
    /// The snapshot of the current instruction itself, once it needed one.
    branch_snap: Option<SnapId>,
    /// The instruction that is being recorded.
    pc: u32,
    /// The instruction that must come next.
    expected: u32,
    /// Whether the last instruction was a taken back-edge.
    back_edge: bool,
    /// Whether the last instruction has returned from a call of one of many functions.
    has_left_one_of_many: bool,
    /// Whether the last instruction allocated, so that a collector step may be due.
    allocated: bool,
    /// The result of a metamethod, for the instruction that called it.
    finishing: Option<Ref>,
    /// How many `__newindex` tables the store that is being recorded has gone through.
    redirections: usize,
    /// The header that an alternative is recorded for.
    alternative_of: Option<HeaderId>,
    /// Why the state where the recording starts cannot be taken over.
    refused: Option<Abort>,
    /// Whether a tail call is recorded.
    in_tail: bool,
    /// Results that the next step will see.
    pending: Option<native::Pending>,
    /// Compiled functions.
    functions: Functions,
    /// What instructions have met so far.
    met: Seen,
    /// A call of one, which the interpreter runs at the moment.
    waiting: Option<function::Waiting>,
    /// Whether the last instruction may have resumed a coroutine, which the recording waits for.
    resumes: bool,
    /// The functions that have been called in the place of the root frame's.
    replacing: Vec<ProtoAt>,
    /// A function that had to be compiled on its own.
    missed: Option<ProtoAt>,
    /// Whether the root frame has returned: the tree is complete.
    has_returned: bool,
    /// Why the complete recording ends where it does, if it could not be followed further.
    stopped: Option<Abort>,
    /// Whether a header is to be made where the recording starts, so that what follows needs nothing but slots.
    begins_anew: bool,
    /// Whether nothing of the open segment has been recorded yet.
    is_fresh: bool,
    /// Whether the path is there because an array was full, and makes it larger.
    has_grown: bool,
}

/// How many of the frames lie above the root frame.
fn calls(frames: &[InlinedFrame]) -> usize {
    let frames = frames.iter().filter(|frame| frame.func > 0);
    frames.map(|frame| 1 + usize::from(frame.protected.is_some())).sum()
}

/// What recordings share with the policy.
pub struct Shared {
    /// The analyses made so far; they come back when the recording is over.
    pub liveness: LivenessCache,
    /// Compiled functions.
    pub functions: Functions,
    /// What instructions have met so far.
    pub met: Seen,
}

/// Complete segments: the tree with them, and what goes with the tree.
pub struct Recorded {
    /// The tree.
    pub tree: Tree,
    /// What goes with it.
    pub notes: Notes,
}

impl Recorder {
    /// Begins a tree at the instruction in front of which the VM stands.
    pub fn root(view: &View<'_>, shared: Shared) -> Recorder {
        let origin = Origin { proto: view.proto(0), pc: view.pc(0) };
        Recorder::with(Builder::default(), origin, Notes::default(), view, shared, 0)
    }

    /// Continues a tree at a snapshot, where the VM stands: with what was known there or, if it begins anew, at a header of its own.
    pub fn side(
        view: &View<'_>,
        shared: Shared,
        origin: Origin,
        tree: &Tree,
        notes: Notes,
        start: SnapId,
        begins_anew: bool,
    ) -> Recorder {
        let snapshot = tree.snapshot(start);
        let inlined = calls(&snapshot.frames);
        let mut builder = Builder::new(tree);
        builder.begin_at_snapshot(start);
        let mut recorder = Recorder::with(builder, origin, notes, view, shared, inlined);
        recorder.is_side = true;
        debug_assert!(!begins_anew || snapshot.top.is_none(), "an open list of values has no header");
        recorder.begins_anew = begins_anew;
        recorder.path_steps = recorder.notes.steps.get(start.index()).copied().unwrap_or(0);
        recorder.refused = recorder.restore(view, snapshot).err();
        recorder
    }

    /// Looks at the next instruction.
    pub fn step(&mut self, view: &View<'_>) -> Result<Flow, Abort> {
        if let Some(why) = self.refused {
            return Err(why);
        }
        if self.wait(view)? {
            return Ok(Flow::Wait);
        }
        let took = self.take_results(view)?;
        if let Some(result) = self.finishing.take() {
            self.finish_instruction(view, result)?;
        }
        self.check_place(view)?;
        self.take_function_results(view)?;
        if took {
            // The function may have used the fuel up.
            let snap = self.snapshot(ExitKind::Service, self.expected);
            self.builder.guard(Ir::Fuel, &[], snap)?;
        }
        if self.allocated {
            self.allocated = false;
            let snap = self.snapshot(ExitKind::Service, self.expected);
            self.builder.guard(Ir::NoCollect, &[], snap)?;
        }
        if self.arrive(view)? == Flow::Done {
            return Ok(Flow::Done);
        }
        if self.steps >= MAX_STEPS {
            return self.stop(Abort::TooLong);
        }
        self.steps += 1;
        self.path_steps += 1;
        self.is_fresh = false;
        self.branch_snap = None;
        self.back_edge = false;
        self.has_left_one_of_many = false;
        self.pc = self.expected;
        let i = view.instr(self.frame().proto, self.pc);
        self.expected = self.pc + 1;
        if self.is_side {
            self.set_mark();
        }
        match self.record(view, i) {
            Ok(()) if self.has_returned => {
                let known = self.notes.steps_to_return.unwrap_or(u32::MAX);
                self.notes.steps_to_return = Some(known.min(self.path_steps));
                Ok(Flow::Done)
            }
            Ok(()) => Ok(Flow::On),
            Err(why) => {
                self.expected = self.pc;
                // The interpreter runs the instruction from its beginning.
                let is_in_front = self.is_side && self.go_back();
                if is_in_front { self.stop(why) } else { Err(why) }
            }
        }
    }

    /// The path cannot be followed any further. A tree that exists already learns that, so that nobody tries again.
    fn stop(&mut self, why: Abort) -> Result<Flow, Abort> {
        if !self.is_side || !why.is_lasting() {
            return Err(why);
        }
        let snap = self.snapshot(ExitKind::End, self.expected);
        self.builder.end(End::Exit(snap), None);
        self.stopped = Some(why);
        Ok(Flow::Done)
    }

    /// Adds a header for other types to a tree, at the place where the VM stands.
    pub fn again(view: &View<'_>, shared: Shared, origin: Origin, tree: &Tree, notes: Notes) -> Recorder {
        Recorder::with(Builder::new(tree), origin, notes, view, shared, 0)
    }

    /// Adds an alternative for a header, whose hoisted guards fail here, where the VM stands.
    pub fn alternative(
        view: &View<'_>,
        shared: Shared,
        origin: Origin,
        tree: &Tree,
        notes: Notes,
        of: HeaderId,
    ) -> Recorder {
        let snapshot = tree.snapshot(tree.header(of).snap);
        let mut recorder = Recorder::with(Builder::new(tree), origin, notes, view, shared, calls(&snapshot.frames));
        recorder.refused = recorder.restore(view, snapshot).err();
        recorder.alternative_of = Some(of);
        recorder
    }

    /// Whether the recording waits for a function to return, or for a coroutine, and so sees nothing at the moment.
    pub fn waits(&self) -> bool {
        self.waiting.is_some() || self.resumes
    }

    /// A function that had to be compiled on its own before this could be recorded.
    pub fn missed(&self) -> Option<ProtoAt> {
        self.missed
    }

    /// The collector has run. `living` are the addresses of prototypes that are alive, besides those of the recording itself:
    /// others may be used again.
    pub fn forget_dead(&mut self, living: &FxHashSet<u64>) {
        let own = &self.notes.protos;
        self.liveness.keep(|address| living.contains(&address) || own.contains(&ProtoAt(address)));
    }

    /// Why the complete recording could not be followed further, if that is so.
    pub fn stopped(&self) -> Option<Abort> {
        self.stopped
    }

    /// How many instructions were recorded, and the fuel that the interpreter takes for them.
    pub fn pace(&self) -> (u64, u64) {
        (u64::from(self.steps), (self.charged + i64::from(self.fuel)).max(0) as u64)
    }

    /// The line of the last instruction that was looked at.
    pub fn line(&self) -> u32 {
        View::line(self.frame().proto, self.expected)
    }

    /// The place where the tree began.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// What was learnt so far.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// The recording as it is now, after [`Flow::Done`].
    pub fn finish(self) -> (Recorded, LivenessCache) {
        (Recorded { tree: self.builder.into_tree(), notes: self.notes }, self.liveness)
    }

    /// Gives the recording up.
    pub fn dismiss(self) -> LivenessCache {
        self.liveness
    }

    /// Whether the VM stands where the recording expects it.
    fn check_place(&self, view: &View<'_>) -> Result<(), Abort> {
        if view.is_hooked() {
            return Err(Abort::Hook);
        }
        let here = view.thread() == self.thread
            && view.host_depth() == self.host_depth
            && view.depth() == self.depth()
            && view.proto(0) == self.frame().proto
            && view.base(0) == self.root + self.frame().base as usize
            && view.pc(0) == self.expected;
        if here { Ok(()) } else { Err(Abort::Lost) }
    }

    fn record(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let op = i.op().ok_or(Abort::Opcode)?;
        match op {
            Op::Move => {
                let v = self.get_number(view, i.b())?;
                self.set(i.a(), v);
                Ok(())
            }
            Op::LoadI => self.constant(i.a(), Value::int(i64::from(i.d()))),
            Op::LoadF => self.constant(i.a(), Value::float(f64::from(i.d()))),
            Op::LoadK => {
                let v = view.constant(self.frame().proto, i.d() as usize);
                self.constant(i.a(), v)
            }
            Op::LoadNil => {
                for n in 0..=i.b() {
                    self.constant(i.a() + n, Value::NIL)?;
                }
                Ok(())
            }
            Op::LoadFalse => self.constant(i.a(), Value::FALSE),
            Op::LoadTrue => self.constant(i.a(), Value::TRUE),
            Op::LoadFalseSkip => {
                self.expected += 1;
                self.constant(i.a(), Value::FALSE)
            }
            Op::GetUpval => self.get_upval(view, i),
            Op::SetUpval => self.set_upval(view, i),
            Op::GetTabUp => self.get_tab_up(view, i),
            Op::SetTabUp => self.set_tab_up(view, i),
            Op::GetTable => self.get_table(view, i),
            Op::GetInt => self.get_int(view, i),
            Op::GetField => self.get_field(view, i),
            Op::SetTable => self.set_table(view, i),
            Op::SetInt => self.set_int(view, i),
            Op::SetField => self.set_field(view, i),
            Op::SelfField => self.self_field(view, i),
            Op::NewTable => self.new_table(view, i),
            Op::NewRecord => self.new_record(view, i),
            Op::SetList => self.set_list(view, i),
            Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Mod | Op::IDiv | Op::Pow => self.arith_registers(view, op, i),
            Op::BAnd | Op::BOr | Op::BXor | Op::Shl | Op::Shr => self.arith_registers(view, op, i),
            Op::AddK | Op::SubK | Op::MulK | Op::DivK | Op::ModK | Op::IDivK | Op::PowK => {
                self.arith_constant(view, op, i)
            }
            Op::BAndK | Op::BOrK | Op::BXorK => self.arith_constant(view, op, i),
            Op::AddI | Op::ShlI | Op::ShrI => self.arith_immediate(view, op, i),
            Op::Unm => self.unm(view, i),
            Op::BNot => self.bnot(view, i),
            Op::Not => self.not(view, i),
            Op::Len | Op::LenF => self.len(view, i),
            Op::ModF => self.arith_registers(view, op, i),
            Op::ModFK => self.arith_constant(view, op, i),
            Op::Concat => self.concat(view, i),
            Op::Jump => {
                self.jump(i.d());
                Ok(())
            }
            Op::Loop => {
                self.take_back_edge(i.d());
                Ok(())
            }
            Op::Test => self.test(view, i),
            Op::TestSet => self.test_set(view, i),
            Op::Eq => self.eq(view, i),
            Op::EqK | Op::EqI => self.eq_constant(view, op, i),
            Op::Lt | Op::Le => self.order_registers(view, op, i),
            Op::LtK | Op::LeK | Op::GtK | Op::GeK | Op::LtI | Op::LeI | Op::GtI | Op::GeI => {
                self.order_constant(view, op, i)
            }
            Op::Call => self.call(view, i),
            Op::TailCall => self.tail_call(view, i),
            Op::Return => self.return_many(view, i),
            Op::Return0 => self.return_values(&[]),
            Op::Return1 => {
                let v = self.get_number(view, i.a())?;
                self.return_values(&[v])
            }
            Op::Closure => self.closure(view, i),
            Op::VarArg => self.vararg(view, i),
            Op::ForPrep => self.for_prep(view, i),
            Op::ForPrepOld => self.for_prep_old(view, i),
            Op::ForFloat => self.for_float(view, i),
            Op::ForLoop => self.for_loop(view, i),
            Op::TForPrep => self.t_for_prep(view, i),
            Op::TForPrepOld => self.t_for_prep_old(view, i),
            Op::TForCall => self.t_for_call(view, i),
            Op::TForLoop => self.t_for_loop(view, i),
            Op::Close => self.close(view, i),
            Op::Tbc | Op::VarArgTable | Op::VarArgOf | Op::GetVarArg | Op::NewGlobal => Err(Abort::Opcode),
        }
    }

    /// The instruction's path goes on `offset` instructions further.
    fn jump(&mut self, offset: i32) {
        self.expected = self.expected.wrapping_add_signed(offset);
    }

    /// As [`Recorder::jump`], backwards, and charged.
    fn take_back_edge(&mut self, offset: i32) {
        self.fuel += offset.unsigned_abs();
        self.jump(offset);
        self.back_edge = true;
    }

    /// Relies on `condition`, which decides the way that the path goes.
    fn decide(&mut self, condition: Ir, args: &[Ref]) -> Result<(), Abort> {
        let snap = self.own_snap();
        Ok(self.builder.guard(condition, args, snap)?)
    }

    /// Relies on `condition`.
    fn guard(&mut self, condition: Ir, args: &[Ref]) -> Result<(), Abort> {
        let snap = self.snap();
        Ok(self.builder.guard(condition, args, snap)?)
    }
}
