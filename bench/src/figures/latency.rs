//! Latency of an open loop: the mock asked directly, through the floor, and through the gateway.

use super::loads::SMALL;
use super::stage::{Running, Session, Stage, Subject};
use super::{Fault, note};
use crate::kit::{Measure, Test};
use crate::report::series::Series;
use serde::Serialize;

/// Requests due per second: far from what any of them can take, so that nothing queues.
pub const RATE: f64 = 500.0;
const STEADY: Test = Test { name: "500/s", rate: Some(RATE), ..SMALL };

/// Latencies of one way to the mock, a value for each round, microseconds.
#[derive(Debug, Default, Serialize)]
pub struct Way {
    /// Median.
    pub p50: Series,
    /// 99th percentile.
    pub p99: Series,
}

/// All three ways.
#[derive(Debug, Default, Serialize)]
pub struct Latency {
    /// No gateway between.
    pub direct: Way,
    /// Through the floor.
    pub floor: Way,
    /// Through the gateway.
    pub gateway: Way,
}

impl Way {
    fn push(&mut self, measure: &Measure) {
        self.p50.push(measure.p50_us);
        self.p99.push(measure.p99_us);
    }
}

/// Measures the three ways in interleaved rounds, with our kit.
///
/// # Errors
/// When anything does not run.
pub fn measure(stage: &Stage) -> Result<Latency, Fault> {
    let session = stage.own()?;
    let mut latency = Latency::default();
    for round in 1..=stage.plan.rounds {
        note(&format!("latency, round {round} of {}", stage.plan.rounds));
        latency.direct.push(&direct(stage, session)?);
        let floor = stage.start(session, Subject::Floor)?;
        latency.floor.push(&stage.load(session, "floor", &floor, STEADY)?);
        drop(floor);
        let gateway: Running = stage.start(session, Subject::Gateway)?;
        latency.gateway.push(&stage.load(session, "gateway", &gateway, STEADY)?);
    }
    Ok(latency)
}

fn direct(stage: &Stage, session: &Session) -> Result<Measure, Fault> {
    let measure =
        session.kit.measure(stage.cores, STEADY, session.vendor, session.mock.pid(), stage.plan.span());
    measure.map_err(|source| Fault::Load { subject: "direct".to_owned(), source })
}
