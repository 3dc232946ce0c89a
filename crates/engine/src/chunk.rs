//! Chunks: code on its way into the VM.

use std::borrow::Cow;
use std::panic::Location;

use perilune_vm::load::{LoadMode, is_incomplete};

use crate::error::{Error, Result, is_memory_error};
use crate::function::Function;
use crate::lua::Lua;
use crate::raw::{Handle, Raw};
use crate::table::Table;
use crate::{FromLuaMulti, IntoLuaMulti};

/// Which forms of a chunk are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChunkMode {
    /// Source. The default: binary chunks are checked, but a host should know where they come from.
    #[default]
    Text,
    /// The binary form that [`Function::dump`] gives.
    Binary,
    /// Both.
    Both,
}

/// What can be loaded as a chunk.
pub trait AsChunk<'a> {
    /// The code.
    fn source(self) -> Cow<'a, [u8]>;
}

macro_rules! chunks {
    ($($type:ty: $this:ident => $source:expr;)*) => {$(
        impl<'a> AsChunk<'a> for $type {
            fn source(self) -> Cow<'a, [u8]> {
                let $this = self;
                $source
            }
        }
    )*};
}
chunks! {
    &'a str: s => Cow::Borrowed(s.as_bytes());
    &'a String: s => Cow::Borrowed(s.as_bytes());
    String: s => Cow::Owned(s.into_bytes());
    &'a [u8]: s => Cow::Borrowed(s);
    &'a Vec<u8>: s => Cow::Borrowed(s);
    Vec<u8>: s => Cow::Owned(s);
}

/// A chunk of Lua code that can be run, made by [`Lua::load`].
///
/// ```
/// use perilune::{Error, Lua};
///
/// let lua = Lua::new();
/// lua.load("x = 6").exec()?;
/// assert_eq!(lua.load("x * 7").eval::<i64>()?, 42);
///
/// let sandbox = lua.create_table()?;
/// lua.load("y = 1").set_environment(sandbox.clone()).exec()?;
/// assert_eq!(sandbox.get::<i64>("y")?, 1);
///
/// let error = lua.load("x = = 2").set_name("=config").exec().unwrap_err();
/// assert_eq!(error.to_string(), "config:1: unexpected symbol near '='");
/// # Ok::<(), Error>(())
/// ```
#[must_use = "a chunk does nothing until it is run"]
pub struct Chunk<'a> {
    lua: Lua,
    source: Cow<'a, [u8]>,
    name: String,
    environment: Option<Table>,
    mode: ChunkMode,
}

impl<'a> Chunk<'a> {
    pub(crate) fn new(lua: &Lua, chunk: impl AsChunk<'a>, caller: &Location<'_>) -> Chunk<'a> {
        Chunk {
            lua: lua.clone(),
            source: chunk.source(),
            name: format!("@{}:{}", caller.file(), caller.line()),
            environment: None,
            mode: ChunkMode::default(),
        }
    }

    /// Names it: `@file` for a file, `=name` for a name that messages show as it is, anything else for the text itself.
    pub fn set_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives it a table of globals of its own.
    pub fn set_environment(mut self, environment: Table) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Says which forms are accepted.
    pub fn set_mode(mut self, mode: ChunkMode) -> Self {
        self.mode = mode;
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// [`Error::SyntaxError`], or what else [`Chunk::into_function`] gives, if it cannot be compiled; then what the
    /// code ends with, as in [`Function::call`].
    pub fn exec(self) -> Result<()> {
        self.call(())
    }

    /// Evaluates it as an expression, or, if it is none, runs it for what it returns.
    ///
    /// # Errors
    /// [`Error::SyntaxError`], or what else [`Chunk::into_function`] gives, if it cannot be compiled; then as
    /// [`Function::call`].
    pub fn eval<R: FromLuaMulti>(self) -> Result<R> {
        if self.is_text() {
            let mut expression = b"return ".to_vec();
            expression.extend_from_slice(&self.source);
            return match self.compile(&expression) {
                Ok(f) => f.call(()),
                Err(as_expression @ Error::SyntaxError { .. }) => match (as_expression, self.compile(&self.source)) {
                    (_, Ok(f)) => f.call(()),
                    // The beginning of an expression is better than a statement that is none.
                    (e @ Error::SyntaxError { incomplete_input: true, .. }, Err(_)) => Err(e),
                    (_, Err(e)) => Err(e),
                },
                Err(e) => Err(e),
            };
        }
        self.call(())
    }

    /// Runs it with arguments, which it has as `...`.
    ///
    /// # Errors
    /// [`Error::SyntaxError`], or what else [`Chunk::into_function`] gives, if it cannot be compiled; then as
    /// [`Function::call`].
    pub fn call<R: FromLuaMulti>(self, args: impl IntoLuaMulti) -> Result<R> {
        self.into_function()?.call(args)
    }

    /// Compiles it.
    ///
    /// # Errors
    /// [`Error::SyntaxError`] if it is no Lua program or of a form that is not accepted, or if time is up or an
    /// interrupt comes meanwhile. [`Error::ForeignValue`] if its environment is of another VM. [`Error::MemoryError`]
    /// at the limit of memory; if the collector runs, what [`Lua::gc_collect`] gives.
    pub fn into_function(self) -> Result<Function> {
        self.compile(&self.source)
    }

    fn is_text(&self) -> bool {
        self.source.first() != Some(&BINARY_MARK)
    }

    fn compile(&self, source: &[u8]) -> Result<Function> {
        let lua = &self.lua;
        lua.safepoint()?;
        let environment = self.environment.as_ref().map(|t| t.0.raw_in(lua)).transpose()?;
        let mode = match self.mode {
            ChunkMode::Text => LoadMode::Text,
            ChunkMode::Binary => LoadMode::Binary,
            ChunkMode::Both => LoadMode::Both,
        };
        match lua.inner.with(|vm| vm.load(source, self.name.as_bytes(), mode, environment)) {
            Ok(f) => Ok(Function(Handle::new(lua, f))),
            // No message of the compiler is without the name of the chunk.
            Err(message) if is_memory_error(message) => Err(Error::MemoryError),
            Err(message) => Err(syntax_error(message)),
        }
    }
}

/// First byte of a binary chunk.
const BINARY_MARK: u8 = 0x1b;

fn syntax_error(message: Raw) -> Error {
    let message = message.as_str().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let incomplete_input = is_incomplete(message.as_bytes());
    Error::SyntaxError { message, incomplete_input }
}
