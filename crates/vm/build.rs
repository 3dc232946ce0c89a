//! Decides how the interpreter goes from one instruction to the next; see the module `interp::dispatch`.
#![expect(clippy::disallowed_methods, reason = "cargo tells a build script its settings through the environment")]

fn main() {
    println!("cargo::rustc-check-cfg=cfg(threaded_dispatch)");
    println!("cargo::rerun-if-changed=build.rs");
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    let debug = std::env::var("CARGO_CFG_DEBUG_ASSERTIONS").is_ok();
    // Sibling calls become jumps from this level on, for functions without stack slots that outlive them.
    if matches!(level.as_str(), "2" | "3") && !debug {
        println!("cargo::rustc-cfg=threaded_dispatch");
    }
}
