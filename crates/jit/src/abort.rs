//! Why a recording was given up: a catalogue, so that each reason has a text and a counter.

macro_rules! aborts {
    ($($name:ident $text:literal;)*) => {
        /// A reason to give up a recording.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Abort {
            $(#[doc = $text] $name,)*
        }

        impl Abort {
            /// Whether the same path would be given up again.
            #[must_use]
            pub const fn is_lasting(self) -> bool {
                !matches!(self, Abort::Lost | Abort::Hook | Abort::Error | Abort::Memory | Abort::Code)
            }

            /// What the log says.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Abort::$name => $text,)* }
            }
        }
    };
}
aborts! {
    Opcode "an instruction that is not recorded";
    Native "a library function that is not recorded";
    Off "a function that is not to be compiled";
    Callee "a call of something that is no function";
    Vararg "a call of a function with variable arguments";
    OpenResults "a call with an open list of arguments or results";
    TooDeep "calls nested too deeply";
    Recursion "a recursive call";
    Late "a call that takes too long to wait for";
    TooLong "a path that is too long";
    LeftLoop "a path that leaves the loop";
    Lost "control went where the recording did not expect it";
    Types "operands of other types";
    Metamethod "a metamethod";
    Dictionary "a table whose keys have no shape";
    Upvalue "an upvalue whose variable is on the traced part of the stack";
    Contradiction "a guard that cannot hold";
    TypeUnstable "a variable whose type differs from round to round";
    NumericFor "a numeric loop whose control values are not simple";
    Hook "a debug hook";
    Code "the code generator refused the trace";
    Memory "no executable memory";
    Error "an error was raised";
    LongStrings "a comparison of long strings";
    DeadRegister "a register that holds nothing known";
}

impl From<perilune_trace::build::Contradiction> for Abort {
    fn from(_: perilune_trace::build::Contradiction) -> Abort {
        Abort::Contradiction
    }
}
