//! The standard libraries of Lua.
//!
//! Each library is a module with a function `open`, which makes the library's table and publishes it as a global and in
//! `package.loaded`. [`open`] opens any set of them. All of the outside world that they touch is behind
//! [`perilune_vm::host::Host`].
//!
//! A library function is a row of a table; see [`perilune_vm::native`] for what it may do.
#![forbid(unsafe_code)]

use crate::row::Row;
use perilune_runtime::object::{StrRef, TableRef};
use perilune_runtime::value::Value;
use perilune_vm::native::Raised;
use perilune_vm::vm::Vm;

pub mod base;
pub mod bits;
pub mod coroutine;
pub mod debug;
pub mod io;
pub mod jit;
pub mod math;
mod numbers;
pub mod os;
pub mod package;
pub mod row;
pub mod sandbox;
pub mod string;
pub mod table;
pub mod utf8;

/// The field of the registry that holds `package.loaded`.
const LOADED: &str = "_LOADED";

/// A set of standard libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Libraries(u16);

impl Libraries {
    /// No library.
    pub const NONE: Libraries = Libraries(0);
    /// The basic functions: `print`, `pairs`, `pcall`, ...
    pub const BASE: Libraries = Libraries(1 << 0);
    /// `package` and `require`
    pub const PACKAGE: Libraries = Libraries(1 << 1);
    /// `coroutine`
    pub const COROUTINE: Libraries = Libraries(1 << 2);
    /// `table`
    pub const TABLE: Libraries = Libraries(1 << 3);
    /// `io`
    pub const IO: Libraries = Libraries(1 << 4);
    /// `os`
    pub const OS: Libraries = Libraries(1 << 5);
    /// `string`
    pub const STRING: Libraries = Libraries(1 << 6);
    /// `math`
    pub const MATH: Libraries = Libraries(1 << 7);
    /// `utf8`
    pub const UTF8: Libraries = Libraries(1 << 8);
    /// `debug`
    pub const DEBUG: Libraries = Libraries(1 << 9);
    /// `bit32`
    pub const BIT32: Libraries = Libraries(1 << 10);
    /// All of them.
    pub const ALL: Libraries = Libraries((1 << 11) - 1);

    /// The libraries in either set.
    #[must_use]
    pub const fn union(self, other: Libraries) -> Libraries {
        Libraries(self.0 | other.0)
    }

    /// The libraries in this set but not in `other`.
    #[must_use]
    pub const fn without(self, other: Libraries) -> Libraries {
        Libraries(self.0 & !other.0)
    }

    /// The libraries in both sets.
    #[must_use]
    pub const fn and(self, other: Libraries) -> Libraries {
        Libraries(self.0 & other.0)
    }

    /// Whether all of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Libraries) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for Libraries {
    type Output = Libraries;

    /// As [`Libraries::union`].
    fn bitor(self, other: Libraries) -> Libraries {
        self.union(other)
    }
}

/// Opens one library.
type Opener = fn(&mut Vm);

/// What opens each library, in the order of the reference.
const OPENERS: &[(Libraries, Opener)] = &[
    (Libraries::BASE, base::open),
    (Libraries::PACKAGE, package::open),
    (Libraries::COROUTINE, coroutine::open),
    (Libraries::TABLE, table::open),
    (Libraries::IO, io::open),
    (Libraries::OS, os::open),
    (Libraries::STRING, string::open),
    (Libraries::MATH, math::open),
    (Libraries::UTF8, utf8::open),
    (Libraries::BIT32, bits::open),
    (Libraries::DEBUG, debug::open),
];

/// Opens all standard libraries.
pub fn open_all(vm: &mut Vm) {
    open(vm, Libraries::ALL);
}

/// Opens a set of libraries.
pub fn open(vm: &mut Vm, libraries: Libraries) {
    for (library, open) in OPENERS {
        if libraries.contains(*library) {
            open(vm);
        }
    }
}

/// Makes a library's table, fills it, and publishes it as the global `name` and as `package.loaded[name]`.
pub fn new_library(vm: &mut Vm, name: &str, rows: &[Row]) -> TableRef {
    let library = vm.table(0, rows.len());
    crate::row::register(vm, library, rows);
    let globals = vm.globals();
    vm.set_field(globals, name, Value::table(library));
    publish(vm, name, library);
    library
}

/// What C sees of a string: all before the first zero byte.
fn c_string(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or(bytes)
}

/// A string argument that the reference takes for a C string, as it does names of files and modules. What is before its first
/// zero byte replaces it.
fn name_argument(vm: &mut Vm, i: usize) -> Result<StrRef, Raised> {
    let name = vm.check_str(i)?;
    let bytes = c_string(name.as_bytes());
    if bytes.len() == name.as_bytes().len() {
        return Ok(name);
    }
    let name = vm.string(bytes);
    vm.set_arg(i, name);
    vm.check_str(i)
}

/// The error for an argument that is none of several types.
fn expected(vm: &mut Vm, i: usize, types: &str) -> Raised {
    if vm.dialect().got_of_several { vm.type_error(i, types) } else { vm.arg_error(i, &format!("{types} expected")) }
}

/// Sets `package.loaded[name]`.
fn publish(vm: &mut Vm, name: &str, library: TableRef) {
    let loaded = registry_table(vm, LOADED);
    vm.set_field(loaded, name, Value::table(library));
}

/// The table in a field of the registry, made if there is none.
fn registry_table(vm: &mut Vm, name: &str) -> TableRef {
    let registry = vm.registry();
    match vm.get_field(registry, name).as_table() {
        Some(table) => table,
        None => {
            let table = vm.table(0, Libraries::ALL.0.count_ones() as usize + 1);
            vm.set_field(registry, name, Value::table(table));
            table
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_libraries_combine() {
        let safe = Libraries::ALL.without(Libraries::IO.union(Libraries::OS));
        assert!(safe.contains(Libraries::MATH | Libraries::DEBUG));
        assert!(!safe.contains(Libraries::IO) && !safe.contains(Libraries::OS));
        assert!(safe.contains(Libraries::NONE));
    }
}
