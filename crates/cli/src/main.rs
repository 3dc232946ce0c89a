//! The command `perilune`: runs Lua scripts as `lua` does.
//!
//! | module | question it answers |
//! |---|---|
//! | [`options`] | what a command line means |
//! | [`session`] | how a VM is made, used and ended |
//! | [`repl`] | what happens at the prompt |
//! | [`profile`] | where a script spends its time |
//! | [`lines`] | where typed lines come from |
//!
//! Exit codes: 0, 1 after an error, 3 when a limit was reached, or what the script gives to `os.exit`.
#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "the command is where a process begins and ends")]

mod lines;
mod options;
mod profile;
mod repl;
mod session;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use perilune_base::dialect::{Dialect, LuaVersion};
use perilune_jit::Sink;

use lines::Lines;
use options::{Command, Request, Step, UsageError};
use profile::Profile;
use session::{Failure, Session};

/// The name of the program in messages if the system does not tell it.
const PROGRAM: &str = "perilune";

/// The exit code after an error.
const ERROR: i32 = 1;

/// The exit code when a limit was reached.
const LIMIT: i32 = 3;

/// What `-v` shows.
fn banner(version: LuaVersion) -> String {
    format!("Perilune {}: {version} as defined by Lua.org, PUC-Rio\n", env!("CARGO_PKG_VERSION"))
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let program = arguments.first().filter(|name| !name.is_empty());
    let program = program.map_or(PROGRAM.into(), |name| name.to_string_lossy());
    if arguments.get(1).is_some_and(|word| word == profile::NAME) {
        return profiled(&program, &arguments);
    }
    match options::parse(&arguments) {
        Ok(Request::Run(command)) => run(&program, &command, &arguments, None),
        Ok(Request::Help) => {
            show(&format!("{}See also: {program} {} --help\n", options::usage(&program), profile::NAME))
        }
        Ok(Request::Reference) => show(&options::reference()),
        Ok(Request::Version) => show(concat!("perilune ", env!("CARGO_PKG_VERSION"), " (Lua 5.1 to 5.5)\n")),
        Err(error) => misused(&program, &error, &options::usage(&program)),
    }
}

/// `perilune profile`.
fn profiled(program: &str, arguments: &[OsString]) -> ExitCode {
    let asked = profile::parse(arguments).and_then(|asked| match asked {
        profile::Request::Help => Ok(None),
        profile::Request::Run(settings, rest) => match options::parse(&rest)? {
            Request::Run(command) => Ok(Some((Profile::new(settings), command, rest))),
            Request::Help | Request::Reference | Request::Version => Ok(None),
        },
    });
    match asked {
        Ok(Some((profile, command, rest))) => run(program, &command, &rest, Some(&profile)),
        Ok(None) => show(&profile::help(program)),
        Err(error) => misused(program, &error, &profile::help(program)),
    }
}

/// Says what is wrong with a command line.
fn misused(program: &str, UsageError(message): &UsageError, usage: &str) -> ExitCode {
    // Nobody is left to tell that this failed.
    let _ = io::stderr().write_all(format!("{program}: {message}\n{usage}").as_bytes());
    ExitCode::from(ERROR as u8)
}

fn show(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(ERROR as u8),
    }
}

/// Runs what the command line asks for, and ends the program.
fn run(program: &str, command: &Command, arguments: &[OsString], profile: Option<&Profile>) -> ! {
    let dumps = match command.dump_to.as_ref().map(std::fs::File::create).transpose() {
        Ok(file) => file.map_or_else(Sink::default, |file| Sink::new(io::LineWriter::new(file))),
        Err(error) => {
            // Nobody is left to tell that this failed.
            let _ = io::stderr().write_all(format!("{program}: no dump: {error}\n").as_bytes());
            std::process::exit(ERROR);
        }
    };
    let mut session = Session::new(command, dumps);
    if let Some(profile) = profile {
        session.set_sampler(profile.sampler());
    }
    let outcome = run_all(&mut session, program, command, arguments);
    if let Some(profile) = profile {
        let title = command.script.map_or(program.into(), |script| arguments[script].to_string_lossy());
        let line = profile.write(&title).unwrap_or_else(|error| format!("no profile: {error}"));
        report(&mut session, Some(program), line.as_bytes());
    }
    let (code, close) = ended(&mut session, program, outcome);
    match close.then(|| session.close()) {
        None => session.exit(code, false),
        Some(Ok(asked)) => session.exit(asked.unwrap_or(code), true),
        Some(Err(failure)) => {
            let (code, _) = ended(&mut session, program, Err(failure));
            session.exit(code, false)
        }
    }
}

/// Says why the program ends, if that is worth saying: the exit code, and whether the VM is to be closed.
fn ended(session: &mut Session, program: &str, outcome: Result<(), Failure>) -> (i32, bool) {
    match outcome {
        Ok(()) => (0, true),
        Err(Failure::Error(message)) => {
            report(session, Some(program), &message);
            (ERROR, true)
        }
        Err(Failure::Silent) => (ERROR, true),
        Err(Failure::Limit(text)) => {
            report(session, Some(program), &text);
            (LIMIT, false)
        }
        Err(Failure::Exit { code, close }) => (code, close),
    }
}

fn run_all(session: &mut Session, program: &str, command: &Command, arguments: &[OsString]) -> Result<(), Failure> {
    if command.show_version {
        session.write(banner(command.version).as_bytes());
    }
    let dialect = Dialect::of(command.version, command.strict);
    if !dialect.arg_for_scripts {
        session.set_arguments(arguments, command.script.unwrap_or(0));
    }
    let has_nothing_to_do = command.script.is_none() && !command.executes() && !command.show_version;
    let shows_banner = !command.interactive && has_nothing_to_do && io::stdin().is_terminal();
    let lines = (command.interactive || shows_banner).then(Lines::new);
    session.watch_interrupts();
    if !command.no_environment {
        run_initialization(session, command.version)?;
    }
    for step in &command.steps {
        match step {
            Step::Execute(source) => run_string(session, source, b"=(command line)")?,
            Step::Require(request) => session.require(request)?,
            Step::WarningsOn => session.warnings_on(),
        }
    }
    if let Some(index) = command.script {
        if dialect.arg_for_scripts {
            session.set_arguments(arguments, index);
        }
        run_script(session, arguments, index)?;
    }
    if shows_banner {
        session.write(banner(command.version).as_bytes());
    }
    if let Some(lines) = lines {
        repl::run(session, lines)
    } else if has_nothing_to_do {
        let outcome = session.load_file(None).and_then(|chunk| session.call(chunk, &[]));
        match outcome {
            // As in `lua`, which does not look at how a program that nobody has named ends: `-` names it.
            Err(failure @ (Failure::Error(_) | Failure::Silent)) => {
                ended(session, program, Err(failure));
                Ok(())
            }
            outcome => outcome.map(drop),
        }
    } else {
        Ok(())
    }
}

/// Runs what the variable of the version (`LUA_INIT_5_4`), or else `LUA_INIT`, says: source, or `@` and a file name.
fn run_initialization(session: &mut Session, version: LuaVersion) -> Result<(), Failure> {
    let suffix = Dialect::of(version, false).variable_suffix;
    for suffix in suffix.into_iter().chain([""]) {
        let name = format!("LUA_INIT{suffix}");
        let Some(source) = session.variable(&name) else { continue };
        return match source.strip_prefix(b"@") {
            Some(path) => {
                let chunk = session.load_file(Some(path))?;
                session.call(chunk, &[]).map(drop)
            }
            None => run_string(session, &source, format!("={name}").as_bytes()),
        };
    }
    Ok(())
}

fn run_string(session: &mut Session, source: &[u8], name: &[u8]) -> Result<(), Failure> {
    let chunk = session.load(source, name)?;
    session.call(chunk, &[]).map(drop)
}

/// Runs the script at a place in the command line: a file, or the standard input for a `-` that ends the options.
fn run_script(session: &mut Session, arguments: &[OsString], index: usize) -> Result<(), Failure> {
    let is_input = arguments[index] == "-" && arguments[index - 1] != "--";
    let path = if is_input { None } else { Some(arguments[index].as_encoded_bytes()) };
    let chunk = session.load_file(path)?;
    let arguments = session.arguments()?;
    session.call(chunk, &arguments).map(drop)
}

/// Shows a message on the standard error stream, after the program's name if it is given.
fn report(session: &mut Session, program: Option<&str>, message: &[u8]) {
    let mut text = Vec::new();
    if let Some(program) = program {
        text.extend_from_slice(program.as_bytes());
        text.extend_from_slice(b": ");
    }
    // As a text of C, the message ends with its first zero byte.
    text.extend(message.iter().copied().take_while(|&byte| byte != 0));
    text.push(b'\n');
    session.report(&text);
}
