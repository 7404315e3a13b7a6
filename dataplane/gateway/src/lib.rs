//! The data plane: an OpenAI-compatible endpoint over every provider, governed by resources.
//!
//! A call enters at [`edge`], becomes an [`exchange`], goes through the steps of [`pipeline`], and leaves as a whole
//! answer ([`reply`]) or as a governed stream ([`relay`]). What it may do was decided when the snapshot was compiled;
//! [`live`] holds the one that serves.

pub mod admin;
pub mod args;
pub mod asked;
pub mod budget;
pub mod catalog;
pub mod check;
pub mod discretion;
pub mod edge;
pub mod exchange;
#[cfg(test)]
mod exchange_tests;
pub mod failover;
pub mod findings;
pub mod heading;
pub mod identity;
pub mod listing;
pub mod live;
mod origin;
pub mod pieces;
pub mod pipeline;
pub mod posed;
pub mod reading;
pub mod relay;
pub mod reply;
pub mod routing;
pub mod serve;
pub mod source;
pub mod state;
pub mod statement;
pub mod telemetry;
pub mod trim;
pub mod upstream;
pub mod worker;
