//! The prototype: what the compiler makes of one function, plain data without pointers into a heap.
//!
//! The VM turns a tree of these into heap objects when a chunk is loaded; the dump format and the verifier work on this form.

use crate::ops::Instr;

/// A constant of a prototype.
#[derive(Clone, Debug, PartialEq)]
pub enum Const {
    /// `nil`
    Nil,
    /// `true` or `false`
    Bool(bool),
    /// an integer
    Int(i64),
    /// a float
    Float(f64),
    /// a string, any bytes
    Str(Box<[u8]>),
}

/// The attribute of a variable, which an upvalue keeps so that assignments to it can be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum VarKind {
    /// an ordinary variable
    Regular,
    /// `<const>`
    Const,
    /// `<close>`
    ToBeClosed,
}

/// The name of the variable that globals are fields of.
pub const ENV: &[u8] = b"_ENV";

/// The name of the first upvalue of every function where globals belong to functions. No source can name it.
pub const FUNCTION_ENV: &[u8] = b"(environment)";

/// Where a closure finds one of its upvalues when it is created.
#[derive(Clone, Debug, PartialEq)]
pub struct UpvalDesc {
    /// The variable's name; empty when debug information was stripped.
    pub name: Box<[u8]>,
    /// A register of the enclosing function, or one of its upvalues?
    pub in_stack: bool,
    /// Index of that register or upvalue.
    pub index: u8,
    /// The variable's attribute.
    pub kind: VarKind,
    /// Whether a function may assign to the variable through an upvalue. Loading finds out where that is not so: see
    /// [`find_assigned`](crate::assigned::find_assigned).
    pub is_assigned: bool,
}

/// A local variable's name and life, in instruction indices. The n-th variable alive at an instruction lives in register n.
#[derive(Clone, Debug, PartialEq)]
pub struct LocVar {
    /// The name.
    pub name: Box<[u8]>,
    /// First instruction where it is alive.
    pub start: u32,
    /// First instruction where it is dead.
    pub end: u32,
}

/// A compiled function.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Proto {
    /// Name of the chunk as given to `load` (with its `=` or `@`); empty for that of the enclosing function. It can be as
    /// long as the chunk, which may consist of very many functions.
    pub source: Box<[u8]>,
    /// Line of the `function` keyword; 0 for a main chunk.
    pub line_defined: u32,
    /// Line of the closing `end`; 0 for a main chunk.
    pub last_line: u32,
    /// Fixed parameters.
    pub num_params: u8,
    /// Whether the function takes further arguments.
    pub is_vararg: bool,
    /// Registers it needs (at least 2, at most 255).
    pub max_stack: u8,
    /// The instructions.
    pub code: Vec<Instr>,
    /// The source line of each instruction; empty when stripped.
    pub lines: Vec<u32>,
    /// The constants.
    pub consts: Vec<Const>,
    /// The key of each inline cache: an index into `consts`, always of a string.
    pub caches: Vec<u32>,
    /// The keys of each record template: indices into `consts`, distinct strings.
    pub templates: Vec<Box<[u32]>>,
    /// The functions defined inside this one.
    pub protos: Vec<Proto>,
    /// The upvalues.
    pub upvals: Vec<UpvalDesc>,
    /// The local variables in the order of their registers' activation; empty when stripped.
    pub locals: Vec<LocVar>,
}
