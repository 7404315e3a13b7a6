//! Tools.

use super::{case, chat, function, hi, message, sent_hi, text, tool, with};
use serde_json::{Value, json};

#[test]
fn case_014_choice_of_tools() {
    for (choice, expected) in [
        (json!("auto"), json!({"type": "auto"})),
        (json!("none"), json!({"type": "none"})),
        (json!("required"), json!({"type": "any"})),
        (json!({"type": "function", "function": {"name": "f"}}), json!({"type": "tool", "name": "f"})),
    ] {
        let got = case().request(hi(json!({"tools": [function("f")], "tool_choice": choice})));
        assert_eq!(got, sent_hi(json!({"tools": [tool("f")], "tool_choice": expected})));
    }
}

#[test]
fn case_015_allowed_tools_are_all_that_is_offered() {
    let choice = |mode| json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [{"type": "function", "function": {"name": "g"}}]}});
    for (mode, expected) in [("auto", "auto"), ("required", "any")] {
        let got =
            case().request(hi(json!({"tools": [function("f"), function("g")], "tool_choice": choice(mode)})));
        assert_eq!(got, sent_hi(json!({"tools": [tool("g")], "tool_choice": {"type": expected}})));
    }
}

#[test]
fn case_018_a_forced_tool_beside_thinking_is_offered_only() {
    let body = hi(json!({"tools": [function("f")], "tool_choice": "required", "reasoning_effort": "high"}));
    let (got, dropped) = case().request_dropping(body);
    assert_eq!(got["tool_choice"], json!({"type": "auto"}));
    assert_eq!(dropped, ["tool_choice"]);
}

#[test]
fn case_019_parallel_tool_calls_false() {
    let got = case().request(hi(json!({"tools": [function("f")], "parallel_tool_calls": false})));
    let choice = json!({"type": "auto", "disable_parallel_tool_use": true});
    assert_eq!(got, sent_hi(json!({"tools": [tool("f")], "tool_choice": choice})));
    let got = case().request(hi(
        json!({"tools": [function("f")], "parallel_tool_calls": false, "tool_choice": "required"}),
    ));
    assert_eq!(got["tool_choice"], json!({"type": "any", "disable_parallel_tool_use": true}));
    let got = case().request(hi(json!({"tools": [function("f")], "parallel_tool_calls": true})));
    assert_ne!(got["tool_choice"]["disable_parallel_tool_use"], json!(true));
}

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

#[test]
fn case_021_parallel_results_are_one_turn() {
    let got = case().request(chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call("c1", "f", "{\"x\":1}"), call("c2", "f", "{\"x\":2}")]},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "user", "content": "and?"},
    ])));
    assert_eq!(
        got["messages"],
        json!([
            {"role": "user", "content": [text("hi")]},
            {"role": "assistant", "content": [
                text("Let me see."),
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "c2", "name": "f", "input": {"x": 2}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c2", "content": [text("two")]},
                {"type": "tool_result", "tool_use_id": "c1", "content": [text("one")]},
                text("and?"),
            ]},
        ])
    );
}

#[test]
fn case_021_results_come_before_what_else_the_user_says() {
    let got = case().request(chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call("c1", "f", "{}")]},
        {"role": "user", "content": "by the way"},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
    ])));
    let expected =
        json!([{"type": "tool_result", "tool_use_id": "c1", "content": [text("one")]}, text("by the way")]);
    assert_eq!(got["messages"][2]["content"], expected);
}

#[test]
fn case_022_results_of_several_parts_and_failures() {
    let got = case().request(chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call("c1", "f", "{}"), call("c2", "f", "{}")]},
        {"role": "tool", "tool_call_id": "c1", "content": [text("a"), text("b")]},
        {"role": "tool", "tool_call_id": "c2", "is_error": true, "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]},
    ])));
    assert_eq!(
        got["messages"][2]["content"],
        json!([
            {"type": "tool_result", "tool_use_id": "c1", "content": [text("a"), text("b")]},
            {"type": "tool_result", "tool_use_id": "c2", "is_error": true, "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
            ]},
        ])
    );
}

#[test]
fn case_023_calls_and_results_that_stand_alone_are_refused() {
    let user = json!({"role": "user", "content": "hi"});
    let calls = json!({"role": "assistant", "tool_calls": [call("c1", "f", "{}"), call("c2", "f", "{}")]});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "x"});
    for (messages, words) in [
        (json!([user, result("c1")]), "belongs to no call"),
        (json!([user, calls, result("c1"), user]), "has no result"),
        (json!([user, calls, user]), "has no result"),
        (json!([user, calls, {"role": "system", "content": "go on"}]), "has no result"),
        (json!([user, calls, result("c1"), result("c2"), result("c2")]), "two results"),
        (json!([user, calls, result("c1"), result("c3")]), "belongs to no call"),
    ] {
        let (param, told) = case().refused(chat(messages));
        assert_eq!(param, "messages");
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn case_024_a_history_of_tools_without_tools() {
    let got = case().request(chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call("c1", "f", "{\"x\":1}")]},
        {"role": "tool", "tool_call_id": "c1", "content": "x"},
    ])));
    // Anthropic demands that what was called is declared; nothing new may be called.
    assert_eq!(got["tools"][0]["name"], "f");
    assert_eq!(got["tools"][0]["input_schema"]["type"], "object");
    assert_eq!(got["tool_choice"], json!({"type": "none"}));
}

#[test]
fn case_025_names_that_break_the_rules_come_back() {
    let name = "files.read/all";
    let body = hi(
        json!({"tools": [function(name)], "tool_choice": {"type": "function", "function": {"name": name}}}),
    );
    let got = case().request(body.clone());
    let short = got["tools"][0]["name"].as_str().unwrap().to_owned();
    assert!(short.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')), "{short}");
    assert_eq!(got["tool_choice"]["name"], short.as_str());
    let answer =
        message(json!([{"type": "tool_use", "id": "t1", "name": short, "input": {"x": 1}}]), "tool_use");
    let (got, _) = case().reply_to(body, answer);
    assert_eq!(got["choices"][0]["message"]["tool_calls"], json!([call("t1", name, "{\"x\":1}")]));
}

#[test]
fn case_026_ids_keep_to_the_rules() {
    let id = "chatcmpl-tool:4 2/ü";
    let got = case().request(chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call(id, "f", "{}")]},
        {"role": "tool", "tool_call_id": id, "content": "x"},
    ])));
    let sent = got["messages"][1]["content"][0]["id"].as_str().unwrap();
    assert!(sent.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')), "{sent}");
    assert_eq!(got["messages"][2]["content"][0]["tool_use_id"], sent);
    let (param, told) = case().refused(chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call("c", "f", "{}"), call("c", "f", "{}")]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ])));
    assert_eq!(param, "messages");
    assert!(told.contains("same id"), "{told}");
}

#[test]
fn case_028_empty_arguments_are_an_empty_object() {
    for arguments in [json!(""), json!(" "), json!("null"), json!(null), json!("{}"), json!({})] {
        let got = case().request(chat(json!([
            {"role": "user", "content": "hi"},
            {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "x"},
        ])));
        assert_eq!(got["messages"][1]["content"][0]["input"], json!({}), "{arguments}");
    }
    let answer = message(json!([{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]), "tool_use");
    let (got, _) = case().reply_to(hi(json!({"tools": [function("f")]})), answer);
    assert_eq!(got["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{}");
}

#[test]
fn case_029_arguments_are_an_object_and_come_back_as_text() {
    for arguments in ["{\"x\":", "[1]", "7", "x=1"] {
        let (param, _) = case().refused(chat(json!([
            {"role": "user", "content": "hi"},
            {"role": "assistant", "tool_calls": [call("c1", "f", arguments)]},
            {"role": "tool", "tool_call_id": "c1", "content": "x"},
        ])));
        assert_eq!(param, "messages[1].tool_calls[0].function.arguments");
    }
    let input = json!({"deep": {"list": [1, "two", null], "text": "a\"b\\c\nd é 😀"}});
    let answer = message(json!([{"type": "tool_use", "id": "t1", "name": "f", "input": input}]), "tool_use");
    let (got, facts) = case().reply_to(hi(json!({"tools": [function("f")]})), answer);
    let arguments = got["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(arguments).unwrap(), input);
    assert!(facts.content_bytes >= arguments.len() as u64);
}

#[test]
fn case_030_a_call_that_was_cut_stays_visible() {
    let answer = message(
        json!([text("So"), {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1}}]),
        "max_tokens",
    );
    let (got, _) = case().reply_to(hi(json!({"tools": [function("f")]})), answer);
    assert_eq!(got["choices"][0]["finish_reason"], "length");
    assert_eq!(got["choices"][0]["message"]["content"], "So");
    assert_eq!(got["choices"][0]["message"]["tool_calls"], json!([call("t1", "f", "{\"x\":1}")]));
}

#[test]
fn case_032_functions_of_old() {
    let parameters = json!({"type": "object", "properties": {}});
    let got = case().request(json!({
        "model": "gpt", "max_tokens": 100,
        "functions": [{"name": "f", "description": "d", "parameters": parameters}],
        "function_call": {"name": "f"},
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{\"x\":1}"}},
            {"role": "function", "name": "f", "content": "one"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{\"x\":2}"}},
            {"role": "function", "name": "f", "content": "two"},
        ],
    }));
    assert_eq!(got["tools"], json!([{"name": "f", "description": "d", "input_schema": parameters}]));
    assert_eq!(got["tool_choice"], json!({"type": "tool", "name": "f"}));
    let messages = got["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 5);
    for (call, result, x, words) in [(1, 2, 1, "one"), (3, 4, 2, "two")] {
        let call = &messages[call]["content"][0];
        let result = &messages[result]["content"][0];
        assert_eq!((&call["name"], &call["input"]), (&json!("f"), &json!({"x": x})));
        assert_eq!((&result["tool_use_id"], &result["content"]), (&call["id"], &json!([text(words)])));
    }
    assert_ne!(messages[1]["content"][0]["id"], messages[3]["content"][0]["id"]);
}

#[test]
fn case_033_tools_of_the_provider_are_not_translated() {
    for (fields, param) in [
        (json!({"web_search_options": {}}), "web_search_options"),
        (json!({"tools": [{"type": "code_interpreter"}]}), "tools"),
        (json!({"tools": [function("f"), {"type": "custom", "custom": {"name": "g"}}]}), "tools"),
    ] {
        let (got, words) = case().refused(hi(fields));
        assert_eq!(got, param, "{words}");
    }
}

#[test]
fn case_038_tools_keep_their_order() {
    let names = ["z", "a", "m", "b"];
    let got = case().request(hi(json!({"tools": names.map(function)})));
    assert_eq!(got["tools"], json!(names.map(tool)));
    assert_eq!(case().request(hi(json!({"tools": names.map(function)}))), got);
}

#[test]
fn case_102_cache_marks_of_tools_are_kept() {
    let mut marked = function("f");
    marked["cache_control"] = json!({"type": "ephemeral"});
    let got = with(|facts| facts.structured_output = false).request(hi(json!({"tools": [marked]})));
    assert_eq!(got["tools"][0]["cache_control"], json!({"type": "ephemeral"}));
}

#[test]
fn case_018_some_models_are_never_forced() {
    let free = with(|facts| facts.free_tools = true);
    for choice in [json!("required"), json!({"type": "function", "function": {"name": "f"}})] {
        let body = hi(json!({"tools": [function("f")], "tool_choice": choice}));
        let (got, dropped) = free.request_dropping(body);
        assert_eq!(
            (&got["tool_choice"], dropped),
            (&json!({"type": "auto"}), vec!["tool_choice".to_owned()])
        );
    }
    let got = free.request(hi(json!({"tools": [function("f")], "tool_choice": "none"})));
    assert_eq!(got["tool_choice"], json!({"type": "none"}));
}
