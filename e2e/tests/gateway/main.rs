//! The gateway as a process, before the mock vendor. One module per promise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agent;
mod anthropic;
mod bad_input;
mod billing;
mod budget_race;
mod budget_room;
mod canary;
mod chaos;
mod drain;
mod errors;
mod failover;
mod faulty_world;
mod fields;
mod fleet;
mod flow;
mod insight;
mod rates;
mod reload;
mod sdk;
mod sdk_formats;
mod ssrf;
mod start;
mod targets;
