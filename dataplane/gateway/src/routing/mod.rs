//! From a model name to who serves it, and what restricts the way there.

pub mod restrict;
pub mod route;

pub use route::Route;
