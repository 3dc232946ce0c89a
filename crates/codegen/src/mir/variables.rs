//! Variables: values that change while code runs, as values that do not (Braun et al., Simple and Efficient Construction of
//! Static Single Assignment Form, 2013).
//!
//! Where a variable is read, its value is that of the block, or of the only block in front, and so on. Where several ways lead to a
//! block, or may lead there later, the block gets a parameter. What that is on each edge is found when the function is complete;
//! parameters that have turned out to be always the same are gone then.

use cranelift_codegen::ir::{Type, types};

use super::build::Builder;
use super::{Block, Def, EdgeData, Inst, InstData, List, Value};

/// What can be given a value more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variable(u32);

/// A parameter that a block may need for a variable.
#[derive(Clone, Copy, Debug)]
struct Phi {
    block: Block,
    variable: Variable,
    param: Value,
    /// What it is on the edges, the last of them first.
    args: List,
    is_needed: bool,
}

/// The variables of a function.
#[derive(Debug, Default)]
pub(super) struct Variables {
    types: Vec<Type>,
    /// By variable and block: its value at the block's end so far.
    values: Vec<Vec<Option<Value>>>,
    phis: Vec<Phi>,
}

impl Variables {
    pub(super) fn clear(&mut self) {
        self.types.clear();
        self.values.clear();
        self.phis.clear();
    }

    fn get(&self, variable: Variable, block: Block) -> Option<Value> {
        self.values[variable.0 as usize].get(block.index()).copied().flatten()
    }

    fn set(&mut self, variable: Variable, block: Block, v: Value) {
        let values = &mut self.values[variable.0 as usize];
        if values.len() <= block.index() {
            values.resize(block.index() + 1, None);
        }
        values[block.index()] = Some(v);
    }
}

impl Builder {
    pub(crate) fn declare_var(&mut self, ty: Type) -> Variable {
        self.variables.types.push(ty);
        self.variables.values.push(Vec::new());
        Variable(self.variables.types.len() as u32 - 1)
    }

    pub(crate) fn def_var(&mut self, variable: Variable, v: Value) {
        if let Some(block) = self.current {
            self.variables.set(variable, block, v);
        }
    }

    pub(crate) fn use_var(&mut self, variable: Variable) -> Value {
        let block = self.current.unwrap_or(Block(0));
        self.read(variable, block, false)
    }

    /// The value of a variable at the end of a block so far.
    fn read(&mut self, variable: Variable, block: Block, is_complete: bool) -> Value {
        let mut at = block;
        // A circle that nothing leads into has no beginning.
        let mut steps = self.func.blocks();
        let v = loop {
            if let Some(v) = self.variables.get(variable, at) {
                break v;
            }
            if steps == 0 {
                return self.nothing(variable);
            }
            steps -= 1;
            let data = &self.func.blocks[at.index()];
            let last = data.last_edge.map(|edge| &self.func.edges[edge.index()]);
            match last {
                Some(edge) if edge.before.is_none() && (is_complete || data.is_sealed) => at = edge.from,
                // Nobody reads what was never set, where control comes to.
                None if is_complete || data.is_sealed => break self.nothing(variable),
                Some(_) | None => {
                    let param = self.new_value(self.variables.types[variable.0 as usize], Def::Param);
                    self.variables.phis.push(Phi {
                        block: at,
                        variable,
                        param,
                        args: List::default(),
                        is_needed: true,
                    });
                    break param;
                }
            }
        };
        // The next time, it is found at once.
        let mut from = block;
        while self.variables.get(variable, from).is_none() {
            self.variables.set(variable, from, v);
            if from == at {
                break;
            }
            let edge = self.func.blocks[from.index()].last_edge;
            from = edge.map_or(at, |edge| self.func.edges[edge.index()].from);
        }
        v
    }

    fn nothing(&mut self, variable: Variable) -> Value {
        match self.variables.types[variable.0 as usize] {
            types::F64 => self.f64const(0.0),
            ty => self.iconst(ty, 0),
        }
    }

    /// Gives blocks the parameters that they need for variables.
    pub(super) fn resolve_variables(&mut self) {
        let mut n = 0;
        // There come more of them meanwhile.
        while let Some(Phi { block, variable, .. }) = self.variables.phis.get(n).copied() {
            let mut args = List::default();
            let mut next = self.func.blocks[block.index()].last_edge;
            while let Some(edge) = next {
                let EdgeData { from, before, .. } = self.func.edges[edge.index()];
                let arg = self.read(variable, from, true);
                args = self.func.longer(args, arg);
                next = before;
            }
            self.variables.phis[n].args = args;
            n += 1;
        }
        let same = self.same_values();
        self.add_needed();
        if let Some(same) = same {
            self.replace_all(&same);
        }
    }

    /// Adds the parameters that are needed, and what they are on the edges.
    fn add_needed(&mut self) {
        let mut needed = std::mem::take(&mut self.variables.phis);
        needed.retain(|phi| phi.is_needed);
        // One list after the other grows, and so none has to move twice.
        needed.sort_by_key(|phi| phi.block);
        for phis in needed.chunk_by(|a, b| a.block == b.block) {
            let block = phis[0].block;
            for phi in phis {
                self.add_param(block, phi.param);
            }
            let mut next = self.func.blocks[block.index()].last_edge;
            let mut n = 0;
            while let Some(edge) = next {
                let EdgeData { mut args, before, .. } = self.func.edges[edge.index()];
                for phi in phis {
                    args = self.func.longer(args, self.func.list(phi.args)[n]);
                }
                self.func.edges[edge.index()].args = args;
                next = before;
                n += 1;
            }
        }
        needed.clear();
        self.variables.phis = needed;
    }

    /// Finds the parameters that are one other value on all edges: by value, what stands for it. `None` if there are no such.
    fn same_values(&mut self) -> Option<Vec<Value>> {
        if self.variables.phis.is_empty() {
            return None;
        }
        let mut same: Vec<Value> = (0..self.func.values() as u32).map(Value).collect();
        let mut has_changed = true;
        while has_changed {
            has_changed = false;
            for n in 0..self.variables.phis.len() {
                let phi = &self.variables.phis[n];
                if !phi.is_needed {
                    continue;
                }
                let mut others =
                    self.func.list(phi.args).iter().map(|arg| last_of(&same, *arg)).filter(|arg| *arg != phi.param);
                let first = others.next();
                if others.any(|other| Some(other) != first) {
                    continue;
                }
                let variable = phi.variable;
                let stands = first.unwrap_or_else(|| self.nothing(variable));
                if same.len() < self.func.values() {
                    same.push(stands);
                }
                let phi = &mut self.variables.phis[n];
                phi.is_needed = false;
                same[phi.param.index()] = stands;
                has_changed = true;
            }
        }
        // No other value stands for another.
        for phi in &self.variables.phis {
            same[phi.param.index()] = last_of(&same, phi.param);
        }
        Some(same).filter(|_| self.variables.phis.iter().any(|phi| !phi.is_needed))
    }

    /// Puts other values in the place of some, wherever they are used.
    fn replace_all(&mut self, same: &[Value]) {
        let replace = |v: &mut Value| *v = same[v.index()];
        for n in 0..self.func.insts.len() {
            match &mut self.func.insts[Inst(n as u32).index()] {
                InstData::Unary { arg, .. } | InstData::Load { arg, .. } => replace(arg),
                InstData::Binary { args, .. }
                | InstData::IntCompare { args, .. }
                | InstData::FloatCompare { args, .. }
                | InstData::Store { args, .. } => args.iter_mut().for_each(replace),
                InstData::Select { args } => args.iter_mut().for_each(replace),
                InstData::Branch { flag, .. } => replace(flag),
                // Their values are in lists, as are those of edges.
                InstData::Call { .. }
                | InstData::Return { .. }
                | InstData::StackPointer
                | InstData::Jump { .. }
                | InstData::Trap => {}
            }
        }
        self.func.lists.iter_mut().for_each(replace);
    }
}

/// What a value stands for, over several steps.
fn last_of(same: &[Value], v: Value) -> Value {
    let mut at = v;
    while same[at.index()] != at {
        at = same[at.index()];
    }
    at
}

#[cfg(test)]
mod tests {
    use cranelift_codegen::ir::types;

    use super::super::{Block, Builder, Func, InstData, Signature, Value};

    /// A function with one parameter, and its first block.
    fn begun() -> (Builder, Value) {
        let mut b = Builder::default();
        let entry = b.begin(Signature { params: vec![types::I64], returns: vec![types::I64] });
        let given = b.block_params(entry)[0];
        (b, given)
    }

    /// What the block returns.
    fn returned(b: &mut Builder, block: Block) -> Vec<Value> {
        let func = b.finish();
        let last = func.last(block).expect("an end");
        assert!(matches!(func.data(last), InstData::Return { .. }));
        func.args(last).to_vec()
    }

    /// What goes to a block on all edges.
    fn args_of(func: &Func, block: Block) -> Vec<Value> {
        func.edges.iter().filter(|edge| edge.to == block).flat_map(|edge| func.list(edge.args)).copied().collect()
    }

    #[test]
    fn what_a_loop_changes_is_a_parameter_of_its_block() {
        let (mut b, given) = begun();
        let variable = b.declare_var(types::I64);
        b.def_var(variable, given);
        let [round, done] = [(); 2].map(|()| b.create_block());
        b.jump(round, &[]);
        b.switch_to_block(round);
        let before = b.use_var(variable);
        let after = b.iadd_imm(before, -1);
        b.def_var(variable, after);
        b.brif(after, round, &[], done, &[]);
        b.switch_to_block(done);
        let last = b.use_var(variable);
        b.return_(&[last]);
        assert_eq!(returned(&mut b, done), [after]);
        let func = b.finish();
        assert_eq!(func.params(round), [before]);
        assert!(func.params(done).is_empty(), "one way leads there");
        assert_eq!(args_of(func, round), [given, after]);
    }

    #[test]
    fn what_a_loop_leaves_alone_is_no_parameter() {
        let (mut b, given) = begun();
        let variable = b.declare_var(types::I64);
        b.def_var(variable, given);
        let [outer, inner, done] = [(); 3].map(|()| b.create_block());
        b.jump(outer, &[]);
        b.switch_to_block(outer);
        b.jump(inner, &[]);
        b.switch_to_block(inner);
        let seen = b.use_var(variable);
        let flag = b.icmp_imm(cranelift_codegen::ir::condcodes::IntCC::Equal, seen, 7);
        let on = b.create_block();
        b.brif(flag, inner, &[], on, &[]);
        b.switch_to_block(on);
        b.brif(seen, outer, &[], done, &[]);
        b.switch_to_block(done);
        let last = b.use_var(variable);
        b.return_(&[last]);
        assert_eq!(returned(&mut b, done), [given]);
        let func = b.finish();
        assert!([outer, inner, done].iter().all(|block| func.params(*block).is_empty()));
    }

    #[test]
    fn ways_that_join_bring_each_their_own_value() {
        let (mut b, given) = begun();
        let variable = b.declare_var(types::I64);
        let [then, other, done] = [(); 3].map(|()| b.create_block());
        b.brif(given, then, &[], other, &[]);
        let mut values = Vec::new();
        for (block, n) in [(then, 100), (other, 200)] {
            b.switch_to_block(block);
            let v = b.iconst(types::I64, n);
            b.def_var(variable, v);
            b.jump(done, &[]);
            values.push(v);
        }
        b.switch_to_block(done);
        let joined = b.use_var(variable);
        b.return_(&[joined]);
        assert_eq!(returned(&mut b, done), [joined]);
        let func = b.finish();
        assert_eq!(func.params(done), [joined]);
        assert_eq!(args_of(func, done), values);
    }

    #[test]
    fn a_circle_without_a_beginning_has_no_value() {
        let (mut b, given) = begun();
        let variable = b.declare_var(types::I64);
        b.def_var(variable, given);
        b.return_(&[given]);
        let [a, c] = [(); 2].map(|()| b.create_block());
        b.switch_to_block(a);
        b.jump(c, &[]);
        b.switch_to_block(c);
        let nothing = b.use_var(variable);
        b.brif(nothing, a, &[], a, &[]);
        let func = b.finish();
        let last = func.last(c).expect("an end");
        assert_eq!(func.args(last).iter().map(|v| func.constant(*v)).collect::<Vec<_>>(), [Some(0)]);
    }
}
