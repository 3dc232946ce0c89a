//! `cargo xtask order`: which functions come first in the file of the command.
//!
//! The system maps a program's pages in pieces of 64 KiB. Where the functions that run are scattered over the file, all
//! of it ends in memory; where they stand together, little does. So callgrind notes which functions run for an empty
//! script and for each of the programs in `benches/programs/`, and the list of their sections is committed. The build
//! script of the command (`crates/cli/build.rs`) has the linker follow it.
//!
//! 1. What an empty script runs.
//! 2. What programs run that are only interpreted.
//! 3. What they run besides with the compiler.
//! 4. What they run besides when all work is put into their code, as it is into code that has run for long.
//!
//! Within each, what most scripts run comes first.
//!
//! The list is to outlive other changes, so it names no hashes: a line is a pattern for the mangled name of a function,
//! or a member of an archive (`libc.a:malloc.o`).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, bail};

use crate::{peers, programs, root, target_directory};

/// Instructions (of Lua) after which a program has shown what it runs: the compiler has been at work by then.
const INSTRUCTIONS: u32 = 2_000_000;

/// In how many classes functions are put by how many programs run them. Within one, those that run together are
/// together.
const CLASSES: usize = 8;

/// Longer patterns are cut.
const LONGEST: usize = 200;

/// `cargo xtask order`.
///
/// # Errors
/// When valgrind is absent, or a build or program fails.
pub fn task(mut arguments: lexopt::Parser) -> anyhow::Result<ExitCode> {
    use lexopt::prelude::*;
    let mut is_built = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("no-build") => is_built = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let release = target_directory().join("release");
    let (program, map) = (release.join("perilune"), release.join("perilune.map"));
    if !is_built {
        build(&map)?;
    }
    let sections = Sections::read(&std::fs::read_to_string(&map).with_context(|| map.display().to_string())?);
    let observed = observe(&program)?;
    let patterns = sections.patterns(ranked(&observed));
    let file = root().join("crates/cli/link/order.txt");
    let text =
        format!("# Written by `cargo xtask order`: what comes first in the command's file.\n{}\n", patterns.join("\n"));
    std::fs::write(&file, text)?;
    println!("{} patterns: {}", patterns.len(), peers::relative(&file));
    Ok(ExitCode::SUCCESS)
}

/// Builds the command, with a map of what is where in it.
fn build(map: &Path) -> anyhow::Result<()> {
    let status = Command::new("cargo")
        .args(["rustc", "--release", "--quiet", "--package", "perilune-cli", "--bin", "perilune", "--target-dir"])
        .arg(target_directory())
        .arg("--")
        .arg(format!("-Clink-arg=-Wl,--no-demangle,-Map={}", map.display()))
        .current_dir(root())
        .status()?;
    if !status.success() {
        bail!("cargo: {status}");
    }
    Ok(())
}

/// Names of functions, as they are mangled, each once, in the order in which they were met.
type Functions = Vec<String>;

/// What scripts run that belong together.
type Group = Vec<Functions>;

/// The groups of the [module](self)'s list, of programs that are not kept aside.
fn observe(program: &Path) -> anyhow::Result<[Group; 4]> {
    let folder = tempfile::tempdir()?;
    let empty = folder.path().join("empty.lua");
    std::fs::write(&empty, "")?;
    let scripts = programs::find("*")?.into_iter().filter(|program| !program.held_out);
    let scripts: Vec<PathBuf> = scripts.map(|program| program.path).collect();
    Ok([
        observe_group(program, "-jon", &[empty], folder.path())?,
        observe_group(program, "-joff", &scripts, folder.path())?,
        observe_group(program, "-jon", &scripts, folder.path())?,
        observe_group(program, "--code=full", &scripts, folder.path())?,
    ])
}

fn observe_group(program: &Path, option: &str, scripts: &[PathBuf], folder: &Path) -> anyhow::Result<Group> {
    let next = AtomicUsize::new(0);
    let observed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(script) = scripts.get(n) else { break };
                    let run = functions_run(program, option, script, &folder.join(format!("{n}{option}")));
                    observed.lock().expect("no thread panics").push((n, run));
                }
            });
        }
    });
    let mut observed = observed.into_inner()?;
    observed.sort_by_key(|(n, _)| *n);
    observed.into_iter().map(|(n, run)| run.with_context(|| scripts[n].display().to_string())).collect()
}

/// The functions that run when the program runs a script.
fn functions_run(program: &Path, option: &str, script: &Path, file: &Path) -> anyhow::Result<Functions> {
    // A program ends at its limit, with a code that says so, or before.
    Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--demangle=no"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program)
        .arg(option)
        .arg(format!("--max-instructions={INSTRUCTIONS}"))
        .arg(script)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("this needs valgrind")?;
    let text = std::fs::read_to_string(file).context("callgrind wrote nothing")?;
    Ok(functions_in(&text))
}

/// The functions in a file that callgrind wrote. It tells a name once, as `fn=(12) name` or `cfn=(12) name`, and marks
/// levels of recursion (`name'2`).
fn functions_in(text: &str) -> Functions {
    let mut met = HashSet::new();
    let mut functions = Functions::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("fn=(").or_else(|| line.strip_prefix("cfn=(")) else { continue };
        let Some((_, name)) = rest.split_once(") ") else { continue };
        let name = name.split_once('\'').map_or(name, |(name, _)| name);
        if met.insert(name) {
            functions.push(name.to_owned());
        }
    }
    functions
}

/// All functions, by their groups; within one, by how many scripts run them.
fn ranked(groups: &[Group]) -> Vec<&str> {
    let mut ranked = Vec::new();
    let mut seen: HashSet<&str> = HashSet::new();
    for group in groups {
        let mut users: HashMap<&str, usize> = HashMap::new();
        let mut met = Vec::new();
        for function in group.iter().flatten().map(String::as_str).filter(|function| !seen.contains(function)) {
            let count = users.entry(function).or_default();
            *count += 1;
            if *count == 1 {
                met.push(function);
            }
        }
        met.sort_by_key(|function| std::cmp::Reverse(users[function] * CLASSES / group.len()));
        seen.extend(&met);
        ranked.extend(met);
    }
    ranked
}

/// Which pattern stands for the section that a function is in.
struct Sections {
    patterns: HashMap<String, String>,
}

impl Sections {
    /// Reads a map that the linker (LLVM's) wrote. Its columns are those of its first line:
    ///
    /// ```text
    ///    VMA    LMA   Size Align Out     In      Symbol
    /// 1b4fc0 1b4fc0   2384    16 .text
    /// 1b4fc0 1b4fc0    480    16         /lib/libc.a(malloc.o):(.text)
    /// 1b4fc0 1b4fc0      0     1                 malloc
    /// ```
    fn read(map: &str) -> Sections {
        let mut lines = map.lines();
        let header = lines.next().unwrap_or_default();
        let column = |name| header.find(name).unwrap_or(usize::MAX);
        let (input, symbol) = (column("In"), column("Symbol"));
        let mut patterns = HashMap::new();
        let mut current = None;
        for line in lines {
            let is_blank_up_to = |end| line.get(column("Out")..end).is_some_and(|part| part.trim().is_empty());
            if is_blank_up_to(symbol) {
                if let Some(pattern) = &current {
                    patterns.insert(line[symbol..].trim().to_owned(), String::clone(pattern));
                }
            } else {
                current = is_blank_up_to(input).then(|| pattern(line[input..].trim())).flatten();
            }
        }
        Sections { patterns }
    }

    /// The patterns for functions, each once.
    fn patterns(&self, functions: Vec<&str>) -> Vec<&str> {
        let mut seen = HashSet::new();
        let known = functions.into_iter().filter_map(|function| self.patterns.get(function));
        known.map(String::as_str).filter(|pattern| seen.insert(*pattern)).collect()
    }
}

/// The pattern for an input section with code, `FILE:(SECTION)`. None for one that has no name of its own.
fn pattern(input: &str) -> Option<String> {
    let (file, section) = input.strip_suffix(')')?.rsplit_once(":(")?;
    let name = section.strip_prefix(".text")?;
    if let Some((archive, member)) = file.strip_suffix(')').and_then(|file| file.rsplit_once('('))
        && let Some(stem) = archive.rsplit('/').next().and_then(|archive| archive.strip_suffix(".a"))
    {
        // Some have the version of the library in their names.
        let stem = stem.split_once('-').map_or(stem.to_owned(), |(stem, _)| format!("{stem}*"));
        return Some(format!("{stem}.a:{member}"));
    }
    let name = name.strip_prefix(".unlikely").unwrap_or(name).strip_prefix('.')?;
    Some(lasting(name))
}

/// A pattern for a mangled name: without what changes with the compiler or the crate's version.
fn lasting(name: &str) -> String {
    let is_hash = |text: &str| text.len() >= 16 && text.as_bytes()[..16].iter().all(u8::is_ascii_hexdigit);
    let mut pattern = String::new();
    let mut rest = name;
    // `17h<16 digits>E` ends the older form; `Cs<digits>_` goes before the name of each crate in the newer one.
    while let Some(at) = ["17h", "Cs"].into_iter().filter_map(|mark| rest.find(mark).map(|at| at + mark.len())).min() {
        let (before, after) = rest.split_at(at);
        pattern += before;
        rest = after;
        if before.ends_with("17h") && is_hash(after) {
            pattern.push('*');
            rest = "";
        } else if before.ends_with("Cs")
            && let Some(end) =
                after.find(|c: char| !c.is_ascii_alphanumeric()).filter(|&end| after[end..].starts_with('_'))
        {
            pattern.push('*');
            rest = &after[end..];
        }
    }
    pattern += rest;
    if pattern.len() > LONGEST {
        pattern.truncate(LONGEST);
        pattern.push('*');
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_no_hashes() {
        assert_eq!(lasting("_ZN8perilune4main17h99b6b38774564e1cE"), "_ZN8perilune4main17h*");
        assert_eq!(lasting("_ZN4core17hello5worldE"), "_ZN4core17hello5worldE");
        assert_eq!(lasting("_RNvNtCsjrHSEGnQ3l9_3std2fs4open"), "_RNvNtCs*_3std2fs4open");
        assert_eq!(lasting("_RNvNtCs1_3stdCs2_4core"), "_RNvNtCs*_3stdCs*_4core");
        assert_eq!(lasting(&"x".repeat(300)).len(), LONGEST + 1);
    }

    #[test]
    fn members_of_archives_go_by_their_names() {
        assert_eq!(pattern("/usr/lib/libc.a(malloc.o):(.text)").as_deref(), Some("libc.a:malloc.o"));
        assert_eq!(pattern("/usr/lib/libm-2.36.a(e_exp.o):(.text.fma)").as_deref(), Some("libm*.a:e_exp.o"));
        assert_eq!(pattern("/x/core.rlib(c.o):(.text.memcpy)").as_deref(), Some("memcpy"));
        assert_eq!(pattern("/x/a.o:(.text.unlikely._ZN1a17h0123456789abcdefE)").as_deref(), Some("_ZN1a17h*"));
        assert_eq!(pattern("/usr/lib/crt1.o:(.text)"), None);
        assert_eq!(pattern("/x/a.o:(.rodata.b)"), None);
    }

    #[test]
    fn functions_are_found_by_their_sections() {
        let map = "
VMA  LMA Size Align Out     In      Symbol
  0    0   10     1 .text
  0    0   10     1         a.o:(.text.f)
  0    0    8     1                 f
  8    0    8     1                 local in f
  0    0   10     1         a.o:(.text)
  0    0   10     1                 nameless
";
        let sections = Sections::read(map.trim_start());
        assert_eq!(sections.patterns(vec!["nameless", "local in f", "absent", "f"]), ["f"]);
    }

    #[test]
    fn groups_come_in_their_order_and_what_most_run_comes_first() {
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Functions>();
        let start = vec![names("main")];
        let interpreted = vec![names("main a b"), names("main b"), names("main b")];
        let compiled = vec![names("main c d b"), names("main d a")];
        assert_eq!(ranked(&[start, interpreted, compiled]), ["main", "b", "a", "d", "c"]);
    }

    #[test]
    fn names_are_read_once_from_what_callgrind_writes() {
        let text = "fn=(1) main\n1 2\ncfn=(2) f\ncalls=1 2\nfn=(2)\ncfn=(3) f'2\nfn=(4) g";
        assert_eq!(functions_in(text), ["main", "f", "g"]);
    }
}
