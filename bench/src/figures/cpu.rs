//! CPU per request and per stream event, beside the floor in the same rounds.

use super::loads::{COMPARED, Compared};
use super::stage::{Running, Session, Stage, Subject};
use super::{Fault, note};
use crate::report::series::Series;
use serde::Serialize;

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
    let mut rows: Vec<Row> = sessions.iter().flat_map(rows_of).collect();
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
                if let Some(row) = rows.iter_mut().find(|row| row.is(visit.session, compared)) {
                    visit.load(stage, compared, row)?;
                }
            }
        }
    }
    Ok(rows)
}

fn rows_of(session: &Session) -> impl Iterator<Item = Row> {
    COMPARED.iter().filter(|compared| compared.is_of(&session.kit)).map(|compared| row(session, compared))
}

fn row(session: &Session, compared: &Compared) -> Row {
    Row {
        kit: session.kit.name(),
        test: compared.test.name,
        unit: compared.unit.name(),
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
    fn load(&self, stage: &Stage, compared: &Compared, row: &mut Row) -> Result<(), Fault> {
        let (name, test) = match self.subject {
            Subject::Floor => ("floor", compared.floor),
            Subject::Gateway => ("gateway", compared.test),
        };
        let measure = stage.load(self.session, name, &self.running, test)?;
        let figure = compared.unit.of(&measure);
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
