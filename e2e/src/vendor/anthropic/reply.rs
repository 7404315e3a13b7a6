//! The reply that is made of a request: its blocks, token by token, why it stopped and what it counts.

use super::super::answer::split;
use super::super::record::Usage;
use super::super::schema;
use super::request::Asked;
use super::thought::{self, Thinking};
use serde_json::{Value, json};

/// One block; a piece is a token.
pub(super) enum Block {
    Thinking { pieces: Vec<String>, signature: String, shown: bool },
    Redacted(Value),
    Text(Vec<String>),
    Tool { id: String, name: String, pieces: Vec<String> },
}

impl Block {
    /// Tokens that it counts; a tool's name counts as one.
    pub(super) fn tokens(&self) -> u64 {
        let pieces = match self {
            Self::Thinking { pieces, .. } | Self::Text(pieces) => pieces.len(),
            Self::Redacted(_) => 1,
            Self::Tool { pieces, .. } => pieces.len() + 1,
        };
        u64::try_from(pieces).unwrap_or(u64::MAX)
    }

    /// As it stands in a whole reply.
    pub(super) fn whole(&self) -> Value {
        match self {
            Self::Thinking { pieces, signature, shown } => {
                let text = if *shown { pieces.concat() } else { String::new() };
                json!({"type": "thinking", "thinking": text, "signature": signature})
            }
            Self::Redacted(block) => block.clone(),
            Self::Text(pieces) => json!({"type": "text", "text": pieces.concat(), "citations": null}),
            Self::Tool { id, name, pieces } => {
                let input = serde_json::from_str(&pieces.concat()).unwrap_or_else(|_| json!({}));
                json!({"type": "tool_use", "id": id, "name": name, "input": input})
            }
        }
    }

    /// Keeps its first `room` tokens.
    fn cut(&mut self, room: u64) {
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        match self {
            Self::Thinking { pieces, .. } | Self::Text(pieces) => pieces.truncate(room),
            Self::Tool { pieces, .. } => pieces.truncate(room.saturating_sub(1)),
            Self::Redacted(_) => {}
        }
    }
}

/// A whole reply.
pub(super) struct Reply {
    pub(super) blocks: Vec<Block>,
    pub(super) stop: String,
    pub(super) sequence: Option<String>,
    pub(super) usage: Usage,
}

impl Reply {
    pub(super) fn make(asked: &Asked, call: usize) -> Self {
        let mut blocks = thoughts(asked, call);
        let (mut stop, mut sequence) = ("end_turn", None);
        let tools = tools(asked, call);
        if tools.is_empty() {
            let (words, hit) = text(asked);
            if !words.is_empty() {
                blocks.push(Block::Text(words));
            }
            if hit.is_some() {
                (stop, sequence) = ("stop_sequence", hit);
            }
        } else {
            blocks.extend(tools);
            stop = "tool_use";
        }
        if capped(&mut blocks, asked.cap) {
            (stop, sequence) = ("max_tokens", None);
        }
        let stop = asked.script.finish.clone().unwrap_or_else(|| stop.to_owned());
        let completion = blocks.iter().map(Block::tokens).sum();
        let reasoning = blocks.iter().filter(|b| !matches!(b, Block::Text(_) | Block::Tool { .. }));
        let reasoning = reasoning.map(Block::tokens).sum();
        let (prompt, cached, written) = prompt(asked);
        Self { blocks, stop, sequence, usage: Usage { prompt, cached, written, completion, reasoning } }
    }
}

/// What a prompt counts, and the parts of it that were read from the cache and written to it: none without a mark.
pub(super) fn prompt(asked: &Asked) -> (u64, u64, u64) {
    let all = asked.seen.tokens;
    if asked.seen.marks == 0 {
        return (all, 0, 0);
    }
    let cached = asked.script.cached.min(all);
    (all, cached, asked.script.written.min(all - cached))
}

fn thoughts(asked: &Asked, call: usize) -> Vec<Block> {
    if asked.thinking == Thinking::Off {
        return Vec::new();
    }
    let mut blocks: Vec<Block> =
        (0..asked.script.redacted).map(|_| Block::Redacted(thought::redacted(call))).collect();
    let shown = asked.thinking == Thinking::Shown;
    let words = ["I ", "wonder ", "what ", "the ", "mock ", "was ", "told. "];
    let count = usize::try_from(asked.script.thinking).unwrap_or(usize::MAX);
    let pieces: Vec<String> = words.iter().cycle().take(count).map(|w| (*w).to_owned()).collect();
    let signature = thought::sign(call, &if shown { pieces.concat() } else { String::new() });
    blocks.push(Block::Thinking { pieces, signature, shown });
    blocks
}

fn tools(asked: &Asked, call: usize) -> Vec<Block> {
    let id = |at: u64| format!("toolu_mock{call}t{at}");
    let wanted = asked.script.use_tool.as_ref().filter(|_| asked.seen.results == 0);
    if let Some((name, input)) = wanted.filter(|(name, _)| asked.tools.iter().any(|(tool, _)| tool == name)) {
        return vec![Block::Tool { id: id(0), name: name.clone(), pieces: split(input).collect() }];
    }
    let offered = (0..asked.script.tools).zip(asked.tools.iter().cycle());
    offered
        .map(|(at, (name, schema))| {
            let input = schema::example(schema, schema).to_string();
            // A tool without parameters is called without any delta, as Anthropic does.
            let pieces = if input == "{}" { Vec::new() } else { split(&input).collect() };
            Block::Tool { id: id(at), name: name.clone(), pieces }
        })
        .collect()
}

/// The words of the text, and the stop sequence that ended it.
fn text(asked: &Asked) -> (Vec<String>, Option<String>) {
    const ASCII: [&str; 8] = ["the ", "mock ", "vendor ", "says ", "what ", "it ", "was ", "told. "];
    const OTHER: [&str; 8] = ["naïve ", "数据 ", "🦀 ", "привет ", "ça ", "日本 ", "العربية ", "\"\\\n "];
    if let Some(format) = &asked.format {
        return (split(&schema::example(format, format).to_string()).collect(), None);
    }
    if asked.script.echo_images {
        let (url, base64) = asked.seen.images;
        let told = format!("images url={url} base64={base64} documents={}", asked.seen.documents);
        return (split(&told).collect(), None);
    }
    let words = if asked.script.unicode { OTHER } else { ASCII };
    let mut said = String::new();
    let mut pieces = Vec::new();
    for word in words.iter().cycle().take(usize::try_from(asked.script.tokens).unwrap_or(usize::MAX)) {
        let before = said.len();
        said.push_str(word);
        let hit = asked.stops.iter().filter_map(|s| said.find(s.as_str()).map(|at| (at, s))).min();
        if let Some((at, stop)) = hit {
            if at > before {
                pieces.push(said[before..at].to_owned());
            }
            return (pieces, Some(stop.clone()));
        }
        pieces.push((*word).to_owned());
        if u64::try_from(pieces.len()).unwrap_or(u64::MAX) > asked.cap {
            break;
        }
    }
    (pieces, None)
}

/// Cuts the blocks where the cap is reached; true when anything was lost.
fn capped(blocks: &mut Vec<Block>, cap: u64) -> bool {
    let mut room = cap;
    for at in 0..blocks.len() {
        let tokens = blocks[at].tokens();
        if tokens > room {
            blocks[at].cut(room);
            blocks.truncate(if room == 0 { at } else { at + 1 });
            return true;
        }
        room -= tokens;
    }
    false
}
