//! What a chat request says, and what is refused.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use serde_json::{Value, json};
use smartflow_dialect::Feature;
use smartflow_dialect::openai::{BadRequest, ChatRequest, ChatScan, ScanLimits};

fn scan(body: &str) -> Result<ChatScan, BadRequest> {
    ChatRequest::scan(body.as_bytes(), &ScanLimits::default())
}

/// A good request with `extra` members.
fn with(extra: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{extra}}}"#)
}

#[test]
fn facts_of_a_full_request() {
    let body = json!({
        "model": "gpt-4o", "stream": true, "stream_options": {"include_usage": true}, "max_completion_tokens": 50, "n": 2,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{}", "A".repeat(5000))}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "42"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        "reasoning_effort": "low", "user": "u\"1", "service_tier": "default", "store": true, "temperature": 1,
        "prompt_cache_key": "k", "safety_identifier": "s", "metadata": {"team": "a", "odd": "b\n"},
    })
    .to_string();
    let scan = scan(&body).unwrap();
    let bytes = body.as_bytes();
    assert_eq!(scan.model.get(bytes), "gpt-4o");
    assert_eq!(scan.model_member.value.of(bytes), b"\"gpt-4o\"");
    assert!(scan.streams() && scan.wants_usage() && scan.json_schema && scan.store);
    assert_eq!((scan.output_cap(), scan.n), (Some(50), 2));
    let counts = scan.counts;
    assert_eq!((counts.messages, counts.parts, counts.tools, counts.images), (4, 2, 1, 1));
    assert!(scan.bytes.text < 300, "images are not text: {:?}", scan.bytes);
    assert!(scan.bytes.text >= "Be brief.What is this?42".len() as u64);
    assert!(scan.bytes.tools > 50 && scan.bytes.schema > 30);
    assert_eq!(scan.bytes.other, 1, "the temperature");
    assert_eq!(scan.user.unwrap().get(bytes), "u\"1");
    assert_eq!(scan.reasoning_effort.unwrap().get(bytes), "low");
    assert_eq!(scan.service_tier.unwrap().get(bytes), "default");
    let mut pairs = scan.metadata_pairs(bytes);
    pairs.sort();
    assert_eq!(pairs, [("odd".into(), "b\n".into()), ("team".into(), "a".into())]);
    assert!(scan.features.is_empty(), "{:?}", scan.features);
}

#[test]
fn null_is_absent_but_has_a_place() {
    let scan = scan(&with(r#","stream":null,"max_tokens":null,"stream_options":null,"tools":null,"n":null"#))
        .unwrap();
    assert_eq!((scan.streams(), scan.output_cap(), scan.n), (false, None, 1));
    assert!(scan.stream.member.is_some() && scan.max_tokens.member.is_some());
}

#[test]
fn refusals_name_the_field() {
    for (body, param, code) in [
        ("".to_owned(), None, "invalid_json"),
        ("{\"model\":".to_owned(), None, "invalid_json"),
        (with("") + " x", None, "invalid_json"),
        ("[]".to_owned(), Some("body"), "invalid_value"),
        (r#"{"messages":[{"role":"user","content":"x"}]}"#.to_owned(), Some("model"), "invalid_value"),
        (r#"{"model":"m"}"#.to_owned(), Some("messages"), "invalid_value"),
        (r#"{"model":null,"messages":[{}]}"#.to_owned(), Some("model"), "invalid_value"),
        (r#"{"model":1,"messages":[{}]}"#.to_owned(), Some("model"), "invalid_value"),
        (r#"{"model":"m","messages":[]}"#.to_owned(), Some("messages"), "invalid_value"),
        (r#"{"model":"m","messages":{}}"#.to_owned(), Some("messages"), "invalid_value"),
        (r#"{"model":"m","messages":null}"#.to_owned(), Some("messages"), "invalid_value"),
        (r#"{"model":"m","messages":[{},"x"]}"#.to_owned(), Some("messages[1]"), "invalid_value"),
        (
            r#"{"model":"m","messages":[{"content":7}]}"#.to_owned(),
            Some("messages[0].content"),
            "invalid_value",
        ),
        (
            r#"{"model":"m","messages":[{"content":[7]}]}"#.to_owned(),
            Some("messages[0].content[0]"),
            "invalid_value",
        ),
        (r#"{"model":"m","messages":[{"role":{}}]}"#.to_owned(), Some("messages[0].role"), "invalid_value"),
        (with(r#","stream":"yes""#), Some("stream"), "invalid_value"),
        (with(r#","stream_options":[]"#), Some("stream_options"), "invalid_value"),
        (
            with(r#","stream_options":{"include_usage":1}"#),
            Some("stream_options.include_usage"),
            "invalid_value",
        ),
        (
            with(r#","stream_options":{"include_usage":true,"include_usage":false}"#),
            Some("stream_options.include_usage"),
            "invalid_value",
        ),
        (
            with(r#","stream_options":{"Include_usage":true}"#),
            Some("stream_options.include_usage"),
            "invalid_value",
        ),
        (with(r#","max_tokens":"5""#), Some("max_tokens"), "invalid_value"),
        (with(r#","max_tokens":5.0"#), Some("max_tokens"), "invalid_value"),
        (with(r#","max_tokens":1e3"#), Some("max_tokens"), "invalid_value"),
        (with(r#","max_tokens":0"#), Some("max_tokens"), "invalid_value"),
        (with(r#","max_tokens":-1"#), Some("max_tokens"), "invalid_value"),
        (with(r#","max_tokens":99999999999"#), Some("max_tokens"), "invalid_value"),
        (with(r#","max_tokens":5,"max_completion_tokens":6"#), Some("max_tokens"), "invalid_value"),
        (with(r#","n":129"#), Some("n"), "invalid_value"),
        (with(r#","n":0"#), Some("n"), "invalid_value"),
        (with(r#","tools":{}"#), Some("tools"), "invalid_value"),
        (with(r#","tools":["x"]"#), Some("tools[0]"), "invalid_value"),
        (with(r#","user":5"#), Some("user"), "invalid_value"),
        (with(r#","metadata":"x""#), Some("metadata"), "invalid_value"),
        (with(r#","modalities":"text""#), Some("modalities"), "invalid_value"),
        (with(r#","response_format":"json""#), Some("response_format"), "invalid_value"),
        (with(r#","service_tier":1"#), Some("service_tier"), "invalid_value"),
        (with(r#","model":"dearer""#), Some("model"), "invalid_value"),
        (with(r#","m\u006fdel":"dearer""#), Some("model"), "invalid_value"),
        (with(r#","Model":"dearer""#), Some("model"), "invalid_value"),
        (with(r#","MAX_TOKENS":9"#), Some("max_tokens"), "invalid_value"),
        (with(",\"max_to\u{212a}ens\":9"), Some("max_tokens"), "invalid_value"),
        (with(r#","\u017ftream":true"#), Some("stream"), "invalid_value"),
        (with(&format!(r#","x":{}{}"#, "[".repeat(200), "]".repeat(200))), None, "too_deep"),
        ("[".repeat(10_000), None, "too_deep"),
    ] {
        let fault = scan(&body).expect_err(&body);
        assert_eq!((fault.param(), fault.code()), (param, code), "{body} gave {fault}");
        let shape: Value = serde_json::from_slice(&fault.body()).unwrap();
        assert_eq!(shape["error"]["type"], "invalid_request_error");
        assert_eq!(shape["error"]["code"], code);
        assert_eq!(shape["error"]["param"].as_str(), param);
        assert_eq!(shape["error"]["message"], fault.to_string());
    }
    let not_text = ChatRequest::scan(b"{\"model\":\"\xff\"}", &ScanLimits::default()).unwrap_err();
    assert_eq!(not_text.code(), "invalid_json");
}

#[test]
fn messages_are_openais() {
    let says = |extra: &str| scan(&with(extra)).unwrap_err().to_string();
    assert_eq!(
        says(r#","max_tokens":"5""#),
        "Invalid type for 'max_tokens': expected an integer, but got a string instead."
    );
    assert_eq!(
        says(r#","max_tokens":5,"max_completion_tokens":6"#),
        "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
    );
    assert_eq!(scan(r#"{"model":"m"}"#).unwrap_err().to_string(), "Missing required parameter: 'messages'.");
}

#[test]
fn refusals_do_not_repeat_what_the_caller_wrote() {
    for body in
        [with(r#","stream":"canary""#), with(r#","Stream":"canary""#), with(r#","metadata":"canary""#)]
    {
        assert!(!scan(&body).unwrap_err().to_string().contains("canary"));
    }
}

#[test]
fn unknown_fields_pass_and_count_as_prompt() {
    let scan = scan(&with(r#","documents":[{"text":"0123456789"}],"temperature":0.5"#)).unwrap();
    assert_eq!(scan.bytes.other, r#"[{"text":"0123456789"}]"#.len() as u64 + 3);
}

#[test]
fn billable_features() {
    let part = |part: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{part}]}}]}}"#);
    for (body, feature) in [
        (part(r#"{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}"#), Feature::AudioInput),
        (part(r#"{"type":"text","text":"x","input_audio":{"data":"A"}}"#), Feature::AudioInput),
        (part(r#"{"type":"file","file":{"file_id":"f"}}"#), Feature::FileInput),
        (part(r#"{"type":"video_url","video_url":{"url":"u"}}"#), Feature::VideoInput),
        (
            r#"{"model":"m","messages":[{"role":"assistant","audio":{"id":"a"}}]}"#.to_owned(),
            Feature::AudioInput,
        ),
        (with(r#","modalities":["text","audio"]"#), Feature::AudioOutput),
        (with(r#","audio":{"voice":"alloy","format":"mp3"}"#), Feature::AudioOutput),
        (with(r#","modalities":["text","image"]"#), Feature::ImageOutput),
        (with(r#","web_search_options":{}"#), Feature::WebSearch),
        (with(r#","search_parameters":{"mode":"on"}"#), Feature::WebSearch),
        (with(r#","enable_search":true"#), Feature::WebSearch),
        (with(r#","tools":[{"type":"code_interpreter"}]"#), Feature::HostedTool),
        (with(r#","tools":[{"type":"function"},{"Type":"web_search"}]"#), Feature::HostedTool),
        (with(r#","tools":[{"type":"function","type":"web_search"}]"#), Feature::HostedTool),
        (with(r#","service_tier":"priority""#), Feature::PriorityTier),
        (with(r#","service_tier":"fl\u0065x""#), Feature::FlexTier),
        (with(r#","prediction":{"type":"content","content":"x"}"#), Feature::Prediction),
        (with(r#","plugins":[{"id":"web"}]"#), Feature::Plugins),
        (with(r#","models":["dearer"]"#), Feature::OtherModels),
        (with(r#","n_predict":-1"#), Feature::OtherCap),
        (with(r#","max_new_tokens":9,"max_output_tokens":null"#), Feature::OtherCap),
    ] {
        let scan = scan(&body).unwrap();
        assert_eq!(scan.features.iter().collect::<Vec<_>>(), [feature], "{body}");
        assert!(scan.asks(feature) && !feature.name().is_empty() && !feature.param().is_empty());
    }
    for quiet in [
        r#","service_tier":"auto""#,
        r#","service_tier":"on_demand""#,
        r#","modalities":["text"]"#,
        r#","web_search_options":null,"plugins":null,"models":null,"prediction":null,"audio":null"#,
        r#","enable_search":false"#,
        r#","tools":[{"type":"function","function":{"name":"f"}},{"type":"custom","custom":{"name":"g"}}]"#,
        r#","functions":[{"name":"f","parameters":{"type":"object"}}]"#,
    ] {
        assert!(scan(&with(quiet)).unwrap().features.is_empty(), "{quiet}");
    }
}

#[test]
fn thinking_budgets_of_resellers() {
    let of = |extra: &str| scan(&with(extra)).unwrap().thinking_budget;
    assert_eq!(of(r#","reasoning":{"effort":"high","max_tokens":2000}"#), Some(2000));
    assert_eq!(
        of(r#","thinking":{"type":"enabled","budget_tokens":500},"reasoning":{"max_tokens":100}"#),
        Some(500)
    );
    assert_eq!(of(r#","reasoning":{"effort":"high"}"#), None);
}

#[test]
fn an_hour_in_the_cache_is_seen() {
    let hour = r#"{"type":"ephemeral","ttl":"1h"}"#;
    for body in [
        with("").replace("\"hi\"", &format!(r#"[{{"type":"text","text":"a","cache_control":{hour}}}]"#)),
        with("").replace("\"hi\"", &format!(r#""hi","cache_control":{hour}"#)),
        with(&format!(
            r#","tools":[{{"type":"function","function":{{"name":"f"}},"cache_control":{hour}}}]"#
        )),
    ] {
        assert!(scan(&body).unwrap().asks(Feature::HourCache), "{body}");
        let minutes = body.replace("1h", "5m");
        assert!(scan(&minutes).unwrap().features.is_empty(), "{minutes}");
    }
}
