//! Messages, roles, system.

use super::{case, chat, extended, hi, sent, sent_hi, text, with};
use serde_json::json;
use smartflow_dialect::Dialect;
use smartflow_dialect::chat::Unsupported;
use smartflow_dialect::openai::BadRequest;
use smartflow_dialect::translate::request;

#[test]
fn case_001_system_blocks_become_a_system_message_in_order() {
    let got = case().request(hi(json!({"system": [text("one"), text("two")]})));
    let expected = sent(json!([
        {"role": "system", "content": [text("one"), text("two")]},
        {"role": "user", "content": [text("hi")]},
    ]));
    assert_eq!(got, expected);
    let last = extended(
        json!({"messages": [{"role": "user", "content": "hi"}]}),
        json!({"model": "m", "max_tokens": 100, "system": "one"}),
    );
    assert_eq!(case().request(last)["messages"][0], json!({"role": "system", "content": [text("one")]}));
}

#[test]
fn case_002_empty_system_texts_are_left_out() {
    for system in [json!(""), json!([]), json!([text("")]), json!(null)] {
        assert_eq!(case().request(hi(json!({"system": system}))), sent_hi(json!({})));
    }
}

#[test]
fn case_003_empty_texts_are_never_sent() {
    let got = case().request(chat(json!([
        {"role": "user", "content": ""},
        {"role": "user", "content": [text(""), text("hi")]},
        {"role": "assistant", "content": []},
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
fn case_006_a_prefill_is_sent_and_said_to_be_lost() {
    let body = chat(json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "{"}]));
    let (got, dropped) = case().request_dropping(body.clone());
    // It is in the history, but OpenAI begins anew instead of going on from it.
    assert_eq!(got["messages"][1], json!({"role": "assistant", "content": [text("{")]}));
    assert_eq!(dropped, ["messages[].prefill"]);
    assert_eq!(with(|facts| facts.unsupported = Unsupported::Reject).refused(body).0, "messages[].prefill");
}

#[test]
fn case_008_system_texts_amid_the_conversation_stay_there() {
    let got = case().request(chat(json!([
        {"role": "system", "content": "first"},
        {"role": "user", "content": "hi"},
        {"role": "system", "content": [text("mind")]},
        {"role": "user", "content": "there"},
    ])));
    let expected = sent(json!([
        {"role": "system", "content": [text("first")]},
        {"role": "user", "content": [text("hi")]},
        {"role": "system", "content": [text("mind")]},
        {"role": "user", "content": [text("there")]},
    ]));
    assert_eq!(got, expected);
}

#[test]
fn case_012_the_end_user_is_named() {
    let got = case().request(hi(json!({"metadata": {"user_id": "u-1"}})));
    assert_eq!(got, sent_hi(json!({"user": "u-1"})));
    let (got, dropped) = case().request_dropping(hi(json!({"metadata": {"team": "a"}})));
    assert_eq!((got, dropped), (sent_hi(json!({})), vec!["metadata".to_owned()]));
    let long = "u".repeat(300);
    let got = case().request(hi(json!({"metadata": {"user_id": long}})));
    assert!(got["user"].as_str().unwrap().len() <= 64, "OpenAI takes 64 characters");
}

#[test]
fn case_013_what_is_no_json_is_refused() {
    for (body, code) in [
        (
            &b"{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}"[..],
            "invalid_json",
        ),
        (b"{\"model\":\"m\"", "invalid_json"),
        (b"", "invalid_json"),
        (b"[]", "invalid_value"),
    ] {
        let fault = request(Dialect::Anthropic, Dialect::OpenAi, body, &case().facts).unwrap_err();
        assert_eq!(fault.code(), code, "{fault}");
    }
    for (body, param) in [
        (json!({"max_tokens": 1, "messages": []}), "messages"),
        (json!({"model": "m", "messages": [{"role": "user", "content": "a"}]}), "max_tokens"),
        (json!({"model": "m", "max_tokens": 1}), "messages"),
        (chat(json!([{"role": "user"}])), "messages[0].content"),
        (chat(json!([{"content": "a"}])), "messages[0].role"),
        (chat(json!([{"role": "robot", "content": "a"}])), "messages[0].role"),
        (chat(json!([{"role": "user", "content": [{"text": "a"}]}])), "messages[0].content[0].type"),
        (chat(json!([{"role": "user", "content": [{"type": "text"}]}])), "messages[0].content[0].text"),
        (chat(json!([{"role": "user", "content": [7]}])), "messages[0].content[0]"),
        (chat(json!([{"role": "user", "content": [{"type": "image"}]}])), "messages[0].content[0].source"),
        (hi(json!({"thinking": {"type": "enabled"}})), "thinking.budget_tokens"),
        (hi(json!({"tool_choice": {"type": "often"}})), "tool_choice.type"),
        (hi(json!({"max_tokens": 0})), "max_tokens"),
        (hi(json!({"stop_sequences": "a"})), "stop_sequences"),
        (hi(json!({"temperature": "hot"})), "temperature"),
    ] {
        assert_eq!(case().refused(body.clone()).0, param, "{body}");
    }
}

#[test]
fn case_013_depth_is_bounded() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let body = format!(r#"{{"model":"m","max_tokens":1,"x":{deep},"messages":[]}}"#);
    let fault = request(Dialect::Anthropic, Dialect::OpenAi, body.as_bytes(), &case().facts).unwrap_err();
    assert!(matches!(fault, BadRequest::Json(_)) && fault.code() == "too_deep", "{fault}");
}
