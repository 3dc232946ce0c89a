//! When the system refuses memory, a script gets an error that it can catch, and goes on.
#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "the command is run as its users do")]

use std::process::{Command, Output};

/// Runs a script in so many KiB of address space.
fn run(kib: u32, options: &str, script: &str) -> Output {
    let shell = format!("ulimit -v {kib}; exec '{}' {options} -", env!("CARGO_BIN_EXE_perilune"));
    let mut child = Command::new("sh")
        .args(["-c", &shell])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("there is a shell");
    let mut input = child.stdin.take().expect("it is piped");
    std::io::Write::write_all(&mut input, script.as_bytes()).expect("the script is read");
    drop(input);
    child.wait_with_output().expect("it ends")
}

/// Lets a body grow without end, in a loop over `i`, with the interpreter and with the compiler; twice, because what is caught
/// once is to leave a usable VM.
#[track_caller]
fn grows(body: &str) {
    let script = format!(
        "for _ = 1, 2 do
           local ok, e = pcall(function() local t = {{}} for i = 1, 1e9 do {body} end end)
           assert(not ok and e == 'not enough memory', e)
           collectgarbage()
           local t = {{}} for i = 1, 1e5 do t[i] = {{i}} end
         end
         io.write('fine')"
    );
    for options in ["-j off", "-j on", "--hot=1"] {
        let Output { status, stdout, stderr } = run(80_000, options, &script);
        assert!(
            status.success() && stdout == b"fine",
            "{body}, {options}: {status}\n{}{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        );
    }
}

#[test]
fn tables() {
    grows("t[i] = {i}");
    grows("t = {t, x = i}");
}

#[test]
fn strings() {
    grows("t[i] = 'x' .. i");
    grows("t['key' .. i] = i");
    grows("t[i] = ('%d %s'):format(i, 'text'):rep(100)");
    grows("t[i] = ('x'):rep(1e4):gsub('x', 'yy')");
}

#[test]
fn functions_and_coroutines() {
    grows("local j = i t[i] = function() j = j + 1 return j end");
    grows("t[i] = load('local a = ... return a + ' .. i)");
    grows("t[i] = coroutine.wrap(function() coroutine.yield() end) t[i]()");
}

#[test]
fn finalizers_and_weak_tables() {
    grows("t[i] = setmetatable({}, {__gc = function() end})");
    grows("t[i] = setmetatable({}, {__mode = 'k'}) t[i][t] = i");
}

#[test]
fn errors_that_nobody_catches_end_the_script() {
    let Output { status, stderr, .. } = run(60_000, "", "local t = {} for i = 1, 1e9 do t[i] = {i} end");
    assert_eq!(status.code(), Some(1), "{}", String::from_utf8_lossy(&stderr));
    assert!(String::from_utf8_lossy(&stderr).contains("not enough memory"));
}

#[test]
fn large_sources_are_refused() {
    let script = "local parts = {}
        for i = 1, 400000 do parts[i] = 'x' .. i .. ' = {' .. i .. ', \"str' .. i .. '\"} ' end
        local f, e = load(table.concat(parts))
        assert(not f and e == 'not enough memory', e)";
    let Output { status, stderr, .. } = run(200_000, "", script);
    assert!(status.success(), "{status} {}", String::from_utf8_lossy(&stderr));
}

#[test]
fn files_that_do_not_end() {
    let reads = [
        "io.open('/dev/zero'):read('l')",
        "io.open('/dev/zero'):read('a')",
        "io.open('/dev/zero'):read(1 << 40)",
        "for line in io.lines('/dev/zero') do end",
    ];
    for read in reads {
        let script = format!("io.write(select(2, pcall(function() {read} end)))");
        let output = run(80_000, "-j off", &script);
        assert_eq!(output.stdout, b"not enough memory", "{read}: {output:?}");
        let output = run(1_000_000, "-j off --max-memory=4M", &script);
        assert_eq!(output.stdout, b"not enough memory", "{read}: {output:?}");
    }
    let output = run(1_000_000, "-j off", "io.write(select(2, loadfile('/dev/zero')))");
    assert_eq!(output.stdout, b"/dev/zero:1: unexpected symbol", "{output:?}");
}

#[test]
fn print_copies_no_long_strings() {
    let script =
        "local s = ('x'):rep(30 << 20) print(s, 1) print(setmetatable({}, {__tostring = function() return s end}))";
    let Output { status, stdout, stderr } = run(70_000, "", script);
    assert!(status.success(), "{status} {}", String::from_utf8_lossy(&stderr));
    assert_eq!(stdout.len(), 2 * (30 << 20) + 4);
}

#[test]
fn sources_with_much_text_need_little_memory() {
    let words = "some words of a comment ".repeat(20_000);
    let script = format!("--[[{words}]] local text = [[{words}]] io.write(#text)");
    let Output { status, stdout, stderr } = run(100_000, "--max-memory=4M", &script);
    assert!(status.success(), "{status} {}", String::from_utf8_lossy(&stderr));
    assert_eq!(stdout, (words.len()).to_string().as_bytes());
}
