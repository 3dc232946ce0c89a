//! The syntax tree of a chunk.
//!
//! All nodes live in the pools of one [`Chunk`]; nodes refer to each other by [`Id`] and [`Slice`],
//! so that neither dropping nor cloning a tree recurses. A node is always pushed after its children:
//! the id of an operand is smaller than the id of the expression around it.
//!
//! Depth: constructs that recurse in the parser (parentheses, blocks, function bodies, constructors,
//! arguments, right operands) are nested at most [`MAX_C_CALLS`](perilune_base::limits::MAX_C_CALLS)
//! deep. *Left* chains are not bounded: the left operand of [`ExprKind::Binop`], the object of
//! [`ExprKind::Index`] and [`ExprKind::MethodCall`], and the callee of [`ExprKind::Call`] may go on
//! for as long as the source does, and whoever walks the tree follows them with a loop. The right
//! operands of `..` and `^` and the operands of unary operators are bounded.
//!
//! The tree is purely syntactic: names are not resolved, constants are not folded.
//!
//! Lines are those that the reference's one-pass compiler would attach to its instructions. It stamps
//! an instruction with the line of the last token consumed when the instruction is emitted, which is
//! [`Expr::line`] for an expression that is put into a register as soon as it has been read, and with
//! an explicit line for calls, operators and loops, which is stored in the node.
//!
//! Positions (`end`) are byte offsets into the source. The reference reports some errors `near` the
//! token that follows a construct; [`SyntaxError::near`](crate::SyntaxError::near) finds that token
//! again from the offset.

use perilune_base::index::{Id, Pool, Slice};

/// A parsed chunk: pools of nodes, and the body of its main function.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The main function, a vararg function without parameters, defined at line 0.
    pub main: FuncBody,
    /// All expressions.
    pub exprs: Pool<Expr>,
    /// Runs of expressions: arguments, right-hand sides, assignment targets.
    pub expr_lists: Pool<ExprId>,
    /// All statements. Those of one block are consecutive.
    pub stats: Pool<Stat>,
    /// Function bodies other than the main one, inner functions before outer ones.
    pub functions: Pool<FuncBody>,
    /// Declared local variables: of `local`, of `for`, and parameters.
    pub bindings: Pool<Binding>,
    /// Fields of table constructors.
    pub fields: Pool<Field>,
    /// Arms of `if` statements.
    pub arms: Pool<Arm>,
    /// Identifiers and string constants, each once.
    pub names: Vec<Box<[u8]>>,
}

impl Chunk {
    /// The bytes of an identifier or string constant.
    #[inline]
    #[must_use]
    pub fn name(&self, name: Name) -> &[u8] {
        &self.names[name.0 as usize]
    }
}

/// An identifier or string constant: an index into [`Chunk::names`]. Equal bytes have equal indices.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name(pub u32);

/// Refers to an [`Expr`].
pub type ExprId = Id<Expr>;
/// Refers to a [`FuncBody`] other than the main one.
pub type FuncId = Id<FuncBody>;
/// A list of expressions, in [`Chunk::expr_lists`].
pub type ExprList = Slice<ExprId>;

/// An expression.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// The line of its last token (of the token's end, if the token spans lines).
    pub line: u32,
    /// The offset behind its last token.
    pub end: u32,
}

/// The kinds of expressions.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ExprKind {
    /// `nil`
    Nil,
    /// `true`
    True,
    /// `false`
    False,
    /// A numeral with an integer value.
    Int(i64),
    /// A numeral with a float value.
    Float(f64),
    /// A string constant.
    Str(Name),
    /// `...`; only inside vararg functions.
    Vararg,
    /// `function ... end`
    Function(FuncId),
    /// A variable, not resolved.
    Name(Name),
    /// `obj[key]`, and `obj.name` with a key of kind [`ExprKind::Str`].
    Index {
        /// The indexed expression.
        obj: ExprId,
        /// The key.
        key: ExprId,
    },
    /// `callee(args)`
    Call {
        /// The called expression.
        callee: ExprId,
        /// The arguments; only the last one may produce several values.
        args: ExprList,
        /// The line of the call: where its argument list begins.
        line: u32,
    },
    /// `obj:name(args)`
    MethodCall {
        /// The object.
        obj: ExprId,
        /// The method, an expression of kind [`ExprKind::Str`] with the line of the name.
        method: ExprId,
        /// The arguments besides the object.
        args: ExprList,
        /// The line of the call: where its argument list begins.
        line: u32,
    },
    /// `(e)`, which truncates `e` to one value and is never an assignment target.
    Paren(ExprId),
    /// `{ ... }`
    Table {
        /// The items, in order.
        fields: Slice<Field>,
        /// The line of the opening brace.
        line: u32,
    },
    /// `op operand`
    Unop {
        /// The operator.
        op: Unop,
        /// The operand.
        operand: ExprId,
        /// The line of the operator.
        line: u32,
    },
    /// `lhs op rhs`
    Binop {
        /// The operator.
        op: Binop,
        /// The left operand.
        lhs: ExprId,
        /// The right operand.
        rhs: ExprId,
        /// The line of the operator.
        line: u32,
    },
}

impl ExprKind {
    /// Whether the expression may produce any number of values: calls and `...`.
    #[inline]
    #[must_use]
    pub const fn is_multi(self) -> bool {
        matches!(self, ExprKind::Call { .. } | ExprKind::MethodCall { .. } | ExprKind::Vararg)
    }
}

/// Unary operators.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unop {
    /// `-`
    Neg,
    /// `~`
    BNot,
    /// `not`
    Not,
    /// `#`
    Len,
}

impl Unop {
    /// The operator as written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Unop::Neg => "-",
            Unop::BNot => "~",
            Unop::Not => "not",
            Unop::Len => "#",
        }
    }
}

/// Binary operators.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Binop {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `/`
    Div,
    /// `//`
    IDiv,
    /// `&`
    BAnd,
    /// `|`
    BOr,
    /// `~`
    BXor,
    /// `<<`
    Shl,
    /// `>>`
    Shr,
    /// `..`
    Concat,
    /// `==`
    Eq,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `~=`
    Ne,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `and`
    And,
    /// `or`
    Or,
}

impl Binop {
    /// Whether it works on the bits of integers.
    #[inline]
    #[must_use]
    pub const fn is_bitwise(self) -> bool {
        matches!(self, Binop::BAnd | Binop::BOr | Binop::BXor | Binop::Shl | Binop::Shr)
    }

    /// The operator as written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Binop::Add => "+",
            Binop::Sub => "-",
            Binop::Mul => "*",
            Binop::Mod => "%",
            Binop::Pow => "^",
            Binop::Div => "/",
            Binop::IDiv => "//",
            Binop::BAnd => "&",
            Binop::BOr => "|",
            Binop::BXor => "~",
            Binop::Shl => "<<",
            Binop::Shr => ">>",
            Binop::Concat => "..",
            Binop::Eq => "==",
            Binop::Lt => "<",
            Binop::Le => "<=",
            Binop::Ne => "~=",
            Binop::Gt => ">",
            Binop::Ge => ">=",
            Binop::And => "and",
            Binop::Or => "or",
        }
    }
}

/// An item of a table constructor.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Field {
    /// `value`
    Positional(ExprId),
    /// `name = value` (the key is of kind [`ExprKind::Str`]) or `[key] = value`
    Keyed {
        /// The key.
        key: ExprId,
        /// The value.
        value: ExprId,
    },
}

/// The body of a function.
#[derive(Clone, PartialEq, Debug)]
pub struct FuncBody {
    /// The parameters; the first is `self` in `function a:b() end`.
    pub params: Slice<Binding>,
    /// Whether and how the parameter list ends in `...`.
    pub varargs: Varargs,
    /// The statements.
    pub block: Block,
    /// The line of `function` in a statement `function name() end`, the line of the opening parenthesis in
    /// other functions; 0 for the main function.
    pub line_defined: u32,
    /// The line of `end`; 0 for the main function.
    pub last_line_defined: u32,
}

/// The extra arguments of a function.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Varargs {
    /// It takes none.
    None,
    /// `...`
    Plain,
    /// `...name`, or the variable `arg` of old versions.
    Named {
        /// The variable for the table of extra arguments.
        name: Binding,
        /// Whether the variable gets the table; else it is nil.
        is_needed: bool,
    },
}

/// A sequence of statements that is a scope.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Block {
    /// The statements, in [`Chunk::stats`].
    pub stats: Slice<Stat>,
    /// The line of the last token *before* the one that closes the block.
    pub last_line: u32,
    /// The line of the token that closes the block (`end`, `else`, `elseif`, `until`, end of source).
    /// The reference reports unmatched `goto` and `break` with this line.
    pub end_line: u32,
    /// The offset of the token that closes the block.
    pub end: u32,
}

/// A declared local variable.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Binding {
    /// Its name.
    pub name: Name,
    /// Its attribute.
    pub attrib: Attrib,
    /// The line of the token that follows the declaration of this variable (name and attribute):
    /// where the reference reports errors about it.
    pub line: u32,
    /// The offset behind the name (before any attribute).
    pub end: u32,
}

/// The attribute of a local variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attrib {
    /// No attribute.
    None,
    /// `<const>`
    Const,
    /// `<close>`
    Close,
}

/// A statement. Empty statements leave no trace in the tree, except that labels and `end_line`s
/// around them are exact.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stat {
    /// What it is.
    pub kind: StatKind,
    /// The line of its first token.
    pub line: u32,
    /// The line of its last token.
    pub end_line: u32,
}

/// The kinds of statements.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum StatKind {
    /// `local a <const>, b = exprs`
    Local {
        /// The variables.
        bindings: Slice<Binding>,
        /// The values.
        exprs: ExprList,
    },
    /// `global a <const>, b = exprs`
    Global {
        /// The variables.
        bindings: Slice<Binding>,
        /// The values; none if there is no `=`.
        exprs: ExprList,
        /// The line of the token behind `=`.
        line: u32,
    },
    /// `global *`, with its attribute.
    GlobalAll(Attrib),
    /// `global function name() end`
    GlobalFunction {
        /// The variable, declared inside the function.
        binding: Id<Binding>,
        /// The function, an expression of kind [`ExprKind::Function`].
        func: ExprId,
    },
    /// `targets = exprs`
    Assign {
        /// The targets, each of kind [`ExprKind::Name`] or [`ExprKind::Index`].
        targets: ExprList,
        /// The values.
        exprs: ExprList,
        /// The line of `=`.
        line: u32,
    },
    /// A call whose results are dropped: [`ExprKind::Call`] or [`ExprKind::MethodCall`].
    Call(ExprId),
    /// `do block end`
    Do(Block),
    /// `while cond do block end`
    While {
        /// The condition.
        cond: ExprId,
        /// The body.
        block: Block,
    },
    /// `repeat block until cond`; the condition sees the locals of the block.
    Repeat {
        /// The body.
        block: Block,
        /// The condition.
        cond: ExprId,
    },
    /// `if cond then block elseif cond then block else block end`
    If {
        /// `if` and `elseif`, in order; at least one.
        arms: Slice<Arm>,
        /// `else`.
        otherwise: Option<Block>,
    },
    /// `for var = start, limit, step do block end`
    NumericFor {
        /// The loop variable, in [`Chunk::bindings`].
        var: Id<Binding>,
        /// The first value.
        start: ExprId,
        /// The limit.
        limit: ExprId,
        /// The step, if written.
        step: Option<ExprId>,
        /// The body.
        block: Block,
    },
    /// `for vars in exprs do block end`
    GenericFor {
        /// The loop variables; at least one.
        vars: Slice<Binding>,
        /// Iterator, state, initial value, closing value.
        exprs: ExprList,
        /// The body.
        block: Block,
    },
    /// `function a.b.c:d() end`
    Function {
        /// The assigned variable or field: [`ExprKind::Name`], or a chain of [`ExprKind::Index`].
        target: ExprId,
        /// The function, an expression of kind [`ExprKind::Function`].
        func: ExprId,
    },
    /// `local function name() end`
    LocalFunction {
        /// The variable, in scope inside the function.
        binding: Id<Binding>,
        /// The function, an expression of kind [`ExprKind::Function`].
        func: ExprId,
    },
    /// `return exprs`; always the last statement of its block.
    Return(ExprList),
    /// `break`
    Break,
    /// `goto name`
    Goto {
        /// The label.
        name: Name,
        /// The line of the name.
        line: u32,
    },
    /// `::name::`. Of several labels that directly follow each other, the *last* comes first here,
    /// as in the reference, which matters for the text of the error about duplicates only.
    Label {
        /// The name.
        name: Name,
        /// The line of the token behind the label and the no-op statements (labels, `;`) that follow
        /// it: a duplicate label is reported there.
        next_line: u32,
        /// Whether only labels and empty statements follow in the block: the label then counts as
        /// outside the scope of the block's locals.
        is_last: bool,
    },
}

/// One `if cond then block` of an `if` statement.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Arm {
    /// The condition.
    pub cond: ExprId,
    /// The statements.
    pub block: Block,
    /// The line of the token that opens this arm, `if` or `elseif`.
    pub line: u32,
}
