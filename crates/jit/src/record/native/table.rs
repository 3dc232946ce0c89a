//! Tables: raw access, metatables, and both ends of lists, by the way that indexing takes.

use perilune_runtime::object::may_have_holes;
use perilune_runtime::value::{Tag, Value};
use perilune_trace::ir::{Field, Helper, Op as Ir, Ref, Ty};
use perilune_vm::meta::Event;

use super::{Args, Replaced};
use crate::abort::Abort;
use crate::record::Recorder;
use crate::record::loops::int_of;
use crate::view::{TableView, View};

/// Values that `table.unpack` is followed for.
const MAX_UNPACKED: u64 = 8;

impl Recorder {
    pub(super) fn raw_get(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let Some(table) = view.table(args.seen[0]) else { return Ok(None) };
        Ok(Some(vec![self.element(view, args.refs[0], table, args.refs[1], args.seen[1])?]))
    }

    /// `rawset(t, k, v)`: a store as in a table without handlers.
    pub(super) fn raw_set(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let Some(table) = view.table(args.seen[0]) else { return Ok(None) };
        let (object, key, value) = (args.refs[0], args.refs[1], args.refs[2]);
        match (int_of(args.seen[1]), args.seen[1].tag) {
            (Some(n), _) => {
                let key = self.int_of(key)?;
                if table.meta().is_none() {
                    self.write_int(view, object, table, key, value, n)?;
                } else {
                    self.store_with_helper(Helper::SetInt, &[object, key, value]);
                }
            }
            (None, Tag::Nil) => return Err(Abort::Error),
            (None, Tag::Float) if args.seen[1].raw_float().is_nan() => return Err(Abort::Error),
            (None, Tag::Str) => self.store_with_helper(Helper::SetDynamic, &[object, key, value]),
            (None, _) => self.store_with_helper(Helper::SetRaw, &[object, key, value]),
        }
        Ok(Some(vec![object]))
    }

    pub(super) fn raw_len(&mut self, args: &Args) -> Replaced {
        let x = args.refs[0];
        match self.ty(x) {
            Ty::Table => Ok(Some(vec![self.load(Field::Len, x)])),
            Ty::Str => Ok(Some(vec![self.load(Field::StrLen, x)])),
            _ => Ok(None),
        }
    }

    pub(super) fn raw_equal(&mut self, args: &Args) -> Replaced {
        let (x, y) = (args.refs[0], args.refs[1]);
        if self.ty(x) != Ty::Table || self.ty(y) != Ty::Table {
            return Ok(None);
        }
        let outcome = args.seen[0].raw_equals(args.seen[1]);
        self.guard(if outcome { Ir::Eq } else { Ir::Ne }, &[x, y])?;
        Ok(Some(vec![self.boolean(outcome)]))
    }

    pub(super) fn pairs(&mut self, view: &View<'_>, function: Value, args: &Args) -> Replaced {
        let Some(table) = view.table(args.seen[0]) else { return Ok(None) };
        if self.handler(view, args.refs[0], table, Event::Pairs)?.is_some() {
            return Ok(None);
        }
        let next = self.constant_of(view.native_upvalue(function).ok_or(Abort::Native)?)?;
        let mut results = vec![next, args.refs[0]];
        results.resize(view.dialect().pairs_results, self.builder.primitive(Ty::Nil));
        Ok(Some(results))
    }

    /// `setmetatable` of a table that had none, to one without finalizer.
    pub(super) fn set_metatable(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let (object, meta) = (args.refs[0], args.refs[1]);
        let (Some(table), Some(meta_view)) = (view.table(args.seen[0]), view.table(args.seen[1])) else {
            return Ok(None);
        };
        if table.meta().is_some() || meta_view.is_dictionary() {
            return Ok(None);
        }
        if self.own_field(meta, meta_view, view.event_name(Event::Gc))?.is_some() {
            return Ok(None);
        }
        let loaded = self.load(Field::Meta, object);
        let null = self.builder.pointer(0);
        self.guard(Ir::Eq, &[loaded, null])?;
        let site = (self.frame().proto, self.pc);
        if meta_view.is_shared() && self.met.metatable(site, table.shape(), meta_view.address()) {
            // What follows will look for fields through this very metatable.
            let known = self.constant_of(args.seen[1])?;
            self.guard(Ir::Eq, &[meta, known])?;
            let address = self.builder.pointer(meta_view.address());
            self.builder.store_field(Field::Meta, object, address);
            self.barrier(object, known);
        } else {
            self.builder.store_field(Field::Meta, object, meta);
            self.barrier(object, meta);
        }
        Ok(Some(vec![object]))
    }

    pub(super) fn get_metatable(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let Some(table) = view.table(args.seen[0]) else { return Ok(None) };
        let Some((meta, meta_view)) = self.metatable(args.refs[0], table)? else {
            return Ok(Some(vec![self.builder.primitive(Ty::Nil)]));
        };
        let protected = self.own_field(meta, meta_view, view.event_name(Event::Metatable))?;
        Ok(Some(vec![protected.map_or(meta, |(value, _)| value)]))
    }

    /// Whether the functions of `table` find in a table's metatable none of the handlers that they would ask, relied on.
    fn is_list(&mut self, view: &View<'_>, object: Ref, table: TableView, events: &[Event]) -> Result<bool, Abort> {
        for event in events {
            if self.handler(view, object, table, *event)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `table.insert(t, v)`.
    pub(super) fn insert_last(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let Some(table) = view.table(args.seen[0]) else { return Ok(None) };
        let object = args.refs[0];
        if self.ty(args.refs[1]) == Ty::Nil || !self.is_list(view, object, table, &[Event::Len, Event::NewIndex])? {
            return Ok(None);
        }
        let len = self.load(Field::Len, object);
        let one = self.builder.int(1);
        let key = self.builder.value(Ir::Add, &[len, one]);
        self.write_int(view, object, table, key, args.refs[1], table.len() as i64 + 1)?;
        Ok(Some(Vec::new()))
    }

    /// `table.remove(t)` of a list that is not empty.
    pub(super) fn remove_last(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let Some(table) = view.table(args.seen[0]) else { return Ok(None) };
        let object = args.refs[0];
        // The element is there, so neither reading nor removing it asks a handler.
        if table.len() == 0 || !self.is_list(view, object, table, &[Event::Len])? {
            return Ok(None);
        }
        let len = self.load(Field::Len, object);
        let last = self.int_element(object, table, len, table.len() as i64)?;
        if may_have_holes(table.kind()) {
            // There may be nil below it, where the list ends then.
            let nil = self.builder.primitive(Ty::Nil);
            self.store_with_helper(Helper::SetInt, &[object, len, nil]);
        } else {
            let one = self.builder.int(1);
            let shorter = self.builder.value(Ir::Sub, &[len, one]);
            self.builder.store_field(Field::Len, object, shorter);
        }
        Ok(Some(vec![last]))
    }

    /// `table.unpack(t)` of a short list: how long it is is relied on.
    pub(super) fn unpack(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let Some(table) = view.table(args.seen[0]) else { return Ok(None) };
        if table.meta().is_some() || table.len() > MAX_UNPACKED {
            return Ok(None);
        }
        let object = args.refs[0];
        if !self.guard_plain(args, 0) {
            return Ok(None);
        }
        let (len, seen) = (self.load(Field::Len, object), table.len() as i64);
        let expected = self.builder.int(seen);
        self.decide(Ir::Eq, &[len, expected])?;
        let mut values = Vec::new();
        for n in 1..=seen {
            let key = self.builder.int(n);
            values.push(self.int_element(object, table, key, n)?);
        }
        Ok(Some(values))
    }
}
