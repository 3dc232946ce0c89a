//! Elements of tables, and constructors.

use perilune_bytecode::ops::Instr;
use perilune_runtime::object::{ANY_ELEMENTS, BOOL_ELEMENTS, Form, may_have_holes};
use perilune_runtime::table::EMPTY_ELEMENTS;
use perilune_runtime::value::{Tag, Value};
use perilune_trace::ir::{Field, Helper, Op as Ir, Ref, Start, Ty};
use perilune_trace::opt::sink::MAX_ELEMENTS;
use perilune_vm::meta::Event;

use super::Recorder;
use super::field::MAX_CHAIN;
use super::state::type_of;
use crate::abort::Abort;
use crate::seen::Load;
use crate::view::{TableView, View};

/// The element kind of an array whose elements are of a type.
fn element_kind(ty: Ty) -> u8 {
    match ty {
        Ty::Int | Ty::Float | Ty::Str | Ty::Table => ty as u8,
        Ty::False | Ty::True => BOOL_ELEMENTS,
        Ty::Nil | Ty::Light | Ty::LuaFn | Ty::NativeFn | Ty::UserData | Ty::Thread | Ty::Ptr | Ty::Void | Ty::Num => {
            ANY_ELEMENTS
        }
    }
}

/// Whether an array of an element kind, without its kind being changed, can have elements of a type.
fn admits(kind: u8, ty: Ty) -> bool {
    kind == ANY_ELEMENTS || kind == element_kind(ty)
}

impl Recorder {
    pub(super) fn get_table(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let (object, key) = (self.get(view, i.b())?, self.get(view, i.c())?);
        let seen = (view.reg(i.b().into()), view.reg(i.c().into()));
        self.read(view, object, key, seen, i.a())
    }

    pub(super) fn get_int(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let object = self.get(view, i.b())?;
        let key = self.builder.int(i64::from(i.d()));
        let seen = (view.reg(i.b().into()), Value::int(i64::from(i.d())));
        self.read(view, object, key, seen, i.a())
    }

    /// Register `target` becomes `object[key]`.
    fn read(&mut self, view: &View<'_>, object: Ref, key: Ref, seen: (Value, Value), target: u8) -> Result<(), Abort> {
        if seen.1.tag == Tag::Str && self.builder.tree().is_const(key) && view.is_short(seen.1) {
            return self.read_field(view, object, seen.0, seen.1, target);
        }
        let mut object = object;
        let mut table = view.table(seen.0).ok_or(Abort::Metamethod)?;
        for _ in 0..MAX_CHAIN {
            let value = self.element(view, object, table, key, seen.1)?;
            let handler =
                if self.ty(value) == Ty::Nil { self.handler(view, object, table, Event::Index)? } else { None };
            let Some((handler, found)) = handler else {
                self.set(target, value);
                return Ok(());
            };
            if found.tag == Tag::Table {
                object = handler;
                table = view.table(found).ok_or(Abort::Metamethod)?;
                continue;
            }
            if self.ty(key) == Ty::Int && !view.dialect().integers {
                // The handler would see a number that scripts do not have.
                return Err(Abort::Metamethod);
            }
            return self.call_handler(view, handler, found, &[object, key], 1);
        }
        Err(Abort::Metamethod)
    }

    /// The raw value of a key.
    pub(super) fn element(
        &mut self,
        view: &View<'_>,
        object: Ref,
        table: TableView,
        key: Ref,
        seen: Value,
    ) -> Result<Ref, Abort> {
        match seen.tag {
            Tag::Int => self.any_int_element(object, table, key, seen.raw_int()),
            Tag::Float if perilune_base::num::convert::float_to_int(seen.raw_float()).is_some() => {
                let n = self.int_of(key)?;
                self.any_int_element(object, table, n, seen.raw_float() as i64)
            }
            Tag::Str => {
                let ty = type_of(table.get(seen))?;
                let snap = self.snap();
                // An empty table that is asked for a computed key is a dictionary to be.
                let is_map = table.is_dictionary() || table.shape() == view.root_shape();
                let helper = if is_map { Helper::GetStr } else { Helper::GetProp };
                Ok(self.builder.call(helper, &[object, key], ty, Some(snap)))
            }
            _ => {
                let ty = type_of(table.get(seen))?;
                let snap = self.snap();
                Ok(self.builder.call(Helper::GetRaw, &[object, key], ty, Some(snap)))
            }
        }
    }

    /// The raw value of an integer key of an instruction that may have met both elements and other integers.
    fn any_int_element(&mut self, object: Ref, table: TableView, key: Ref, seen: i64) -> Result<Ref, Abort> {
        let is_element = (seen as u64).wrapping_sub(1) < table.len();
        let is_whole = may_have_holes(table.kind()) || table.has_hash();
        if is_whole && !self.met.element((self.frame().proto, self.pc), is_element) {
            let ty = type_of(table.get(Value::int(seen)))?;
            let snap = self.snap();
            return Ok(self.builder.call(Helper::GetInt, &[object, key], ty, Some(snap)));
        }
        self.int_element(object, table, key, seen)
    }

    /// The raw value of an integer key.
    pub(super) fn int_element(&mut self, object: Ref, table: TableView, key: Ref, seen: i64) -> Result<Ref, Abort> {
        let value = table.get(Value::int(seen));
        let ty = type_of(value)?;
        let index = (seen as u64).wrapping_sub(1);
        let len = self.load(Field::Len, object);
        if index < table.len() {
            let one = self.builder.int(1);
            let n = self.builder.value(Ir::Sub, &[key, one]);
            let load = self.load_as(ty, Some(table.kind()));
            if load == Load::Mixed {
                self.guard(Ir::Below, &[n, len])?;
                let array = self.load(Field::Array, object);
                let snap = self.snap();
                return Ok(self.builder.number_mixed(array, n, object, snap));
            }
            self.guard_kind(object, table)?;
            self.guard(Ir::Below, &[n, len])?;
            let array = self.load(Field::Array, object);
            return Ok(match (Form::of(table.kind()), load) {
                (Form::Values, Load::Typed) => {
                    let snap = self.snap();
                    self.builder.load_elem(array, n, ty, snap)?
                }
                (Form::Values, Load::Either | Load::Mixed) => {
                    let snap = self.snap();
                    self.builder.number_elem(array, n, snap)?
                }
                (Form::Payloads, _) => self.builder.load_packed(array, n, ty)?,
                (Form::Tags, _) => {
                    // What a boolean is decides which way the path goes. The other way need not check again what was checked
                    // in front of it.
                    self.branch_snap = None;
                    let snap = self.own_snap();
                    self.builder.load_flag(array, n, ty, snap)?
                }
            });
        }
        if table.has_hash() {
            let snap = self.snap();
            return Ok(self.builder.call(Helper::GetInt, &[object, key], ty, Some(snap)));
        }
        let one = self.builder.int(1);
        let n = self.builder.value(Ir::Sub, &[key, one]);
        self.guard(Ir::NotBelow, &[n, len])?;
        let hash = self.load(Field::Hash, object);
        let null = self.builder.pointer(0);
        self.guard(Ir::Eq, &[hash, null])?;
        Ok(self.builder.primitive(Ty::Nil))
    }

    /// Relies on a table's element kind.
    pub(super) fn guard_kind(&mut self, object: Ref, table: TableView) -> Result<(), Abort> {
        let kind = self.load(Field::Kind, object);
        let expected = self.builder.int(i64::from(table.kind()));
        self.guard(Ir::Eq, &[kind, expected])
    }

    pub(super) fn set_table(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let (object, key) = (self.get(view, i.a())?, self.get(view, i.b())?);
        let seen = (view.reg(i.a().into()), view.reg(i.b().into()));
        let value = self.element_value(view, seen.0, i.c())?;
        self.write(view, object, key, value, seen)
    }

    pub(super) fn set_int(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let object = self.get(view, i.a())?;
        let key = self.builder.int(i64::from(i.d()));
        let seen = (view.reg(i.a().into()), Value::int(i64::from(i.d())));
        let value = self.element_value(view, seen.0, i.c())?;
        self.write(view, object, key, value, seen)
    }

    /// The register that becomes an element of a table: where it must fit the element kind, its type is relied on.
    fn element_value(&mut self, view: &View<'_>, table: Value, register: u8) -> Result<Ref, Abort> {
        let takes_any = view.table(table).is_some_and(|table| table.kind() == ANY_ELEMENTS);
        if takes_any { self.get_number(view, register) } else { self.get(view, register) }
    }

    /// `object[key] = value`.
    fn write(&mut self, view: &View<'_>, object: Ref, key: Ref, value: Ref, seen: (Value, Value)) -> Result<(), Abort> {
        let table = view.table(seen.0).ok_or(Abort::Metamethod)?;
        match seen.1.tag {
            Tag::Int => self.write_int(view, object, table, key, value, seen.1.raw_int()),
            Tag::Float if perilune_base::num::convert::float_to_int(seen.1.raw_float()).is_some() => {
                let n = self.int_of(key)?;
                self.write_int(view, object, table, n, value, seen.1.raw_float() as i64)
            }
            Tag::Nil => Err(Abort::Error),
            Tag::Float if seen.1.raw_float().is_nan() => Err(Abort::Error),
            tag => {
                if let Some(handler) = self.new_index(view, object, table, key, seen.1)? {
                    return self.call_new_index(view, handler, object, (key, seen.1), value);
                }
                let helper = if tag == Tag::Str { Helper::SetDynamic } else { Helper::SetRaw };
                self.store_with_helper(helper, &[object, key, value]);
                Ok(())
            }
        }
    }

    /// What `__newindex` says of a store, relied on: nothing where there is no handler, or the key has a value.
    pub(super) fn new_index(
        &mut self,
        view: &View<'_>,
        object: Ref,
        table: TableView,
        key: Ref,
        seen: Value,
    ) -> Result<Option<(Ref, Value)>, Abort> {
        let Some(handler) = self.handler(view, object, table, Event::NewIndex)? else { return Ok(None) };
        let present = self.element(view, object, table, key, seen)?;
        Ok((self.ty(present) == Ty::Nil).then_some(handler))
    }

    /// A store that `__newindex` redirects: the call of a function begins, or a table takes it. `key` is what the trace and what
    /// the VM has.
    pub(super) fn call_new_index(
        &mut self,
        view: &View<'_>,
        handler: (Ref, Value),
        object: Ref,
        key: (Ref, Value),
        value: Ref,
    ) -> Result<(), Abort> {
        let (key, seen) = key;
        if handler.1.tag == Tag::Table {
            if self.redirections == MAX_CHAIN || self.ty(value) == Ty::Num && seen.tag != Tag::Str {
                return Err(Abort::Metamethod);
            }
            self.redirections += 1;
            let stored = if seen.tag == Tag::Str && self.builder.tree().is_const(key) {
                self.write_field(view, handler.0, handler.1, seen, value)
            } else {
                self.write(view, handler.0, key, value, (handler.1, seen))
            };
            self.redirections -= 1;
            return stored;
        }
        let key = if self.ty(key) == Ty::Int { self.number_of(view, key) } else { key };
        self.call_handler(view, handler.0, handler.1, &[object, key, value], 0)
    }

    pub(super) fn write_int(
        &mut self,
        view: &View<'_>,
        object: Ref,
        table: TableView,
        key: Ref,
        value: Ref,
        seen: i64,
    ) -> Result<(), Abort> {
        let index = (seen as u64).wrapping_sub(1);
        let ty = self.ty(value);
        let one = self.builder.int(1);
        let n = self.builder.value(Ir::Sub, &[key, one]);
        let len = self.load(Field::Len, object);
        if index < table.len() {
            // Without a metatable it does not matter whether there is a value.
            let is_plain = table.meta().is_none();
            let present = is_plain || !table.get(Value::int(seen)).is_nil();
            if present && ty != Ty::Nil && admits(table.kind(), ty) {
                self.guard_kind(object, table)?;
                self.guard(Ir::Below, &[n, len])?;
                let array = self.load(Field::Array, object);
                if may_have_holes(table.kind()) {
                    self.rely_on_presence(object, table, (array, n), seen)?;
                }
                self.store_in_array(table.kind(), array, n, value);
                self.barrier(object, value);
                return Ok(());
            }
        }
        if let Some(handler) = self.new_index(view, object, table, key, Value::int(seen))? {
            return self.call_new_index(view, handler, object, (key, Value::int(seen)), value);
        }
        if index == table.len() && ty != Ty::Nil {
            if table.has_room() && admits(table.kind(), ty) {
                return self.append(object, table.kind(), n, len, value);
            }
            if let Some(kind) = self.kind_once_grown(object, table, ty) {
                return self.append(object, kind, n, len, value);
            }
        }
        self.has_grown |= index == table.len() && self.lacked_room(object);
        self.store_with_helper(Helper::SetInt, &[object, key, value]);
        Ok(())
    }

    /// Whether the path begins where an append to this table was not possible.
    fn lacked_room(&self, object: Ref) -> bool {
        let tree = self.builder.tree();
        let Some(Start::Snapshot(start)) = tree.segments.last().map(|segment| segment.start) else { return false };
        let is_room = |r: Ref| tree.inst(r).field() == Some(Field::Cap) && tree.inst(r).a() == object;
        tree.insts.iter().any(|inst| inst.snap == Some(start) && inst.op == Ir::Below && is_room(inst.b()))
    }

    /// Relies on what makes a store to an element of an array with holes need no look at `__newindex`.
    fn rely_on_presence(&mut self, object: Ref, table: TableView, at: (Ref, Ref), seen: i64) -> Result<(), Abort> {
        if table.meta().is_none() {
            self.metatable(object, table)?;
            return Ok(());
        }
        let snap = self.snap();
        if Form::of(table.kind()) == Form::Tags {
            self.builder.load_flag(at.0, at.1, type_of(table.get(Value::int(seen)))?, snap)?;
        } else {
            self.builder.has_elem(at.0, at.1, snap)?;
        }
        Ok(())
    }

    /// Stores an element that the kind admits.
    fn store_in_array(&mut self, kind: u8, array: Ref, n: Ref, value: Ref) {
        match Form::of(kind) {
            Form::Values => self.builder.store_elem(array, n, value),
            Form::Payloads => self.builder.store_packed(array, n, value),
            Form::Tags => self.builder.store_flag(array, n, value),
        }
    }

    /// Where the first way through a loop happens to see the array grow, it is recorded as most others will be: with room, and
    /// with the element kind that the array has from here on. Nothing for what must be recorded as it is.
    fn kind_once_grown(&self, object: Ref, table: TableView, ty: Ty) -> Option<u8> {
        let tree = self.builder.tree();
        let is_first_way = tree.segments.last().is_some_and(|segment| matches!(segment.start, Start::Header(_)));
        if !is_first_way || table.has_hash() || self.is_new(object) {
            return None;
        }
        let kind = if table.len() == 0 { element_kind(ty) } else { table.kind() };
        admits(kind, ty).then_some(kind)
    }

    /// Appends with room, which makes nothing grow.
    fn append(&mut self, object: Ref, kind: u8, n: Ref, len: Ref, value: Ref) -> Result<(), Abort> {
        let loaded = self.load(Field::Kind, object);
        let expected = self.builder.int(i64::from(kind));
        self.guard(Ir::Eq, &[loaded, expected])?;
        self.guard(Ir::Eq, &[n, len])?;
        let cap = self.load(Field::Cap, object);
        self.guard(Ir::Below, &[len, cap])?;
        let hash = self.load(Field::Hash, object);
        let null = self.builder.pointer(0);
        self.guard(Ir::Eq, &[hash, null])?;
        let array = self.load(Field::Array, object);
        self.store_in_array(kind, array, n, value);
        let one = self.builder.int(1);
        let longer = self.builder.value(Ir::Add, &[len, one]);
        self.builder.store_field(Field::Len, object, longer);
        self.barrier(object, value);
        Ok(())
    }

    // Constructors.

    pub(super) fn new_table(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let root = view.root_shape();
        let properties = self.builder.int(i64::from(i.bc()));
        let shape = self.builder.pointer(root);
        let made = if i.d() == 0 {
            let snap = self.service();
            self.builder.call(Helper::NewRecord, &[shape, properties], Ty::Table, Some(snap))
        } else {
            let elements = self.builder.int(i64::from(i.d()));
            let snap = self.service();
            self.builder.call(Helper::NewTable, &[shape, elements, properties], Ty::Table, Some(snap))
        };
        self.assume_empty(made, root);
        self.allocated = true;
        self.set(i.a(), made);
        Ok(())
    }

    /// What is known of a new table.
    fn assume_empty(&mut self, table: Ref, shape: u64) {
        let (shape, null) = (self.builder.pointer(shape), self.builder.pointer(0));
        let (zero, kind) = (self.builder.int(0), self.builder.int(i64::from(EMPTY_ELEMENTS)));
        self.builder.assume(Field::Shape, table, shape);
        self.builder.assume(Field::Meta, table, null);
        self.builder.assume(Field::Hash, table, null);
        self.builder.assume(Field::Len, table, zero);
        self.builder.assume(Field::Kind, table, kind);
    }

    pub(super) fn new_record(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let shape = view.template(self.frame().proto, i.d() as usize);
        if view.is_dictionary_shape(shape) {
            return Err(Abort::Dictionary);
        }
        let mut values = Vec::new();
        for n in 0..i.bc() {
            values.push(self.get_wide(view, u32::from(i.a()) + 1 + u32::from(n))?);
        }
        let pointer = self.builder.pointer(shape);
        let count = self.builder.int(values.len() as i64);
        let snap = self.service();
        let made = self.builder.call(Helper::NewRecord, &[pointer, count], Ty::Table, Some(snap));
        self.assume_empty(made, shape);
        let slots = self.load(Field::Slots, made);
        for (n, value) in values.iter().enumerate() {
            self.builder.store_prop(slots, n as u32, shape, *value);
        }
        self.allocated = true;
        self.set(i.a(), made);
        Ok(())
    }

    pub(super) fn set_list(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let object = self.get(view, i.a())?;
        if self.ty(object) != Ty::Table {
            return Err(Abort::Types);
        }
        let first = self.frame().base + u32::from(i.a()) + 1;
        let n = if i.b() == 0 { self.count(0, first)? } else { u32::from(i.b()) };
        if i.d() != 0 {
            return Err(Abort::Opcode);
        }
        let mut values = Vec::new();
        for k in 0..n {
            let seen = self.seen(view, first + k);
            values.push(self.slot(first + k, seen)?);
        }
        self.open = None;
        if let Some(kind) = self.new_list_kind(object, &values) {
            self.store_list(object, kind, &values);
            return Ok(());
        }
        for (k, value) in (0..).zip(values) {
            self.builder.store_place(first + k, value);
        }
        let place = self.builder.place(first);
        let count = self.builder.int(i64::from(n));
        self.store_with_helper(Helper::SetList, &[object, place, count]);
        Ok(())
    }

    /// The element kind that a list gets whose values are known by their types, if it is new, and gets room for them.
    fn new_list_kind(&mut self, object: Ref, values: &[Ref]) -> Option<u8> {
        let types = values.iter().map(|value| self.ty(*value));
        if values.len() > MAX_ELEMENTS || values.last().is_none_or(|last| self.ty(*last) == Ty::Nil) {
            return None;
        }
        if types.clone().any(|ty| ty == Ty::Num) || types.clone().all(|ty| matches!(ty, Ty::Nil | Ty::False | Ty::True))
        {
            return None;
        }
        let kind = element_kind(self.ty(values[0]));
        let kind = if types.clone().all(|ty| element_kind(ty) == kind) { kind } else { ANY_ELEMENTS };
        let empty = self.builder.int(0);
        let is_empty = self.is_new(object)
            && self.builder.load(Field::Len, object) == empty
            && self.builder.load(Field::Hash, object) == self.builder.pointer(0);
        let words = values.len() * if kind == ANY_ELEMENTS { 2 } else { 1 };
        (is_empty && self.builder.make_room(object, words as u32)).then_some(kind)
    }

    /// Stores the elements of a new list, which has room for them.
    fn store_list(&mut self, object: Ref, kind: u8, values: &[Ref]) {
        let [kind_now, len] = [i64::from(kind), values.len() as i64].map(|n| self.builder.int(n));
        self.builder.store_field(Field::Kind, object, kind_now);
        if kind == ANY_ELEMENTS {
            self.builder.store_field(Field::Cap, object, len);
        }
        self.builder.store_field(Field::Len, object, len);
        let array = self.load(Field::Array, object);
        for (n, value) in (0..).zip(values) {
            let n = self.builder.int(n);
            self.store_in_array(kind, array, n, *value);
        }
    }
}
