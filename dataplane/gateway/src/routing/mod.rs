//! From a model name to who serves it, and what restricts the way there.

pub mod backoff;
pub mod breaker;
pub mod health;
pub mod plan;
pub mod restrict;
pub mod route;
pub mod strategy;

pub use route::Route;
