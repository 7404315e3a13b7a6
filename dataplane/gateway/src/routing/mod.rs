//! From a model name to who serves it, and what restricts the way there.

pub mod backoff;
pub mod breaker;
pub mod failure;
pub mod health;
pub mod params;
pub mod plan;
pub mod restrict;
pub mod route;
pub mod strategy;
pub mod way;
pub mod wishes;

pub use route::Route;
pub use way::Way;
