//! The package library (§6.3 of the manual).
//!
//! There are no dynamic libraries here: their searchers find files, and then say that they cannot be loaded.

mod module;

use perilune_base::dialect::Dialect;
use perilune_base::dialect::LuaVersion::Lua52;
use perilune_base::dialect::library::CurrentDirectory;
use perilune_runtime::object::TableRef;
use perilune_runtime::value::{Tag, Value};
use perilune_vm::host::OpenMode;
use perilune_vm::native::{Intrinsic, NativeFn, NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::name_argument;
use crate::row::{Life, Row, alias, row};

use crate::base::{load_file, with_handler};
use crate::string::search::find_bytes;

/// The functions of the library's table, except for the searchers. The global `require` is made by [`open`].
pub const ROWS: &[Row] = &[
    row("loadlib", loadlib),
    row("searchpath", searchpath).since(Lua52),
    row("seeall", module::seeall).until(Lua52).not_in_manual(&[Lua52]),
];

/// What stands among the basic functions.
const GLOBAL_ROWS: &[Row] = &[row("module", module::module).until(Lua52).not_in_manual(&[Lua52])];

/// The default searchers, in order. Their upvalue is the table `package`.
const SEARCHERS: [NativeFn; 4] = [search_preload, search_lua, search_native, search_native_root];

/// What stands in `package.loaded`, as light userdata, while a module is being loaded.
const SENTINEL: u64 = 0x10ad_10ad;

/// The field of the registry that holds `package.preload`.
const PRELOAD: &str = "_PRELOAD";

/// The field of the registry that makes [`open`] ignore environment variables when it is true.
pub const NO_ENVIRONMENT: &str = "LUA_NOENV";

/// Templates of Lua files; `V` stands for the version's number.
const INSTALLED: &str = "/usr/local/share/lua/V/?.lua;/usr/local/share/lua/V/?/init.lua;\
/usr/local/lib/lua/V/?.lua;/usr/local/lib/lua/V/?/init.lua";

/// Templates of dynamic libraries.
const INSTALLED_NATIVE: &str = "/usr/local/lib/lua/V/?.so;/usr/local/lib/lua/V/loadall.so";

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
    vm.set_field(package, vm.dialect().searchers, Value::table(searchers));
    alias(vm, (package, "searchers"), (package, "loaders"), Life::until(Lua52).since(Lua52).not_in_manual(&[Lua52]));
    let [path, native_path] = default_paths(vm.dialect());
    for (field, variable, default) in [("path", "LUA_PATH", path), ("cpath", "LUA_CPATH", native_path)] {
        let path = path_from_environment(vm, variable, default.as_bytes());
        let path = vm.string(&path);
        vm.set_field(package, field, path);
    }
    let config = if vm.dialect().plain_searchers { CONFIG.trim_ascii_end() } else { CONFIG };
    let config = vm.string(config);
    vm.set_field(package, "config", config);
    for (field, table) in [("loaded", loaded(vm)), ("preload", preload(vm))] {
        vm.set_field(package, field, Value::table(table));
    }
    let globals = vm.globals();
    crate::row::register(vm, globals, GLOBAL_ROWS);
    let require = vm.native(require, Intrinsic::None, &[upvalue]);
    vm.set_field(globals, "require", require);
}

/// `package.loaded`: what `require` returns without looking for it. It is there whether or not the library is.
pub fn loaded(vm: &mut Vm) -> TableRef {
    crate::registry_table(vm, crate::LOADED)
}

/// `package.preload`: functions that make modules, as the library has it at first.
pub fn preload(vm: &mut Vm) -> TableRef {
    crate::registry_table(vm, PRELOAD)
}

/// The default paths for Lua files and for dynamic libraries.
fn default_paths(dialect: &Dialect) -> [String; 2] {
    let (mut lua, mut native) = match dialect.current_directory {
        CurrentDirectory::First => (format!("./?.lua;{INSTALLED}"), format!("./?.so;{INSTALLED_NATIVE}")),
        CurrentDirectory::Last => (format!("{INSTALLED};./?.lua"), format!("{INSTALLED_NATIVE};./?.so")),
        CurrentDirectory::LastWithInit => {
            (format!("{INSTALLED};./?.lua;./?/init.lua"), format!("{INSTALLED_NATIVE};./?.so"))
        }
    };
    for path in [&mut lua, &mut native] {
        *path = path.replace('V', dialect.version.number());
    }
    [lua, native]
}

/// The path in a variable, with the default path in place of its first `;;`; else the default path.
fn path_from_environment(vm: &mut Vm, variable: &str, default: &[u8]) -> Vec<u8> {
    let registry = vm.registry();
    if vm.get_field(registry, NO_ENVIRONMENT).is_truthy() {
        return default.to_vec();
    }
    let suffix = vm.dialect().variable_suffix;
    let host = vm.host();
    let of_version = suffix.and_then(|suffix| host.variable(format!("{variable}{suffix}").as_bytes()));
    let path = of_version.or_else(|| host.variable(variable.as_bytes()));
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
    let loaded = Value::table(loaded(vm));
    let module = vm.index(loaded, name)?;
    let sentinel = Value { payload: SENTINEL, tag: Tag::Light };
    if vm.dialect().plain_searchers && module.raw_equals(sentinel) {
        let name = name.as_str();
        let name = name.as_ref().map_or(&b""[..], |name| name.as_bytes());
        return Err(vm.error_bytes(&[b"loop or previous error loading module '", name, b"'"].concat()));
    }
    if module.is_truthy() {
        return vm.ret(module);
    }
    find_loader(vm)?;
    if vm.dialect().plain_searchers {
        vm.set_index(loaded, name, sentinel)?;
    }
    let loader = vm.arg(LOADER);
    let data = vm.arg(DATA);
    vm.push(loader);
    vm.push(name);
    let arguments = if vm.dialect().plain_searchers {
        1
    } else {
        vm.push(data);
        2
    };
    vm.call(arguments, 1)?;
    let module = vm.pop();
    if !module.is_nil() {
        vm.set_index(loaded, name, module)?;
    }
    let mut module = vm.index(loaded, name)?;
    if module.is_nil() || vm.dialect().plain_searchers && module.raw_equals(sentinel) {
        module = Value::TRUE;
        vm.set_index(loaded, name, module)?;
    }
    if !vm.dialect().loader_data {
        return vm.ret(module);
    }
    vm.push(module);
    let data = vm.arg(DATA);
    vm.push(data);
    Ok(2)
}

/// Asks the searchers for the module named by argument 1, and pushes a loader and its data.
fn find_loader(vm: &mut Vm) -> Result<(), Raised> {
    let package = vm.upvalue(1);
    let key = vm.string(vm.dialect().searchers.as_bytes());
    let searchers = vm.index(package, key)?;
    let Some(searchers) = searchers.as_table() else {
        return Err(vm.error(&format!("'package.{}' must be a table", vm.dialect().searchers)));
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
            if vm.dialect().loader_data {
                reasons.extend_from_slice(b"\n\t");
            }
            reasons.extend_from_slice(reason.as_bytes());
        }
    }
    let name = vm.check_str(1)?;
    let message = [b"module '", name.as_bytes(), b"' not found:", &reasons].concat();
    Err(vm.error_bytes(&message))
}

fn search_preload(vm: &mut Vm) -> NativeResult {
    let name = name_argument(vm, 1)?;
    let preload = if vm.dialect().plain_searchers {
        let package = vm.upvalue(1);
        let key = vm.string(b"preload");
        let preload = vm.index(package, key)?;
        if preload.as_table().is_none() {
            return Err(vm.error("'package.preload' must be a table"));
        }
        preload
    } else {
        Value::table(preload(vm))
    };
    let loader = vm.index(preload, Value::str(name))?;
    if loader.is_nil() {
        let message = [b"no field package.preload['", name.as_bytes(), b"']"].concat();
        return not_found(vm, &message);
    }
    if !vm.dialect().loader_data {
        return vm.ret(loader);
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
    let loaded = load_file(vm, Some(&file), None, None);
    match with_handler(vm, loaded)? {
        Ok(loader) => {
            vm.push(loader);
            if vm.dialect().plain_searchers {
                return Ok(1);
            }
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

/// Returns the reason of a searcher that found nothing; it says itself where it begins, unless `require` does.
fn not_found(vm: &mut Vm, reason: &[u8]) -> NativeResult {
    let start: &[u8] = if vm.dialect().loader_data { b"" } else { b"\n\t" };
    return_bytes(vm, &[start, reason].concat())
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

/// A file that was found, or the message that lists all that were looked for.
type Found = Result<Vec<u8>, Vec<u8>>;

/// Looks for a name in the path that a field of `package`, the upvalue, holds.
fn find_in_field(vm: &mut Vm, name: &[u8], field: &str) -> Result<Found, Raised> {
    let package = vm.upvalue(1);
    let key = vm.string(field.as_bytes());
    let path = vm.index(package, key)?;
    let Some(path) = vm.number_to_str(path) else {
        return Err(vm.error(&format!("'package.{field}' must be a string")));
    };
    // A text that was made of a number has no other place.
    vm.push(Value::str(path));
    find(vm, name, path.as_bytes(), b".", b"/")
}

/// The first file of a path that can be opened, else the message that lists all of them.
fn find(vm: &mut Vm, name: &[u8], path: &[u8], separator: &[u8], replacement: &[u8]) -> Result<Found, Raised> {
    /// Units of fuel for a file that is looked for.
    const UNITS_PER_FILE: u64 = 16;
    let name = replace(vm, name, separator, replacement)?;
    let path = replace(vm, path, b"?", &name)?;
    for file in files_of(&path) {
        vm.charge(UNITS_PER_FILE)?;
        if vm.host().open(file, OpenMode::READ).is_ok() {
            return Ok(Ok(file.to_vec()));
        }
    }
    if vm.dialect().loader_data {
        return Ok(Err([b"no file '", replace(vm, &path, b";", b"'\n\tno file '")?.as_slice(), b"'"].concat()));
    }
    // Each line is begun, and nothing is an empty file name.
    let lines = replace(vm, &path, b";", b"'\n\tno file '")?.len();
    vm.reserve_str(lines)?;
    Ok(Err(files_of(&path)
        .filter(|file| !file.is_empty())
        .flat_map(|file| [b"\n\tno file '", file, b"'"])
        .collect::<Vec<&[u8]>>()
        .concat()))
}

/// The templates of a path. An empty path has none.
fn files_of(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&b| b == b';').filter(|_| !path.is_empty())
}

/// A text with every occurrence of `from` replaced, if there is memory for that.
fn replace(vm: &mut Vm, text: &[u8], from: &[u8], to: &[u8]) -> Result<Vec<u8>, Raised> {
    /// Bytes written for a unit of fuel.
    const BYTES_PER_UNIT: usize = 64;
    let mut at = Vec::new();
    let mut rest = text;
    while !from.is_empty()
        && let Some(found) = find_bytes(vm, rest, from)?
    {
        at.push(found);
        rest = &rest[found + from.len()..];
        vm.charge((found / BYTES_PER_UNIT) as u64)?;
    }
    let longer = at.len().checked_mul(to.len()).and_then(|more| more.checked_add(text.len()));
    let total = longer.map_or(usize::MAX, |longer| longer - at.len() * from.len());
    vm.reserve_str(total)?;
    vm.charge((total / BYTES_PER_UNIT) as u64)?;
    let mut out = Vec::with_capacity(total);
    let mut rest = text;
    for found in at {
        out.extend_from_slice(&rest[..found]);
        out.extend_from_slice(to);
        rest = &rest[found + from.len()..];
    }
    out.extend_from_slice(rest);
    Ok(out)
}

fn searchpath(vm: &mut Vm) -> NativeResult {
    // The reference looks at the last argument first.
    let replacement = vm.opt_str(4)?;
    let separator = vm.opt_str(3)?;
    let path = name_argument(vm, 2)?;
    let name = name_argument(vm, 1)?;
    let separator = separator.as_ref().map_or(&b"."[..], |text| text.as_bytes());
    let replacement = replacement.as_ref().map_or(&b"/"[..], |text| text.as_bytes());
    match find(vm, name.as_bytes(), path.as_bytes(), separator, replacement)? {
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
    use perilune_vm::VmOptions;
    use perilune_vm::host::SystemHost;
    use perilune_vm::limits::Limits;

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
        let mut vm = Vm::new(VmOptions {
            dialect: Dialect::DEFAULT,
            host: Box::new(SystemHost::new()),
            limits: Limits::default(),
        });
        let mut check = |text: &[u8], from: &[u8], to: &[u8], expected: &[u8]| {
            assert!(replace(&mut vm, text, from, to).is_ok_and(|made| made == expected));
        };
        check(b"./?.lua;/?/?", b"?", b"a/b", b"./a/b.lua;/a/b/a/b");
        check(b"a.b", b"", b"/", b"a.b");
        check(b"a::b", b"::", b".", b"a.b");
        check(b"aaa", b"aa", b"", b"a");
    }

    #[test]
    fn paths_are_lists_between_semicolons() {
        let files = |path: &'static [u8]| files_of(path).collect::<Vec<_>>();
        assert_eq!(files(b"a;b"), [b"a", b"b"]);
        assert_eq!(files(b";"), [b"", b""]);
        assert!(files(b"").is_empty());
    }
}
