//! `piccolo`: runs a script on the stackless Lua interpreter of that name, with all libraries that it has.
//!
//! Its libraries lack parts of Lua's (`string.format` among them), so that many programs end in an error: a row of words
//! instead of numbers.

use std::error::Error;
use std::fs::File;
use std::process::ExitCode;

use piccolo::{Closure, Executor, Lua, io};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("-v") => println!("piccolo 0.3.3"),
        Some(script) => {
            if let Err(error) = run(script) {
                eprintln!("piccolo: {error}");
                return ExitCode::FAILURE;
            }
        }
        None => {
            eprintln!("usage: piccolo script.lua");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn run(script: &str) -> Result<(), Box<dyn Error>> {
    let source = io::buffered_read(File::open(script)?)?;
    let mut lua = Lua::full();
    let executor = lua.try_enter(|context| {
        let closure = Closure::load(context, Some(script), source)?;
        Ok(context.stash(Executor::start(context, closure.into(), ())))
    })?;
    lua.execute::<()>(&executor)?;
    Ok(())
}
