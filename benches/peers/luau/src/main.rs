//! `luau`: the Luau that `mlua-sys` carries, with `--codegen` for native code.
//!
//! Does what the `luau` command does with a script: standard libraries,
//! sandboxed globals (which is what makes its fast calls valid), optimization
//! level 1, and one thread for the script with its own globals. There is no
//! `io`, `require` or `loadstring`; `arg` is set as `lua` sets it.
#![no_main]

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use mlua_sys as ffi;
use mlua_sys::lua_State;

unsafe extern "C" {
    static stderr: *mut c_void;
    fn fputs(text: *const c_char, file: *mut c_void) -> c_int;
}

/// The release, from the version of the package with the sources: `0.x.y+luauNNN`.
fn release() -> &'static str {
    include_str!("../Cargo.lock")
        .split_once("+luau")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("unknown", |(release, _)| release)
}

/// Turns the error object into a message with a traceback.
unsafe extern "C-unwind" fn message_handler(l: *mut lua_State) -> c_int {
    // SAFETY: called with the error object at index 1.
    unsafe {
        let message = ffi::luaL_tolstring(l, 1, std::ptr::null_mut());
        ffi::luaL_traceback(l, l, message, 1);
    }
    1
}

/// Runs the script at `argv[script]`; true when it ended well.
unsafe fn run(l: *mut lua_State, argv: &[*mut c_char], script: usize, native: bool) -> bool {
    // SAFETY: the state is fresh; `argv` holds C strings.
    unsafe {
        if native && ffi::luau_codegen_supported() != 0 {
            ffi::luau_codegen_create(l);
        }
        ffi::luaL_openlibs(l);
        ffi::lua_createtable(l, 0, 0);
        for (i, text) in argv.iter().enumerate() {
            ffi::lua_pushstring(l, *text);
            ffi::lua_rawseti(l, -2, i as ffi::lua_Integer - script as ffi::lua_Integer);
        }
        ffi::lua_setglobal(l, c"arg".as_ptr());
        ffi::luaL_sandbox(l, 1);
        ffi::luaL_sandboxthread(l);

        let path = CStr::from_ptr(argv[script]).to_string_lossy().into_owned();
        let source = match std::fs::read(&path) {
            Ok(source) => source,
            Err(error) => {
                eprintln!("luau: cannot open {path}: {error}");
                return false;
            }
        };
        let chunk = CString::new(format!("={path}")).unwrap_or_default();
        ffi::lua_pushcfunction(l, message_handler);
        let status = ffi::luaL_loadbuffer(l, source.as_ptr().cast(), source.len(), chunk.as_ptr());
        let mut failed = status != ffi::LUA_OK;
        if !failed {
            if native {
                ffi::luau_codegen_compile(l, -1);
            }
            let arguments = &argv[script + 1..];
            for text in arguments {
                ffi::lua_pushstring(l, *text);
            }
            failed = ffi::lua_pcall(l, arguments.len() as c_int, 0, 1) != ffi::LUA_OK;
        }
        if failed {
            for text in [c"luau: ".as_ptr(), ffi::lua_tostring(l, -1), c"\n".as_ptr()] {
                fputs(text, stderr);
            }
        }
        !failed
    }
}

/// The process's entry.
///
/// # Safety
/// Called by the C runtime only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *mut *mut c_char) -> c_int {
    // SAFETY: `argv` holds `argc` C strings.
    let argv = unsafe { std::slice::from_raw_parts(argv, argc as usize) };
    let mut native = false;
    let mut script = 1;
    while let Some(text) = argv.get(script) {
        // SAFETY: as above.
        match unsafe { CStr::from_ptr(*text) }.to_bytes() {
            b"-v" | b"--version" => {
                println!("Luau {}", release());
                return 0;
            }
            b"--codegen" => native = true,
            _ => break,
        }
        script += 1;
    }
    if script >= argv.len() {
        eprintln!("usage: luau [--version] [--codegen] script [args]");
        return 1;
    }
    // SAFETY: the state is used by this thread only and closed once.
    unsafe {
        let l = ffi::luaL_newstate();
        if l.is_null() {
            return 1;
        }
        let done = run(l, argv, script, native);
        ffi::lua_close(l);
        if done { 0 } else { 1 }
    }
}
