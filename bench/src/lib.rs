//! What measures the gateway: a mock vendor, a load generator, a floor to compare with, and the driver that runs them.
//!
//! Mock, load and floor each use one thread, so that each can be pinned to a core. How to read the figures is told in
//! `docs/performance.md`, which the driver writes.

pub mod call;
pub mod clock;
pub mod figures;
pub mod floor;
pub mod kit;
pub mod listen;
pub mod load;
pub mod mock;
pub mod program;
pub mod prompt;
pub mod report;
pub mod watch;
pub mod world;

/// The token of the benchmark's own key; made up, good for nothing else.
pub const TOKEN: &str = "sk-sf-be7cbe7cbe7cbe7cbe7cbe7cbe7cbe7cbe7cbe7cbe7cbe7c";
