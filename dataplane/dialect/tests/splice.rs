//! A spliced body is the caller's document but for the edited fields.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use smartflow_dialect::openai::{CapName, ChatRequest, Edits, EmbeddingsRequest, OutputCap, ScanLimits};

fn splice(body: &str, edits: &Edits<'_>) -> String {
    let body = Bytes::from(body.to_owned());
    let scan = ChatRequest::scan(&body, &ScanLimits::default()).unwrap();
    String::from_utf8(scan.splice(&body, edits).to_vec()).unwrap()
}

const BODY: &str = r#"{"model":"a","messages":[{}]}"#;

#[test]
fn nothing_to_change_copies_nothing() {
    let body = Bytes::from(
        r#"{"model":"a","stream":true,"stream_options":{"include_usage":true},"max_tokens":5,"messages":[{}]}"#,
    );
    let scan = ChatRequest::scan(&body, &ScanLimits::default()).unwrap();
    let cap = OutputCap { name: CapName::MaxTokens, tokens: 5 };
    let same = scan.splice(
        &body,
        &Edits {
            model: Some("a"),
            output_cap: Some(cap),
            stream: true,
            include_usage: true,
            ..Edits::default()
        },
    );
    assert_eq!(same.as_ptr(), body.as_ptr());
    assert_eq!(scan.splice(&body, &Edits::default()).as_ptr(), body.as_ptr());
}

#[test]
fn caps_are_set_moved_and_inserted() {
    let cap = |name| Edits { output_cap: Some(OutputCap { name, tokens: 9 }), ..Edits::default() };
    let (old, new) = (cap(CapName::MaxTokens), cap(CapName::MaxCompletionTokens));
    let with = |extra: &str| BODY.replace("[{}]", &format!("[{{}}]{extra}"));
    for (body, edits, expected) in [
        (with(""), old, r#"{"max_tokens":9,"model":"a","messages":[{}]}"#.to_owned()),
        (with(r#","max_tokens" : 100"#), old, with(r#","max_tokens" : 9"#)),
        (with(r#","max_tokens" : 100"#), new, with(r#","max_completion_tokens":9"#)),
        (with(r#","max_tokens":null"#), old, with(r#","max_tokens":9"#)),
        (
            with(r#","max_tokens":7,"max_completion_tokens":null"#),
            new,
            with(r#","max_tokens":null,"max_completion_tokens":9"#),
        ),
        (with(r#","max_completion_tokens":7"#), old, with(r#","max_tokens":9"#)),
    ] {
        assert_eq!(splice(&body, &edits), expected);
    }
}

#[test]
fn streams_and_usage_are_asked_for() {
    let edits = Edits { stream: true, include_usage: true, ..Edits::default() };
    let with = |extra: &str| BODY.replace("[{}]", &format!("[{{}}]{extra}"));
    for (body, expected) in [
        (
            with(""),
            r#"{"stream":true,"stream_options":{"include_usage":true},"model":"a","messages":[{}]}"#
                .to_owned(),
        ),
        (
            with(r#","stream":false,"stream_options":{}"#),
            with(r#","stream":true,"stream_options":{"include_usage":true}"#),
        ),
        (
            with(r#","stream":null,"stream_options":null"#),
            with(r#","stream":true,"stream_options":{"include_usage":true}"#),
        ),
        (
            with(r#","stream":true,"stream_options":{"include_usage":false,"x":1}"#),
            with(r#","stream":true,"stream_options":{"include_usage":true,"x":1}"#),
        ),
        (
            with(r#","stream":true,"stream_options":{ "x":1}"#),
            with(r#","stream":true,"stream_options":{"include_usage":true, "x":1}"#),
        ),
    ] {
        assert_eq!(splice(&body, &edits), expected);
    }
}

#[test]
fn embeddings_change_their_model_only() {
    let body = Bytes::from(r#"{"input":["a"], "model" : "x\u0079" ,"z":1}"#);
    let scan = EmbeddingsRequest::scan(&body, &ScanLimits::default()).unwrap();
    assert_eq!(scan.splice(&body, "xy").as_ptr(), body.as_ptr());
    assert_eq!(scan.splice(&body, "q\"").as_ref(), br#"{"input":["a"], "model" : "q\"" ,"z":1}"#);
}

/// A member of the request, written in one of several ways.
fn member() -> impl Strategy<Value = (String, Value)> {
    let usage = prop_oneof![
        Just(json!(null)),
        Just(json!({})),
        Just(json!({"include_usage": false})),
        Just(json!({"a": [1], "include_usage": true}))
    ];
    prop_oneof![
        any::<Option<bool>>().prop_map(|stream| ("stream".to_owned(), json!(stream))),
        usage.prop_map(|options| ("stream_options".to_owned(), options)),
        any::<Option<std::num::NonZeroU32>>().prop_map(|cap| ("max_tokens".to_owned(), json!(cap))),
        any::<Option<std::num::NonZeroU32>>()
            .prop_map(|cap| ("max_completion_tokens".to_owned(), json!(cap))),
        (".{0,8}", ".{0,20}").prop_map(|(name, text)| (format!("x-{name}"), json!({"t": [text]}))),
    ]
}

fn write(members: &[(String, Value)], pretty: bool) -> String {
    let space = if pretty { " \n\t" } else { "" };
    let members: Vec<_> = members
        .iter()
        .map(|(name, value)| {
            let value =
                if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) }
                    .unwrap();
            format!("{space}{}{space}:{space}{value}{space}", json!(name))
        })
        .collect();
    format!("{space}{{{}}}{space}", members.join(","))
}

proptest! {
    #[test]
    fn only_the_edited_fields_differ(
        extra in prop::collection::vec(member(), 0..6),
        model in ".{0,10}", new_model in prop::option::of(".{0,10}"), place in any::<prop::sample::Index>(),
        cap in prop::option::of((any::<bool>(), 1..u32::MAX)), stream: bool, include_usage: bool, pretty: bool,
    ) {
        let mut members: Vec<(String, Value)> = Vec::new();
        for (name, value) in extra {
            if members.iter().all(|(other, _)| *other != name) {
                members.push((name, value));
            }
        }
        members.insert(place.index(members.len() + 1), ("model".to_owned(), json!(model)));
        members.insert(place.index(members.len() + 1), ("messages".to_owned(), json!([{"role": "user", "content": model}])));
        let both = members.iter().filter(|(name, value)| name.ends_with("_tokens") && !value.is_null()).count();
        prop_assume!(both < 2);
        let body = write(&members, pretty);

        let cap = cap.map(|(old, tokens)| OutputCap { name: if old { CapName::MaxTokens } else { CapName::MaxCompletionTokens }, tokens });
        let edits = Edits { model: new_model.as_deref(), output_cap: cap, stream, include_usage, ..Edits::default() };
        let got: Value = serde_json::from_str(&splice(&body, &edits)).unwrap();

        let mut expected: Map<String, Value> = members.into_iter().collect();
        if let Some(model) = new_model { expected.insert("model".into(), json!(model)); }
        if stream { expected.insert("stream".into(), json!(true)); }
        if include_usage {
            let options = expected.entry("stream_options").or_insert(json!({}));
            if options.is_null() { *options = json!({}); }
            options["include_usage"] = json!(true);
        }
        let mut got = got;
        if let Some(cap) = cap {
            let other = if cap.name == CapName::MaxTokens { "max_completion_tokens" } else { "max_tokens" };
            prop_assert!(got.get(other).is_none_or(Value::is_null));
            got.as_object_mut().unwrap().remove(other);
            expected.remove(other);
            expected.insert(cap.name.as_str().into(), json!(cap.tokens));
        }
        prop_assert_eq!(got, Value::Object(expected));
    }
}

#[test]
fn thoughts_are_taken_out_wherever_they_stand() {
    for (message, left) in [
        (
            r#"{"role":"assistant","content":"a","reasoning_content":"t"}"#,
            r#"{"role":"assistant","content":"a"}"#,
        ),
        (r#"{"reasoning":"t" , "role":"assistant","content":"a"}"#, r#"{"role":"assistant","content":"a"}"#),
        (
            r#"{"role":"assistant","thinking_blocks":[{"type":"thinking","thinking":"t"}],"reasoning_content":"t","content":"a"}"#,
            r#"{"role":"assistant","content":"a"}"#,
        ),
        (
            r#"{"reasoning":null,"role":"assistant","reasoning_content":"t","content":"a"}"#,
            r#"{"role":"assistant","content":"a"}"#,
        ),
        (
            r#"{"role":"user","content":"\"reasoning_content\":1"}"#,
            r#"{"role":"user","content":"\"reasoning_content\":1"}"#,
        ),
    ] {
        let whole = |message: &str| {
            Bytes::from(format!(
                r#"{{"model":"m","reasoning":{{"effort":"low"}},"messages":[{{"role":"user","content":"hi"}},{message}]}}"#
            ))
        };
        let body = whole(message);
        let scan = ChatRequest::scan(&body, &ScanLimits::default()).unwrap();
        assert_eq!(scan.has_thoughts(), message != left);
        assert_eq!(scan.splice(&body, &Edits::default()), body);
        let got = scan.splice(&body, &Edits { drop_thoughts: true, ..Edits::default() });
        let expected: Value = serde_json::from_slice(&whole(left)).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&got).unwrap(), expected, "{message}");
    }
}
