//! The large world: what a key costs in memory, whether many keys make a request dearer, and how soon a changed one
//! is obeyed.

use super::loads::SMALL;
use super::stage::{Running, Stage, Subject};
use super::{Fault, note};
use crate::call::call;
use crate::program::pause;
use crate::report::series::Series;
use crate::world;
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};

/// Most bytes of resident memory that one key may cost.
pub const BOUND_BYTES: f64 = 600.0;
/// Most microseconds that one changed key may take from its object to being served: compile and swap.
pub const BOUND_US: f64 = 1_000.0;
/// How long a changed key may take to be taken up, debounce included.
const TAKE_UP: Duration = Duration::from_secs(20);
const GENERATION: &str = "smartflow_snapshot_generation";
const ACTIVATION: &str = "smartflow_snapshot_activation_us";
const COMPILE: &str = "smartflow_snapshot_compile_us";

/// Figures of the large world.
#[derive(Debug, Default, Serialize)]
pub struct Keys {
    /// How many keys.
    pub keys: u32,
    /// Start to first answer, seconds: reads and compiles every key.
    pub first_answer_s: f64,
    /// Resident at rest with one key, bytes.
    pub resident_one: u64,
    /// Resident at rest with all keys, bytes.
    pub resident_all: u64,
    /// CPU per request with one key, microseconds.
    pub cpu_one: Series,
    /// CPU per request with all keys, microseconds.
    pub cpu_all: Series,
    /// Swap to the world with one changed key, microseconds, as the gateway measures it.
    pub activation_us: Series,
    /// Compile of one changed key, microseconds, as the gateway measures it.
    pub compile_us: Series,
    /// Both together, microseconds.
    pub change_us: Series,
    /// From the file's rename to the new world, milliseconds: debounce, reading, compile and swap.
    pub rename_to_served_ms: Series,
}

impl Keys {
    /// Bytes of resident memory per further key.
    #[must_use]
    pub fn bytes_a_key(&self) -> f64 {
        let grown = self.resident_all as f64 - self.resident_one as f64;
        grown / f64::from(self.keys - 1)
    }
}

/// Runs a gateway with one key and one with all beside each other and measures them in turn.
///
/// # Errors
/// When anything does not run, or when a change is not taken up.
pub fn measure(stage: &Stage) -> Result<Keys, Fault> {
    let session = stage.own()?;
    let mut keys = Keys { keys: stage.keys, ..Keys::default() };
    let folder = stage.fresh("large");
    world::write(&folder, session.vendor, stage.keys).map_err(Fault::system("writing the large world"))?;
    let one = stage.start(session, Subject::Gateway)?;
    keys.resident_one = one.resident_at_rest();
    let all = stage.gateway(&folder)?;
    keys.first_answer_s = all.first_answer.as_secs_f64();
    keys.resident_all = all.resident_at_rest();
    note(&format!(
        "{} keys: first answer after {:.2} s, {:.0} bytes a key",
        keys.keys,
        keys.first_answer_s,
        keys.bytes_a_key()
    ));
    for _ in 0..stage.plan.rounds {
        keys.cpu_one.push(stage.load(session, "one key", &one, SMALL)?.cpu_us_per_request);
        keys.cpu_all.push(stage.load(session, "all keys", &all, SMALL)?.cpu_us_per_request);
    }
    changes(stage, &all, &folder, &mut keys)?;
    Ok(keys)
}

fn changes(stage: &Stage, all: &Running, folder: &Path, keys: &mut Keys) -> Result<(), Fault> {
    for edit in 1..=stage.plan.changes {
        let before = metric(all, GENERATION)?;
        world::rewrite_caller(folder, edit).map_err(Fault::system("changing a key"))?;
        let renamed = Instant::now();
        while (metric(all, GENERATION)? - before).abs() < 0.5 {
            if renamed.elapsed() > TAKE_UP {
                return Err(Fault::Unchanged { seconds: TAKE_UP.as_secs(), generation: before });
            }
            pause(Duration::from_millis(1));
        }
        keys.rename_to_served_ms.push(renamed.elapsed().as_secs_f64() * 1e3);
        let (compile, swap) = (metric(all, COMPILE)?, metric(all, ACTIVATION)?);
        keys.compile_us.push(compile);
        keys.activation_us.push(swap);
        keys.change_us.push(compile + swap);
    }
    note(&format!(
        "one key changed: compile {:.0} us, swap {:.0} us",
        keys.compile_us.median(),
        keys.activation_us.median()
    ));
    Ok(())
}

fn metric(running: &Running, name: &'static str) -> Result<f64, Fault> {
    let page = call(running.admin, "/metrics", &[], None).map_err(Fault::system("asking for metrics"))?.text;
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
    value.ok_or(Fault::Metric(name))
}
