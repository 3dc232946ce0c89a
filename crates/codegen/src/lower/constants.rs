//! Where constants are.
//!
//! Every fifth instruction that is lowered is a constant: an operand of a comparison, a tag, an address. [`crate::quick`] makes a
//! constant where it is used, wherever it stands: for it, those of a function stand in the first block, and small ones
//! but once. Cranelift keeps a constant in a register from where it stands on: for it, each use has its own.

use cranelift_codegen::ir::{
    Block, DataFlowGraph, Function, Inst, InstBuilder, InstBuilderBase, InstructionData, Opcode, Type, Value,
};
use cranelift_frontend::FunctionBuilder;

use crate::machine::Effort;

/// The constants of a function.
pub(super) struct Constants {
    /// The function's first block, with its parameters.
    entry: Block,
    /// Where code begins, if constants stand in the first block, which ends when all are known.
    start: Option<Block>,
    /// The small ones, by their numbers, each of the type that was asked for last.
    small: [Option<(Type, Inst)>; SMALL],
}

/// Tags, flags, and differences between neighbours: from them on numbers are addresses, which seldom come twice.
const SMALL: usize = 64;

impl Constants {
    /// Begins the code of a function with the first block `entry`, to be translated with so much work.
    pub(super) fn new(b: &mut FunctionBuilder<'_>, entry: Block, effort: Effort) -> Constants {
        let start = (effort == Effort::Quick).then(|| {
            b.func.layout.append_block(entry);
            b.create_block()
        });
        b.switch_to_block(start.unwrap_or(entry));
        Constants { entry, start, small: [None; SMALL] }
    }

    /// The function's parameters.
    pub(super) fn params(&self, b: &FunctionBuilder<'_>) -> Vec<Value> {
        b.block_params(self.entry).to_vec()
    }

    /// The constant that an instruction makes, if it is one of these.
    fn find(&mut self, func: &mut Function, data: &InstructionData, ty: Type) -> Option<Inst> {
        let InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } = *data else { return None };
        self.start?;
        let small = usize::try_from(imm.bits()).ok().and_then(|n| self.small.get_mut(n));
        if let Some(Some((of, inst))) = small
            && *of == ty
        {
            return Some(*inst);
        }
        let inst = func.dfg.make_inst(*data);
        func.dfg.make_inst_results(inst, ty);
        func.layout.append_inst(inst, self.entry);
        if let Some(small) = small {
            *small = Some((ty, inst));
        }
        Some(inst)
    }

    /// No more constants follow.
    pub(super) fn finish(&self, b: &mut FunctionBuilder<'_>) {
        if let Some(start) = self.start {
            b.switch_to_block(self.entry);
            b.ins().jump(start, &[]);
        }
    }
}

/// Appends an instruction to the current block, unless it is a constant that is there.
pub(super) struct Ins<'s, 'f> {
    pub(super) b: &'s mut FunctionBuilder<'f>,
    pub(super) constants: &'s mut Constants,
}

impl<'s> InstBuilderBase<'s> for Ins<'s, '_> {
    fn data_flow_graph(&self) -> &DataFlowGraph {
        &self.b.func.dfg
    }

    fn data_flow_graph_mut(&mut self) -> &mut DataFlowGraph {
        &mut self.b.func.dfg
    }

    fn build(mut self, data: InstructionData, ctrl_typevar: Type) -> (Inst, &'s mut DataFlowGraph) {
        let inst = self.build_aux_inst(data, ctrl_typevar);
        (inst, &mut self.b.func.dfg)
    }

    fn build_aux_inst(&mut self, data: InstructionData, ctrl_typevar: Type) -> Inst {
        let known = self.constants.find(self.b.func, &data, ctrl_typevar);
        known.unwrap_or_else(|| self.b.ins().build(data, ctrl_typevar).0)
    }
}
