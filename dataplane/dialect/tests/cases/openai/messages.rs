//! Messages, roles, system.

use super::{case, chat, hi, sent, sent_hi, text, with};
use serde_json::json;
use smartflow_dialect::Dialect;
use smartflow_dialect::chat::Unsupported;
use smartflow_dialect::openai::BadRequest;
use smartflow_dialect::translate::request;

#[test]
fn case_001_system_messages_become_system_blocks_in_order() {
    let (got, dropped) = case().request_dropping(chat(json!([
        {"role": "system", "content": "one"},
        {"role": "system", "content": [{"type": "text", "text": "two", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "three"},
        {"role": "user", "content": "there"},
    ])));
    let mut expected = sent(json!([{"role": "user", "content": [text("hi"), text("there")]}]));
    expected["system"] = json!([
        text("one"),
        {"type": "text", "text": "two", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        text("three"),
    ]);
    assert_eq!((got, dropped), (expected, vec!["messages[].role".to_owned()]));
}

#[test]
fn case_008_texts_of_the_system_amid_the_conversation_go_ahead_of_it_and_that_is_listed() {
    for role in ["system", "developer"] {
        let body = chat(json!([
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
            {"role": role, "content": "be brief"},
            {"role": "user", "content": "why?"},
        ]));
        let (got, dropped) = case().request_dropping(body.clone());
        let mut expected = sent(json!([
            {"role": "user", "content": [text("hi")]},
            {"role": "assistant", "content": [text("hello")]},
            {"role": "user", "content": [text("why?")]},
        ]));
        expected["system"] = json!([text("be brief")]);
        assert_eq!((got, dropped), (expected, vec!["messages[].role".to_owned()]), "{role}");
        let (param, words) = with(|facts| facts.unsupported = Unsupported::Reject).refused(body);
        assert_eq!(param, "messages[].role", "{words}");
    }
    // Nothing is lost of what says nothing, or stands ahead of the conversation anyway.
    let got = case().request(chat(json!([
        {"role": "system", "content": "one"},
        {"role": "developer", "content": "two"},
        {"role": "user", "content": "hi"},
        {"role": "system", "content": " "},
    ])));
    assert_eq!(got, sent_hi(json!({"system": [text("one"), text("two")]})));
}

#[test]
fn case_002_empty_system_texts_are_left_out() {
    let got = case().request(chat(json!([
        {"role": "system", "content": ""},
        {"role": "system", "content": [{"type": "text", "text": ""}]},
        {"role": "user", "content": "hi"},
    ])));
    assert_eq!(got, sent_hi(json!({})));
}

#[test]
fn case_003_empty_texts_are_never_sent() {
    let got = case().request(chat(json!([
        {"role": "user", "content": ""},
        {"role": "user", "content": [text(""), text("hi")]},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "there"},
    ])));
    assert_eq!(got, sent(json!([{"role": "user", "content": [text("hi"), text("there")]}])));
}

#[test]
fn case_004_consecutive_messages_of_a_role_are_one() {
    let got = case().request(chat(json!([
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
        {"role": "assistant", "content": "d"},
        {"role": "user", "content": "e"},
    ])));
    let expected = sent(json!([
        {"role": "user", "content": [text("a"), text("b")]},
        {"role": "assistant", "content": [text("c"), text("d")]},
        {"role": "user", "content": [text("e")]},
    ]));
    assert_eq!(got, expected);
}

#[test]
fn case_005_a_conversation_that_the_user_does_not_begin_is_refused() {
    for messages in [
        json!([{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]),
        json!([{"role": "system", "content": "a"}]),
        json!([{"role": "user", "content": ""}]),
    ] {
        let (param, words) = case().refused(chat(messages));
        assert_eq!(param, "messages", "{words}");
        assert!(words.contains("user"), "{words}");
    }
    assert_eq!(case().refused(chat(json!([]))).0, "messages");
}

#[test]
fn case_006_a_prefill_ends_without_white_space() {
    let got = case().request(chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "{\"a\": \n"},
    ])));
    let expected = sent(json!([
        {"role": "user", "content": [text("hi")]},
        {"role": "assistant", "content": [text("{\"a\":")]},
    ]));
    assert_eq!(got, expected);
}

#[test]
fn case_006_a_prefill_to_a_model_that_refuses_one_is_left_out_and_listed_or_refused() {
    let body = chat(json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "{\"a\":"}]));
    let strict = with(|facts| facts.no_prefill = true);
    let (got, dropped) = strict.request_dropping(body.clone());
    assert_eq!((got, dropped), (sent_hi(json!({})), vec!["messages[].prefill".to_owned()]));
    let refusing = with(|facts| (facts.no_prefill, facts.unsupported) = (true, Unsupported::Reject));
    let (param, words) = refusing.refused(body);
    assert_eq!(param, "messages[].prefill");
    assert!(words.contains("x-smartflow-unsupported"), "{words}");
    // A call of a tool with its result is no prefill.
    let history = json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]);
    assert_eq!(strict.request(chat(history))["messages"].as_array().map(Vec::len), Some(3));
}

#[test]
fn case_007_developer_is_system() {
    let got = case().request(chat(json!([
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": "hi"},
    ])));
    assert_eq!(got, sent_hi(json!({"system": [text("be brief")]})));
}

#[test]
fn case_009_names_of_authors_are_dropped_and_listed() {
    let body = chat(json!([{"role": "user", "content": "hi", "name": "ann"}]));
    let (got, dropped) = case().request_dropping(body.clone());
    assert_eq!((got, dropped), (sent_hi(json!({})), vec!["messages[].name".to_owned()]));
    let (param, words) = with(|facts| facts.unsupported = Unsupported::Reject).refused(body);
    assert_eq!(param, "messages[].name");
    assert!(words.contains("x-smartflow-unsupported"), "{words}");
}

#[test]
fn case_010_an_assistant_message_without_content_calls_tools() {
    let got = case().request(chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ])));
    assert_eq!(
        got["messages"],
        json!([
            {"role": "user", "content": [text("hi")]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [text("ok")]}]},
        ])
    );
}

#[test]
fn case_012_an_end_user_is_told_unless_the_id_names_a_person() {
    let got = case().request(hi(json!({"user": "u-17"})));
    assert_eq!(got, sent_hi(json!({"metadata": {"user_id": "u-17"}})));
    let got = case().request(hi(json!({"safety_identifier": "s-17"})));
    assert_eq!(got, sent_hi(json!({"metadata": {"user_id": "s-17"}})));
    for person in ["ann@example.com", "+49 171 2345678"] {
        let (got, dropped) = case().request_dropping(hi(json!({"user": person})));
        assert_eq!((got, dropped), (sent_hi(json!({})), vec!["user".to_owned()]), "{person}");
    }
}

#[test]
fn case_013_what_is_no_json_is_refused() {
    for body in [
        &b"{"[..],
        b"\xff",
        b"[]",
        b"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}",
    ] {
        let fault = request(Dialect::OpenAi, Dialect::Anthropic, body, &case().facts).unwrap_err();
        assert!(matches!(fault, BadRequest::Json(_) | BadRequest::WrongType { .. }), "{fault}");
    }
    for (body, param) in [
        (json!({"messages": [{"role": "user", "content": "hi"}]}), "model"),
        (json!({"model": "m"}), "messages"),
        (json!({"model": "m", "messages": [{"role": "user", "content": 7}]}), "messages[0].content"),
        (json!({"model": "m", "messages": [{"role": "wizard", "content": "hi"}]}), "messages[0].role"),
        (json!({"model": "m", "messages": [{"content": "hi"}]}), "messages[0].role"),
        (
            json!({"model": "m", "messages": [{"role": "user", "content": [{"text": "hi"}]}]}),
            "messages[0].content[0].type",
        ),
    ] {
        assert_eq!(case().refused(body).0, param);
    }
}
