//! From the start of the process to the first good answer, and resident memory at rest after it.

use super::stage::{Stage, Subject};
use super::{Fault, note};
use crate::report::series::Series;
use serde::Serialize;

/// Most milliseconds to the first answer.
pub const BOUND_MS: f64 = 50.0;
/// Most MiB at rest.
pub const BOUND_MIB: f64 = 15.0;
/// Starts after which memory is read; the others are only timed.
const RESTS: u32 = 3;

/// Start and rest of the gateway on a world with one key.
#[derive(Debug, Default, Serialize)]
pub struct Start {
    /// Start to first answer, milliseconds.
    pub first_answer_ms: Series,
    /// Resident at rest, MiB.
    pub resident_mib: Series,
}

/// Starts the gateway again and again, each time with an empty data folder.
///
/// # Errors
/// When it does not start or answer.
pub fn measure(stage: &Stage) -> Result<Start, Fault> {
    let session = stage.own()?;
    let mut start = Start::default();
    for round in 0..stage.plan.starts {
        let running = stage.start(session, Subject::Gateway)?;
        start.first_answer_ms.push(running.first_answer.as_secs_f64() * 1e3);
        if round < RESTS {
            start.resident_mib.push(running.resident_at_rest() as f64 / f64::from(1 << 20));
        }
    }
    note(&format!(
        "first answer after {:.1} ms, {:.1} MiB at rest",
        start.first_answer_ms.median(),
        start.resident_mib.median()
    ));
    Ok(start)
}
