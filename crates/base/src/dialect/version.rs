//! The versions of Lua that a VM can be asked for.

use std::fmt;
use std::str::FromStr;

/// A version of the Lua language. Ordered by age.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum LuaVersion {
    /// Lua 5.1
    Lua51 = 51,
    /// Lua 5.2
    Lua52 = 52,
    /// Lua 5.3
    Lua53 = 53,
    /// Lua 5.4
    Lua54 = 54,
    /// Lua 5.5
    Lua55 = 55,
}

impl LuaVersion {
    /// The version used when none is asked for.
    pub const DEFAULT: LuaVersion = LuaVersion::Lua54;

    /// The newest version.
    pub const LATEST: LuaVersion = LuaVersion::Lua55;

    /// All versions, oldest first.
    pub const ALL: [LuaVersion; 5] =
        [LuaVersion::Lua51, LuaVersion::Lua52, LuaVersion::Lua53, LuaVersion::Lua54, LuaVersion::Lua55];

    /// The version as the two digits of its number: 54 for Lua 5.4.
    #[inline]
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// The place of the version among [`LuaVersion::ALL`].
    pub(super) const fn index(self) -> usize {
        self as usize - LuaVersion::Lua51 as usize
    }

    /// The number of the version, as in `"5.4"`.
    #[must_use]
    pub const fn number(self) -> &'static str {
        match self {
            LuaVersion::Lua51 => "5.1",
            LuaVersion::Lua52 => "5.2",
            LuaVersion::Lua53 => "5.3",
            LuaVersion::Lua54 => "5.4",
            LuaVersion::Lua55 => "5.5",
        }
    }
}

impl Default for LuaVersion {
    fn default() -> Self {
        LuaVersion::DEFAULT
    }
}

impl fmt::Display for LuaVersion {
    /// As in the global `_VERSION`: `Lua 5.4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lua {}", self.number())
    }
}

/// A text that names no version of Lua.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownVersion(pub String);

impl fmt::Display for UnknownVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown Lua version '{}'", self.0)
    }
}

impl std::error::Error for UnknownVersion {}

impl FromStr for LuaVersion {
    type Err = UnknownVersion;

    /// Accepts `5.4`, `54`, `lua5.4`, `lua54` (in any case), and `latest`.
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        let lower = text.trim().to_ascii_lowercase();
        if lower == "latest" {
            return Ok(LuaVersion::LATEST);
        }
        let number = lower.strip_prefix("lua").unwrap_or(&lower).trim_start();
        LuaVersion::ALL
            .into_iter()
            .find(|version| {
                let digits = version.number();
                number == digits || number == digits.replace('.', "")
            })
            .ok_or_else(|| UnknownVersion(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_parse_from_their_usual_spellings() {
        for text in ["5.4", "54", "lua5.4", "Lua 5.4", "lua54"] {
            assert_eq!(text.parse(), Ok(LuaVersion::Lua54), "{text}");
        }
        assert_eq!("latest".parse(), Ok(LuaVersion::Lua55));
        assert_eq!("5.1".parse(), Ok(LuaVersion::Lua51));
        for text in ["", "5", "5.6", "lua", "5.45"] {
            assert!(text.parse::<LuaVersion>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_version_prints_as_in_the_version_global() {
        assert_eq!(LuaVersion::DEFAULT.to_string(), "Lua 5.4");
    }
}
