//! What lenders keep, read from outside.

pub mod journal;
pub mod redis;
