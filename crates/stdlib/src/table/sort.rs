//! `table.sort`.
//!
//! The algorithm is the reference's quicksort, step by step: the same elements are compared in the same order, so that
//! unstable orders, inconsistent comparison functions and their errors come out the same. It works in the table itself,
//! whose elements a comparison may change, remove or make inaccessible.
//!
//! Arrays of equal kind in the order of `<` are sorted at once, since equal elements of them cannot be told apart. That is
//! not so with zeros of different sign, and there is no order with NaN.

use perilune_base::dialect::library::SortBounds;
use perilune_runtime::object::TableRef;
use perilune_runtime::value::Value;
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

use super::access::{Needs, check, element, length, plain, set_element};

/// The argument that is the comparison function, or nil.
const COMPARISON: usize = 2;
/// Slots that root the elements being compared.
const PIVOT: usize = 3;
const LEFT: usize = 4;
const RIGHT: usize = 5;

/// Partitions larger than this may have a random pivot (`RANLIMIT`).
const RANDOM_PIVOT_ABOVE: i64 = 100;

/// A partition is out of balance if one side is so many times as large as the other.
const IMBALANCE: i64 = 128;

pub(super) fn sort(vm: &mut Vm) -> NativeResult {
    let object = check(vm, 1, Needs::READ_WRITE_LENGTH)?;
    if vm.dialect().raw_lists && !vm.arg(COMPARISON).is_nil() {
        vm.check_function(COMPARISON)?;
    }
    let size = length(vm, object)?;
    if size < 2 {
        return Ok(0);
    }
    if size >= i64::from(i32::MAX) {
        return Err(vm.arg_error(1, "array too big"));
    }
    if vm.arg(COMPARISON).is_nil() {
        if let Some(table) = plain(vm, object)
            && size == i64::from(table.array_len())
            && sort_at_once(vm, table)?
        {
            return Ok(0);
        }
    } else {
        vm.check_function(COMPARISON)?;
    }
    vm.set_top(RIGHT);
    let sort = Sort { object, comparison: vm.arg(COMPARISON) };
    sort.range(vm, 1, size, 0)?;
    Ok(0)
}

/// Sorts the array part, if its elements are of one kind and equal ones cannot be told apart. Returns whether it did.
fn sort_at_once(vm: &mut Vm, table: TableRef) -> Result<bool, Raised> {
    const COMPARISONS_PER_UNIT: u64 = 4;
    let len = table.array_len();
    let is_peculiar =
        |value: Value| value.as_float().is_some_and(|float| float.is_nan() || float == 0.0 && float.is_sign_negative());
    if table.array_get(1).as_float().is_some() && (1..=len).any(|i| is_peculiar(table.array_get(i))) {
        return Ok(false);
    }
    vm.charge(u64::from(len) * u64::from(len.ilog2() + 1) / COMPARISONS_PER_UNIT)?;
    Ok(table.array_sort())
}

struct Sort {
    object: Value,
    comparison: Value,
}

impl Sort {
    /// Sorts the elements from `low` to `high` (`auxsort`). With `random` not 0, the pivots of large ranges depend on it.
    fn range(&self, vm: &mut Vm, mut low: i64, mut high: i64, mut random: u32) -> Result<(), Raised> {
        while low < high {
            vm.charge((high - low) as u64)?;
            // Sort the first, the last, and the one that becomes the pivot.
            self.load(vm, LEFT, low)?;
            self.load(vm, RIGHT, high)?;
            if self.is_less(vm, RIGHT, LEFT)? {
                self.store(vm, low, RIGHT)?;
                self.store(vm, high, LEFT)?;
            }
            if high - low == 1 {
                return Ok(());
            }
            let middle = if high - low < RANDOM_PIVOT_ABOVE || random == 0 {
                (low + high) / 2
            } else {
                random_pivot(low, high, random)
            };
            self.load(vm, LEFT, middle)?;
            self.load(vm, RIGHT, low)?;
            if self.is_less(vm, LEFT, RIGHT)? {
                self.store(vm, middle, RIGHT)?;
                self.store(vm, low, LEFT)?;
            } else {
                self.load(vm, RIGHT, high)?;
                if self.is_less(vm, RIGHT, LEFT)? {
                    self.store(vm, middle, RIGHT)?;
                    self.store(vm, high, LEFT)?;
                }
            }
            if high - low == 2 {
                return Ok(());
            }
            self.load(vm, PIVOT, middle)?;
            self.load(vm, LEFT, high - 1)?;
            self.store(vm, middle, LEFT)?;
            self.store(vm, high - 1, PIVOT)?;
            let pivot = self.partition(vm, low, high)?;
            // The smaller side recursively, the larger one in this loop.
            let smaller = if pivot - low < high - pivot {
                self.range(vm, low, pivot - 1, random)?;
                let size = pivot - low;
                low = pivot + 1;
                size
            } else {
                self.range(vm, pivot + 1, high, random)?;
                let size = high - pivot;
                high = pivot - 1;
                size
            };
            if (high - low) / IMBALANCE > smaller && vm.dialect().sort_bounds == SortBounds::Exact {
                random = vm.host().random_seed().0 as u32;
            }
        }
        Ok(())
    }

    /// Divides the range around the pivot, which stands in its slot and at `high - 1`; returns where it belongs.
    ///
    /// The first element is not above the pivot, the last not below it, so both scans end: if they do not, the comparison
    /// is at fault.
    fn partition(&self, vm: &mut Vm, low: i64, high: i64) -> Result<i64, Raised> {
        let (mut i, mut j) = (low, high - 1);
        // From where on the scans are too far: `i` here, `j` before here. Older versions notice it later.
        let (first, last) = match vm.dialect().sort_bounds {
            SortBounds::Outside => (Some(low), high + 1),
            SortBounds::Ends => (Some(low + 1), high),
            SortBounds::Exact => (None, high - 1),
        };
        loop {
            i += 1;
            self.load(vm, LEFT, i)?;
            while self.is_less(vm, LEFT, PIVOT)? {
                if i >= last {
                    return Err(vm.error("invalid order function for sorting"));
                }
                i += 1;
                self.load(vm, LEFT, i)?;
            }
            j -= 1;
            self.load(vm, RIGHT, j)?;
            while self.is_less(vm, PIVOT, RIGHT)? {
                if j < first.unwrap_or(i) {
                    return Err(vm.error("invalid order function for sorting"));
                }
                j -= 1;
                self.load(vm, RIGHT, j)?;
            }
            if j < i {
                self.store(vm, high - 1, LEFT)?;
                self.store(vm, i, PIVOT)?;
                return Ok(i);
            }
            self.store(vm, i, RIGHT)?;
            self.store(vm, j, LEFT)?;
        }
    }

    /// Whether the element in one slot is less than that in another.
    #[inline]
    fn is_less(&self, vm: &mut Vm, a: usize, b: usize) -> Result<bool, Raised> {
        let (a, b) = (vm.arg(a), vm.arg(b));
        if self.comparison.is_nil() {
            return vm.less_than(a, b);
        }
        vm.push(self.comparison);
        vm.push(a);
        vm.push(b);
        vm.call(2, 1)?;
        Ok(vm.pop().is_truthy())
    }

    #[inline]
    fn load(&self, vm: &mut Vm, slot: usize, i: i64) -> Result<(), Raised> {
        let value = element(vm, self.object, i)?;
        vm.set_arg(slot, value);
        Ok(())
    }

    #[inline]
    fn store(&self, vm: &mut Vm, i: i64, slot: usize) -> Result<(), Raised> {
        set_element(vm, self.object, i, vm.arg(slot))
    }
}

/// A place in the middle half of the range.
fn random_pivot(low: i64, high: i64, random: u32) -> i64 {
    let quarter = (high - low) / 4;
    i64::from(random) % (quarter * 2) + low + quarter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_pivots_lie_in_the_middle_half() {
        for random in [1, 49, 50, u32::MAX] {
            assert!((125..=175).contains(&random_pivot(100, 200, random)));
        }
    }
}
