//! What is known of a call at its end, and its JSON. Written by hand, field after field: it is made for every call, on
//! the thread that serves it.

use super::leg::Leg;
use super::usage::Outcome;
use crate::routing::wishes::tags;
use smartflow_dialect::Usage;
use smartflow_snapshot::{Key, Model, ObjectName, Owner, Provider};

/// A usage line. The JSON names are the public format; what is absent, empty or false is left out where marked "if any".
pub struct UsageLine<'a> {
    /// End of the call, Unix milliseconds.
    pub time: i64,
    /// As in `x-smartflow-request-id`.
    pub request_id: &'a str,
    /// W3C trace id of the caller, if any.
    pub trace_id: Option<&'a str>,
    /// `chat`, `embeddings`.
    pub endpoint: &'static str,
    /// The virtual key, with its owner, if any.
    pub key: &'a Key,
    /// The model as the caller wrote it.
    pub requested_model: &'a str,
    /// Who served it, if any.
    pub target: Option<(&'a Provider, &'a Model)>,
    /// The chain that the call went through, if any.
    pub chain: Option<&'a ObjectName>,
    /// Attempts that failed before the last one, if any; `usage` and `cost` include what they are billed.
    pub legs: &'a [Leg],
    /// `user` of the request, if any.
    pub user: Option<&'a str>,
    /// `metadata` of the call or its request, JSON as the caller wrote it, if any.
    pub metadata: Option<&'a str>,
    /// Tags of the call, words between commas, if any.
    pub tags: Option<&'a str>,
    /// Whether the caller asked for a stream.
    pub stream: bool,
    /// Tokens by class. `input` and `output` are whole; the other classes are parts of them, if any.
    pub usage: Usage,
    /// Nano-USD, written as US dollars, a decimal in a string.
    pub cost: i64,
    /// The cost is an upper bound, because the provider reported no usage.
    pub estimated: bool,
    /// Status that the caller got.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Error code, when it did not end well.
    pub code: Option<&'a str>,
    /// Calls to providers.
    pub attempts: u32,
    /// Microseconds from the request's head to the end of its answer.
    pub latency_us: u64,
    /// Microseconds to the first byte of the answer.
    pub first_byte_us: u64,
    /// Microseconds inside the gateway.
    pub overhead_us: u64,
    /// Policies in dry run that would have blocked the call, if any.
    pub would_block: &'a [&'a [ObjectName]],
    /// A budget of the call is at or above its soft limit, if so.
    pub above_soft_limit: bool,
}

impl UsageLine<'_> {
    /// Appends the line, ended by a newline. `time`: its own as RFC 3339.
    pub fn write(&self, time: &str, out: &mut Vec<u8>) {
        let mut line = Line(out);
        line.plain("{\"time\":\"", time);
        line.plain("\",\"request_id\":\"", self.request_id);
        line.raw("\"");
        if let Some(id) = self.trace_id {
            line.text(",\"trace_id\":", id);
        }
        line.plain(",\"endpoint\":\"", self.endpoint);
        line.name("\",\"key\":\"", &self.key.name);
        line.raw("\"");
        if let Some(owner) = self.key.owner.as_deref() {
            line.owner(owner);
        }
        line.text(",\"requested_model\":", self.requested_model);
        if let Some((provider, model)) = self.target {
            line.name(",\"provider\":\"", &provider.name);
            line.text("\",\"model\":", &model.name);
        }
        if let Some(chain) = self.chain {
            line.name(",\"chain\":\"", chain);
            line.raw("\"");
        }
        for (index, leg) in self.legs.iter().enumerate() {
            line.raw(if index == 0 { ",\"legs\":[" } else { "," });
            line.leg(leg);
        }
        if !self.legs.is_empty() {
            line.raw("]");
        }
        if let Some(user) = self.user {
            line.text(",\"user\":", user);
        }
        if let Some(metadata) = self.metadata {
            line.raw(",\"metadata\":");
            // JSON has line breaks between its parts only; here they would break the line.
            line.0.extend(metadata.bytes().map(|b| if b == b'\n' || b == b'\r' { b' ' } else { b }));
        }
        if let Some(text) = self.tags {
            line.list(",\"tags\":", tags(text));
        }
        line.raw(if self.stream { ",\"stream\":true" } else { ",\"stream\":false" });
        line.tokens(&self.usage);
        line.raw(",\"cost_usd\":\"");
        line.0.extend_from_slice(crate::budget::usd(self.cost).as_bytes());
        line.raw(if self.estimated { "\",\"estimated\":true" } else { "\",\"estimated\":false" });
        line.number(",\"status\":", u64::from(self.status));
        line.plain(",\"outcome\":\"", self.outcome.as_str());
        line.raw("\"");
        if let Some(code) = self.code {
            line.text(",\"code\":", code);
        }
        line.number(",\"attempts\":", u64::from(self.attempts));
        line.number(",\"latency_us\":", self.latency_us);
        line.number(",\"first_byte_us\":", self.first_byte_us);
        line.number(",\"overhead_us\":", self.overhead_us);
        let mut would_block = self.would_block.iter().copied().flatten().peekable();
        if would_block.peek().is_some() {
            line.list(",\"would_block\":", would_block.map(ToString::to_string));
        }
        line.raw(if self.above_soft_limit { ",\"above_soft_limit\":true}\n" } else { "}\n" });
    }
}

/// The line so far. `before` is what stands before a value: a comma, the field's name, a colon, perhaps a quote.
struct Line<'a>(&'a mut Vec<u8>);

impl Line<'_> {
    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// `value` needs no escapes; no quotes are added.
    fn plain(&mut self, before: &str, value: &str) {
        self.raw(before);
        self.raw(value);
    }

    /// Names of objects are DNS names: no escapes; no quotes are added.
    fn name(&mut self, before: &str, value: &ObjectName) {
        self.plain(before, &value.namespace);
        self.plain("/", &value.name);
    }

    /// Whatever `value` is, as a JSON string.
    fn text(&mut self, before: &str, value: &str) {
        self.raw(before);
        if value.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\') {
            // A vector takes all that is written.
            let _ = serde_json::to_writer(&mut *self.0, value);
        } else {
            self.plain("\"", value);
            self.raw("\"");
        }
    }

    fn number(&mut self, before: &str, value: u64) {
        self.plain(before, itoa::Buffer::new().format(value));
    }

    fn list<T: AsRef<str>>(&mut self, before: &str, values: impl Iterator<Item = T>) {
        self.raw(before);
        for (index, value) in values.enumerate() {
            self.text(if index == 0 { "[" } else { "," }, value.as_ref());
        }
        self.raw("]");
    }

    fn owner(&mut self, owner: &Owner) {
        let mut comma = "";
        self.raw(",\"owner\":{");
        if let Some(user) = &owner.user {
            self.text("\"user\":", user);
            comma = ",";
        }
        if let Some(team) = &owner.team {
            self.raw(std::mem::replace(&mut comma, ","));
            self.text("\"team\":", team);
        }
        if !owner.groups.is_empty() {
            self.raw(std::mem::replace(&mut comma, ","));
            self.list("\"groups\":", owner.groups.iter());
        }
        if !owner.labels.is_empty() {
            self.raw(comma);
            self.raw("\"labels\":");
            for (index, (name, value)) in owner.labels.iter().enumerate() {
                self.text(if index == 0 { "{" } else { "," }, name);
                self.text(":", value);
            }
            self.raw("}");
        }
        self.raw("}");
    }

    fn leg(&mut self, leg: &Leg) {
        self.plain("{\"target\":\"", &leg.target);
        self.name("\",\"provider\":\"", &leg.provider.name);
        self.text("\",\"model\":", &leg.model.name);
        self.plain(",\"class\":\"", leg.class.as_str());
        self.raw("\"");
        self.tokens(&leg.usage);
        self.plain(",\"cost_usd\":\"", &crate::budget::usd(leg.cost));
        self.raw(if leg.estimated { "\",\"estimated\":true}" } else { "\",\"estimated\":false}" });
    }

    fn tokens(&mut self, usage: &Usage) {
        self.number(",\"usage\":{\"input\":", usage.input);
        self.number(",\"output\":", usage.output);
        let parts = [
            (",\"cached_input\":", usage.cached_input),
            (",\"cache_write\":", usage.cache_write),
            (",\"cache_write_hour\":", usage.cache_write_hour),
            (",\"web_searches\":", usage.web_searches),
            (",\"audio_input\":", usage.audio_input),
            (",\"reasoning\":", usage.reasoning),
            (",\"audio_output\":", usage.audio_output),
        ];
        for (before, n) in parts.into_iter().filter(|(_, n)| *n > 0) {
            self.number(before, n);
        }
        self.raw("}");
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};
    use smartflow_snapshot::{FaultClass, Grants, Overrides, Unsupported};
    use std::collections::BTreeMap;

    pub(crate) fn key() -> Key {
        let mut owner = Owner { user: Some("a \"b\"".into()), team: Some("reds".into()), ..Owner::default() };
        owner.groups = ["x\ty".into()].into();
        owner.labels = std::sync::Arc::new(BTreeMap::from([("cost\n".into(), "4\\2".into())]));
        Key {
            name: ObjectName::new("apps", "ada"),
            token: None,
            owner: Some(Box::new(owner)),
            models: Grants::default(),
            overrides: Overrides::default(),
            unsupported: Unsupported::default(),
            budget: None,
            limits: None,
            disabled: false,
            expires_at: None,
            parents: Box::default(),
            created: 0,
        }
    }

    /// A call of which little is told.
    pub(in crate::telemetry) fn short(key: &Key) -> UsageLine<'_> {
        UsageLine {
            time: 0,
            request_id: "req_1",
            trace_id: None,
            endpoint: "chat",
            key,
            requested_model: "m",
            target: None,
            chain: None,
            legs: &[],
            user: None,
            metadata: None,
            tags: None,
            stream: false,
            usage: Usage::default(),
            cost: 37_500,
            estimated: false,
            status: 200,
            outcome: Outcome::Ok,
            code: None,
            attempts: 1,
            latency_us: 3,
            first_byte_us: 2,
            overhead_us: 1,
            would_block: &[],
            above_soft_limit: false,
        }
    }

    fn written(line: &UsageLine<'_>) -> (Value, Value) {
        let mut out = Vec::new();
        line.write("2026-11-21T14:39:18.000001Z", &mut out);
        assert_eq!(out.iter().filter(|b| **b == b'\n').count(), 1, "one line");
        assert_eq!(out.last(), Some(&b'\n'));
        let value: Value = serde_json::from_slice(&out).unwrap();
        (value["metadata"].clone(), value)
    }

    #[test]
    fn whatever_callers_write_stays_one_line_of_json() {
        let key = key();
        let (dry, chain) = ([ObjectName::new("apps", "later")], ObjectName::new("apps", "chain"));
        let usage = Usage { input: 5, output: 7, cached_input: 2, ..Usage::default() };
        let target = crate::routing::plan::tests::target(3).target;
        let (provider, model, class) = (target.provider, target.model, FaultClass::Timeout);
        let legs = [Leg { target: "t".into(), provider, model, class, usage, cost: 1, estimated: true }];
        let leg = json!({
            "target": "t", "provider": "default/p3", "model": "m", "class": "Timeout",
            "usage": {"input": 5, "output": 7, "cached_input": 2}, "cost_usd": "0.000000001", "estimated": true,
        });
        let line = UsageLine {
            requested_model: "a\"\\\u{1}",
            chain: Some(&chain),
            legs: &legs,
            user: Some("line\nbreak"),
            metadata: Some("{\n \"a\":\r\n\"b\\n\"}"),
            tags: Some("nightly, \"q\""),
            stream: true,
            usage,
            would_block: &[&dry, &[]],
            above_soft_limit: true,
            ..short(&key)
        };
        let (metadata, value) = written(&line);
        assert_eq!(metadata, json!({"a": "b\n"}));
        let owner =
            json!({"user": "a \"b\"", "team": "reds", "groups": ["x\ty"], "labels": {"cost\n": "4\\2"}});
        let expected = json!({
            "time": "2026-11-21T14:39:18.000001Z", "request_id": "req_1", "endpoint": "chat", "key": "apps/ada",
            "owner": owner, "requested_model": "a\"\\\u{1}", "chain": "apps/chain", "legs": [leg], "user": "line\nbreak", "metadata": {"a": "b\n"},
            "tags": ["nightly", "\"q\""], "stream": true, "usage": {"input": 5, "output": 7, "cached_input": 2}, "cost_usd": "0.0000375",
            "estimated": false, "status": 200, "outcome": "ok", "attempts": 1, "latency_us": 3,
            "first_byte_us": 2, "overhead_us": 1, "would_block": ["apps/later"], "above_soft_limit": true,
        });
        assert_eq!(value, expected);
    }
}
