//! What pods leave behind, read from outside.

pub mod line;
pub mod money;
pub mod spend_file;
pub mod statement;
