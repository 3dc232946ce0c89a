//! What string operations allocate beyond their results.
//!
//! Everything counts that the process asks its allocator for: temporary buffers, and the heap's blocks. Results that are
//! strings of at most 40 bytes are interned, so that the same one made again costs nothing; longer ones are new each time,
//! and their own size is taken off.

use std::alloc::System;

use perilune_testkit::lab::Lab;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Rounds of each operation.
const ROUNDS: usize = 4000;

/// What a string takes besides its bytes: its header and length, and the rest of its cell.
const STRING_OVERHEAD: usize = 16 + 32;

/// Operations that are measured: an expression, the length of its result if that is not interned, and the budget in bytes.
const BUDGETS: &[(&str, usize, usize)] = &[
    ("('key = value'):match('(%w+) = (%w+)')", 0, 50),
    ("('a line with 42 in it'):match('%d+')", 0, 50),
    ("text:match('needle')", 0, 50),
    ("text:find('needle', 1, true)", 0, 50),
    ("('hello world'):gsub('o', '0')", 0, 200),
    ("('hello world'):gsub('%w+', '<%0>')", 0, 200),
    ("('hello world'):gsub('%w+', string.upper)", 0, 200),
    ("('hello world'):gsub('%w+', { hello = 'bye' })", 0, 200 + 200),
    ("text:gsub('needle', 'thread')", 2006, 200),
    ("('%d: %s'):format(7, 'seven')", 0, 100),
    ("('%5.2f %x %q'):format(2.5, 255, 'q')", 0, 100),
    ("('%s %s'):format(text, 'end')", 2010, 100),
    ("text:sub(2, 11)", 0, 50),
    ("('Word'):lower()", 0, 50),
    ("text:upper()", 2006, 50),
    ("('ab'):rep(20)", 0, 50),
    ("('a' .. 1 .. 'b' .. 2.5)", 0, 50),
    ("tostring(12345)", 0, 50),
];

/// Bytes that the process allocates for a round of an expression, beyond its result.
fn cost(expression: &str, result: usize) -> usize {
    let mut lab = Lab::new();
    lab.run("text = ('x'):rep(1000) .. 'needle' .. ('y'):rep(1000)").values();
    // Without the collector the heap only grows.
    lab.vm.heap_mut().stop();
    let source = format!("for i = 1, {ROUNDS} do local r = {expression} end");
    // The first rounds make what later ones use again.
    lab.run(&source).values();
    let region = Region::new(ALLOCATOR);
    lab.run(&source).values();
    let all = region.change().bytes_allocated;
    let results = if result == 0 { 0 } else { ROUNDS * (result + STRING_OVERHEAD) };
    // Compiling the loop is no part of a round.
    all.saturating_sub(results) / ROUNDS
}

// One test, because the allocator is the process's.
#[test]
fn string_operations_allocate_little_beyond_their_results() {
    let mut too_much = Vec::new();
    for &(expression, result, budget) in BUDGETS {
        let bytes = cost(expression, result);
        println!("{bytes:>6} bytes of {budget:>4}: {expression}");
        if bytes >= budget {
            too_much.push(format!("{expression} allocates {bytes} bytes beyond its result, its budget is {budget}"));
        }
    }
    assert!(too_much.is_empty(), "{}", too_much.join("\n"));
}
