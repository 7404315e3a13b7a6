//! What a chat request asks the simulation for.

use super::{Refusal, bad_request};
use serde::Deserialize;
use serde_json::Value;

/// The fields that the simulation obeys; it ignores all others, as lenient vendors do.
#[derive(Deserialize, Debug)]
pub(super) struct Request {
    pub(super) model: String,
    pub(super) messages: Vec<Message>,
    pub(super) stream: Option<bool>,
    pub(super) stream_options: Option<StreamOptions>,
    pub(super) max_tokens: Option<u32>,
    pub(super) max_completion_tokens: Option<u32>,
    pub(super) n: Option<u32>,
    pub(super) stop: Option<Stop>,
    pub(super) tools: Option<Vec<Value>>,
    pub(super) tool_choice: Option<Value>,
    pub(super) parallel_tool_calls: Option<bool>,
    pub(super) response_format: Option<Value>,
    pub(super) logprobs: Option<bool>,
    pub(super) top_logprobs: Option<u32>,
}

#[derive(Deserialize, Debug)]
pub(super) struct Message {
    #[serde(default)]
    pub(super) role: String,
    #[serde(default)]
    pub(super) content: Value,
    pub(super) tool_calls: Option<Value>,
}

#[derive(Deserialize, Debug)]
pub(super) struct StreamOptions {
    pub(super) include_usage: Option<bool>,
}

#[derive(Deserialize, Debug)]
#[serde(untagged)]
pub(super) enum Stop {
    One(String),
    Many(Vec<String>),
}

impl Request {
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(body).map_err(|_| bad_request(400, "Simulated: this is not a chat request."))
    }

    pub(super) fn streams(&self) -> bool {
        self.stream == Some(true)
    }

    pub(super) fn include_usage(&self) -> bool {
        self.stream_options.as_ref().and_then(|options| options.include_usage) == Some(true)
    }

    /// Most tokens of one answer.
    pub(super) fn cap(&self) -> usize {
        let cap = self.max_completion_tokens.or(self.max_tokens);
        cap.map_or(usize::MAX, |cap| usize::try_from(cap).unwrap_or(usize::MAX))
    }

    pub(super) fn stops(&self) -> &[String] {
        match &self.stop {
            None => &[],
            Some(Stop::One(stop)) => std::slice::from_ref(stop),
            Some(Stop::Many(stops)) => stops,
        }
    }

    /// The text that is answered: what the user wrote last.
    pub(super) fn prompt(&self) -> String {
        self.messages.iter().rfind(|message| message.role == "user").map(Message::text).unwrap_or_default()
    }

    /// Results of tools that the caller has just sent.
    pub(super) fn tool_results(&self) -> Vec<String> {
        let from = self.messages.iter().rposition(|message| message.role != "tool").map_or(0, |at| at + 1);
        self.messages.get(from..).unwrap_or_default().iter().map(Message::text).collect()
    }

    pub(super) fn images(&self) -> usize {
        self.messages
            .iter()
            .map(|message| message.parts().filter(|part| part["type"] == "image_url").count())
            .sum()
    }

    /// Prompt tokens: a token for four bytes, and OpenAI's few around each message.
    pub(super) fn prompt_tokens(&self) -> u64 {
        let tools =
            self.tools.as_ref().map_or(0, |tools| tools.iter().map(|tool| tool.to_string().len()).sum());
        let format = self.response_format.as_ref().map_or(0, |format| format.to_string().len());
        let calls =
            |message: &Message| message.tool_calls.as_ref().map_or(0, |calls| calls.to_string().len());
        let text: usize =
            self.messages.iter().map(|message| 16 + message.text().len() + calls(message)).sum();
        (3 + 16 * self.images() + (text + tools + format).div_ceil(4)) as u64
    }
}

impl Message {
    fn parts(&self) -> impl Iterator<Item = &Value> {
        self.content.as_array().into_iter().flatten()
    }

    /// Its text, parts joined.
    pub(super) fn text(&self) -> String {
        match &self.content {
            Value::String(text) => text.clone(),
            _ => self.parts().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" "),
        }
    }
}
