//! A caller of a random sort: either format, translated or not, through a chain or not, streams or not, and gone in the
//! middle of some.

use super::dice::Dice;
use super::plan::Stakes;
use crate::evidence::{Ask, AskEnd};
use serde_json::{Value, json};
use smartflow_e2e::client::{Answer, Client, ask, message};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::money::cost;
use smartflow_e2e::vendor::Usage;
use smartflow_e2e::world::token;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// What callers of a run have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habit {
    /// Their output cap: small beside the budgets of the plans.
    pub(super) tokens: u64,
    /// Of a hundred of their calls in OpenAI's format so many name no cap.
    pub(super) uncapped: u64,
}

/// The greatest output of a model, where a caller names no cap.
const MODEL_CAP: u64 = 16_384;
/// A caller that was refused this often in a row has nothing more to spend.
const PATIENCE: u32 = 12;

/// What all callers of a run write into.
#[derive(Clone)]
pub(super) struct Diary {
    pub(super) began: Instant,
    pub(super) stop: Arc<AtomicBool>,
    asks: Arc<Mutex<Vec<Ask>>>,
}

impl Diary {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), stop: Arc::default(), asks: Arc::default() }
    }

    pub(super) fn at(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    fn note(&self, ask: Ask) {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).push(ask);
    }

    pub(super) fn asks(&self) -> Vec<Ask> {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Ways to one pod, a client for each format.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) pod: usize,
    pub(super) openai: Client,
    pub(super) anthropic: Client,
}

impl Way {
    pub(super) fn to(pod: usize, gateway: &Gateway, key: &str) -> Self {
        let token = token(key);
        Self { pod, openai: gateway.client(&token), anthropic: Client::anthropic(gateway.traffic, &token) }
    }
}

/// One caller.
struct Caller {
    name: u64,
    ways: Vec<Way>,
    habit: Habit,
    dice: Dice,
    diary: Diary,
}

/// One call, thrown.
pub(super) struct Throw {
    tag: String,
    anthropic: bool,
    stream: bool,
    /// The caller leaves after so many pieces.
    leaves: Option<u64>,
    body: Value,
}

impl Throw {
    fn new(tag: String, habit: Habit, dice: &mut Dice) -> Self {
        let (anthropic, stream) = (dice.percent(50), dice.percent(55));
        let leaves = (stream && dice.percent(25)).then(|| 1 + dice.below(12));
        let slow = leaves.is_some() || dice.percent(20);
        let pace = if slow { "chunk=10 delay_ms=2" } else { "chunk=10" };
        let script = format!("[[tokens={} {pace} tag={tag}]]", 1 + dice.below(habit.tokens));
        let model = ["best", "best", "mock-small", "mock-haiku"];
        let model = model[usize::try_from(dice.below(4)).unwrap_or(0)];
        let mut body = if anthropic { message(model, &script) } else { ask(model, &script) };
        if anthropic || !dice.percent(habit.uncapped) {
            body["max_tokens"] = json!(habit.tokens);
        }
        if anthropic {
            body["metadata"] = json!({"user_id": tag});
        } else {
            body["user"] = json!(tag);
        }
        Self { tag, anthropic, stream, leaves, body }
    }

    /// The smallest usual call, to use up the rest of a budget.
    pub(super) fn crumb(tag: String, habit: Habit) -> Self {
        let tokens = habit.tokens;
        let mut body = ask("mock-small", &format!("[[tokens={tokens} tag={tag}]]"));
        body["max_tokens"] = json!(tokens);
        body["user"] = json!(tag);
        Self { tag, anthropic: false, stream: false, leaves: None, body }
    }

    fn path(&self) -> &'static str {
        if self.anthropic { "/v1/messages" } else { "/v1/chat/completions" }
    }

    /// Its bytes as input tokens, some for what a translation adds, and its cap.
    fn most(&self) -> i64 {
        let prompt = self.body.to_string().len() as u64 + 1_000;
        let completion = self.body["max_tokens"].as_u64().unwrap_or(MODEL_CAP);
        price(prompt, completion)
    }

    /// Makes the call and writes down how it went.
    pub(super) async fn make(&self, way: &Way, diary: &Diary) -> AskEnd {
        let client = if self.anthropic { &way.anthropic } else { &way.openai };
        let began = diary.now();
        let (end, tokens) = if self.stream { self.read(client).await } else { self.whole(client).await };
        diary.note(Ask {
            tag: self.tag.clone(),
            pod: way.pod,
            began,
            ended: diary.now(),
            end: end.clone(),
            received: price(0, tokens),
            most: self.most(),
        });
        end
    }

    async fn whole(&self, client: &Client) -> (AskEnd, u64) {
        let sent = bytes::Bytes::from(self.body.to_string());
        let Ok(answer) = client.try_send("POST", self.path(), sent).await else { return (AskEnd::Lost, 0) };
        if answer.status != 200 {
            return (refused(&answer), 0);
        }
        let told = answer.json();
        let text =
            told.pointer(if self.anthropic { "/content/0/text" } else { "/choices/0/message/content" });
        (AskEnd::Whole, text.and_then(Value::as_str).map_or(0, words))
    }

    async fn read(&self, client: &Client) -> (AskEnd, u64) {
        let mut stream = match client.try_stream_at(self.path(), &self.body).await {
            Err(_) => return (AskEnd::Lost, 0),
            Ok(Err(answer)) => return (refused(&answer), 0),
            Ok(Ok(stream)) => stream,
        };
        let told = stream.read(self.leaves.unwrap_or(u64::MAX)).await;
        let end = match &told.error {
            Some(error) => AskEnd::Error(error["code"].as_str().unwrap_or_default().to_owned()),
            None if told.done => AskEnd::Whole,
            None if told.broken || told.garbled || self.leaves.is_none() => AskEnd::Lost,
            None => AskEnd::Left,
        };
        (end, words(&told.text))
    }
}

/// All callers of a run, at work.
pub(super) fn begin(stakes: &Stakes, habit: Habit, ways: &[Way], diary: &Diary) -> Vec<JoinHandle<()>> {
    let caller = |name| {
        let (dice, diary, ways) = (Dice::new(stakes.seed, name), diary.clone(), ways.to_vec());
        tokio::spawn(Caller { name, ways, habit, dice, diary }.run())
    };
    (1..=stakes.clients).map(caller).collect()
}

impl Caller {
    /// Calls until it is refused again and again, or told to stop.
    async fn run(mut self) {
        let (mut refused, mut count) = (0, 0);
        while refused < PATIENCE && !self.diary.stop.load(Ordering::Relaxed) {
            count += 1;
            let throw = Throw::new(format!("c{}n{count}", self.name), self.habit, &mut self.dice);
            let way = usize::try_from(self.dice.below(self.ways.len() as u64)).unwrap_or(0);
            match throw.make(&self.ways[way], &self.diary).await {
                AskEnd::Error(code) if code == "budget_exceeded" => refused += 1,
                // The lender is away; it comes back.
                AskEnd::Error(code) if code == "budget_unavailable" => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                // The pod is gone; it comes back.
                AskEnd::Lost => tokio::time::sleep(Duration::from_millis(20)).await,
                _ => refused = 0,
            }
        }
    }
}

fn refused(answer: &Answer) -> AskEnd {
    AskEnd::Error(answer.code())
}

/// A word of the mock's text is a token.
fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

/// Both vendors' models cost the same.
fn price(prompt: u64, completion: u64) -> i64 {
    cost("mock-small", &Usage { prompt, completion, ..Usage::default() })
}
