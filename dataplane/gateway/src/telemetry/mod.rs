//! What the gateway tells about itself. Logic calls [`emit`] with an event; names of metrics and texts of logs are
//! known only here.

pub mod config;
pub mod door;
pub mod event;
pub mod leg;
pub mod line;
pub mod metrics;
pub mod trace;
pub mod usage;

pub use event::{Event, emit};
pub use metrics::Metrics;
