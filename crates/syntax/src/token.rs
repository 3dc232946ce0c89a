//! Tokens, and how messages show them.

use perilune_base::dialect::table::TokenText;

use crate::ast::Name;

/// A token. Tokens of one character, those that no rule knows included, are [`Token::Char`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Token {
    And,
    Break,
    Do,
    Else,
    Elseif,
    End,
    False,
    For,
    Function,
    Global,
    Goto,
    If,
    In,
    Local,
    Nil,
    Not,
    Or,
    Repeat,
    Return,
    Then,
    True,
    Until,
    While,
    /// `//`
    IDiv,
    /// `..`
    Concat,
    /// `...`
    Dots,
    /// `==`
    Eq,
    /// `>=`
    Ge,
    /// `<=`
    Le,
    /// `~=`
    Ne,
    /// `<<`
    Shl,
    /// `>>`
    Shr,
    /// `::`
    DoubleColon,
    /// The end of the source.
    Eof,
    Int(i64),
    Float(f64),
    Name(Name),
    Str(Name),
    Char(u8),
}

impl Token {
    /// The reserved word spelled by these bytes.
    #[inline]
    pub(crate) fn reserved(word: &[u8]) -> Option<Token> {
        Some(match word {
            b"and" => Token::And,
            b"break" => Token::Break,
            b"do" => Token::Do,
            b"else" => Token::Else,
            b"elseif" => Token::Elseif,
            b"end" => Token::End,
            b"false" => Token::False,
            b"for" => Token::For,
            b"function" => Token::Function,
            b"global" => Token::Global,
            b"goto" => Token::Goto,
            b"if" => Token::If,
            b"in" => Token::In,
            b"local" => Token::Local,
            b"nil" => Token::Nil,
            b"not" => Token::Not,
            b"or" => Token::Or,
            b"repeat" => Token::Repeat,
            b"return" => Token::Return,
            b"then" => Token::Then,
            b"true" => Token::True,
            b"until" => Token::Until,
            b"while" => Token::While,
            _ => return None,
        })
    }

    /// The kind of the token as messages name it (`luaX_token2str`): `'end'`, `<name>`, `'<\1>'`.
    pub(crate) fn shown(self, style: TokenText) -> Vec<u8> {
        let fixed = match self {
            Token::And => "and",
            Token::Break => "break",
            Token::Do => "do",
            Token::Else => "else",
            Token::Elseif => "elseif",
            Token::End => "end",
            Token::False => "false",
            Token::For => "for",
            Token::Function => "function",
            Token::Global => "global",
            Token::Goto => "goto",
            Token::If => "if",
            Token::In => "in",
            Token::Local => "local",
            Token::Nil => "nil",
            Token::Not => "not",
            Token::Or => "or",
            Token::Repeat => "repeat",
            Token::Return => "return",
            Token::Then => "then",
            Token::True => "true",
            Token::Until => "until",
            Token::While => "while",
            Token::IDiv => "//",
            Token::Concat => "..",
            Token::Dots => "...",
            Token::Eq => "==",
            Token::Ge => ">=",
            Token::Le => "<=",
            Token::Ne => "~=",
            Token::Shl => "<<",
            Token::Shr => ">>",
            Token::DoubleColon => "::",
            Token::Char(byte @ b' '..=b'~') => return vec![b'\'', byte, b'\''],
            Token::Char(byte @ 0x80..) if style == TokenText::Quoted => return vec![b'\'', byte, b'\''],
            Token::Char(byte) => {
                let shown = match style {
                    TokenText::Quoted => format!("'char({byte})'"),
                    TokenText::Codes => format!("char({byte})"),
                    TokenText::Escapes => format!("'<\\{byte}>'"),
                };
                return shown.into_bytes();
            }
            Token::Eof => return kind("<eof>", style),
            Token::Int(_) => return kind("<integer>", style),
            Token::Float(_) => return kind("<number>", style),
            Token::Name(_) => return kind("<name>", style),
            Token::Str(_) => return kind("<string>", style),
        };
        format!("'{fixed}'").into_bytes()
    }
}

/// The name of a kind of tokens that have no fixed text.
fn kind(name: &str, style: TokenText) -> Vec<u8> {
    match style {
        TokenText::Quoted => format!("'{name}'").into_bytes(),
        TokenText::Codes | TokenText::Escapes => name.as_bytes().to_vec(),
    }
}
