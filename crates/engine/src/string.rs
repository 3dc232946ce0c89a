//! Lua strings.

use std::fmt;

use crate::error::{Error, Result};
use crate::raw::Handle;

/// A Lua string: bytes, which are text by convention only.
///
/// ```
/// let lua = perilune::Lua::new();
/// let s = lua.create_string("höhe")?;
/// assert_eq!(s.as_bytes().len(), 5);
/// assert_eq!(s.to_str()?, "höhe");
/// assert_eq!(s, "höhe");
/// # Ok::<(), perilune::Error>(())
/// ```
#[derive(Clone)]
pub struct LuaString(pub(crate) Handle);

impl LuaString {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// The text, if it is UTF-8.
    ///
    /// # Errors
    /// [`Error::FromLuaConversionError`] if it is not UTF-8.
    pub fn to_str(&self) -> Result<&str> {
        std::str::from_utf8(self.as_bytes()).map_err(|e| Error::from_lua("string", "&str", Some(e.to_string())))
    }

    /// The text, with replacement characters where it is not UTF-8.
    pub fn to_string_lossy(&self) -> String {
        String::from_utf8_lossy(self.as_bytes()).into_owned()
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

/// Equality by content, also of strings of different VMs.
impl PartialEq for LuaString {
    fn eq(&self, other: &LuaString) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for LuaString {}

impl PartialEq<str> for LuaString {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for LuaString {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<String> for LuaString {
    fn eq(&self, other: &String) -> bool {
        self == other.as_str()
    }
}

impl PartialEq<LuaString> for str {
    fn eq(&self, other: &LuaString) -> bool {
        other == self
    }
}

impl PartialEq<LuaString> for &str {
    fn eq(&self, other: &LuaString) -> bool {
        other == *self
    }
}

impl PartialEq<LuaString> for String {
    fn eq(&self, other: &LuaString) -> bool {
        other == self.as_str()
    }
}

impl PartialEq<[u8]> for LuaString {
    fn eq(&self, other: &[u8]) -> bool {
        self.as_bytes() == other
    }
}

impl std::hash::Hash for LuaString {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl AsRef<[u8]> for LuaString {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for LuaString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LuaString({:?})", self.to_string_lossy())
    }
}
