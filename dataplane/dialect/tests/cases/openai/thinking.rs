//! Thinking.

use super::{case, chat, function, hi, message, sent_hi, text, with};
use crate::harness::anthropic_events;
use serde_json::json;
use smartflow_dialect::translate::ThinkingSupport;

#[test]
fn case_062_effort_becomes_effort_or_a_budget() {
    for effort in ["low", "medium", "high", "xhigh", "max"] {
        let got = case().request(hi(json!({"reasoning_effort": effort})));
        let expected = json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}});
        assert_eq!(got, sent_hi(expected), "{effort}");
    }
    let got = case().request(hi(json!({"reasoning_effort": "minimal"})));
    assert_eq!(got["output_config"]["effort"], "low");
    let budgets = with(|facts| facts.thinking = ThinkingSupport::Budget);
    for (effort, tokens) in [("low", 1024), ("medium", 4096), ("high", 16_384)] {
        let got = budgets.request(hi(json!({"reasoning_effort": effort, "max_tokens": 50_000})));
        assert_eq!(got["thinking"]["type"], "enabled", "{effort}");
        assert!(got["thinking"]["budget_tokens"].as_u64().unwrap() <= tokens, "{got}");
    }
    for case in [case(), budgets] {
        let got = case.request(hi(json!({"reasoning_effort": "none"})));
        assert!(matches!(got["thinking"]["type"].as_str(), None | Some("disabled")), "{got}");
    }
    let none = with(|facts| facts.thinking = ThinkingSupport::None);
    let (got, dropped) = none.request_dropping(hi(json!({"reasoning_effort": "high"})));
    assert_eq!((got, dropped), (sent_hi(json!({})), vec!["reasoning_effort".to_owned()]));
}

#[test]
fn case_063_the_budget_is_below_the_cap() {
    let budgets = with(|facts| {
        facts.thinking = ThinkingSupport::Budget;
        facts.max_output = Some(64_000);
    });
    for cap in [2000, 5000, 20_000] {
        let got = budgets.request(hi(json!({"max_tokens": cap, "reasoning_effort": "high"})));
        let budget = got["thinking"]["budget_tokens"].as_u64().unwrap();
        assert!(budget >= 1024 && budget < got["max_tokens"].as_u64().unwrap(), "{got}");
    }
}

#[test]
fn case_064_signed_thinking_goes_back_first_and_unchanged() {
    let blocks = json!([
        {"type": "thinking", "thinking": "First…", "signature": "sig=="},
        {"type": "redacted_thinking", "data": "opaque"},
    ]);
    let body = chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "So.", "reasoning_content": "First…", "thinking_blocks": blocks, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]));
    let mut body = body;
    body["tools"] = json!([function("f")]);
    let got = case().request(body);
    assert_eq!(
        got["messages"][1]["content"],
        json!([blocks[0], blocks[1], text("So."), {"type": "tool_use", "id": "c1", "name": "f", "input": {}}])
    );
}

#[test]
fn case_065_unsigned_thinking_is_not_sent_back() {
    let (got, dropped) = case().request_dropping(chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "So.", "reasoning_content": "I made this up"},
        {"role": "user", "content": "and?"},
    ])));
    assert_eq!(got["messages"][1]["content"], json!([text("So.")]));
    assert_eq!(dropped, ["messages[].thinking_blocks"]);
}

#[test]
fn case_066_thinking_is_told_as_text_and_as_blocks() {
    let content = json!([
        {"type": "thinking", "thinking": "Hm, ", "signature": "s1"},
        {"type": "redacted_thinking", "data": "opaque"},
        {"type": "text", "text": "Yes."},
    ]);
    let (got, facts) = case().reply_to(hi(json!({})), message(content.clone(), "end_turn"));
    assert_eq!(
        got["choices"][0]["message"],
        json!({
            "role": "assistant", "content": "Yes.", "refusal": null, "reasoning_content": "Hm, ",
            "thinking_blocks": [content[0], content[1]],
        })
    );
    assert_eq!(facts.content_bytes, "Hm, s1opaqueYes.".len() as u64);
}

#[test]
fn case_066_thinking_is_streamed_and_can_be_sent_back() {
    let events = anthropic_events(&[
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm, "}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "so."}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s1"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "opaque"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "Yes."}}),
        json!({"type": "content_block_stop", "index": 2}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ]);
    let got = case().stream(hi(json!({"stream": true})), &events);
    assert_eq!(
        got.deltas(),
        [
            json!({"role": "assistant", "content": ""}),
            json!({"reasoning_content": "Hm, "}),
            json!({"reasoning_content": "so."}),
            json!({"thinking_blocks": [{"type": "thinking", "thinking": "Hm, so.", "signature": "s1"}]}),
            json!({"thinking_blocks": [{"type": "redacted_thinking", "data": "opaque"}]}),
            json!({"content": "Yes."}),
        ]
    );
}

#[test]
fn case_068_sampling_that_thinking_forbids_is_dropped() {
    let body = hi(json!({"reasoning_effort": "high", "temperature": 0.2, "max_tokens": 30_000}));
    let budgets = with(|facts| {
        facts.thinking = ThinkingSupport::Budget;
        facts.max_output = Some(64_000);
    });
    let (got, dropped) = budgets.request_dropping(body);
    assert_eq!(got.get("temperature"), None);
    assert_eq!(dropped, ["temperature"]);
}

#[test]
fn case_068_sampling_that_a_model_always_refuses_is_dropped() {
    let fixed = with(|facts| facts.fixed_sampling = true);
    let (got, dropped) = fixed.request_dropping(hi(json!({"temperature": 0.2, "top_p": 0.5, "top_k": 3})));
    assert_eq!(
        (got, dropped.as_slice()),
        (sent_hi(json!({})), &["temperature", "top_p", "top_k"].map(String::from)[..])
    );
    let (got, dropped) = fixed.request_dropping(hi(json!({"temperature": 1, "top_p": 1.0})));
    assert_eq!((got, dropped.len()), (sent_hi(json!({})), 0), "that is how it draws");
}

#[test]
fn case_062_a_model_that_always_thinks_thinks_as_little_as_it_can() {
    let always = with(|facts| facts.always_thinks = true);
    let low = sent_hi(json!({"output_config": {"effort": "low"}}));
    let (got, dropped) = always.request_dropping(hi(json!({"reasoning_effort": "none"})));
    assert_eq!((got, dropped), (low.clone(), vec!["reasoning_effort".to_owned()]));
    let (got, dropped) = always.request_dropping(hi(json!({"thinking": {"type": "disabled"}})));
    assert_eq!((got, dropped), (low, vec!["thinking".to_owned()]));
}
