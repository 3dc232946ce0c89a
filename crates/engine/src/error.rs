//! What can go wrong, and how errors cross the border between Lua and Rust.
//!
//! | from | what it was | what it becomes |
//! |---|---|---|
//! | Lua | a string, or any value but an [`Error`] | [`Error::RuntimeError`], with the traceback behind the message |
//! | Lua | an [`Error`] that a Rust function had returned | [`Error::CallbackError`], with the same cause |
//! | Lua | no memory, a limit, `os.exit` | [`Error::MemoryError`], [`Error::LimitReached`], [`Error::Exit`] |
//! | Rust | [`Error::LimitReached`], [`Error::Exit`] | what it was: no script can catch it |
//! | Rust | [`Error::MemoryError`] | Lua's own error for that |
//! | Rust | any other [`Error`] | a userdata with the error inside; `tostring` gives its message |

use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use perilune_vm::Vm;
use perilune_vm::host_call::VmError;
use perilune_vm::limits::Violation;
use perilune_vm::native::{Intrinsic, NativeResult, Raised};

use crate::lua::Lua;
use crate::raw::{Inner, Raw, copy_of};

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something failed.
///
/// ```
/// use perilune::{Error, Lua};
///
/// let lua = Lua::new();
/// let fails = lua.create_function(|_, ()| -> perilune::Result<()> { Err(Error::runtime("no fuel on board")) })?;
/// lua.globals().set("launch", fails)?;
///
/// // A script can catch it,
/// let caught: String = lua.load("local ok, e = pcall(launch); return tostring(e)").eval()?;
/// assert_eq!(caught, "no fuel on board");
///
/// // and the host gets it back with the traceback of the script.
/// match lua.load("launch()").exec() {
///     Err(Error::CallbackError { cause, .. }) => assert_eq!(cause.to_string(), "no fuel on board"),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// A chunk is not a Lua program, or of a form that is not accepted. Time that is up while it is compiled, and an
    /// interrupt then, end the compilation as such an error, too.
    SyntaxError {
        /// What the compiler says.
        message: String,
        /// Whether more text might make it one: a prompt should ask for another line.
        incomplete_input: bool,
    },
    /// Lua code raised an error, or a Rust function made one with [`Error::runtime`]. When it comes from Lua, the message
    /// is followed by a traceback. An error that is a table is only described here; `pcall` in Lua returns it as it is.
    RuntimeError(String),
    /// The limit of memory is reached by what is alive.
    MemoryError,
    /// The script has spent what it was allowed. No script can catch it.
    LimitReached(Violation),
    /// The script has called `os.exit`. No script can catch it; what an exit is, the host decides.
    Exit {
        /// The exit code.
        code: i32,
        /// Whether the script wants the VM to be closed first.
        close: bool,
    },
    /// A Rust function that Lua called returned an error, and no script caught it.
    CallbackError {
        /// Where Lua was.
        traceback: String,
        /// What the function returned.
        cause: Arc<Error>,
    },
    /// An error of another library, made with [`Error::external`] or by `?` through [`ExternalResult`].
    ExternalError(Arc<dyn StdError + Send + Sync>),
    /// An error with a message in front; see [`ErrorContext`].
    WithContext {
        /// The message.
        context: String,
        /// The error.
        cause: Arc<Error>,
    },
    /// A value of Rust has no counterpart in Lua: an integer beyond 64 bits with a sign, for example.
    ToLuaConversionError {
        /// The type in Rust.
        from: &'static str,
        /// The type in Lua.
        to: &'static str,
        /// Why.
        message: Option<String>,
    },
    /// A value of Lua is not what was asked for: a string where a table was expected, or an integer out of range.
    FromLuaConversionError {
        /// The type in Lua.
        from: &'static str,
        /// The type in Rust.
        to: String,
        /// Why.
        message: Option<String>,
    },
    /// A Rust function was called with an argument that cannot be converted.
    BadArgument {
        /// The function, where it has a name: a method of a userdata.
        to: Option<String>,
        /// The position, from 1; a method's `self` counts.
        pos: usize,
        /// The argument's name: `self`.
        name: Option<String>,
        /// What is wrong with it.
        cause: Arc<Error>,
    },
    /// A userdata holds a value of another type.
    UserDataTypeMismatch,
    /// A userdata's value was taken out, or was lent for a scope that has ended.
    UserDataDestructed,
    /// A userdata is borrowed exclusively: one of its mutable methods is running.
    UserDataBorrowError,
    /// A userdata is lent by a [`Scope`](crate::Scope): a borrow of it that the host could keep would outlive its value.
    UserDataLent,
    /// A userdata is borrowed: one of its methods is running, or a guard is held. Or it is lent, and may not be changed,
    /// or not be taken out.
    UserDataBorrowMutError,
    /// A metamethod that host types may not have, nor ask for: `__gc` (they have `Drop`), `__metatable` or `__mode`.
    MetaMethodRestricted(String),
    /// A value of one VM was used in another.
    ForeignValue,
    /// The coroutine is dead, or it is running, or waits for one that it has resumed.
    CoroutineUnresumable,
    /// A function of a [`Scope`](crate::Scope) was called after the scope had ended.
    CallbackDestructed,
    /// A function made by `create_function_mut` was called while it ran.
    RecursiveMutCallback,
    /// A registry key was used with another VM.
    MismatchedRegistryKey,
}

const _: fn() = || {
    fn is_sendable<T: Send + Sync + 'static>() {}
    is_sendable::<Error>();
};

impl Error {
    /// An error with a message, as a script would raise it with `error`.
    pub fn runtime(message: impl fmt::Display) -> Error {
        Error::RuntimeError(message.to_string())
    }

    /// An error of another library. An [`Error`] inside the box is taken out of it.
    pub fn external(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        let error = error.into();
        match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(error) => Error::ExternalError(error.into()),
        }
    }

    pub(crate) fn from_lua(from: &'static str, to: impl Into<String>, message: Option<String>) -> Error {
        Error::FromLuaConversionError { from, to: to.into(), message }
    }

    pub(crate) fn bad_argument(to: Option<&str>, pos: usize, name: Option<&str>, cause: Error) -> Error {
        Error::BadArgument { to: to.map(str::to_owned), pos, name: name.map(str::to_owned), cause: as_cause(cause) }
    }

    /// The cause of it all: looks through [`Error::CallbackError`], [`Error::WithContext`] and [`Error::BadArgument`].
    pub fn root_cause(&self) -> &Error {
        let mut error = self;
        while let Some(cause) = error.cause() {
            error = cause;
        }
        error
    }

    /// The error that this one was made from.
    fn cause(&self) -> Option<&Error> {
        match self {
            Error::CallbackError { cause, .. }
            | Error::WithContext { cause, .. }
            | Error::BadArgument { cause, .. } => Some(cause),
            _ => None,
        }
    }

    /// How many errors lie in one another, those of other libraries included that tell their sources; not counted further
    /// than `most`.
    fn depth(&self, most: usize) -> usize {
        let mut depth = 0;
        let mut next: Option<&(dyn StdError + 'static)> = Some(self);
        while depth < most
            && let Some(error) = next
        {
            depth += 1;
            next = match error.downcast_ref::<Error>() {
                Some(Error::ExternalError(e)) => Some(&**e),
                Some(error) => error.cause().map(|cause| cause as _),
                None => error.source(),
            };
        }
        depth
    }

    /// About how many bytes it holds.
    fn size(&self) -> usize {
        let mut size = 0;
        let mut next = Some(self);
        while let Some(error) = next {
            size += size_of::<Error>();
            size += match error {
                Error::SyntaxError { message, .. } | Error::RuntimeError(message) => message.len(),
                Error::CallbackError { traceback, .. } => traceback.len(),
                Error::WithContext { context, .. } => context.len(),
                Error::ToLuaConversionError { message, .. } => message.as_ref().map_or(0, String::len),
                Error::FromLuaConversionError { to, message, .. } => to.len() + message.as_ref().map_or(0, String::len),
                Error::BadArgument { to, name, .. } => {
                    to.as_ref().map_or(0, String::len) + name.as_ref().map_or(0, String::len)
                }
                Error::MetaMethodRestricted(name) => name.len(),
                // What it holds only itself knows, but it is rarely less than it says.
                Error::ExternalError(e) => size_of_val(&**e) + text_size(e),
                _ => 0,
            };
            next = error.cause();
        }
        size
    }

    /// The error of another library behind it all, if it is an `E`.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        match self.root_cause() {
            Error::ExternalError(e) => e.downcast_ref(),
            _ => None,
        }
    }
}

/// How many errors may lie in one another. Dropping and showing them goes as deep as they lie, and a script can make a
/// function of the host put its own error into another one as often as it likes.
const MAX_DEPTH: usize = 100;

/// An error as the cause of another. Of one that lies too deep, what is between it and its root is left out.
fn as_cause(error: Error) -> Arc<Error> {
    if error.depth(MAX_DEPTH) < MAX_DEPTH {
        return Arc::new(error);
    }
    let root = error.root_cause();
    let root = if root.depth(MAX_DEPTH) < MAX_DEPTH / 2 {
        root.clone()
    } else {
        // An error of another library hides the depth, so that nothing in it can be left out.
        Error::RuntimeError(shortened(&root.to_string()))
    };
    Arc::new(Error::WithContext { context: "(causes left out)".to_owned(), cause: Arc::new(root) })
}

/// The beginning of a text.
fn shortened(text: &str) -> String {
    const ENOUGH: usize = 4 << 10;
    let end = text.char_indices().map(|(at, _)| at).take_while(|&at| at <= ENOUGH).last().unwrap_or(0);
    let (start, rest) = text.split_at(if text.len() <= ENOUGH { text.len() } else { end });
    format!("{start}{}", if rest.is_empty() { "" } else { "..." })
}

/// The length of the text of an error, which anybody's code may make.
fn text_size(error: &(dyn StdError + Send + Sync)) -> usize {
    struct Count(usize);
    impl fmt::Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut count = Count(0);
    // One that cannot say anything is not refused for that.
    let _ = catch_unwind(AssertUnwindSafe(|| fmt::write(&mut count, format_args!("{error}"))));
    count.0
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::SyntaxError { message, .. } => f.write_str(message),
            Error::RuntimeError(message) => f.write_str(message),
            Error::MemoryError => f.write_str("not enough memory"),
            Error::LimitReached(violation) => violation.fmt(f),
            Error::Exit { code, .. } => write!(f, "exit with code {code} requested"),
            Error::CallbackError { traceback, cause } if traceback.is_empty() => cause.fmt(f),
            Error::CallbackError { traceback, cause } => write!(f, "{cause}\n{traceback}"),
            Error::ExternalError(e) => e.fmt(f),
            Error::WithContext { context, cause } => write!(f, "{context}: {cause}"),
            Error::ToLuaConversionError { from, to, message } => {
                write!(f, "cannot convert {from} to Lua {to}")?;
                message.as_ref().map_or(Ok(()), |m| write!(f, " ({m})"))
            }
            Error::FromLuaConversionError { from, to, message } => {
                write!(f, "cannot convert Lua {from} to {to}")?;
                message.as_ref().map_or(Ok(()), |m| write!(f, " ({m})"))
            }
            Error::BadArgument { to, pos, name, cause } => {
                match name {
                    Some(name) => write!(f, "bad argument '{name}'")?,
                    None => write!(f, "bad argument #{pos}")?,
                }
                to.as_ref().map_or(Ok(()), |to| write!(f, " to '{to}'"))?;
                write!(f, ": {cause}")
            }
            Error::UserDataTypeMismatch => f.write_str("userdata of another type"),
            Error::UserDataDestructed => f.write_str("userdata has been destructed"),
            Error::UserDataBorrowError => f.write_str("userdata is mutably borrowed"),
            Error::UserDataLent => {
                f.write_str("userdata is lent for a scope, it can be borrowed by borrow_scoped only")
            }
            Error::UserDataBorrowMutError => f.write_str("userdata is borrowed"),
            Error::MetaMethodRestricted(name) => write!(f, "metamethod {name} is restricted"),
            Error::ForeignValue => f.write_str("a value of one Lua VM was used in another"),
            Error::CoroutineUnresumable => f.write_str("coroutine is not resumable"),
            Error::CallbackDestructed => f.write_str("a function was called after its scope had ended"),
            Error::RecursiveMutCallback => f.write_str("mutable function called while it is running"),
            Error::MismatchedRegistryKey => f.write_str("registry key of another Lua VM"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            // Their texts have the causes' in them already.
            Error::CallbackError { cause, .. }
            | Error::WithContext { cause, .. }
            | Error::BadArgument { cause, .. } => cause.source(),
            Error::ExternalError(e) => e.source(),
            _ => None,
        }
    }
}

/// Turns an error of another library into [`Error`].
pub trait ExternalError {
    /// The error as [`Error::external`].
    fn into_lua_err(self) -> Error;
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> ExternalError for E {
    fn into_lua_err(self) -> Error {
        Error::external(self)
    }
}

/// Turns errors of other libraries into [`Error`].
///
/// ```
/// use perilune::{ExternalResult, Lua};
///
/// let lua = Lua::new();
/// let parse = lua.create_function(|_, text: String| text.parse::<f64>().into_lua_err())?;
/// assert_eq!(parse.call::<f64>("0.5")?, 0.5);
/// let error = parse.call::<f64>("half").unwrap_err();
/// assert!(error.downcast_ref::<std::num::ParseFloatError>().is_some());
/// # Ok::<(), perilune::Error>(())
/// ```
pub trait ExternalResult<T> {
    /// The result with its error as [`Error::external`].
    ///
    /// # Errors
    /// [`Error::ExternalError`] if the result is an error; an [`Error`] in it comes back as it is.
    fn into_lua_err(self) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> ExternalResult<T> for Result<T, E> {
    fn into_lua_err(self) -> Result<T> {
        self.map_err(Error::external)
    }
}

/// Puts a message in front of errors.
pub trait ErrorContext: Sized {
    /// With a message.
    #[must_use]
    fn context(self, context: impl fmt::Display) -> Self;

    /// With a message that is made when there is an error.
    #[must_use]
    fn with_context<C: fmt::Display>(self, context: impl FnOnce(&Error) -> C) -> Self;
}

impl ErrorContext for Error {
    fn context(self, context: impl fmt::Display) -> Error {
        match self {
            // These stay what they are, so that they stay uncatchable.
            Error::LimitReached(_) | Error::Exit { .. } => self,
            _ => Error::WithContext { context: context.to_string(), cause: as_cause(self) },
        }
    }

    fn with_context<C: fmt::Display>(self, context: impl FnOnce(&Error) -> C) -> Error {
        let context = context(&self);
        self.context(context)
    }
}

impl<T> ErrorContext for Result<T> {
    fn context(self, context: impl fmt::Display) -> Result<T> {
        self.map_err(|e| e.context(context))
    }

    fn with_context<C: fmt::Display>(self, context: impl FnOnce(&Error) -> C) -> Result<T> {
        self.map_err(|e| e.with_context(context))
    }
}

/// An error as the host value of a userdata.
#[derive(Clone)]
pub(crate) struct WrappedError(pub(crate) Error);

/// The text of the VM's own error for exhausted memory.
const NO_MEMORY: &[u8] = b"not enough memory";

/// Raises an error of Rust in Lua.
#[cold]
#[inline(never)]
pub(crate) fn raise(vm: &mut Vm, inner: &Inner, error: Error) -> Raised {
    match error {
        Error::LimitReached(violation) => vm.abort_with(violation),
        Error::Exit { code, close } => vm.request_exit(code, close),
        Error::MemoryError => vm.memory_error(),
        error => match wrap(vm, inner, error) {
            Ok(v) => vm.throw(v),
            Err(raised) => raised,
        },
    }
}

/// Whether a Lua value is the VM's own error for exhausted memory.
pub(crate) fn is_memory_error(v: Raw) -> bool {
    v.as_str().is_some_and(|s| s.as_bytes() == NO_MEMORY)
}

/// The Lua value for an error.
pub(crate) fn wrap(vm: &mut Vm, inner: &Inner, error: Error) -> Result<Raw, Raised> {
    let metatable = match inner.constants.error_metatable.get() {
        Some(place) => vm.pinned(place),
        None => {
            let t = vm.table(0, 4);
            let display = vm.native(display, Intrinsic::None, &[]);
            vm.set_field(t, "__tostring", display);
            let name = vm.string(b"error");
            vm.set_field(t, "__name", name);
            vm.set_field(t, "__metatable", Raw::FALSE);
            let place = vm.pin(Raw::table(t));
            inner.constants.error_metatable.set(Some(place));
            Raw::table(t)
        }
    };
    // What errors hold lies outside of the VM's memory, but counts with the userdata.
    let held = error.size();
    vm.safepoint()?;
    vm.reserve(held)?;
    let Ok(u) = vm.heap_mut().new_userdata(Box::new(WrappedError(error)), 0, held) else {
        return Err(vm.memory_error());
    };
    let u = Raw::userdata(u);
    vm.set_metatable(u, metatable.as_table());
    Ok(u)
}

/// The error in a Lua value, if there is one.
pub(crate) fn unwrap(v: Raw) -> Option<Error> {
    copy_of::<WrappedError>(v).map(|e| e.0)
}

/// Whether there is an error in a Lua value.
pub(crate) fn is_error(v: Raw) -> bool {
    v.as_userdata().is_some_and(|u| u.is::<WrappedError>())
}

/// `__tostring` of errors. The text may be made by anybody's code.
fn display(vm: &mut Vm) -> NativeResult {
    let error = unwrap(vm.arg(1));
    let text = catch_unwind(AssertUnwindSafe(|| match error {
        Some(e) => e.to_string(),
        None => "not an error".to_owned(),
    }));
    let text = text.unwrap_or_else(|_| "an error whose message cannot be made".to_owned());
    let v = vm.string(text.as_bytes());
    vm.ret(v)
}

/// A traceback as errors have it: nothing if there is nothing in it but its heading.
pub(crate) fn traceback_text(traceback: &[u8]) -> String {
    let text = String::from_utf8_lossy(traceback);
    if text.trim_end() == "stack traceback:" { String::new() } else { text.into_owned() }
}

impl Lua {
    /// Runs an operation of the VM and makes its error one of Rust.
    #[inline]
    pub(crate) fn protect<R>(&self, operation: impl FnOnce(&mut Vm) -> Result<R, Raised>) -> Result<R> {
        match self.inner.with(|vm| vm.catch(operation)) {
            Ok(r) => {
                self.inner.resume_panic();
                Ok(r)
            }
            Err(e) => Err(self.failure(e)),
        }
    }

    /// What made a call from Rust fail.
    #[cold]
    #[inline(never)]
    pub(crate) fn failure(&self, error: VmError) -> Error {
        self.inner.resume_panic();
        match error {
            VmError::Limit(violation) => Error::LimitReached(violation),
            VmError::Exit { code, close } => Error::Exit { code, close },
            VmError::Lua { value, traceback } => {
                self.error_from(value, traceback_text(traceback.as_deref().unwrap_or_default()))
            }
        }
    }

    /// The error for an error value of Lua.
    pub(crate) fn error_from(&self, value: Raw, traceback: String) -> Error {
        if let Some(error) = unwrap(value) {
            return match error {
                // It has been through Lua before, its traceback is the one that tells most.
                Error::CallbackError { .. } => error,
                error => Error::CallbackError { traceback, cause: as_cause(error) },
            };
        }
        let message = match value.as_str() {
            Some(_) if is_memory_error(value) => return Error::MemoryError,
            Some(s) => s.to_string_lossy().into_owned(),
            None => self.error_text(value),
        };
        let separator = if traceback.is_empty() { "" } else { "\n" };
        Error::RuntimeError(format!("{message}{separator}{traceback}"))
    }

    /// The text for an error value that is no string.
    fn error_text(&self, value: Raw) -> String {
        let text = self.inner.with(|vm| {
            let has_text = !vm.metafield(value, "__tostring").is_nil();
            if !has_text && !value.is_number() {
                return None;
            }
            let text = vm.catch(|vm| vm.to_display(value)).ok()?;
            Some(text.to_string_lossy().into_owned())
        });
        self.inner.resume_panic();
        text.unwrap_or_else(|| format!("(error object is a {} value)", value.type_name()))
    }
}
