//! The package library (§6.3 of the manual).
//!
//! There are no dynamic libraries here: their searchers find files, and then say that they cannot be loaded.

use perilune_runtime::object::StrRef;
use perilune_runtime::value::Value;
use perilune_vm::host::OpenMode;
use perilune_vm::native::{Intrinsic, NativeFn, NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::row::{Row, row};

use crate::base::load_file;

/// The functions of the library's table, except for the searchers. The global `require` is made by [`open`].
pub const ROWS: &[Row] = &[row("loadlib", loadlib), row("searchpath", searchpath)];

/// The default searchers, in order. Their upvalue is the table `package`.
const SEARCHERS: [NativeFn; 4] = [search_preload, search_lua, search_native, search_native_root];

/// The field of the registry that holds `package.preload`.
const PRELOAD: &str = "_PRELOAD";

/// The field of the registry that makes [`open`] ignore environment variables when it is true.
pub const NO_ENVIRONMENT: &str = "LUA_NOENV";

const DEFAULT_PATH: &[u8] = b"/usr/local/share/lua/5.4/?.lua;/usr/local/share/lua/5.4/?/init.lua;\
/usr/local/lib/lua/5.4/?.lua;/usr/local/lib/lua/5.4/?/init.lua;./?.lua;./?/init.lua";

const DEFAULT_NATIVE_PATH: &[u8] = b"/usr/local/lib/lua/5.4/?.so;/usr/local/lib/lua/5.4/loadall.so;./?.so";

/// Separators and marks, a line each: of directories, of templates in a path, of the name in a template, of the program's
/// directory, of the ignored part of a name.
const CONFIG: &[u8] = b"/\n;\n?\n!\n-\n";

/// Why no dynamic library can be loaded.
const NO_LIBRARIES: &str = "dynamic libraries not enabled; check your Lua installation";

/// Opens the library.
pub fn open(vm: &mut Vm) {
    let package = crate::new_library(vm, "package", ROWS);
    let upvalue = Value::table(package);
    let searchers = vm.table(SEARCHERS.len(), 0);
    for (i, searcher) in (1..).zip(SEARCHERS) {
        let searcher = vm.native(searcher, Intrinsic::None, &[upvalue]);
        // A small table of integer keys takes what it is given.
        let stored = vm.raw_set_int(searchers, i, searcher);
        debug_assert!(stored.is_ok());
    }
    vm.set_field(package, "searchers", Value::table(searchers));
    for (field, variable, default) in [("path", "LUA_PATH", DEFAULT_PATH), ("cpath", "LUA_CPATH", DEFAULT_NATIVE_PATH)]
    {
        let path = path_from_environment(vm, variable, default);
        let path = vm.string(&path);
        vm.set_field(package, field, path);
    }
    let config = vm.string(CONFIG);
    vm.set_field(package, "config", config);
    for (field, name) in [("loaded", crate::LOADED), ("preload", PRELOAD)] {
        let table = crate::registry_table(vm, name);
        vm.set_field(package, field, Value::table(table));
    }
    let globals = vm.globals();
    let require = vm.native(require, Intrinsic::None, &[upvalue]);
    vm.set_field(globals, "require", require);
}

/// The path in a variable, with the default path in place of its first `;;`; else the default path.
fn path_from_environment(vm: &mut Vm, variable: &str, default: &[u8]) -> Vec<u8> {
    let registry = vm.registry();
    if vm.get_field(registry, NO_ENVIRONMENT).is_truthy() {
        return default.to_vec();
    }
    let host = vm.host();
    let path = host.variable(format!("{variable}_5_4").as_bytes()).or_else(|| host.variable(variable.as_bytes()));
    match path {
        Some(path) => with_default(&path, default),
        None => default.to_vec(),
    }
}

fn with_default(path: &[u8], default: &[u8]) -> Vec<u8> {
    let Some(mark) = path.windows(2).position(|two| two == b";;") else { return path.to_vec() };
    let parts = [&path[..mark], default, &path[mark + 2..]];
    let parts: Vec<&[u8]> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(&b';')
}

// Requiring.

/// Its upvalue is the table `package`.
fn require(vm: &mut Vm) -> NativeResult {
    const LOADER: usize = 2;
    const DATA: usize = 3;
    let name = Value::str(name_argument(vm, 1)?);
    vm.set_top(1);
    let loaded = Value::table(crate::registry_table(vm, crate::LOADED));
    let module = vm.index(loaded, name)?;
    if module.is_truthy() {
        return vm.ret(module);
    }
    find_loader(vm)?;
    let loader = vm.arg(LOADER);
    let data = vm.arg(DATA);
    vm.push(loader);
    vm.push(name);
    vm.push(data);
    vm.call(2, 1)?;
    let module = vm.pop();
    if !module.is_nil() {
        vm.set_index(loaded, name, module)?;
    }
    let mut module = vm.index(loaded, name)?;
    if module.is_nil() {
        module = Value::TRUE;
        vm.set_index(loaded, name, module)?;
    }
    vm.push(module);
    let data = vm.arg(DATA);
    vm.push(data);
    Ok(2)
}

/// Asks the searchers for the module named by argument 1, and pushes a loader and its data.
fn find_loader(vm: &mut Vm) -> Result<(), Raised> {
    let package = vm.upvalue(1);
    let key = vm.string(b"searchers");
    let searchers = vm.index(package, key)?;
    let Some(searchers) = searchers.as_table() else {
        return Err(vm.error("'package.searchers' must be a table"));
    };
    // A searcher may replace the table.
    vm.push(Value::table(searchers));
    let name = vm.arg(1);
    let mut reasons = Vec::new();
    for i in 1.. {
        let searcher = searchers.get_int(i);
        if searcher.is_nil() {
            break;
        }
        vm.push(searcher);
        vm.push(name);
        vm.call(1, 2)?;
        let data = vm.pop();
        let found = vm.pop();
        if found.is_function() {
            vm.pop();
            vm.push(found);
            vm.push(data);
            return Ok(());
        }
        if let Some(reason) = vm.number_to_str(found) {
            reasons.extend_from_slice(b"\n\t");
            reasons.extend_from_slice(reason.as_bytes());
        }
    }
    let name = vm.check_str(1)?;
    let message = [b"module '", name.as_bytes(), b"' not found:", &reasons].concat();
    Err(vm.error_bytes(&message))
}

/// A string argument, which ends at the first zero byte and is replaced by what is before it: to the reference, names and
/// paths are C strings.
fn name_argument(vm: &mut Vm, i: usize) -> Result<StrRef, Raised> {
    let name = vm.check_str(i)?;
    let Some(end) = name.as_bytes().iter().position(|&byte| byte == 0) else { return Ok(name) };
    let name = vm.string(&name.as_bytes()[..end]);
    vm.set_arg(i, name);
    vm.check_str(i)
}

fn search_preload(vm: &mut Vm) -> NativeResult {
    let name = name_argument(vm, 1)?;
    let preload = Value::table(crate::registry_table(vm, PRELOAD));
    let loader = vm.index(preload, Value::str(name))?;
    if loader.is_nil() {
        let message = [b"no field package.preload['", name.as_bytes(), b"']"].concat();
        let message = vm.string(&message);
        return vm.ret(message);
    }
    let data = vm.string(b":preload:");
    vm.push(loader);
    vm.push(data);
    Ok(2)
}

fn search_lua(vm: &mut Vm) -> NativeResult {
    let name = name_argument(vm, 1)?;
    let file = match find_in_field(vm, name.as_bytes(), "path")? {
        Ok(file) => file,
        Err(message) => return return_bytes(vm, &message),
    };
    match load_file(vm, Some(&file), None, None) {
        Ok(loader) => {
            vm.push(loader);
            return_bytes(vm, &file)?;
            Ok(2)
        }
        Err(reason) => {
            let reason = reason.as_str();
            Err(loading_error(vm, name.as_bytes(), &file, reason.as_ref().map_or(b"", |reason| reason.as_bytes())))
        }
    }
}

fn search_native(vm: &mut Vm) -> NativeResult {
    let name = name_argument(vm, 1)?;
    search_native_file(vm, name.as_bytes(), name.as_bytes())
}

/// Looks for the library of the module's outermost package.
fn search_native_root(vm: &mut Vm) -> NativeResult {
    let name = name_argument(vm, 1)?;
    let name = name.as_bytes();
    match name.iter().position(|&b| b == b'.') {
        Some(dot) => search_native_file(vm, name, &name[..dot]),
        None => Ok(0),
    }
}

fn search_native_file(vm: &mut Vm, module: &[u8], library: &[u8]) -> NativeResult {
    match find_in_field(vm, library, "cpath")? {
        Ok(file) => Err(loading_error(vm, module, &file, NO_LIBRARIES.as_bytes())),
        Err(message) => return_bytes(vm, &message),
    }
}

fn loading_error(vm: &mut Vm, module: &[u8], file: &[u8], reason: &[u8]) -> Raised {
    let message = [b"error loading module '", module, b"' from file '", file, b"':\n\t", reason].concat();
    vm.error_bytes(&message)
}

fn return_bytes(vm: &mut Vm, bytes: &[u8]) -> NativeResult {
    let text = vm.string(bytes);
    vm.ret(text)
}

// Paths.

/// Looks for a name in the path that a field of `package`, the upvalue, holds.
fn find_in_field(vm: &mut Vm, name: &[u8], field: &str) -> Result<Result<Vec<u8>, Vec<u8>>, Raised> {
    let package = vm.upvalue(1);
    let key = vm.string(field.as_bytes());
    let path = vm.index(package, key)?;
    let Some(path) = vm.number_to_str(path) else {
        return Err(vm.error(&format!("'package.{field}' must be a string")));
    };
    Ok(find(vm, name, path.as_bytes(), b".", b"/"))
}

/// The first file of a path that can be opened, else the message that lists all of them.
fn find(vm: &mut Vm, name: &[u8], path: &[u8], separator: &[u8], replacement: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
    let name = replace(name, separator, replacement);
    let path = replace(path, b"?", &name);
    let host = vm.host();
    let readable = files_of(&path).find(|file| host.open(file, OpenMode::READ).is_ok());
    match readable {
        Some(file) => Ok(file.to_vec()),
        None => Err([b"no file '", replace(&path, b";", b"'\n\tno file '").as_slice(), b"'"].concat()),
    }
}

/// The templates of a path. An empty path has none.
fn files_of(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&b| b == b';').filter(|_| !path.is_empty())
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while !from.is_empty()
        && let Some(at) = rest.windows(from.len()).position(|window| window == from)
    {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

fn searchpath(vm: &mut Vm) -> NativeResult {
    let name = name_argument(vm, 1)?;
    let path = name_argument(vm, 2)?;
    let separator = vm.opt_str(3)?;
    let replacement = vm.opt_str(4)?;
    let separator = separator.as_ref().map_or(&b"."[..], |text| text.as_bytes());
    let replacement = replacement.as_ref().map_or(&b"/"[..], |text| text.as_bytes());
    match find(vm, name.as_bytes(), path.as_bytes(), separator, replacement) {
        Ok(file) => return_bytes(vm, &file),
        Err(message) => {
            vm.push(Value::NIL);
            return_bytes(vm, &message)?;
            Ok(2)
        }
    }
}

/// What fails is opening the library if there is no such file, as everywhere; else it is our lack of a loader.
fn loadlib(vm: &mut Vm) -> NativeResult {
    let path = name_argument(vm, 1)?;
    vm.check_str(2)?;
    let opened = vm.host().open(path.as_bytes(), OpenMode::READ);
    vm.push(Value::NIL);
    match opened {
        Ok(_) => {
            return_bytes(vm, NO_LIBRARIES.as_bytes())?;
            return_bytes(vm, b"absent")?;
        }
        Err(error) => {
            let reason = format!(": cannot open shared object file: {error}");
            return_bytes(vm, &[path.as_bytes(), reason.as_bytes()].concat())?;
            return_bytes(vm, b"open")?;
        }
    }
    Ok(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_semicolons_stand_for_the_default_path() {
        for (path, expected) in [
            (";", ";"),
            (";;", "D"),
            ("a;;b", "a;D;b"),
            (";;b", "D;b"),
            ("a;;", "a;D"),
            ("a;b;;c", "a;b;D;c"),
            ("a;;b;;c", "a;D;b;;c"),
            ("", ""),
        ] {
            assert_eq!(with_default(path.as_bytes(), b"D"), expected.as_bytes(), "{path}");
        }
    }

    #[test]
    fn names_fill_templates() {
        assert_eq!(replace(b"./?.lua;/?/?", b"?", b"a/b"), b"./a/b.lua;/a/b/a/b");
        assert_eq!(replace(b"a.b", b"", b"/"), b"a.b");
        assert_eq!(replace(b"a::b", b"::", b"."), b"a.b");
    }

    #[test]
    fn paths_are_lists_between_semicolons() {
        let files = |path: &'static [u8]| files_of(path).collect::<Vec<_>>();
        assert_eq!(files(b"a;b"), [b"a", b"b"]);
        assert_eq!(files(b";"), [b"", b""]);
        assert!(files(b"").is_empty());
    }
}
