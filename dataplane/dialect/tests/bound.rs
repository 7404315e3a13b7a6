//! The bound is never below what any byte-level tokenizer can count.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use proptest::prelude::*;
use serde_json::{Value, json};
use smartflow_dialect::openai::{
    ChatRequest, EmbeddingsRequest, IMAGE_TOKENS_UNKNOWN, ScanLimits, embeddings_estimate,
    embeddings_input_bound, input_bound, input_estimate,
};

fn bounds(body: &Value, image: Option<u32>, ascii: bool) -> (u64, u64) {
    let mut text = body.to_string();
    if ascii {
        text = text.chars().map(|c| if c.is_ascii() { c.to_string() } else { escape(c) }).collect();
    }
    let scan = ChatRequest::scan(text.as_bytes(), &ScanLimits::default()).unwrap();
    (input_bound(&scan, image), input_estimate(&scan, image))
}

fn escape(c: char) -> String {
    c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// The most tokens that a prompt can be: every byte one, and what OpenAI counts around messages.
fn worst_case(messages: &[(String, String, Option<String>)]) -> u64 {
    let bytes = |(role, text, name): &(String, String, Option<String>)| {
        4 + role.len() + text.len() + name.as_ref().map_or(0, |name| 1 + name.len())
    };
    3 + messages.iter().map(bytes).sum::<usize>() as u64
}

proptest! {
    #[test]
    fn never_below_a_token_a_byte(
        messages in prop::collection::vec(("user|assistant|system|[a-z]{0,30}", "(.|\n|\"|\\\\|天|😀){0,80}", prop::option::of("[a-z]{1,9}")), 1..8),
        in_parts: bool, ascii: bool,
    ) {
        let written: Vec<_> = messages.iter().map(|(role, text, name)| {
            let content = if in_parts { json!([{"type": "text", "text": text}]) } else { json!(text) };
            let mut message = json!({"role": role, "content": content});
            if let Some(name) = name { message["name"] = json!(name); }
            message
        }).collect();
        let (bound, estimate) = bounds(&json!({"model": "m", "messages": written}), None, ascii);
        prop_assert!(bound >= worst_case(&messages), "{bound}");
        prop_assert!(estimate <= bound);
        // And not so far above that small budgets become useless.
        let per_message = if in_parts { 20 } else { 10 };
        prop_assert!(bound <= worst_case(&messages) + 128 + per_message * messages.len() as u64, "{bound}");
    }
}

#[test]
fn every_place_a_prompt_can_hide_in_counts() {
    let long = "x".repeat(1000);
    let base = json!({"model": "m", "messages": [{"role": "user", "content": "a"}]});
    let (least, _) = bounds(&base, None, false);
    for (path, value) in [
        ("/messages/0/name", json!(long)),
        ("/messages/0/role", json!(long)),
        ("/messages/0/reasoning_content", json!(long)),
        ("/messages/0/tool_calls", json!([{"function": {"arguments": long}}])),
        ("/messages/0/content", json!([{"type": long}])),
        ("/messages/0/content", json!([{"type": "custom", "custom": {"deep": long}}])),
        ("/messages/0/content", json!([long])),
        ("/messages/0/anything", json!({"deep": long})),
        ("/tools", json!([{"type": "function", "function": {"description": long}}])),
        ("/functions", json!([{"description": long}])),
        ("/response_format", json!({"type": "json_schema", "json_schema": {"description": long}})),
        ("/prediction", json!({"content": long})),
        ("/system", json!(long)),
        ("/chat_template_kwargs", json!({"x": long})),
    ] {
        let mut body = base.clone();
        let (parent, name) = path.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[name] = value;
        let (bound, _) = bounds(&body, None, false);
        assert!(bound >= least + 990, "{path}: {bound}");
    }
    let twice = format!(r#"{{"model":"m","messages":[{{"content":"{long}","content":"{long}"}}]}}"#);
    let scan = ChatRequest::scan(twice.as_bytes(), &ScanLimits::default()).unwrap();
    assert!(input_bound(&scan, None) >= 2000);
}

#[test]
fn images_count_by_figure_and_not_by_bytes() {
    let image = json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{}", "A".repeat(1 << 20))}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": [image, image]}]});
    let (bound, estimate) = bounds(&body, Some(1000), false);
    assert!((2000..2300).contains(&bound), "{bound}");
    assert!((2000..2300).contains(&estimate), "{estimate}");
    assert!(bounds(&body, None, false).0 >= 2 * u64::from(IMAGE_TOKENS_UNKNOWN));
}

#[test]
fn tools_have_a_preamble() {
    let body =
        |tools: Value| json!({"model": "m", "tools": tools, "messages": [{"role": "user", "content": "a"}]});
    let (without, _) = bounds(&body(json!(null)), None, false);
    let (with, _) = bounds(&body(json!([{"type": "function"}])), None, false);
    assert!(with >= without + 530, "{without} {with}");
}

#[test]
fn embeddings() {
    let of = |input: Value| {
        let body =
            json!({"model": "m", "input": input, "dimensions": 256, "encoding_format": "base64"}).to_string();
        let scan = EmbeddingsRequest::scan(body.as_bytes(), &ScanLimits::default()).unwrap();
        assert!(scan.base64 && scan.dimensions == Some(256));
        assert!(embeddings_estimate(&scan) <= embeddings_input_bound(&scan));
        (scan.inputs, scan.text_bytes, scan.tokens, embeddings_input_bound(&scan))
    };
    assert_eq!(of(json!("héllo")), (1, 6, 0, 10));
    assert_eq!(of(json!(["a", "bc"])), (2, 3, 0, 11));
    assert_eq!(of(json!([1, 2, 3])), (1, 0, 3, 7));
    assert_eq!(of(json!([[1, 2], [3]])), (2, 0, 3, 11));
    for bad in ["{}", "7", "[]", "null", "[true]", "[1,\"a\"]", "[[\"a\"]]", "[1.5]", "[-1]"] {
        let body = format!(r#"{{"model":"m","input":{bad}}}"#);
        let fault = EmbeddingsRequest::scan(body.as_bytes(), &ScanLimits::default()).unwrap_err();
        assert_eq!((fault.param(), fault.code()), (Some("input"), "invalid_value"), "{bad}");
    }
    for (body, param) in [
        (r#"{"input":"a"}"#, "model"),
        (r#"{"model":"m"}"#, "input"),
        (r#"{"model":"m","input":"a","Model":"b"}"#, "model"),
        (r#"{"model":"m","input":"a","input":"b"}"#, "input"),
        (r#"{"model":"m","input":"a","dimensions":0}"#, "dimensions"),
        ("[]", "body"),
    ] {
        let fault = EmbeddingsRequest::scan(body.as_bytes(), &ScanLimits::default()).unwrap_err();
        assert_eq!(fault.param(), Some(param), "{body}");
    }
}
