//! Top-level fields of a request for a message, as Anthropic checks them.

use super::super::fields::{Fields, Type};
use super::super::script::Script;
use super::super::{Config, ModelSpec};
use super::content::{self, Seen, count};
use super::reject::{Reject, needs};
use super::thought::{self, Thinking};
use super::{Ways, block, tool};
use serde_json::Value;

/// A request that passed all checks.
pub(super) struct Asked {
    pub(super) model: ModelSpec,
    pub(super) stream: bool,
    pub(super) cap: u64,
    pub(super) tools: Vec<(String, Value)>,
    pub(super) format: Option<Value>,
    pub(super) thinking: Thinking,
    pub(super) stops: Vec<String>,
    pub(super) script: Script,
    pub(super) seen: Seen,
}

/// Most blocks that may be marked for the cache.
const MOST_MARKS: u64 = 4;

/// The fields that both endpoints know.
const BOTH: &[(&str, Type)] = &[
    ("model", Type::Text),
    ("messages", Type::Array),
    ("cache_control", Type::Object),
    ("context_management", Type::Object),
    ("mcp_servers", Type::Array),
    ("output_config", Type::Object),
    ("speed", Type::Text),
    ("system", Type::TextOrArray),
    ("thinking", Type::Object),
    ("tool_choice", Type::Object),
    ("tools", Type::Array),
];

/// Those that only a request for a message has.
const MESSAGE: &[(&str, Type)] = &[
    ("container", Type::TextOrObject),
    ("diagnostics", Type::Object),
    ("inference_geo", Type::Text),
    ("max_tokens", Type::Integer),
    ("metadata", Type::Object),
    ("service_tier", Type::Text),
    ("stop_sequences", Type::Array),
    ("stream", Type::Bool),
    ("temperature", Type::Number),
    ("top_k", Type::Integer),
    ("top_p", Type::Number),
];

impl Asked {
    /// Reads a request for a message.
    pub(super) fn read(body: &[u8], ways: Ways, config: &Config) -> Result<Self, Reject> {
        let fields = fields(body, config, true)?;
        if let Some(name) =
            ["temperature", "top_p", "top_k"].into_iter().find(|n| ways.newer && fields.get(n).is_some())
        {
            return Err(Reject::field(name, "Extra inputs are not permitted"));
        }
        let model = model(&fields, config)?;
        let cap = cap(&fields, &model)?;
        let thinking = thought::read(&fields, cap, model.reasoning)?;
        let mut asked = Self::common(&fields, model, cap, thinking, ways)?;
        asked.stream = fields.get("stream").and_then(Value::as_bool).unwrap_or(false);
        asked.stops = stops(&fields)?;
        for name in ["temperature", "top_p"] {
            if fields.get(name).and_then(Value::as_f64).is_some_and(|v| !(0.0..=1.0).contains(&v)) {
                return Err(Reject::field(name, "range: 0..1"));
            }
        }
        metadata(&fields)?;
        asked.script = Script::read(&asked.seen.last_user)
            .map_err(|e| Reject::field("messages", format!("bad script: {e}")))?;
        tool::choice(&fields, &mut asked)?;
        Ok(asked)
    }

    /// Reads a request for a count.
    pub(super) fn to_count(body: &[u8], ways: Ways, config: &Config) -> Result<Self, Reject> {
        let fields = fields(body, config, false)?;
        let model = model(&fields, config)?;
        let thinking = thought::read(&fields, u64::MAX, model.reasoning)?;
        Self::common(&fields, model, 0, thinking, ways)
    }

    fn common(
        fields: &Fields,
        model: ModelSpec,
        cap: u64,
        thinking: Thinking,
        ways: Ways,
    ) -> Result<Self, Reject> {
        let mut seen = Seen::default();
        system(fields.get("system"), &mut seen)?;
        let tools = tool::offered(fields, &mut seen)?;
        let messages = fields.get("messages").ok_or_else(|| needs("messages", None, ""))?;
        content::check(messages, thinking != Thinking::Off, ways.system_turns, &mut seen)?;
        if seen.tools && tools.is_empty() {
            let text = "Requests which include `tool_use` or `tool_result` blocks must define tools";
            return Err(Reject::new(400, text));
        }
        seen.marks += u64::from(fields.get("cache_control").is_some());
        if seen.marks > MOST_MARKS {
            let text = format!(
                "A maximum of {MOST_MARKS} blocks with cache_control may be provided. Found {}.",
                seen.marks
            );
            return Err(Reject::new(400, text));
        }
        let format = tool::format(fields)?;
        let script = Script::default();
        Ok(Self { model, stream: false, cap, tools, format, thinking, stops: Vec::new(), script, seen })
    }
}

fn fields(body: &[u8], config: &Config, message: bool) -> Result<Fields, Reject> {
    let fields = Fields::parse(body)
        .ok_or_else(|| Reject::new(400, "The request body is not valid JSON: it must be an object."))?;
    if let Some(name) = fields.twice() {
        return Err(Reject::field(name, "was given twice"));
    }
    for (name, value) in fields.all() {
        let known = BOTH.iter().chain(if message { MESSAGE } else { &[] }).find(|(known, _)| known == name);
        match known {
            None if config.lenient => {}
            None => return Err(Reject::field(name, "Extra inputs are not permitted")),
            Some((_, kind)) if !value.is_null() && !kind.fits(value) => {
                return Err(needs(name, Some(value), &format!("a valid {}", kind.words())));
            }
            Some(_) => {}
        }
    }
    Ok(fields)
}

fn model(fields: &Fields, config: &Config) -> Result<ModelSpec, Reject> {
    let name = fields.get("model").and_then(Value::as_str).ok_or_else(|| needs("model", None, ""))?;
    let found = config.models.iter().find(|m| m.name == name);
    found.cloned().ok_or_else(|| Reject::new(404, format!("model: {name}")))
}

fn cap(fields: &Fields, model: &ModelSpec) -> Result<u64, Reject> {
    let given = fields.get("max_tokens").ok_or_else(|| needs("max_tokens", None, ""))?;
    let cap = given.as_u64().filter(|n| *n > 0);
    let cap = cap.ok_or_else(|| Reject::field("max_tokens", "must be greater than or equal to 1"))?;
    if cap > model.max_output {
        let text = format!(
            "{cap} > {}, which is the maximum allowed number of output tokens for {}",
            model.max_output, model.name
        );
        return Err(Reject::field("max_tokens", text));
    }
    Ok(cap)
}

fn system(system: Option<&Value>, seen: &mut Seen) -> Result<(), Reject> {
    match system {
        Some(Value::String(text)) => {
            count(seen, text);
            Ok(())
        }
        Some(Value::Array(list)) => list.iter().enumerate().try_for_each(|(at, part)| {
            block::mark(part, seen);
            match part["type"].as_str() {
                Some("text") => block::text(&format!("system.{at}"), part, seen),
                _ => Err(Reject::field(format!("system.{at}.type"), "Input should be 'text'")),
            }
        }),
        _ => Ok(()),
    }
}

fn stops(fields: &Fields) -> Result<Vec<String>, Reject> {
    let list = fields.get("stop_sequences").and_then(Value::as_array).into_iter().flatten().enumerate();
    list.map(|(at, stop)| match stop.as_str() {
        None => Err(Reject::field(format!("stop_sequences.{at}"), "Input should be a valid string")),
        Some(stop) if stop.trim().is_empty() => {
            Err(Reject::field("stop_sequences", "each stop sequence must contain non-whitespace"))
        }
        Some(stop) => Ok(stop.to_owned()),
    })
    .collect()
}

fn metadata(fields: &Fields) -> Result<(), Reject> {
    let Some(metadata) = fields.get("metadata").and_then(Value::as_object) else { return Ok(()) };
    if let Some(other) = metadata.keys().find(|k| *k != "user_id") {
        return Err(Reject::field(format!("metadata.{other}"), "Extra inputs are not permitted"));
    }
    match metadata.get("user_id") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(id)) if id.contains('@') => {
            Err(Reject::field("metadata.user_id", "user_id appears to contain an email address"))
        }
        Some(Value::String(_)) => Ok(()),
        other => Err(needs("metadata.user_id", other, "a valid string")),
    }
}
