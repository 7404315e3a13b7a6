//! What a Messages request says, what is refused, and what is sent on.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use smartflow_dialect::anthropic::{
    CountTokensRequest, Edits, IMAGE_TOKENS_UNKNOWN, MessagesRequest, MessagesScan, count_tokens_body,
    input_bound, input_estimate, scan_count, scan_reply,
};
use smartflow_dialect::openai::{BadRequest, ScanLimits};
use smartflow_dialect::translate::{TargetFacts, input_bound as bound_in, request};
use smartflow_dialect::{Dialect, Feature, Features, FinishReason, Usage};

fn scan(body: &str) -> Result<MessagesScan, BadRequest> {
    MessagesRequest::scan(body.as_bytes(), &ScanLimits::default())
}

/// A good request with `extra` members.
fn with(extra: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}]{extra}}}"#)
}

fn features(value: &Value) -> Features {
    scan(&value.to_string()).unwrap().features
}

/// A good request in which `path` is `value`.
fn changed(path: &str, value: Value) -> Value {
    let mut body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]});
    let (parent, name) = path.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[name] = value;
    body
}

#[test]
fn facts_of_a_full_request() {
    let body = json!({
        "model": "claude-x", "stream": true, "max_tokens": 5000, "temperature": 1,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A".repeat(5000)}},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            ]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [
                {"type": "text", "text": "42"},
                {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
            ]}]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}, {"type": "custom", "name": "g"}, {"type": "bash_20250124", "name": "bash"}],
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        "metadata": {"user_id": "u\"1"}, "service_tier": "auto", "speed": "standard", "fallbacks": [], "container": null,
    })
    .to_string();
    let scan = scan(&body).unwrap();
    let bytes = body.as_bytes();
    assert_eq!(scan.model.get(bytes), "claude-x");
    assert_eq!(scan.model_member.value.of(bytes), b"\"claude-x\"");
    assert!(scan.streams() && scan.json_schema);
    assert_eq!((scan.output_cap(), scan.thinking_budget), (Some(5000), Some(2048)));
    let counts = scan.counts;
    assert_eq!((counts.messages, counts.parts, counts.tools, counts.images, counts.files), (3, 8, 3, 2, 0));
    assert_eq!((scan.vendor_tools, scan.toolsets), (1, 0));
    assert!(scan.bytes.text < 400, "images are not text: {:?}", scan.bytes);
    assert!(scan.bytes.text >= r#"Be brief.What is this?hmsig{"a":1}42"#.len() as u64);
    assert!(scan.bytes.tools > 50 && scan.bytes.schema > 30);
    assert_eq!(scan.bytes.other, 1, "the temperature");
    assert_eq!(scan.user.unwrap().get(bytes), "u\"1");
    assert_eq!(scan.reasoning_effort.unwrap().get(bytes), "low");
    assert_eq!(scan.thinking.unwrap().get(bytes), "enabled");
    assert_eq!(scan.service_tier.unwrap().get(bytes), "auto");
    assert_eq!(scan.metadata_pairs(bytes), [("user_id".to_owned(), "u\"1".to_owned())]);
    assert!(scan.features.is_empty(), "{:?}", scan.features);
}

#[test]
fn what_costs_extra_is_seen() {
    let hour = json!({"type": "ephemeral", "ttl": "1h"});
    let pdf = json!({"type": "base64", "media_type": "application/pdf", "data": "AA"});
    for (path, value, feature) in [
        ("/tools", json!([{"type": "web_search_20250305", "name": "web_search"}]), Feature::WebSearch),
        ("/tools", json!([{"type": "web_fetch_20250910", "name": "web_fetch"}]), Feature::HostedTool),
        (
            "/tools",
            json!([{"type": "code_execution_20250825", "name": "code_execution"}]),
            Feature::HostedTool,
        ),
        ("/tools", json!([{"type": "something_new"}]), Feature::HostedTool),
        ("/mcp_servers", json!([{"type": "url"}]), Feature::HostedTool),
        ("/container", json!("c"), Feature::HostedTool),
        ("/service_tier", json!("priority"), Feature::PriorityTier),
        ("/speed", json!("fast"), Feature::FastMode),
        ("/inference_geo", json!("us"), Feature::Region),
        ("/thread", json!({"type": "create"}), Feature::StoredContext),
        ("/context_management", json!({"edits": [{"type": "compact_20260112"}]}), Feature::Compaction),
        (
            "/context_management",
            json!({"edits": [{"type": "clear_thinking_20251015"}, {"type": "x"}]}),
            Feature::Compaction,
        ),
        ("/context_management", json!({"edits": [{"keep": "all"}]}), Feature::Compaction),
        ("/context_management", json!({"edits": ["clear_"]}), Feature::Compaction),
        ("/context_management", json!({"edits": [], "later": {}}), Feature::Compaction),
        ("/context_management", json!([]), Feature::Compaction),
        ("/compaction", json!({}), Feature::Compaction),
        ("/fallbacks", json!([{"model": "dear"}]), Feature::OtherModels),
        ("/cache_control", hour.clone(), Feature::HourCache),
        ("/system", json!([{"type": "text", "text": "a", "cache_control": hour}]), Feature::HourCache),
        ("/tools", json!([{"name": "f", "cache_control": hour}]), Feature::HourCache),
        ("/messages/0/content/0/cache_control", hour.clone(), Feature::HourCache),
        (
            "/messages/0/content/0",
            json!({"type": "tool_result", "content": [{"type": "text", "text": "a", "cache_control": hour}]}),
            Feature::HourCache,
        ),
        ("/messages/0/content/0", json!({"type": "document", "source": pdf}), Feature::FileInput),
        ("/messages/0/content/0", json!({"source": {"type": "url", "url": "x"}}), Feature::FileInput),
        ("/messages/0/content/0", json!({"type": "container_upload", "file_id": "f"}), Feature::FileInput),
        (
            "/messages/0/content/0",
            json!({"type": "tool_result", "content": [{"type": "document", "source": pdf}]}),
            Feature::FileInput,
        ),
    ] {
        // Indexing an array by text would panic.
        let body = match path.strip_suffix("/0") {
            Some(list) => changed(list, json!([value])),
            None if path.contains("/content/0/") => {
                changed("/messages/0/content", json!([{"type": "text", "text": "a", "cache_control": value}]))
            }
            None => changed(path, value),
        };
        assert_eq!(features(&body), Features::from_iter([feature]), "{body}");
    }
    let minutes = json!([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "5m"}}]);
    assert!(features(&changed("/system", minutes)).is_empty());
    let clear =
        json!([{"type": "clear_thinking_20251015", "keep": "all"}, {"type": "clear_tool_uses_20250919"}]);
    for free in [json!({"edits": clear}), json!({"edits": [], "more": null}), json!(null)] {
        let body = changed("/context_management", free);
        assert!(features(&body).is_empty(), "what is left out costs nothing: {body}");
    }
    assert_eq!(MessagesScan::param(Feature::OtherModels), "fallbacks");
    assert_eq!(MessagesScan::param(Feature::HourCache), "cache_control");
    let twice =
        with(r#","system":[{"type":"image","type":"document","source":{"type":"file","file_id":"f"}}]"#);
    let counts = scan(&twice).unwrap().counts;
    assert_eq!((counts.images, counts.files), (1, 1), "whichever type the vendor believes");
}

#[test]
fn what_is_refused() {
    for (body, param, code) in [
        (
            r#"{"max_tokens":1,"messages":[{"role":"user","content":"a"}]}"#.to_owned(),
            Some("model"),
            "invalid_value",
        ),
        (r#"{"model":"m","max_tokens":1}"#.to_owned(), Some("messages"), "invalid_value"),
        (r#"{"model":"m","max_tokens":1,"messages":[]}"#.to_owned(), Some("messages"), "invalid_value"),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#.to_owned(),
            Some("max_tokens"),
            "invalid_value",
        ),
        (with(r#","max_tokens":9"#), Some("max_tokens"), "invalid_value"),
        (with(r#","Max_Tokens":9"#), Some("max_tokens"), "invalid_value"),
        (with(r#","stream":"yes""#), Some("stream"), "invalid_value"),
        (with(r#","system":7"#), Some("system"), "invalid_value"),
        (with(r#","tools":{}"#), Some("tools"), "invalid_value"),
        (with(r#","tools":[7]"#), Some("tools[0]"), "invalid_value"),
        (with(r#","thinking":{"budget_tokens":"x"}"#), Some("thinking.budget_tokens"), "invalid_value"),
        (with(r#","thinking":7"#), Some("thinking"), "invalid_value"),
        (with(r#","metadata":7"#), Some("metadata"), "invalid_value"),
        (with("").replace("\"hi\"", "7"), Some("messages[0].content"), "invalid_value"),
        (with("").replace("\"hi\"", "[7]"), Some("messages[0].content"), "invalid_value"),
        (with("").replace("\"hi\"", r#""hi","content":[]"#), Some("messages[].content"), "invalid_value"),
        (with("").replace("\"user\"", "7"), Some("messages[0].role"), "invalid_value"),
        (
            with("").replace("\"hi\"", r#"[{"type":"text","text":{}}]"#),
            Some("messages[0].content.text"),
            "invalid_value",
        ),
        ("[]".to_owned(), Some("body"), "invalid_value"),
        ("{".to_owned(), None, "invalid_json"),
        (with(&format!(",\"x\":{}{}", "[".repeat(130), "]".repeat(130))), None, "too_deep"),
    ] {
        let fault = scan(&body).unwrap_err();
        assert_eq!((fault.param(), fault.code()), (param, code), "{body}");
    }
}

#[test]
fn tokens_are_counted_without_a_cap() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#;
    let scan = CountTokensRequest::scan(body.as_bytes(), &ScanLimits::default()).unwrap();
    assert_eq!(scan.output_cap(), None);
    let sent = scan.splice(&Bytes::from(body), &Edits { model: Some("n"), ..Edits::default() });
    assert_eq!(&sent[..], body.replace("\"m\"", "\"n\"").as_bytes());
    assert_eq!(scan_count(&count_tokens_body(17)), Ok(Some(17)));
    assert_eq!(scan_count(b"{}"), Ok(None));
    assert!(scan_count(b"[]").is_err());
}

#[test]
fn edits() {
    let body = with("");
    let splice = |body: &str, edits: &Edits<'_>| {
        let bytes = Bytes::from(body.to_owned());
        String::from_utf8(scan(body).unwrap().splice(&bytes, edits).to_vec()).unwrap()
    };
    let all = Edits { model: Some("a\"b"), max_tokens: Some(5), stream: true, drop_unsigned: true };
    let expected =
        body.replace("{\"model\":\"m\"", "{\"stream\":true,\"model\":\"a\\\"b\"").replace("9", "5");
    assert_eq!(splice(&body, &all), expected);
    assert_eq!(
        splice(&with(r#","stream": false"#), &Edits { stream: true, ..Edits::default() }),
        with(r#","stream": true"#)
    );
    let bytes = Bytes::from(with(r#","stream":true"#));
    let same = Edits { model: Some("m"), max_tokens: Some(9), stream: true, drop_unsigned: true };
    let scan = MessagesRequest::scan(&bytes, &ScanLimits::default()).unwrap();
    assert_eq!(scan.splice(&bytes, &same).as_ptr(), bytes.as_ptr());
    assert_eq!(scan.splice(&bytes, &Edits::default()).as_ptr(), bytes.as_ptr());
}

fn bounds(body: &Value, image: Option<u32>) -> (u64, u64) {
    let scan = scan(&body.to_string()).unwrap();
    (input_bound(&scan, image), input_estimate(&scan, image))
}

proptest! {
    #[test]
    fn never_below_a_token_a_byte(texts in prop::collection::vec("(.|\n|\"|\\\\|天|😀){0,80}", 1..8), in_blocks: bool) {
        let said: Vec<_> = texts.iter().map(|text| {
            let content = if in_blocks { json!([{"type": "text", "text": text}]) } else { json!(text) };
            json!({"role": "user", "content": content})
        }).collect();
        let (bound, estimate) = bounds(&json!({"model": "m", "max_tokens": 1, "system": texts[0], "messages": said}), None);
        let least = (texts[0].len() + texts.iter().map(String::len).sum::<usize>()) as u64;
        prop_assert!(bound >= least + 3, "{bound}");
        prop_assert!(estimate <= bound);
        prop_assert!(bound <= least + 128 + 20 * texts.len() as u64, "{bound}");
    }
}

#[test]
fn every_place_a_prompt_can_hide_in_counts() {
    let long = "x".repeat(1000);
    let (least, _) = bounds(&changed("/metadata", json!(null)), None);
    let block = |block: Value| ("/messages/0/content", json!([block]));
    for (path, value) in [
        ("/system", json!(long)),
        ("/system", json!([{"type": "text", "text": long}])),
        ("/messages/0/role", json!(long)),
        ("/messages/0/anything", json!({"deep": long})),
        ("/tools", json!([{"name": "f", "description": long}])),
        ("/output_config", json!({"format": {"schema": {"description": long}}})),
        ("/output_format", json!({"schema": {"description": long}})),
        ("/something_new", json!({"x": long})),
        block(json!({"type": long})),
        block(json!(long)),
        block(json!({"type": "tool_use", "input": {"x": long}})),
        block(json!({"type": "tool_result", "content": long})),
        block(json!({"type": "tool_result", "content": [{"type": "text", "text": long}]})),
        block(json!({"type": "search_result", "source": long, "title": "t", "content": []})),
        block(
            json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": long}}),
        ),
        block(
            json!({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": long}]}}),
        ),
        block(json!({"type": "document", "source": {"type": "content", "content": long}})),
        block(json!({"type": "new", "content": {"type": "new", "text": long}})),
    ] {
        let body = changed(path, value);
        let (bound, _) = bounds(&body, None);
        assert!(bound >= least + 960, "{body}: {bound} {least}");
    }
    let cited = json!([{"type": "document", "citations": {"enabled": true}, "source": {"type": "text", "data": long}}]);
    assert!(bounds(&changed("/messages/0/content", cited), None).0 >= least + 2900);
}

#[test]
fn figures_for_images_and_the_vendors_tools() {
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A".repeat(1 << 20)}});
    let body = changed("/messages/0/content", json!([image, image]));
    let (bound, estimate) = bounds(&body, Some(1000));
    assert!((2000..2300).contains(&bound), "{bound}");
    assert!((2000..2300).contains(&estimate), "{estimate}");
    assert!(bounds(&body, None).0 >= 2 * u64::from(IMAGE_TOKENS_UNKNOWN));
    let tools = |tools: Value| bounds(&changed("/tools", tools), None).0;
    assert!(tools(json!([{"type": "computer_20250124"}])) >= tools(json!([{"type": "custom"}])) + 735);
    assert!(tools(json!([{"type": "browser_toolset_20260801"}])) >= tools(json!([])) + 16_000);
}

#[test]
fn replies() {
    let reply = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "tool_use", "stop_sequence": null,
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "text", "text": "Hé", "citations": null},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "x".repeat(500)}]},
        ],
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 70,
            "cache_creation": {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 20}, "output_tokens": 30,
            "output_tokens_details": {"thinking_tokens": 12}, "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0}, "service_tier": "standard"},
    })
    .to_string();
    let facts = scan_reply(reply.as_bytes()).unwrap();
    let usage = Usage {
        input: 180,
        cached_input: 100,
        cache_write: 70,
        cache_write_hour: 20,
        output: 30,
        reasoning: 12,
        web_searches: 2,
        ..Usage::default()
    };
    assert_eq!((facts.usage, facts.finish, facts.choices), (Some(usage), Some(FinishReason::ToolCalls), 1));
    assert_eq!(facts.content_bytes, r#"hmsigHétf{"a":1}"#.len() as u64);
    let text = |text: Option<smartflow_dialect::Text>| text.unwrap().get(reply.as_bytes()).into_owned();
    assert_eq!(
        (text(facts.id), text(facts.model), text(facts.service_tier)),
        ("msg_1".into(), "claude-x".into(), "standard".into())
    );

    let iterations = json!({"usage": {"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": null, "iterations": [
        {"type": "compaction", "input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 0},
        {"type": "message", "input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0},
    ]}});
    let usage = scan_reply(iterations.to_string().as_bytes()).unwrap().usage.unwrap();
    assert_eq!((usage.input, usage.cached_input, usage.output), (108, 3, 21), "all iterations are billed");

    let error = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let error = scan_reply(error).unwrap().error.unwrap();
    assert_eq!((error.kind.as_deref(), error.message.as_str()), (Some("overloaded_error"), "Overloaded"));
    assert!(scan_reply(b"[]").is_err());
    assert_eq!(scan_reply(b"{}").unwrap().usage, None);
}

#[test]
fn the_bound_of_a_translated_request_is_the_targets() {
    let facts = TargetFacts { max_output: Some(1000), ..TargetFacts::new("m") };
    let bound = |from, to, body: &Value, image| {
        let sent = request(from, to, body.to_string().as_bytes(), &facts).unwrap();
        bound_in(to, &sent.body, image).unwrap()
    };
    let hi = |content: Value| json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]});
    let (ours, theirs) = (Dialect::Anthropic, Dialect::OpenAi);
    let image = json!([{"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}]);
    let dearest = u64::from(smartflow_dialect::openai::IMAGE_TOKENS_UNKNOWN);
    assert!(bound(ours, theirs, &hi(image.clone()), None) >= dearest, "an image costs what it costs there");
    assert!(bound(ours, theirs, &hi(image), Some(10)) < 1000);
    let mut formed = hi(json!("hi"));
    let plain = bound(theirs, ours, &formed, None);
    formed["response_format"] = json!({"type": "json_object"});
    assert!(
        bound(theirs, ours, &formed, None) >= plain + 530,
        "the form is a tool there, and tools have a preamble"
    );
    assert!(bound_in(ours, b"{}", None).is_err());
}

#[test]
fn no_flip_of_a_byte_is_fatal_or_passes_for_json() {
    let body = with(
        r#","system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],"tools":[{"name":"f","input_schema":{}}],"thinking":{"type":"enabled","budget_tokens":2000},"metadata":{"user_id":"u"},"output_config":{"effort":"low"}"#,
    );
    for at in 0..body.len() {
        for value in
            (0..8).map(|bit| body.as_bytes()[at] ^ (1 << bit)).chain([0, b'"', b'\\', b'{', b'[', 0xff])
        {
            let mut flipped = body.clone().into_bytes();
            flipped[at] = value;
            if let Ok(scan) = MessagesRequest::scan(&flipped, &ScanLimits::default()) {
                assert!(serde_json::from_slice::<Value>(&flipped).is_ok(), "{value} at {at}");
                assert!(input_bound(&scan, None) >= 130);
            }
        }
    }
}

#[test]
fn thinking_that_nobody_signed_is_taken_out() {
    let thought = |signature: &str| json!({"type": "thinking", "thinking": "hm", "signature": signature});
    let text = json!({"type": "text", "text": "So."});
    let unsigned = json!({"signature": null, "thinking": "hm", "type": "thinking"});
    let user = json!({"role": "user", "content": "hi"});
    let turn = |content: &[&Value]| json!({"role": "assistant", "content": content});
    let (signed, bare) = (thought("sig"), thought(""));
    for (said, left) in [
        (vec![turn(&[&signed, &text])], vec![turn(&[&signed, &text])]),
        (vec![turn(&[&bare, &text])], vec![turn(&[&text])]),
        (vec![turn(&[&unsigned, &bare, &text])], vec![turn(&[&text])]),
        (vec![turn(&[&text, &bare])], vec![turn(&[&text])]),
        (vec![turn(&[&text, &bare, &unsigned, &signed, &bare])], vec![turn(&[&text, &signed])]),
        (vec![turn(&[&bare, &signed, &bare, &text])], vec![turn(&[&signed, &text])]),
        (vec![turn(&[&bare])], vec![]),
        (vec![turn(&[&bare, &bare]), turn(&[&text])], vec![turn(&[&text])]),
    ] {
        for (before, after) in [(true, true), (false, true), (true, false)] {
            let around = |said: &[Value]| {
                let mut all = Vec::new();
                all.extend(before.then(|| user.clone()));
                all.extend_from_slice(said);
                all.extend(after.then(|| user.clone()));
                json!({"model": "m", "max_tokens": 9, "messages": all})
            };
            for body in [around(&said).to_string(), serde_json::to_string_pretty(&around(&said)).unwrap()] {
                let bytes = Bytes::from(body);
                let scan = MessagesRequest::scan(&bytes, &ScanLimits::default()).unwrap();
                assert_eq!(scan.has_unsigned_thinking(), said != left);
                assert_eq!(scan.splice(&bytes, &Edits::default()), bytes, "only when it is asked for");
                let sent = scan.splice(&bytes, &Edits { drop_unsigned: true, ..Edits::default() });
                assert_eq!(serde_json::from_slice::<Value>(&sent).unwrap(), around(&left));
            }
        }
    }
}

#[test]
fn citations_without_anthropics_mark_are_taken_out() {
    let found = |mark: &str| json!({"type": "web_search_result_location", "url": "https://a.example", "encrypted_index": mark});
    let text = |citations: Value| json!({"type": "text", "text": "So.", "citations": citations});
    let body = |parts: Value| json!({"model": "m", "max_tokens": 9, "messages": [{"role": "assistant", "content": parts}]});
    let bare = json!({"type": "thinking", "thinking": "hm", "signature": ""});
    let kept = text(json!([found("x")]));
    for (said, left) in [
        (json!([text(json!([found("")])), kept]), json!([text(Value::Null), kept])),
        (json!([bare, text(json!([found("x"), found("")])), bare]), json!([text(Value::Null)])),
        (json!([kept]), json!([kept])),
    ] {
        for written in
            [body(said.clone()).to_string(), serde_json::to_string_pretty(&body(said.clone())).unwrap()]
        {
            let bytes = Bytes::from(written);
            let scan = MessagesRequest::scan(&bytes, &ScanLimits::default()).unwrap();
            let sent = scan.splice(&bytes, &Edits { drop_unsigned: true, ..Edits::default() });
            assert_eq!(serde_json::from_slice::<Value>(&sent).unwrap(), body(left.clone()));
            assert_eq!(scan.splice(&bytes, &Edits::default()), bytes);
        }
    }
}
