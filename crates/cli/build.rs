//! How the released command is linked: so that it starts in little time and memory.
//!
//! A process of a small script consists mostly of file pages, and the system maps them in pieces of 64 KiB around each
//! one that is touched. Two things make them few:
//!
//! 1. **Order.** The functions that every script needs, and then those that most need, come first ([`ORDER`], written by
//!    `cargo xtask order`); the rest, such as most of Cranelift, is not touched at all. The list names sections by
//!    patterns, so it may be out of date: what it does not name stays behind, what is no longer there is not missed.
//! 2. **Static libraries.** The C library is linked in, where its archives are installed: nothing is bound or relocated
//!    in shared libraries at each start, and of the library only what is used is mapped. The result is a
//!    position-independent executable all the same.
//!
//! Only where that was seen to work, and only if nobody has chosen another linker or other ways to link.
#![expect(clippy::disallowed_methods, reason = "a build script looks at files and runs the compiler's driver")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// The sections that come first: names of functions, or members of archives (`libc.a:malloc.o`), with wildcards.
const ORDER: &str = "link/order.txt";

/// What is ours and not on the list, because it is new or seldom runs. It comes next: the list need not be up to date.
const OWN: &str = "    *(.text.*perilune*)\n";

/// The target whose linker takes these scripts.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The libraries that Rust's standard library asks the linker for, and the archives that serve instead.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("gcc_s", &["libgcc_eh.a"]),
    // It unwinds stacks and computes with long doubles itself.
    ("c", &["libc.a", "libgcc_eh.a", "libgcc.a"]),
    ("m", &["libm.a"]),
    ("util", &["libutil.a"]),
    ("rt", &["librt.a"]),
    ("pthread", &["libpthread.a"]),
    ("dl", &["libdl.a"]),
];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ORDER}");
    let out = PathBuf::from(variable("OUT_DIR"));
    if !is_usual_release() {
        return Ok(());
    }
    let script = out.join("order.ld");
    fs::write(&script, order_script(&fs::read_to_string(ORDER)?))?;
    link_with(&format!("-Wl,-T,{}", script.display()));
    let libraries = out.join("libraries");
    if write_libraries(&libraries)? {
        link_with("-static-pie");
        link_with(&format!("-L{}", libraries.display()));
    }
    Ok(())
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn link_with(argument: &str) {
    println!("cargo::rustc-link-arg-bins={argument}");
}

/// Whether this is a release for this very system, linked as the compiler does it by itself.
fn is_usual_release() -> bool {
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    let is_changed = env::var_os("RUSTC_LINKER").is_some()
        || ["link", "crt-static", "relocation-model", "sanitizer"].iter().any(|word| flags.contains(word));
    variable("PROFILE") == "release" && variable("TARGET") == TARGET && variable("HOST") == TARGET && !is_changed
}

/// A script for the linker, which puts the sections of a list in front of all other code.
fn order_script(list: &str) -> String {
    let mut script = "SECTIONS {\n  .text.first : {\n".to_owned();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        script += &match line.split_once(':') {
            Some((archive, member)) => format!("    *{archive}:{member}(.text .text.*)\n"),
            None => format!("    *(.text.{line} .text.unlikely.{line})\n"),
        };
    }
    script + OWN + "  }\n}\nINSERT BEFORE .text;\n"
}

/// Makes a folder where the linker finds an archive for each of the libraries. False if one is not installed.
fn write_libraries(folder: &Path) -> io::Result<bool> {
    fs::create_dir_all(folder)?;
    for (library, archives) in LIBRARIES {
        let Some(paths) = archives.iter().map(|archive| installed(archive)).collect::<Option<Vec<_>>>() else {
            return Ok(false);
        };
        // Archives may be scripts, as that of the mathematical functions is in some systems.
        fs::write(folder.join(format!("lib{library}.a")), format!("GROUP({})\n", paths.join(" ")))?;
    }
    Ok(installed("rcrt1.o").is_some())
}

/// Where the compiler's driver, which links, finds a file.
fn installed(file: &str) -> Option<String> {
    let found = Command::new("cc").arg(format!("-print-file-name={file}")).output().ok()?;
    let path = String::from_utf8(found.stdout).ok()?.trim().to_owned();
    // It says the bare name of what it does not find.
    Path::new(&path).is_absolute().then_some(path)
}
