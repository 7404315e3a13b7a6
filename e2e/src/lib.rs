//! The real things, for tests: a strict mock vendor, the gateway as a process, worlds on disk, and clients.
//!
//! Everything here serves tests only, so a harness that cannot do its work panics and fails the test at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

pub mod agent;
pub mod client;
pub mod door;
pub mod frames;
pub mod gateway;
pub mod money;
pub mod raw;
pub mod sdk;
pub mod stream;
pub mod vendor;
pub mod world;
