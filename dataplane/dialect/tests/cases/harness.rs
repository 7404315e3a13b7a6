//! Runs a case and brings what comes out into a form that can be compared.

use serde_json::{Value, json};
use smartflow_dialect::Dialect;
use smartflow_dialect::openai::BadRequest;
use smartflow_dialect::translate::{
    Memory, Stream, StreamEnd, StreamFault, TargetFacts, ThinkingSupport, Translated, TranslatedReply, reply,
    request,
};

pub const NOW: u64 = 1_790_000_000;

/// A target that knows all that its dialect knows today.
pub fn facts() -> TargetFacts<'static> {
    TargetFacts {
        max_output: Some(8192),
        thinking: ThinkingSupport::Effort,
        structured_output: true,
        now: NOW,
        ..TargetFacts::new("upstream-model")
    }
}

pub fn other(dialect: Dialect) -> Dialect {
    match dialect {
        Dialect::OpenAi => Dialect::Anthropic,
        Dialect::Anthropic => Dialect::OpenAi,
    }
}

/// One caller's view: he speaks `caller`, the provider the other dialect.
pub struct Case {
    pub caller: Dialect,
    pub facts: TargetFacts<'static>,
}

impl Case {
    pub fn translated(&self, body: &Value) -> Result<Translated, BadRequest> {
        request(self.caller, other(self.caller), body.to_string().as_bytes(), &self.facts)
    }

    /// The request that the provider gets; nothing may be dropped.
    pub fn request(&self, body: Value) -> Value {
        let (sent, dropped) = self.request_dropping(body);
        assert_eq!(dropped, [""; 0]);
        sent
    }

    /// The request that the provider gets, and what was dropped.
    pub fn request_dropping(&self, body: Value) -> (Value, Vec<String>) {
        let translated = self.translated(&body).unwrap();
        let sent = serde_json::from_slice(&translated.body).unwrap();
        (long_form(sent), translated.dropped.into_iter().map(|path| path.into_owned()).collect())
    }

    /// Why the request is refused: the field and the words.
    pub fn refused(&self, body: Value) -> (String, String) {
        let fault = self.translated(&body).unwrap_err();
        (fault.param().unwrap_or_default().to_owned(), fault.to_string())
    }

    pub fn memory(&self, body: Value) -> Memory {
        self.translated(&body).unwrap().memory
    }

    /// The answer that the caller gets for the provider's `answer` to `body`.
    pub fn reply_to(&self, body: Value, answer: Value) -> (Value, TranslatedReply) {
        let memory = self.memory(body);
        let translated =
            reply(other(self.caller), self.caller, answer.to_string().as_bytes(), &memory).unwrap();
        (serde_json::from_slice(&translated.body).unwrap(), translated)
    }

    /// The events that the caller gets for the provider's stream, however it is cut, and how it ended. Carriage returns
    /// and byte order marks make no difference.
    pub fn stream(&self, body: Value, vendor: &str) -> Streamed {
        let memory = self.memory(body);
        let whole = self.run(&memory, &[vendor.as_bytes()]);
        let bytes: Vec<_> = vendor.as_bytes().chunks(1).collect();
        assert_eq!(self.run(&memory, &bytes), whole, "byte by byte");
        for size in [2, 3, 7, 64] {
            let pieces: Vec<_> = vendor.as_bytes().chunks(size).collect();
            assert_eq!(self.run(&memory, &pieces), whole, "in pieces of {size}");
        }
        for split in 1..vendor.len() {
            let (one, two) = vendor.as_bytes().split_at(split);
            assert_eq!(self.run(&memory, &[one, two]), whole, "cut at {split}");
        }
        let windows = format!("\u{feff}{}", vendor.replace('\n', "\r\n"));
        let bytes: Vec<_> = windows.as_bytes().chunks(1).collect();
        assert_eq!(self.run(&memory, &bytes), whole, "with carriage returns");
        whole
    }

    fn run(&self, memory: &Memory, pieces: &[&[u8]]) -> Streamed {
        let mut stream = Stream::new(other(self.caller), self.caller, memory.clone(), 1 << 20);
        let mut out = Vec::new();
        let fed = pieces.iter().try_for_each(|piece| stream.feed(piece, &mut out));
        let end = fed.and_then(|()| stream.end(&mut out));
        Streamed {
            events: events(std::str::from_utf8(&out).unwrap()),
            end,
            content_bytes: stream.content_bytes(),
        }
    }
}

/// What came of a stream.
#[derive(PartialEq, Debug)]
pub struct Streamed {
    /// (name, data); `[DONE]` and comments are strings.
    pub events: Vec<(String, Value)>,
    pub end: Result<StreamEnd, StreamFault>,
    pub content_bytes: u64,
}

impl Streamed {
    pub fn data(&self) -> Vec<Value> {
        self.events.iter().map(|(_, data)| data.clone()).collect()
    }

    /// `choices[0].delta` of every chunk that has one and says something.
    pub fn deltas(&self) -> Vec<Value> {
        let delta = |data: &Value| data.pointer("/choices/0/delta").cloned();
        let deltas = self.events.iter().filter_map(|(_, data)| delta(data));
        deltas.filter(|delta| delta.as_object().is_some_and(|delta| !delta.is_empty())).collect()
    }
}

fn events(text: &str) -> Vec<(String, Value)> {
    text.split_terminator("\n\n")
        .map(|event| {
            let field =
                |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            let data = field("data: ");
            let value = serde_json::from_str(data).unwrap_or_else(|_| json!(data));
            let value = if data.is_empty() { json!(event) } else { value };
            (field("event: ").to_owned(), value)
        })
        .collect()
}

/// Events in the way Anthropic writes them: named as their type.
pub fn anthropic_events(events: &[Value]) -> String {
    let named = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    events.iter().map(named).collect()
}

/// Events in the way OpenAI writes them, closed by `[DONE]`.
pub fn openai_events(events: &[Value]) -> String {
    let all: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    all + "data: [DONE]\n\n"
}

/// Both formats let a text stand for a list of one text; here it never does.
fn long_form(mut body: Value) -> Value {
    fn lengthen(content: &mut Value) {
        if let Some(text) = content.as_str() {
            *content = json!([{"type": "text", "text": text}]);
        }
        for part in content.as_array_mut().into_iter().flatten() {
            if part["type"] == "tool_result" && part.get("content").is_some() {
                lengthen(&mut part["content"]);
            }
        }
    }
    if body.get("system").is_some() {
        lengthen(&mut body["system"]);
    }
    for message in body["messages"].as_array_mut().into_iter().flatten() {
        lengthen(&mut message["content"]);
    }
    body
}
