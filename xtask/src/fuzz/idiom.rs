//! Idioms: pieces of programs as people write them, with random parts.
//!
//! Random statements seldom make a class with an heir, a generator, or a sort with a comparator. So the files of
//! [`SUBJECTS`] have one after the other:
//!
//! ```text
//! == fill 60 5.3+            its name, how often its parts run, the first version that has what it needs
//! local $t = {}              $name: a name of its own
//! for $i = 1, %N do          %N: rounds; %i %f %n %s %c %v: an expression, by the letters of `kind`
//!   $t[$i] = «%i|$i * 2»     «a|b»: one of several
//!   @ $i:i $t:a              random statements, which may use these variables
//! end
//! ! $t:a                     variables for what comes after the idiom
//! ```
//! `%A`, `%R` and `%O` are the names of an array, a record and an object; `%k` is a small positive number, `%%` a percent
//! sign.

use std::collections::HashMap;
use std::iter::Peekable;
use std::str::Chars;

use perilune_base::dialect::LuaVersion;

use super::program::{Context, Kind, Program, Variable};

/// The idioms by subject. Their order decides which one a seed means.
const SUBJECTS: [&str; 17] = [
    include_str!("idioms/arrays.txt"),
    include_str!("idioms/objects.txt"),
    include_str!("idioms/functions.txt"),
    include_str!("idioms/errors.txt"),
    include_str!("idioms/coroutines.txt"),
    include_str!("idioms/strings.txt"),
    include_str!("idioms/numbers.txt"),
    include_str!("idioms/control.txt"),
    include_str!("idioms/globals.txt"),
    include_str!("idioms/lifetimes.txt"),
    include_str!("idioms/environments.txt"),
    include_str!("idioms/programs.txt"),
    include_str!("idioms/temporaries.txt"),
    include_str!("idioms/kinds.txt"),
    include_str!("idioms/calls.txt"),
    include_str!("idioms/versions.txt"),
    include_str!("idioms/handlers.txt"),
];

/// An idiom, as its text says.
struct Idiom {
    runs: u64,
    since: LuaVersion,
    lines: Vec<&'static str>,
}

fn idioms() -> Vec<Idiom> {
    SUBJECTS
        .iter()
        .flat_map(|subject| subject.strip_prefix("== ").unwrap_or(subject).split("\n== "))
        .map(|text| {
            let mut lines = text.lines().filter(|line| !line.is_empty());
            let mut head = lines.next().unwrap_or_default().split(' ').skip(1);
            let runs = head.next().and_then(|runs| runs.parse().ok()).unwrap_or(1);
            let since = head.next().and_then(|since| since.trim_end_matches('+').parse().ok());
            Idiom { runs, since: since.unwrap_or(LuaVersion::Lua51), lines: lines.collect() }
        })
        .collect()
}

/// The kind of a variable or expression, by its letter.
fn kind(letter: char) -> Option<Kind> {
    Some(match letter {
        'i' => Kind::Int,
        'f' => Kind::Float,
        'n' => Kind::Number,
        's' => Kind::Text,
        'c' => Kind::Bool,
        'v' => Kind::Any,
        'a' => Kind::Array,
        'r' => Kind::Record,
        'o' => Kind::Object,
        _ => return None,
    })
}

impl Program {
    /// Adds an idiom.
    pub fn idiom(&mut self, context: Context) {
        let mut all = idioms();
        let idiom = all.swap_remove(self.random.below(all.len()));
        if idiom.since > self.version || !self.affords(context, idiom.runs) {
            return;
        }
        self.cost += context.runs * idiom.runs;
        let mut names = HashMap::new();
        let scope = self.variables.len();
        let mut outside = Vec::new();
        for line in idiom.lines {
            let text = line.trim_start();
            let depth = (line.len() - text.len()) / 2;
            match text.chars().next() {
                Some('@') => {
                    let variables = self.declared(text, &mut names);
                    self.variables.extend(variables);
                    let inner = Context {
                        runs: context.runs * idiom.runs,
                        depth: context.depth + 2,
                        in_loop: false,
                        can_continue: false,
                        is_vararg: false,
                        in_coroutine: context.in_coroutine,
                    };
                    self.nested(depth, |program| program.statement(inner));
                    self.variables.truncate(scope);
                }
                Some('!') => outside = self.declared(text, &mut names),
                _ => {
                    let line = self.expand(&mut text.chars().peekable(), false, &mut names);
                    self.nested(depth, |program| program.line(line));
                }
            }
        }
        self.variables.extend(outside);
    }

    /// Variables in the form `$name:k`.
    fn declared(&mut self, text: &str, names: &mut HashMap<String, String>) -> Vec<Variable> {
        let mut declared = Vec::new();
        for word in text.split_whitespace() {
            if let Some((name, letter)) = word.split_once(':')
                && let Some(kind) = letter.chars().next().and_then(kind)
            {
                let name = self.expand(&mut name.chars().peekable(), false, names);
                declared.push(Variable { name, kind, is_free: text.starts_with('!') });
            }
        }
        declared
    }

    /// A line with its random parts, up to the end or, in an alternative, to a `|` or `»`.
    fn expand(
        &mut self,
        from: &mut Peekable<Chars<'_>>,
        in_alternative: bool,
        names: &mut HashMap<String, String>,
    ) -> String {
        let mut line = String::new();
        while let Some(&c) = from.peek() {
            if in_alternative && (c == '|' || c == '»') {
                break;
            }
            from.next();
            match c {
                '$' => {
                    let mut name = String::new();
                    while let Some(c) = from.next_if(char::is_ascii_alphabetic) {
                        name.push(c);
                    }
                    if !names.contains_key(&name) {
                        let fresh = self.fresh(&name);
                        names.insert(name.clone(), fresh);
                    }
                    line.push_str(&names[&name]);
                }
                '%' => {
                    let part = self.part(from.next().unwrap_or('%'));
                    line.push_str(&part);
                }
                '«' => {
                    let mut alternatives = Vec::new();
                    loop {
                        alternatives.push(self.expand(from, true, names));
                        if from.next() != Some('|') {
                            break;
                        }
                    }
                    line.push_str(&alternatives.swap_remove(self.random.below(alternatives.len())));
                }
                c => line.push(c),
            }
        }
        line
    }

    /// A random part, by its letter.
    fn part(&mut self, letter: char) -> String {
        match letter {
            'N' => self.random.pick(&["3", "7", "20", "20", "40"]).to_string(),
            'k' => self.random.within(1, 9).to_string(),
            'p' => self.position(1),
            'A' => self.array_name(),
            'R' => self.record_name(),
            'O' => self.object_name(),
            letter => match kind(letter) {
                Some(kind) => self.expression(kind, 1),
                None if letter == '%' => letter.to_string(),
                None => format!("%{letter}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_idiom_has_a_head() {
        assert!(idioms().len() > 150);
        for idiom in idioms() {
            assert!(idiom.runs > 1 && !idiom.lines.is_empty(), "{:?}", idiom.lines);
        }
    }
}
