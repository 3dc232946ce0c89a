//! `luajit`: the LuaJIT 2.1 revision that `mlua-sys` carries, with `-joff` and `-jon`.
#![no_main]

use std::ffi::{CStr, c_char};

use mlua_sys as ffi;
use mlua_sys::lua_State;

#[path = "../../common/command.rs"]
mod command;

/// What is particular to this interpreter.
mod engine {
    use super::*;

    /// The versioned name of `LUA_INIT`, which LuaJIT does not have.
    pub const INIT_OF_VERSION: &CStr = c"LUA_INIT";

    /// Whether an option is one of this interpreter only.
    pub fn takes(option: &[u8]) -> bool {
        option == b"-joff" || option == b"-jon"
    }

    /// `-joff` and `-jon`: `jit.off()` and `jit.on()`.
    ///
    /// # Safety
    /// `l` is a live state with its libraries open.
    pub unsafe fn obey(l: *mut lua_State, option: &[u8]) {
        let name = match option {
            b"-joff" => c"off",
            b"-jon" => c"on",
            _ => return,
        };
        // SAFETY: `jit.on` and `jit.off` exist and take no argument.
        unsafe {
            ffi::lua_getglobal(l, c"jit".as_ptr());
            ffi::lua_getfield(l, -1, name.as_ptr());
            ffi::lua_pcall(l, 0, 0, 0);
            ffi::lua_settop(l, -2);
        }
    }

    /// `-W`: there are no warnings here.
    ///
    /// # Safety
    /// `_l` is a live state.
    pub unsafe fn warnings_on(_l: *mut lua_State) {}

    /// Stops the collector while the state is filled.
    ///
    /// # Safety
    /// `l` is a live state.
    pub unsafe fn stop_collector(l: *mut lua_State) {
        // SAFETY: plain call.
        unsafe {
            ffi::lua_gc(l, ffi::LUA_GCSTOP, 0);
        }
    }

    /// As `luajit.c`: restarted with a full pause to come.
    ///
    /// # Safety
    /// `l` is a live state.
    pub unsafe fn start_collector(l: *mut lua_State) {
        // SAFETY: plain call.
        unsafe {
            ffi::lua_gc(l, ffi::LUA_GCRESTART, -1);
        }
    }

    /// Prints `jit.version` and the architecture.
    ///
    /// # Safety
    /// `l` is a live state.
    pub unsafe fn print_version(l: *mut lua_State, print: impl Fn(*const c_char)) {
        // SAFETY: opening libraries early is harmless; the chunk returns one string.
        unsafe {
            ffi::luaL_openlibs(l);
            let chunk = c"return jit.version .. ' ' .. jit.os .. '/' .. jit.arch";
            ffi::luaL_loadstring(l, chunk.as_ptr());
            if ffi::lua_pcall(l, 0, 1, 0) == ffi::LUA_OK {
                print(ffi::lua_tostring(l, -1));
            }
            ffi::lua_settop(l, -2);
        }
    }
}
