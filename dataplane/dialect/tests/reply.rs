//! Whole answers, errors, the list of models.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use serde_json::{Value, json};
use smartflow_dialect::openai::{
    ModelEntry, error_body, model_body, models_body, scan_reply, upstream_error,
};
use smartflow_dialect::{FinishReason, Usage};

#[test]
fn a_full_answer() {
    let body = json!({
        "id": "c1", "object": "chat.completion", "model": "m-1", "service_tier": "flex",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "\"usage\":{\"prompt_tokens\":99}"}, "finish_reason": "length"},
            {"index": 1, "message": {"role": "assistant", "content": "b", "audio": {"data": "AAAA"}}, "finish_reason": "stop"},
        ],
        "x_vendor": {"usage": {"prompt_tokens": 77}},
        "usage": {
            "prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70,
            "prompt_tokens_details": {"cached_tokens": 30, "audio_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 8, "audio_tokens": 1, "accepted_prediction_tokens": 0},
        },
    })
    .to_string();
    let facts = scan_reply(body.as_bytes()).unwrap();
    let usage = Usage {
        input: 50,
        cached_input: 30,
        cache_write: 0,
        audio_input: 2,
        output: 20,
        reasoning: 8,
        audio_output: 1,
        ..Usage::default()
    };
    assert_eq!(facts.usage, Some(usage));
    assert_eq!((facts.choices, facts.finish), (2, Some(FinishReason::Length)));
    assert_eq!(facts.content_bytes, "\"usage\":{\"prompt_tokens\":99}b".len() as u64);
    let text = |text: Option<smartflow_dialect::Text>| text.unwrap().get(body.as_bytes()).into_owned();
    assert_eq!(
        (text(facts.id), text(facts.model), text(facts.service_tier)),
        ("c1".into(), "m-1".into(), "flex".into())
    );
    assert_eq!(facts.error, None);
}

#[test]
fn usage_in_the_words_of_several_vendors() {
    let of = |usage: Value| scan_reply(json!({ "usage": usage }).to_string().as_bytes()).unwrap().usage;
    let some = |input, cached_input, output, reasoning| {
        Some(Usage { input, cached_input, output, reasoning, ..Usage::default() })
    };
    assert_eq!(of(json!({"prompt_tokens": 9, "total_tokens": 9})), some(9, 0, 0, 0));
    assert_eq!(of(json!({"input_tokens": 9, "output_tokens": 2})), some(9, 0, 2, 0));
    assert_eq!(
        of(
            json!({"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5})
        ),
        some(9, 4, 2, 0)
    );
    assert_eq!(
        of(
            json!({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 21, "completion_tokens_details": {"reasoning_tokens": 10}})
        ),
        some(9, 0, 12, 10)
    );
    assert_eq!(
        of(json!({"prompt_tokens": 9, "completion_tokens": 1.5, "prompt_tokens_details": null})),
        some(9, 0, 2, 0)
    );
    assert_eq!(
        of(json!({"prompt_tokens": -9, "completion_tokens": "2", "total_tokens": null})),
        some(0, 0, 0, 0)
    );
    assert_eq!(of(json!({"prompt_tokens": 9, "completion_tokens": 1e30})), some(9, 0, u64::MAX, 0));
    assert_eq!(
        of(json!({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 50}})),
        some(9, 9, 0, 0)
    );
    assert_eq!(of(json!({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3}})).unwrap().cache_write, 3);
    assert_eq!(of(Value::Null), None);
    assert_eq!(of(json!("many")), None);
}

#[test]
fn embeddings_and_errors_with_status_200() {
    let body = json!({"object": "list", "data": [{"embedding": [0.5, -1e-3]}, {"embedding": "AAAA"}], "usage": {"prompt_tokens": 3, "total_tokens": 3}});
    let facts = scan_reply(body.to_string().as_bytes()).unwrap();
    assert_eq!((facts.choices, facts.usage.unwrap().input), (2, 3));
    let facts = scan_reply(br#"{"error":{"message":"no","code":500}}"#).unwrap();
    assert_eq!(facts.error.unwrap().code.as_deref(), Some("500"));
    for bad in ["", "[]", "<html>", "{\"usage\":", "{} x", "null"] {
        assert!(scan_reply(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn cut_and_flipped_answers_never_panic() {
    let body = json!({"id": "c", "choices": [{"message": {"content": "a\n\u{1}é"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}}}).to_string();
    for at in 0..body.len() {
        assert!(scan_reply(&body.as_bytes()[..at]).is_err());
        for byte in 0..=255 {
            let mut flipped = body.as_bytes().to_vec();
            flipped[at] = byte;
            let ours = scan_reply(&flipped);
            let object = serde_json::from_slice::<serde_json::Map<String, Value>>(&flipped).is_ok();
            assert!(ours.is_ok() || !object, "{}", String::from_utf8_lossy(&flipped));
        }
    }
}

#[test]
fn errors_of_every_shape() {
    for (body, message, code) in [
        (r#"{"error":{"message":"m","type":"t","code":"c","param":"p"}}"#, "m", Some("c")),
        (r#"{"error":{"message":"m","code":404,"status":"NOT_FOUND"}}"#, "m", Some("404")),
        (r#"[{"error":{"message":"m"}}]"#, "m", None),
        (r#"{"error":"m"}"#, "m", None),
        (r#"{"error":true,"message":"m"}"#, "m", None),
        (r#"{"message":"m","type":"invalid_request_error"}"#, "m", None),
        (r#"{"object":"error","message":"m","code":400}"#, "m", Some("400")),
        (r#"{"detail":"m"}"#, "m", None),
        (r#"{"detail":[{"loc":["body"],"msg":"m"},{"msg":"n"}]}"#, "m; n", None),
        ("m\n", "m", None),
        ("<html>502</html>", "", None),
        ("", "", None),
        ("{}", "", None),
        ("null", "", None),
    ] {
        let error = upstream_error(body.as_bytes());
        assert_eq!((error.message.as_str(), error.code.as_deref()), (message, code), "{body}");
    }
    let deep = "[".repeat(100_000);
    assert!(upstream_error(deep.as_bytes()).message.len() <= 600);
    let secret =
        upstream_error(br#"{"error":{"message":"Incorrect API key provided: sk-canary-12345678."}}"#);
    assert!(!format!("{secret:?}").contains("canary"));
}

#[test]
fn our_own_bodies() {
    let error: Value = serde_json::from_slice(&error_body("a \"b\"\n", "t", None, Some("c"))).unwrap();
    assert_eq!(error, json!({"error": {"message": "a \"b\"\n", "type": "t", "param": null, "code": "c"}}));
    let entry = |id| ModelEntry { id, created: 17, owned_by: "o" };
    let list: Value = serde_json::from_slice(&models_body([entry("a"), entry("b/c")])).unwrap();
    let model = |id| json!({"id": id, "object": "model", "created": 17, "owned_by": "o"});
    assert_eq!(list, json!({"object": "list", "data": [model("a"), model("b/c")]}));
    assert_eq!(
        serde_json::from_slice::<Value>(&models_body([])).unwrap(),
        json!({"object": "list", "data": []})
    );
    assert_eq!(serde_json::from_slice::<Value>(&model_body(entry("a"))).unwrap(), model("a"));
}
