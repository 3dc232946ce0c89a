//! The package of `cargo bench`; all of it is in `benches/engines/`.
#![forbid(unsafe_code)]
