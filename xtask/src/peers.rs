//! The engines: where each one's binary is, how it is built, what it speaks.
//!
//! Peers live under `benches/peers/`, each a package with a workspace of its
//! own, because the vendored interpreters exclude each other and the main
//! workspace must not build them. They build into `target/peers`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use perilune_base::dialect::LuaVersion;

use crate::measure;
use crate::table::Table;
use crate::{root, target_directory};

/// Where an engine's binary comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A package of that name under `benches/peers/`.
    Peer(&'static str),
    /// A command that a package of the registry installs. Built only when its engine is named: these compile for
    /// minutes and answer a question that few measurements ask.
    Installed { package: &'static str, version: &'static str, command: &'static str },
    /// Perilune itself, built in release.
    Perilune,
    /// A command of the system.
    System(&'static str),
}

/// A row of the table of engines.
struct Known {
    name: &'static str,
    source: Source,
    options: &'static [&'static str],
    language: Language,
    about: &'static str,
}

/// The Lua versions whose programs an engine can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Language {
    /// The minor version, 1 to 5.
    pub minor: u8,
}

const fn lua5(minor: u8) -> Language {
    Language { minor }
}

const fn known(
    name: &'static str,
    source: Source,
    options: &'static [&'static str],
    minor: u8,
    about: &'static str,
) -> Known {
    Known { name, source, options, language: lua5(minor), about }
}

const LUNA: Source = Source::Installed { package: "luna-jit", version: "2.16.0", command: "luna" };
const OMNILUA: Source = Source::Installed { package: "omnilua-cli", version: "0.7.1", command: "omnilua" };

const KNOWN: &[Known] = &[
    known("puc54", Source::Peer("puc54"), &[], 4, "PUC-Rio Lua 5.4, newest patch"),
    known("puc55", Source::Peer("puc55"), &[], 5, "PUC-Rio Lua 5.5, newest patch"),
    known("luajit", Source::Peer("luajit"), &[], 1, "LuaJIT 2.1"),
    known("luajit-joff", Source::Peer("luajit"), &["-joff"], 1, "LuaJIT 2.1, interpreter only"),
    known("luau", Source::Peer("luau"), &[], 1, "Luau, interpreter only"),
    known("luau-native", Source::Peer("luau"), &["--codegen"], 1, "Luau with native code"),
    known("luna", LUNA, &[], 4, "luna, a Lua in Rust with a trace compiler"),
    known("omnilua", OMNILUA, &[], 4, "omniLua, a Lua in Rust"),
    known("piccolo", Source::Peer("piccolo"), &[], 4, "piccolo, a stackless Lua in Rust"),
    known("perilune", Source::Perilune, &[], 4, "Perilune"),
    known("perilune-joff", Source::Perilune, &["-joff"], 4, "Perilune, interpreter only"),
    known("lua5.1", Source::System("lua5.1"), &[], 1, "the system's Lua 5.1"),
    known("lua5.2", Source::System("lua5.2"), &[], 2, "the system's Lua 5.2"),
    known("lua5.3", Source::System("lua5.3"), &[], 3, "the system's Lua 5.3"),
    known("lua5.4", Source::System("lua5.4"), &[], 4, "the system's Lua 5.4"),
];

/// Peers that are built only when they are named.
const ON_DEMAND: &[&str] = &["luna", "omnilua", "piccolo"];

/// An engine ready to be run.
#[derive(Clone, Debug)]
pub struct Engine {
    /// The name it was asked for by.
    pub name: String,
    /// Its binary.
    pub program: PathBuf,
    /// Options that go before the script.
    pub options: Vec<OsString>,
    /// What it speaks.
    pub language: Language,
    /// Whether it is Perilune.
    pub is_perilune: bool,
    /// Its version, where the command cannot be asked.
    pub known_version: Option<String>,
}

impl Engine {
    /// A build of Perilune.
    pub fn perilune(name: &str, program: PathBuf) -> Engine {
        Engine {
            name: name.to_string(),
            program,
            options: Vec::new(),
            language: lua5(4),
            is_perilune: true,
            known_version: None,
        }
    }

    /// A command that runs this engine, options first.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.options);
        // What a user has set for interactive use must not change a result.
        for name in ["LUA_INIT", "LUA_PATH", "LUA_CPATH"] {
            command.env_remove(name);
            for minor in 1..=5 {
                command.env_remove(format!("{name}_5_{minor}"));
            }
        }
        command
    }

    /// The first line the engine prints for `-v` behind its options, which may choose the version; or why there is none.
    pub fn version(&self) -> String {
        if let Some(version) = &self.known_version {
            return version.clone();
        }
        let mut command = self.command();
        command.arg("-v");
        match measure::run(&mut command, Duration::from_secs(20)) {
            Ok(run) => {
                let text = if run.stdout.is_empty() { run.stderr } else { run.stdout };
                let text = String::from_utf8_lossy(&text);
                text.lines().next().unwrap_or("(silent)").trim().to_string()
            }
            Err(error) => format!("cannot be run: {error}"),
        }
    }
}

/// Whether [`engine`] may build what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// Build, or see that the build is fresh.
    Yes,
    /// Take the binary that is there.
    No,
}

/// Finds an engine by name, path or command, building it if it is ours to build. Options may follow, as in `perilune --hot=1`.
///
/// # Errors
/// When the build fails or there is no such binary.
pub fn engine(name: &str, build: Build) -> anyhow::Result<Engine> {
    if let Some((first, options)) = name.split_once(' ').filter(|_| !Path::new(name).exists()) {
        let mut engine = engine(first, build)?;
        engine.name = name.to_string();
        engine.options.extend(options.split_whitespace().map(OsString::from));
        return Ok(engine);
    }
    let Some(known) = KNOWN.iter().find(|known| known.name == name) else {
        let program = if name.contains('/') {
            std::path::absolute(name)?
        } else {
            find_in_path(name).with_context(|| format!("no engine {name}"))?
        };
        if !program.exists() {
            bail!("no engine {name}");
        }
        return Ok(Engine {
            name: name.to_string(),
            is_perilune: name.contains("perilune"),
            program,
            options: Vec::new(),
            language: lua5(4),
            known_version: None,
        });
    };
    let program = match known.source {
        Source::System(command) => find_in_path(command).with_context(|| format!("{command} is not installed"))?,
        Source::Peer(package) => {
            let binary = peers_directory().join("release").join(package);
            if build == Build::Yes {
                build_peer(package)?;
            }
            binary
        }
        Source::Installed { package, version, command } => {
            if build == Build::Yes {
                install(package, version)?;
            }
            installed_directory().join("bin").join(command)
        }
        Source::Perilune => {
            if build == Build::Yes {
                build_package(&root(), &target_directory(), "perilune-cli")?;
            }
            target_directory().join("release").join("perilune")
        }
    };
    if !program.exists() {
        bail!("{} is not built: no {}", known.name, relative(&program));
    }
    Ok(Engine {
        name: known.name.to_string(),
        program,
        options: known.options.iter().map(OsString::from).collect(),
        language: known.language,
        is_perilune: known.source == Source::Perilune,
        known_version: match known.source {
            Source::Installed { package, version, .. } => Some(format!("{package} {version}")),
            Source::Peer(_) | Source::Perilune | Source::System(_) => None,
        },
    })
}

/// The reference for a version of Lua: the newest patch where a runner of it
/// is built, else the system's command.
///
/// # Errors
/// When neither is there.
pub fn reference(version: LuaVersion) -> anyhow::Result<Engine> {
    let names: &[&str] = match version {
        LuaVersion::Lua51 => &["lua5.1"],
        LuaVersion::Lua52 => &["lua5.2"],
        LuaVersion::Lua53 => &["lua5.3"],
        LuaVersion::Lua54 => &["puc54", "lua5.4"],
        LuaVersion::Lua55 => &["puc55"],
    };
    names
        .iter()
        .find_map(|name| engine(name, Build::No).ok())
        .with_context(|| format!("no reference interpreter of {version}; `cargo xtask peers` builds some"))
}

fn find_in_path(command: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(command)).find(|candidate| candidate.is_file())
}

fn peers_directory() -> PathBuf {
    target_directory().join("peers")
}

/// Where commands of the registry are installed.
fn installed_directory() -> PathBuf {
    peers_directory().join("installed")
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn build_peer(package: &str) -> anyhow::Result<()> {
    let directory = root().join("benches/peers").join(package);
    if !directory.join("Cargo.toml").exists() {
        bail!("no package in {}", directory.display());
    }
    // From within its folder: a peer may have cargo settings of its own there.
    let mut command = cargo();
    command
        .args(["build", "--release", "--quiet", "--locked", "--target-dir"])
        .arg(peers_directory())
        .current_dir(directory);
    build(command, package)
}

/// Installs a package's command; that of the same version is left as it is.
fn install(package: &str, version: &str) -> anyhow::Result<()> {
    let mut command = cargo();
    command
        .args(["install", "--quiet", "--locked", package, "--version", version, "--root"])
        .arg(installed_directory())
        .arg("--target-dir")
        .arg(peers_directory().join("building"));
    build(command, package)
}

/// Builds a package of a checkout of this project in release mode.
///
/// # Errors
/// When the build fails.
pub fn build_package(checkout: &Path, target: &Path, package: &str) -> anyhow::Result<()> {
    let mut command = cargo();
    command
        .args(["build", "--release", "--quiet", "--package", package, "--target-dir"])
        .arg(target)
        .current_dir(checkout);
    build(command, package)
}

/// Runs a build; its messages go to standard error.
fn build(mut command: Command, what: &str) -> anyhow::Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot build {what}"))?;
    if !status.success() {
        bail!("the build of {what} failed ({status})");
    }
    Ok(())
}

/// `cargo xtask peers [NAME...]`.
///
/// # Errors
/// When an option is wrong or a named peer cannot be built.
pub fn task(mut arguments: lexopt::Parser) -> anyhow::Result<ExitCode> {
    let mut wanted = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Value(name) => wanted.push(name.to_string_lossy().into_owned()),
            other => return Err(other.unexpected().into()),
        }
    }
    let mut failed = false;
    let mut shown = Table::new(&["engine", "what", "version", "binary"]);
    for known in KNOWN {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == known.name) {
            continue;
        }
        let is_asked_for = !wanted.is_empty() || !ON_DEMAND.contains(&known.name);
        // Perilune is the project itself: only shown, not a peer to build.
        let build = match known.source {
            Source::Peer(_) | Source::Installed { .. } if is_asked_for => Build::Yes,
            Source::Peer(_) | Source::Installed { .. } | Source::Perilune | Source::System(_) => Build::No,
        };
        match engine(known.name, build) {
            Ok(found) => {
                shown.row(vec![known.name.into(), known.about.into(), found.version(), relative(&found.program)])
            }
            Err(error) => {
                failed |= build == Build::Yes;
                shown.row(vec![known.name.into(), known.about.into(), format!("{error:#}"), String::new()]);
            }
        }
    }
    for name in &wanted {
        if !KNOWN.iter().any(|known| known.name == name) {
            bail!("no engine {name}");
        }
    }
    print!("{shown}");
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A path as seen from the root, when it is below it.
pub fn relative(path: &Path) -> String {
    let shown = path.strip_prefix(root()).unwrap_or(path);
    shown.display().to_string()
}
