//! The operations that have a budget.

use perilune::{Lua, Result, UserData, UserDataFields, UserDataMethods, Variadic};

use crate::Scenario;

const fn scenario(name: &'static str, setup: &'static str, operation: &'static str) -> Scenario {
    Scenario { name, setup, operation }
}

const ADD: &str = "local function add(a, b) return a + b end";
const COUNT: &str = "local function count(...) return select('#', ...) end";
const ACCOUNT: &str = "
    local Account = {}
    Account.__index = Account
    function Account:deposit(n) self.balance = self.balance + n end
    local account = setmetatable({ balance = 0 }, Account)";
/// As many lines as there are operations, so that each result is a string that is not there yet.
const LINES: &str = "
    local lines = {}
    for i = 1, 2000 do lines[i] = 'key' .. i .. ' = value' .. i end";
const VECTOR: &str = "
    local Vector = {}
    Vector.__add = function(a, b) return a end
    local v = setmetatable({}, Vector)";

pub const SCENARIOS: &[Scenario] = &[
    scenario("call/lua", ADD, "add(i, 1)"),
    scenario("call/method", ACCOUNT, "account:deposit(i)"),
    scenario("call/metamethod", VECTOR, "local _ = v + v"),
    scenario("call/varargs", COUNT, "count(i, i, i)"),
    scenario("call/pcall", ADD, "pcall(add, i, 1)"),
    scenario("call/native", "local floor = math.floor", "floor(i / 3)"),
    scenario("call/rust", "local add = rust_add", "add(i, 1)"),
    scenario("call/rust-varargs", "local sum = rust_sum", "sum(i, 1, 2)"),
    scenario("call/userdata-method", "local counter = new_counter()", "counter:add(i)"),
    scenario("call/userdata-field", "local counter = new_counter()", "local _ = counter.value"),
    scenario("loop/pairs", "local t = { 1, 2, x = 3 }", "for _ in pairs(t) do end"),
    scenario("loop/ipairs", "local t = { 1, 2, 3 }", "for _ in ipairs(t) do end"),
    scenario("closure/one-upvalue", "", "local _ = function() return i end"),
    scenario("closure/shared-upvalue", "local n = 0", "local _ = function() return n end"),
    scenario(
        "coroutine/create-and-finish",
        "local create, resume = coroutine.create, coroutine.resume
        local function body() end",
        "resume(create(body))",
    ),
    scenario(
        "coroutine/resume-and-yield",
        "
        local yield = coroutine.yield
        local step = coroutine.wrap(function() while true do yield() end end)",
        "step()",
    ),
    scenario("table/empty", "", "local _ = {}"),
    scenario("table/fields-1", "", "local _ = { a = i }"),
    scenario("table/fields-4", "", "local _ = { a = i, b = i, c = i, d = i }"),
    scenario("table/fields-8", "", "local _ = { a = i, b = i, c = i, d = i, e = i, f = i, g = i, h = i }"),
    scenario("table/fields-4-added", "", "local t = {} t.a = i t.b = i t.c = i t.d = i"),
    scenario("table/elements-4", "", "local _ = { i, i, i, i }"),
    scenario("table/elements-16", "", "local _ = { i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i }"),
    scenario("table/elements-4-appended", "", "local t = {} t[1] = i t[2] = i t[3] = i t[4] = i"),
    scenario("string/concat", LINES, "local _ = lines[i] .. '!'"),
    scenario("string/concat-number", "", "local _ = 'n' .. i"),
    scenario("string/sub", LINES, "local _ = lines[i]:sub(1, 7)"),
    scenario("string/match", LINES, "local _ = lines[i]:match('^(%w+)%s*=')"),
    scenario("string/match-existing", "local s = 'key = value'", "local _ = s:match('^(%w+)%s*=')"),
    scenario("string/find", LINES, "local _ = lines[i]:find('=', 1, true)"),
    scenario("string/gsub", LINES, "local _ = lines[i]:gsub('%w+', '<%0>')"),
    scenario("string/gsub-function", LINES, "local _ = lines[i]:gsub('%w+', string.upper)"),
    scenario("string/format", "local format = string.format", "local _ = format('%d %s %5.2f', i, 'x', 0.5)"),
    scenario("string/tostring", "", "local _ = tostring(i + 0.5)"),
    scenario("sort/compared", "local t, less = { 5, 3, 8, 1 }, function(a, b) return a < b end", "table.sort(t, less)"),
    scenario("error/caught", "local error, pcall = error, pcall", "pcall(error, 'no')"),
];

/// A value of Rust that scripts use.
struct Counter {
    value: i64,
}

impl UserData for Counter {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("value", |_, counter| Ok(counter.value));
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method_mut("add", |_, counter, n: i64| {
            counter.value += n;
            Ok(counter.value)
        });
    }
}

/// Gives a VM the functions of Rust that scenarios call.
pub fn provide(lua: &Lua) -> Result<()> {
    let globals = lua.globals();
    globals.set("rust_add", lua.create_function(|_, (a, b): (i64, i64)| Ok(a + b))?)?;
    globals.set("rust_sum", lua.create_function(|_, all: Variadic<i64>| Ok(all.iter().sum::<i64>()))?)?;
    globals.set("new_counter", lua.create_function(|lua, ()| lua.create_userdata(Counter { value: 0 }))?)
}
