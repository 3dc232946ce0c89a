//! The interpreter: runs prototypes on coroutine stacks, finds metamethods, raises and catches errors, keeps limits, and
//! gives native functions their interface.
//!
//! Stands between the runtime, whose values and heap it uses, and the libraries, the compiler tier and the public API,
//! which see it through [`Vm`], the [`native`] interface and the traits [`tier::Tier`] and [`host::Host`].
//!
//! | module | question it answers |
//! |---|---|
//! | [`vm`] | what a Lua state consists of |
//! | `interp` | what each instruction does |
//! | `call`, `frame` | how frames are pushed, popped and unwound |
//! | [`control`] | how protected calls and coroutines move frames |
//! | `switch` | how hot code switches coroutines |
//! | [`native`] | what a library function may do |
//! | [`meta`] | where a value's metamethods are |
//! | `errors`, `names`, `traceback` | what an error says |
//! | [`load`] | how a chunk becomes a function |
//! | `collect`, `warnings` | what happens at a safepoint |
//! | [`limits`] | what a script may spend |
//! | [`sample`] | what a profiler sees |
//! | [`host`] | how the outside world is reached |
//! | [`host_call`] | how a host calls in |
//! | [`tier`] | how a compiler tier attaches |
//! | `compiling` | what scripts may say about it |

mod call;
mod collect;
pub mod compiled;
mod compiling;
pub mod control;
pub mod debug;
mod display;
pub mod embed;
pub mod environment;
mod errors;
pub mod frame;
pub mod hooks;
pub mod host;
pub mod host_call;
mod interp;
pub mod limits;
pub mod load;
pub mod meta;
mod names;
pub mod native;
pub mod sample;
mod switch;
pub mod tier;
mod traceback;
pub mod vm;
mod warnings;

pub use vm::{Vm, VmOptions};
