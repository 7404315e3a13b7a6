//! Usage, stop reasons, errors.

use super::{called, case, completion, extended, hi, says, text, tool};
use crate::harness::{NOW, openai_events};
use serde_json::{Value, json};
use smartflow_dialect::openai::ErrorClass;
use smartflow_dialect::openai::upstream_error;
use smartflow_dialect::translate::{ErrorWords, Garbled, classify, error_body, error_event, reply};
use smartflow_dialect::{Dialect, FinishReason, Usage};

#[test]
fn case_041_the_shape_of_an_answer() {
    let (message, facts) = case().reply_to(hi(json!({})), completion(says("Hello"), "stop"));
    assert_eq!(
        message,
        json!({"id": "chatcmpl-1", "type": "message", "role": "assistant", "model": "gpt", "content": [text("Hello")],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 5}})
    );
    assert_eq!(facts.finish, Some(FinishReason::Stop));
    assert_eq!(facts.usage, Some(Usage { input: 10, output: 5, ..Usage::default() }));
}

fn usage_of(usage: Value) -> (Value, Option<Usage>) {
    let mut answer = completion(says("a"), "stop");
    answer["usage"] = usage;
    let (message, facts) = case().reply_to(hi(json!({})), answer);
    (message["usage"].clone(), facts.usage)
}

#[test]
fn case_071_cached_tokens_are_no_input_tokens_here() {
    let (told, usage) = usage_of(json!({
        "prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 15}, "completion_tokens_details": {"reasoning_tokens": 20},
    }));
    assert_eq!(
        told,
        json!({"input_tokens": 25, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 15,
            "cache_creation": {"ephemeral_5m_input_tokens": 15, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 30, "output_tokens_details": {"thinking_tokens": 20}})
    );
    let expected = Usage {
        input: 100,
        cached_input: 60,
        cache_write: 15,
        output: 30,
        reasoning: 20,
        ..Usage::default()
    };
    assert_eq!(usage, Some(expected));
}

#[test]
fn case_075_076_missing_usage_and_nulls() {
    let nothing = json!({"input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 0});
    assert_eq!(usage_of(json!(null)), (nothing.clone(), None));
    let (told, usage) =
        usage_of(json!({"prompt_tokens": null, "completion_tokens": 0, "prompt_tokens_details": null}));
    assert_eq!((told, usage), (nothing, Some(Usage::default())));
}

#[test]
fn case_079_why_an_answer_ended() {
    for (reason, told, finish) in [
        ("stop", "end_turn", FinishReason::Stop),
        ("length", "max_tokens", FinishReason::Length),
        ("content_filter", "refusal", FinishReason::ContentFilter),
        ("model_length", "model_context_window_exceeded", FinishReason::Length),
        ("something_new", "end_turn", FinishReason::Other),
    ] {
        let (message, facts) = case().reply_to(hi(json!({})), completion(says("a"), reason));
        assert_eq!((message["stop_reason"].as_str(), facts.finish), (Some(told), Some(finish)), "{reason}");
    }
    for reason in ["tool_calls", "function_call", "stop"] {
        let answer = completion(
            json!({"role": "assistant", "content": null, "tool_calls": [called("c", "f", "{}")]}),
            reason,
        );
        let (message, _) = case().reply_to(hi(json!({"tools": [tool("f")]})), answer);
        assert_eq!(
            message["stop_reason"], "tool_use",
            "{reason}: some vendors say stop when they call tools"
        );
    }
}

#[test]
fn case_083_the_stop_sequence_that_was_met() {
    let mut answer = completion(says("a"), "stop");
    answer["choices"][0]["stop_reason"] = json!("END");
    let (message, _) = case().reply_to(hi(json!({"stop_sequences": ["END"]})), answer);
    assert_eq!(
        (&message["stop_reason"], &message["stop_sequence"]),
        (&json!("stop_sequence"), &json!("END"))
    );
}

#[test]
fn case_104_refusals_are_text_and_said_to_be_refusals() {
    let answer = completion(json!({"role": "assistant", "content": null, "refusal": "I won't."}), "stop");
    let (message, _) = case().reply_to(hi(json!({})), answer);
    assert_eq!(
        (&message["content"], &message["stop_reason"]),
        (&json!([text("I won't.")]), &json!("refusal"))
    );
}

#[test]
fn case_084_errors_in_anthropics_format() {
    let words = ErrorWords {
        status: 404,
        kind: "invalid_request_error",
        message: "no \"m\"",
        param: None,
        code: Some("model_not_found"),
    };
    let body: Value = serde_json::from_slice(&error_body(Dialect::Anthropic, &words)).unwrap();
    let error = json!({"type": "not_found_error", "message": "no \"m\"", "code": "model_not_found"});
    assert_eq!(body, json!({"type": "error", "error": error}));
    let event = error_event(Dialect::Anthropic, &ErrorWords { status: 503, ..words });
    let event = std::str::from_utf8(&event).unwrap();
    let data = event.strip_prefix("event: error\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!((&data["type"], &data["error"]["type"]), (&json!("error"), &json!("overloaded_error")));
    for (status, kind) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (504, "timeout_error"),
    ] {
        let body: Value =
            serde_json::from_slice(&error_body(Dialect::Anthropic, &ErrorWords { status, ..words })).unwrap();
        assert_eq!(body["error"]["type"], kind, "{status}");
    }
}

#[test]
fn case_085_086_what_a_vendors_error_means() {
    for (status, body, class) in [
        (
            400,
            json!({"error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}}),
            ErrorClass::ContextWindow,
        ),
        (400, json!({"error": {"message": "filtered", "code": "content_filter"}}), ErrorClass::ContentPolicy),
        (401, json!({"error": {"message": "bad key", "code": "invalid_api_key"}}), ErrorClass::Auth),
        (429, json!({"error": {"message": "slow", "type": "requests"}}), ErrorClass::RateLimited),
        (503, json!({"error": {"message": "busy"}}), ErrorClass::Overloaded),
    ] {
        let error = upstream_error(body.to_string().as_bytes());
        assert_eq!(classify(Dialect::OpenAi, status, &error), class);
    }
}

#[test]
fn answers_that_are_none_are_told_apart() {
    let memory = case().memory(hi(json!({})));
    let fault =
        |body: &str| reply(Dialect::OpenAi, Dialect::Anthropic, body.as_bytes(), &memory).unwrap_err();
    assert!(matches!(fault("<html>"), Garbled::Json(_)));
    assert!(matches!(fault("[]"), Garbled::Shape { .. }));
    assert!(matches!(fault(r#"{"choices":[]}"#), Garbled::Shape { .. }));
    let Garbled::Upstream(error) = fault(r#"{"error":{"message":"busy"}}"#) else { panic!() };
    assert_eq!(error.message, "busy");
    let extra = extended(completion(says("a"), "stop"), json!({"error": null}));
    assert!(reply(Dialect::OpenAi, Dialect::Anthropic, extra.to_string().as_bytes(), &memory).is_ok());
}

fn annotations() -> Value {
    json!([{"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 5, "title": "A", "url": "https://a.example"}}])
}

fn citation() -> Value {
    json!({"type": "web_search_result_location", "url": "https://a.example", "title": "A", "encrypted_index": "", "cited_text": ""})
}

#[test]
fn case_103_annotations_are_citations() {
    let mut said = says("Hello");
    said["annotations"] = annotations();
    let (reply, _) = case().reply_to(hi(json!({})), completion(said, "stop"));
    assert_eq!(reply["content"], json!([{"type": "text", "text": "Hello", "citations": [citation()]}]));
}

#[test]
fn case_103_annotations_are_streamed() {
    let chunk = |delta: Value, reason: Value| json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": NOW, "model": "gpt", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    let chunks = [
        chunk(json!({"role": "assistant", "content": "Hello"}), Value::Null),
        chunk(json!({"annotations": annotations()}), json!("stop")),
    ];
    let got = case().stream(hi(json!({"stream": true})), &openai_events(&chunks));
    let told: Vec<Value> =
        got.data().iter().filter(|e| e["delta"]["type"] == "citations_delta").cloned().collect();
    assert_eq!(
        told,
        [
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": citation()}})
        ]
    );
}
