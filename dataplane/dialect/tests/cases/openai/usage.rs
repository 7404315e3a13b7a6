//! Usage, stop reasons, errors.

use super::{case, hi, message, sent_hi, text};
use crate::harness::anthropic_events;
use serde_json::{Value, json};
use smartflow_dialect::openai::{ErrorClass, upstream_error};
use smartflow_dialect::translate::{ErrorWords, Garbled, classify, error_body, refusal_body, reply};
use smartflow_dialect::{Dialect, FinishReason, Usage};

fn using(usage: Value) -> (Value, Option<Usage>) {
    let mut answer = message(json!([text("hi")]), "end_turn");
    answer["usage"] = usage;
    let (got, facts) = case().reply_to(hi(json!({})), answer);
    (got["usage"].clone(), facts.usage)
}

#[test]
fn case_071_prompt_tokens_hold_what_the_cache_gave_and_took() {
    let (told, usage) = using(json!({
        "input_tokens": 10, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 3000, "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 3},
    }));
    assert_eq!(
        told,
        json!({
            "prompt_tokens": 3210, "completion_tokens": 7, "total_tokens": 3217,
            "prompt_tokens_details": {"cached_tokens": 3000, "audio_tokens": 0, "cache_write_tokens": 200},
            "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 0},
        })
    );
    let expected = Usage {
        input: 3210,
        cached_input: 3000,
        cache_write: 200,
        output: 7,
        reasoning: 3,
        ..Usage::default()
    };
    assert_eq!(usage, Some(expected));
}

#[test]
fn case_072_what_is_kept_for_an_hour_is_told_apart() {
    let (_, usage) = using(json!({
        "input_tokens": 10, "cache_creation_input_tokens": 500, "output_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 300},
    }));
    let usage = usage.unwrap();
    assert_eq!((usage.input, usage.cache_write, usage.cache_write_hour), (510, 500, 300));
}

#[test]
fn case_076_nulls_are_nothing() {
    let (told, usage) = using(json!({
        "input_tokens": 10, "cache_creation_input_tokens": null, "cache_read_input_tokens": null, "output_tokens": 7,
        "cache_creation": null, "server_tool_use": null, "service_tier": null,
    }));
    assert_eq!((&told["prompt_tokens"], &told["completion_tokens"]), (&json!(10), &json!(7)));
    assert_eq!(usage, Some(Usage { input: 10, output: 7, ..Usage::default() }));
}

#[test]
fn case_077_searches_are_counted() {
    let (_, usage) = using(json!({
        "input_tokens": 10, "output_tokens": 7, "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 1},
    }));
    assert_eq!(usage.unwrap().web_searches, 3);
}

#[test]
fn case_078_service_tiers() {
    for (tier, expected) in [("auto", "auto"), ("default", "standard_only")] {
        let got = case().request(hi(json!({"service_tier": tier})));
        assert_eq!(got, sent_hi(json!({"service_tier": expected})));
    }
    let (got, dropped) = case().request_dropping(hi(json!({"service_tier": "flex"})));
    assert_eq!((got, dropped), (sent_hi(json!({})), vec!["service_tier".to_owned()]));
}

#[test]
fn case_079_reasons_to_stop() {
    for (reason, word, finish) in [
        ("end_turn", "stop", FinishReason::Stop),
        ("stop_sequence", "stop", FinishReason::Stop),
        ("max_tokens", "length", FinishReason::Length),
        ("pause_turn", "length", FinishReason::Length),
        ("model_context_window_exceeded", "length", FinishReason::Length),
        ("tool_use", "tool_calls", FinishReason::ToolCalls),
        ("refusal", "content_filter", FinishReason::ContentFilter),
    ] {
        let content = match reason {
            "tool_use" => json!([{"type": "tool_use", "id": "t", "name": "f", "input": {}}]),
            _ => json!([text("hi")]),
        };
        let (got, facts) = case().reply_to(hi(json!({})), message(content.clone(), reason));
        assert_eq!(got["choices"][0]["finish_reason"], word, "{reason}");
        assert_eq!(facts.finish, Some(finish), "{reason}");
        let start = message(json!([]), "end_turn");
        let mut start = json!({"type": "message_start", "message": start});
        start["message"]["stop_reason"] = Value::Null;
        let events = anthropic_events(&[
            start,
            json!({"type": "content_block_start", "index": 0, "content_block": content[0]}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": 9}}),
            json!({"type": "message_stop"}),
        ]);
        let streamed = case().stream(hi(json!({"stream": true})), &events);
        let reasons: Vec<_> = streamed
            .data()
            .iter()
            .filter_map(|data| data["choices"][0]["finish_reason"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(reasons, [word], "{reason}");
    }
}

#[test]
fn case_083_the_stop_sequence_that_was_met_is_told() {
    let mut answer = message(json!([text("hi")]), "stop_sequence");
    answer["stop_sequence"] = json!("END");
    let (got, _) = case().reply_to(hi(json!({"stop": "END"})), answer);
    assert_eq!(
        (&got["choices"][0]["finish_reason"], &got["choices"][0]["stop_reason"]),
        (&json!("stop"), &json!("END"))
    );
}

#[test]
fn case_084_errors_in_the_callers_words() {
    let body = br#"{"type":"error","error":{"type":"invalid_request_error","message":"Invalid key sk-ant-api03-abcdef123456 at https://10.0.0.7/v1"},"request_id":"req_1"}"#;
    let error = upstream_error(body);
    assert_eq!(error.kind.as_deref(), Some("invalid_request_error"));
    for gone in ["sk-ant", "10.0.0.7"] {
        assert!(!error.message.contains(gone), "{}", error.message);
    }
    let words = ErrorWords {
        status: 400,
        kind: "invalid_request_error",
        message: &error.message,
        param: None,
        code: Some("upstream_refused"),
    };
    let told: Value = serde_json::from_slice(&error_body(Dialect::OpenAi, &words)).unwrap();
    assert_eq!(
        told,
        json!({"error": {"message": error.message, "type": "invalid_request_error", "param": null, "code": "upstream_refused"}})
    );
}

#[test]
fn a_refusal_names_the_field_in_either_format() {
    let fault = case().translated(&hi(json!({"n": 2}))).unwrap_err();
    let read = |to| -> Value { serde_json::from_slice(&refusal_body(to, &fault)).unwrap() };
    let openai = read(Dialect::OpenAi);
    assert_eq!(openai["error"]["param"], "n");
    assert_eq!(openai["error"]["type"], "invalid_request_error");
    assert_eq!(openai["error"]["code"], "unsupported_parameter");
    let anthropic = read(Dialect::Anthropic);
    assert_eq!(
        (&anthropic["type"], &anthropic["error"]["type"]),
        (&json!("error"), &openai["error"]["type"])
    );
    assert_eq!(anthropic["error"]["message"], openai["error"]["message"]);
    assert_eq!(anthropic["error"]["param"], "n");
}

#[test]
fn case_085_086_what_an_error_of_anthropic_means() {
    for (status, kind, message, class) in [
        (
            400,
            "invalid_request_error",
            "prompt is too long: 210000 tokens > 200000 maximum",
            ErrorClass::ContextWindow,
        ),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 1 + 2 > 3",
            ErrorClass::ContextWindow,
        ),
        (
            400,
            "invalid_request_error",
            "Output blocked by content filtering policy",
            ErrorClass::ContentPolicy,
        ),
        (400, "invalid_request_error", "messages: wrong", ErrorClass::BadRequest),
        (401, "authentication_error", "invalid x-api-key", ErrorClass::Auth),
        (403, "permission_error", "no", ErrorClass::Auth),
        (404, "not_found_error", "model: x", ErrorClass::NotFound),
        (413, "request_too_large", "too large", ErrorClass::ContextWindow),
        (429, "rate_limit_error", "slow down", ErrorClass::RateLimited),
        (500, "api_error", "oops", ErrorClass::Server),
        (529, "overloaded_error", "Overloaded", ErrorClass::Overloaded),
        (200, "overloaded_error", "Overloaded", ErrorClass::Overloaded),
        (200, "rate_limit_error", "slow down", ErrorClass::RateLimited),
        (200, "api_error", "oops", ErrorClass::Server),
    ] {
        let error = upstream_error(
            json!({"type": "error", "error": {"type": kind, "message": message}}).to_string().as_bytes(),
        );
        assert_eq!(classify(Dialect::Anthropic, status, &error), class, "{status} {kind} {message}");
    }
}

#[test]
fn an_answer_that_is_none_is_garbled() {
    let memory = case().memory(hi(json!({})));
    let garbled = |body: &[u8]| reply(Dialect::Anthropic, Dialect::OpenAi, body, &memory).unwrap_err();
    assert!(matches!(garbled(b"<html>"), Garbled::Json(_)));
    assert!(matches!(garbled(b"[]"), Garbled::Shape { .. }));
    assert!(matches!(garbled(b"{\"type\":\"message\"}"), Garbled::Shape { .. }));
    let error = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    assert!(matches!(garbled(error), Garbled::Upstream(error) if error.message == "Overloaded"));
}

#[test]
fn case_113_the_answer_names_the_model_that_answered() {
    let (got, facts) = case().reply_to(hi(json!({})), message(json!([text("hi")]), "end_turn"));
    assert_eq!(
        got,
        json!({
            "id": "msg_1", "object": "chat.completion", "created": crate::harness::NOW, "model": "claude",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi", "refusal": null}, "logprobs": null, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            },
        })
    );
    assert_eq!((facts.finish, facts.content_bytes), (Some(FinishReason::Stop), 2));
}

fn cited() -> Value {
    let found = |url: &str, title: Value| json!({"type": "web_search_result_location", "url": url, "title": title, "encrypted_index": "x", "cited_text": "so"});
    json!([
        {"type": "text", "text": "Hé, "},
        {"type": "text", "text": "one 😀", "citations": [found("https://a.example", json!("A")), found("https://b.example", Value::Null)]},
        {"type": "text", "text": " and two.", "citations": [{"type": "char_location", "cited_text": "q", "document_index": 0, "document_title": "t", "start_char_index": 0, "end_char_index": 1}]},
    ])
}

fn annotated() -> Value {
    let at = |url: &str, title: &str| json!({"type": "url_citation", "url_citation": {"start_index": 4, "end_index": 9, "title": title, "url": url}});
    json!([at("https://a.example", "A"), at("https://b.example", "https://b.example")])
}

#[test]
fn case_103_citations_of_addresses_are_annotations() {
    let (reply, _) = case().reply_to(hi(json!({})), message(cited(), "end_turn"));
    let said = &reply["choices"][0]["message"];
    assert_eq!((&said["content"], &said["annotations"]), (&json!("Hé, one 😀 and two."), &annotated()));
}

#[test]
fn case_103_citations_are_streamed() {
    let body = hi(json!({"stream": true}));
    let mut events = vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude", "content": [], "usage": {"input_tokens": 1}}}),
    ];
    for (index, block) in cited().as_array().unwrap().iter().enumerate() {
        let delta = |delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
        events.push(json!({"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": "", "citations": []}}));
        // It may say where a text has it from before it says it.
        for citation in block["citations"].as_array().into_iter().flatten() {
            events.push(delta(json!({"type": "citations_delta", "citation": citation})));
        }
        events.push(delta(json!({"type": "text_delta", "text": block["text"]})));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}),
    );
    events.push(json!({"type": "message_stop"}));
    let got = case().stream(body, &anthropic_events(&events));
    let told: Vec<Value> =
        got.deltas().iter().flat_map(|d| d["annotations"].as_array().cloned()).flatten().collect();
    assert_eq!(Value::Array(told), annotated());
    assert!(got.end.unwrap().complete);
}
