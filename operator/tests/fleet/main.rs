//! The operator as a process, over a real Redis and a real API server. Gateways are stood in for by what they follow and
//! answer with: the transport's own follower and heartbeats.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod canary;
mod desk;
mod gateway;
mod leaders;
mod operator;
mod published;
mod skew;
mod spend;
mod steady;
