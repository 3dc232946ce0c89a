//! The same function in Cranelift's IR.

use cranelift_codegen::ir::{
    self, AbiParam, BlockArg, ExtFuncData, ExternalName, FuncRef, InstBuilder, InstBuilderBase, InstructionData,
    MemFlagsData, TrapCode, UserExternalName, types,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

use super::{Block, Def, Edge, Func, Inst, InstData, SigRef, Signature, Value};

/// What a function that calls itself is named in its calls.
const OWN: UserExternalName = UserExternalName { namespace: 0, index: 0 };

/// Fills `into` with a function, where the machine's own calling convention is `call_conv`.
pub(crate) fn translate(
    func: &Func,
    into: &mut ir::Function,
    context: &mut FunctionBuilderContext,
    call_conv: CallConv,
    target: TargetFrontendConfig,
) {
    into.signature = signature(&func.signature, call_conv);
    let mut b = FunctionBuilder::new(into, context);
    let blocks = (0..func.blocks()).map(|_| b.create_block()).collect();
    let signatures = func.signatures.iter().map(|of| b.import_signature(signature(of, call_conv))).collect();
    let values = vec![None; func.values()];
    Translation { func, b: &mut b, blocks, signatures, own: vec![None; func.signatures.len()], values }.run();
    b.seal_all_blocks();
    b.finalize(target);
}

fn signature(of: &Signature, call_conv: CallConv) -> ir::Signature {
    let mut signature = ir::Signature::new(call_conv);
    signature.params.extend(of.params.iter().copied().map(AbiParam::new));
    signature.returns.extend(of.returns.iter().copied().map(AbiParam::new));
    signature
}

struct Translation<'a, 'b, 'f> {
    func: &'a Func,
    b: &'b mut FunctionBuilder<'f>,
    blocks: Vec<ir::Block>,
    signatures: Vec<ir::SigRef>,
    /// By signature: this very function, as something to call.
    own: Vec<Option<FuncRef>>,
    /// By value, constants excepted.
    values: Vec<Option<ir::Value>>,
}

impl Translation<'_, '_, '_> {
    fn run(mut self) {
        for block in self.order() {
            let made = self.blocks[block.index()];
            self.b.switch_to_block(made);
            for inst in self.func.body(block) {
                self.inst(inst);
            }
        }
    }

    /// The blocks with their parameters, in an order in which values are made before they are used. Those that control does not come
    /// to are left out.
    fn order(&mut self) -> Vec<Block> {
        let func = self.func;
        let order = func.reached();
        for (n, block) in order.iter().enumerate() {
            let made = self.blocks[block.index()];
            if n == 0 {
                self.b.append_block_params_for_function_params(made);
            }
            for (n_param, param) in func.params(*block).iter().enumerate() {
                let v = if n == 0 {
                    self.b.block_params(made)[n_param]
                } else {
                    self.b.append_block_param(made, func.ty(*param))
                };
                self.values[param.index()] = Some(v);
            }
            if func.is_cold(*block) {
                self.b.set_cold_block(made);
            }
        }
        order
    }

    /// A constant is made where it is used: otherwise it would have a register from where it stands on.
    fn value(&mut self, v: Value) -> ir::Value {
        match (self.func.def(v), self.values[v.index()]) {
            (Def::Int(n), _) => self.b.ins().iconst(self.func.ty(v), n),
            (Def::Float(bits), _) => self.b.ins().f64const(f64::from_bits(bits)),
            (_, Some(made)) => made,
            (def, None) => {
                debug_assert!(false, "{v:?} is used before it is made: {def:?}");
                self.b.ins().iconst(types::I64, 0)
            }
        }
    }

    fn values(&mut self, list: &[Value]) -> Vec<ir::Value> {
        list.iter().map(|v| self.value(*v)).collect()
    }

    fn way(&mut self, edge: Edge) -> (ir::Block, Vec<BlockArg>) {
        let args = self.values(self.func.edge_args(edge));
        (self.blocks[self.func.target(edge).index()], args.into_iter().map(BlockArg::Value).collect())
    }

    fn own(&mut self, signature: SigRef) -> FuncRef {
        if let Some(known) = self.own[signature.index()] {
            return known;
        }
        let name = ExternalName::user(self.b.func.declare_imported_user_function(OWN));
        let signature_of = self.signatures[signature.index()];
        let own = ExtFuncData { name, signature: signature_of, colocated: true, patchable: false };
        let own = self.b.func.import_function(own);
        self.own[signature.index()] = Some(own);
        own
    }

    fn inst(&mut self, inst: Inst) {
        let func = self.func;
        let args = match func.data(inst) {
            InstData::Jump { .. } => Vec::new(),
            _ => self.values(func.args(inst)),
        };
        let ty = func.first_result(inst).map_or(types::INVALID, |v| func.ty(v));
        let flags = MemFlagsData::trusted();
        let made = match (*func.data(inst), &args[..]) {
            (InstData::Unary { opcode: ir::Opcode::Bitcast, .. }, [a]) => {
                Some(self.b.ins().bitcast(ty, MemFlagsData::new(), *a))
            }
            (InstData::Unary { opcode, .. }, [a]) => self.build(InstructionData::Unary { opcode, arg: *a }, ty),
            (InstData::Binary { opcode, .. }, [a, b]) => {
                self.build(InstructionData::Binary { opcode, args: [*a, *b] }, ty)
            }
            (InstData::IntCompare { cond, .. }, [a, b]) => Some(self.b.ins().icmp(cond, *a, *b)),
            (InstData::FloatCompare { cond, .. }, [a, b]) => Some(self.b.ins().fcmp(cond, *a, *b)),
            (InstData::Select { .. }, [flag, a, b]) => Some(self.b.ins().select(*flag, *a, *b)),
            (InstData::Load { opcode, offset, .. }, [address]) => Some(match opcode {
                ir::Opcode::Uload8 => self.b.ins().uload8(ty, flags, *address, offset),
                ir::Opcode::Uload32 => self.b.ins().uload32(flags, *address, offset),
                _ => self.b.ins().load(ty, flags, *address, offset),
            }),
            (InstData::Store { opcode, offset, .. }, [v, address]) => {
                match opcode {
                    ir::Opcode::Istore8 => self.b.ins().istore8(flags, *v, *address, offset),
                    ir::Opcode::Istore32 => self.b.ins().istore32(flags, *v, *address, offset),
                    _ => self.b.ins().store(flags, *v, *address, offset),
                };
                None
            }
            (InstData::StackPointer, _) => Some(self.b.ins().get_stack_pointer(types::I64)),
            (InstData::Call { signature, is_own, .. }, _) => return self.call(inst, signature, is_own, &args),
            (InstData::Jump { edge }, _) => {
                let (to, args) = self.way(edge);
                self.b.ins().jump(to, &args);
                None
            }
            (InstData::Branch { edges: [then, other], .. }, [flag]) => {
                let ((then, then_args), (other, other_args)) = (self.way(then), self.way(other));
                self.b.ins().brif(*flag, then, &then_args, other, &other_args);
                None
            }
            (InstData::Return { .. }, args) => {
                self.b.ins().return_(args);
                None
            }
            (InstData::Trap, _) => {
                self.b.ins().trap(TrapCode::unwrap_user(1));
                None
            }
            (data, args) => {
                debug_assert!(false, "{data:?} has other operands than {args:?}");
                None
            }
        };
        if let Some((v, made)) = func.first_result(inst).zip(made) {
            self.values[v.index()] = Some(made);
        }
    }

    fn build(&mut self, data: InstructionData, ty: ir::Type) -> Option<ir::Value> {
        let (inst, dfg) = self.b.ins().build(data, ty);
        dfg.inst_results(inst).first().copied()
    }

    fn call(&mut self, inst: Inst, signature: SigRef, is_own: bool, args: &[ir::Value]) {
        let call = match args {
            _ if is_own => {
                let own = self.own(signature);
                self.b.ins().call(own, args)
            }
            [callee, args @ ..] => self.b.ins().call_indirect(self.signatures[signature.index()], *callee, args),
            [] => return debug_assert!(false, "there is nothing to call"),
        };
        for (n, v) in self.func.results(inst).enumerate() {
            self.values[v.index()] = self.b.inst_results(call).get(n).copied();
        }
    }
}
