//! Functions that stand for the VM's: each writes its number and operands into the log, and replies what the VM's memory
//! says. Cranelift makes them, as it makes the traces, so that they follow the machine's calling convention.

use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{AbiParam, Function, InstBuilder, MemFlagsData, Signature, Value, types};
use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use perilune_trace::ir::{Arg, Helper, Returns, Ty};

use super::elf::Arch;
use super::image::{FUEL, LOG_END, LOG_ENTRY, SCRATCH, reply_of};
use crate::layout::{self, VALUE};
use crate::lower::convention;
use crate::mir;

/// Bytes in front of the stubs, for the start of the program.
pub(super) const ROOM: usize = 512;

/// What each function begins at a multiple of.
pub(super) const ALIGN: usize = 64;

pub(super) struct Stubs {
    code: Vec<u8>,
    offsets: Vec<usize>,
}

impl Stubs {
    pub(super) fn new(arch: Arch) -> Stubs {
        let isa = isa_of(arch);
        let mut stubs = Stubs { code: Vec::new(), offsets: Vec::new() };
        for helper in Helper::ALL {
            stubs.offsets.push(stubs.code.len());
            stubs.code.extend(stub(*helper, &isa));
            stubs.code.resize(stubs.code.len().next_multiple_of(ALIGN), 0);
        }
        stubs
    }

    /// The code, and the addresses of the helpers if it stands at `address`.
    pub(super) fn at(&self, address: u64) -> (Vec<u8>, Vec<u64>) {
        (self.code.clone(), self.offsets.iter().map(|offset| address + *offset as u64).collect())
    }
}

fn isa_of(arch: Arch) -> OwnedTargetIsa {
    let mut flags = settings::builder();
    flags.set("unwind_info", "false").expect("a setting");
    // As the code that is tried has it.
    flags.set("enable_llvm_abi_extensions", "true").expect("a setting");
    let isa = isa::lookup_by_name(arch.triple()).expect("a back end");
    isa.finish(settings::Flags::new(flags)).expect("settings")
}

/// A builder in the first block of a function, and the function's parameters.
fn begin<'a>(context: &'a mut Context, frontend: &'a mut FunctionBuilderContext) -> (FunctionBuilder<'a>, Vec<Value>) {
    let mut b = FunctionBuilder::new(&mut context.func, frontend);
    let block = b.create_block();
    b.append_block_params_for_function_params(block);
    b.switch_to_block(block);
    let params = b.block_params(block).to_vec();
    (b, params)
}

/// What calls a function as compiled code does, with its arguments in registers: `fn(vm, base, types, code) -> status`. It takes
/// them from their places, in which nothing is then.
pub(super) fn caller(arch: Arch, params: usize) -> Vec<u8> {
    let isa = isa_of(arch);
    let mut b = mir::Builder::default();
    let entry = b.begin(mir::Signature { params: vec![types::I64; 4], returns: vec![types::I64] });
    let [vm, base, number, code] = [0, 1, 2, 3].map(|n| b.block_params(entry)[n]);
    let fuel = b.load(types::I64, vm, FUEL);
    let mut args = vec![vm, base, number, fuel];
    let offsets = (0..params as i32).chain([-1]).map(|place| place * VALUE as i32);
    for (n, offset) in offsets.clone().enumerate() {
        args.push(b.load(convention::register(n), base, offset));
    }
    let zero = b.iconst(types::I64, 0);
    for offset in offsets {
        b.store(zero, base, offset);
        b.store(zero, base, offset + layout::TAG);
    }
    let callee = b.import_signature(convention::signature(params + 1));
    let call = b.call_indirect(callee, code, &args);
    let results = [0, 1, 2].map(|n| b.result(call, n).expect("three results"));
    convention::return_to_vm(&mut b, FUEL, (vm, base), results);
    let (mut context, mut frontend) = (Context::new(), FunctionBuilderContext::new());
    let (call_conv, target) = (isa.default_call_conv(), isa.frontend_config());
    mir::translate(b.finish(), &mut context.func, &mut frontend, call_conv, target);
    let compiled = context.compile(&*isa, &mut ControlPlane::default()).expect("a caller");
    compiled.code_buffer().to_vec()
}

fn stub(helper: Helper, isa: &OwnedTargetIsa) -> Vec<u8> {
    let mut signature = Signature::new(isa.default_call_conv());
    signature.params.push(AbiParam::new(types::I64));
    for arg in helper.args() {
        match arg {
            Arg::Int | Arg::Address => signature.params.push(AbiParam::new(types::I64)),
            Arg::Float => signature.params.push(AbiParam::new(types::F64)),
            Arg::Value => signature.params.extend([AbiParam::new(types::I64); 2]),
        }
    }
    let result = match helper.returns() {
        Returns::Nothing => None,
        Returns::Plain(Ty::Float) => Some(types::F64),
        Returns::Plain(_) | Returns::OrNull(_) | Returns::Success | Returns::Value => Some(types::I64),
    };
    signature.returns.extend(result.map(AbiParam::new));
    let mut context = Context::for_function(Function::with_name_signature(Default::default(), signature));
    let mut frontend = FunctionBuilderContext::new();
    let (mut b, params) = begin(&mut context, &mut frontend);
    let (vm, flags) = (params[0], MemFlagsData::trusted());
    let entry = b.ins().load(types::I64, flags, vm, LOG_END);
    let number = b.ins().iconst(types::I64, helper as i64);
    b.ins().store(flags, number, entry, 0);
    for (n, operand) in params[1..].iter().enumerate() {
        b.ins().store(flags, *operand, entry, 8 + 8 * n as i32);
    }
    let end = b.ins().iadd_imm_s(entry, LOG_ENTRY);
    b.ins().store(flags, end, vm, LOG_END);
    if helper.returns() == Returns::Value {
        let scratch = b.ins().load(types::I64, flags, vm, reply_of(helper) + 8);
        b.ins().store(flags, scratch, vm, SCRATCH);
    }
    match result {
        Some(ty) => {
            let reply = b.ins().load(ty, flags, vm, reply_of(helper));
            b.ins().return_(&[reply]);
        }
        None => {
            b.ins().return_(&[]);
        }
    }
    b.seal_all_blocks();
    b.finalize(isa.frontend_config());
    let compiled = context.compile(&**isa, &mut ControlPlane::default()).expect("a stub");
    compiled.code_buffer().to_vec()
}
