//! Rows of library tables: a name, a function, and the versions that have it.
//!
//! ```text
//! row("log10", log10).until(Lua54).not_in_manual(&[Lua52, Lua53, Lua54])
//! ```
//!
//! A version may have a function that its manual no longer has, because the reference's default build keeps it; the strict
//! dialect of that version lacks it. Two rows may have one name, in different versions: so a difference in behaviour that is
//! more than a detail costs nothing at run time.

use perilune_base::dialect::{Dialect, LuaVersion};
use perilune_runtime::object::{DirectFn, TableRef};
use perilune_vm::native::{Intrinsic, NativeFn};
use perilune_vm::vm::Vm;

/// The versions that have something.
#[derive(Clone, Copy)]
pub struct Life {
    since: LuaVersion,
    until: LuaVersion,
    not_in_manual: &'static [LuaVersion],
}

impl Life {
    /// All versions.
    pub const ALL: Life = Life { since: LuaVersion::Lua51, until: LuaVersion::LATEST, not_in_manual: &[] };

    /// All up to one.
    #[must_use]
    pub const fn until(until: LuaVersion) -> Life {
        Life { until, ..Life::ALL }
    }

    /// None before one.
    #[must_use]
    pub const fn since(self, since: LuaVersion) -> Life {
        Life { since, ..self }
    }

    /// These versions have it although their manuals do not.
    #[must_use]
    pub const fn not_in_manual(self, versions: &'static [LuaVersion]) -> Life {
        Life { not_in_manual: versions, ..self }
    }

    /// Whether it is in a dialect.
    pub fn is_in(&self, dialect: &Dialect) -> bool {
        let version = dialect.version;
        self.since <= version && version <= self.until && !(dialect.strict && self.not_in_manual.contains(&version))
    }
}

/// A row of a library table.
#[derive(Clone, Copy)]
pub struct Row {
    /// The field's name.
    pub name: &'static str,
    /// The versions that have it.
    pub life: Life,
    func: NativeFn,
    intrinsic: Intrinsic,
    direct: Option<DirectFn>,
}

/// A library function of all versions.
pub const fn row(name: &'static str, func: NativeFn) -> Row {
    intrinsic(name, func, Intrinsic::None)
}

/// A library function without effects that runs no Lua code for arguments that are no objects.
pub const fn plain(name: &'static str, func: NativeFn) -> Row {
    intrinsic(name, func, Intrinsic::Plain)
}

/// A library function that a compiler tier knows.
pub const fn intrinsic(name: &'static str, func: NativeFn, intrinsic: Intrinsic) -> Row {
    Row { name, life: Life::ALL, func, intrinsic, direct: None }
}

impl Row {
    /// The same row with a direct form. Whatever that gives, the function must give for the same arguments, at the price
    /// of one call.
    #[must_use]
    pub const fn direct(self, direct: DirectFn) -> Row {
        Row { direct: Some(direct), ..self }
    }

    /// Older versions lack it.
    #[must_use]
    pub const fn since(self, since: LuaVersion) -> Row {
        Row { life: Life { since, ..self.life }, ..self }
    }

    /// Newer versions lack it.
    #[must_use]
    pub const fn until(self, until: LuaVersion) -> Row {
        Row { life: Life { until, ..self.life }, ..self }
    }

    /// These versions have it although their manuals do not.
    #[must_use]
    pub const fn not_in_manual(self, versions: &'static [LuaVersion]) -> Row {
        Row { life: self.life.not_in_manual(versions), ..self }
    }
}

/// Fills a library table with the rows that the VM's dialect has.
pub fn register(vm: &mut Vm, table: TableRef, rows: &[Row]) {
    let dialect = vm.dialect();
    for row in rows.iter().filter(|row| row.life.is_in(dialect)) {
        let function = vm.library_function(row.func, row.intrinsic, row.direct);
        vm.set_field(table, row.name, function);
    }
}

/// Gives a field of a library table a second name, maybe in another table, if the VM's dialect has that.
pub fn alias(vm: &mut Vm, from: (TableRef, &str), to: (TableRef, &str), life: Life) {
    if life.is_in(vm.dialect()) {
        let value = vm.get_field(from.0, from.1);
        vm.set_field(to.0, to.1, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LuaVersion::{Lua51, Lua52, Lua53, Lua54, Lua55};

    #[test]
    fn strict_dialects_have_what_their_manuals_have() {
        let pow = row("pow", |_| Ok(0)).until(Lua54).not_in_manual(&[Lua53, Lua54]);
        let has = |strict| LuaVersion::ALL.map(|version| pow.life.is_in(Dialect::of(version, strict)));
        assert_eq!(has(false), [true, true, true, true, false]);
        assert_eq!(has(true), [true, true, false, false, false]);
        let new = row("x", |_| Ok(0)).since(Lua55);
        assert!([Lua51, Lua52, Lua53, Lua54].iter().all(|v| !new.life.is_in(Dialect::of(*v, false))));
    }
}
