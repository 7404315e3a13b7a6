//! What the demo shows, in order, and what it invites to try.

use super::Error;
use super::gateway::Gateway;
use super::http::{self, Answer};
use serde_json::{Value, json};
use std::io::Write;
use std::time::Instant;

const MODEL: &str = "simulated-chat";
/// A key with a budget for a day's work, and one whose budget is spent after a few words.
const KEY: &str = "alice";
const TINY: &str = "tiny";
const CHAT: (&str, &str) = ("POST", "/v1/chat/completions");

/// Asks, streams, spends a tiny budget.
pub(super) fn tell(gateway: &mut Gateway) -> Result<(), Error> {
    let token = gateway.token(KEY)?;
    ask(gateway, &token)?;
    stream(gateway, &token)?;
    refuse(gateway)?;
    usage(gateway, &token)
}

fn ask(gateway: &Gateway, token: &str) -> Result<(), Error> {
    let question = "What does a gateway do for a budget?";
    let answer = http::call(gateway.traffic, CHAT, Some(token), Some(&chat(question, None)))?;
    let (cost, left) = money(&answer);
    let answer = expect("a question", 200, answer)?;
    let body = answer.json()?;
    let took = gateway.started.elapsed();
    println!("1. A question of key `{KEY}` to model `{MODEL}` (made up in process: no account needed)");
    println!("   ? {question}");
    println!("   ! {}", body["choices"][0]["message"]["content"].as_str().unwrap_or_default());
    println!("   cost ${cost}, budget remaining ${left}");
    println!("   first answer {:.1} ms after the process was started\n", took.as_secs_f64() * 1e3);
    Ok(())
}

fn stream(gateway: &Gateway, token: &str) -> Result<(), Error> {
    let start = Instant::now();
    let body = json!({"model": MODEL, "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "And as a stream?"}]});
    let answer = http::call(gateway.traffic, CHAT, Some(token), Some(&body))?;
    let answer = expect("a stream", 200, answer)?;
    println!("2. The same as a stream");
    print!("   ! ");
    let (mut events, mut used) = (0, Value::Null);
    answer.events(|event| {
        events += 1;
        print!("{}", event["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
        let _ = std::io::stdout().flush();
        if event["usage"].is_object() {
            used = event["usage"].clone();
        }
    })?;
    println!(
        "\n   {events} events in {:.1} ms, tokens: {} in, {} out\n",
        start.elapsed().as_secs_f64() * 1e3,
        used["prompt_tokens"],
        used["completion_tokens"]
    );
    Ok(())
}

/// Calls until the tiny budget is spent: what is refused costs nothing, and no call gets past the cap.
fn refuse(gateway: &Gateway) -> Result<(), Error> {
    let token = gateway.token(TINY)?;
    println!("3. Key `{TINY}`, whose budget is tiny");
    for number in 1..=50 {
        let answer = http::call(gateway.traffic, CHAT, Some(&token), Some(&chat("Once more?", Some(64))))?;
        let (cost, left) = money(&answer);
        if answer.status == 200 {
            println!("   call {number}: 200, cost ${cost}, remaining ${left}");
            answer.json()?;
            continue;
        }
        let answer = expect("a call beyond the budget", 429, answer)?;
        let error = &answer.json()?["error"];
        println!(
            "   call {number}: 429 {} ({}): {}\n",
            text(error, "type"),
            text(error, "code"),
            text(error, "message")
        );
        return Ok(());
    }
    Err(Error::Unexpected { what: "a tiny budget", expected: "429".to_owned(), got: "50 answers".to_owned() })
}

fn usage(gateway: &Gateway, token: &str) -> Result<(), Error> {
    let answer = http::call(gateway.traffic, ("GET", "/v1/usage"), Some(token), None)?;
    let answer = expect("the key's own usage", 200, answer)?;
    println!("4. What key `{KEY}` has used (GET /v1/usage)\n   {}", answer.json()?);
    Ok(())
}

/// Commands to try while the gateway is up.
pub(super) fn invite(gateway: &Gateway) {
    let key = gateway.key_file(KEY);
    let (key, base) = (key.display(), gateway.traffic);
    println!(
        "\nThe gateway stays up at http://{base}/v1 (admin: http://{}); Ctrl-C stops it. To try:\n",
        gateway.admin
    );
    println!("  curl http://{base}/v1/chat/completions -H \"authorization: Bearer $(cat {key})\" \\");
    println!("    -H 'content-type: application/json' \\");
    println!(
        "    -d '{{\"model\":\"{MODEL}\",\"messages\":[{{\"role\":\"user\",\"content\":\"hello\"}}]}}' -i"
    );
    println!("  curl http://{base}/v1/usage -H \"authorization: Bearer $(cat {key})\"");
    println!("  curl http://{base}/v1/models -H \"authorization: Bearer $(cat {key})\"");
    println!("  curl http://{}/metrics", gateway.admin);
    println!("\nThe resources are in config/samples/quickstart: edit one and the gateway obeys at once.");
    println!(
        "With the OpenAI SDK: OPENAI_BASE_URL=http://{base}/v1 OPENAI_API_KEY=\"$(cat {key})\" python your_program.py"
    );
}

fn chat(question: &str, cap: Option<u32>) -> Value {
    let mut body = json!({"model": MODEL, "messages": [{"role": "user", "content": question}]});
    if let Some(cap) = cap {
        body["max_tokens"] = json!(cap);
    }
    body
}

fn money(answer: &Answer) -> (String, String) {
    let value = |name| answer.header(name).unwrap_or("?").to_owned();
    (value("x-smartflow-cost-usd"), value("x-smartflow-budget-remaining-usd"))
}

fn expect(what: &'static str, status: u16, answer: Answer) -> Result<Answer, Error> {
    if answer.status == status {
        return Ok(answer);
    }
    let got = answer.status;
    let said = answer.json().map(|body| text(&body["error"], "message").to_owned()).unwrap_or_default();
    Err(Error::Unexpected { what, expected: status.to_string(), got: format!("{got} {said}") })
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
