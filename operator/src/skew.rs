//! Gateways that are older than this operator (config-transport.md T8). What only some of them could read is not published
//! where it grants: what they run of it stays. What restricts is published, and they close what it concerns.

use smartflow_compile::{Carried, Condition, Finding, Kind, ObjectRef, Reason, Report, Serving, Severity};
use std::collections::HashMap;

/// Level that every gateway reads.
const FIRST: u32 = 1;

/// Which objects need how new a gateway.
#[derive(Debug, Default)]
pub struct Skew {
    /// Those that need more than the first level.
    needs: HashMap<ObjectRef, u32>,
    /// What the oldest ready gateway reads; `None` = there is none, or nobody knows.
    reads: Option<u32>,
}

impl Skew {
    /// Takes note of what an object is published as.
    pub fn note(&mut self, id: &ObjectRef, carried: Option<&Carried>) {
        match carried.map(Carried::level).filter(|level| *level > FIRST) {
            Some(level) => drop(self.needs.insert(id.clone(), level)),
            None => drop(self.needs.remove(id)),
        }
    }

    /// What the oldest ready gateway reads; returns objects that are concerned by the difference.
    pub fn reads(&mut self, reads: Option<u32>) -> Vec<ObjectRef> {
        let before = std::mem::replace(&mut self.reads, reads);
        if before == reads {
            return Vec::new();
        }
        let late = |reads: Option<u32>, level: u32| reads.is_some_and(|reads| level > reads);
        let concerned = self.needs.iter().filter(|(_, level)| late(before, **level) != late(reads, **level));
        concerned.map(|(id, _)| id.clone()).collect()
    }

    /// True when what is published of `id` is to stay as it is.
    #[must_use]
    pub fn withholds(&self, id: &ObjectRef) -> bool {
        id.kind != Kind::Policy && self.too_old(id).is_some()
    }

    /// The level that `id` needs and the one that the oldest ready gateway reads, where that is less.
    fn too_old(&self, id: &ObjectRef) -> Option<(u32, u32)> {
        let level = *self.needs.get(id)?;
        self.reads.filter(|reads| level > *reads).map(|reads| (level, reads))
    }

    /// Says so on the object.
    pub fn judge(&self, report: &mut Report) {
        let Some((level, reads)) = self.too_old(&report.object) else { return };
        if report.serving != Serving::Current {
            return;
        }
        let outcome = if report.object.kind == Kind::Policy {
            report.serving = Serving::Closed;
            "they block what it concerns"
        } else {
            report.serving = Serving::Nothing;
            "what they run of it stays as it was"
        };
        let finding = Finding {
            severity: Severity::Error,
            condition: Condition::Accepted,
            reason: Reason::GatewayTooOld,
            path: "".into(),
            message: format!(
                "It needs gateways that read level {level}, and one that is ready reads {reads}: {outcome}."
            )
            .into(),
            fix: "Update the gateways before the operator.".into(),
            at: None,
        };
        report.findings.insert(0, finding);
    }
}
