//! Chats, answers and streams in normal form, for property tests.

use super::*;
use crate::Usage;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

/// Text that says something (Anthropic refuses white space alone), with what must be escaped.
pub(crate) fn text() -> impl Strategy<Value = Cow<'static, str>> {
    "[a-z]([a-zA-Z ]|\n|\"|\\\\|\u{1}|é|天|😀){0,24}".prop_map(Cow::Owned)
}

pub(crate) fn word() -> impl Strategy<Value = Cow<'static, str>> {
    "[a-zA-Z_][a-zA-Z0-9_-]{0,20}".prop_map(Cow::Owned)
}

fn mark() -> impl Strategy<Value = Option<CacheMark>> {
    let life = of(prop::sample::select(vec![CacheLife::FiveMinutes, CacheLife::Hour]));
    of(life.prop_map(|life| CacheMark { life }))
}

fn text_part() -> impl Strategy<Value = TextPart<'static>> {
    (text(), mark()).prop_map(|(text, cache)| TextPart { text, cache, citations: None })
}

/// The text of an object.
pub(crate) fn object() -> impl Strategy<Value = Cow<'static, str>> {
    vec(
        (
            word(),
            prop_oneof![
                text().prop_map(|t| serde_json::json!(t)),
                any::<i32>().prop_map(|n| serde_json::json!(n))
            ],
        ),
        0..4,
    )
    .prop_map(|members| {
        let object: serde_json::Map<_, _> = members.into_iter().map(|(k, v)| (k.into_owned(), v)).collect();
        Cow::Owned(serde_json::Value::Object(object).to_string())
    })
}

fn base64() -> impl Strategy<Value = Cow<'static, str>> {
    "[A-Za-z0-9+/]{4,16}".prop_map(Cow::Owned)
}

fn image() -> impl Strategy<Value = Part<'static>> {
    let kind = prop::sample::select(vec!["image/png", "image/jpeg", "image/webp"]).prop_map(Cow::Borrowed);
    let source = prop_oneof![
        (kind, base64()).prop_map(|(media_type, data)| Source::Base64 { media_type, data }),
        "https://[a-z]{1,9}\\.example/[a-z]{1,9}\\.png".prop_map(|url| Source::Url(url.into())),
    ];
    (source, mark()).prop_map(|(source, cache)| Part::Image(ImagePart { source, detail: None, cache }))
}

fn document() -> impl Strategy<Value = Part<'static>> {
    (base64(), word(), mark()).prop_map(|(data, title, cache)| {
        let source = Source::Base64 { media_type: "application/pdf".into(), data };
        Part::Document(DocumentPart { source, title: Some(title), context: None, citations: false, cache })
    })
}

pub(crate) fn thought() -> impl Strategy<Value = Part<'static>> {
    prop_oneof![
        (text(), base64())
            .prop_map(|(text, signature)| Part::Thinking(ThinkingPart { text, signature: Some(signature) })),
        base64().prop_map(|data| Part::RedactedThinking { data }),
    ]
}

fn said() -> impl Strategy<Value = Vec<Part<'static>>> {
    vec(prop_oneof![4 => text_part().prop_map(Part::Text), 1 => image(), 1 => document()], 1..4)
}

/// An assistant's turn and the user's that answers it: with results where tools were called.
fn exchange(index: usize) -> impl Strategy<Value = [Turn<'static>; 2]> {
    let call = (word(), object());
    let result = (vec(prop_oneof![3 => text_part().prop_map(Part::Text), 1 => image()], 0..3), any::<bool>());
    let calls = vec((call, result), 0..4);
    (vec(thought(), 0..3), vec(text_part(), 0..3), calls, said(), any::<bool>()).prop_map(
        move |(thoughts, texts, calls, said, more)| {
            let mut parts = thoughts;
            parts.extend(texts.into_iter().map(Part::Text));
            let mut answer = Vec::new();
            for (at, ((name, arguments), (content, is_error))) in calls.into_iter().enumerate() {
                let id: Cow<'static, str> = Cow::Owned(format!("toolu_{index}_{at}"));
                parts.push(Part::ToolUse(ToolUse { id: id.clone(), name, arguments, cache: None }));
                answer.push(Part::ToolResult(ToolResult { id, parts: content, is_error, cache: None }));
            }
            if parts.iter().all(|part| matches!(part, Part::Thinking(_) | Part::RedactedThinking { .. })) {
                parts.push(Part::text("So."));
            }
            if answer.is_empty() || more {
                answer.extend(said);
            }
            [Turn { role: Role::Assistant, parts }, Turn { role: Role::User, parts: answer }]
        },
    )
}

/// A conversation of `1 + 2n` turns that the user begins.
pub(crate) fn turns(n: usize) -> impl Strategy<Value = Vec<Turn<'static>>> {
    let exchanges: Vec<_> = (0..n).map(exchange).collect();
    (said(), exchanges).prop_map(|(first, exchanges)| {
        let mut turns = vec![Turn { role: Role::User, parts: first }];
        turns.extend(exchanges.into_iter().flatten());
        turns
    })
}

fn tool() -> impl Strategy<Value = Tool<'static>> {
    (word(), of(text()), object(), mark()).prop_map(|(name, description, extra, cache)| {
        let schema = format!(r#"{{"type":"object","properties":{{"x":{extra}}}}}"#);
        Tool::Function(FunctionTool {
            name,
            description,
            schema: Some(Raw::new(schema)),
            strict: None,
            cache,
        })
    })
}

fn choice() -> impl Strategy<Value = ToolChoice<'static>> {
    prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        word().prop_map(ToolChoice::Named),
    ]
}

/// What both formats carry, with the extensions that gateways share.
pub(crate) fn chat(origin: Dialect, exchanges: usize) -> impl Strategy<Value = Chat<'static>> {
    let tools = of((vec(tool(), 1..4), of(choice())));
    let sampling = (of(0..100_u32), of(0..100_u32)).prop_map(|(temperature, top_p)| Sampling {
        temperature: temperature.map(|n| Raw::new(format!("{}", f64::from(n) / 100.0))),
        top_p: top_p.map(|n| Raw::new(format!("{}", f64::from(n) / 100.0))),
        ..Sampling::default()
    });
    let stop = vec("[a-z]{1,9}".prop_map(Cow::Owned), 0..4);
    (vec(text_part(), 0..3), turns(exchanges), tools, (1..100_000_u32), sampling, stop, of(word())).prop_map(
        move |(system, turns, tools, max_output, sampling, stop, user)| {
            let (tools, tool_choice) = tools.unwrap_or_default();
            Chat {
                system,
                turns,
                tools,
                tool_choice,
                max_output: Some(max_output),
                sampling,
                stop,
                user,
                ..Chat::new(origin, "m")
            }
        },
    )
}

pub(crate) fn usage() -> impl Strategy<Value = Usage> {
    (0..9999_u64, 0..9999_u64, 0..9999_u64, 0..9999_u64, 0..9999_u64).prop_map(
        |(fresh, cached_input, cache_write, shown, reasoning)| Usage {
            input: fresh + cached_input + cache_write,
            cached_input,
            cache_write,
            output: shown + reasoning,
            reasoning,
            ..Usage::default()
        },
    )
}

/// An answer as both formats carry it: thinking, one text at most, calls.
pub(crate) fn reply() -> impl Strategy<Value = Reply<'static>> {
    (vec(thought(), 0..3), of(text()), vec((word(), object()), 0..3), usage(), any::<bool>()).prop_map(
        |(mut parts, text, calls, usage, cut)| {
            parts.extend(text.map(Part::text));
            let calls: Vec<_> = calls.into_iter().enumerate().collect();
            let reason = match (cut, calls.is_empty()) {
                (true, _) => StopReason::MaxTokens,
                (false, true) => StopReason::EndTurn,
                (false, false) => StopReason::ToolUse,
            };
            parts.extend(calls.into_iter().map(|(at, (name, arguments))| {
                let id = format!("toolu_{at}").into();
                Part::ToolUse(ToolUse { id, name, arguments, cache: None })
            }));
            Reply {
                id: "msg_1".into(),
                model: "m".into(),
                created: None,
                choices: vec![Choice { parts, stop: Some(reason.into()), logprobs: None }],
                usage: Some(usage),
                service_tier: None,
                fingerprint: None,
            }
        },
    )
}

/// The deltas that tell `reply`, each text in two pieces.
pub(crate) fn deltas(reply: &Reply<'static>) -> Vec<Delta<'static>> {
    let mut deltas = vec![Delta::Start { id: reply.id.clone(), model: reply.model.clone(), created: None }];
    let mut calls = 0;
    for part in &reply.choices[0].parts {
        match part {
            Part::Text(part) => deltas.extend(halves(&part.text).map(Delta::Text)),
            Part::Thinking(part) => {
                deltas.extend(halves(&part.text).map(Delta::Thinking));
                deltas.extend(part.signature.clone().map(Delta::Signature));
            }
            Part::RedactedThinking { data } => deltas.push(Delta::RedactedThinking(data.clone())),
            Part::ToolUse(call) => {
                deltas.push(Delta::ToolStart { index: calls, id: call.id.clone(), name: call.name.clone() });
                deltas.extend(
                    halves(&call.arguments).map(|fragment| Delta::ToolArguments { index: calls, fragment }),
                );
                calls += 1;
            }
            _ => {}
        }
    }
    deltas.extend(reply.choices[0].stop.clone().map(Delta::Finish));
    deltas.extend(reply.usage.map(Delta::Usage));
    deltas.push(Delta::End);
    deltas
}

fn halves(text: &str) -> impl Iterator<Item = Cow<'static, str>> {
    let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    let (one, two) = text.split_at(middle);
    [one.to_owned(), two.to_owned()].into_iter().filter(|half| !half.is_empty()).map(Cow::Owned)
}

/// Adjacent pieces of one thing put together, pings left out: what a stream says, however it is cut.
pub(crate) fn joined(deltas: Vec<Delta<'static>>) -> Vec<Delta<'static>> {
    let mut out: Vec<Delta<'static>> = Vec::new();
    for delta in deltas {
        match (out.last_mut(), delta) {
            (_, Delta::Ping) => {}
            (Some(Delta::Text(text)), Delta::Text(more))
            | (Some(Delta::Thinking(text)), Delta::Thinking(more)) => text.to_mut().push_str(&more),
            (
                Some(Delta::ToolArguments { index, fragment }),
                Delta::ToolArguments { index: next, fragment: more },
            ) if *index == next => fragment.to_mut().push_str(&more),
            (_, delta) => out.push(delta),
        }
    }
    out
}

impl Delta<'_> {
    /// A copy that borrows nothing.
    pub(crate) fn into_owned(self) -> Delta<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Start { id, model, created } => Delta::Start { id: own(id), model: own(model), created },
            Self::Text(text) => Delta::Text(own(text)),
            Self::Citation(citation) => Delta::Citation(citation.into_owned()),
            Self::Thinking(text) => Delta::Thinking(own(text)),
            Self::Signature(text) => Delta::Signature(own(text)),
            Self::RedactedThinking(text) => Delta::RedactedThinking(own(text)),
            Self::Refusal(text) => Delta::Refusal(own(text)),
            Self::ToolStart { index, id, name } => Delta::ToolStart { index, id: own(id), name: own(name) },
            Self::ToolArguments { index, fragment } => {
                Delta::ToolArguments { index, fragment: own(fragment) }
            }
            Self::Finish(stop) => {
                Delta::Finish(Stop { reason: stop.reason, sequence: stop.sequence.map(own) })
            }
            Self::Usage(usage) => Delta::Usage(usage),
            Self::Ping => Delta::Ping,
            Self::End => Delta::End,
            Self::Error(error) => Delta::Error(error),
        }
    }
}
