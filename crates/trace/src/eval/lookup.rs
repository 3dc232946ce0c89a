//! Keys that are found without a helper, in what the model has of a table.

use super::{Eval, VALUE, Val};
use crate::ir::{Field, Helper, Inst, KeyUse, Ty};

/// The element kind of arrays that hold whole values.
pub(super) const WHOLE: u64 = 0xff;

/// That of arrays that hold booleans and nils as bytes.
const FLAGS: u64 = 0xfe;

/// The cursor in front of the first property.
const FIRST_PROPERTY: u64 = 1 << 32;

/// The cursor in front of the first entry of a hash part.
const FIRST_ENTRY: u64 = 2 << 32;

/// What became of the search for a key.
pub(super) enum Found {
    /// The value that it has, or nil.
    Value(Val),
    /// It has another value now.
    Replaced,
    /// Only the helper can tell.
    Unknown,
}

impl Eval<'_> {
    pub(super) fn look_up(&mut self, helper: Helper, inst: &Inst) -> Found {
        let Some(key_use) = helper.key_use() else { return Found::Unknown };
        let (table, key) = (self.values[inst.a().index()], self.val(inst.b()));
        if matches!(key.ty, Ty::Nil | Ty::Float) {
            return Found::Unknown;
        }
        match key_use {
            KeyUse::ReadsEntry => self.element(table, key).or_else(|| self.entry(table, key)).map(Found::Value),
            KeyUse::ReadsKnownEntry => self.known_entry(table, key, self.values[inst.c().index()]).map(Found::Value),
            KeyUse::ReadsProperty => self.property(table, key).map(Found::Value),
            KeyUse::ReplacesEntry => self.replace(table, key, self.val(inst.c())),
        }
        .unwrap_or(Found::Unknown)
    }

    fn field(&self, table: u64, field: Field) -> Option<u64> {
        self.model.fields.get(&(table, field, 0)).copied()
    }

    /// The index of an element, and the length.
    fn index(&self, table: u64, key: Val) -> Option<(u64, u64)> {
        let (n, len) = (key.bits.wrapping_sub(1), self.field(table, Field::Len)?);
        (key.ty == Ty::Int && n < len).then_some((n, len))
    }

    fn element(&self, table: u64, key: Val) -> Option<Val> {
        let (n, _) = self.index(table, key)?;
        let (kind, array) = (self.field(table, Field::Kind)?, self.field(table, Field::Array)?);
        if kind == WHOLE {
            return Some(self.model.value_at(array + n * VALUE));
        }
        if kind == FLAGS {
            return Some(Val { ty: *self.model.flags.get(&(array + n))?, bits: 0 });
        }
        Some(Val { ty: Ty::of_tag(kind as u8)?, bits: *self.model.packed.get(&(array + n * 8))? })
    }

    fn has_entries(&self, table: u64) -> bool {
        self.model.entries.range((table, Ty::Nil, 0)..).next().is_some_and(|((owner, ..), _)| *owner == table)
    }

    /// The value of an entry; nil if there is none, which long strings leave open.
    fn entry(&self, table: u64, key: Val) -> Option<Val> {
        let is_exact = key.ty != Ty::Str || self.model.bytes.contains_key(&key.bits);
        if !self.has_entries(table) {
            let shape = self.field(table, Field::Shape)?;
            let is_empty = self.model.shapes.get(&shape).is_some_and(Vec::is_empty);
            return (key.ty == Ty::Str && is_empty).then_some(Val::NIL);
        }
        let value = self.model.entries.get(&(table, key.ty, key.bits)).copied();
        value.or(is_exact.then_some(Val::NIL))
    }

    /// The value of an entry, if it is the one with this number.
    fn known_entry(&self, table: u64, key: Val, n: u64) -> Option<Val> {
        let entries = self.model.entries.range((table, Ty::Nil, 0)..).filter(|((owner, ..), _)| *owner == table);
        let ((_, ty, bits), value) = entries.clone().nth(n as usize)?;
        (*ty == key.ty && *bits == key.bits).then_some(*value)
    }

    /// A step of `next` from one element or entry to the one behind it, in the registers of a loop: whether there is one, if
    /// that can be told.
    pub(super) fn next_pair(&mut self, inst: &Inst) -> Option<bool> {
        let [table, registers, wanted] = inst.args.map(|r| self.values[r.index()]);
        let [control, closing] = [2, 3].map(|n| self.model.value_at(registers + n * VALUE));
        if closing.ty != Ty::Nil || wanted > 2 {
            return None;
        }
        let (key, value) = if closing.bits < FIRST_PROPERTY {
            let is_first = closing.bits == 0 && control.ty == Ty::Nil;
            if !is_first && (control != Val { ty: Ty::Int, ..closing } || closing.bits == 0) {
                return None;
            }
            if closing.bits == self.field(table, Field::Len).unwrap_or_default() {
                let keys = self.model.shapes.get(&self.field(table, Field::Shape)?)?;
                return (keys.is_empty() && !self.has_entries(table)).then_some(false);
            }
            let key = Val { ty: Ty::Int, bits: closing.bits + 1 };
            (key, self.element(table, key).filter(|value| value.ty != Ty::Nil)?)
        } else {
            self.entry_behind(table, control, closing.bits.checked_sub(FIRST_ENTRY)?)?
        };
        self.model.values.insert(registers + 3 * VALUE, Val { bits: closing.bits + 1, ..closing });
        self.model.values.insert(registers + 4 * VALUE, key);
        if wanted == 2 {
            self.model.values.insert(registers + 5 * VALUE, value);
        }
        Some(true)
    }

    /// Key and value of entry `at`, if the one in front has the key `last`.
    fn entry_behind(&self, table: u64, last_key: Val, at: u64) -> Option<(Val, Val)> {
        let entries = self.model.entries.range((table, Ty::Nil, 0)..).filter(|((owner, ..), _)| *owner == table);
        let mut from_last = entries.skip(at.checked_sub(1)? as usize);
        let ((_, last_ty, last), _) = from_last.next()?;
        let ((_, ty, bits), value) = from_last.next().filter(|(_, value)| value.ty != Ty::Nil)?;
        let is_last = (*last_ty, *last) == (last_key.ty, last_key.bits);
        is_last.then_some((Val { ty: *ty, bits: *bits }, *value))
    }

    fn property(&self, table: u64, key: Val) -> Option<Val> {
        let keys = self.model.shapes.get(&self.field(table, Field::Shape)?)?;
        let Some(slot) = keys.iter().position(|of_slot| *of_slot == key.bits) else { return Some(Val::NIL) };
        Some(self.model.value_at(self.field(table, Field::Slots)? + slot as u64 * VALUE))
    }

    fn replace(&mut self, table: u64, key: Val, value: Val) -> Option<Found> {
        if let Some((n, len)) = self.index(table, key) {
            let is_kept = value.ty != Ty::Nil || n + 1 < len;
            return if is_kept { self.store_element(table, n, value) } else { None };
        }
        let end = self.field(table, Field::Len).unwrap_or_default();
        if key.ty == Ty::Int && key.bits == end + 1 && value.ty != Ty::Nil {
            let mut of_table = self.model.entries.keys().filter(|(owner, ..)| *owner == table);
            let is_alone = !of_table.any(|(_, ty, bits)| *ty == Ty::Int && *bits as i64 > 0);
            let has_room = end < self.field(table, Field::Cap).unwrap_or_default();
            let stored = if is_alone && has_room { self.store_element(table, end, value) } else { None };
            if stored.is_some() {
                self.model.fields.insert((table, Field::Len, 0), end + 1);
            }
            return stored;
        }
        let entry = self.model.entries.get_mut(&(table, key.ty, key.bits)).filter(|entry| entry.ty != Ty::Nil)?;
        *entry = value;
        Some(Found::Replaced)
    }

    /// Stores an element, if the kind allows it.
    fn store_element(&mut self, table: u64, n: u64, value: Val) -> Option<Found> {
        let (kind, array) = (self.field(table, Field::Kind)?, self.field(table, Field::Array)?);
        if kind == WHOLE {
            self.model.values.insert(array + n * VALUE, value);
        } else if kind == FLAGS && value.ty.is_primitive() {
            self.model.flags.insert(array + n, value.ty);
        } else if kind == value.ty as u64 {
            self.model.packed.insert(array + n * 8, value.bits);
        } else {
            return None;
        }
        Some(Found::Replaced)
    }
}
