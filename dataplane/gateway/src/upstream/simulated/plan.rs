//! An answer decided: what each choice says and what it costs, before any of it is written.

use super::arguments::{self, Call};
use super::request::Request;
use super::seed::Seed;
use super::{label, schema, text};
use serde_json::{Value, json};

/// One choice.
#[derive(Debug)]
pub(super) struct Choice {
    /// Its text; `None` when it calls tools.
    pub(super) content: Option<String>,
    pub(super) calls: Vec<Call>,
    pub(super) finish: &'static str,
    pub(super) tokens: usize,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) choices: Vec<Choice>,
    pub(super) prompt_tokens: u64,
    pub(super) logprobs: Option<u32>,
}

impl Plan {
    pub(super) fn new(request: &Request) -> Self {
        let mut asked = request.model.clone();
        for message in &request.messages {
            asked.push('\n');
            asked.push_str(&message.role);
            asked.push_str(&message.content.to_string());
        }
        let mut seed = Seed::of(asked.as_bytes());
        let calls = arguments::calls(request, seed);
        let choices = (0..request.n.unwrap_or(1).clamp(1, 128))
            .map(|index| match &calls {
                Some(calls) => calling(calls, index, request.cap()),
                None => saying(request, index, seed),
            })
            .collect();
        Self {
            id: format!("chatcmpl-simulated-{:016x}", seed.next()),
            model: label(&request.model),
            choices,
            prompt_tokens: request.prompt_tokens(),
            logprobs: (request.logprobs == Some(true)).then(|| request.top_logprobs.unwrap_or(0)),
        }
    }

    /// `usage`, as OpenAI reports it.
    pub(super) fn usage(&self) -> Value {
        let completion: usize = self.choices.iter().map(|choice| choice.tokens).sum();
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion as u64,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        })
    }
}

fn saying(request: &Request, index: u32, seed: Seed) -> Choice {
    let mut content =
        formatted(request).unwrap_or_else(|| text::answer(request, index, seed.part(index.into())));
    let stop =
        request.stops().iter().filter(|stop| !stop.is_empty()).filter_map(|stop| content.find(stop)).min();
    if let Some(stop) = stop {
        content.truncate(stop);
    }
    let (kept, tokens, whole) = text::cut(&content, request.cap());
    let content = Some(kept.to_owned());
    Choice { content, calls: Vec::new(), finish: if whole { "stop" } else { "length" }, tokens }
}

/// The answer in the format that was asked for; `None` = as text.
fn formatted(request: &Request) -> Option<String> {
    let format = request.response_format.as_ref()?;
    match format["type"].as_str()? {
        "json_schema" => Some(schema::instance(&format["json_schema"]["schema"]).to_string()),
        "json_object" => Some(json!({"simulated": true, "prompt": request.prompt()}).to_string()),
        _ => None,
    }
}

/// Calls, cut where the cap falls: a call that is cut stays visible, with arguments that end early.
fn calling(calls: &[Call], index: u32, cap: usize) -> Choice {
    let mut choice = Choice { content: None, calls: Vec::new(), finish: "tool_calls", tokens: 0 };
    for call in calls {
        if choice.tokens >= cap {
            choice.finish = "length";
            break;
        }
        // One for the name.
        choice.tokens += 1;
        let (kept, tokens, whole) = text::cut(&call.arguments, cap - choice.tokens);
        choice.tokens += tokens;
        let id = if index == 0 { call.id.clone() } else { format!("{}_{index}", call.id) };
        choice.calls.push(Call { id, arguments: kept.to_owned(), ..call.clone() });
        if !whole {
            choice.finish = "length";
            break;
        }
    }
    choice
}
