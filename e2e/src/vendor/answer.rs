//! What was asked for, once checked, and the reply that is made of it.

use super::fields::{CHAT, Fields};
use super::messages::{self, Seen, text_tokens};
use super::record::Usage;
use super::reject::Reject;
use super::script::Script;
use super::{Config, ModelSpec, schema};
use serde_json::{Value, json};

/// A chat request that passed all checks.
pub(super) struct Asked {
    pub(super) model: ModelSpec,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) n: u64,
    pub(super) cap: Option<u64>,
    pub(super) tools: Vec<(String, Value)>,
    pub(super) format: Option<Value>,
    pub(super) script: Script,
    pub(super) seen: Seen,
}

/// Most choices that one request may ask for.
const MOST_CHOICES: u64 = 128;

impl Asked {
    pub(super) fn read(body: &[u8], config: &Config) -> Result<Self, Reject> {
        let fields = Fields::read(body)?;
        fields.check(CHAT, config.lenient)?;
        let model = model(&fields, config, false)?;
        let seen = messages::check(fields.need("messages")?)?;
        let stream = fields.flag("stream");
        let include_usage = stream_options(&fields, stream)?;
        let cap = cap(&fields, &model)?;
        let n = fields.integer("n", 1, MOST_CHOICES)?.unwrap_or(1);
        let mut tools = tools(&fields)?;
        let mut script =
            Script::read(&seen.last_user).map_err(|e| Reject::new(400, Some("bad_script"), e))?;
        choice(&fields, &mut tools, &mut script)?;
        if seen.results > 0 {
            script.tools = 0;
            script.use_tool = None;
        }
        let format = format(&fields)?;
        let mut seen = seen;
        seen.tokens += fields.get("tools").map_or(0, |t| text_tokens(&t.to_string()));
        Ok(Self { model, stream, include_usage, n, cap, tools, format, script, seen })
    }
}

/// The model that a request names, of the right sort.
pub(super) fn model(fields: &Fields, config: &Config, embedding: bool) -> Result<ModelSpec, Reject> {
    let name = fields.get("model").and_then(Value::as_str);
    let name = name.ok_or_else(|| Reject::new(400, None, "you must provide a model parameter"))?;
    let found = config.models.iter().find(|m| m.name == name && m.dimensions.is_some() == embedding);
    found.cloned().ok_or_else(|| {
        let text = format!("The model `{name}` does not exist or you do not have access to it.");
        Reject::new(404, Some("model_not_found"), text)
    })
}

fn stream_options(fields: &Fields, stream: bool) -> Result<bool, Reject> {
    let Some(options) = fields.get("stream_options") else { return Ok(false) };
    if !stream {
        let text = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Reject::param("stream_options", "invalid_value", text));
    }
    match &options["include_usage"] {
        Value::Null => Ok(false),
        Value::Bool(asked) => Ok(*asked),
        other => Err(Reject::wrong_type("stream_options.include_usage", "a boolean", other)),
    }
}

fn cap(fields: &Fields, model: &ModelSpec) -> Result<Option<u64>, Reject> {
    let old = fields.integer("max_tokens", 1, model.max_output)?;
    let new = fields.integer("max_completion_tokens", 1, model.max_output)?;
    if old.is_some() && new.is_some() {
        let text = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.";
        return Err(Reject::param("max_tokens", "invalid_parameter_combination", text));
    }
    if old.is_some() && model.reasoning {
        let text = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                    'max_completion_tokens' instead.";
        return Err(Reject::param("max_tokens", "unsupported_parameter", text));
    }
    Ok(old.or(new))
}

fn tools(fields: &Fields) -> Result<Vec<(String, Value)>, Reject> {
    let Some(list) = fields.get("tools").and_then(Value::as_array) else { return Ok(Vec::new()) };
    if list.is_empty() {
        let text = "Invalid 'tools': empty array. Expected an array with minimum length 1.";
        return Err(Reject::param("tools", "empty_array", text));
    }
    let one = |(at, tool): (usize, &Value)| {
        let name = tool["function"]["name"].as_str().filter(|_| tool["type"] == "function");
        let name = name.ok_or_else(|| {
            let path = format!("tools[{at}].function.name");
            Reject::param(
                &path,
                "missing_required_parameter",
                format!("Missing required parameter: '{path}'."),
            )
        })?;
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(fine) {
            let path = format!("tools[{at}].function.name");
            return Err(Reject::param(
                path,
                "invalid_value",
                "Expected a string that matches ^[a-zA-Z0-9_-]{1,64}$.",
            ));
        }
        Ok((name.to_owned(), tool["function"]["parameters"].clone()))
    };
    list.iter().enumerate().map(one).collect()
}

fn choice(fields: &Fields, tools: &mut [(String, Value)], script: &mut Script) -> Result<(), Reject> {
    let choice = fields.get("tool_choice");
    script.use_tool.take_if(|(name, _)| !tools.iter().any(|(tool, _)| tool == name));
    if script.use_tool.is_some() {
        script.tools = 1;
    }
    if tools.is_empty() {
        for name in ["tool_choice", "parallel_tool_calls"] {
            if fields.get(name).is_some() {
                let text = format!("'{name}' is only allowed when 'tools' are specified.");
                return Err(Reject::param(name, "invalid_value", text));
            }
        }
        script.tools = 0;
        return Ok(());
    }
    match choice {
        Some(Value::String(word)) if word == "none" => script.tools = 0,
        Some(Value::String(word)) if word == "required" => script.tools = script.tools.max(1),
        Some(Value::String(word)) if word == "auto" => {}
        Some(Value::Object(named)) => {
            let name = named.get("function").map_or(&Value::Null, |f| &f["name"]);
            let Some(at) = tools.iter().position(|(t, _)| name == t) else {
                let text = format!("Tool choice {name} not found in 'tools' parameter.");
                return Err(Reject::param("tool_choice", "invalid_value", text));
            };
            tools.rotate_left(at);
            script.tools = 1;
        }
        Some(other) => {
            return Err(Reject::param("tool_choice", "invalid_value", format!("Invalid value: {other}.")));
        }
        None => {}
    }
    if fields.get("parallel_tool_calls") == Some(&json!(false)) {
        script.tools = script.tools.min(1);
    }
    Ok(())
}

fn format(fields: &Fields) -> Result<Option<Value>, Reject> {
    let Some(format) = fields.get("response_format") else { return Ok(None) };
    match format["type"].as_str() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(json!({"type": "object"}))),
        Some("json_schema") if format["json_schema"]["name"].is_string() => {
            let schema = format["json_schema"]["schema"].clone();
            if format["json_schema"]["strict"] == json!(true) {
                schema::check_strict(&schema, "()")?;
            }
            Ok(Some(schema))
        }
        Some("json_schema") => {
            let path = "response_format.json_schema.name";
            Err(Reject::param(
                path,
                "missing_required_parameter",
                format!("Missing required parameter: '{path}'."),
            ))
        }
        _ => Err(Reject::param("response_format.type", "invalid_value", "Invalid response_format.type.")),
    }
}

/// One token of output.
pub(super) enum Piece {
    Text(String),
    Tool { index: u64, id: String, name: String },
    Arguments { index: u64, text: String },
}

/// One choice: shown tokens and why it stopped.
pub(super) struct Choice {
    pub(super) pieces: Vec<Piece>,
    pub(super) finish: &'static str,
}

/// A whole reply.
pub(super) struct Reply {
    pub(super) choices: Vec<Choice>,
    pub(super) usage: Usage,
}

impl Reply {
    pub(super) fn make(asked: &Asked, call: usize) -> Self {
        let cap = asked.cap.unwrap_or(asked.model.max_output);
        let reasoning = if asked.model.reasoning { asked.script.reasoning.min(cap) } else { 0 };
        let choices: Vec<Choice> = (0..asked.n).map(|n| one(asked, call, n, cap - reasoning)).collect();
        let shown = choices.iter().map(|c| u64::try_from(c.pieces.len()).unwrap_or(u64::MAX)).sum::<u64>();
        let hidden = reasoning * asked.n;
        let prompt = asked.seen.tokens;
        let cached = asked.script.cached.min(prompt);
        Self {
            choices,
            usage: Usage { prompt, cached, written: 0, completion: shown + hidden, reasoning: hidden },
        }
    }
}

fn one(asked: &Asked, call: usize, n: u64, room: u64) -> Choice {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let (mut pieces, finish) = if asked.script.tools > 0 {
        (tool_calls(asked, call, n), "tool_calls")
    } else if let Some(format) = &asked.format {
        (split(&schema::example(format, format).to_string()).map(Piece::Text).collect(), "stop")
    } else {
        (text(asked, room), "stop")
    };
    let finish =
        if pieces.len() > room || (room < wished(asked) && finish == "stop") { "length" } else { finish };
    pieces.truncate(room);
    Choice { pieces, finish }
}

fn wished(asked: &Asked) -> usize {
    let plain = asked.format.is_none() && !asked.script.echo_images;
    if plain { usize::try_from(asked.script.tokens).unwrap_or(usize::MAX) } else { 0 }
}

fn text(asked: &Asked, room: usize) -> Vec<Piece> {
    const ASCII: [&str; 8] = ["the ", "mock ", "vendor ", "says ", "what ", "it ", "was ", "told. "];
    const OTHER: [&str; 8] = ["naïve ", "数据 ", "🦀 ", "привет ", "ça ", "日本 ", "العربية ", "\"\\\n "];
    if asked.script.echo_images {
        let (url, base64) = asked.seen.images;
        return split(&format!("images url={url} base64={base64}")).map(Piece::Text).collect();
    }
    let words = if asked.script.unicode { OTHER } else { ASCII };
    let count = wished(asked).min(room);
    words.iter().cycle().take(count).map(|w| Piece::Text((*w).to_owned())).collect()
}

fn tool_calls(asked: &Asked, call: usize, n: u64) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if let Some((name, input)) = &asked.script.use_tool {
        let id = format!("call_mock{call}n{n}t0");
        pieces.push(Piece::Tool { index: 0, id, name: name.clone() });
        pieces.extend(split(input).map(|text| Piece::Arguments { index: 0, text }));
        return pieces;
    }
    for (index, (name, parameters)) in (0..asked.script.tools).zip(asked.tools.iter().cycle()) {
        let id = format!("call_mock{call}n{n}t{index}");
        pieces.push(Piece::Tool { index, id, name: name.clone() });
        let arguments = schema::example(parameters, parameters).to_string();
        pieces.extend(split(&arguments).map(|text| Piece::Arguments { index, text }));
    }
    pieces
}

/// A text in tokens of up to six characters.
pub(super) fn split(text: &str) -> impl Iterator<Item = String> + use<> {
    let letters: Vec<char> = text.chars().collect();
    let pieces: Vec<String> = letters.chunks(6).map(|c| c.iter().collect()).collect();
    pieces.into_iter()
}
