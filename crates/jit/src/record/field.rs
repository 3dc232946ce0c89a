//! Fields of tables: shapes, `__index` and `__newindex` chains, methods of strings, globals.
//!
//! A shape that is relied on says which slot has a key, or that the key is absent. A metatable of many objects is relied on as
//! the object that it is; after that its own shape says where `__index` stands. So a method call costs, once its guards are
//! hoisted, what the function's code costs.

use perilune_bytecode::ops::Instr;
use perilune_runtime::object::StrRef;
use perilune_runtime::value::{Tag, Value};
use perilune_trace::ir::{Effects, Field, Helper, Op as Ir, Ref, Ty};
use perilune_vm::meta::Event;

use super::Recorder;
use super::state::type_of;
use crate::abort::Abort;
use crate::seen::Load;
use crate::view::{Property, TableView, View};

/// Longest chain of `__index` or `__newindex` tables that is followed.
pub(super) const MAX_CHAIN: usize = 8;

/// What reading a field comes to.
enum Found {
    Value(Ref),
    /// A function must be called with this object and the key.
    Handler(Ref, Value, Ref),
}

impl Recorder {
    pub(super) fn get_field(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let object = self.get(view, i.b())?;
        let key = view.cache_key(self.frame().proto, i.d() as usize);
        self.read_field(view, object, view.reg(i.b().into()), key, i.a())
    }

    pub(super) fn get_tab_up(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let (object, seen) = self.upvalue(view, i.b())?;
        let key = view.cache_key(self.frame().proto, i.d() as usize);
        self.read_field(view, object, seen, key, i.a())
    }

    pub(super) fn self_field(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let object = self.get(view, i.b())?;
        let seen = view.reg(i.b().into());
        let key = view.cache_key(self.frame().proto, i.d() as usize);
        let name = key.as_str().ok_or(Abort::Types)?;
        match self.find_field(view, object, seen, name)? {
            Found::Value(function) => {
                self.set(i.a() + 1, object);
                self.set(i.a(), function);
                Ok(())
            }
            Found::Handler(function, handler, holder) => {
                // Where the instruction begins anew, it writes this again.
                self.set(i.a() + 1, object);
                let key = self.constant_of(key)?;
                self.call_handler(view, function, handler, &[holder, key], 1)
            }
        }
    }

    /// Register `target` becomes `object[key]`, or the call of a handler begins.
    pub(super) fn read_field(
        &mut self,
        view: &View<'_>,
        object: Ref,
        seen: Value,
        key: Value,
        target: u8,
    ) -> Result<(), Abort> {
        let name = key.as_str().ok_or(Abort::Types)?;
        match self.find_field(view, object, seen, name)? {
            Found::Value(value) => {
                self.set(target, value);
                Ok(())
            }
            Found::Handler(function, handler, object) => {
                let key = self.constant_of(key)?;
                self.call_handler(view, function, handler, &[object, key], 1)
            }
        }
    }

    fn find_field(&mut self, view: &View<'_>, object: Ref, seen: Value, key: StrRef) -> Result<Found, Abort> {
        if Self::is_string(seen) {
            return self.find_string_method(view, object, key);
        }
        if seen.tag == Tag::UserData {
            return self.find_userdata_method(view, object, seen, key);
        }
        let table = view.table(seen).ok_or(Abort::Metamethod)?;
        self.find_in_table(view, object, table, key)
    }

    /// What a userdata's metatable has in its `__index`, a table: methods of files, and of what hosts hand out.
    fn find_userdata_method(&mut self, view: &View<'_>, object: Ref, seen: Value, key: StrRef) -> Result<Found, Abort> {
        let (meta_ref, meta) = self.userdata_metatable(view, object, seen)?;
        let index = self.own_field(meta_ref, meta, view.event_name(Event::Index))?;
        let Some((index, seen)) = index else { return Err(Abort::Metamethod) };
        let table = view.table(seen).ok_or(Abort::Metamethod)?;
        self.find_in_table(view, index, table, key)
    }

    /// A userdata's metatable, relied on.
    pub(super) fn userdata_metatable(
        &mut self,
        view: &View<'_>,
        object: Ref,
        seen: Value,
    ) -> Result<(Ref, TableView), Abort> {
        let meta = view.userdata_metatable(seen).ok_or(Abort::Metamethod)?;
        let loaded = self.load(Field::UserMeta, object);
        let expected = self.builder.pointer(meta.address());
        self.guard(Ir::Eq, &[loaded, expected])?;
        Ok((self.constant_of(meta.value())?, meta))
    }

    fn find_in_table(
        &mut self,
        view: &View<'_>,
        mut object: Ref,
        mut table: TableView,
        key: StrRef,
    ) -> Result<Found, Abort> {
        for _ in 0..MAX_CHAIN {
            if let Some((value, _)) = self.own_field(object, table, key)? {
                return Ok(Found::Value(value));
            }
            let Some((index, seen)) = self.handler(view, object, table, Event::Index)? else {
                return Ok(Found::Value(self.builder.primitive(Ty::Nil)));
            };
            match seen.tag {
                Tag::Table => {
                    object = index;
                    table = view.table(seen).ok_or(Abort::Metamethod)?;
                }
                Tag::LuaFn => return Ok(Found::Handler(index, seen, object)),
                _ => return Err(Abort::Metamethod),
            }
        }
        Err(Abort::Metamethod)
    }

    /// Strings share a metatable that programs hardly ever replace: whoever does, flushes all code.
    fn find_string_method(&mut self, view: &View<'_>, object: Ref, key: StrRef) -> Result<Found, Abort> {
        let meta = view.string_metatable().ok_or(Abort::Metamethod)?;
        let meta_ref = self.constant_of(meta.value())?;
        let index = self.own_field(meta_ref, meta, view.event_name(Event::Index))?;
        let Some((index, seen)) = index else { return Err(Abort::Metamethod) };
        match seen.tag {
            Tag::Table => {
                let table = view.table(seen).ok_or(Abort::Metamethod)?;
                self.find_in_table(view, index, table, key)
            }
            Tag::LuaFn => Ok(Found::Handler(index, seen, object)),
            _ => Err(Abort::Metamethod),
        }
    }

    /// Relies on a table's shape.
    pub(super) fn guard_shape(&mut self, object: Ref, table: TableView) -> Result<(), Abort> {
        let shape = self.load(Field::Shape, object);
        let expected = self.builder.pointer(table.shape());
        self.guard(Ir::Eq, &[shape, expected])
    }

    /// The value of a table's own string key, `None` if it is absent; relied on either way.
    pub(super) fn own_field(
        &mut self,
        object: Ref,
        table: TableView,
        key: StrRef,
    ) -> Result<Option<(Ref, Value)>, Abort> {
        self.guard_shape(object, table)?;
        Ok(match table.property(key) {
            Property::Slot(n, seen) => {
                let ty = type_of(seen)?;
                let slots = self.load(Field::Slots, object);
                let snap = self.snap();
                let value = match self.load_as(ty, None) {
                    Load::Typed => self.builder.load_prop(slots, n, table.shape(), ty, snap)?,
                    Load::Either | Load::Mixed => self.builder.number_prop(slots, n, table.shape(), snap)?,
                };
                (!seen.is_nil()).then_some((value, seen))
            }
            Property::Absent => None,
            Property::Unknown => {
                let seen = table.get(Value::str(key));
                let ty = type_of(seen)?;
                let entry = table.entry(key);
                let key = self.constant_of(Value::str(key))?;
                let snap = self.snap();
                let value = match entry {
                    Some(n) => {
                        let n = self.builder.int(n.into());
                        self.builder.call(Helper::GetEntry, &[object, key, n], ty, Some(snap))
                    }
                    None => self.builder.call(Helper::GetStr, &[object, key], ty, Some(snap)),
                };
                (!seen.is_nil()).then_some((value, seen))
            }
        })
    }

    /// What the metatable of a table has for an event, relied on; `None` if there is nothing, or no metatable.
    pub(super) fn handler(
        &mut self,
        view: &View<'_>,
        object: Ref,
        table: TableView,
        event: Event,
    ) -> Result<Option<(Ref, Value)>, Abort> {
        let Some((meta, meta_view)) = self.metatable(object, table)? else { return Ok(None) };
        self.own_field(meta, meta_view, view.event_name(event))
    }

    /// A table's metatable, relied on; `None` if it has none. One that several objects share is relied on as the object that
    /// it is. Where each object has its own, or where the instruction has met another one before, it is one with the same
    /// shape.
    pub(super) fn metatable(&mut self, object: Ref, table: TableView) -> Result<Option<(Ref, TableView)>, Abort> {
        let loaded = self.load(Field::Meta, object);
        let site = (self.frame().proto, self.pc);
        match table.meta() {
            None => {
                let null = self.builder.pointer(0);
                self.guard(Ir::Eq, &[loaded, null])?;
                Ok(None)
            }
            Some(meta) if meta.is_shared() && self.met.metatable(site, table.shape(), meta.address()) => {
                let expected = self.builder.pointer(meta.address());
                self.guard(Ir::Eq, &[loaded, expected])?;
                Ok(Some((self.constant_of(meta.value())?, meta)))
            }
            Some(meta) => {
                let null = self.builder.pointer(0);
                self.guard(Ir::Ne, &[loaded, null])?;
                Ok(Some((self.builder.value(Ir::AsTable, &[loaded]), meta)))
            }
        }
    }

    // Stores.

    pub(super) fn set_field(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let object = self.get(view, i.a())?;
        let value = self.get_number(view, i.c())?;
        let key = view.cache_key(self.frame().proto, i.d() as usize);
        self.write_field(view, object, view.reg(i.a().into()), key, value)
    }

    pub(super) fn set_tab_up(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let (object, seen) = self.upvalue(view, i.b())?;
        let value = self.get_number(view, i.c())?;
        let key = view.cache_key(self.frame().proto, i.d() as usize);
        self.write_field(view, object, seen, key, value)
    }

    /// `object[key] = value` for a constant string key.
    pub(super) fn write_field(
        &mut self,
        view: &View<'_>,
        object: Ref,
        seen: Value,
        key: Value,
        value: Ref,
    ) -> Result<(), Abort> {
        let table = view.table(seen).ok_or(Abort::Metamethod)?;
        let name = key.as_str().ok_or(Abort::Types)?;
        if table.is_dictionary() {
            return self.write_dictionary(view, object, table, key, value);
        }
        self.guard_shape(object, table)?;
        match table.property(name) {
            Property::Slot(n, old) if !old.is_nil() => {
                let slots = self.load(Field::Slots, object);
                let snap = self.snap();
                self.builder.has_prop(slots, n, table.shape(), snap)?;
                self.builder.store_prop(slots, n, table.shape(), value);
                self.barrier(object, value);
                Ok(())
            }
            Property::Slot(n, _) => {
                let snap = self.snap();
                let slots = self.load(Field::Slots, object);
                self.builder.load_prop(slots, n, table.shape(), Ty::Nil, snap)?;
                let handler = self.handler(view, object, table, Event::NewIndex)?;
                let name = self.constant_of(key)?;
                if let Some(handler) = handler {
                    return self.call_new_index(view, handler, object, (name, key), value);
                }
                self.store_with_helper(Helper::SetStr, &[object, name, value]);
                Ok(())
            }
            Property::Absent => {
                if let Some(handler) = self.handler(view, object, table, Event::NewIndex)? {
                    let name = self.constant_of(key)?;
                    return self.call_new_index(view, handler, object, (name, key), value);
                }
                if self.ty(value) == Ty::Nil {
                    return Ok(());
                }
                self.add_property(view, object, table, key, value)
            }
            Property::Unknown => Err(Abort::Dictionary),
        }
    }

    fn add_property(
        &mut self,
        view: &View<'_>,
        object: Ref,
        table: TableView,
        key: Value,
        value: Ref,
    ) -> Result<(), Abort> {
        let name = key.as_str().ok_or(Abort::Types)?;
        let Some((shape, slot)) = view.transition(table, name) else {
            let key = self.constant_of(key)?;
            self.store_with_helper(Helper::SetStr, &[object, key, value]);
            return Ok(());
        };
        let expected = self.builder.pointer(shape);
        let snap = self.service();
        // They move along, numbers and all.
        let known = self.builder.known_props(object, table.shape());
        self.builder.call(Helper::AddProp, &[object, expected, value], Ty::Void, Some(snap));
        self.builder.assume(Field::Shape, object, expected);
        let slots = self.load(Field::Slots, object);
        for (n, known) in known {
            self.builder.assume_prop(slots, n, shape, known);
        }
        self.builder.assume_prop(slots, slot, shape, value);
        self.allocated = true;
        Ok(())
    }

    /// A store to a table whose string keys are in its hash part.
    fn write_dictionary(
        &mut self,
        view: &View<'_>,
        object: Ref,
        table: TableView,
        key: Value,
        value: Ref,
    ) -> Result<(), Abort> {
        self.guard_shape(object, table)?;
        let seen = key;
        let key = self.constant_of(key)?;
        if let Some(handler) = self.new_index(view, object, table, key, seen)? {
            return self.call_new_index(view, handler, object, (key, seen), value);
        }
        self.store_with_helper(Helper::SetStr, &[object, key, value]);
        Ok(())
    }

    /// A store that may make objects grow.
    pub(super) fn store_with_helper(&mut self, helper: Helper, args: &[Ref]) {
        let snap = self.service();
        self.builder.call(helper, args, Ty::Void, Some(snap));
        self.allocated = true;
    }

    /// Keeps the collector's invariant after `object` got a reference to `value`.
    pub(super) fn barrier(&mut self, object: Ref, value: Ref) {
        if !self.ty(value).is_object() || self.is_new(object) {
            return;
        }
        self.builder.effect(Ir::Barrier, &[object, value]);
    }

    /// Whether an object was made on this path, with no collection since: it is white, and needs no barrier.
    pub(super) fn is_new(&self, object: Ref) -> bool {
        let inst = self.builder.tree().inst(object);
        // A call out of the tree may have collected.
        inst.helper().is_some_and(|helper| helper.effects() == Effects::Allocates) && !self.builder.calls_out()
    }
}
