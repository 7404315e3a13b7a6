//! What OpenAI cannot carry of a chat from elsewhere is listed, or refused; never lost in silence.

use super::encode_request;
use crate::Dialect;
use crate::chat::*;
use crate::openai::BadRequest;
use crate::translate::{Memory, TargetFacts, ThinkingSupport};
use serde_json::{Value, json};

fn hi() -> Chat<'static> {
    let mut chat = Chat::new(Dialect::Anthropic, "m");
    chat.say(Role::User, vec![Part::text("hi")]);
    chat
}

fn facts() -> TargetFacts<'static> {
    TargetFacts { thinking: ThinkingSupport::Effort, ..TargetFacts::new("m") }
}

fn encode(
    chat: &Chat<'_>,
    facts: &TargetFacts<'_>,
    unsupported: Unsupported,
) -> Result<(Value, Vec<String>), BadRequest> {
    let mut losses = Losses::new(chat.origin, unsupported);
    let body = encode_request(chat, facts, &mut losses, &mut Memory::default())?;
    let paths = losses.into_paths().into_iter().map(|path| path.into_owned()).collect();
    Ok((serde_json::from_slice(&body).unwrap(), paths))
}

/// What is sent when `aspect` is left out; the same is refused when the caller wants to be told.
fn loses(chat: &Chat<'_>, facts: &TargetFacts<'_>, aspect: Aspect) -> Value {
    let path = aspect.path(Dialect::Anthropic);
    let (sent, dropped) = encode(chat, facts, Unsupported::Drop).unwrap();
    assert_eq!(dropped, [path]);
    let fault = encode(chat, facts, Unsupported::Reject).unwrap_err();
    assert_eq!(fault, BadRequest::Unsupported { param: path.into() });
    sent
}

fn with(change: impl FnOnce(&mut Chat<'static>)) -> Chat<'static> {
    let mut chat = hi();
    change(&mut chat);
    chat
}

#[test]
fn parameters() {
    let sent = loses(&with(|chat| chat.sampling.top_k = Some(Raw::new("5"))), &facts(), Aspect::TopK);
    assert_eq!(sent.get("top_k"), None);
    let stop = ["a", "b", "c", "d", "e"].map(Into::into).to_vec();
    let sent = loses(&with(|chat| chat.stop = stop), &facts(), Aspect::Stop);
    assert_eq!(sent["stop"], json!(["a", "b", "c", "d"]));
    let sent =
        loses(&with(|chat| chat.service_tier = Some("priority".into())), &facts(), Aspect::ServiceTier);
    assert_eq!(sent.get("service_tier"), None);
    let (sent, dropped) =
        encode(&with(|chat| chat.service_tier = Some("standard_only".into())), &facts(), Unsupported::Drop)
            .unwrap();
    assert_eq!((&sent["service_tier"], dropped.len()), (&json!("default"), 0));
    let long = "user_".repeat(30);
    let (sent, _) =
        encode(&with(|chat| chat.user = Some(long.clone().into())), &facts(), Unsupported::Drop).unwrap();
    let user = sent["user"].as_str().unwrap();
    assert!(user.len() <= 64 && user.starts_with("user_") && user != long, "{user}");
}

#[test]
fn case_068_sampling_that_a_model_refuses() {
    let fixed = TargetFacts { fixed_sampling: true, ..facts() };
    let raw = |text: &'static str| Some(Raw::new(text));
    let sent = loses(&with(|chat| chat.sampling.temperature = raw("0.5")), &fixed, Aspect::Temperature);
    assert_eq!(sent.get("temperature"), None);
    let (sent, dropped) = encode(
        &with(|chat| {
            chat.sampling.temperature = raw("1.0");
            chat.sampling.top_p = raw("0.5");
        }),
        &fixed,
        Unsupported::Drop,
    )
    .unwrap();
    assert_eq!((sent.get("temperature"), sent.get("top_p"), dropped), (None, None, vec!["top_p".to_owned()]));
    let sent = loses(&with(|chat| chat.stop = vec!["a".into()]), &fixed, Aspect::Stop);
    assert_eq!(sent.get("stop"), None);
}

#[test]
fn case_026_ids_of_calls_are_short() {
    let id = "chatcmpl-tool-0123456789abcdef0123456789abcdef";
    let chat = with(|chat| {
        let call = ToolUse { id: id.into(), name: "f".into(), arguments: "{}".into(), cache: None };
        chat.say(Role::Assistant, vec![Part::ToolUse(call)]);
        let result = ToolResult { id: id.into(), parts: vec![], is_error: false, cache: None };
        chat.say(Role::User, vec![Part::ToolResult(result)]);
    });
    let (sent, _) = encode(&chat, &facts(), Unsupported::Reject).unwrap();
    let sent_id = sent["messages"][1]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(sent_id.len() <= 40 && sent_id.starts_with("chatcmpl-tool"), "{sent_id}");
    assert_eq!(sent["messages"][2]["tool_call_id"], sent_id);
}

#[test]
fn thinking() {
    let thinks = |mode, display: Option<&'static str>| {
        with(move |chat| chat.thinking = Some(Thinking { mode, display: display.map(Into::into) }))
    };
    let sent = loses(&thinks(ThinkingMode::Adaptive, Some("omitted")), &facts(), Aspect::ThinkingDisplay);
    assert_eq!(sent.get("reasoning_effort"), None);
    let sent = loses(&thinks(ThinkingMode::Off, None), &facts(), Aspect::Thinking);
    assert_eq!(sent["reasoning_effort"], "low");
    for (tokens, effort) in [(1024, "low"), (4096, "medium"), (16_384, "high"), (60_000, "xhigh")] {
        let (sent, dropped) =
            encode(&thinks(ThinkingMode::Budget(tokens), None), &facts(), Unsupported::Reject).unwrap();
        assert_eq!((&sent["reasoning_effort"], dropped.len()), (&json!(effort), 0), "{tokens}");
    }
    let none = TargetFacts { thinking: ThinkingSupport::None, ..facts() };
    loses(&thinks(ThinkingMode::Budget(4096), None), &none, Aspect::Thinking);
    loses(&with(|chat| chat.effort = Some(Effort::High)), &none, Aspect::Effort);
    assert_eq!(encode(&thinks(ThinkingMode::Off, None), &none, Unsupported::Reject).unwrap().1, [""; 0]);
    let thought = |signature: Option<&'static str>| {
        Part::Thinking(ThinkingPart { text: "t".into(), signature: signature.map(Into::into) })
    };
    let chat = with(|chat| {
        chat.say(Role::Assistant, vec![thought(Some("s"))]);
        chat.say(Role::User, vec![Part::text("and?")]);
    });
    let sent = loses(&chat, &facts(), Aspect::ThinkingHistory);
    assert_eq!(sent["messages"].as_array().unwrap().len(), 2, "a message of thinking alone is none");
}

#[test]
fn form_of_the_answer() {
    let format = |schema: &'static str, strict| {
        with(move |chat| {
            let schema = Some(Raw::new(schema));
            chat.format = Some(Format::JsonSchema { name: None, description: None, schema, strict });
        })
    };
    let open = r#"{"type":"object","properties":{"x":{}}}"#;
    let sent = loses(&format(open, Some(true)), &facts(), Aspect::Format);
    let inner = &sent["response_format"]["json_schema"];
    assert_eq!((&inner["name"], &inner["strict"]), (&json!("answer"), &json!(false)));
    let closed = r#"{"type":"object","properties":{"x":{}},"required":["x"],"additionalProperties":false}"#;
    let (sent, dropped) = encode(&format(closed, None), &facts(), Unsupported::Drop).unwrap();
    assert_eq!((&sent["response_format"]["json_schema"]["strict"], dropped.len()), (&json!(true), 0));
}

fn function(strict: Option<bool>, cache: Option<CacheMark>) -> Tool<'static> {
    let schema = Some(Raw::new(r#"{"type":"object"}"#));
    Tool::Function(FunctionTool { name: "f".into(), description: None, schema, strict, cache })
}

#[test]
fn tools() {
    let sent = loses(&with(|chat| chat.tools = vec![function(Some(true), None)]), &facts(), Aspect::Strict);
    assert_eq!(sent["tools"][0]["function"].get("strict"), None);
    let mark = Some(CacheMark::default());
    loses(&with(|chat| chat.tools = vec![function(None, mark)]), &facts(), Aspect::CacheControl);
    let native = NativeTool { kind: "web_search_20250305".into(), raw: Raw::new("{}") };
    let fault = encode(&with(|chat| chat.tools = vec![Tool::Native(native)]), &facts(), Unsupported::Drop)
        .unwrap_err();
    assert!(matches!(fault, BadRequest::Untranslatable { .. }), "{fault}");
    for (choice, sent_as) in
        [(ToolChoice::Auto, None), (ToolChoice::None, None), (ToolChoice::Required, Some("required"))]
    {
        let (sent, _) =
            encode(&with(|chat| chat.tool_choice = Some(choice)), &facts(), Unsupported::Drop).unwrap();
        assert_eq!(sent.get("tool_choice").and_then(Value::as_str), sent_as, "without tools");
    }
    let (sent, _) =
        encode(&with(|chat| chat.parallel_tools = Some(false)), &facts(), Unsupported::Drop).unwrap();
    assert_eq!(sent.get("parallel_tool_calls"), None, "without tools");
}

fn image() -> Part<'static> {
    let source = Source::Base64 { media_type: "image/png".into(), data: "aGk=".into() };
    Part::Image(ImagePart { source, detail: None, cache: None })
}

/// A history in which two tools were called and gave these results.
fn results(results: [(Vec<Part<'static>>, bool); 2]) -> Chat<'static> {
    let mut chat = hi();
    let ids = ["a", "b"];
    let call =
        |id: &'static str| ToolUse { id: id.into(), name: "f".into(), arguments: "{}".into(), cache: None };
    chat.say(Role::Assistant, ids.map(|id| Part::ToolUse(call(id))).to_vec());
    let result = |(id, (parts, is_error)): (&'static str, _)| {
        Part::ToolResult(ToolResult { id: id.into(), parts, is_error, cache: None })
    };
    chat.say(Role::User, ids.into_iter().zip(results).map(result).collect());
    chat
}

#[test]
fn case_022_results_of_tools() {
    let chat = results([(vec![Part::text("no such file")], true), (vec![], false)]);
    let sent = loses(&chat, &facts(), Aspect::ResultError);
    assert_eq!(sent["messages"][2], json!({"role": "tool", "tool_call_id": "a", "content": "no such file"}));
    assert_eq!(sent["messages"][3], json!({"role": "tool", "tool_call_id": "b", "content": ""}));
    let chat = results([(vec![image()], false), (vec![Part::text("two"), image()], false)]);
    let (sent, dropped) = encode(&chat, &facts(), Unsupported::Reject).unwrap();
    assert_eq!(dropped, [""; 0]);
    let url = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}});
    let text = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(
        sent["messages"].as_array().unwrap()[2..],
        [
            json!({"role": "tool", "tool_call_id": "a", "content": "The result is in the message that follows."}),
            json!({"role": "tool", "tool_call_id": "b", "content": "two"}),
            json!({"role": "user", "content": [
                text("Result of the tool call a:"), url, text("Result of the tool call b:"), url,
            ]}),
        ]
    );
    let inline = TargetFacts { extensions: true, ..facts() };
    let (sent, _) = encode(&chat, &inline, Unsupported::Reject).unwrap();
    assert_eq!(sent["messages"][2]["content"], json!([url]));
    assert_eq!(sent["messages"].as_array().unwrap().len(), 4);
}

#[test]
fn case_006_a_prefill_is_sent_and_listed() {
    let chat = with(|chat| chat.say(Role::Assistant, vec![Part::text("{")]));
    let sent = loses(&chat, &facts(), Aspect::Prefill);
    assert_eq!(sent["messages"][1], json!({"role": "assistant", "content": "{"}));
}

#[test]
fn parts() {
    let says = |part: Part<'static>| with(|chat| chat.say(Role::User, vec![part]));
    let marked = TextPart { text: "a".into(), cache: Some(CacheMark::default()), citations: None };
    loses(&says(Part::Text(marked.clone())), &facts(), Aspect::CacheControl);
    let mut alone = Chat::new(Dialect::Anthropic, "m");
    alone.say(Role::User, vec![Part::Text(marked)]);
    let sent = loses(&alone, &facts(), Aspect::CacheControl);
    assert_eq!(sent["messages"][0]["content"], "a");
    let cited = TextPart { text: "a".into(), cache: None, citations: Some(Raw::new("[{}]")) };
    loses(&says(Part::Text(cited)), &facts(), Aspect::Citations);
    let document = |source, citations| {
        Part::Document(DocumentPart {
            source,
            title: Some("t".into()),
            context: Some("c".into()),
            citations,
            cache: None,
        })
    };
    let pdf = Source::Base64 { media_type: "application/pdf".into(), data: "aGk=".into() };
    let sent = loses(&says(document(pdf, false)), &facts(), Aspect::DocumentDetail);
    let file =
        json!({"type": "file", "file": {"filename": "t", "file_data": "data:application/pdf;base64,aGk="}});
    assert_eq!(sent["messages"][0]["content"][1], file);
    let (sent, dropped) =
        encode(&says(document(Source::Text("text".into()), false)), &facts(), Unsupported::Reject).unwrap();
    assert_eq!(sent["messages"][0]["content"][1], json!({"type": "text", "text": "t\nc\ntext"}));
    assert_eq!(dropped, [""; 0]);
    loses(&says(document(Source::Text("text".into()), true)), &facts(), Aspect::DocumentDetail);
}

#[test]
fn what_cannot_be_translated_is_refused_whatever_the_caller_allows() {
    let image = |source| Part::Image(ImagePart { source, detail: None, cache: None });
    let document = |source| {
        Part::Document(DocumentPart { source, title: None, context: None, citations: false, cache: None })
    };
    for part in [
        image(Source::File("f".into())),
        document(Source::File("f".into())),
        document(Source::Url("https://example.com/a.pdf".into())),
        Part::Other { kind: "search_result".into(), raw: Raw::new("{}") },
    ] {
        let chat = with(|chat| chat.say(Role::User, vec![part.clone()]));
        let fault = encode(&chat, &facts(), Unsupported::Drop).unwrap_err();
        assert!(matches!(&fault, BadRequest::Untranslatable { .. }), "{part:?} {fault}");
    }
    let other = Part::Other { kind: "server_tool_use".into(), raw: Raw::new("{}") };
    let chat = with(|chat| chat.say(Role::Assistant, vec![other]));
    let fault = encode(&chat, &facts(), Unsupported::Drop).unwrap_err();
    assert!(matches!(fault, BadRequest::Untranslatable { .. }), "{fault}");
}
