//! What the compiler makes passes the verifier, survives a dump, and damage to a dump is noticed or harmless.

use perilune_base::dialect::LuaVersion;
use perilune_bytecode::dump::{dump, undump};
use perilune_bytecode::verify::verify;

use super::compiled;

/// A program with most constructs, small enough to damage each of its bytes.
const PROGRAM: &str = r#"
local insert <const>, limit <const>, name = table.insert, 10, "x"
local function filter(t, p, ...)
  local out = {n = 0, src = t}
  for i, v in ipairs(t) do
    if not p(v) then goto continue end
    insert(out, v)
    out.n = out.n + 1
    ::continue::
  end
  return out, ...
end
local class = {}
class.__index = class
function class:add(x) self.sum = (self.sum or 0) + x return self end
local fs = {}
for i = limit, 1, -2 do
  fs[#fs + 1] = function(d) i = i + d return i // 2 end
  if i == 4 or #fs > 3 then break end
end
repeat
  local line <close> = name and nil
  local done = #name >= 5
  name = name .. "y" .. 1.5 .. (done and "!" or "?")
until done
while name do
  local a, b, c = (...), select(2, ...)
  if a ~= b and c == nil then fs, name = {a, b, n = 1, ...}, nil else name = false end
end
return filter({1, 2, 3, [7] = 4 & 6 ~ 1}, function(v) return v % 2 == 1 and v < 3e9 end), class:add(1):add(-2)
"#;

#[test]
fn compiled_programs_are_verified() {
    let proto = compiled(PROGRAM);
    assert_eq!(verify(&proto), Ok(()));
    for strip in [false, true] {
        let bytes = dump(&proto, LuaVersion::Lua54, strip);
        let loaded = undump(&bytes, LuaVersion::Lua54).unwrap();
        assert_eq!(loaded.code, proto.code);
        assert_eq!(loaded == proto, !strip);
        assert_eq!(dump(&loaded, LuaVersion::Lua54, strip), bytes);
    }
}

#[test]
fn damaged_dumps_never_panic() {
    let bytes = dump(&compiled(PROGRAM), LuaVersion::Lua54, false);
    let mut refused = 0;
    for (index, change) in (0..bytes.len()).zip([0x01, 0x80, 0xff].into_iter().cycle()) {
        let mut damaged = bytes.clone();
        damaged[index] ^= change;
        refused += usize::from(undump(&damaged, LuaVersion::Lua54).is_err());
    }
    assert!(refused > bytes.len() / 4, "only {refused} of {} are refused", bytes.len());
}
