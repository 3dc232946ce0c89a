//! Hard limits of the language implementation, with the reference's values and its names.

/// Active local variables of one function (`MAXVARS`).
pub const MAX_LOCALS: usize = 200;

/// Upvalues of one closure (`MAXUPVAL`).
pub const MAX_UPVALUES: usize = 255;

/// Registers of one function (`MAXREGS`).
pub const MAX_REGISTERS: usize = 255;

/// Items of a record, a table that gets its shape and all of its properties at once.
pub const MAX_RECORD: usize = 64;

/// Nested host calls and syntactic levels (`LUAI_MAXCCALLS`).
pub const MAX_C_CALLS: u32 = 200;

/// Size of a printed chunk name, terminating zero included (`LUA_IDSIZE`).
pub const LUA_IDSIZE: usize = 60;

/// Longest source accepted, in bytes: positions in it are stored as `u32`, and each byte may become
/// several tree nodes.
pub const MAX_SOURCE: usize = (u32::MAX / 4) as usize;

/// Longest numeral that a string-to-number conversion looks at when it has to copy it
/// (`L_MAXLENNUM`).
pub const MAX_NUMERAL: usize = 200;
