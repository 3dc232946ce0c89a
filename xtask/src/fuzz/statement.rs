//! Random statements.

use perilune_base::dialect::LuaVersion;

use super::expression::FIELDS;
use super::program::{Context, Kind, Program, Variable};

/// Most blocks inside one another.
const MAX_DEPTH: usize = 5;

/// Most variables in scope: a function has room for 200, and closures for 255.
const MAX_VARIABLES: usize = 60;

/// A statement, and how often it is wanted among a thousand.
type Row = (u32, fn(&mut Program, Context));

const SIMPLE: &[Row] = &[
    (170, Program::declare),
    (170, Program::assign),
    (60, Program::assign_another_kind),
    (110, Program::checksum),
    (30, Program::swap),
    (80, Program::store_element),
    (40, Program::append),
    (25, Program::remove),
    (70, Program::store_field),
    (40, Program::object_statement),
    (20, Program::change_metatable),
    (45, Program::call_statement),
    (30, Program::closure),
    (30, Program::call_closure),
    (25, Program::grow_text),
    (20, Program::arguments_statement),
    (20, Program::library),
    (8, Program::collect),
    (25, Program::leave),
];

const COMPOUND: &[Row] = &[
    (150, Program::branch),
    (140, Program::numeric_loop),
    (30, Program::float_loop),
    (45, Program::while_loop),
    (35, Program::repeat_loop),
    (40, Program::generic_loop),
    (35, Program::protected),
    (20, Program::coroutine),
    (15, Program::local_function),
    (10, Program::recursion),
    (15, Program::close_variable),
    (160, Program::idiom),
];

impl Program {
    /// Adds a statement.
    pub fn statement(&mut self, context: Context) {
        self.cost += context.runs;
        let compound = context.depth < MAX_DEPTH && self.random.chance(if context.depth == 0 { 60 } else { 30 });
        let rows = if compound { COMPOUND } else { SIMPLE };
        let row = self.random.weighted(rows.iter().map(|row| row.0));
        rows[row].1(self, context);
    }

    fn open(&mut self, name: String, kind: Kind, is_free: bool) {
        if self.variables.len() < MAX_VARIABLES {
            self.variables.push(Variable { name, kind, is_free });
        }
    }

    fn declare(&mut self, _: Context) {
        let kind = self.any_kind();
        let value = self.expression(kind, 2);
        let name = self.fresh("v");
        self.line(format!("local {name} = {value}"));
        self.open(name, kind, true);
    }

    fn assign(&mut self, _: Context) {
        let kind = self.any_kind();
        if let Some(name) = self.place(kind) {
            let value = self.expression(kind, 3);
            self.line(format!("{name} = {value}"));
            if kind == Kind::Text {
                self.limit_text(&name);
            }
        }
    }

    /// Keeps text short, which would double in each round of a loop.
    fn limit_text(&mut self, name: &str) {
        self.line(format!("if #{name} > 60 then {name} = {name}:sub(-20) end"));
    }

    /// The type of a variable changes, mostly on rare paths.
    fn assign_another_kind(&mut self, _: Context) {
        let (kind, other) = match self.random.below(4) {
            0 => (Kind::Int, Kind::Float),
            1 => (Kind::Float, Kind::Int),
            2 => (Kind::Number, Kind::Number),
            _ => (Kind::Any, self.any_kind()),
        };
        if let Some(name) = self.place(kind) {
            let value = self.expression(other, 2);
            let rare = self.condition(2);
            self.line(format!("if {rare} then {name} = {value} end"));
        }
    }

    fn checksum(&mut self, _: Context) {
        let value = self.any(2);
        self.line(format!("mix({value})"));
    }

    fn swap(&mut self, _: Context) {
        let kind = [Kind::Int, Kind::Number, Kind::Any, Kind::Array, Kind::Float][self.random.below(5)];
        if let (Some(a), Some(b)) = (self.place(kind), self.place(kind)) {
            let value = self.expression(kind, 1);
            self.line(format!("{a}, {b} = {b}, {value}"));
        }
    }

    fn element(&mut self) -> String {
        match self.random.below(8) {
            0..=3 => self.int(2),
            4..=5 => self.float(2),
            6 => self.number(2),
            _ => self.text(1),
        }
    }

    fn store_element(&mut self, _: Context) {
        let array = self.array_name();
        let value = self.element();
        if self.has_holes && self.random.chance(50) {
            let index = self.int(1);
            let value = if self.random.chance(40) { "nil".to_string() } else { value };
            self.line(format!("{array}[{index} % 12] = {value}"));
        } else {
            let index = self.int(1);
            self.line(format!("{array}[{index} % math.min(#{array} + 1, 60) + 1] = {value}"));
        }
    }

    fn append(&mut self, _: Context) {
        let array = self.array_name();
        let value = self.element();
        let form = match self.random.below(3) {
            0 => format!("table.insert({array}, {value})"),
            1 => format!("table.insert({array}, 1, {value})"),
            _ => format!("{array}[#{array} + 1] = {value}"),
        };
        self.line(format!("if #{array} < 40 then {form} end"));
    }

    fn remove(&mut self, _: Context) {
        let array = self.array_name();
        let form = match self.random.below(3) {
            0 => format!("mix(table.remove({array}))"),
            1 => format!("if #{array} > 2 then mix(table.remove({array}, 1)) end"),
            _ => format!("if #{array} > 1 then {array}[#{array}] = nil end"),
        };
        self.line(form);
    }

    fn store_field(&mut self, _: Context) {
        let record = if self.random.chance(70) {
            self.record_name()
        } else {
            self.variable(Kind::Object).unwrap_or_else(|| "ur".to_string())
        };
        let field = self.random.pick(FIELDS);
        let value = if self.random.chance(20) { "nil".to_string() } else { self.any(2) };
        match self.random.below(5) {
            0 => {
                let other = self.record_name();
                self.line(format!("{record}.{field} = {value}"));
                self.line(format!("mix({other}.{field})"));
            }
            1 => self.line(format!("{record}[\"{field}\"] = num({record}.{field}) + 1")),
            2 => {
                let rare = self.condition(2);
                self.line(format!("if {rare} then {record}.{field} = {value} end"));
            }
            _ => self.line(format!("{record}.{field} = {value}")),
        }
    }

    fn object_statement(&mut self, _: Context) {
        let object = self.object_name();
        let value = self.int(1);
        let form = match self.random.below(9) {
            0 => format!("mix({object}({value}))"),
            1 => format!("mix({object} + {value})"),
            2 => format!("mix({object} .. \"s\")"),
            3 => format!("mix(#{object})"),
            4 => format!("mix(- {object})"),
            5 => format!("mix({object}:get())"),
            6 => format!("mix({object}:set({value}).a)"),
            7 => format!("mix(select(\"#\", {object}({value}, nil)))"),
            _ => format!("mix({object}.zz)"),
        };
        self.line(form);
    }

    fn change_metatable(&mut self, _: Context) {
        let class = self.random.within(1, 3);
        let rare = self.condition(2);
        let change = match self.random.below(7) {
            0 => format!("setmetatable({}, mts[{class}])", self.record_name()),
            1 => format!("setmetatable({}, nil)", self.record_name()),
            2 => format!("mts[{class}].__index = {}", self.record_name()),
            3 => format!("mts[{class}].__index = function(t, k) mix(k) return 8 end"),
            4 => format!("mts[{class}].__newindex = nil"),
            5 => "mts[2].__index.zz = 77".to_string(),
            _ => format!("mts[{class}].__add = function(a, b) return {} end", self.int(0)),
        };
        self.line(format!("if {rare} then {change} end"));
    }

    fn call_statement(&mut self, context: Context) {
        if self.functions.is_empty() {
            return;
        }
        let at = self.random.below(self.functions.len());
        let function = self.functions[at].clone();
        if !self.affords(context, function.cost) {
            return;
        }
        self.cost += context.runs * function.cost;
        let arguments = self.arguments(&function).join(", ");
        let name = function.name;
        if self.random.chance(40) {
            let (a, b) = (self.fresh("v"), self.fresh("v"));
            self.line(format!("local {a}, {b} = {name}({arguments})"));
            self.open(a, Kind::Any, true);
            self.open(b, Kind::Any, true);
        } else {
            self.line(format!("mix(({name}({arguments})))"));
        }
    }

    /// A function over the variables around it, kept for later.
    fn closure(&mut self, context: Context) {
        self.line("fns[#fns % 6 + 1] = function(x)");
        let inner = Context { depth: MAX_DEPTH, in_loop: false, can_continue: false, is_vararg: false, ..context };
        self.deeper(|program| {
            program.open("x".to_string(), Kind::Any, true);
            program.assign(inner);
            if program.random.chance(50) {
                program.assign(inner);
            }
            let value = program.any(2);
            program.line(format!("return {value}"));
        });
        self.line("end");
    }

    fn call_closure(&mut self, _: Context) {
        let at = self.int(1);
        let argument = self.any(1);
        self.line(format!("if #fns > 0 then mix(fns[{at} % #fns + 1]({argument})) end"));
    }

    fn grow_text(&mut self, _: Context) {
        if let Some(name) = self.place(Kind::Text) {
            let more = self.text(1);
            self.line(format!("{name} = {name} .. {more}"));
            self.limit_text(&name);
        }
    }

    fn arguments_statement(&mut self, context: Context) {
        if !context.is_vararg {
            return;
        }
        let at = self.random.within(1, 3);
        let form = match self.random.below(5) {
            0 => "mix(select(\"#\", ...))".to_string(),
            1 => format!("mix((select({at}, ...)))"),
            2 => {
                let (a, b) = (self.fresh("v"), self.fresh("v"));
                self.line(format!("local {a}, {b} = ..."));
                self.open(a, Kind::Any, true);
                self.open(b, Kind::Any, true);
                return;
            }
            3 => format!("mix(({{...}})[{at}])"),
            _ => format!("mix((math.max(select(\"#\", ...), {})))", self.int(1)),
        };
        self.line(form);
    }

    fn library(&mut self, _: Context) {
        let form = match self.random.below(12) {
            0 => format!("mix({}:find({}, 1, true))", "(\"hello\")", self.text(1)),
            1 => format!("mix(tostring({}))", self.int(2)),
            2 => format!("mix(tonumber({}))", self.text(2)),
            3 if self.has_integers() => format!("mix(math.tointeger({}))", self.number(2)),
            3 => format!("mix(math.modf({}))", self.number(2)),
            4 => format!("mix(mtype({}))", self.any(2)),
            5 => format!("mix(rawequal({}, {}))", self.any(1), self.any(1)),
            6 if self.has_goto() => format!("mix(rawlen({}))", self.array_name()),
            6 => format!("mix(rawget({}, {}))", self.array_name(), self.int(1)),
            7 => format!("mix(string.len({}))", self.text(2)),
            8 => format!("mix((string.gsub({}, \"%a\", function(c) mix(c) return c:upper() end)))", self.text(1)),
            9 if self.has_integers() => format!("mix(math.ult({}, {}))", self.int(2), self.int(2)),
            9 => format!("mix(math.max({}, {}))", self.number(2), self.int(2)),
            10 => format!("mix((unpack({}, 1, 3)))", self.array_name()),
            _ => format!("mix(next({{{}}}))", self.int(1)),
        };
        self.line(form);
    }

    fn collect(&mut self, _: Context) {
        let rare = self.condition(1);
        let how = self.random.pick(&["", "\"step\""]);
        self.line(format!("if {rare} then collectgarbage({how}) end"));
    }

    /// Leaves the block: `break`, `goto continue`, `return` or an error.
    fn leave(&mut self, context: Context) {
        let rare = self.condition(2);
        match self.random.below(5) {
            0 if context.in_loop => self.line(format!("if {rare} then break end")),
            1 | 2 if context.can_continue => self.line(format!("if {rare} then goto continue end")),
            3 if context.depth > 0 => {
                let value = self.any(1);
                self.line(format!("if {rare} then return {value} end"));
            }
            4 if context.depth > 0 => {
                let error = self.random.pick(&[
                    "error(\"e\")",
                    "error({})",
                    "error(\"e\", 2)",
                    "error()",
                    "mix(nil + 1)",
                    "u4.x.y = 1",
                ]);
                self.line(format!("if {rare} and u1 % 5 == 0 then {error} end"));
            }
            _ => {}
        }
    }

    fn few(&mut self) -> usize {
        1 + self.random.below(4)
    }

    fn within(&mut self, context: Context) -> Context {
        Context { depth: context.depth + 1, ..context }
    }

    fn branch(&mut self, context: Context) {
        let inner = self.within(context);
        let condition = self.condition(3);
        self.line(format!("if {condition} then"));
        let n = self.few();
        self.block(inner, n);
        if self.random.chance(25) {
            let condition = self.condition(2);
            self.line(format!("elseif {condition} then"));
            let n = self.few();
            self.block(inner, n);
        }
        if self.random.chance(50) {
            self.line("else");
            let n = self.few();
            self.block(inner, n);
        }
        self.line("end");
    }

    /// The body of a loop with a label at its end.
    fn body(&mut self, context: Context, runs: u64, variables: &[(&str, Kind)]) {
        let can_continue = self.has_goto() && self.random.chance(40);
        let inner =
            Context { runs: context.runs * runs, depth: context.depth + 1, in_loop: true, can_continue, ..context };
        self.deeper(|program| {
            for (name, kind) in variables {
                program.open((*name).to_string(), *kind, false);
            }
            if can_continue {
                // In a block, so that no local variable stands between `goto` and label.
                program.line("do");
                let n = program.few() + 1;
                program.block(inner, n);
                program.line("end");
                program.line("::continue::");
            } else {
                let n = program.few() + 1;
                for _ in 0..n {
                    program.statement(inner);
                }
            }
        });
    }

    fn rounds(&mut self, context: Context) -> Option<u64> {
        let rounds = [2, 5, 9, 20, 60, 200][self.random.below(6)];
        self.affords(context, rounds).then_some(rounds)
    }

    fn numeric_loop(&mut self, context: Context) {
        let Some(rounds) = self.rounds(context) else { return };
        let name = self.fresh("i");
        let n = rounds as i64;
        let head = match self.random.below(9) {
            0 => format!("{n}, 1, -1"),
            1 => format!("{}, {}, {}", n, -n, -self.random.within(2, 4)),
            // Older versions wrap around, and never end.
            2 if self.version >= LuaVersion::Lua54 => format!("math.maxinteger - {n}, math.maxinteger"),
            3 if self.version >= LuaVersion::Lua54 => format!("math.mininteger + {n}, math.mininteger, -1"),
            4 => format!("1, {} % {n}", self.int(1)),
            5 => format!("1, #{} ", self.array_name()),
            6 => format!("1, {n}, {}", self.random.within(1, 3)),
            7 => format!("1, {n} + 0.5"),
            _ => format!("1, {n}"),
        };
        self.line(format!("for {name} = {head} do"));
        self.body(context, rounds, &[(&name, Kind::Int)]);
        self.line("end");
    }

    fn float_loop(&mut self, context: Context) {
        let name = self.fresh("x");
        if !self.affords(context, 12) {
            return;
        }
        let head = self.random.pick(&["0.0, 1, 0.1", "1.0, 10", "5, -1.0, -0.5", "1, 3, 0.25"]);
        self.line(format!("for {name} = {head} do"));
        self.body(context, 12, &[(&name, Kind::Float)]);
        self.line("end");
    }

    fn while_loop(&mut self, context: Context) {
        let Some(rounds) = self.rounds(context) else { return };
        let name = self.fresh("w");
        let condition = if self.random.chance(50) { format!(" and {}", self.condition(2)) } else { String::new() };
        self.line(format!("local {name} = 0"));
        self.line(format!("while {name} < {rounds}{condition} do"));
        self.deeper(|program| program.line(format!("{name} = {name} + 1")));
        self.body(context, rounds, &[(&name, Kind::Int)]);
        self.line("end");
    }

    fn repeat_loop(&mut self, context: Context) {
        let Some(rounds) = self.rounds(context) else { return };
        let (name, last) = (self.fresh("w"), self.fresh("v"));
        self.line(format!("local {name} = 0"));
        self.line("repeat");
        let inner = Context {
            runs: context.runs * rounds,
            depth: context.depth + 1,
            in_loop: true,
            can_continue: false,
            ..context
        };
        self.deeper(|program| {
            program.line(format!("{name} = {name} + 1"));
            program.open(name.clone(), Kind::Int, false);
            let n = program.few();
            program.block(inner, n);
            let value = program.condition(2);
            program.line(format!("local {last} = {value}"));
        });
        self.line(format!("until {name} >= {rounds} or {last}"));
    }

    fn generic_loop(&mut self, context: Context) {
        if !self.affords(context, 20) {
            return;
        }
        let (k, v) = (self.fresh("k"), self.fresh("v"));
        let form = self.random.below(4);
        match form {
            0 | 1 => {
                let array = self.array_name();
                // The body may append: it stops soon.
                self.line(format!("for {k}, {v} in ipairs({array}) do"));
                self.deeper(|program| program.line(format!("if {k} > 30 then break end")));
                self.body(context, 20, &[(&k, Kind::Int), (&v, Kind::Any)]);
            }
            2 => {
                let record = self.record_name();
                self.line(format!("for {k}, {v} in pairs({record}) do"));
                self.deeper(|program| {
                    program.line(format!(
                        "if {v} == 1 then {record}[{k}] = nil else acc = acc + hash({v}) * 3 + hash({k}) end"
                    ));
                });
            }
            _ => {
                let array = self.array_name();
                self.line(format!("for {k}, {v} in next, {array} do"));
                self.deeper(|program| program.line(format!("acc = acc + hash({v}) + {k} * 7")));
            }
        }
        self.line("end");
    }

    fn protected(&mut self, context: Context) {
        let call = if self.random.chance(70) { "pcall(" } else { "xpcall(" };
        let inner = Context { in_loop: false, can_continue: false, is_vararg: false, ..self.within(context) };
        self.line(format!("mix(shown({call}function()"));
        let n = self.few();
        self.block(inner, n);
        self.deeper(|program| {
            let rare = program.condition(2);
            let error =
                program.random.pick(&["error(\"p\")", "mix({} < 1)", "u4()", "local q = nil + u1", "error(\"p\", 2)"]);
            program.line(format!("if {rare} then {error} end"));
            let value = program.any(1);
            program.line(format!("return {value}"));
        });
        self.line(if call == "pcall(" { "end)))" } else { "end, function(e) mix(show(e)) return 5 end)))" });
    }

    fn coroutine(&mut self, context: Context) {
        if context.in_coroutine || !self.affords(context, 40) {
            return;
        }
        let (co, i) = (self.fresh("c"), self.fresh("i"));
        let inner = Context {
            runs: context.runs * 20,
            depth: context.depth + 2,
            in_loop: true,
            can_continue: false,
            is_vararg: false,
            in_coroutine: true,
        };
        self.line(format!("local {co} = coroutine.create(function(z)"));
        self.deeper(|program| {
            program.open("z".to_string(), Kind::Any, true);
            program.line(format!("for {i} = 1, 20 do"));
            program.deeper(|program| {
                program.open(i.clone(), Kind::Int, false);
                let n = program.few();
                program.block(inner, n);
                let value = program.any(1);
                program.line(format!("z = coroutine.yield({value})"));
            });
            program.line("end");
        });
        self.line("end)");
        let argument = self.any(1);
        self.line(format!("for {i} = 1, {} do", self.random.clone().within(2, 25)));
        self.deeper(|program| program.line(format!("mix(shown(coroutine.resume({co}, {argument})))")));
        self.line("end");
    }

    fn local_function(&mut self, context: Context) {
        let name = self.fresh("h");
        self.line(format!("local function {name}(x, y)"));
        let inner = Context { in_loop: false, can_continue: false, is_vararg: false, ..self.within(context) };
        self.deeper(|program| {
            program.open("x".to_string(), Kind::Any, true);
            program.open("y".to_string(), Kind::Any, true);
            let n = program.few();
            program.block(inner, n);
            let (a, b) = (program.any(2), program.any(1));
            program.line(format!("return {a}, {b}"));
        });
        self.line("end");
        if self.affords(context, 10) {
            let i = self.fresh("i");
            let (a, b) = (self.any(1), self.int(1));
            self.line(format!("for {i} = 1, 10 do mix(shown({name}({a}, {b} + {i}))) end"));
        }
    }

    fn recursion(&mut self, context: Context) {
        if !self.affords(context, 200) {
            return;
        }
        self.cost += context.runs * 200;
        let name = self.fresh("r");
        let (leaf, step) = (self.int(0), self.int(1));
        let form = match self.random.below(3) {
            0 => format!("if n < 2 then return {leaf} end return {name}(n - 1) + {name}(n - 2)"),
            1 => format!("if n <= 0 then return {leaf} end mix(n) return {name}(n - 1)"),
            _ => format!("if n <= 0 then return {leaf}, n end local a, b = {name}(n - 1) return a + {step}, n"),
        };
        self.line(format!("local function {name}(n) {form} end"));
        self.line(format!("mix(({name}({})))", self.random.clone().within(3, 9)));
    }

    fn close_variable(&mut self, context: Context) {
        if self.version < LuaVersion::Lua54 {
            return;
        }
        let inner = self.within(context);
        let name = self.fresh("t");
        self.line("do");
        self.deeper(|program| {
            program.line(format!(
                "local {name} <close> = setmetatable({{}}, {{__close = function() mix(\"close\") end}})"
            ));
            let n = program.few();
            program.block(inner, n);
        });
        self.line("end");
    }
}
