//! What each opcode does in the cases that hot code meets.
//!
//! The names of the functions are those of the opcodes. A handler whose fast cases do not apply continues in a second
//! function, its *cold side*: as a function of its own that takes the same state it costs the fast path no register. How
//! handlers are written is told in [`state`].

mod arith;
mod calls;
mod flow;
mod state;
mod tables;
mod values;

use perilune_bytecode::ops::Op;

use self::arith::*;
use self::calls::*;
use self::flow::*;
use self::tables::*;
use self::values::*;
use super::dispatch::{Handler, Handlers, no_opcode};
use crate::tier::{Counting, Hooked, Plain, Recording};

/// The handler of an opcode.
const fn handler_of<M: Handlers>(op: Op) -> Handler {
    match op {
        Op::Move => move_::<M>,
        Op::LoadI => load_i::<M>,
        Op::LoadF => load_f::<M>,
        Op::LoadK => load_k::<M>,
        Op::LoadNil => load_nil::<M>,
        Op::LoadFalse => load_false::<M>,
        Op::LoadTrue => load_true::<M>,
        Op::LoadFalseSkip => load_false_skip::<M>,
        Op::GetUpval => get_upval::<M>,
        Op::SetUpval => set_upval::<M>,
        Op::GetTabUp => get_tab_up::<M>,
        Op::SetTabUp => set_tab_up::<M>,
        Op::GetTable => get_table::<M>,
        Op::GetInt => get_int::<M>,
        Op::GetField => get_field::<M>,
        Op::SetTable => set_table::<M>,
        Op::SetInt => set_int::<M>,
        Op::SetField => set_field::<M>,
        Op::SelfField => self_field::<M>,
        Op::NewTable => new_table::<M>,
        Op::NewRecord => new_record::<M>,
        Op::SetList => set_list::<M>,
        Op::Add => add::<M>,
        Op::Sub => sub::<M>,
        Op::Mul => mul::<M>,
        Op::Div => div::<M>,
        Op::Mod => modulo::<M>,
        Op::IDiv => idiv::<M>,
        Op::Pow => pow::<M>,
        Op::AddK => add_k::<M>,
        Op::SubK => sub_k::<M>,
        Op::MulK => mul_k::<M>,
        Op::DivK => div_k::<M>,
        Op::ModK => mod_k::<M>,
        Op::IDivK => idiv_k::<M>,
        Op::PowK => pow_k::<M>,
        Op::AddI => add_i::<M>,
        Op::BAnd => band::<M>,
        Op::BOr => bor::<M>,
        Op::BXor => bxor::<M>,
        Op::Shl => shl::<M>,
        Op::Shr => shr::<M>,
        Op::BAndK => band_k::<M>,
        Op::BOrK => bor_k::<M>,
        Op::BXorK => bxor_k::<M>,
        Op::ShlI => shl_i::<M>,
        Op::ShrI => shr_i::<M>,
        Op::Unm => unm::<M>,
        Op::BNot => bnot::<M>,
        Op::Not => not::<M>,
        Op::Len => len::<M>,
        Op::LenF => len_f::<M>,
        Op::ModF => mod_f::<M>,
        Op::ModFK => mod_f_k::<M>,
        Op::Concat => concat_::<M>,
        Op::Jump => jump::<M>,
        Op::Loop => loop_::<M>,
        Op::Test => test::<M>,
        Op::TestSet => test_set::<M>,
        Op::Eq => eq::<M>,
        Op::Lt => lt::<M>,
        Op::Le => le::<M>,
        Op::EqK => eq_k::<M>,
        Op::EqI => eq_i::<M>,
        Op::LtK => lt_k::<M>,
        Op::LeK => le_k::<M>,
        Op::GtK => gt_k::<M>,
        Op::GeK => ge_k::<M>,
        Op::LtI => lt_i::<M>,
        Op::LeI => le_i::<M>,
        Op::GtI => gt_i::<M>,
        Op::GeI => ge_i::<M>,
        Op::Call => call_::<M>,
        Op::TailCall => tail_call::<M>,
        Op::Return => return_::<M>,
        Op::Return0 => return_0::<M>,
        Op::Return1 => return_1::<M>,
        Op::Closure => closure_::<M>,
        Op::VarArg => var_arg::<M>,
        Op::VarArgTable => var_arg_table::<M>,
        Op::VarArgOf => var_arg_of::<M>,
        Op::GetVarArg => get_var_arg::<M>,
        Op::NewGlobal => new_global::<M>,
        Op::ForPrep => for_prep::<M>,
        Op::ForPrepOld => for_prep_old::<M>,
        Op::ForFloat => for_float::<M>,
        Op::ForLoop => for_loop::<M>,
        Op::TForPrep => t_for_prep::<M>,
        Op::TForPrepOld => jump::<M>,
        Op::TForCall => t_for_call::<M>,
        Op::TForLoop => t_for_loop::<M>,
        Op::Tbc => tbc::<M>,
        Op::Close => close_::<M>,
    }
}

const fn table<M: Handlers>() -> [Handler; 256] {
    let mut table: [Handler; 256] = [no_opcode::<M>; 256];
    let mut n = 0;
    while n < Op::ALL.len() {
        table[n] = handler_of::<M>(Op::ALL[n]);
        n += 1;
    }
    table
}

impl Handlers for Plain {
    const TABLE: &'static [Handler; 256] = &table::<Plain>();
}

impl Handlers for Counting {
    const TABLE: &'static [Handler; 256] = &table::<Counting>();
}

impl Handlers for Hooked {
    const TABLE: &'static [Handler; 256] = &table::<Hooked>();
}

impl Handlers for Recording {
    const TABLE: &'static [Handler; 256] = &table::<Recording>();
}
