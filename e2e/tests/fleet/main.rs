//! The main job: `kubectl apply` governs every pod. A real API server, a real Redis, the operator and three gateways as
//! processes, a mock vendor, the official SDK.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod install;
mod objects;
mod story;
