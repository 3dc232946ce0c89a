//! The repository keeps its own rules: who may import whom, where `unsafe` may stand, and what files look like.
#![expect(clippy::disallowed_methods, reason = "the rules are about files")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use perilune_fixtures::record;
use perilune_testkit::{Stream, root};

/// The rank of each crate: it may import crates of lower ranks only. Whatever stands here without a rank serves
/// development and may import all.
const RANKS: &[(&str, Option<u8>)] = &[
    ("base", Some(0)),
    ("syntax", Some(1)),
    ("bytecode", Some(1)),
    ("trace", Some(1)),
    ("compiler", Some(2)),
    ("runtime", Some(2)),
    ("vm", Some(3)),
    ("codegen", Some(3)),
    ("stdlib", Some(4)),
    ("jit", Some(4)),
    ("engine", Some(5)),
    ("cli", Some(7)),
    ("testkit", None),
    ("fixtures", None),
];

/// Crates without any `unsafe`.
const SAFE: &[&str] =
    &["base", "syntax", "bytecode", "trace", "codegen", "compiler", "stdlib", "cli", "testkit", "fixtures"];

/// Where `unsafe` may stand: files, and folders that end with a slash.
const UNSAFE: &[&str] = &[
    "crates/engine/src/raw/",
    "crates/jit/src/code.rs",
    "crates/jit/src/enter/",
    "crates/jit/src/helpers.rs",
    "crates/jit/src/tier/",
    "crates/jit/src/view.rs",
    "crates/runtime/src/",
    "crates/vm/src/call.rs",
    "crates/vm/src/collect.rs",
    "crates/vm/src/compiled/",
    "crates/vm/src/compiling.rs",
    "crates/vm/src/switch.rs",
    "crates/vm/src/control.rs",
    "crates/vm/src/debug.rs",
    "crates/vm/src/embed.rs",
    "crates/vm/src/environment.rs",
    "crates/vm/src/errors.rs",
    "crates/vm/src/frame.rs",
    "crates/vm/src/hooks.rs",
    "crates/vm/src/host_call.rs",
    "crates/vm/src/interp/",
    "crates/vm/src/load.rs",
    "crates/vm/src/names.rs",
    "crates/vm/src/native.rs",
    "crates/vm/src/sample.rs",
    "crates/vm/src/tier.rs",
    "crates/vm/src/traceback.rs",
    "crates/vm/src/vm.rs",
];

/// Lines that a source file may have.
const LONGEST: usize = 900;

/// A problem for each thing that is not as it should be.
#[track_caller]
fn report(problems: &[String]) {
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

fn read(path: &Path) -> String {
    match fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// The files below some folders whose names end in one of `suffixes`, with their paths from the root.
fn files(folders: &[&str], suffixes: &[&str]) -> Vec<(String, PathBuf)> {
    files_named(folders, |suffix| suffixes.contains(&suffix))
}

/// The files below some folders whose suffixes are of one kind.
fn files_named(folders: &[&str], is_wanted: impl Fn(&str) -> bool) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            open.extend(
                entries.filter_map(|entry| entry.ok()).map(|entry| entry.path()).filter(|path| !is_built(path)),
            );
        } else if path.extension().and_then(|suffix| suffix.to_str()).is_some_and(&is_wanted) {
            let name = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().into_owned();
            found.push((name, path));
        }
    }
    found.sort();
    found
}

/// What a build leaves beside the sources.
fn is_built(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "target")
}

fn sources() -> Vec<(String, PathBuf)> {
    files(&["crates", "xtask"], &["rs"])
}

/// The crates' manifests, by folder.
fn manifests() -> BTreeMap<String, toml::Table> {
    let mut manifests = BTreeMap::new();
    for (name, path) in files(&["crates"], &["toml"]) {
        let Some(folder) = name.strip_prefix("crates/").and_then(|rest| rest.strip_suffix("/Cargo.toml")) else {
            continue;
        };
        match read(&path).parse::<toml::Table>() {
            Ok(manifest) => drop(manifests.insert(folder.to_owned(), manifest)),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    manifests
}

/// The crates of this repository that a manifest imports. Tests may import what they like.
fn imports(manifest: &toml::Table) -> Vec<String> {
    let mut imports = Vec::new();
    for section in ["dependencies", "build-dependencies"] {
        let Some(table) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
        for name in table.keys() {
            match name.strip_prefix("perilune-") {
                Some(role) => imports.push(role.to_owned()),
                None if name == "perilune" => imports.push("engine".to_owned()),
                None => {}
            }
        }
    }
    imports
}

#[test]
fn crates_import_only_crates_of_lower_ranks() {
    let ranks: BTreeMap<&str, Option<u8>> = RANKS.iter().copied().collect();
    let manifests = manifests();
    assert!(manifests.len() >= RANKS.len(), "only {} manifests were found", manifests.len());
    let mut problems = Vec::new();
    for (folder, manifest) in &manifests {
        let Some(rank) = ranks.get(folder.as_str()) else {
            problems.push(format!("crates/{folder} has no rank in {}", file!()));
            continue;
        };
        for import in imports(manifest) {
            match (rank, ranks.get(import.as_str())) {
                (None, _) => {}
                (Some(rank), Some(Some(imported))) if imported < rank => {}
                _ => problems.push(format!("crates/{folder} must not import {import}")),
            }
        }
    }
    report(&problems);
}

#[test]
fn packages_are_named_for_their_folders() {
    let mut problems = Vec::new();
    for (folder, manifest) in manifests() {
        let name =
            manifest.get("package").and_then(|p| p.get("name")).and_then(toml::Value::as_str).unwrap_or_default();
        let expected = if folder == "engine" { "perilune".to_owned() } else { format!("perilune-{folder}") };
        if name != expected {
            problems.push(format!("crates/{folder} is called {name}, not {expected}"));
        }
    }
    report(&problems);
}

#[test]
fn a_published_crate_depends_on_versions_and_not_only_on_paths() {
    let workspace: toml::Table = read(&root().join("Cargo.toml")).parse().unwrap_or_else(|error| panic!("{error}"));
    let version = workspace["workspace"]["package"]["version"].as_str();
    let mut problems = Vec::new();
    for (folder, manifest) in manifests() {
        let package = &manifest["package"];
        let is_published = package.get("publish").and_then(toml::Value::as_bool).unwrap_or(true);
        let name = package["name"].as_str().unwrap_or_default();
        let dependency = workspace["workspace"]["dependencies"].get(name);
        let wanted = dependency.and_then(|dependency| dependency.get("version")?.as_str());
        // Nothing depends on the command.
        if is_published && dependency.is_some() && wanted != version {
            problems.push(format!("Cargo.toml asks for {name} {wanted:?}, and crates/{folder} is {version:?}"));
        }
    }
    report(&problems);
}

#[test]
fn crates_that_are_to_be_safe_forbid_unsafe_code() {
    let mut problems = Vec::new();
    for role in SAFE {
        let folder = root().join("crates").join(role).join("src");
        let entry = ["lib.rs", "main.rs"].map(|name| folder.join(name)).into_iter().find(|path| path.exists());
        let Some(entry) = entry else { panic!("crates/{role} has neither lib.rs nor main.rs") };
        if !read(&entry).contains("#![forbid(unsafe_code)]") {
            problems.push(format!("{} lacks #![forbid(unsafe_code)]", entry.display()));
        }
    }
    report(&problems);
}

#[test]
fn unsafe_stands_only_in_listed_places() {
    let mut problems = Vec::new();
    for (name, path) in sources() {
        let is_listed = UNSAFE.iter().any(|place| match place.strip_suffix('/') {
            Some(_) => name.starts_with(place),
            None => name == *place,
        });
        if is_listed {
            continue;
        }
        for (index, line) in read(&path).lines().enumerate() {
            if is_unsafe(line) {
                problems.push(format!("{name}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    report(&problems);
}

/// Whether a line opens something unsafe.
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    ["{", "fn ", "impl", "extern", "trait"]
        .iter()
        .any(|what| code.contains(&format!("{} {what}", concat!("un", "safe"))))
}

#[test]
fn listed_places_exist() {
    let missing = UNSAFE.iter().filter(|place| !root().join(place).exists());
    report(&missing.map(|place| format!("{place} is listed, but not there")).collect::<Vec<_>>());
}

#[test]
fn source_files_open_with_what_they_are_about() {
    let without = sources().into_iter().filter(|(_, path)| !read(path).starts_with("//!"));
    report(&without.map(|(name, _)| format!("{name} does not open with a //! comment")).collect::<Vec<_>>());
}

#[test]
fn source_files_are_not_too_long() {
    let mut problems = Vec::new();
    for (name, path) in sources() {
        let lines = read(&path).lines().count();
        if lines > LONGEST {
            problems.push(format!("{name} has {lines} lines"));
        }
    }
    report(&problems);
}

/// What has no place in a repository, each in two parts so that this file does not contain it.
const UNWANTED: &[(&str, &str)] = &[
    ("TO", "DO"),
    ("FIX", "ME"),
    (" XX", "X"),
    ("todo", "!("),
    ("unimplemented", "!("),
    ("#[igno", "re"),
    ("dbg", "!("),
    ("/wo", "rk/"),
    ("/ro", "ot/"),
    ("/ho", "me/"),
    ("collea", "gue"),
    ("workpl", "ace"),
    ("sub-ag", "ent"),
    ("The le", "ad "),
    ("the le", "ad "),
    ("this ses", "sion"),
];

#[test]
fn nothing_unfinished_or_foreign_is_left() {
    let mut texts = files(&["crates", "xtask", "docs", "fixtures", "benches"], &["rs", "toml", "md", "lua"]);
    for name in ["README.md", "Cargo.toml", "clippy.toml", ".cargo/config.toml", ".ci/run"] {
        texts.push((name.to_owned(), root().join(name)));
    }
    let unwanted: Vec<String> = UNWANTED.iter().map(|(start, end)| format!("{start}{end}")).collect();
    let mut problems = Vec::new();
    for (name, path) in texts {
        for (index, line) in read(&path).lines().enumerate() {
            for word in unwanted.iter().filter(|word| line.contains(*word)) {
                problems.push(format!("{name}:{}: {word}", index + 1));
            }
        }
    }
    report(&problems);
}

#[test]
fn fixtures_say_what_they_are() {
    let fixtures = perilune_testkit::fixtures();
    assert!(!fixtures.is_empty());
    let mut problems = Vec::new();
    for fixture in fixtures {
        let header = &fixture.header;
        let lacks = [
            (header.test.as_deref().unwrap_or_default().is_empty(), "Test"),
            (header.versions.is_empty(), "@lua-versions"),
            (header.expects_error.is_none(), "@expects-error"),
            (header.reference.is_none(), "@reference"),
        ];
        for (_, what) in lacks.iter().filter(|(lacks, _)| *lacks) {
            problems.push(format!("{} lacks `-- {what}:`", fixture.name));
        }
        for unknown in &header.unknown {
            problems.push(format!("{} has the unknown directive or version {unknown}", fixture.name));
        }
        if header.versions.iter().any(|version| fixture.expected(*version, Stream::Output).is_none()) {
            problems.push(format!("{} has no recorded output", fixture.name));
        }
        if header.diverges.is_empty() != header.reason.is_none() {
            problems.push(format!("{} diverges without a reason, or has a reason for nothing", fixture.name));
        }
    }
    report(&problems);
}

#[test]
fn fixture_names_are_words_joined_by_hyphens() {
    let mut problems = Vec::new();
    for (name, path) in files_named(&["fixtures"], |suffix| suffix == "lua" || record::is_record(suffix)) {
        let stem = name.rsplit_once('.').map_or(&name[..], |(stem, _)| stem);
        // Versions stand behind an underscore: `goto_52plus`.
        let is_word =
            |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !stem.split(['/', '-', '_']).all(is_word) {
            problems.push(name.clone());
        }
        if !path.with_extension("lua").exists() {
            problems.push(format!("{name} records a script that is not there"));
        }
    }
    report(&problems);
}
