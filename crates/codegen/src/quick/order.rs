//! The order of blocks, and what follows from it: which belong together, which are in loops.
//!
//! Blocks of a header stand together, and cold blocks behind all others.

use crate::mir::{Block, Func};

/// The blocks that can be reached.
pub(super) struct Blocks {
    /// In the order of numbering, and of their code.
    pub(super) order: Vec<Block>,
    /// By block: its place in `order`, if it can be reached.
    pub(super) ranks: Vec<Option<u32>>,
    /// The blocks that jump to a block, for each block those in a row.
    predecessors: Vec<Block>,
    /// By block: where its row begins. It ends where the next one begins.
    rows: Vec<u32>,
    /// By rank: the number of loops around it.
    pub(super) depths: Vec<i32>,
}

impl Blocks {
    pub(super) fn of(func: &Func, firsts: &[Block]) -> Blocks {
        let count = func.blocks();
        let mut blocks = Blocks {
            order: Vec::new(),
            ranks: vec![None; count],
            predecessors: Vec::new(),
            rows: vec![0; count + 1],
            depths: Vec::new(),
        };
        let reached = func.reached();
        let jumps = reached.iter().flat_map(|from| func.successors(*from).map(|to| (to, *from)));
        blocks.note_jumps(&jumps.collect::<Vec<(Block, Block)>>());
        blocks.put_in_order(func, &reached, firsts);
        blocks.find_loops(func);
        blocks
    }

    /// Sorts the jumps by where they go.
    fn note_jumps(&mut self, jumps: &[(Block, Block)]) {
        for (to, _) in jumps {
            self.rows[to.index() + 1] += 1;
        }
        let mut begin = 0;
        for row in &mut self.rows {
            begin += *row;
            *row = begin;
        }
        let mut next = self.rows.clone();
        self.predecessors = jumps.iter().map(|(_, from)| *from).collect();
        for (to, from) in jumps {
            let place = &mut next[to.index()];
            self.predecessors[*place as usize] = *from;
            *place += 1;
        }
    }

    pub(super) fn predecessors(&self, block: Block) -> &[Block] {
        let n = block.index();
        &self.predecessors[self.rows[n] as usize..self.rows[n + 1] as usize]
    }

    /// By block: the first block of its region, if it can be reached. Blocks that belong to the same header are a region, though
    /// side segments were recorded long after one another: values of a header are alive in its region alone. A block belongs to
    /// where all jumps to it come from, unless it is among the `firsts`.
    fn regions(&self, reached: &[Block], firsts: &[Block]) -> Vec<Option<Block>> {
        let mut regions = vec![None; self.ranks.len()];
        for first in firsts {
            regions[first.index()] = Some(*first);
        }
        for block in reached {
            if regions[block.index()].is_some() {
                continue;
            }
            let mut from = self.predecessors(*block).iter().map(|from| regions[from.index()]);
            let first = from.next().flatten().filter(|first| from.all(|other| other == Some(*first)));
            regions[block.index()] = Some(first.unwrap_or(*block));
        }
        regions
    }

    /// Cold blocks behind the others.
    fn put_in_order(&mut self, func: &Func, reached: &[Block], firsts: &[Block]) {
        let regions = self.regions(reached, firsts);
        let mut is_reached = vec![false; self.ranks.len()];
        for block in reached {
            is_reached[block.index()] = true;
        }
        let is_reached = |block: &Block| is_reached[block.index()];
        let (cold, mut hot): (Vec<Block>, Vec<Block>) =
            func.layout().iter().copied().filter(is_reached).partition(|block| func.is_cold(*block));
        // Blocks of a region side by side, in the order in which the regions begin.
        let mut begins = vec![0u32; self.ranks.len()];
        for (n, block) in hot.iter().enumerate() {
            begins[block.index()] = n as u32;
        }
        let begin_of = |block: &Block| regions[block.index()].map(|first| begins[first.index()]);
        if !hot.is_sorted_by_key(begin_of) {
            hot.sort_by_key(begin_of);
        }
        self.order = hot;
        self.order.extend(cold);
        for (rank, block) in self.order.iter().enumerate() {
            self.ranks[block.index()] = Some(rank as u32);
        }
    }

    /// A jump back makes a loop of all blocks between.
    fn find_loops(&mut self, func: &Func) {
        let mut change = vec![0i32; self.order.len() + 1];
        for (rank, block) in self.order.iter().enumerate() {
            let last = self.predecessors(*block).iter().filter(|from| !func.is_cold(**from));
            let last = last.filter_map(|from| self.rank(*from)).max();
            if let Some(last) = last.filter(|last| *last >= rank) {
                change[rank] += 1;
                change[last + 1] -= 1;
            }
        }
        let mut depth = 0;
        self.depths = change
            .iter()
            .map(|change| {
                depth += change;
                depth
            })
            .collect();
    }

    pub(super) fn rank(&self, block: Block) -> Option<usize> {
        self.ranks[block.index()].map(|rank| rank as usize)
    }
}
