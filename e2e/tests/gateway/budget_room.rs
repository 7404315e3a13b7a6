//! Worst cases must not block a budget that has room.

use serde_json::json;
use smartflow_e2e::client::ask;
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::vendor::{Config, End, Vendor};
use smartflow_e2e::world::{World, budget, key, token};

async fn start(limit: &str) -> (Vendor, World, Gateway) {
    let vendor = Vendor::start(Config::default());
    let world = World::of(&vendor);
    world.put("room", &key("room", &budget(limit)));
    let gateway = Gateway::start(&world).await;
    (vendor, world, gateway)
}

#[tokio::test]
async fn eight_calls_without_a_cap_run_on_a_fresh_dollar() {
    // 128,000 output tokens at $15 a million would be $1.92 each.
    let (vendor, _world, gateway) = start("1").await;
    let client = gateway.client(&token("room"));
    let body = ask("mock-dear", "[[tokens=200 first_ms=1500]]");
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let (client, body) = (client.clone(), body.clone());
            tokio::spawn(async move { client.chat(&body).await })
        })
        .collect();
    for call in calls {
        let answer = call.await.unwrap().expect_status(200);
        let told = answer.json();
        assert_eq!(told["object"], "chat.completion", "the caller did not ask for a stream: {told}");
        let text = told["choices"][0]["message"]["content"].as_str().unwrap();
        assert_eq!(text.split_whitespace().count(), 200, "{text}");
        assert_eq!(told["choices"][0]["finish_reason"], "stop");
        assert_eq!(told["usage"]["completion_tokens"], 200);
    }
    let seen = vendor.calls();
    assert_eq!(seen.len(), 8);
    assert!(seen.iter().all(|c| c.end == End::Complete && c.served == 200));
    // They truly ran side by side.
    let last_start = seen.iter().map(|c| c.at).max().unwrap();
    assert!(seen.iter().all(|c| c.ended.unwrap() > last_start), "the calls waited for each other");
}

#[tokio::test]
async fn put_together_answers_are_whole() {
    // As above, with tools, several choices and text that is not ASCII: what is put together from a stream must be
    // what the vendor would have answered.
    let (_vendor, _world, gateway) = start("1").await;
    let client = gateway.client(&token("room"));
    let tool = json!({"type": "function", "function": {"name": "f", "parameters":
        {"type": "object", "properties": {"city": {"type": "string"}}}}});
    let mut body = ask("mock-dear", "[[tools=2]]");
    body["tools"] = json!([tool]);
    let told = client.chat(&body).await.expect_status(200).json();
    let calls = told["choices"][0]["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(told["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(calls.len(), 2, "{told}");
    for call in calls {
        let arguments: serde_json::Value =
            serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
        assert_eq!(
            (call["function"]["name"].as_str(), arguments["city"].as_str()),
            (Some("f"), Some("mock text"))
        );
        assert!(call["id"].as_str().unwrap().starts_with("call_") && call["type"] == "function");
    }
    let mut body = ask("mock-dear", "[[tokens=16 unicode=1 bytes=3]]");
    body["n"] = json!(2);
    let told = client.chat(&body).await.expect_status(200).json();
    assert_eq!(told["choices"].as_array().unwrap().len(), 2, "{told}");
    for (index, choice) in told["choices"].as_array().unwrap().iter().enumerate() {
        assert_eq!(choice["index"], json!(index));
        assert!(choice["message"]["content"].as_str().unwrap().starts_with("naïve 数据 🦀 привет "));
    }
    assert_eq!(told["usage"]["completion_tokens"], 32);
}

#[tokio::test]
async fn twenty_streams_with_a_cap_of_32000_run_on_five_dollars() {
    // 20 × 32,000 tokens at $15 a million would be $9.60.
    let (vendor, _world, gateway) = start("5").await;
    let client = gateway.client(&token("room"));
    let mut body = ask("mock-dear", "[[tokens=300 chunk=5 delay_ms=25]]");
    body["max_tokens"] = json!(32_000);
    let streams: Vec<_> = (0..20)
        .map(|_| {
            let (client, body) = (client.clone(), body.clone());
            tokio::spawn(async move { client.stream(&body).await.expect("a stream").all().await })
        })
        .collect();
    for stream in streams {
        let told = stream.await.unwrap();
        assert_eq!((told.deltas, told.finish.as_deref(), told.done), (60, Some("stop"), true), "{told:?}");
    }
    let seen = vendor.calls();
    assert!(seen.iter().all(|c| c.end == End::Complete && c.served == 300));
    let last_start = seen.iter().map(|c| c.at).max().unwrap();
    assert!(seen.iter().all(|c| c.ended.unwrap() > last_start), "the streams waited for each other");
}

#[tokio::test]
async fn streams_that_use_up_the_budget_end_honestly() {
    // $0.02 is 5,000 output tokens; each stream would like 16,000, at 1,000 a second. Slices go by content bytes, some
    // five a token, so one stream cannot use up all by itself; together they come close.
    let (vendor, _world, gateway) = start("0.02").await;
    let client = gateway.client(&token("room"));
    let body = ask("mock-small", "[[tokens=16000 chunk=5 delay_ms=5]]");
    let (mut shortened, mut refused) = (0, false);
    while !refused && shortened < 40 {
        match client.stream(&body).await {
            Ok(stream) => {
                let told = stream.all().await;
                assert_eq!(
                    (told.finish.as_deref(), told.done, told.broken),
                    (Some("length"), true, false),
                    "{told:?}"
                );
                assert!(told.error.is_none() && told.deltas > 0, "{told:?}");
                shortened += 1;
            }
            Err(answer) => {
                answer.expect_error(429, "insufficient_quota", "budget_exceeded");
                refused = true;
            }
        }
    }
    assert!(refused, "{shortened} streams ran on two cents");
    let served: u64 = vendor.calls().iter().map(|c| c.served).sum();
    assert!((1_500..=5_000).contains(&served), "{served} tokens were served of 5,000 affordable ones");
}

#[tokio::test]
async fn whole_answers_of_hidden_reasoners_are_shortened_and_say_so() {
    // 100,000 tokens at $4 a million are $0.40; an eighth of $1 is 31,250 tokens.
    let (vendor, _world, gateway) = start("1").await;
    let client = gateway.client(&token("room"));
    let answer = client.chat(&ask("mock-reason", "[[tokens=20 reasoning=500]]")).await.expect_status(200);
    let told = answer.header("x-smartflow-max-tokens").expect("x-smartflow-max-tokens").to_owned();
    let cap: u64 = told.split(';').next().unwrap().trim().parse().unwrap();
    assert!(told.contains("reason=budget") && (25_000..=31_250).contains(&cap), "{told}");
    let sent = vendor.calls()[0].json();
    assert_eq!(sent["max_completion_tokens"], json!(cap), "{sent}");
    assert_eq!(answer.json()["usage"]["completion_tokens_details"]["reasoning_tokens"], 500);
}
