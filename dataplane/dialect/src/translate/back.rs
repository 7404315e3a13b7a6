//! There and back through the other format: what both carry comes back equal.

use super::{Memory, Stream, TargetFacts, ThinkingSupport};
use crate::Dialect;
use crate::chat::arbitrary::{chat, deltas, reply};
use crate::chat::{CacheMark, Chat, Choice, Delta, Losses, Part, Reply, Unsupported};
use crate::openai::ScanLimits;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRng, TestRunner};

const BOTH: [Dialect; 2] = [Dialect::OpenAi, Dialect::Anthropic];

fn other(dialect: Dialect) -> Dialect {
    if dialect == Dialect::OpenAi { Dialect::Anthropic } else { Dialect::OpenAi }
}

fn facts() -> TargetFacts<'static> {
    TargetFacts {
        extensions: true,
        max_output: Some(200_000),
        thinking: ThinkingSupport::Effort,
        structured_output: true,
        ..TargetFacts::new("m")
    }
}

/// What neither format carries through the other is taken out: more marks than Anthropic takes, a history of tools
/// without tools, two ways of sampling at once.
fn carried(mut chat: Chat<'static>) -> Chat<'static> {
    let mut marks = 0;
    let mut keep = |mark: &mut Option<CacheMark>| {
        marks += u32::from(mark.is_some());
        *mark = mark.filter(|_| marks <= 4);
    };
    chat.tools.iter_mut().for_each(|tool| {
        if let crate::chat::Tool::Function(tool) = tool {
            keep(&mut tool.cache);
        }
    });
    chat.system.iter_mut().for_each(|text| keep(&mut text.cache));
    for part in chat.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        each(part, &mut keep);
    }
    // Anthropic's newer models take one of the two.
    chat.sampling.top_p = chat.sampling.top_p.filter(|_| chat.sampling.temperature.is_none());
    if chat.tools.is_empty() {
        chat.tool_choice = None;
        for turn in &mut chat.turns {
            turn.parts.retain(|part| !matches!(part, Part::ToolUse(_) | Part::ToolResult(_)));
            if turn.parts.is_empty() {
                turn.parts.push(Part::text("So."));
            }
        }
    }
    chat
}

fn each(part: &mut Part<'static>, keep: &mut dyn FnMut(&mut Option<CacheMark>)) {
    match part {
        Part::Text(text) => keep(&mut text.cache),
        Part::Image(image) => keep(&mut image.cache),
        Part::Document(document) => keep(&mut document.cache),
        Part::ToolResult(result) => result.parts.iter_mut().for_each(|part| each(part, keep)),
        _ => {}
    }
}

fn through(chat: &Chat<'_>, dialect: Dialect) -> Vec<u8> {
    let mut losses = Losses::new(chat.origin, Unsupported::Reject);
    let mut memory = Memory::default();
    let body = dialect.encode_request(chat, &facts(), &mut losses, &mut memory).unwrap();
    assert_eq!(losses.into_paths().len() + memory.names.len(), 0);
    body
}

/// From the caller's bytes to the provider's and back to the caller's, as two gateways in a row would.
fn there_and_back(chat: &Chat<'static>) -> Result<(), TestCaseError> {
    let from = chat.origin;
    let to = other(from);
    let callers = through(chat, from);
    let translated = super::request(from, to, &callers, &facts()).unwrap();
    prop_assert!(translated.dropped.is_empty(), "{:?}", translated.dropped);
    let back = super::request(to, from, &translated.body, &facts()).unwrap();
    prop_assert!(back.dropped.is_empty(), "{:?}", back.dropped);
    let read = from.decode_request(&back.body, &ScanLimits::default()).unwrap();
    prop_assert_eq!(&read, chat);
    Ok(())
}

proptest! {
    #[test]
    fn requests(chat in prop::sample::select(BOTH.to_vec()).prop_flat_map(|origin| chat(origin, 3))) {
        there_and_back(&carried(chat))?;
    }

    #[test]
    fn replies(reply in reply(), from in prop::sample::select(BOTH.to_vec())) {
        let reply = normal(reply);
        let memory = Memory::default();
        let vendors = from.encode_reply(&reply, &memory);
        let callers = super::reply(from, other(from), &vendors, &memory).unwrap();
        let back = super::reply(other(from), from, &callers.body, &memory).unwrap();
        let read = from.decode_reply(&back.body).unwrap();
        prop_assert_eq!(&Reply { created: None, ..read }, &reply);
        prop_assert_eq!(callers.usage, reply.usage);
        prop_assert_eq!(callers.content_bytes, back.content_bytes);
    }

    #[test]
    fn streams_say_what_answers_say(reply in reply(), from in prop::sample::select(BOTH.to_vec())) {
        let reply = normal(reply);
        let memory = Memory { include_usage: true, ..Memory::default() };
        let mut vendors = Vec::new();
        let mut writer = super::codec::Writer::new(from, &memory);
        for delta in deltas(&reply) {
            writer.delta(&delta, &mut vendors).unwrap();
        }
        let callers = translate(from, &memory, &vendors);
        let back = translate(other(from), &memory, &callers);
        let mut told = Vec::new();
        let mut reader = super::codec::Reader::new(from);
        for event in String::from_utf8(back).unwrap().split_inclusive("\n\n") {
            reader.event(&crate::sse::event(event.as_bytes()), &mut |delta| {
                told.push(delta.into_owned());
                Ok(())
            }).unwrap();
        }
        prop_assert_eq!(assembled(&told), reply);
    }
}

proptest! {
    /// A caller who did not ask for a stream gets it put together (ledger rule L20): as if there had been none.
    #[test]
    fn streams_put_together_are_answers(reply in reply(), from in prop::sample::select(BOTH.to_vec())) {
        let reply = normal(reply);
        let memory = Memory { include_usage: true, ..Memory::default() };
        let to = other(from);
        let mut vendors = Vec::new();
        let mut writer = super::codec::Writer::new(from, &memory);
        for delta in deltas(&reply) {
            writer.delta(&delta, &mut vendors).unwrap();
        }
        let events = translate(from, &memory, &vendors);
        let body = match to {
            Dialect::OpenAi => {
                let mut assembler = crate::openai::Assembler::new(1 << 20);
                assembler.feed(&events).unwrap();
                assembler.finish(None).unwrap()
            }
            Dialect::Anthropic => {
                let mut assembler = crate::anthropic::Assembler::new(1 << 20);
                assembler.feed(&events).unwrap();
                assembler.finish(None).unwrap()
            }
        };
        let read = to.decode_reply(&body).unwrap();
        prop_assert_eq!(&Reply { created: None, ..read }, &reply);
    }
}

fn translate(from: Dialect, memory: &Memory, bytes: &[u8]) -> Vec<u8> {
    let mut stream = Stream::new(from, other(from), memory.clone(), 1 << 20);
    let mut out = Vec::new();
    for piece in bytes.chunks(17) {
        stream.feed(piece, &mut out).unwrap();
    }
    assert!(stream.end(&mut out).unwrap().complete);
    out
}

/// An answer that says nothing at all is a text of nothing in one format and no text in the other.
fn normal(mut reply: Reply<'static>) -> Reply<'static> {
    let parts = &mut reply.choices[0].parts;
    if !parts.iter().any(|part| matches!(part, Part::Text(_) | Part::ToolUse(_))) {
        parts.push(Part::text("So."));
    }
    reply
}

/// The answer that a stream tells.
fn assembled(deltas: &[Delta<'static>]) -> Reply<'static> {
    use crate::chat::{ThinkingPart, ToolUse};
    let mut reply = Reply {
        id: "".into(),
        model: "".into(),
        created: None,
        choices: vec![Choice { parts: Vec::new(), stop: None, logprobs: None }],
        usage: None,
        service_tier: None,
        fingerprint: None,
    };
    let choice = &mut reply.choices[0];
    for delta in deltas.iter().cloned() {
        match (choice.parts.last_mut(), delta) {
            (_, Delta::Start { id, model, .. }) => (reply.id, reply.model) = (id, model),
            (Some(Part::Text(text)), Delta::Text(more)) => text.text.to_mut().push_str(&more),
            (_, Delta::Text(text)) => choice.parts.push(Part::text(text)),
            (Some(Part::Thinking(thought)), Delta::Thinking(more)) if thought.signature.is_none() => {
                thought.text.to_mut().push_str(&more);
            }
            (_, Delta::Thinking(text)) => {
                choice.parts.push(Part::Thinking(ThinkingPart { text, signature: None }));
            }
            (Some(Part::Thinking(thought)), Delta::Signature(signature)) => {
                thought.signature = Some(signature);
            }
            (_, Delta::RedactedThinking(data)) => choice.parts.push(Part::RedactedThinking { data }),
            (_, Delta::ToolStart { id, name, .. }) => {
                choice.parts.push(Part::ToolUse(ToolUse { id, name, arguments: "".into(), cache: None }));
            }
            (Some(Part::ToolUse(call)), Delta::ToolArguments { fragment, .. }) => {
                call.arguments.to_mut().push_str(&fragment);
            }
            (_, Delta::Finish(stop)) => choice.stop = Some(stop),
            (_, Delta::Usage(usage)) => reply.usage = Some(usage),
            _ => {}
        }
    }
    reply
}

#[test]
fn two_hundred_turns_with_tools_and_thinking() {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &[7; 32]),
    );
    for origin in BOTH {
        let mut told = carried(chat(origin, 100).new_tree(&mut runner).unwrap().current());
        while told.tools.is_empty() {
            told = carried(chat(origin, 100).new_tree(&mut runner).unwrap().current());
        }
        assert_eq!(told.turns.len(), 201);
        let count = |wanted: fn(&Part<'_>) -> bool| {
            told.turns.iter().flat_map(|turn| &turn.parts).filter(|part| wanted(part)).count()
        };
        assert!(count(|part| matches!(part, Part::ToolUse(_))) > 100);
        assert!(count(|part| matches!(part, Part::Thinking(_))) > 30);
        there_and_back(&told).unwrap();
    }
}
