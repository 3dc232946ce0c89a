//! The text of a random program: a frame of functions that are called many times, with what they saw.
//!
//! ```text
//! prelude                  mix, shown, metatables, shared upvalues
//! local function f1(...)   random statements
//! ...
//! for round = 1, n do      each function with changing arguments, below pcall
//! print(...)               the shared values, and what mix was given
//! ```
//! A program ends by itself: all loops are bounded, and a function is called in a loop only where the product of all
//! rounds stays small. It prints nothing that depends on addresses or on the order of `pairs`. Each statement has lines
//! of its own, indented by its depth, so that [`super::shrink`] can leave statements out.

use perilune_base::dialect::LuaVersion;

use super::random::Random;

/// Most runs of one statement.
const MOST_RUNS: u64 = 300;

/// What a variable is expected to hold; now and then it holds something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Float,
    /// Either kind of number.
    Number,
    Text,
    Bool,
    /// Nil, a number, text or a boolean.
    Any,
    /// A table used as an array.
    Array,
    /// A table with named fields.
    Record,
    /// A record with a metatable.
    Object,
}

const KINDS: [Kind; 9] =
    [Kind::Int, Kind::Float, Kind::Number, Kind::Text, Kind::Bool, Kind::Any, Kind::Array, Kind::Record, Kind::Object];

/// A variable in scope.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub name: String,
    pub kind: Kind,
    /// Whether it may be assigned: not the variable of a loop.
    pub is_free: bool,
}

/// A function that is complete and may be called.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub name: String,
    pub parameters: Vec<Kind>,
    pub cost: u64,
}

/// What surrounds the statement in the making.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// How often the statement runs in one call.
    pub runs: u64,
    /// Blocks inside one another.
    pub depth: usize,
    /// Whether a loop of the same function surrounds it, and whether that one ends with the label `continue`.
    pub in_loop: bool,
    pub can_continue: bool,
    /// Whether the function has `...`.
    pub is_vararg: bool,
    pub in_coroutine: bool,
}

/// A program in the making.
pub(super) struct Program {
    pub version: LuaVersion,
    pub random: Random,
    pub variables: Vec<Variable>,
    pub functions: Vec<Function>,
    pub cost: u64,
    /// Whether arrays may get holes, whose length is for the engine to choose.
    pub has_holes: bool,
    text: String,
    indent: usize,
    names: usize,
}

const PRELUDE: &str = r##"local unpack = unpack or table.unpack
local mtype = math.type or function(v) return type(v) == "number" and "float" or nil end
local out, n, acc, zero = {true, 1, 2.5, "s"}, 4, 0, 0
local function mix(v)
  if v == nil then v = "nil" end
  if n < 6000 then n = n + 1 end
  out[n] = v
end
local function hash(v)
  if v ~= v or type(v) == "table" then return 7 end
  v = tostring(v):gsub("0[xX]%x+", "")
  return #v * 31 + (v:byte(1) or 3) + (v:byte(-1) or 5) * 7
end
local function small(v)
  if type(v) == "number" and v > -40 and v < 40 then return math.floor(v) end
  return 1
end
local show = tostring
local function shown(...)
  local t = {...}
  for i = 1, select("#", ...) do t[i] = tostring(t[i]) end
  return table.concat(t, " ")
end
local num = function(v) return type(v) == "number" and v or 3 end
local mts = {{}, {}, {}}
mts[1].__index = function(t, k) return k == "zz" and 5 or nil end
mts[1].__add = function(a, b) return (type(a) == "table" and rawget(a, "a") or a) end
mts[1].__lt = function(a, b) return num(rawget(a, "a")) < num(rawget(b, "a")) end
mts[1].__call = function(self, x, y) return x, self.b end
mts[2].__index = {d = 4, zz = 9, get = function(self) return self.a end, set = function(self, v) self.a = v return self end}
mts[2].__newindex = function(t, k, v) rawset(t, k, v) mix(k) end
mts[2].__eq = function(a, b) return rawget(a, "a") == rawget(b, "a") end
mts[2].__concat = function(a, b) return "cat" end
mts[2].__len = function(t) return 3 end
mts[2].__unm = function(t) return t.b end
mts[3].__index = mts[2].__index
mts[3].__le = function(a, b) return true end
mts[3].__call = function(self, ...) return select("#", ...), ... end
mts[3].__add = function(a, b) return 10 end
mts[2].__add = function() return 2.5 end
mts[2].__call = function(_, x) return x end
local function Obj(n, a, b) return setmetatable({a = a, b = b}, mts[n]) end
local fns = {}
local u1, u2, u3, u4 = 1, 2.5, "u", nil
local ua, ur = {1, 2, 3, 4, 5}, {a = 1, b = 2, c = 3}
ga, gr, g1, g2 = {1.5, 2.5, 3.5}, {a = 1.5, x = "q"}, 7, 0.5
"##;

/// Whether every engine must print the same for the program of a seed.
pub fn has_one_output(seed: u64) -> bool {
    !seed.is_multiple_of(4)
}

/// The program of a seed in a version.
pub fn program(seed: u64, version: LuaVersion) -> String {
    let mut program = Program {
        version,
        random: Random::new(seed),
        variables: Vec::new(),
        functions: Vec::new(),
        cost: 0,
        has_holes: !has_one_output(seed),
        text: PRELUDE.to_string(),
        indent: 0,
        names: 0,
    };
    for (name, kind) in [
        ("u1", Kind::Int),
        ("u2", Kind::Number),
        ("u3", Kind::Text),
        ("u4", Kind::Any),
        ("ua", Kind::Array),
        ("ur", Kind::Record),
        ("ga", Kind::Array),
        ("gr", Kind::Record),
        ("g1", Kind::Int),
        ("g2", Kind::Number),
    ] {
        program.variables.push(Variable { name: name.to_string(), kind, is_free: true });
    }
    // Most are small: what they do to the compiler is most of the time that they take.
    let functions = [1, 1, 1, 3][program.random.below(4)];
    for _ in 0..functions {
        program.function();
    }
    program.calls();
    program.line("print(acc, n, #fns, shown(u1, u2, u3, u4, ga[1], gr.a, g1, g2, unpack(ua, 1, 9)))");
    program.line("for i = 1, n, 50 do print(unpack(out, i, math.min(i + 49, n))) end");
    program.text
}

impl Program {
    /// Whether numbers are integers or floats, with operators of integers.
    pub fn has_integers(&self) -> bool {
        self.version >= LuaVersion::Lua53
    }

    /// Whether there is `goto`.
    pub fn has_goto(&self) -> bool {
        self.version >= LuaVersion::Lua52
    }

    /// Adds a line at the current depth.
    pub fn line(&mut self, text: impl AsRef<str>) {
        for _ in 0..self.indent {
            self.text.push_str("  ");
        }
        match self.version {
            // A negative zero among the constants takes the place of zero there.
            LuaVersion::Lua51 => self.text.push_str(&text.as_ref().replace("-0.0", "-zero")),
            LuaVersion::Lua52 | LuaVersion::Lua53 | LuaVersion::Lua54 | LuaVersion::Lua55 => {
                self.text.push_str(text.as_ref())
            }
        }
        self.text.push('\n');
    }

    /// A name that no variable has.
    pub fn fresh(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    /// Adds a block with a scope of its own.
    pub fn block(&mut self, context: Context, statements: usize) {
        let scope = self.variables.len();
        self.indent += 1;
        for _ in 0..statements {
            self.statement(context);
        }
        self.indent -= 1;
        self.variables.truncate(scope);
    }

    /// Adds lines some levels deeper.
    pub fn nested(&mut self, levels: usize, body: impl FnOnce(&mut Program)) {
        self.indent += levels;
        body(self);
        self.indent -= levels;
    }

    /// Adds lines one level deeper, in a scope of their own.
    pub fn deeper(&mut self, body: impl FnOnce(&mut Program)) {
        let scope = self.variables.len();
        self.indent += 1;
        body(self);
        self.indent -= 1;
        self.variables.truncate(scope);
    }

    pub fn any_kind(&mut self) -> Kind {
        KINDS[self.random.below(KINDS.len())]
    }

    fn function(&mut self) {
        let name = self.fresh("f");
        let count = self.random.below(4);
        let parameters: Vec<Kind> = (0..count).map(|_| self.any_kind()).collect();
        let is_vararg = self.random.chance(35);
        let mut names: Vec<String> = parameters.iter().map(|_| self.fresh("p")).collect();
        let scope = self.variables.len();
        for (name, kind) in names.iter().zip(&parameters) {
            self.variables.push(Variable { name: name.clone(), kind: *kind, is_free: true });
        }
        if is_vararg {
            names.push("...".to_string());
        }
        self.line(format!("local function {name}({})", names.join(", ")));
        self.cost = 0;
        let context =
            Context { runs: 1, depth: 0, in_loop: false, can_continue: false, is_vararg, in_coroutine: false };
        self.deeper(|program| {
            let statements = 1 + program.random.below(4);
            for _ in 0..statements {
                program.statement(context);
            }
            if program.random.chance(20) && !program.functions.is_empty() {
                let call = program.call();
                program.line(format!("return {call}"));
            } else {
                let values: Vec<String> = (0..program.random.below(4)).map(|_| program.any(2)).collect();
                program.line(format!("return {}", values.join(", ")));
            }
        });
        self.line("end");
        self.variables.truncate(scope);
        self.functions.push(Function { name, parameters, cost: self.cost.max(1) });
    }

    fn calls(&mut self) {
        let rounds = [3, 8, 30, 150][self.random.below(4)];
        self.line(format!("for round = 1, {rounds} do"));
        self.deeper(|program| {
            program.variables.push(Variable { name: "round".to_string(), kind: Kind::Int, is_free: false });
            for function in program.functions.clone() {
                let rare = 2 + program.random.below(rounds);
                let often = program.arguments(&function);
                let seldom = program.arguments(&function);
                let name = &function.name;
                let print = if rounds > 30 { "mix(shown" } else { "print(shown" };
                let head = |arguments: &[String]| [std::slice::from_ref(name), arguments].concat().join(", ");
                if function.cost * rounds as u64 > 6_000 {
                    program.line(format!("if round < 3 then {print}(pcall({}))) end", head(&often)));
                } else {
                    program.line(format!("{print}(pcall({})))", head(&often)));
                    program.line(format!("if round % {rare} == 0 then {print}(pcall({}))) end", head(&seldom)));
                }
            }
        });
        self.line("end");
    }

    /// Arguments for a function, now and then of a wrong kind or in a wrong number.
    pub fn arguments(&mut self, function: &Function) -> Vec<String> {
        let mut arguments: Vec<String> = function
            .parameters
            .iter()
            .map(|kind| {
                let kind = if self.random.chance(4) { self.any_kind() } else { *kind };
                self.expression(kind, 2)
            })
            .collect();
        for _ in 0..[0, 0, 1, 3][self.random.below(4)] {
            let value = self.any(1);
            arguments.push(value);
        }
        arguments
    }

    /// A call of a function that exists.
    pub fn call(&mut self) -> String {
        let function = self.functions[self.random.below(self.functions.len())].clone();
        let arguments = self.arguments(&function);
        format!("{}({})", function.name, arguments.join(", "))
    }

    /// Whether `runs` more runs of something of this cost are not too many.
    pub fn affords(&self, context: Context, runs: u64) -> bool {
        context.runs * runs <= MOST_RUNS && self.cost + context.runs * runs <= 1_500
    }
}
