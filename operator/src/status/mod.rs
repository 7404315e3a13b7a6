//! What is said of each object: which conditions, whether they differ from what is there, and when they are written.

mod conditions;
mod fleet;
mod progress;
mod queue;
mod write;

pub use conditions::{Extra, Wish};
pub use fleet::{Fleet, Known, Revision};
pub use progress::{Progress, Standing};
pub use queue::{Outcome, Queue};
pub use write::{WriteError, write};
