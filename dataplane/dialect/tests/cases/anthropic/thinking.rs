//! Thinking.

use super::{case, chat, completion, extended, hi, says, sent, sent_hi, text, with};
use serde_json::json;
use smartflow_dialect::translate::ThinkingSupport;

#[test]
fn case_062_effort_is_effort() {
    for effort in ["low", "medium", "high", "xhigh", "max"] {
        let got = case()
            .request(hi(json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}})));
        assert_eq!(got, sent_hi(json!({"reasoning_effort": effort})));
    }
    let none = with(|facts| facts.thinking = ThinkingSupport::None);
    let body = hi(
        json!({"thinking": {"type": "enabled", "budget_tokens": 2000}, "output_config": {"effort": "low"}}),
    );
    let (got, dropped) = none.request_dropping(body);
    assert_eq!(got, sent_hi(json!({})));
    assert_eq!(dropped, ["thinking", "output_config.effort"]);
}

#[test]
fn case_065_066_thinking_in_the_history() {
    let body = chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, text("So.")]},
        {"role": "user", "content": "go on"},
    ]));
    let (got, dropped) = case().request_dropping(body.clone());
    assert_eq!(got["messages"][1], json!({"role": "assistant", "content": [text("So.")]}));
    assert_eq!(dropped, ["messages[].content[].thinking"]);
    let got = with(|facts| facts.extensions = true).request(body);
    assert_eq!(got["messages"][1]["reasoning_content"], "hm");
    assert_eq!(
        got["messages"][1]["thinking_blocks"],
        json!([{"type": "thinking", "thinking": "hm", "signature": "s"}])
    );
}

#[test]
fn case_066_reasoning_content_is_thinking() {
    for name in ["reasoning_content", "reasoning"] {
        let answer = completion(extended(says("So."), json!({name: "hm"})), "stop");
        let (message, facts) = case().reply_to(hi(json!({})), answer);
        // Nobody signed it: the empty signature says so, and keeps it from being replayed to Anthropic.
        let thought = json!({"type": "thinking", "thinking": "hm", "signature": ""});
        assert_eq!(message["content"], json!([thought, text("So.")]));
        assert_eq!(facts.content_bytes, "hmSo.".len() as u64);
    }
    let back = chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""}, text("So.")]},
        {"role": "user", "content": "go on"},
    ]));
    let got = with(|facts| facts.extensions = true).request(back);
    assert_eq!(got["messages"][1]["reasoning_content"], "hm");
    assert_eq!(got["messages"][1].get("thinking_blocks"), None);
}

#[test]
fn case_066_signed_blocks_of_gateways_are_signed_here() {
    let blocks = json!([{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}]);
    let answer = completion(
        extended(says("So."), json!({"reasoning_content": "hm", "thinking_blocks": blocks})),
        "stop",
    );
    let (message, _) = case().reply_to(hi(json!({})), answer);
    assert_eq!(message["content"], json!([blocks[0], blocks[1], text("So.")]));
}

#[test]
fn case_069_a_budget_is_about_an_effort() {
    for (tokens, effort) in [(1024, "low"), (4000, "medium"), (16_000, "high"), (60_000, "xhigh")] {
        let got = case().request(hi(json!({"thinking": {"type": "enabled", "budget_tokens": tokens}})));
        assert_eq!(got, sent_hi(json!({"reasoning_effort": effort})));
    }
    let got = case().request(hi(json!({"thinking": {"type": "adaptive"}})));
    assert_eq!(got, sent_hi(json!({})), "as the model finds right");
    let (got, dropped) = case().request_dropping(hi(json!({"thinking": {"type": "disabled"}})));
    assert_eq!((got, dropped), (sent_hi(json!({"reasoning_effort": "low"})), vec!["thinking".to_owned()]));
    let (got, dropped) =
        case().request_dropping(hi(json!({"thinking": {"type": "adaptive", "display": "omitted"}})));
    assert_eq!(
        (got, dropped),
        (sent(sent_hi(json!({}))["messages"].clone()), vec!["thinking.display".to_owned()])
    );
}
