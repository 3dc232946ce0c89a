//! `puc55`: PUC-Rio Lua 5.5 of the newest patch that `mlua-sys` carries.
#![no_main]

use std::ffi::CStr;

use mlua_sys as ffi;
use mlua_sys::lua_State;

#[path = "../../common/command.rs"]
mod command;
#[path = "../../common/puc.rs"]
mod puc;

/// What is particular to this interpreter.
mod engine {
    pub use super::puc::*;
    use super::*;

    /// The versioned name of `LUA_INIT`.
    pub const INIT_OF_VERSION: &CStr = c"LUA_INIT_5_5";

    /// As `lua.c` of this version: generational mode.
    ///
    /// # Safety
    /// `l` is a live state.
    pub unsafe fn start_collector(l: *mut lua_State) {
        // SAFETY: the options need no further arguments beyond those given.
        unsafe {
            ffi::lua_gc(l, ffi::LUA_GCRESTART);
            ffi::lua_gc(l, ffi::LUA_GCGEN);
        }
    }
}
