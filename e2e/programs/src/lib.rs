//! The programs that a test cluster consists of: which, in which versions, how they are built, and where they are kept.
//!
//! The versions are those of `modules/*/go.mod` and nowhere else. `cargo xtask tools` builds what is missing; the tests'
//! rig starts it. This crate has no dependencies, so that both can be built with it at no cost.

mod place;
mod program;

pub use place::{ASSETS, EXISTING, Missing, PLACE, Places, uses_existing};
pub use program::{ALL, GO, Module, Program, key};
