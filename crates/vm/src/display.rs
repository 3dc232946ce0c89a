//! Values as text, as `tostring` gives them.

use perilune_runtime::object::StrRef;
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
            text.extend_from_slice(format!(": 0x{:x}", v.payload).as_bytes());
            text
        }
    };
    Ok(vm.heap.new_str(&text))
}
