//! A plan, written in OpenAI's format.

use super::arguments::Call;
use super::plan::{Choice, Plan};
use super::text::{token_end, tokens};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// When everything simulated was made: answers do not depend on the time.
const CREATED: u64 = 1_700_000_000;

const FINGERPRINT: &str = "simulated";

/// The `chat.completion`.
pub(super) fn whole(plan: &Plan) -> Bytes {
    let choices: Vec<_> =
        plan.choices.iter().enumerate().map(|(index, choice)| whole_choice(plan, index, choice)).collect();
    let body = json!({
        "id": plan.id, "object": "chat.completion", "created": CREATED, "model": plan.model, "choices": choices,
        "usage": plan.usage(), "service_tier": "default", "system_fingerprint": FINGERPRINT,
    });
    body.to_string().into()
}

fn whole_choice(plan: &Plan, index: usize, choice: &Choice) -> Value {
    let mut message =
        json!({"role": "assistant", "content": choice.content, "refusal": null, "annotations": []});
    if !choice.calls.is_empty() {
        message["tool_calls"] = choice.calls.iter().map(whole_call).collect();
    }
    let logprobs = choice.content.as_deref().map_or(Value::Null, |text| logprobs(plan, tokens(text)));
    json!({"index": index, "message": message, "logprobs": logprobs, "finish_reason": choice.finish})
}

fn whole_call(call: &Call) -> Value {
    if call.custom {
        json!({"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}})
    } else {
        json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
    }
}

/// Log-probabilities, when they were asked for: every token was as good as certain.
fn logprobs<'t>(plan: &Plan, tokens: impl Iterator<Item = &'t str>) -> Value {
    let Some(top) = plan.logprobs else { return Value::Null };
    let content: Vec<_> = tokens
        .map(|token| {
            let one = json!({"token": token, "logprob": -0.01, "bytes": token.as_bytes()});
            let mut whole = one.clone();
            whole["top_logprobs"] = if top > 0 { json!([one]) } else { json!([]) };
            whole
        })
        .collect();
    json!({"content": content, "refusal": null})
}

/// What comes next of a choice.
#[derive(Clone, Copy)]
enum At {
    Role,
    Content { byte: usize },
    Call { index: usize },
    Arguments { index: usize, byte: usize },
    Finish,
    Over,
}

/// The events of a stream, written as they are taken; choices take turns.
pub(super) struct Events {
    plan: Plan,
    at: Vec<At>,
    turn: usize,
    tail: Tail,
    include_usage: bool,
    /// Events left before the stream breaks off.
    left: Option<usize>,
}

enum Tail {
    Usage,
    Done,
    Over,
}

impl Events {
    pub(super) fn new(plan: Plan, include_usage: bool, cut: bool) -> Self {
        // Role and finish are an event each; tokens are the rest.
        let events: usize = plan.choices.iter().map(|choice| 2 + choice.tokens).sum();
        let at = plan.choices.iter().map(|_| At::Role).collect();
        Self { plan, at, turn: 0, tail: Tail::Usage, include_usage, left: cut.then_some(events / 2) }
    }

    fn chunk(&self, choices: &Value, usage: Value) -> Bytes {
        let plan = &self.plan;
        let mut chunk = json!({
            "id": plan.id, "object": "chat.completion.chunk", "created": CREATED, "model": plan.model,
            "service_tier": "default", "system_fingerprint": FINGERPRINT, "choices": choices,
        });
        if self.include_usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n").into()
    }

    fn choice(&self, index: usize, delta: Value, finish: Value, logprobs: Value) -> Bytes {
        let choice = json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish});
        self.chunk(&json!([choice]), Value::Null)
    }

    /// The next event of choice `index`, and where it then is; `None` when it is over.
    fn step(&self, index: usize, at: At) -> Option<(Bytes, At)> {
        let choice = self.plan.choices.get(index)?;
        let plain = |delta: Value| self.choice(index, delta, Value::Null, Value::Null);
        match at {
            At::Role => {
                let content = choice.content.as_ref().map(|_| "");
                let next = if content.is_some() { At::Content { byte: 0 } } else { At::Call { index: 0 } };
                Some((plain(json!({"role": "assistant", "content": content, "refusal": null})), next))
            }
            At::Content { byte } => {
                let text = choice.content.as_deref().unwrap_or_default();
                let end = token_end(text, byte);
                if end == byte {
                    return self.step(index, At::Finish);
                }
                let token = &text[byte..end];
                let logprobs = logprobs(&self.plan, std::iter::once(token));
                let event = self.choice(index, json!({"content": token}), Value::Null, logprobs);
                Some((event, At::Content { byte: end }))
            }
            At::Call { index: call } => {
                let Some(called) = choice.calls.get(call) else { return self.step(index, At::Finish) };
                let mut begun = whole_call(&Call { arguments: String::new(), ..called.clone() });
                begun["index"] = json!(call);
                Some((plain(json!({"tool_calls": [begun]})), At::Arguments { index: call, byte: 0 }))
            }
            At::Arguments { index: call, byte } => {
                let called = choice.calls.get(call)?;
                let end = token_end(&called.arguments, byte);
                if end == byte {
                    return self.step(index, At::Call { index: call + 1 });
                }
                let more = more(call, called.custom, &called.arguments[byte..end]);
                Some((plain(json!({"tool_calls": [more]})), At::Arguments { index: call, byte: end }))
            }
            At::Finish => Some((self.choice(index, json!({}), json!(choice.finish), Value::Null), At::Over)),
            At::Over => None,
        }
    }

    fn next_of_choices(&mut self) -> Option<Bytes> {
        for _ in 0..self.at.len() {
            let index = self.turn;
            self.turn = (self.turn + 1) % self.at.len();
            if let Some((event, next)) = self.at.get(index).and_then(|at| self.step(index, *at)) {
                self.at[index] = next;
                return Some(event);
            }
        }
        None
    }
}

fn more(index: usize, custom: bool, text: &str) -> Value {
    let (kind, name) = if custom { ("custom", "input") } else { ("function", "arguments") };
    let mut call = Map::new();
    call.insert("index".to_owned(), json!(index));
    call.insert(kind.to_owned(), json!({ name: text }));
    Value::Object(call)
}

impl Iterator for Events {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1)?;
        }
        if let Some(event) = self.next_of_choices() {
            return Some(event);
        }
        match self.tail {
            Tail::Usage if self.include_usage => {
                self.tail = Tail::Done;
                Some(self.chunk(&json!([]), self.plan.usage()))
            }
            Tail::Usage | Tail::Done => {
                self.tail = Tail::Over;
                Some(Bytes::from_static(smartflow_dialect::openai::DONE))
            }
            Tail::Over => None,
        }
    }
}
