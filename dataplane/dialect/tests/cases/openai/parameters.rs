//! Parameters, structured output, media, other.

use super::{case, chat, function, hi, message, sent, sent_hi, text, with};
use serde_json::{Value, json};
use smartflow_dialect::chat::Unsupported;

#[test]
fn case_087_anthropic_always_gets_a_cap() {
    let without = json!({"model": "gpt", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(case().request(without.clone())["max_tokens"], 8192);
    let mut completion = without.clone();
    completion["max_completion_tokens"] = json!(77);
    assert_eq!(case().request(completion)["max_tokens"], 77);
    assert_eq!(case().refused(hi(json!({"max_completion_tokens": 77}))).0, "max_tokens");
    let capped = with(|facts| facts.output_cap = Some(50));
    assert_eq!(capped.request(without)["max_tokens"], 50);
    assert_eq!(capped.request(hi(json!({})))["max_tokens"], 50);
    assert_eq!(with(|facts| facts.output_cap = Some(5000)).request(hi(json!({})))["max_tokens"], 100);
    assert_eq!(case().request(hi(json!({"max_tokens": 99_999})))["max_tokens"], 8192);
}

#[test]
fn case_088_stop_sequences() {
    assert_eq!(case().request(hi(json!({"stop": "END"}))), sent_hi(json!({"stop_sequences": ["END"]})));
    assert_eq!(
        case().request(hi(json!({"stop": ["a", "b"]}))),
        sent_hi(json!({"stop_sequences": ["a", "b"]}))
    );
    assert_eq!(case().request(hi(json!({"stop": null}))), sent_hi(json!({})));
    // Anthropic refuses those of white space only.
    let (got, dropped) = case().request_dropping(hi(json!({"stop": ["\n", "b"]})));
    assert_eq!((got, dropped), (sent_hi(json!({"stop_sequences": ["b"]})), vec!["stop".to_owned()]));
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": false})
}

fn format() -> Value {
    json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema(), "strict": true}})
}

#[test]
fn case_089_a_schema_is_kept_to_natively() {
    let got = case().request(hi(json!({"response_format": format()})));
    let expected = json!({"output_config": {"format": {"type": "json_schema", "schema": schema()}}});
    assert_eq!(got, sent_hi(expected));
}

#[test]
fn case_089_or_by_a_forced_tool_whose_arguments_are_the_answer() {
    let case = with(|facts| facts.structured_output = false);
    let body = hi(json!({"response_format": format()}));
    let got = case.request(body.clone());
    let name = got["tools"][0]["name"].as_str().unwrap().to_owned();
    assert_eq!(got["tools"][0]["input_schema"], schema());
    assert_eq!(got["tool_choice"]["type"], "tool");
    assert_eq!(got["tool_choice"]["name"], name.as_str());
    let call = json!({"type": "tool_use", "id": "t1", "name": name, "input": {"x": 7}});
    let (got, facts) = case.reply_to(body, message(json!([call]), "tool_use"));
    assert_eq!(
        got["choices"][0]["message"],
        json!({"role": "assistant", "content": "{\"x\":7}", "refusal": null})
    );
    assert_eq!(got["choices"][0]["finish_reason"], "stop");
    assert!(facts.content_bytes >= 7);
}

#[test]
fn case_089_beside_real_tools() {
    let case = with(|facts| facts.structured_output = false);
    let body = hi(json!({"response_format": format(), "tools": [function("f")]}));
    let got = case.request(body.clone());
    assert_eq!(got["tools"].as_array().unwrap().len(), 2);
    assert_eq!(got["tool_choice"]["type"], "any");
    let call = json!({"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 7}});
    let (got, _) = case.reply_to(body, message(json!([call]), "tool_use"));
    assert_eq!(got["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "f");
    assert_eq!(got["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn case_090_what_a_schema_cannot_enforce_is_told() {
    let mut format = format();
    format["json_schema"]["schema"] =
        json!({"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}});
    let got = case().request(hi(json!({"response_format": format})));
    let expected = json!({"type": "object", "properties": {"age": {"type": "integer", "description": "(minimum: 0)"}}, "additionalProperties": false});
    assert_eq!(got["output_config"]["format"]["schema"], expected);
}

#[test]
fn case_091_any_json_object_comes_by_a_tool() {
    let body = hi(json!({"response_format": {"type": "json_object"}}));
    let got = case().request(body.clone());
    let name = got["tools"][0]["name"].as_str().unwrap().to_owned();
    assert_eq!(got["tools"][0]["input_schema"]["type"], "object");
    assert_eq!(got["tool_choice"]["name"], name.as_str());
    let call = json!({"type": "tool_use", "id": "t1", "name": name, "input": {"any": [1]}});
    let (got, _) = case().reply_to(body, message(json!([call]), "tool_use"));
    assert_eq!(got["choices"][0]["message"]["content"], "{\"any\":[1]}");
    assert_eq!(got["choices"][0]["finish_reason"], "stop");
}

#[test]
fn case_091_a_form_that_is_not_understood_is_refused() {
    for (format, param) in [
        (json!({"type": "yaml"}), "response_format.type"),
        (json!({"type": "json_schema"}), "response_format.json_schema"),
        (json!("json"), "response_format"),
    ] {
        assert_eq!(case().refused(hi(json!({"response_format": format}))).0, param);
    }
    assert_eq!(case().request(hi(json!({"response_format": {"type": "text"}}))), sent_hi(json!({})));
}

#[test]
fn case_093_several_answers_are_refused() {
    for unsupported in [Unsupported::Drop, Unsupported::Reject] {
        let case = with(|facts| facts.unsupported = unsupported);
        let (param, _) = case.refused(hi(json!({"n": 2})));
        assert_eq!(param, "n");
    }
    assert_eq!(case().request(hi(json!({"n": 1}))), sent_hi(json!({})));
}

#[test]
fn case_094_095_what_anthropic_does_not_know_is_listed_or_refused() {
    for (field, value) in [
        ("logprobs", json!(true)),
        ("seed", json!(7)),
        ("frequency_penalty", json!(0.5)),
        ("presence_penalty", json!(0.5)),
        ("logit_bias", json!({"1": 5})),
    ] {
        let body = hi(json!({field: value}));
        let (got, dropped) = case().request_dropping(body.clone());
        assert_eq!((got, dropped), (sent_hi(json!({})), vec![field.to_owned()]));
        let (param, words) = with(|facts| facts.unsupported = Unsupported::Reject).refused(body);
        assert_eq!(param, field);
        assert!(words.contains(field) && words.contains("x-smartflow-unsupported"), "{words}");
    }
    let nothing =
        json!({"logit_bias": {}, "logprobs": false, "frequency_penalty": 0, "presence_penalty": 0.0});
    assert_eq!(case().request(hi(nothing)), sent_hi(json!({})));
    let got = case().request(hi(json!({"temperature": 0.25, "top_k": 5})));
    assert_eq!(got, sent_hi(json!({"temperature": 0.25, "top_k": 5})));
    assert_eq!(case().request(hi(json!({"top_p": 0.5}))), sent_hi(json!({"top_p": 0.5})));
}

#[test]
fn case_095_a_temperature_above_anthropics_is_its_highest() {
    let (got, dropped) = case().request_dropping(hi(json!({"temperature": 1.5})));
    assert_eq!(got["temperature"].as_f64(), Some(1.0));
    assert_eq!(dropped, ["temperature"]);
}

#[test]
fn case_097_images() {
    let part = |url: &str| json!({"type": "image_url", "image_url": {"url": url, "detail": "auto"}});
    let got = case().request(chat(json!([{"role": "user", "content": [
        text("what is this?"), part("data:image/png;base64,aGk="), part("https://example.com/a.png"),
    ]}])));
    let expected = sent(json!([{"role": "user", "content": [
        text("what is this?"),
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
    ]}]));
    assert_eq!(got, expected);
    let detailed =
        json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}});
    let (_, dropped) = case().request_dropping(chat(json!([{"role": "user", "content": [detailed]}])));
    assert_eq!(dropped, ["messages[].content[].image_url.detail"]);
}

#[test]
fn case_098_images_of_other_kinds_are_refused() {
    for url in ["data:image/tiff;base64,aGk=", "data:image/png,hi", "data:;base64,aGk="] {
        let part = json!({"type": "image_url", "image_url": {"url": url}});
        let (param, words) = case().refused(chat(json!([{"role": "user", "content": [part]}])));
        assert!(param.starts_with("messages"), "{url}: {param} {words}");
    }
}

#[test]
fn case_099_documents() {
    let file = |file: Value| chat(json!([{"role": "user", "content": [{"type": "file", "file": file}]}]));
    let got =
        case().request(file(json!({"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="})));
    let document = json!({"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}});
    assert_eq!(got, sent(json!([{"role": "user", "content": [document.clone()]}])));
    let got = case().request(file(json!({"file_data": "aGk="})));
    assert_eq!(got["messages"][0]["content"][0]["source"], document["source"]);
    let (param, _) = case().refused(file(json!({"filename": "a.docx", "file_data": "aGk="})));
    assert_eq!(param, "messages[0].content[0].file.file_data");
    let (param, words) = case().refused(file(json!({"file_id": "file-1"})));
    assert!(param.starts_with("messages") && words.contains("file"), "{param} {words}");
    assert_eq!(case().refused(file(json!({}))).0, "messages[0].content[0].file");
}

#[test]
fn case_100_sound_is_refused() {
    let audio = json!({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}});
    assert!(case().refused(chat(json!([{"role": "user", "content": [audio]}]))).0.starts_with("messages"));
    let fields = json!({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}});
    assert!(matches!(case().refused(hi(fields)).0.as_str(), "modalities" | "audio"));
    assert_eq!(case().request(hi(json!({"modalities": ["text"]}))), sent_hi(json!({})));
}

#[test]
fn case_102_cache_marks_are_kept() {
    let mark = json!({"type": "ephemeral"});
    let got = case().request(chat(json!([
        {"role": "system", "content": "be brief", "cache_control": mark},
        {"role": "user", "content": [{"type": "text", "text": "hi", "prompt_cache_breakpoint": {"mode": "explicit"}}]},
    ])));
    let mut expected =
        sent(json!([{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": mark}]}]));
    expected["system"] = json!([{"type": "text", "text": "be brief", "cache_control": mark}]);
    assert_eq!(got, expected);
}

#[test]
fn case_102_a_mark_on_a_message_is_one_on_its_last_part() {
    let mark = json!({"type": "ephemeral", "ttl": "5m"});
    let marked = |text: &str| json!({"type": "text", "text": text, "cache_control": mark});
    let got = case().request(chat(json!([
        {"role": "user", "content": [text("a"), text("b")], "cache_control": mark},
        {"role": "assistant", "content": "c", "cache_control": mark},
        {"role": "user", "content": "d"},
    ])));
    let expected = sent(json!([
        {"role": "user", "content": [text("a"), marked("b")]},
        {"role": "assistant", "content": [marked("c")]},
        {"role": "user", "content": [text("d")]},
    ]));
    assert_eq!(got, expected);
}

#[test]
fn case_104_a_refusal_in_the_history_is_said() {
    let got = case().request(chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": null, "refusal": "I won't."},
        {"role": "user", "content": "why?"},
    ])));
    assert_eq!(got["messages"][1], json!({"role": "assistant", "content": [text("I won't.")]}));
}

#[test]
fn case_111_unknown_fields_are_listed_or_refused() {
    let body = hi(json!({"verbosity": "low", "metadata": {"a": "b"}, "frobnicate": {"deep": 1}}));
    let (got, mut dropped) = case().request_dropping(body.clone());
    dropped.sort();
    assert_eq!(
        (got, dropped),
        (sent_hi(json!({})), ["frobnicate", "metadata", "verbosity"].map(str::to_owned).to_vec())
    );
    let (param, _) = with(|facts| facts.unsupported = Unsupported::Reject).refused(body);
    assert!(["frobnicate", "metadata", "verbosity"].contains(&param.as_str()), "{param}");
}

#[test]
fn case_112_nothing_is_forwarded_verbatim() {
    let (got, dropped) =
        case().request_dropping(hi(json!({"store": false, "parallel_tool_calls": true, "stream": false})));
    assert_eq!(dropped, ["store"]);
    let keys: Vec<_> = got.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(
        keys.iter().all(|key| matches!(*key, "model" | "max_tokens" | "messages" | "stream")),
        "{keys:?}"
    );
    assert_eq!(got["model"], "upstream-model");
}
