//! The request that a load repeats.

use super::Args;
use crate::prompt::prose;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A chat, answered whole
    Chat,
    /// A chat, answered as a stream with usage at its end
    ChatStream,
    /// An embedding
    Embeddings,
}

impl Kind {
    fn path(self) -> &'static str {
        match self {
            Self::Chat | Self::ChatStream => "/v1/chat/completions",
            Self::Embeddings => "/v1/embeddings",
        }
    }

    /// Text that only a complete good answer has.
    fn proof(self) -> &'static [u8] {
        match self {
            Self::Chat => b"\"choices\"",
            Self::ChatStream => b"data: [DONE]",
            Self::Embeddings => b"\"embedding\"",
        }
    }

    /// The model of the benchmark's worlds that answers this kind.
    #[must_use]
    pub fn model(self) -> &'static str {
        match self {
            Self::Chat | Self::ChatStream => "gpt-4o-mini",
            Self::Embeddings => "text-embedding-3-small",
        }
    }

    /// Fields in the order in which clients write them. The model's name and the prompt need no escape.
    fn body(self, model: &str, prompt: &str) -> String {
        let chat = format!(r#""model":"{model}","messages":[{{"role":"user","content":"{prompt}"}}]"#);
        match self {
            Self::Chat => format!("{{{chat}}}"),
            Self::ChatStream => {
                format!(r#"{{{chat},"stream":true,"stream_options":{{"include_usage":true}}}}"#)
            }
            Self::Embeddings => format!(r#"{{"model":"{model}","input":"{prompt}"}}"#),
        }
    }
}

/// A request as it goes over the wire, and how its answer is known to be good.
pub(super) struct Ask {
    pub(super) target: std::net::SocketAddr,
    pub(super) bytes: Vec<u8>,
    pub(super) proof: &'static [u8],
    pub(super) streamed: bool,
}

impl Ask {
    pub(super) fn new(args: &Args) -> Self {
        let model = args.model.as_deref().unwrap_or(args.kind.model());
        let body = args.kind.body(model, &prose(args.prompt_bytes));
        let mut lines = vec![
            format!("POST {} HTTP/1.1", args.kind.path()),
            format!("host: {}", args.target),
            "user-agent: smartflow-bench".to_owned(),
            "accept: */*".to_owned(),
            "content-type: application/json".to_owned(),
            format!("content-length: {}", body.len()),
        ];
        lines.extend(args.headers.iter().cloned());
        Self {
            target: args.target,
            bytes: format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes(),
            proof: args.kind.proof(),
            streamed: args.kind == Kind::ChatStream,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::ValueEnum;
    use serde_json::Value;

    #[test]
    fn every_body_is_json_that_names_the_model() {
        for kind in Kind::value_variants() {
            let body: Value = serde_json::from_str(&kind.body("m", &prose(300))).unwrap();
            assert_eq!(body.pointer("/model").unwrap(), "m");
            assert_eq!(body.pointer("/stream").is_some(), *kind == Kind::ChatStream);
        }
    }
}
