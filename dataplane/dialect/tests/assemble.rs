//! A stream put together says what the unstreamed answer would have said.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use serde_json::{Value, json};
use smartflow_dialect::openai::{AssembleFault, Assembler, scan_reply};
use smartflow_dialect::{FinishReason, Usage};

fn stream(chunks: &[Value]) -> Vec<u8> {
    let head = json!({"id": "c1", "object": "chat.completion.chunk", "created": 17, "model": "m-1", "system_fingerprint": "fp", "service_tier": "default", "obfuscation": "zz"});
    let mut text = String::new();
    for chunk in chunks {
        let mut whole = head.clone();
        whole.as_object_mut().unwrap().extend(chunk.as_object().unwrap().clone());
        text += &format!("data: {whole}\n\n");
    }
    (text + ": bye\n\ndata: [DONE]\n\n").into_bytes()
}

fn assemble(chunks: &[Value]) -> Value {
    let mut assembler = Assembler::new(1 << 20);
    assembler.feed(&stream(chunks)).unwrap();
    serde_json::from_slice(&assembler.finish(None).unwrap()).unwrap()
}

fn choice(index: u64, delta: Value) -> Value {
    json!({"choices": [{"index": index, "delta": delta, "logprobs": null, "finish_reason": null}], "usage": null})
}

fn finish(index: u64, reason: &str) -> Value {
    json!({"choices": [{"index": index, "delta": {}, "logprobs": null, "finish_reason": reason}], "usage": null})
}

#[test]
fn text() {
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 0}});
    let got = assemble(&[
        choice(0, json!({"role": "assistant", "content": "", "refusal": null})),
        choice(0, json!({"content": "Hel"})),
        choice(0, json!({"content": "lo", "reasoning_content": "so"})),
        choice(0, json!({"reasoning_content": " be it"})),
        finish(0, "stop"),
        json!({"choices": [], "usage": usage}),
    ]);
    assert_eq!(
        got,
        json!({
            "id": "c1", "object": "chat.completion", "created": 17, "model": "m-1", "system_fingerprint": "fp", "service_tier": "default",
            "choices": [{
                "index": 0, "logprobs": null, "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hello", "refusal": null, "reasoning_content": "so be it"},
            }],
            "usage": usage,
        })
    );
    let facts = scan_reply(got.to_string().as_bytes()).unwrap();
    assert_eq!((facts.finish, facts.choices), (Some(FinishReason::Stop), 1));
    assert_eq!(facts.content_bytes, "Helloso be it".len() as u64);
}

fn call(index: u64, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    let mut call = json!({"index": index, "function": {"arguments": arguments}});
    if let (Some(id), Some(name)) = (id, name) {
        call["id"] = json!(id);
        call["type"] = json!("function");
        call["function"]["name"] = json!(name);
    }
    json!({"tool_calls": [call]})
}

fn called(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

#[test]
fn parallel_tool_calls_interleaved() {
    let got = assemble(&[
        choice(0, json!({"role": "assistant", "content": null})),
        choice(0, call(0, Some("a"), Some("f"), "")),
        choice(0, call(1, Some("b"), Some("g"), "")),
        choice(0, call(1, None, None, "{\"y\":")),
        choice(0, call(0, None, None, "{\"x\":1")),
        choice(0, call(1, None, None, "2}")),
        choice(0, call(0, None, None, "}")),
        finish(0, "tool_calls"),
    ]);
    let message = &got["choices"][0]["message"];
    assert_eq!(message["tool_calls"], json!([called("a", "f", "{\"x\":1}"), called("b", "g", "{\"y\":2}")]));
    assert_eq!(message["content"], Value::Null);
    assert_eq!(got["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn tool_calls_of_vendors_without_index() {
    let whole = |id: &str| call(0, Some(id), Some("f"), "{}");
    let got = assemble(&[choice(0, whole("a")), choice(0, whole("b"))]);
    assert_eq!(
        got["choices"][0]["message"]["tool_calls"],
        json!([called("a", "f", "{}"), called("b", "f", "{}")])
    );
    let mut bare = whole("a");
    bare["tool_calls"][0].as_object_mut().unwrap().remove("index");
    let got = assemble(&[choice(0, bare)]);
    assert_eq!(got["choices"][0]["message"]["tool_calls"], json!([called("a", "f", "{}")]));
}

#[test]
fn several_choices_logprobs_and_refusals() {
    let token = |text: &str| json!({"token": text, "logprob": -0.5, "bytes": null, "top_logprobs": []});
    let with = |index: u64, text: &str| json!({"choices": [{"index": index, "delta": {"content": text}, "logprobs": {"content": [token(text)], "refusal": null}, "finish_reason": null}]});
    let got = assemble(&[
        with(1, "b"),
        with(0, "a"),
        with(1, "c"),
        choice(0, json!({"refusal": "I "})),
        choice(0, json!({"refusal": "won't"})),
        finish(1, "length"),
        finish(0, "stop"),
    ]);
    let choices = got["choices"].as_array().unwrap();
    assert_eq!((&choices[0]["index"], &choices[1]["index"]), (&json!(0), &json!(1)));
    assert_eq!(choices[0]["message"]["refusal"], "I won't");
    assert_eq!(choices[1]["message"]["content"], "bc");
    assert_eq!(choices[1]["logprobs"]["content"], json!([token("b"), token("c")]));
    assert_eq!(
        (&choices[0]["finish_reason"], &choices[1]["finish_reason"]),
        (&json!("stop"), &json!("length"))
    );
}

#[test]
fn stopped_by_us() {
    let mut assembler = Assembler::new(1 << 20);
    let (text, _) = (stream(&[choice(0, json!({"role": "assistant", "content": "a"}))]), ());
    assembler.feed(&text).unwrap();
    assembler.stop(FinishReason::Length);
    let usage = Usage { input: 3, output: 1, ..Usage::default() };
    let body = assembler.finish(Some(&usage)).unwrap();
    let facts = scan_reply(&body).unwrap();
    assert_eq!((facts.finish, facts.usage), (Some(FinishReason::Length), Some(usage)));
}

#[test]
fn limits() {
    let long = stream(&[choice(0, json!({"content": "a".repeat(2000)}))]);
    assert_eq!(Assembler::new(1000).feed(&long), Err(AssembleFault::TooLarge { limit: 1000 }));
    assert_eq!(Assembler::new(1000).finish(None).unwrap_err(), AssembleFault::Empty);
    let many: Vec<_> = (0..200).map(|index| choice(index, json!({"content": "a"}))).collect();
    assert_eq!(
        Assembler::new(1 << 20).feed(&stream(&many)),
        Err(AssembleFault::TooManyChoices { limit: 128 })
    );
}
