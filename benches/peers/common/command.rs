//! The `lua` command over the C API, shared by the reference runners.
//!
//! What `lua.c` does, a runner does, and no more: the state comes from
//! `luaL_newstate` (Lua's own allocator, plain `realloc`), all standard
//! libraries are opened, the collector is stopped while they are and put in
//! the mode `lua.c` of that version chooses, `arg` is filled, `LUA_INIT` is
//! obeyed, and chunks run under a message handler that adds a traceback.
//! There is no Rust runtime around it: the package is `no_main`, so standard
//! output, signals and exit are those of C.
//!
//! The `mlua` crate proper is not used because its states count every
//! allocation and wrap calls in protection of their own, which `lua` does not
//! do; `mlua-sys` is its layer that builds and declares the C library.
//!
//! Not here: the read-eval-print loop (`-i`) and the handler for Ctrl-C.
//!
//! Functions that may raise a Lua error (a `longjmp`) run below a
//! `lua_pcall` and own nothing that would need dropping.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use mlua_sys as ffi;
use mlua_sys::lua_State;

use crate::engine;

unsafe extern "C" {
    static stdout: *mut c_void;
    static stderr: *mut c_void;
    fn fputs(text: *const c_char, file: *mut c_void) -> c_int;
    fn fflush(file: *mut c_void) -> c_int;
    fn getenv(name: *const c_char) -> *const c_char;
}

/// What the options before the script ask for, and where the script stands.
struct Arguments {
    script: c_int,
    version: bool,
    statement: bool,
    no_environment: bool,
}

/// Writes C strings to one of C's streams, so that order with Lua's own output holds.
unsafe fn put(file: *mut c_void, parts: &[*const c_char]) {
    // SAFETY: `file` is `stdout` or `stderr` of the C library and every part
    // is a NUL-terminated string that outlives the call.
    unsafe {
        for part in parts {
            fputs(*part, file);
        }
        fflush(file);
    }
}

/// The argument at `index`, empty when there is none.
unsafe fn argument<'a>(argv: *const *mut c_char, index: c_int) -> &'a [u8] {
    // SAFETY: `argv` is main's: `index` is at most `argc`, where a null stands,
    // and the strings live as long as the process.
    unsafe {
        let text = *argv.offset(index as isize);
        if text.is_null() { b"" } else { CStr::from_ptr(text).to_bytes() }
    }
}

/// Reads the options; the error is the index of the one not understood.
unsafe fn collect_arguments(argc: c_int, argv: *const *mut c_char) -> Result<Arguments, c_int> {
    let mut found = Arguments { script: 0, version: false, statement: false, no_environment: false };
    let mut i = 1;
    while i < argc {
        // SAFETY: `i < argc`.
        let text = unsafe { argument(argv, i) };
        match text {
            b"--" => {
                found.script = if i + 1 < argc { i + 1 } else { 0 };
                return Ok(found);
            }
            b"-E" => found.no_environment = true,
            b"-W" => {}
            b"-v" | b"--version" => found.version = true,
            _ if text.starts_with(b"-e") || text.starts_with(b"-l") => {
                found.statement |= text[1] == b'e';
                if text.len() == 2 {
                    i += 1;
                    // SAFETY: `i <= argc`.
                    if unsafe { argument(argv, i) }.is_empty() {
                        return Err(i - 1);
                    }
                }
            }
            _ if engine::takes(text) => {}
            _ if text.len() > 1 && text[0] == b'-' => return Err(i),
            _ => {
                found.script = i;
                return Ok(found);
            }
        }
        i += 1;
    }
    Ok(found)
}

/// Turns the error object into a message with a traceback.
unsafe extern "C-unwind" fn message_handler(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua with the error object at index 1.
    unsafe {
        let mut message = ffi::lua_tostring(l, 1);
        if message.is_null() {
            if ffi::luaL_callmeta(l, 1, c"__tostring".as_ptr()) != 0 && ffi::lua_type(l, -1) == ffi::LUA_TSTRING {
                return 1;
            }
            ffi::lua_pushstring(l, c"(error object is a ".as_ptr());
            ffi::lua_pushstring(l, ffi::luaL_typename(l, 1));
            ffi::lua_pushstring(l, c" value)".as_ptr());
            ffi::lua_concat(l, 3);
            message = ffi::lua_tostring(l, -1);
        }
        ffi::luaL_traceback(l, l, message, 1);
    }
    1
}

/// Calls the function below `arguments` values under the message handler.
unsafe fn call(l: *mut lua_State, arguments: c_int, results: c_int) -> c_int {
    // SAFETY: the caller pushed a function and `arguments` values.
    unsafe {
        let base = ffi::lua_gettop(l) - arguments;
        ffi::lua_pushcfunction(l, message_handler);
        ffi::lua_insert(l, base);
        let status = ffi::lua_pcall(l, arguments, results, base);
        ffi::lua_remove(l, base);
        status
    }
}

/// Prints the message on the stack when `status` is an error; true when it is none.
unsafe fn report(l: *mut lua_State, name: *const c_char, status: c_int) -> bool {
    if status == ffi::LUA_OK {
        return true;
    }
    // SAFETY: an error status left its message on the stack.
    unsafe {
        let mut message = ffi::lua_tostring(l, -1);
        if message.is_null() {
            message = c"(error message not a string)".as_ptr();
        }
        put(stderr, &[name, c": ".as_ptr(), message, c"\n".as_ptr()]);
        ffi::lua_settop(l, -2);
    }
    false
}

/// Runs a string as a chunk.
unsafe fn run_string(l: *mut lua_State, name: *const c_char, text: *const c_char, chunk: &CStr) -> bool {
    // SAFETY: `text` is a C string that outlives the call.
    unsafe {
        let length = CStr::from_ptr(text).count_bytes();
        let mut status = ffi::luaL_loadbuffer(l, text, length, chunk.as_ptr());
        if status == ffi::LUA_OK {
            status = call(l, 0, 0);
        }
        report(l, name, status)
    }
}

/// Runs a file, or standard input for a null name, giving it the values of `arg`.
unsafe fn run_script(l: *mut lua_State, name: *const c_char, file: *const c_char, arguments: &[*mut c_char]) -> bool {
    // SAFETY: `file` is null or a C string; the arguments are C strings of `argv`.
    unsafe {
        let mut status = ffi::luaL_loadfile(l, file);
        if status == ffi::LUA_OK {
            ffi::luaL_checkstack(l, arguments.len() as c_int + 3, c"too many arguments to script".as_ptr());
            for argument in arguments {
                ffi::lua_pushstring(l, *argument);
            }
            status = call(l, arguments.len() as c_int, ffi::LUA_MULTRET);
        }
        report(l, name, status)
    }
}

/// Runs `LUA_INIT` of this version, or the general one.
unsafe fn run_init(l: *mut lua_State, name: *const c_char) -> bool {
    for variable in [engine::INIT_OF_VERSION, c"LUA_INIT"] {
        // SAFETY: `getenv` gives null or a C string that nobody changes here.
        unsafe {
            let text = getenv(variable.as_ptr());
            if !text.is_null() {
                return if *text == b'@' as c_char {
                    run_script(l, name, text.add(1), &[])
                } else {
                    run_string(l, name, text, c"=LUA_INIT")
                };
            }
        }
    }
    true
}

/// Runs the `-e` and `-l` options, in order.
unsafe fn run_options(l: *mut lua_State, argv: *const *mut c_char, limit: c_int) -> bool {
    // SAFETY: `collect_arguments` accepted every option below `limit`.
    unsafe {
        let name = *argv;
        let mut i = 1;
        while i < limit {
            let text = argument(argv, i);
            if text.starts_with(b"-e") || text.starts_with(b"-l") {
                let value = if text.len() == 2 {
                    i += 1;
                    *argv.offset(i as isize)
                } else {
                    (*argv.offset(i as isize)).add(2)
                };
                let done = if text[1] == b'e' {
                    run_string(l, name, value, c"=(command line)")
                } else {
                    run_library(l, name, value)
                };
                if !done {
                    return false;
                }
            } else if text == b"-W" {
                engine::warnings_on(l);
            } else {
                engine::obey(l, text);
            }
            i += 1;
        }
    }
    true
}

/// `-l mod`: requires a module into the global of its name.
unsafe fn run_library(l: *mut lua_State, name: *const c_char, module: *const c_char) -> bool {
    // SAFETY: `module` is a C string of `argv`.
    unsafe {
        ffi::lua_getglobal(l, c"require".as_ptr());
        ffi::lua_pushstring(l, module);
        let status = call(l, 1, 1);
        if status == ffi::LUA_OK {
            ffi::lua_setglobal(l, module);
        }
        report(l, name, status)
    }
}

/// Fills the global `arg`, script at index 0.
unsafe fn create_arg(l: *mut lua_State, argc: c_int, argv: *const *mut c_char, script: c_int) {
    // SAFETY: every index is below `argc`.
    unsafe {
        ffi::lua_createtable(l, argc - script, script + 1);
        for i in 0..argc {
            ffi::lua_pushstring(l, *argv.offset(i as isize));
            ffi::lua_rawseti(l, -2, (i - script).into());
        }
        ffi::lua_setglobal(l, c"arg".as_ptr());
    }
}

/// Everything after the state is made; true as its result when all went well.
unsafe extern "C-unwind" fn protected_main(l: *mut lua_State) -> c_int {
    // SAFETY: `main` passed `argc` and `argv` as the two arguments.
    unsafe {
        let argc = ffi::lua_tointeger(l, 1) as c_int;
        let argv = ffi::lua_touserdata(l, 2) as *const *mut c_char;
        let name = *argv;
        let found = match collect_arguments(argc, argv) {
            Ok(found) => found,
            Err(bad) => {
                put(
                    stderr,
                    &[
                        name,
                        c": unrecognized option '".as_ptr(),
                        *argv.offset(bad as isize),
                        c"'\nusage: [-e stat] [-l mod] [-v] [-E] [-W] [script [args]]\n".as_ptr(),
                    ],
                );
                return 0;
            }
        };
        if found.version {
            engine::print_version(l, |text| put(stdout, &[text, c"\n".as_ptr()]));
        }
        if found.no_environment {
            ffi::lua_pushboolean(l, 1);
            ffi::lua_setfield(l, ffi::LUA_REGISTRYINDEX, c"LUA_NOENV".as_ptr());
        }
        ffi::luaL_openlibs(l);
        create_arg(l, argc, argv, found.script);
        engine::start_collector(l);
        let limit = if found.script > 0 { found.script } else { argc };
        if (!found.no_environment && !run_init(l, name)) || !run_options(l, argv, limit) {
            return 0;
        }
        if found.script > 0 {
            let first = found.script as isize;
            let file = *argv.offset(first);
            let is_input = argument(argv, found.script) == b"-" && argument(argv, found.script - 1) != b"--";
            let rest = std::slice::from_raw_parts(argv.offset(first + 1), (argc - found.script - 1) as usize);
            let file = if is_input { ptr::null() } else { file };
            if !run_script(l, name, file, rest) {
                return 0;
            }
        } else if !found.version && !found.statement && !run_script(l, name, ptr::null(), &[]) {
            return 0;
        }
        ffi::lua_pushboolean(l, 1);
    }
    1
}

/// The process's entry.
///
/// # Safety
/// Called by the C runtime only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *mut *mut c_char) -> c_int {
    // SAFETY: the state is fresh and used by this thread only; whatever can
    // raise runs inside `lua_pcall`.
    unsafe {
        let l = ffi::luaL_newstate();
        if l.is_null() {
            put(stderr, &[*argv, c": cannot create state: not enough memory\n".as_ptr()]);
            return 1;
        }
        engine::stop_collector(l);
        ffi::lua_pushcfunction(l, protected_main);
        ffi::lua_pushinteger(l, argc as ffi::lua_Integer);
        ffi::lua_pushlightuserdata(l, argv as *mut c_void);
        let status = ffi::lua_pcall(l, 2, 1, 0);
        let result = ffi::lua_toboolean(l, -1);
        let fine = report(l, *argv, status);
        ffi::lua_close(l);
        if fine && result != 0 { 0 } else { 1 }
    }
}
