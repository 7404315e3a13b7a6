//! What Flux, Argo CD and `kubectl wait` make of an object: the algorithm of kstatus, for kinds that it does not know.
//!
//! The order counts: deletion, then the generation, then `Reconciling` and `Stalled` as they come, then `Ready`.

use serde_json::Value;

/// How an object fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It is as it was declared.
    Current,
    /// Somebody works on it.
    InProgress,
    /// It will not become as declared without a change.
    Failed,
    /// It is being deleted.
    Terminating,
}

/// The health of an object, as `kubectl get --output=json` shows it.
#[must_use]
pub fn health(object: &Value) -> Health {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return Health::Terminating;
    }
    let observed = object["status"]["observedGeneration"].as_i64();
    let generation = object["metadata"]["generation"].as_i64();
    if observed.is_some_and(|observed| generation.is_some_and(|generation| generation != observed)) {
        return Health::InProgress;
    }
    let conditions = || object["status"]["conditions"].as_array().into_iter().flatten();
    let is = |condition: &Value, kind: &str, status: &str| {
        condition["type"] == *kind && condition["status"] == *status
    };
    let standard = conditions().find_map(|condition| {
        let reconciling = is(condition, "Reconciling", "True").then_some(Health::InProgress);
        reconciling.or_else(|| is(condition, "Stalled", "True").then_some(Health::Failed))
    });
    let ready = conditions().find(|condition| condition["type"] == "Ready");
    standard.unwrap_or(match ready {
        Some(ready) if ready["status"] == "True" => Health::Current,
        Some(_) => Health::InProgress,
        None => Health::Current,
    })
}

#[cfg(test)]
mod tests {
    use super::{Health, health};
    use serde_json::{Value, json};

    fn object(observed: i64, conditions: &[(&str, &str)]) -> Value {
        let conditions: Vec<_> =
            conditions.iter().map(|(kind, status)| json!({ "type": kind, "status": status })).collect();
        json!({ "metadata": { "generation": 2 }, "status": { "observedGeneration": observed, "conditions": conditions } })
    }

    #[test]
    fn a_new_object_is_in_progress_only_through_the_default_of_its_status() {
        assert_eq!(health(&object(-1, &[])), Health::InProgress);
        assert_eq!(health(&json!({ "metadata": { "generation": 1 } })), Health::Current);
    }

    #[test]
    fn a_generation_that_nobody_looked_at_is_in_progress_whatever_the_conditions_say() {
        assert_eq!(health(&object(1, &[("Ready", "True")])), Health::InProgress);
        assert_eq!(health(&object(1, &[("Stalled", "True")])), Health::InProgress);
        assert_eq!(health(&object(2, &[("Ready", "True")])), Health::Current);
    }

    #[test]
    fn only_stalled_is_a_failure() {
        assert_eq!(health(&object(2, &[("Ready", "False")])), Health::InProgress);
        assert_eq!(health(&object(2, &[("Ready", "Unknown")])), Health::InProgress);
        assert_eq!(health(&object(2, &[("Ready", "False"), ("Stalled", "True")])), Health::Failed);
        assert_eq!(health(&object(2, &[("Ready", "True"), ("Stalled", "False")])), Health::Current);
    }

    #[test]
    fn of_reconciling_and_stalled_the_first_one_counts() {
        let both = [("Reconciling", "True"), ("Stalled", "True")];
        assert_eq!(health(&object(2, &both)), Health::InProgress);
        assert_eq!(health(&object(2, &[both[1], both[0]])), Health::Failed);
    }

    #[test]
    fn a_deleted_object_terminates_whatever_else_it_says() {
        let mut object = object(1, &[("Stalled", "True")]);
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(health(&object), Health::Terminating);
    }
}
