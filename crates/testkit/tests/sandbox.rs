//! What the presets of access leave to a script.

use perilune_stdlib::Libraries;
use perilune_stdlib::sandbox::Sandbox;
use perilune_testkit::lab::Lab;

fn check(preset: Sandbox, code: &str, expected: &str) {
    let mut lab = Lab::bare();
    preset.open(&mut lab.vm, Libraries::ALL);
    assert_eq!(lab.run(code).values(), expected, "{preset:?}: {code}");
}

#[test]
fn no_preset_reaches_the_world() {
    let world =
        "return io and (io.open or io.popen or io.lines), os.execute, os.getenv, os.remove, require, package, debug";
    for preset in [Sandbox::Moderate, Sandbox::Restrictive] {
        check(preset, world, "nil nil nil nil nil nil nil");
        check(preset, "return dofile, loadfile, string.dump, os.exit", "nil nil nil nil");
        check(preset, "return type(os.time()), math.max(1, 2), ('x'):rep(3)", "number 2 xxx");
    }
}

#[test]
fn moderate_loads_source_only() {
    check(Sandbox::Moderate, "return load('return 1 + 1')()", "2");
    check(Sandbox::Moderate, "return load('return x', 'c', 'bt', { x = 5 })()", "5");
    check(Sandbox::Moderate, "return (load('\\27Lua', 'c', 'b'))", "nil");
    check(Sandbox::Restrictive, "return load, io", "nil nil");
}

#[test]
fn every_preset_has_every_limit() {
    for preset in [Sandbox::Moderate, Sandbox::Restrictive] {
        let limits = preset.limits();
        assert!(limits.instructions.is_some() && limits.time.is_some(), "{preset:?} lets scripts run for ever");
        assert!(limits.memory.is_some() && limits.depth.is_some() && limits.coroutines.is_some(), "{preset:?}");
    }
}
