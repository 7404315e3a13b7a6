//! What a fault says about the target that it came from.

use super::plan::Failure;
use crate::edge::fault::Fault;
use crate::upstream::Unreachable;
use smartflow_dialect::openai::{ErrorClass, retry_after};
use smartflow_snapshot::FaultClass;
use std::time::{Duration, SystemTime};

/// The class of chains for a vendor's error.
#[must_use]
pub fn class_of(error: ErrorClass) -> FaultClass {
    match error {
        ErrorClass::RateLimited => FaultClass::RateLimited,
        ErrorClass::QuotaExhausted => FaultClass::QuotaExhausted,
        ErrorClass::Auth => FaultClass::Auth,
        ErrorClass::NotFound => FaultClass::NotFound,
        ErrorClass::ContextWindow => FaultClass::ContextWindow,
        ErrorClass::ContentPolicy => FaultClass::ContentPolicy,
        ErrorClass::BadRequest => FaultClass::BadRequest,
        ErrorClass::Timeout => FaultClass::Timeout,
        ErrorClass::Overloaded | ErrorClass::Server => FaultClass::ServerError,
    }
}

/// How the target failed; `None` for faults that are not its own (a budget, a policy, ours).
#[must_use]
pub fn failure(fault: &Fault) -> Option<Failure> {
    let of = |class| Some(Failure { class, retry_after: None });
    match fault {
        Fault::Rejected { class, .. } => of(*class),
        Fault::Failed { class, retry_after: asked, .. } => {
            let asked = asked.as_ref().and_then(|v| v.to_str().ok());
            Some(Failure { class: *class, retry_after: wait(asked) })
        }
        // It is busy with our own calls.
        Fault::Unreachable(Unreachable::Busy { .. }) => of(FaultClass::RateLimited),
        Fault::Unreachable(Unreachable::Timeout { .. }) => of(FaultClass::Timeout),
        Fault::Unreachable(_) => of(FaultClass::Connect),
        Fault::Garbled { .. } => of(FaultClass::ServerError),
        _ => None,
    }
}

fn wait(asked: Option<&str>) -> Option<Duration> {
    retry_after(asked, None, SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn faults_by_whose_they_are() {
        let class = |fault: Fault| failure(&fault).map(|f| f.class);
        let timeout = Unreachable::Timeout { step: "first byte", after: Duration::ZERO };
        assert_eq!(class(Fault::Unreachable(timeout)), Some(FaultClass::Timeout));
        assert_eq!(class(Fault::Garbled { why: "" }), Some(FaultClass::ServerError));
        let bad = |code| Fault::Bad { code, param: None, message: String::new() };
        assert_eq!(class(bad("invalid_value")), None);
        for ours in [Fault::BudgetUnavailable, Fault::Policy { policy: String::new() }, Fault::KeyDisabled] {
            assert_eq!(class(ours), None);
        }
    }

    #[test]
    fn a_wait_that_is_asked_for_is_heard() {
        let failed = |text| Fault::Failed {
            status: 429,
            message: String::new(),
            retry_after: Some(HeaderValue::from_static(text)),
            class: FaultClass::RateLimited,
            overloaded: false,
        };
        let asked = |text| failure(&failed(text)).and_then(|f| f.retry_after);
        assert_eq!(asked("2"), Some(Duration::from_secs(2)));
        assert_eq!(asked("soon"), None);
    }
}
