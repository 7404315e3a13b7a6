//! The wished status of an object against the one that is there: nothing is written that says the same.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use smartflow_compile::ConditionState;

/// Conditions that are ours. Those of others stay as they are.
const OURS: [&str; 6] = ["Accepted", "ResolvedRefs", "Programmed", "Ready", "Reconciling", "Stalled"];

/// What a status says beside its conditions; absent fields are taken out of it.
pub type Extra = Map<String, Value>;

/// How a status should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// The generation that it is about.
    pub generation: i64,
    /// Its conditions.
    pub conditions: Vec<ConditionState>,
    /// Other fields that are to be exactly so; `null` = not there.
    pub extra: Extra,
}

/// The generation that `status` is about.
fn observed_generation(status: &Value) -> Option<i64> {
    status.get("observedGeneration")?.as_i64()
}

/// The condition of type `kind` that is there.
fn there<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    conditions(status).find(|c| c["type"] == kind)
}

fn conditions(status: &Value) -> impl Iterator<Item = &Value> {
    status.get("conditions").and_then(Value::as_array).into_iter().flatten()
}

impl Wish {
    /// True when `status` says it all already.
    #[must_use]
    pub fn is_met(&self, status: &Value) -> bool {
        let same = |c: &ConditionState| {
            there(status, c.kind).is_some_and(|have| {
                have["status"] == c.status
                    && have["reason"] == c.reason
                    && have["message"] == c.message.as_str()
                    && have["observedGeneration"] == self.generation
            })
        };
        let ours = conditions(status).filter(|c| OURS.iter().any(|kind| c["type"] == *kind)).count();
        let extra = |(field, want): (&String, &Value)| status.get(field).unwrap_or(&Value::Null) == want;
        observed_generation(status) == Some(self.generation)
            && ours == self.conditions.len()
            && self.conditions.iter().all(same)
            && self.extra.iter().all(extra)
    }

    /// The status as it is to be written, given the one that is there: a condition keeps its time while its status stays.
    #[must_use]
    pub fn status(&self, status: &Value, now: Timestamp) -> Value {
        let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let ours = self.conditions.iter().map(|c| {
            let since = there(status, c.kind).filter(|have| have["status"] == c.status);
            let since = since.and_then(|have| have["lastTransitionTime"].as_str()).unwrap_or(&now);
            json!({
                "type": c.kind, "status": c.status, "reason": c.reason, "message": c.message,
                "observedGeneration": self.generation, "lastTransitionTime": since,
            })
        });
        let theirs = conditions(status).filter(|c| OURS.iter().all(|kind| c["type"] != *kind)).cloned();
        let mut fields = self.extra.clone();
        fields.insert("observedGeneration".to_owned(), json!(self.generation));
        fields.insert("conditions".to_owned(), ours.chain(theirs).collect());
        Value::Object(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(status: &'static str, message: &str) -> Wish {
        let of = |kind, message: &str| ConditionState {
            kind,
            status,
            reason: "Reason",
            message: message.to_owned(),
        };
        Wish {
            generation: 2,
            conditions: vec![of("Accepted", "Fine."), of("Ready", message)],
            extra: Extra::new(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_is_written_is_met_and_not_written_again() {
        let wish = wish("True", "m");
        let status = wish.status(&json!({ "observedGeneration": -1 }), at(0));
        assert!(wish.is_met(&status), "{status}");
        assert_eq!(status["conditions"][1]["lastTransitionTime"], "1970-01-01T00:00:00Z");
    }

    #[test]
    fn every_difference_that_means_something_is_written() {
        let wish = wish("True", "m");
        let status = wish.status(&Value::Null, at(0));
        let differs = |change: &dyn Fn(&mut Value)| {
            let mut other = status.clone();
            change(&mut other);
            !wish.is_met(&other)
        };
        assert!(differs(&|s| s["observedGeneration"] = json!(1)));
        assert!(differs(&|s| s["conditions"][0]["observedGeneration"] = json!(1)));
        assert!(differs(&|s| s["conditions"][0]["status"] = json!("False")));
        assert!(differs(&|s| s["conditions"][0]["reason"] = json!("Other")));
        assert!(differs(&|s| s["conditions"][1]["message"] = json!("Other.")));
        assert!(differs(&|s| drop(s["conditions"].as_array_mut().unwrap().pop())));
        assert!(differs(&|s| {
            s["conditions"].as_array_mut().unwrap().push(json!({ "type": "Stalled", "status": "True" }));
        }));
        assert!(
            !differs(&|s| s["conditions"][0]["lastTransitionTime"] = json!("x")),
            "times alone say nothing"
        );
        assert!(!differs(&|s| s["spentUSD"] = json!("1")), "what is not ours to say now is left alone");
    }

    #[test]
    fn a_time_moves_only_with_its_status_and_conditions_of_others_stay() {
        let mut status = wish("True", "m").status(&Value::Null, at(0));
        let other = json!({ "type": "Healthy", "status": "True" });
        status["conditions"].as_array_mut().unwrap().push(other.clone());
        let same = wish("True", "other words").status(&status, at(60));
        assert_eq!(same["conditions"][1]["lastTransitionTime"], "1970-01-01T00:00:00Z");
        let flipped = wish("False", "m").status(&status, at(60));
        assert_eq!(flipped["conditions"][1]["lastTransitionTime"], "1970-01-01T00:01:00Z");
        assert_eq!(flipped["conditions"][2], other);
    }

    #[test]
    fn an_extra_field_is_written_and_taken_out() {
        let mut wish = wish("True", "m");
        wish.extra.insert("secretName".to_owned(), json!("s"));
        let status = wish.status(&Value::Null, at(0));
        assert!(status["secretName"] == "s" && wish.is_met(&status));
        wish.extra.insert("secretName".to_owned(), Value::Null);
        assert!(!wish.is_met(&status));
        assert!(wish.is_met(&json!({ "observedGeneration": 2, "conditions": status["conditions"] })));
    }
}
