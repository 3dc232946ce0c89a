//! The scenarios on Perilune.

pub use ::perilune as api;

#[path = "scenarios.rs"]
pub mod scenarios;
