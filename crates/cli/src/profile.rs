//! `perilune profile`: runs a script as `perilune` does, and says where it spends its time.
//!
//! Stacks are looked at when a slice of fuel is used up (see [`perilune_vm::sample`]), so compiled code and long library
//! functions are seen as well as interpreted code. Each look weighs what has passed since the last one: microseconds, or
//! with `--by=fuel` units of work, which are the same on every run.
//!
//! ```text
//! perilune profile script.lua        perilune-profile.folded   main chunk (script.lua);spin (script.lua:1) 48210
//!                                    perilune-profile.svg      the same as a flame graph, for a browser
//! ```
//!
//! Not seen: the time of the host itself (starting, compiling), and what a program does after its last slice.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use lexopt::Parser;
use perilune_vm::Vm;
use perilune_vm::sample::{Function, Place, Sampler};

use crate::options::UsageError;

/// The word that asks for this command.
pub const NAME: &str = "profile";

/// Functions of one stack that are kept, the innermost ones.
const DEEPEST: usize = 200;

/// An option of this command.
struct Row {
    name: &'static str,
    takes: Option<&'static str>,
    help: &'static str,
}

const OPTIONS: &[Row] = &[
    Row { name: "--out", takes: Some("PREFIX"), help: "write PREFIX.folded and PREFIX.svg (perilune-profile)" },
    Row { name: "--by", takes: Some("time|fuel"), help: "weigh by microseconds, or by units of work (time)" },
    Row { name: "--interval", takes: Some("N"), help: "look at most once in N of these (1000)" },
    Row { name: "--lines", takes: None, help: "tell the lines of a function apart" },
    Row { name: "--help", takes: None, help: "show this text" },
];

/// What a look at the program weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Time,
    Fuel,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Profile; the arguments are those of an ordinary run, the program's name first.
    Run(Settings, Vec<OsString>),
    /// Print the help.
    Help,
}

/// How to profile.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    out: PathBuf,
    weight: Weight,
    interval: u64,
    lines: bool,
}

/// Reads a command line whose second word is [`NAME`]. What follows its own options is an ordinary command line.
pub fn parse(arguments: &[OsString]) -> Result<Request, UsageError> {
    let mut settings =
        Settings { out: PathBuf::from("perilune-profile"), weight: Weight::Time, interval: 1000, lines: false };
    let mut parser = Parser::from_args(arguments.iter().skip(2));
    while let Some(row) = next_option(&mut parser) {
        // The option itself, which is known to be there.
        let _ = parser.next();
        let value = match row.takes {
            None => OsString::new(),
            Some(_) => parser.value().map_err(|_| UsageError(format!("'{}' needs argument", row.name)))?,
        };
        let text = value.to_string_lossy();
        let invalid = || UsageError(format!("invalid value '{text}' for '{}'", row.name));
        match row.name {
            "--out" => settings.out = PathBuf::from(&value),
            "--by" if text == "time" => settings.weight = Weight::Time,
            "--by" if text == "fuel" => settings.weight = Weight::Fuel,
            "--interval" => settings.interval = text.parse().map_err(|_| invalid())?,
            "--lines" => settings.lines = true,
            "--help" => return Ok(Request::Help),
            _ => return Err(invalid()),
        }
    }
    let mut rest = vec![arguments[0].clone()];
    rest.extend(parser.raw_args().into_iter().flatten());
    Ok(Request::Run(settings, rest))
}

/// The row of the next argument, if it is an option of this command.
fn next_option(parser: &mut Parser) -> Option<&'static Row> {
    let rest = parser.try_raw_args()?;
    let argument = rest.peek()?.to_string_lossy();
    let name = argument.split('=').next()?;
    OPTIONS.iter().find(|row| row.name == name)
}

/// The text of `--help`.
pub fn help(program: &str) -> String {
    let mut text = format!("usage: {program} {NAME} [options] [options of {program}] script [args]\n");
    for row in OPTIONS {
        let left = match row.takes {
            Some(value) => format!("{}={value}", row.name),
            None => row.name.to_string(),
        };
        // A string takes all.
        let _ = writeln!(text, "  {left:<20} {}", row.help);
    }
    text
}

/// Stands for the line of a native function where functions are told apart; no Lua function has it.
const NATIVE: usize = usize::MAX;

/// A function, and with `--lines` the line in it, by its number in [`Stacks::functions`].
type Step = (usize, Option<u32>);

/// The stacks that were seen.
#[derive(Debug)]
struct Stacks {
    lines: bool,
    /// Each function once, with the first name that anybody had for it.
    functions: Vec<(Function, Option<String>)>,
    numbers: HashMap<(Vec<u8>, usize), usize>,
    /// What each stack, outermost function first, weighs.
    weights: BTreeMap<Vec<Step>, u64>,
    looks: u64,
}

impl Stacks {
    fn add(&mut self, places: &[Place], weight: u64) {
        // What the host called through is nameless, and part of no program.
        let is_host = |place: &&Place| place.name.is_none() && place.function == Function::Native;
        let stack: Vec<Step> = places.iter().rev().skip_while(is_host).map(|place| self.step(place)).collect();
        *self.weights.entry(stack).or_default() += weight;
        self.looks += 1;
    }

    fn step(&mut self, place: &Place) -> Step {
        let (key, line) = match &place.function {
            Function::Lua { chunk, defined, line } => ((chunk.clone(), *defined as usize), *line),
            Function::Native => ((place.name.clone().unwrap_or_default(), NATIVE), None),
        };
        let next = self.functions.len();
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.functions.push((place.function.clone(), None));
        }
        let name = &mut self.functions[number].1;
        if name.is_none() {
            *name = place.name.as_ref().map(|name| String::from_utf8_lossy(name).into_owned());
        }
        (number, if self.lines { line } else { None })
    }

    fn label(&self, (number, line): Step) -> String {
        let (function, name) = &self.functions[number];
        let name = name.as_deref();
        let mut text = match function {
            Function::Lua { chunk, defined: 0, .. } => format!("main chunk ({})", String::from_utf8_lossy(chunk)),
            Function::Lua { chunk, defined, .. } => {
                format!("{} ({}:{defined})", name.unwrap_or("function"), String::from_utf8_lossy(chunk))
            }
            Function::Native => format!("{} [native]", name.unwrap_or("?")),
        };
        if let Some(line) = line {
            let _ = write!(text, " line {line}");
        }
        // These two have a meaning in the folded form.
        text.replace(';', ",").replace('\n', " ")
    }

    /// A line per stack: labels joined by semicolons, a blank, the weight.
    fn folded(&self) -> Vec<String> {
        let mut merged: BTreeMap<String, u64> = BTreeMap::new();
        for (stack, weight) in &self.weights {
            let labels: Vec<String> = stack.iter().map(|&step| self.label(step)).collect();
            *merged.entry(labels.join(";")).or_default() += weight;
        }
        merged.into_iter().map(|(stack, weight)| format!("{stack} {weight}")).collect()
    }
}

/// The VM's side of a profile.
struct Recorder {
    stacks: Rc<RefCell<Stacks>>,
    weight: Weight,
    interval: u64,
    /// Units since the last look that was kept.
    units: u64,
    last: Instant,
}

impl Sampler for Recorder {
    fn sample(&mut self, vm: &Vm, units: u64) {
        self.units += units;
        let weight = match self.weight {
            Weight::Time => self.last.elapsed().as_micros() as u64,
            Weight::Fuel => self.units,
        };
        if weight >= self.interval.max(1) {
            self.stacks.borrow_mut().add(&vm.running_places(DEEPEST), weight);
            self.units = 0;
            self.last += match self.weight {
                Weight::Time => Duration::from_micros(weight),
                Weight::Fuel => Duration::ZERO,
            };
        }
    }
}

/// A profile that is being made.
pub struct Profile {
    settings: Settings,
    stacks: Rc<RefCell<Stacks>>,
}

impl Profile {
    /// A profile of nothing yet.
    pub fn new(settings: Settings) -> Profile {
        let stacks = Stacks {
            lines: settings.lines,
            functions: Vec::new(),
            numbers: HashMap::new(),
            weights: BTreeMap::new(),
            looks: 0,
        };
        Profile { settings, stacks: Rc::new(RefCell::new(stacks)) }
    }

    /// What is to be put into the VM. Time begins now.
    pub fn sampler(&self) -> Box<dyn Sampler> {
        Box::new(Recorder {
            stacks: Rc::clone(&self.stacks),
            weight: self.settings.weight,
            interval: self.settings.interval,
            units: 0,
            last: Instant::now(),
        })
    }

    /// Writes both files: a line for the user.
    pub fn write(&self, title: &str) -> std::io::Result<String> {
        let stacks = self.stacks.borrow();
        let folded = stacks.folded();
        if folded.is_empty() {
            return Ok("no profile: the program ended before the first look".to_string());
        }
        let (folded_file, picture_file) = (self.file("folded"), self.file("svg"));
        std::fs::write(&folded_file, folded.join("\n") + "\n")?;
        let mut options = inferno::flamegraph::Options::default();
        options.title = title.to_string();
        options.count_name = match self.settings.weight {
            Weight::Time => "µs".to_string(),
            Weight::Fuel => "units".to_string(),
        };
        options.deterministic = true;
        let mut picture = Vec::new();
        inferno::flamegraph::from_lines(&mut options, folded.iter().map(String::as_str), &mut picture)?;
        std::fs::write(&picture_file, picture)?;
        Ok(format!("{} looks: {}, {}", stacks.looks, folded_file.display(), picture_file.display()))
    }

    fn file(&self, suffix: &str) -> PathBuf {
        let mut name = self.settings.out.clone().into_os_string();
        name.push(".");
        name.push(suffix);
        PathBuf::from(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Command;
    use crate::session::Session;

    fn parsed(arguments: &[&str]) -> Result<Request, UsageError> {
        let all = ["perilune", NAME].iter().chain(arguments);
        parse(&all.map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn its_own_options_come_before_those_of_an_ordinary_run() {
        let Ok(Request::Run(settings, rest)) = parsed(&["--by=fuel", "--out", "p", "-E", "x.lua", "--lines"]) else {
            panic!("a run")
        };
        assert_eq!((settings.weight, settings.out, settings.lines), (Weight::Fuel, PathBuf::from("p"), false));
        assert_eq!(rest, ["perilune", "-E", "x.lua", "--lines"]);
        assert_eq!(parsed(&["--help"]), Ok(Request::Help));
        assert_eq!(parsed(&["--by=mood"]), Err(UsageError("invalid value 'mood' for '--by'".into())));
        assert_eq!(parsed(&["--interval"]), Err(UsageError("'--interval' needs argument".into())));
    }

    const PROGRAM: &[u8] = b"
        local function cold() for i = 1, 20000 do end end
        local function hot() for i = 1, 500000 do end end
        local co = coroutine.wrap(function() hot() end)
        cold() co()";

    /// The folded stacks of a program.
    fn folded(settings: Settings) -> Vec<String> {
        let profile = Profile::new(settings);
        let mut session = Session::new(&Command::default(), perilune_jit::Sink::default());
        session.set_sampler(profile.sampler());
        let chunk = session.load(PROGRAM, b"=program").expect("well formed");
        session.call(chunk, &[]).expect("no error");
        profile.stacks.borrow().folded()
    }

    fn by_fuel(lines: bool) -> Settings {
        Settings { out: PathBuf::new(), weight: Weight::Fuel, interval: 1, lines }
    }

    #[test]
    fn what_works_most_weighs_most() {
        let stacks = folded(by_fuel(false));
        let heaviest = stacks.iter().max_by_key(|line| line.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok()));
        let heaviest = heaviest.expect("some stack");
        assert!(
            heaviest.starts_with("main chunk (program);co [native];function (program:4);hot (program:3) "),
            "{heaviest}"
        );
        assert_eq!(stacks, folded(by_fuel(false)), "the same on every run");
    }

    #[test]
    fn lines_are_told_apart_when_asked() {
        let stacks = folded(by_fuel(true));
        assert!(stacks.iter().any(|stack| stack.contains("hot (program:3) line 3")), "{stacks:?}");
        assert!(stacks.iter().any(|stack| stack.starts_with("main chunk (program) line 5;")), "{stacks:?}");
    }

    #[test]
    fn both_files_are_written() {
        let folder = std::env::temp_dir().join(format!("perilune-profile-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let profile = Profile::new(Settings { out: folder.join("p"), ..by_fuel(false) });
        let place = Place { name: Some(b"f;g".to_vec()), function: Function::Native };
        profile.stacks.borrow_mut().add(&[place], 7);
        profile.write("a title").expect("written");
        assert_eq!(std::fs::read_to_string(folder.join("p.folded")).expect("it is there"), "f,g [native] 7\n");
        let picture = std::fs::read_to_string(folder.join("p.svg")).expect("it is there");
        assert!(picture.contains("<svg") && picture.contains("a title"));
        std::fs::remove_dir_all(&folder).expect("it is ours");
    }
}
