//! The command line.
//!
//! [`OPTIONS`] is the only list of options: the parser, the usage message, `--help` and the reference page are made from it.
//!
//! Options that `lua` has too are taken exactly as `lua` takes them: they do not combine (`-vi` is no option), and an
//! argument that begins with `-` is not taken for the value of another one.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser};
use perilune_base::dialect::LuaVersion;
use perilune_jit::{Dump, Effort, LogLevel};
use perilune_stdlib::sandbox::Sandbox;

/// What an option is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Id {
    Execute,
    Interactive,
    Library,
    ShowVersion,
    NoEnvironment,
    Warnings,
    Jit,
    Hot,
    ExitEvery,
    Stats,
    TraceLog,
    Dump,
    JitOpt,
    Code,
    JitMemory,
    PerfMap,
    JitLibrary,
    LuaVersion,
    Strict,
    MaxInstructions,
    MaxMemory,
    MaxDepth,
    MaxCoroutines,
    Timeout,
    Sandbox,
    Deterministic,
    Help,
    Version,
}

/// What follows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value(&'static str),
    /// Only after `=`.
    Optional(&'static str),
}

/// A row of the registry of options.
struct Row {
    id: Id,
    name: Name,
    takes: Takes,
    help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    /// `-e`
    Short(char),
    /// `--help`
    Long(&'static str),
}

const OPTIONS: &[Row] = &[
    Row { id: Id::Execute, name: Name::Short('e'), takes: Takes::Value("stat"), help: "execute string 'stat'" },
    Row {
        id: Id::Interactive,
        name: Name::Short('i'),
        takes: Takes::Nothing,
        help: "enter interactive mode after executing 'script'",
    },
    Row {
        id: Id::Library,
        name: Name::Short('l'),
        takes: Takes::Value("mod"),
        help: "require library 'mod' into global 'mod'; 'g=mod' into global 'g'",
    },
    Row { id: Id::ShowVersion, name: Name::Short('v'), takes: Takes::Nothing, help: "show version information" },
    Row { id: Id::NoEnvironment, name: Name::Short('E'), takes: Takes::Nothing, help: "ignore environment variables" },
    Row { id: Id::Warnings, name: Name::Short('W'), takes: Takes::Nothing, help: "turn warnings on" },
    Row { id: Id::Jit, name: Name::Short('j'), takes: Takes::Value("on|off"), help: "trace compiler on or off" },
    Row {
        id: Id::Hot,
        name: Name::Long("hot"),
        takes: Takes::Value("N"),
        help: "rounds of a loop before it is compiled",
    },
    Row {
        id: Id::ExitEvery,
        name: Name::Long("exit-every"),
        takes: Takes::Value("N"),
        help: "let every N-th guard of compiled code fail, to exercise exits",
    },
    Row {
        id: Id::Stats,
        name: Name::Long("stats"),
        takes: Takes::Nothing,
        help: "show what the trace compiler did, and the units of work, on standard error",
    },
    Row {
        id: Id::TraceLog,
        name: Name::Long("trace-log"),
        takes: Takes::Optional("1|2|3"),
        help: "show traces and aborts of the trace compiler, on standard error; 2: exits and code too; 3: recordings too",
    },
    Row {
        id: Id::Dump,
        name: Name::Long("dump"),
        takes: Takes::Value("bc,record,ir,opt,snap,clif,asm[:FILE]"),
        help: "show these phases of each compiled trace, on standard error or in a file",
    },
    Row {
        id: Id::JitOpt,
        name: Name::Long("jit-opt"),
        takes: Takes::Value("-PASS,..."),
        help: "switch passes of the trace compiler off",
    },
    Row {
        id: Id::Code,
        name: Name::Long("code"),
        takes: Takes::Value("quick|full"),
        help: "put little work into all code, or all into all, rather than as it proves its worth",
    },
    Row {
        id: Id::JitMemory,
        name: Name::Long("jit-memory"),
        takes: Takes::Value("BYTES[K|M|G]"),
        help: "limit the memory of compiled code",
    },
    Row {
        id: Id::PerfMap,
        name: Name::Long("perf-map"),
        takes: Takes::Nothing,
        help: "name compiled code for perf, in /tmp/perf-PID.map",
    },
    Row {
        id: Id::JitLibrary,
        name: Name::Long("jit-library"),
        takes: Takes::Nothing,
        help: "give scripts the library 'jit': on, off, flush, status",
    },
    Row {
        id: Id::LuaVersion,
        name: Name::Long("lua-version"),
        takes: Takes::Value("V"),
        help: "version of the language, as 5.4, 54 or lua5.4",
    },
    Row {
        id: Id::Strict,
        name: Name::Long("strict"),
        takes: Takes::Nothing,
        help: "only what the manual of the version has",
    },
    Row {
        id: Id::MaxInstructions,
        name: Name::Long("max-instructions"),
        takes: Takes::Value("N"),
        help: "end the program after N units of work (exit code 3)",
    },
    Row {
        id: Id::MaxMemory,
        name: Name::Long("max-memory"),
        takes: Takes::Value("BYTES[K|M|G]"),
        help: "limit the memory of all Lua values together",
    },
    Row {
        id: Id::MaxDepth,
        name: Name::Long("max-depth"),
        takes: Takes::Value("N"),
        help: "limit the calls that wait for one another in a coroutine",
    },
    Row {
        id: Id::MaxCoroutines,
        name: Name::Long("max-coroutines"),
        takes: Takes::Value("N"),
        help: "limit the coroutines that are alive at once",
    },
    Row {
        id: Id::Timeout,
        name: Name::Long("timeout"),
        takes: Takes::Value("SECONDS"),
        help: "end the program after this time (exit code 3)",
    },
    Row {
        id: Id::Sandbox,
        name: Name::Long("sandbox"),
        takes: Takes::Optional("moderate|restrictive"),
        help: "no files, processes or modules; with limits (moderate if not said)",
    },
    Row {
        id: Id::Deterministic,
        name: Name::Long("deterministic"),
        takes: Takes::Optional("SEED"),
        help: "same clocks, random numbers and addresses on every run",
    },
    Row {
        id: Id::Help,
        name: Name::Long("help"),
        takes: Takes::Optional("markdown"),
        help: "show this text, or the reference page",
    },
    Row {
        id: Id::Version,
        name: Name::Long("version"),
        takes: Takes::Nothing,
        help: "show the version of this program",
    },
];

/// Arguments that are not options but shown with them.
const SPECIAL: [(&str, &str); 2] = [("--", "stop handling options"), ("-", "stop handling options and execute stdin")];

/// What the user wants.
#[derive(Debug, PartialEq)]
pub enum Request {
    /// Run Lua code.
    Run(Box<Command>),
    /// Print the help.
    Help,
    /// Print the reference page.
    Reference,
    /// Print the version.
    Version,
}

/// How to run which Lua code.
#[derive(Debug, Default, PartialEq)]
pub struct Command {
    /// `-e`, `-l` and `-W`, in their order.
    pub steps: Vec<Step>,
    /// `-i`
    pub interactive: bool,
    /// `-v`, also by `-i`.
    pub show_version: bool,
    /// `--lua-version`, or what the program's name says.
    pub version: LuaVersion,
    /// `--strict`
    pub strict: bool,
    /// `-E`
    pub no_environment: bool,
    /// `-j`
    pub jit: bool,
    /// `--hot`
    pub hot: Option<u32>,
    /// `--code`
    pub effort: Option<Effort>,
    /// `--exit-every`
    pub exit_every: Option<u32>,
    /// `--stats`
    pub stats: bool,
    /// `--trace-log`
    pub trace_log: LogLevel,
    /// `--dump`
    pub dump: Dump,
    /// Its file.
    pub dump_to: Option<PathBuf>,
    /// `--jit-opt`: passes that are off.
    pub passes_off: Vec<String>,
    /// `--jit-memory`
    pub jit_memory: Option<usize>,
    /// `--perf-map`
    pub perf_map: bool,
    /// `--jit-library`
    pub jit_library: bool,
    /// `--max-instructions`
    pub max_instructions: Option<u64>,
    /// `--max-memory`
    pub max_memory: Option<usize>,
    /// `--max-depth`
    pub max_depth: Option<u32>,
    /// `--max-coroutines`
    pub max_coroutines: Option<u32>,
    /// `--timeout`
    pub timeout: Option<Duration>,
    /// `--sandbox`
    pub sandbox: Option<Sandbox>,
    /// The seed of `--deterministic`.
    pub deterministic: Option<u64>,
    /// Where in the command line the script is named.
    pub script: Option<usize>,
}

impl Command {
    /// Whether there is Lua code in the options (`-e`).
    pub fn executes(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Execute(_)))
    }
}

/// Something to do before the script.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Run this code.
    Execute(Vec<u8>),
    /// Require `module` or `global=module`.
    Require(Vec<u8>),
    /// Turn warnings on.
    WarningsOn,
}

/// Why a command line makes no sense.
#[derive(Debug, PartialEq, Eq)]
pub struct UsageError(pub String);

/// Reads a command line; the program's own name comes first.
pub fn parse(arguments: &[OsString]) -> Result<Request, UsageError> {
    let mut command = Command { jit: true, ..Command::default() };
    if let Some(version) = version_of_program(arguments.first()) {
        command.version = version;
    }
    let mut parser = Parser::from_args(arguments.iter().skip(1));
    parser.set_short_equals(false);
    loop {
        let argument = next_argument(&mut parser);
        let name = match parser.next() {
            Ok(None) => return Ok(Request::Run(Box::new(command))),
            Ok(Some(Arg::Value(_))) => {
                let rest = parser.raw_args().map_or(0, |rest| rest.as_slice().len());
                command.script = Some(arguments.len() - rest - 1);
                return Ok(Request::Run(Box::new(command)));
            }
            Ok(Some(Arg::Short(letter))) => OPTIONS.iter().find(|row| row.name == Name::Short(letter)),
            Ok(Some(Arg::Long(name))) => OPTIONS.iter().find(|row| matches!(row.name, Name::Long(n) if n == name)),
            Err(_) => None,
        };
        let unrecognized = || UsageError(format!("unrecognized option '{argument}'"));
        let row = name.ok_or_else(unrecognized)?;
        let value = match row.takes {
            Takes::Nothing if parser.optional_value().is_some() => return Err(unrecognized()),
            Takes::Nothing => None,
            Takes::Optional(_) => parser.optional_value(),
            // What begins with a hyphen is no other option there.
            Takes::Value(shape) if shape.starts_with('-') => Some(parser.value().map_err(|_| needs_argument(row))?),
            Takes::Value(_) => Some(value_of(&mut parser).ok_or_else(|| needs_argument(row))?),
        };
        match row.id {
            Id::Help if value.as_ref().is_some_and(|value| value == "markdown") => return Ok(Request::Reference),
            Id::Help if value.is_none() => return Ok(Request::Help),
            Id::Help => return Err(unrecognized()),
            Id::Version => return Ok(Request::Version),
            _ => command.apply(row, value)?,
        }
    }
}

/// The argument that is looked at next, for messages.
fn next_argument(parser: &mut Parser) -> String {
    let rest = parser.try_raw_args();
    rest.and_then(|rest| rest.peek().map(|argument| argument.to_string_lossy().into_owned())).unwrap_or_default()
}

fn needs_argument(row: &Row) -> UsageError {
    UsageError(format!("'{}' needs argument", row.name))
}

/// The rest of the argument, or the next one if that is no option.
fn value_of(parser: &mut Parser) -> Option<OsString> {
    if let Some(value) = parser.optional_value() {
        return Some(value);
    }
    let mut rest = parser.try_raw_args()?;
    let is_option = rest.peek()?.as_encoded_bytes().first() == Some(&b'-');
    if is_option { None } else { rest.next() }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::Short(letter) => write!(f, "-{letter}"),
            Name::Long(name) => write!(f, "--{name}"),
        }
    }
}

impl Command {
    fn apply(&mut self, row: &Row, value: Option<OsString>) -> Result<(), UsageError> {
        let bytes = || value.clone().unwrap_or_default().into_encoded_bytes();
        let text = || value.as_ref().map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
        let invalid = || UsageError(format!("invalid value '{}' for '{}'", text(), row.name));
        match row.id {
            Id::Execute => self.steps.push(Step::Execute(bytes())),
            Id::Library => self.steps.push(Step::Require(bytes())),
            Id::Warnings => self.steps.push(Step::WarningsOn),
            Id::Interactive => {
                self.interactive = true;
                self.show_version = true;
            }
            Id::ShowVersion => self.show_version = true,
            Id::NoEnvironment => self.no_environment = true,
            // There is no compiler to switch: both are as it is.
            Id::Jit => match text().as_str() {
                "on" => self.jit = true,
                "off" => self.jit = false,
                _ => return Err(invalid()),
            },
            Id::Hot => self.hot = Some(text().parse().map_err(|_| invalid())?),
            Id::ExitEvery => self.exit_every = Some(text().parse().map_err(|_| invalid())?),
            Id::Stats => self.stats = true,
            Id::TraceLog => {
                let level = if value.is_some() { text() } else { "1".to_owned() };
                self.trace_log = level.parse().map_err(|_| invalid())?;
            }
            Id::Dump => {
                let text = text();
                let (phases, file) =
                    text.split_once(':').map_or((&text[..], None), |(phases, file)| (phases, Some(file)));
                self.dump = phases.parse().map_err(|_| invalid())?;
                self.dump_to = file.map(PathBuf::from);
            }
            Id::Code => self.effort = Some(effort(&text()).ok_or_else(invalid)?),
            Id::JitOpt => self.passes_off.extend(passes_off(&text()).ok_or_else(invalid)?),
            Id::JitMemory => self.jit_memory = Some(parse_bytes(&text()).ok_or_else(invalid)?),
            Id::PerfMap => self.perf_map = true,
            Id::JitLibrary => self.jit_library = true,
            Id::LuaVersion => {
                self.version = text().parse().map_err(|unknown| UsageError(format!("{unknown}")))?;
            }
            Id::Strict => self.strict = true,
            Id::MaxInstructions => self.max_instructions = Some(text().parse().map_err(|_| invalid())?),
            Id::MaxMemory => self.max_memory = Some(parse_bytes(&text()).ok_or_else(invalid)?),
            Id::MaxDepth => self.max_depth = Some(text().parse().map_err(|_| invalid())?),
            Id::MaxCoroutines => self.max_coroutines = Some(text().parse().map_err(|_| invalid())?),
            Id::Sandbox => {
                let name = if value.is_some() { text() } else { "moderate".to_owned() };
                self.sandbox = Some(Sandbox::from_name(&name).ok_or_else(invalid)?);
            }
            Id::Timeout => {
                let seconds: f64 = text().parse().map_err(|_| invalid())?;
                self.timeout = Some(Duration::try_from_secs_f64(seconds).map_err(|_| invalid())?);
            }
            Id::Deterministic => {
                let seed = if value.is_some() { text().parse().map_err(|_| invalid())? } else { 0 };
                self.deterministic = Some(seed);
            }
            Id::Help | Id::Version => {}
        }
        Ok(())
    }
}

/// The version that the program's name asks for: `lua5.4` and the like.
fn version_of_program(name: Option<&OsString>) -> Option<LuaVersion> {
    let stem = std::path::Path::new(name?).file_name()?.to_str()?;
    let stem = stem.strip_suffix(std::env::consts::EXE_SUFFIX).unwrap_or(stem);
    if stem.starts_with("lua") { stem.parse().ok() } else { None }
}

/// `quick` or `full`
fn effort(text: &str) -> Option<Effort> {
    match text {
        "quick" => Some(Effort::Quick),
        "full" => Some(Effort::Full),
        _ => None,
    }
}

/// `-hoist,-ranges`: names of passes that can be switched off.
fn passes_off(text: &str) -> Option<Vec<String>> {
    let off = |word: &str| word.strip_prefix('-').filter(|name| perilune_jit::is_switch(name)).map(str::to_owned);
    text.split(',').map(off).collect()
}

/// `100`, `64K`, `16M`, `2G`
fn parse_bytes(text: &str) -> Option<usize> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 10),
        b'M' | b'm' => (&text[..text.len() - 1], 20),
        b'G' | b'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits.parse::<usize>().ok()?.checked_mul(1 << shift)
}

impl Row {
    fn synopsis(&self) -> String {
        match (self.name, self.takes) {
            (name, Takes::Nothing) => name.to_string(),
            (name, Takes::Value(value)) => format!("{name} {value}"),
            (name, Takes::Optional(value)) => format!("{name}[={value}]"),
        }
    }
}

/// All options with their explanations.
fn rows() -> Vec<(String, &'static str)> {
    let options = OPTIONS.iter().map(|row| (row.synopsis(), row.help));
    options.chain(SPECIAL.map(|(name, help)| (name.to_owned(), help))).collect()
}

/// The usage message, which `--help` prints too.
pub fn usage(program: &str) -> String {
    let rows = rows();
    let width = rows.iter().map(|(synopsis, _)| synopsis.len()).max().unwrap_or(0);
    let mut text = format!("usage: {program} [options] [script [args]]\nAvailable options are:\n");
    for (synopsis, help) in rows {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {synopsis:width$}  {help}");
    }
    text
}

/// The reference page of the command.
pub fn reference() -> String {
    let mut text =
        "# The command\n\n`perilune [options] [script [args]]`\n\n| option | meaning |\n|---|---|\n".to_owned();
    for (synopsis, help) in rows() {
        // A bar would end the cell.
        let synopsis = synopsis.replace('|', "\\|");
        // Writing to a string does not fail.
        let _ = writeln!(text, "| `{synopsis}` | {help} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Result<Request, UsageError> {
        let arguments: Vec<OsString> = std::iter::once("perilune").chain(line.split(' ')).map(OsString::from).collect();
        parse(&arguments)
    }

    fn command(line: &str) -> Command {
        match request(line) {
            Ok(Request::Run(command)) => *command,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn complaint(line: &str) -> String {
        request(line).unwrap_err().0
    }

    #[test]
    fn options_of_lua_are_taken_as_lua_does() {
        let c = command("-i -E -eprint(1) -e a=3 -W -lg=mod -l str script -x a");
        assert!(c.interactive && c.show_version && c.no_environment);
        let steps = [
            Step::Execute(b"print(1)".to_vec()),
            Step::Execute(b"a=3".to_vec()),
            Step::WarningsOn,
            Step::Require(b"g=mod".to_vec()),
            Step::Require(b"str".to_vec()),
        ];
        assert_eq!(c.steps, steps);
        assert_eq!(c.script, Some(10));
        assert_eq!(command("-e=1").steps, [Step::Execute(b"=1".to_vec())]);
    }

    #[test]
    fn the_script_ends_the_options() {
        assert_eq!(command("- -h").script, Some(1));
        assert_eq!(command("-e x -- -x y").script, Some(4));
        assert_eq!(command("-v").script, None);
        assert_eq!(command("--").script, None);
    }

    #[test]
    fn wrong_options_are_named_whole() {
        for option in ["-h", "---", "-Ex", "-vv", "-iv", "--hlep", "--version=1", "--help=x", "-vi"] {
            assert_eq!(complaint(option), format!("unrecognized option '{option}'"));
        }
        assert_eq!(complaint("-e"), "'-e' needs argument");
        assert_eq!(complaint("-e -v"), "'-e' needs argument");
        assert_eq!(complaint("-l"), "'-l' needs argument");
        assert_eq!(complaint("--timeout"), "'--timeout' needs argument");
    }

    #[test]
    fn limits_have_units() {
        let c = command("--max-instructions 1000 --max-memory=64K --timeout 0.5 --deterministic=7 x");
        assert_eq!((c.max_instructions, c.max_memory), (Some(1000), Some(65_536)));
        assert_eq!((c.timeout, c.deterministic), (Some(Duration::from_millis(500)), Some(7)));
        assert_eq!(command("--deterministic x").deterministic, Some(0));
        assert_eq!(parse_bytes("2G"), Some(2 << 30));
        for text in ["", "K", "-1", "1T", "99999999999G"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
        let c = command("--max-depth 200 --max-coroutines=10 x");
        assert_eq!((c.max_depth, c.max_coroutines), (Some(200), Some(10)));
        assert_eq!(complaint("--max-depth -- x"), "'--max-depth' needs argument");
        assert_eq!(complaint("--max-memory=lots"), "invalid value 'lots' for '--max-memory'");
    }

    #[test]
    fn the_trace_compiler_is_seen_and_switched() {
        let c = command("--dump ir,asm --jit-opt=-hoist,-ranges --jit-memory=1M --perf-map --trace-log=2 x");
        assert_eq!(c.dump, Dump::default().with(perilune_jit::Phase::Ir).with(perilune_jit::Phase::Asm));
        assert_eq!(c.passes_off, ["hoist", "ranges"]);
        assert_eq!((c.jit_memory, c.perf_map, c.trace_log), (Some(1 << 20), true, LogLevel::Links));
        assert_eq!(c.dump_to, None);
        assert_eq!(complaint("--dump=frob"), "invalid value 'frob' for '--dump'");
        let c = command("--dump=bc,record,snap:/tmp/dump.txt --jit-library x");
        assert!(c.dump.has(perilune_jit::Phase::Record) && !c.dump.has(perilune_jit::Phase::Ir));
        assert_eq!((c.dump_to, c.jit_library), (Some(PathBuf::from("/tmp/dump.txt")), true));
        // Exits rely on the pass `places`.
        assert_eq!(complaint("--jit-opt=-places"), "invalid value '-places' for '--jit-opt'");
        assert_eq!(command("--jit-opt -hoist,-ranges x").script, Some(3));
        assert_eq!(complaint("--jit-opt"), "'--jit-opt' needs argument");
    }

    #[test]
    fn presets_of_access_have_names() {
        assert_eq!(command("x").sandbox, None);
        assert_eq!(command("--sandbox x").sandbox, Some(Sandbox::Moderate));
        assert_eq!(command("--sandbox=restrictive x").sandbox, Some(Sandbox::Restrictive));
        assert_eq!(complaint("--sandbox=none x"), "invalid value 'none' for '--sandbox'");
    }

    #[test]
    fn the_version_is_named_by_option_or_program() {
        let c = command("--lua-version 5.1 --strict -joff x");
        assert_eq!((c.script, c.version, c.strict), (Some(5), LuaVersion::Lua51, true));
        assert_eq!(command("x").version, LuaVersion::DEFAULT);
        assert_eq!(complaint("--lua-version=6"), "unknown Lua version '6'");
        let names = |name: &str| version_of_program(Some(&OsString::from(name)));
        assert_eq!(names("/usr/bin/lua5.1"), Some(LuaVersion::Lua51));
        assert_eq!(names("perilune"), None);
        assert_eq!(names("lua"), None);
    }

    #[test]
    fn every_option_is_explained() {
        let usage = usage("perilune");
        let reference = reference();
        for row in OPTIONS {
            assert!(usage.contains(&row.synopsis()), "{usage}");
            assert!(reference.contains(row.help), "{reference}");
        }
    }
}
