//! What the runners of PUC-Rio Lua 5.4 and 5.5 have in common.

use std::ffi::c_char;

use mlua_sys as ffi;
use mlua_sys::lua_State;

unsafe extern "C" {
    /// `$LuaVersion: Lua 5.4.x  Copyright (C) ... $$LuaAuthors: ... $`, from `lapi.c`.
    static lua_ident: [c_char; 0];
}

/// Whether an option is one of this interpreter only.
pub fn takes(_option: &[u8]) -> bool {
    false
}

/// Obeys an option of this interpreter only.
///
/// # Safety
/// `_l` is a live state.
pub unsafe fn obey(_l: *mut lua_State, _option: &[u8]) {}

/// `-W`.
///
/// # Safety
/// `l` is a live state.
pub unsafe fn warnings_on(l: *mut lua_State) {
    // SAFETY: the text is a C string.
    unsafe { ffi::lua_warning(l, c"@on".as_ptr(), 0) }
}

/// Stops the collector while the state is filled.
///
/// # Safety
/// `l` is a live state.
pub unsafe fn stop_collector(l: *mut lua_State) {
    // SAFETY: the option takes no argument.
    unsafe {
        ffi::lua_gc(l, ffi::LUA_GCSTOP);
    }
}

/// Prints release and copyright, the line of `lua -v`.
///
/// # Safety
/// `l` is a live state.
pub unsafe fn print_version(l: *mut lua_State, print: impl Fn(*const c_char)) {
    // SAFETY: `lua_ident` is a C string; what is pushed is taken off again.
    unsafe {
        let ident = std::ffi::CStr::from_ptr(lua_ident.as_ptr()).to_bytes();
        let line = ident.strip_prefix(b"$LuaVersion: ").unwrap_or(ident);
        let length = line.iter().position(|&b| b == b'$').unwrap_or(line.len());
        let length = line[..length].trim_ascii_end().len();
        ffi::lua_pushlstring(l, line.as_ptr().cast(), length);
        print(ffi::lua_tostring(l, -1));
        ffi::lua_settop(l, -2);
    }
}
