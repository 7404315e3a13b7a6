//! The simulation beside OpenAI's shapes, as our own dialect reads them.

use super::{Simulated, answer, schema};
use bytes::Bytes;
use serde_json::{Value, json};
use smartflow_dialect::FinishReason;
use smartflow_dialect::openai::{
    Assembler, ChatRequest, EmbeddingsRequest, ScanLimits, StreamEnd, StreamScan, StreamSettings,
    embeddings_input_bound, input_bound, scan_reply, upstream_error,
};
use smartflow_snapshot::Simulation;
use std::time::Duration;

fn ask(path: &str, body: &Value) -> Simulated {
    answer(path, body.to_string().as_bytes(), &Simulation::default(), 0)
}

fn bytes(simulated: Simulated) -> Bytes {
    simulated.body.flat_map(|(_, bytes)| bytes).collect()
}

/// The whole answer, after checks that hold for every one.
fn chat(mut body: Value) -> Value {
    let simulated = ask("/chat/completions", &body);
    assert_eq!((simulated.status, simulated.content_type), (200, "application/json"));
    let whole = bytes(simulated);
    let facts = scan_reply(&whole).unwrap();
    let usage = facts.usage.unwrap();
    let scan = ChatRequest::scan(body.to_string().as_bytes(), &ScanLimits::default()).unwrap();
    assert!(usage.input <= input_bound(&scan, Some(16)), "never more than is reserved");
    assert!(usage.output <= facts.content_bytes, "never more tokens than bytes");
    assert!(scan.output_cap().is_none_or(|cap| usage.output <= u64::from(cap) * u64::from(scan.n)));
    assert_eq!(facts.choices, scan.n);
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    assert!(whole["model"].as_str().unwrap().starts_with("simulated"));
    assert_eq!(whole["system_fingerprint"], "simulated");
    // A stream of the same request says the same.
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let (streamed, end) = stream(&body, 0, &Simulation::default());
    assert_eq!(end, StreamEnd::Done);
    for field in ["id", "model", "created", "usage", "system_fingerprint"] {
        assert_eq!(streamed[field], whole[field], "{field}");
    }
    for (a, b) in streamed["choices"].as_array().unwrap().iter().zip(whole["choices"].as_array().unwrap()) {
        for field in ["content", "tool_calls", "refusal", "role"] {
            assert_eq!(a["message"][field], b["message"][field]);
        }
        assert_eq!((&a["finish_reason"], &a["logprobs"]), (&b["finish_reason"], &b["logprobs"]));
    }
    whole
}

fn stream(body: &Value, call: u64, settings: &Simulation) -> (Value, StreamEnd) {
    let simulated = answer("/chat/completions", body.to_string().as_bytes(), settings, call);
    assert_eq!(simulated.content_type, "text/event-stream");
    let choices = u32::try_from(body["n"].as_u64().unwrap_or(1)).unwrap();
    let mut scan = StreamScan::new(StreamSettings { choices, ..StreamSettings::default() });
    let mut out = Vec::new();
    let mut assembler = Assembler::new(1 << 24);
    for (_, event) in simulated.body {
        scan.feed(event, &mut out).unwrap();
    }
    let end = scan.end(&mut out).unwrap();
    out.iter().for_each(|event| assembler.feed(event).unwrap());
    let usage = scan.usage().copied();
    assert!(usage.is_none_or(|usage| usage.output <= scan.content_bytes()));
    (serde_json::from_slice(&assembler.finish(usage.as_ref()).unwrap()).unwrap(), end)
}

fn user(text: &str) -> Value {
    json!({"model": "simulated-small", "messages": [{"role": "user", "content": text}]})
}

fn with(mut body: Value, fields: Value) -> Value {
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

fn content(answer: &Value) -> &str {
    answer["choices"][0]["message"]["content"].as_str().unwrap()
}

#[test]
fn text_says_that_it_is_simulated_and_quotes_the_prompt() {
    let answer = chat(user("What is  a\nbudget?"));
    assert!(content(&answer).starts_with("Simulated answer"));
    assert!(content(&answer).contains("What is a budget?"));
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer, chat(user("What is  a\nbudget?")), "deterministic");
    assert_ne!(answer["id"], chat(user("What else?"))["id"]);
    let parts =
        json!([{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "data:x"}}]);
    let images = chat(json!({"model": "m", "messages": [{"role": "user", "content": parts}]}));
    assert!(content(&images).contains("Images that nobody looked at: 1"));
    assert_eq!(images["model"], "simulated-m");
}

#[test]
fn length_cap_stop_and_n() {
    let long = chat(user("Write 300 words."));
    assert_eq!(content(&long).split_whitespace().count(), 300);
    for name in ["max_tokens", "max_completion_tokens"] {
        let cut = chat(with(user("Write 300 words."), json!({ name: 20 })));
        assert_eq!(cut["choices"][0]["finish_reason"], "length");
        assert_eq!(cut["usage"]["completion_tokens"], 20);
        assert!(content(&long).starts_with(content(&cut)));
    }
    let stopped = chat(with(user("hi"), json!({"stop": ["zzz", "model"]})));
    assert_eq!(content(&stopped), "Simulated answer, no ");
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
    let three = chat(with(user("Write 80 words."), json!({"n": 3, "max_tokens": 40})));
    let texts: Vec<_> = three["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| choice["message"]["content"].clone())
        .collect();
    assert!(texts[0] != texts[1] && texts[1] != texts[2]);
    assert_eq!(three["usage"]["completion_tokens"], 120);
}

#[test]
fn logprobs() {
    let answer = chat(with(user("hi"), json!({"logprobs": true, "top_logprobs": 1})));
    let tokens = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    let text: String = tokens.iter().map(|token| token["token"].as_str().unwrap()).collect();
    assert_eq!(text, content(&answer));
    assert_eq!(tokens[0]["top_logprobs"][0]["token"], tokens[0]["token"]);
}

fn tools() -> Value {
    let parameters = json!({
        "type": "object", "required": ["city"], "additionalProperties": false,
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer", "minimum": 3}},
    });
    json!([
        {"type": "function", "function": {"name": "get_weather", "parameters": parameters}},
        {"type": "function", "function": {"name": "get_time"}},
        {"type": "custom", "custom": {"name": "note"}},
        {"type": "web_search"},
    ])
}

fn called(answer: &Value) -> Vec<&str> {
    let calls = answer["choices"][0]["message"]["tool_calls"].as_array();
    let name = |call: &'_ Value| if call["type"] == "custom" { "custom" } else { "function" };
    calls.into_iter().flatten().map(|call| call[name(call)]["name"].as_str().unwrap()).collect()
}

#[test]
fn tools_are_called() {
    let asked = |text: &str, fields: Value| chat(with(with(user(text), json!({"tools": tools()})), fields));
    let first = asked("How is it outside?", json!({}));
    assert_eq!(called(&first), ["get_weather"]);
    assert_eq!(first["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(first["choices"][0]["message"]["content"], Value::Null);
    let arguments =
        first["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    let arguments: Value = serde_json::from_str(arguments).unwrap();
    assert_eq!(arguments, json!({"city": "simulated city", "unit": "C", "days": 3}));

    assert_eq!(called(&asked("Use all tools", json!({}))), ["get_weather", "get_time", "note"]);
    assert_eq!(called(&asked("Use all tools", json!({"parallel_tool_calls": false}))), ["get_weather"]);
    assert_eq!(called(&asked("call get_time", json!({}))), ["get_time"]);
    assert_eq!(called(&asked("x", json!({"tool_choice": "none"}))), [""; 0]);
    assert_eq!(called(&asked("x", json!({"tool_choice": "required"}))), ["get_weather"]);
    let named = json!({"tool_choice": {"type": "function", "function": {"name": "get_time"}}});
    assert_eq!(called(&asked("x", named)), ["get_time"]);
    let cut = asked("x", json!({"max_tokens": 3}));
    assert_eq!(cut["choices"][0]["finish_reason"], "length");

    let ids = asked("Use all tools", json!({}));
    let ids: Vec<_> = ids["choices"][0]["message"]["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["id"].clone())
        .collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2]);
}

#[test]
fn results_of_tools_are_answered_in_text() {
    let messages = json!([
        {"role": "user", "content": "How is it outside?"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "rain"},
    ]);
    let body =
        |choice: &str| json!({"model": "m", "messages": messages, "tools": tools(), "tool_choice": choice});
    let answer = chat(body("auto"));
    assert!(content(&answer).contains("The tool said: \"rain\""));
    assert_eq!(called(&chat(body("required"))), ["get_weather"]);
}

#[test]
fn structured_output() {
    let wanted = json!({"type": "object", "required": ["steps"], "additionalProperties": false, "properties": {
        "steps": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/step"}},
    }, "$defs": {"step": {"type": "object", "required": ["why"], "properties": {"why": {"type": "string", "maxLength": 4}}}}});
    let format =
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": wanted}}});
    let answer = chat(with(user("x"), format));
    let value: Value = serde_json::from_str(content(&answer)).unwrap();
    assert_eq!(value, json!({"steps": [{"why": "simu"}, {"why": "simu"}]}));
    let object = chat(with(user("give JSON"), json!({"response_format": {"type": "json_object"}})));
    assert_eq!(serde_json::from_str::<Value>(content(&object)).unwrap()["simulated"], true);
}

/// True when `value` fits `schema`; written apart from the maker of instances.
fn fits(value: &Value, schema: &Value, root: &Value) -> bool {
    if let Some(target) = schema["$ref"].as_str() {
        return fits(value, root.pointer(&target[1..]).unwrap(), root);
    }
    let all = |word: &str| schema[word].as_array().cloned().unwrap_or_default();
    let any = [all("anyOf"), all("oneOf")]
        .into_iter()
        .all(|any| any.is_empty() || any.iter().any(|one| fits(value, one, root)));
    let types = match &schema["type"] {
        Value::String(kind) => vec![kind.clone()],
        other => {
            other.as_array().into_iter().flatten().map(|kind| kind.as_str().unwrap().to_owned()).collect()
        }
    };
    let is = |kind: &String| match kind.as_str() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => value.is_null(),
    };
    let bound = |word: &str, fits: &dyn Fn(f64, f64) -> bool| match (value.as_f64(), schema[word].as_f64()) {
        (Some(value), Some(bound)) => fits(value, bound),
        _ => true,
    };
    let length = value.as_str().map(|text| text.chars().count()).or(value.as_array().map(Vec::len));
    let long = |word: &str, fits: &dyn Fn(u64, u64) -> bool| match (length, schema[word].as_u64()) {
        (Some(length), Some(bound)) => fits(length as u64, bound),
        _ => true,
    };
    let members =
        value.as_object().into_iter().flatten().all(|(name, member)| match schema["properties"].get(name) {
            Some(property) => fits(member, property, root),
            None => schema["additionalProperties"] != false,
        });
    any && all("allOf").iter().all(|one| fits(value, one, root))
        && (types.is_empty() || types.iter().any(is))
        && (schema["enum"].is_null() || all("enum").contains(value))
        && schema.get("const").is_none_or(|fixed| fixed == value)
        && (!value.is_object()
            || all("required").iter().all(|name| value.get(name.as_str().unwrap()).is_some()))
        && members
        && value
            .as_array()
            .into_iter()
            .flatten()
            .all(|item| schema.get("items").is_none_or(|items| fits(item, items, root)))
        && bound("minimum", &|value, bound| value >= bound)
        && bound("maximum", &|value, bound| value <= bound)
        && bound("exclusiveMinimum", &|value, bound| value > bound)
        && bound("exclusiveMaximum", &|value, bound| value < bound)
        && bound("multipleOf", &|value, step| (value / step - (value / step).round()).abs() < 1e-9)
        && long("minLength", &|length, bound| length >= bound)
        && long("maxLength", &|length, bound| length <= bound)
        && long("minItems", &|length, bound| length >= bound)
        && long("maxItems", &|length, bound| length <= bound)
}

#[test]
fn instances_fit_their_schemas() {
    for schema in [
        json!({"type": "string", "minLength": 40}),
        json!({"type": "string", "maxLength": 2}),
        json!({"type": "integer", "minimum": 5, "maximum": 7}),
        json!({"type": "integer", "exclusiveMinimum": 5, "multipleOf": 4}),
        json!({"type": "integer", "maximum": -3}),
        json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
        json!({"type": "number", "multipleOf": 0.25, "minimum": 0.3}),
        json!({"type": ["null", "string"]}),
        json!({"type": "null"}),
        json!({"type": "boolean"}),
        json!({"const": {"a": 1}}),
        json!({"enum": [null, "a"]}),
        json!({"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3, "uniqueItems": true}),
        json!({"type": "array", "maxItems": 0, "items": {"type": "string"}}),
        json!({"properties": {"a": {"type": "number"}}, "required": ["a", "b"]}),
        json!({"anyOf": [{"type": "null"}, {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}]}),
        json!({"type": "object", "properties": {"k": {"const": "v"}}, "oneOf": [{"required": ["k"]}, {"required": ["z"]}]}),
        json!({"allOf": [{"$ref": "#/$defs/a"}, {"properties": {"b": {"type": "boolean"}}, "required": ["b"]}],
            "$defs": {"a": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}}),
        // A tree and a linked list: finite instances must be found.
        json!({"type": "object", "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
            "required": ["name", "children"], "additionalProperties": false}),
        json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "required": ["value", "next"],
            "properties": {"value": {"type": "number"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}}}}),
    ] {
        let value = schema::instance(&schema);
        assert!(fits(&value, &schema, &schema), "{value} for {schema}");
    }
    assert!(!fits(&json!({"a": "x"}), &json!({"properties": {"a": {"type": "number"}}}), &Value::Null));
}

#[test]
fn hopeless_schemas_end() {
    let endless = json!({"$ref": "#"});
    assert_eq!(schema::instance(&endless), Value::Null);
    let many: serde_json::Map<_, _> = (0..20).map(|at| (format!("p{at}"), json!({"$ref": "#"}))).collect();
    let names: Vec<_> = many.keys().cloned().collect();
    let exploding = json!({"type": "object", "properties": many, "required": names});
    assert!(schema::instance(&exploding).to_string().len() < 10_000_000);
    assert!(
        schema::instance(
            &json!({"type": "array", "minItems": 1e9, "items": {"type": "string", "minLength": 1e9}})
        )
        .to_string()
        .len()
            < 1_000_000
    );
}

#[test]
fn embeddings() {
    let vectors = |input: Value, extra: Value| -> Vec<Vec<f32>> {
        let body = with(json!({"model": "m", "input": input}), extra);
        let whole = bytes(ask("/embeddings", &body));
        let scan = EmbeddingsRequest::scan(body.to_string().as_bytes(), &ScanLimits::default()).unwrap();
        let facts = scan_reply(&whole).unwrap();
        assert_eq!(facts.choices, scan.inputs);
        assert!(facts.usage.unwrap().input <= embeddings_input_bound(&scan));
        let whole: Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!(whole["model"], "simulated-m");
        whole["data"].as_array().unwrap().iter().map(|one| decode(&one["embedding"])).collect()
    };
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let texts = json!(["the red house", "the red roof", "income tax form", ""]);
    let all = vectors(texts.clone(), json!({}));
    assert!(all.iter().all(|vector| vector.len() == 256 && (near(vector, vector) - 1.0).abs() < 1e-4));
    assert!(near(&all[0], &all[1]) > near(&all[0], &all[2]) + 0.3);
    assert_eq!(all, vectors(texts.clone(), json!({"encoding_format": "base64"})), "base64 says the same");
    assert_eq!(vectors(json!("the red house"), json!({})), all[..1], "whether alone or among others");
    assert_eq!(vectors(texts, json!({"dimensions": 8}))[3].len(), 8);
    assert_eq!(vectors(json!([[1, 2], [3]]), json!({}))[1], vectors(json!([3]), json!({}))[0]);
    for bad in [
        json!({"model": "m"}),
        json!({"model": "m", "input": "a", "dimensions": 0}),
        json!({"model": "m", "input": vec!["a"; 2049]}),
    ] {
        assert_eq!(ask("/embeddings", &bad).status, 400);
    }
}

fn decode(embedding: &Value) -> Vec<f32> {
    use base64::Engine as _;
    let Some(text) = embedding.as_str() else { return serde_json::from_value(embedding.clone()).unwrap() };
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

#[test]
fn failures_and_delays() {
    let all = |limited, failed, cut| Simulation {
        first_byte_delay: Duration::from_millis(150),
        chunk_delay: Duration::from_millis(20),
        rate_limited_per_10k: limited,
        server_error_per_10k: failed,
        cut_per_10k: cut,
    };
    let body = with(user("hi"), json!({"stream": true}));
    let call = |settings: &Simulation| answer("/chat/completions", body.to_string().as_bytes(), settings, 3);
    let limited = call(&all(10_000, 0, 0));
    assert_eq!((limited.status, limited.retry_after), (429, Some(1)));
    assert_eq!(upstream_error(&bytes(limited)).code.as_deref(), Some("rate_limit_exceeded"));
    let failed = call(&all(0, 10_000, 0));
    assert_eq!((failed.status, failed.retry_after), (500, None));
    assert_eq!(upstream_error(&bytes(failed)).kind.as_deref(), Some("server_error"));

    let whole = stream(&body, 3, &all(0, 0, 0));
    let (half, end) = stream(&body, 3, &all(0, 0, 10_000));
    assert_eq!((whole.1, end), (StreamEnd::Done, StreamEnd::Cut));
    assert!(content(&whole.0).starts_with(content(&half)) && content(&half).len() < content(&whole.0).len());
    assert!(!content(&half).is_empty());

    let played = call(&all(0, 0, 0));
    assert_eq!(played.first_byte_delay, Duration::from_millis(150));
    let delays: Vec<_> = played.body.map(|(delay, _)| delay).collect();
    assert_eq!(delays[0], Duration::ZERO);
    assert!(delays[1..].iter().all(|delay| *delay == Duration::from_millis(20)));
}

#[test]
fn what_is_no_request_is_refused() {
    for (path, body) in
        [("/chat/completions", "{"), ("/chat/completions", "{\"model\":1}"), ("/embeddings", "[]")]
    {
        let simulated = answer(path, body.as_bytes(), &Simulation::default(), 0);
        assert_eq!(simulated.status, 400);
        assert_eq!(upstream_error(&bytes(simulated)).kind.as_deref(), Some("invalid_request_error"));
    }
    assert_eq!(ask("/audio/speech", &json!({})).status, 404);
}

#[test]
fn a_stream_tells_usage_only_when_asked() {
    let asked = stream(
        &with(user("hi"), json!({"stream": true, "stream_options": {"include_usage": true}})),
        0,
        &Simulation::default(),
    );
    let silent = bytes(ask("/chat/completions", &with(user("hi"), json!({"stream": true}))));
    assert!(asked.0["usage"].is_object());
    assert!(!String::from_utf8_lossy(&silent).contains("usage"));
    let facts = scan_reply(asked.0.to_string().as_bytes()).unwrap();
    assert_eq!(facts.finish, Some(FinishReason::Stop));
}
