//! What an upstream error means: for the status that the caller gets, and for what may be tried next.

use super::UpstreamError;
use std::time::{Duration, SystemTime};

/// What an upstream error means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorClass {
    /// Too many requests or tokens for now.
    RateLimited,
    /// The provider's account has no money or quota left: waiting does not help.
    QuotaExhausted,
    /// The provider refused our credential.
    Auth,
    /// It does not know the model or path.
    NotFound,
    /// Prompt and answer do not fit into the model.
    ContextWindow,
    /// A filter of the vendor refused the prompt.
    ContentPolicy,
    /// It says that the request is wrong.
    BadRequest,
    /// It gave up waiting.
    Timeout,
    /// It has no capacity.
    Overloaded,
    /// It failed.
    Server,
}

/// Classes an upstream error by status, code and, where vendors differ, by words of the message.
#[must_use]
pub fn classify(status: u16, error: &UpstreamError) -> ErrorClass {
    let code = error.code.as_deref().unwrap_or_default();
    let kind = error.kind.as_deref().unwrap_or_default();
    match status {
        429 if code == "insufficient_quota" || kind == "insufficient_quota" => ErrorClass::QuotaExhausted,
        429 => ErrorClass::RateLimited,
        402 => ErrorClass::QuotaExhausted,
        401 | 403 if is_policy(error) => ErrorClass::ContentPolicy,
        401 | 403 => ErrorClass::Auth,
        408 | 504 => ErrorClass::Timeout,
        503 | 529 => ErrorClass::Overloaded,
        500.. if is_overload(error) => ErrorClass::Overloaded,
        500.. => ErrorClass::Server,
        413 => ErrorClass::ContextWindow,
        _ if is_context(error) => ErrorClass::ContextWindow,
        _ if is_policy(error) => ErrorClass::ContentPolicy,
        404 => ErrorClass::NotFound,
        400..500 => ErrorClass::BadRequest,
        // In a stream: the status was one of success, the words are all there is.
        _ => by_words(error, code, kind),
    }
}

fn by_words(error: &UpstreamError, code: &str, kind: &str) -> ErrorClass {
    if let Ok(status @ 400..600) = code.parse() {
        return classify(status, error);
    }
    let words = format!("{code} {kind}").to_ascii_lowercase();
    if words.contains("rate_limit") || words.contains("resource_exhausted") {
        ErrorClass::RateLimited
    } else if words.contains("quota") {
        ErrorClass::QuotaExhausted
    } else if is_overload(error) {
        ErrorClass::Overloaded
    } else if is_context(error) {
        ErrorClass::ContextWindow
    } else if is_policy(error) {
        ErrorClass::ContentPolicy
    } else {
        ErrorClass::Server
    }
}

fn mentions(error: &UpstreamError, phrases: &[&str]) -> bool {
    let message = error.message.to_ascii_lowercase();
    phrases.iter().any(|phrase| message.contains(phrase))
}

fn is_context(error: &UpstreamError) -> bool {
    error.code.as_deref() == Some("context_length_exceeded")
        || mentions(
            error,
            &[
                "maximum context length",
                "context window",
                "context length",
                "prompt is too long",
                "too many tokens",
                "input is too long",
                "reduce the length",
                "exceeds the maximum number of tokens",
            ],
        )
}

fn is_policy(error: &UpstreamError) -> bool {
    let code = error.code.as_deref().unwrap_or_default();
    matches!(code, "content_policy_violation" | "content_filter" | "ResponsibleAIPolicyViolation")
        || mentions(
            error,
            &["content management policy", "content policy", "safety system", "usage policies"],
        )
}

fn is_overload(error: &UpstreamError) -> bool {
    let kind = error.kind.as_deref().unwrap_or_default();
    kind == "overloaded_error" || kind == "UNAVAILABLE" || mentions(error, &["overloaded", "at capacity"])
}

/// Longest wait that we believe.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// How long the vendor asks us to wait: `retry-after-ms`, else `retry-after` in seconds (fractions too) or as a date.
/// At most a day; `None` when neither says anything sensible.
#[must_use]
pub fn retry_after(
    retry_after: Option<&str>,
    retry_after_ms: Option<&str>,
    now: SystemTime,
) -> Option<Duration> {
    let number = |text: Option<&str>| text.and_then(|text| text.trim().parse::<f64>().ok());
    let seconds = number(retry_after_ms).map(|ms| ms / 1000.0).or_else(|| number(retry_after));
    if let Some(seconds) = seconds {
        return Duration::try_from_secs_f64(seconds).ok().map(|wait| wait.min(LONGEST_WAIT));
    }
    let date = http_date(retry_after?.trim())?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Duration::from_secs(date).saturating_sub(now).min(LONGEST_WAIT))
}

/// Unix seconds of `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>().ok().filter(|part| *part < 61));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    // Days of the proleptic Gregorian calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some(days.checked_sub(719_468)? * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::{Duration, ErrorClass, SystemTime, UpstreamError, classify, retry_after};

    fn error(code: &str, kind: &str, message: &str) -> UpstreamError {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        UpstreamError { message: message.to_owned(), code: some(code), kind: some(kind), param: None }
    }

    #[test]
    fn classes() {
        for (status, error, class) in [
            (429, error("rate_limit_exceeded", "requests", "slow down"), ErrorClass::RateLimited),
            (429, error("insufficient_quota", "", "pay"), ErrorClass::QuotaExhausted),
            (401, error("invalid_api_key", "", "no"), ErrorClass::Auth),
            (404, error("model_not_found", "", "no such model"), ErrorClass::NotFound),
            (400, error("context_length_exceeded", "", ""), ErrorClass::ContextWindow),
            (400, error("", "", "This model's maximum context length is 8192"), ErrorClass::ContextWindow),
            (400, error("content_filter", "", "filtered"), ErrorClass::ContentPolicy),
            (422, error("", "", "bad tools"), ErrorClass::BadRequest),
            (503, error("", "", ""), ErrorClass::Overloaded),
            (529, error("", "overloaded_error", ""), ErrorClass::Overloaded),
            (500, error("", "", "The server is overloaded"), ErrorClass::Overloaded),
            (500, error("", "", "oops"), ErrorClass::Server),
            (504, error("", "", ""), ErrorClass::Timeout),
            (200, error("429", "", "slow down"), ErrorClass::RateLimited),
            (200, error("", "overloaded_error", ""), ErrorClass::Overloaded),
            (200, error("", "server_error", "oops"), ErrorClass::Server),
        ] {
            assert_eq!(classify(status, &error), class, "{status} {error:?}");
        }
    }

    #[test]
    fn waits() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 90);
        let wait = |after, ms| retry_after(after, ms, now);
        assert_eq!(wait(Some("7"), None), Some(Duration::from_secs(7)));
        assert_eq!(wait(Some("1.5"), None), Some(Duration::from_millis(1500)));
        assert_eq!(wait(Some("9"), Some("250")), Some(Duration::from_millis(250)));
        assert_eq!(wait(Some("Sun, 06 Nov 1994 08:49:37 GMT"), None), Some(Duration::from_secs(90)));
        assert_eq!(wait(Some("Sun, 06 Nov 1993 08:49:37 GMT"), None), Some(Duration::ZERO));
        assert_eq!(wait(Some("1e300"), None), None);
        assert_eq!(wait(Some("99999999"), None), Some(Duration::from_secs(86_400)));
        for nonsense in ["-1", "NaN", "soon", "Sun, 99 Foo 1994 08:49:37 GMT", ""] {
            assert_eq!(wait(Some(nonsense), None), None, "{nonsense}");
        }
        assert_eq!(wait(None, None), None);
    }
}
