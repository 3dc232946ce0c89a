//! Hash parts and shapes of a model, as compiled code finds them.

use std::mem::{offset_of, size_of};

use perilune_runtime::object::Table;
use perilune_runtime::table::{HashEntry, HashPart, NO_ENTRY, SPREAD, Shape, shape_offsets as index};
use perilune_trace::eval::{Model, Val};
use perilune_trace::ir::{Field, Ty};

use super::elf::DATA;
use super::image::Image;

/// Where they begin; the dictionary shape is the first.
const FIRST: u64 = DATA + 0x1_8000;
/// Room for each of them.
const ROOM: u64 = 0x400;

/// Few buckets for many entries, so that chains are long.
const BUCKETS_LOG: u32 = 1;
/// Index entries of a shape.
const INDEX_LOG: u32 = 3;

type Entry<'a> = (&'a (u64, Ty, u64), &'a Val);

/// The tables that have entries, each with its number and entries.
fn hashed(model: &Model) -> Vec<(u64, u64, Vec<Entry<'_>>)> {
    let mut tables: Vec<u64> = model.entries.keys().map(|(table, ..)| *table).collect();
    tables.dedup();
    let of = |table| model.entries.iter().filter(move |((owner, ..), _)| *owner == table).collect();
    tables.into_iter().enumerate().map(|(n, table)| (n as u64, table, of(table))).collect()
}

fn hash_at(n: u64) -> u64 {
    FIRST + (1 + n) * ROOM
}

fn entry_at(hash: u64, n: usize) -> u64 {
    hash + (size_of::<HashPart>() + n * size_of::<HashEntry>()) as u64
}

/// Puts hash parts and shapes into memory, and into the tables.
pub(super) fn place(image: &mut Image, model: &Model) {
    image.set(FIRST + offset_of!(Shape, dict) as u64, &[1]);
    for (n, table, entries) in hashed(model) {
        let hash = hash_at(n);
        image.set(table + offset_of!(Table, hash) as u64, &hash.to_le_bytes());
        if !model.fields.contains_key(&(table, Field::Shape, 0)) {
            image.set(table + offset_of!(Table, shape) as u64, &FIRST.to_le_bytes());
        }
        place_hash(image, hash, &entries);
    }
    for (n, (shape, keys)) in model.shapes.iter().enumerate() {
        place_shape(image, *shape, hash_at(hashed(model).len() as u64 + n as u64), keys);
    }
}

fn place_hash(image: &mut Image, hash: u64, entries: &[Entry<'_>]) {
    let heads = entry_at(hash, entries.len());
    let mut chains = [NO_ENTRY; 1 << BUCKETS_LOG];
    image.set(hash + offset_of!(HashPart, heads) as u64, &heads.to_le_bytes());
    image.set(hash + offset_of!(HashPart, shift) as u64, &(64 - BUCKETS_LOG).to_le_bytes());
    image.set(hash + offset_of!(HashPart, used) as u64, &(entries.len() as u32).to_le_bytes());
    let is_index = |(key, _): &&Entry<'_>| key.1 == Ty::Int && key.2 as i64 > 0;
    let index_keys = entries.iter().filter(is_index).count() as u32;
    image.set(hash + offset_of!(HashPart, index_keys) as u64, &index_keys.to_le_bytes());
    for (n, ((_, key_ty, key), value)) in entries.iter().enumerate() {
        let at = entry_at(hash, n);
        let head = &mut chains[(key.wrapping_mul(SPREAD) >> (64 - BUCKETS_LOG)) as usize];
        let next = std::mem::replace(head, n as u32);
        image.set(at + offset_of!(HashEntry, key) as u64, &key.to_le_bytes());
        image.set(at + offset_of!(HashEntry, value) as u64, &value.bits.to_le_bytes());
        image.set(at + offset_of!(HashEntry, next) as u64, &next.to_le_bytes());
        image.set(at + offset_of!(HashEntry, key_tag) as u64, &[*key_ty as u8]);
        image.set(at + offset_of!(HashEntry, value_tag) as u64, &[value.ty as u8]);
    }
    for (n, head) in chains.iter().enumerate() {
        image.set(heads + 4 * n as u64, &head.to_le_bytes());
    }
}

/// A shape with `keys`, of a lineage that has the last key twice as it were: what is behind the shape's count is no property.
fn place_shape(image: &mut Image, shape: u64, keys_at: u64, keys: &[u64]) {
    image.set(shape + offset_of!(Shape, count) as u64, &(keys.len() as u32).to_le_bytes());
    image.set(shape + index::KEYS as u64, &keys_at.to_le_bytes());
    image.set(keys_at + index::SHIFT as u64, &(64 - INDEX_LOG).to_le_bytes());
    image.set(keys_at + index::CAP as u64, &(1u32 << (INDEX_LOG - 1)).to_le_bytes());
    for (slot, key) in keys.iter().enumerate() {
        let mut at = key.wrapping_mul(SPREAD) >> (64 - INDEX_LOG);
        let entry = |at: u64| keys_at + (index::INDEX as u64) + at * index::ENTRY as u64;
        while image.word(entry(at) + index::KEY as u64, 8) != 0 {
            at = (at + 1) % (1 << INDEX_LOG);
        }
        image.set(entry(at) + index::KEY as u64, &key.to_le_bytes());
        image.set(entry(at) + index::SLOT as u64, &(slot as u32).to_le_bytes());
    }
}

/// The entries of a model with what memory has for them.
pub(super) fn entries(image: &Image, model: &Model) -> Vec<((u64, Ty, u64), Val, Val)> {
    let mut found = Vec::new();
    for (n, _, entries) in hashed(model) {
        for (k, (key, value)) in entries.into_iter().enumerate() {
            let at = entry_at(hash_at(n), k);
            let tag = image.word(at + offset_of!(HashEntry, value_tag) as u64, 1) as u8;
            let ty = Ty::of_tag(tag).unwrap_or(Ty::Void);
            let bits = image.word(at + offset_of!(HashEntry, value) as u64, 8);
            found.push((*key, Val { ty, bits: if ty.is_primitive() { 0 } else { bits } }, *value));
        }
    }
    found
}
