//! Random expressions of a kind.

use perilune_base::dialect::LuaVersion;

use super::program::{Kind, Program};

/// Integers of all sizes; the last two are not in the versions that have only floats.
const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "3",
    "7",
    "10",
    "100",
    "255",
    "-5",
    "2147483647",
    "-2147483648",
    "4294967296",
    "9007199254740992",
    "9007199254740993",
    "math.maxinteger",
    "math.mininteger",
];

const FLOATS: &[&str] = &[
    "0.0", "-0.0", "1.0", "-1.0", "0.5", "2.5", "-3.25", "1e10", "1e300", "-1e300", "(0/0)", "(1/0)", "(-1/0)", "2^53",
    "2^63", "-(2^63)", "0.1", "3.0", "0.125", "1e308", "-1.5e308", "2^1023", "2^-1022", "5e-324",
];

pub(super) const TEXTS: &[&str] =
    &["\"\"", "\"a\"", "\"abc\"", "\"hello world\"", "\"10\"", "\"0x1F\"", "\"k\"", "\"b\"", "\" 7 \""];

pub(super) const FIELDS: &[&str] = &["a", "b", "c", "d", "x", "y", "zz"];

impl Program {
    /// A variable of a kind.
    pub fn variable(&mut self, kind: Kind) -> Option<String> {
        self.some_variable(kind, false)
    }

    /// A variable of a kind that may be assigned.
    pub fn place(&mut self, kind: Kind) -> Option<String> {
        self.some_variable(kind, true)
    }

    fn some_variable(&mut self, kind: Kind, free: bool) -> Option<String> {
        let of_kind: Vec<&str> =
            self.variables.iter().filter(|v| v.kind == kind && (!free || v.is_free)).map(|v| v.name.as_str()).collect();
        if of_kind.is_empty() {
            return None;
        }
        // The newest are the locals of the loops around.
        let recent = of_kind.len().min(4);
        let at = if self.random.chance(70) {
            of_kind.len() - 1 - self.random.below(recent)
        } else {
            self.random.below(of_kind.len())
        };
        Some(of_kind[at].to_string())
    }

    /// An expression that gives a value of a kind.
    pub fn expression(&mut self, kind: Kind, depth: usize) -> String {
        match kind {
            Kind::Int => self.int(depth),
            Kind::Float => self.float(depth),
            Kind::Number => self.number(depth),
            Kind::Text => self.text(depth),
            Kind::Bool => self.condition(depth),
            Kind::Any => self.any(depth),
            Kind::Array => self.array(depth),
            Kind::Record => self.record(depth),
            Kind::Object => self.object(depth),
        }
    }

    pub fn int(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.chance(25) {
            if self.random.chance(75)
                && let Some(name) = self.variable(Kind::Int)
            {
                return name;
            }
            let edge = match self.random.chance(80) {
                true => 10,
                false if self.has_integers() => INTEGERS.len(),
                false => INTEGERS.len() - 2,
            };
            return INTEGERS[self.random.below(edge)].to_string();
        }
        let d = depth - 1;
        match self.random.below(22) {
            0..=3 => format!("({} + {})", self.int(d), self.int(d)),
            4..=5 => format!("({} - {})", self.int(d), self.int(d)),
            6 => format!("({} * {})", self.int(d), self.int(d)),
            7 if self.has_integers() => format!("({} // {})", self.int(d), self.divisor(d)),
            7 => format!("math.floor({} / {})", self.int(d), self.divisor(d)),
            8..=9 => format!("({} % {})", self.int(d), self.divisor(d)),
            10..=11 => self.bits(d),
            12 => format!("(- {})", self.int(d)),
            13 if self.has_integers() => format!("(~{})", self.int(d)),
            13 => format!("(-1 - {})", self.int(d)),
            14 => format!("#{}", self.array_name()),
            15 => format!("#({})", self.text_operand(d)),
            16 => format!("num({}[{}])", self.array_name(), self.index(d)),
            17 => format!("({} and {} or {})", self.condition(d), self.int(d), self.int(d)),
            18 => format!("math.max({}, {})", self.int(d), self.int(d)),
            19 => format!("math.abs({})", self.int(d)),
            20 => format!("({}:byte({}) or 0)", self.text_operand(d), self.position(d)),
            _ => {
                let field = self.random.pick(FIELDS);
                format!("num({}.{field})", self.record_name())
            }
        }
    }

    /// An operation on bits, where the version has any.
    fn bits(&mut self, d: usize) -> String {
        let op = self.random.below(5);
        let amount = if self.random.chance(50) { self.random.within(-66, 66).to_string() } else { self.int(d) };
        let second = if op < 3 { self.int(d) } else { amount };
        let first = self.int(d);
        match self.version {
            LuaVersion::Lua51 => format!("({first} - {second})"),
            LuaVersion::Lua52 => {
                let name = ["band", "bor", "bxor", "lshift", "rshift"][op];
                format!("bit32.{name}(small({first}), small({second}))")
            }
            LuaVersion::Lua53 | LuaVersion::Lua54 | LuaVersion::Lua55 => {
                format!("({first} {} {second})", ["&", "|", "~", "<<", ">>"][op])
            }
        }
    }

    /// An integer that says where in a text. What versions without integers do with those that do not fit is left to C.
    pub fn position(&mut self, depth: usize) -> String {
        let value = self.int(depth);
        if self.has_integers() { value } else { format!("small({value})") }
    }

    fn divisor(&mut self, depth: usize) -> String {
        match self.random.below(12) {
            0 => self.int(depth),
            1 => self.random.within(-9, -1).to_string(),
            2 => "0".to_string(),
            _ => self.random.within(1, 16).to_string(),
        }
    }

    /// A small positive number for an index.
    fn index(&mut self, depth: usize) -> String {
        match self.random.below(6) {
            0 => self.random.within(0, 9).to_string(),
            1 => format!("#{}", self.array_name()),
            2 => format!("{} % 7 + 1", self.int(depth)),
            3 => format!("({} % 5 + 1.0)", self.int(depth)),
            _ => self.variable(Kind::Int).unwrap_or_else(|| "1".to_string()),
        }
    }

    pub fn float(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.chance(25) {
            if self.random.chance(75)
                && let Some(name) = self.variable(Kind::Float)
            {
                return name;
            }
            return FLOATS[self.random.below(FLOATS.len())].to_string();
        }
        let d = depth - 1;
        match self.random.below(13) {
            0..=2 => format!("({} + {})", self.float(d), self.number(d)),
            3 => format!("({} - {})", self.number(d), self.float(d)),
            4..=5 => format!("({} * {})", self.float(d), self.number(d)),
            6 => format!("({} / {})", self.number(d), self.number(d)),
            7 => format!("({} % {})", self.float(d), self.number(d)),
            8 if self.has_integers() => format!("({} // {})", self.float(d), self.number(d)),
            8 => format!("math.ceil({} / {})", self.float(d), self.number(d)),
            9 => format!("(- {})", self.float(d)),
            10 => format!("math.sqrt({})", self.number(d)),
            11 => format!("({} ^ {})", self.number(d), self.random.pick(&["2", "0.5", "3", "-1"])),
            _ => format!("math.min({}, {})", self.float(d), self.float(d)),
        }
    }

    pub fn number(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.chance(20) {
            if self.random.chance(60)
                && let Some(name) = self.variable(Kind::Number)
            {
                return name;
            }
            return if self.random.chance(60) { self.int(0) } else { self.float(0) };
        }
        let d = depth - 1;
        match self.random.below(12) {
            0..=2 => self.int(depth),
            3..=4 => self.float(depth),
            5..=6 => {
                let op = self.random.pick(&["+", "-", "*"]);
                format!("({} {op} {})", self.number(d), self.number(d))
            }
            7 => format!("({} and {} or {})", self.condition(d), self.int(d), self.float(d)),
            8 => format!("num({})", self.any(d)),
            9 => {
                let op = self.random.pick(&["max", "min", "fmod"]);
                format!("math.{op}({}, {})", self.number(d), self.float(d))
            }
            10 => {
                let op = self.random.pick(&["floor", "ceil", "abs"]);
                format!("math.{op}({})", self.number(d))
            }
            _ => format!("num({}[{}])", self.array_name(), self.index(d)),
        }
    }

    pub fn text(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.chance(30) {
            if self.random.chance(70)
                && let Some(name) = self.variable(Kind::Text)
            {
                return name;
            }
            return self.random.pick(TEXTS).to_string();
        }
        let d = depth - 1;
        match self.random.below(11) {
            0..=1 => format!("({} .. {})", self.text(d), self.text(d)),
            2 => format!("({} .. {})", self.text(d), self.int(d)),
            3 => format!("{}:sub({}, {})", self.text_operand(d), self.position(d), self.position(d)),
            4 => format!("tostring({})", self.int(d)),
            5 => format!("string.char({} % 26 + 97)", self.position(d)),
            6 => format!("{}:rep({} % 4)", self.text_operand(d), self.position(d)),
            7 => format!("{}:upper()", self.text_operand(d)),
            8 => format!("string.format(\"%d:%s\", {}, {} .. \"\")", self.position(d), self.text(d)),
            9 => format!("type({})", self.any(d)),
            _ => format!("({} and {} or {})", self.condition(d), self.text(d), self.text(d)),
        }
    }

    /// Text that a method may be called on.
    fn text_operand(&mut self, depth: usize) -> String {
        let text = self.text(depth);
        if text.starts_with(['"', '(']) && !text.ends_with(')') || text.starts_with('"') {
            format!("({text})")
        } else {
            text
        }
    }

    pub fn condition(&mut self, depth: usize) -> String {
        if depth == 0 {
            if self.random.chance(40)
                && let Some(name) = self.variable(Kind::Bool)
            {
                return name;
            }
            return format!("{} % {} == 0", self.int(0), self.random.within(2, 5));
        }
        let d = depth - 1;
        let order = self.random.pick(&["<", "<=", ">", ">=", "==", "~="]);
        match self.random.below(14) {
            0..=2 => format!("({} {order} {})", self.int(d), self.int(d)),
            3 => format!("({} {order} {})", self.number(d), self.number(d)),
            4 => format!("({} {order} {})", self.float(d), self.float(d)),
            5 => format!("({} {order} {})", self.text(d), self.text(d)),
            6 => {
                let op = self.random.pick(&["==", "~="]);
                format!("({} {op} {})", self.any(d), self.any(d))
            }
            7 => format!("(not {})", self.condition(d)),
            8 => format!("({} and {})", self.condition(d), self.condition(d)),
            9 => format!("({} or {})", self.condition(d), self.condition(d)),
            10..=11 => format!("({} % {} == 0)", self.int(d), self.random.within(2, 9)),
            12 => {
                let op = self.random.pick(&["<", "==", "~="]);
                format!("({} {op} {})", self.object_name(), self.object_name())
            }
            _ => format!("({} == nil)", self.any(d)),
        }
    }

    pub fn any(&mut self, depth: usize) -> String {
        match self.random.below(12) {
            0 => "nil".to_string(),
            1..=2 => self.int(depth),
            3 => self.float(depth),
            4 => self.number(depth),
            5 => self.text(depth),
            6 => self.condition(depth),
            7 => self.variable(Kind::Any).unwrap_or_else(|| "u4".to_string()),
            8 => format!("{}[{}]", self.array_name(), self.index(0)),
            9 => format!("{}.{}", self.record_name(), self.random.pick(FIELDS)),
            10 => format!("{}.{}", self.object_name(), self.random.pick(FIELDS)),
            _ => format!("({} and {})", self.condition(depth.saturating_sub(1)), self.int(0)),
        }
    }

    pub fn array_name(&mut self) -> String {
        self.variable(Kind::Array).unwrap_or_else(|| "ua".to_string())
    }

    pub fn record_name(&mut self) -> String {
        self.variable(Kind::Record).unwrap_or_else(|| "ur".to_string())
    }

    /// An object, which may be made on the spot.
    pub fn object_name(&mut self) -> String {
        match self.variable(Kind::Object) {
            Some(name) => name,
            None => self.object(0),
        }
    }

    fn array(&mut self, depth: usize) -> String {
        if self.random.chance(25) {
            return self.array_name();
        }
        let kind = self.random.below(4);
        let values: Vec<String> = (0..self.random.below(7))
            .map(|_| match kind {
                0 => self.int(depth.min(1)),
                1 => self.float(depth.min(1)),
                2 => self.text(0),
                _ => self.number(depth.min(1)),
            })
            .collect();
        format!("{{{}}}", values.join(", "))
    }

    fn record(&mut self, depth: usize) -> String {
        if self.random.chance(25) {
            return self.record_name();
        }
        let first = self.random.below(3);
        let fields: Vec<String> = (first..first + self.random.below(4))
            .map(|n| format!("{} = {}", FIELDS[n], self.any(depth.min(1))))
            .collect();
        format!("{{{}}}", fields.join(", "))
    }

    fn object(&mut self, depth: usize) -> String {
        if self.random.chance(25)
            && let Some(name) = self.variable(Kind::Object)
        {
            return name;
        }
        let class = self.random.within(1, 3);
        format!("Obj({class}, {}, {})", self.int(depth.min(1)), self.number(depth.min(1)))
    }
}
