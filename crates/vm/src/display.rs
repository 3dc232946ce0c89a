//! Values as text, as `tostring` gives them.

use perilune_runtime::object::{StrRef, TableRef};
use perilune_runtime::value::{Tag, Value};

use crate::meta::Event;
use crate::native::Raised;
use crate::vm::Vm;

/// `luaL_tolstring`.
pub(crate) fn to_display(vm: &mut Vm, v: Value) -> Result<StrRef, Raised> {
    let h = vm.metamethod(v, Event::ToString);
    if !h.is_nil() {
        let text = vm.call_value(h, &[v])?;
        return match vm.number_to_str(text) {
            Some(s) => Ok(s),
            None => Err(vm.error("'__tostring' must return a string")),
        };
    }
    if let Some(s) = vm.number_to_str(v) {
        return Ok(s);
    }
    let text = match v.tag {
        Tag::Nil => b"nil".to_vec(),
        Tag::False => b"false".to_vec(),
        Tag::True => b"true".to_vec(),
        _ => {
            let mut text = match vm.metafield(v, "__name").as_str() {
                Some(s) if vm.dialect.type_names => s.as_bytes().to_vec(),
                _ => v.type_name().as_bytes().to_vec(),
            };
            let address = vm.shown_address(v)?;
            text.extend_from_slice(format!(": 0x{address:x}").as_bytes());
            text
        }
    };
    Ok(vm.heap.new_str(&text))
}

/// The field of the registry with the numbers that objects show instead of addresses, and the latest of them.
const NUMBERS: &str = "_NUMBERS";
const LATEST: &str = "_LATEST";

/// How far apart such numbers are, and the first one: they look like addresses.
const SPACING: i64 = 16;
const FIRST: i64 = 1 << 28;

impl Vm {
    /// The address of something as a program may see it. A host may want that to be the same on every run (see
    /// [`Host::hides_addresses`](crate::host::Host::hides_addresses)): then it is a number, which an object gets when it is shown for
    /// the first time, and keeps.
    pub fn shown_address(&mut self, v: Value) -> Result<u64, Raised> {
        if !self.host.hides_addresses() {
            return Ok(v.payload);
        }
        let numbers = self.shown_numbers();
        if let Some(known) = numbers.get(v).as_int() {
            return Ok(known as u64);
        }
        let registry = self.registry;
        let number = self.get_field(registry, LATEST).as_int().map_or(FIRST, |latest| latest + SPACING);
        self.set_field(registry, LATEST, Value::int(number));
        self.raw_set(numbers, v, Value::int(number))?;
        Ok(number as u64)
    }

    /// The numbers shown so far, by object. It keeps none alive; a string is kept, but all of them with the same text show the same.
    fn shown_numbers(&mut self) -> TableRef {
        let registry = self.registry;
        self.get_field(registry, NUMBERS).as_table().unwrap_or_else(|| {
            let numbers = self.weak_table();
            self.set_field(registry, NUMBERS, Value::table(numbers));
            numbers
        })
    }
}
