//! CPU per request and per stream event, beside the floor in the same rounds.

use super::stage::{Running, Session, Stage, Subject};
use super::{Fault, note};
use crate::kit::{Measure, Test};
use crate::load::Kind;
use crate::report::series::Series;
use serde::Serialize;

/// A chat with a prompt of 200 bytes, answered whole.
pub const SMALL: Test =
    Test { name: "200 B", kind: Kind::Chat, connections: 64, rate: None, prompt_bytes: 200 };
const LARGE: Test =
    Test { name: "64 KB", kind: Kind::Chat, connections: 32, rate: None, prompt_bytes: 65_536 };
const EMBEDDINGS: Test =
    Test { name: "embeddings", kind: Kind::Embeddings, connections: 32, rate: None, prompt_bytes: 200 };
const STREAM: Test =
    Test { name: "stream", kind: Kind::ChatStream, connections: 200, rate: None, prompt_bytes: 200 };

/// What is compared: the load, the figure, and how many times the floor's it may be.
const COMPARED: [Compared; 4] = [
    Compared { test: SMALL, unit: "request", figure: |m| m.cpu_us_per_request, bound: Some(1.6) },
    Compared { test: LARGE, unit: "request", figure: |m| m.cpu_us_per_request, bound: Some(1.5) },
    Compared { test: STREAM, unit: "event", figure: |m| m.cpu_us_per_event, bound: Some(1.3) },
    Compared { test: EMBEDDINGS, unit: "request", figure: |m| m.cpu_us_per_request, bound: None },
];

struct Compared {
    test: Test,
    unit: &'static str,
    figure: fn(&Measure) -> f64,
    bound: Option<f64>,
}

/// One comparison with one kit.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Whose mock, load and floor.
    pub kit: &'static str,
    /// Which load.
    pub test: &'static str,
    /// What the CPU time is divided by.
    pub unit: &'static str,
    /// Most times the floor's figure that is good.
    pub bound: Option<f64>,
    /// The floor's figure in each round, microseconds.
    pub floor: Series,
    /// The gateway's.
    pub gateway: Series,
    /// The gateway's answers per second.
    pub per_second: Series,
}

impl Row {
    fn is(&self, session: &Session, compared: &Compared) -> bool {
        self.kit == session.kit.name() && self.test == compared.test.name
    }

    /// Gateway over floor: the median of what each round says.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.gateway.over(&self.floor).median()
    }

    /// Least and greatest ratio within one round, as text.
    #[must_use]
    pub fn ratio_range(&self) -> String {
        let (least, most) = self.gateway.over(&self.floor).range();
        format!("{least:.2}–{most:.2}")
    }
}

/// Measures every subject with every kit, in interleaved rounds: all run side by side, idle but for the one that is
/// asked, and each load goes to all of them before the next load, so that what is compared is measured close together.
///
/// # Errors
/// When anything does not run.
pub fn measure(stage: &Stage) -> Result<Vec<Row>, Fault> {
    let sessions = &stage.sessions;
    let mut rows: Vec<Row> =
        sessions.iter().flat_map(|session| COMPARED.iter().map(|c| row(session, c))).collect();
    for round in 1..=stage.plan.rounds {
        note(&format!("CPU, round {round} of {}", stage.plan.rounds));
        let mut visits = Vec::new();
        for session in sessions {
            for subject in [Subject::Floor, Subject::Gateway] {
                visits.push(Visit { session, subject, running: stage.start(session, subject)? });
            }
        }
        let count = visits.len();
        visits.rotate_left((round as usize) % count.max(1));
        for compared in &COMPARED {
            for visit in &visits {
                let row = rows.iter_mut().find(|row| row.is(visit.session, compared));
                visit.load(stage, compared, row)?;
            }
        }
    }
    Ok(rows)
}

fn row(session: &Session, compared: &Compared) -> Row {
    Row {
        kit: session.kit.name(),
        test: compared.test.name,
        unit: compared.unit,
        bound: compared.bound,
        floor: Series::default(),
        gateway: Series::default(),
        per_second: Series::default(),
    }
}

/// Something that runs in this round.
struct Visit<'a> {
    session: &'a Session,
    subject: Subject,
    running: Running,
}

impl Visit<'_> {
    fn load(&self, stage: &Stage, compared: &Compared, row: Option<&mut Row>) -> Result<(), Fault> {
        let name = if self.subject == Subject::Floor { "floor" } else { "gateway" };
        let measure = stage.load(self.session, name, &self.running, compared.test)?;
        let figure = (compared.figure)(&measure);
        let Some(row) = row else { return Ok(()) };
        match self.subject {
            Subject::Floor => row.floor.push(figure),
            Subject::Gateway => {
                row.gateway.push(figure);
                row.per_second.push(measure.per_second);
            }
        }
        Ok(())
    }
}
