//! Parameters, structured output, media, other.

use super::{case, chat, completion, extended, hi, says, sent, sent_hi, text, tool, with};
use serde_json::{Value, json};
use smartflow_dialect::chat::Unsupported;

#[test]
fn case_087_the_cap_goes_by_the_models_name_and_the_lowest_wins() {
    assert_eq!(case().request(hi(json!({}))), sent_hi(json!({})));
    let legacy = with(|facts| facts.legacy_max_tokens = true).request(hi(json!({})));
    assert_eq!((&legacy["max_tokens"], legacy.get("max_completion_tokens")), (&json!(100), None));
    let capped = with(|facts| facts.output_cap = Some(50)).request(hi(json!({})));
    assert_eq!(capped["max_completion_tokens"], 50);
    let above = with(|facts| facts.output_cap = Some(5000)).request(hi(json!({})));
    assert_eq!(above["max_completion_tokens"], 100);
    let small = with(|facts| facts.max_output = Some(64)).request(hi(json!({})));
    assert_eq!(small["max_completion_tokens"], 64);
}

#[test]
fn case_088_stop_sequences() {
    let got = case().request(hi(json!({"stop_sequences": ["a", "b"]})));
    assert_eq!(got, sent_hi(json!({"stop": ["a", "b"]})));
    let (got, dropped) = case().request_dropping(hi(json!({"stop_sequences": ["a", "b", "c", "d", "e"]})));
    assert_eq!(
        (got, dropped),
        (sent_hi(json!({"stop": ["a", "b", "c", "d"]})), vec!["stop_sequences".to_owned()])
    );
    assert_eq!(case().request(hi(json!({"stop_sequences": []}))), sent_hi(json!({})));
}

#[test]
fn case_089_structured_output() {
    let closed = json!({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": false});
    let format = |schema: &Value| json!({"format": {"type": "json_schema", "schema": schema}});
    let sent = |schema: &Value| json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": true}});
    let got = case().request(hi(json!({"output_config": format(&closed)})));
    assert_eq!(got, sent_hi(json!({"response_format": sent(&closed)})));
    let got = case().request(hi(json!({"output_format": format(&closed)["format"]})));
    assert_eq!(got["response_format"], sent(&closed), "the older name");
    let bad = hi(json!({"output_config": {"format": {"type": "text"}}}));
    assert_eq!(case().refused(bad).0, "output_config.format");
    let (message, _) =
        case().reply_to(hi(json!({"output_config": format(&closed)})), completion(says("{\"x\":1}"), "stop"));
    assert_eq!(message["content"], json!([text("{\"x\":1}")]));
}

#[test]
fn case_095_sampling() {
    let got = case().request(hi(json!({"temperature": 0.50, "top_p": 0.9})));
    assert_eq!(got, sent_hi(json!({"temperature": 0.5, "top_p": 0.9})));
    let (got, dropped) = case().request_dropping(hi(json!({"top_k": 5})));
    assert_eq!((got, dropped), (sent_hi(json!({})), vec!["top_k".to_owned()]));
    assert_eq!(with(|facts| facts.extensions = true).request(hi(json!({"top_k": 5})))["top_k"], 5);
    assert_eq!(
        with(|facts| facts.unsupported = Unsupported::Reject).refused(hi(json!({"top_k": 5}))).0,
        "top_k"
    );
}

fn user(content: Value) -> Value {
    chat(json!([{"role": "user", "content": content}]))
}

#[test]
fn case_097_images() {
    let got = case().request(user(json!([
        text("look"),
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA+/"}},
        {"source": {"url": "https://x.example/a.png", "type": "url"}, "type": "image"},
    ])));
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let content =
        json!([text("look"), image("data:image/png;base64,AA+/"), image("https://x.example/a.png")]);
    assert_eq!(got, sent(json!([{"role": "user", "content": content}])));
    let file = user(json!([{"type": "image", "source": {"type": "file", "file_id": "f"}}]));
    assert_eq!(case().refused(file).0, "messages", "a file that only Anthropic has");
}

#[test]
fn case_099_documents() {
    let pdf = json!({"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}});
    let got = case().request(user(json!([pdf, text("sum up")])));
    let file = json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}});
    assert_eq!(got, sent(json!([{"role": "user", "content": [file, text("sum up")]}])));
    for source in [
        json!({"type": "text", "media_type": "text/plain", "data": "lorem"}),
        json!({"type": "content", "content": "lorem"}),
        json!({"type": "content", "content": [text("lorem")]}),
    ] {
        let got = case().request(user(
            json!([{"type": "document", "title": "T", "context": "C", "source": source}, text("?")]),
        ));
        assert_eq!(got, sent(json!([{"role": "user", "content": [text("T\nC\nlorem"), text("?")]}])));
    }
    let cited = json!({"type": "document", "citations": {"enabled": true}, "source": {"type": "text", "data": "lorem"}});
    assert_eq!(case().request_dropping(user(json!([cited]))).1, ["messages[].content[].title"]);
    for source in [
        json!({"type": "url", "url": "https://x.example/a.pdf"}),
        json!({"type": "file", "file_id": "f"}),
        json!({"type": "moon"}),
    ] {
        assert_eq!(
            case().refused(user(json!([{"type": "document", "source": source}]))).0,
            "messages",
            "{source}"
        );
    }
}

#[test]
fn case_102_cache_marks() {
    let mark = json!({"type": "ephemeral", "ttl": "1h"});
    let mut body = hi(
        json!({"system": [{"type": "text", "text": "s", "cache_control": mark}], "tools": [extended(tool("f"), json!({"cache_control": mark}))]}),
    );
    body["messages"][0]["content"] =
        json!([{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]);
    let got = with(|facts| facts.extensions = true).request(body.clone());
    assert_eq!(got["messages"][0]["content"][0]["cache_control"], mark);
    assert_eq!(got["messages"][1]["content"][0]["cache_control"], json!({"type": "ephemeral"}));
    assert_eq!(got["tools"][0]["cache_control"], mark);
    let (got, dropped) = case().request_dropping(body);
    assert!(!got.to_string().contains("cache_control"));
    assert_eq!(dropped, ["messages[].content[].cache_control"]);
}

#[test]
fn case_103_citations_of_the_history_are_listed() {
    let body = chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "text", "text": "a", "citations": [{"type": "char_location"}]}]},
        {"role": "user", "content": "go on"},
    ]));
    assert_eq!(case().request_dropping(body).1, ["messages[].content[].citations"]);
}

#[test]
fn case_078_service_tiers() {
    assert_eq!(case().request(hi(json!({"service_tier": "auto"}))), sent_hi(json!({"service_tier": "auto"})));
    assert_eq!(
        case().request(hi(json!({"service_tier": "standard_only"}))),
        sent_hi(json!({"service_tier": "default"}))
    );
    assert_eq!(case().request_dropping(hi(json!({"service_tier": "new"}))).1, ["service_tier"]);
}

#[test]
fn case_111_fields_that_only_anthropic_knows() {
    for (fields, dropped) in [
        (json!({"speed": "fast"}), vec!["speed"]),
        (json!({"context_management": {"edits": []}}), vec!["context_management"]),
        (json!({"cache_control": {"type": "ephemeral"}}), vec!["cache_control"]),
        (json!({"something_new": 1, "another": [2]}), vec!["something_new", "another"]),
        (json!({"speed": "standard", "mcp_servers": [], "container": null}), vec![]),
    ] {
        let (got, listed) = case().request_dropping(hi(fields.clone()));
        assert_eq!(got, sent_hi(json!({})), "{fields}");
        let mut listed: Vec<_> = listed.iter().map(String::as_str).collect();
        listed.sort_unstable_by_key(|path| dropped.iter().position(|name| name == path));
        assert_eq!(listed, dropped);
        if !dropped.is_empty() {
            let reject = with(|facts| facts.unsupported = Unsupported::Reject);
            assert!(dropped.contains(&reject.refused(hi(fields)).0.as_str()));
        }
    }
    for (fields, param) in [
        (json!({"container": "c"}), "container"),
        (json!({"thread": {"type": "create"}}), "thread"),
        (json!({"fallbacks": [{"model": "m"}]}), "fallbacks"),
        (json!({"inference_geo": "us"}), "inference_geo"),
    ] {
        assert_eq!(case().refused(hi(fields)).0, param);
    }
}

#[test]
fn case_112_113_nothing_is_sent_as_it_came() {
    let got = case().request(hi(json!({})));
    assert_eq!(got["model"], "upstream-model");
    let (message, _) = case().reply_to(hi(json!({})), completion(says("a"), "stop"));
    assert_eq!(message["model"], "gpt", "as the vendor says");
}
