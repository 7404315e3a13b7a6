//! Tools.

use super::{
    called, case, chat, completion, extended, function, hi, says, sent, sent_hi, text, tool, tool_use, with,
};
use serde_json::{Value, json};
use smartflow_dialect::chat::Unsupported;

fn result(id: &str, content: Value) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": content})
}

/// A history in which `f` was called, and this is the user's answer.
fn history(answer: Value) -> Value {
    let mut body = chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [text("Let me see."), tool_use("t1", "f", json!({"x": 1})), tool_use("t2", "f", json!({"x": 2}))]},
        {"role": "user", "content": answer},
    ]));
    body["tools"] = json!([tool("f")]);
    body
}

fn sent_history(rest: &[Value]) -> Value {
    let mut messages = vec![
        json!({"role": "user", "content": [text("hi")]}),
        json!({"role": "assistant", "content": [text("Let me see.")], "tool_calls": [called("t1", "f", r#"{"x":1}"#), called("t2", "f", r#"{"x":2}"#)]}),
    ];
    messages.extend_from_slice(rest);
    extended(sent(json!(messages)), json!({"tools": [function("f")]}))
}

#[test]
fn case_014_tools_become_functions() {
    let strict = json!({"name": "g", "input_schema": {"type": "object", "properties": {}, "required": [], "additionalProperties": false}, "strict": true});
    let got = case().request(hi(json!({"tools": [tool("f"), strict, {"name": "h", "type": "custom", "input_schema": {"type": "object"}}]})));
    let expected = json!({"tools": [
        function("f"),
        {"type": "function", "function": {"name": "g", "parameters": strict["input_schema"], "strict": true}},
        {"type": "function", "function": {"name": "h", "parameters": {"type": "object", "properties": {}}}},
    ]});
    assert_eq!(got, sent_hi(expected));
}

#[test]
fn case_015_choices_of_tools() {
    for (choice, sent) in [
        (json!({"type": "auto"}), json!("auto")),
        (json!({"type": "any"}), json!("required")),
        (json!({"type": "none"}), json!("none")),
        (json!({"type": "tool", "name": "f"}), json!({"type": "function", "function": {"name": "f"}})),
    ] {
        let got = case().request(hi(json!({"tools": [tool("f")], "tool_choice": choice})));
        assert_eq!(got, sent_hi(json!({"tools": [function("f")], "tool_choice": sent})));
    }
}

#[test]
fn case_019_one_call_at_a_time() {
    for (disabled, parallel) in [(true, false), (false, true)] {
        let choice = json!({"type": "auto", "disable_parallel_tool_use": disabled});
        let got = case().request(hi(json!({"tools": [tool("f")], "tool_choice": choice})));
        let expected =
            json!({"tools": [function("f")], "tool_choice": "auto", "parallel_tool_calls": parallel});
        assert_eq!(got, sent_hi(expected));
    }
}

#[test]
fn case_021_parallel_results_are_messages_of_their_own() {
    let answer = json!([text("and?"), result("t2", json!("two")), result("t1", json!([text("one")]))]);
    let got = case().request(history(answer));
    let expected = sent_history(&[
        json!({"role": "tool", "tool_call_id": "t2", "content": [text("two")]}),
        json!({"role": "tool", "tool_call_id": "t1", "content": [text("one")]}),
        json!({"role": "user", "content": [text("and?")]}),
    ]);
    assert_eq!(got, expected);
}

#[test]
fn case_022_results_with_lists_images_and_failures() {
    let image =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}});
    let mut failed = result("t2", json!("boom"));
    failed["is_error"] = json!(true);
    let answer = json!([result("t1", json!([text("a"), image, text("b")])), failed]);
    let (got, dropped) = case().request_dropping(history(answer.clone()));
    let messages = got["messages"].as_array().unwrap();
    assert_eq!(messages[2], json!({"role": "tool", "tool_call_id": "t1", "content": [text("a"), text("b")]}));
    assert_eq!(messages[3], json!({"role": "tool", "tool_call_id": "t2", "content": [text("boom")]}));
    let moved = messages[4]["content"].as_array().unwrap();
    assert_eq!(moved[1], json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}));
    assert!(moved[0]["text"].as_str().unwrap().contains("t1"));
    assert_eq!(dropped, ["messages[].content[].is_error"]);

    let (got, dropped) = with(|facts| facts.extensions = true).request_dropping(history(answer));
    assert_eq!(got["messages"][3]["is_error"], true);
    assert_eq!((got["messages"].as_array().unwrap().len(), dropped.len()), (4, 0));

    let empty = json!([result("t1", json!([])), {"type": "tool_result", "tool_use_id": "t2"}]);
    let got = case().request(history(empty));
    assert_eq!(got["messages"][2], json!({"role": "tool", "tool_call_id": "t1", "content": [text("")]}));
}

#[test]
fn case_023_calls_and_results_without_each_other_are_refused() {
    for (answer, word) in [
        (json!([result("t1", json!("one"))]), "no result"),
        (json!([result("t1", json!("1")), result("t2", json!("2")), result("t9", json!("9"))]), "no call"),
        (
            json!([result("t1", json!("1")), result("t1", json!("1")), result("t2", json!("2"))]),
            "two results",
        ),
        (json!("never mind"), "no result"),
    ] {
        let (param, words) = case().refused(history(answer));
        assert_eq!(param, "messages");
        assert!(words.contains(word), "{words}");
    }
}

#[test]
fn case_024_a_history_with_calls_needs_no_tools() {
    let mut body = history(json!([result("t1", json!("1")), result("t2", json!("2"))]));
    body.as_object_mut().unwrap().remove("tools");
    assert_eq!(case().request(body).get("tools"), None);
}

#[test]
fn case_025_long_names_are_shortened_and_given_back() {
    let long = "read_file_".repeat(12);
    let body = hi(json!({"tools": [tool(&long)], "tool_choice": {"type": "tool", "name": long}}));
    let got = case().request(body.clone());
    let short = got["tools"][0]["function"]["name"].as_str().unwrap().to_owned();
    assert!(short.len() <= 64 && short.starts_with("read_file_"), "{short}");
    assert_eq!(got["tool_choice"]["function"]["name"], short.as_str());
    let answer = completion(
        json!({"role": "assistant", "content": null, "tool_calls": [called("c1", &short, "{}")]}),
        "tool_calls",
    );
    let (message, _) = case().reply_to(body, answer);
    assert_eq!(message["content"], json!([tool_use("c1", &long, json!({}))]));
}

#[test]
fn case_028_calls_without_arguments_have_empty_ones() {
    for arguments in [json!(""), json!("{}"), json!(null), json!("null"), json!(" ")] {
        let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}});
        let answer =
            completion(json!({"role": "assistant", "content": null, "tool_calls": [call]}), "tool_calls");
        let (message, _) = case().reply_to(hi(json!({"tools": [tool("f")]})), answer);
        assert_eq!(message["content"], json!([tool_use("c1", "f", json!({}))]), "{arguments}");
    }
}

#[test]
fn case_029_arguments_are_an_object_here_and_a_string_there() {
    let call = called("c1", "f", r#"{"x": 1.50, "s": "a\"b"}"#);
    let answer =
        completion(json!({"role": "assistant", "content": "Hm.", "tool_calls": [call]}), "tool_calls");
    let (message, facts) = case().reply_to(hi(json!({"tools": [tool("f")]})), answer);
    assert_eq!(message["content"], json!([text("Hm."), tool_use("c1", "f", json!({"x": 1.5, "s": "a\"b"}))]));
    assert_eq!(message["stop_reason"], "tool_use");
    assert_eq!(facts.content_bytes, "Hm.f".len() as u64 + 24);
    let refused = history(json!([])).to_string().replace(r#"{"x":1}"#, "7");
    let (param, _) = case().refused(serde_json::from_str(&refused).unwrap());
    assert_eq!(param, "messages[1].content[1].input");
}

#[test]
fn case_030_a_call_that_was_cut_is_seen_and_not_made_up() {
    let call = called("c1", "f", r#"{"path": "/etc/pas"#);
    let answer = completion(json!({"role": "assistant", "content": null, "tool_calls": [call]}), "length");
    let (message, _) = case().reply_to(hi(json!({"tools": [tool("f")]})), answer);
    let cut = json!({"_truncated_arguments": "{\"path\": \"/etc/pas"});
    assert_eq!(message["content"], json!([tool_use("c1", "f", cut)]));
    assert_eq!(message["stop_reason"], "max_tokens");
}

#[test]
fn case_031_wrapped_calls_are_unwrapped() {
    let wrapped = json!({"tool_uses": [
        {"recipient_name": "functions.f", "parameters": {"x": 1}},
        {"recipient_name": "functions.g", "parameters": {}},
    ]});
    let call = called("c1", "multi_tool_use.parallel", &wrapped.to_string());
    let answer =
        completion(json!({"role": "assistant", "content": null, "tool_calls": [call]}), "tool_calls");
    let (message, _) = case().reply_to(hi(json!({"tools": [tool("f"), tool("g")]})), answer);
    assert_eq!(
        message["content"],
        json!([tool_use("c1_0", "f", json!({"x": 1})), tool_use("c1_1", "g", json!({}))])
    );
}

#[test]
fn case_033_tools_that_the_vendor_runs_are_refused() {
    for tool in [
        json!({"type": "web_search_20250305", "name": "web_search"}),
        json!({"type": "code_execution_20250825", "name": "code_execution"}),
        json!({"type": "bash_20250124", "name": "bash"}),
    ] {
        let (param, words) = case().refused(hi(json!({"tools": [tool]})));
        assert_eq!(param, "tools");
        assert!(words.contains("function"), "{words}");
    }
    assert_eq!(case().refused(hi(json!({"mcp_servers": [{"type": "url"}]}))).0, "mcp_servers");
    let searched = chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}, text("a")]},
        {"role": "user", "content": "go on"},
    ]));
    assert_eq!(case().refused(searched).0, "messages");
}

#[test]
fn case_033_what_only_anthropic_says_of_a_tool_is_dropped_and_listed() {
    let mut one = tool("f");
    one["eager_input_streaming"] = json!(true);
    let body = hi(json!({"tools": [one]}));
    let (got, dropped) = case().request_dropping(body.clone());
    assert_eq!((got, dropped), (sent_hi(json!({"tools": [function("f")]})), vec!["tools[]".to_owned()]));
    assert_eq!(with(|facts| facts.unsupported = Unsupported::Reject).refused(body).0, "tools[]");
}

#[test]
fn case_038_the_order_of_tools_stays() {
    let names = ["zeta", "alpha", "mid", "beta"];
    let body = hi(json!({"tools": names.map(tool)}));
    let once = case().request(body.clone());
    assert_eq!(once["tools"], json!(names.map(function)));
    assert_eq!(case().translated(&body).unwrap().body, case().translated(&body).unwrap().body);
}

#[test]
fn text_beside_calls_stays() {
    let answer = completion(
        extended(says("Let me see."), json!({"tool_calls": [called("c1", "f", "{}")]})),
        "tool_calls",
    );
    let (message, _) = case().reply_to(hi(json!({"tools": [tool("f")]})), answer);
    assert_eq!(message["content"], json!([text("Let me see."), tool_use("c1", "f", json!({}))]));
}
