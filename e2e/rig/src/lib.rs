//! Real servers as processes of their own, for the tests of all crates: started on free ports of the loopback, waited
//! for, killed, and never left behind.
//!
//! Of ours it depends only on the table of the cluster's programs, so every crate may use it for its tests. A rig that
//! cannot do its work panics and fails the test at once, with the last lines of the server's log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

pub mod certificate;
pub mod cluster;
pub mod port;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod sentinel;
pub mod watchdog;
