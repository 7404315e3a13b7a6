//! A stream from a provider, governed while it flows: bytes pass, usage is found, slices are paid, deadlines hold. It
//! ends in one of four ways: whole, shortened by the budget, failed, or left by the caller, which drops the connection
//! to the provider. The first three are told within the stream.

use crate::budget::slices::{Next, POLL, Slices};
use crate::edge::fault::Fault;
use crate::exchange::{Bill, End, Exchange};
use crate::pipeline::failed;
use crate::reading::{Broken, Reading};
use crate::reply::{settled, stream_error};
use crate::telemetry::usage::Outcome;
use crate::upstream::attempt::Source;
use crate::upstream::deadline::Deadline;
use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use smartflow_dialect::{Dialect, Usage};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::time::{Sleep, sleep};

/// After `[DONE]`, how long the provider may take to end the body, so that its connection can be used again.
const GRACE: Duration = Duration::from_secs(1);

/// How long events without content are held, and how many of them.
const HOLD: Duration = Duration::from_secs(1);
const MOST_HELD: usize = 64;

/// A stream under way.
pub struct Relay {
    exchange: Option<Box<Exchange>>,
    source: Option<Source>,
    scan: Reading,
    deadline: Deadline,
    idle: Duration,
    slices: Option<Slices>,
    pause: Option<Pin<Box<Sleep>>>,
    out: Vec<Bytes>,
    next: usize,
    fault: Option<Fault>,
    /// The caller asked for the usage chunk.
    tells_usage: bool,
    /// What the caller speaks.
    dialect: Dialect,
    began: Instant,
    /// The caller takes trailers.
    tells_end: bool,
    /// Cost and what is left, once it ended well.
    end: Option<HeaderMap>,
    /// Nothing has reached the caller: how it ends is not told, but kept.
    held: bool,
    ended: Option<Ended>,
}

/// A stream that ended before anything of it reached the caller. Nothing is settled.
pub struct Ended {
    /// The call.
    pub exchange: Box<Exchange>,
    /// Well, or how not.
    pub how: Result<Outcome, Fault>,
    /// What it owes.
    pub bill: Bill,
}

/// What a relay is made of.
pub struct Parts {
    /// The call.
    pub exchange: Box<Exchange>,
    /// Its answer's body.
    pub source: Source,
    /// Scans it.
    pub scan: Reading,
    /// Its deadlines.
    pub deadline: Deadline,
    /// Longest silence.
    pub idle: Duration,
    /// Set when it is paid for slice by slice.
    pub slices: Option<Slices>,
    /// The caller asked for the usage chunk.
    pub tells_usage: bool,
    /// The caller takes trailers: keep cost and what is left.
    pub tells_end: bool,
    /// Keep how it ends, until [`Relay::begin`] lets it go: something else may still be tried.
    pub held: bool,
}

impl Relay {
    /// Starts relaying.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { exchange, source, scan, mut deadline, idle, slices, tells_usage, tells_end, held } =
            parts;
        deadline.phase("idle", idle);
        Self {
            dialect: exchange.endpoint().dialect(),
            exchange: Some(exchange),
            source: Some(source),
            scan,
            deadline,
            idle,
            slices,
            pause: None,
            out: Vec::new(),
            next: 0,
            fault: None,
            tells_usage,
            began: Instant::now(),
            tells_end,
            end: None,
            held,
            ended: None,
        }
    }

    /// True when nothing more will come.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.source.is_none()
            && self.exchange.is_none()
            && self.ended.is_none()
            && self.next >= self.out.len()
            && self.fault.is_none()
            && self.end.is_none()
    }

    /// For the caller: bytes, at the end perhaps an error event or trailers. Never an error.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(bytes) = ready!(self.poll_bytes(cx)) {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if let Some(fault) = self.fault.take() {
            return Poll::Ready(Some(Ok(Frame::data(fault.into_event(self.dialect)))));
        }
        Poll::Ready(self.end.take().map(|end| Ok(Frame::trailers(end))))
    }

    /// Waits until there is something of an answer for the caller, and lets it go; nothing else is tried from then on.
    /// Events that say nothing yet (a role, a sign of life) are waited with, but not for long.
    ///
    /// # Errors
    /// How the stream ended, when it failed before.
    pub async fn begin(&mut self) -> Result<(), Box<Ended>> {
        poll_fn(|cx| self.poll_fill(cx)).await;
        drop(tokio::time::timeout(HOLD, poll_fn(|cx| self.poll_content(cx))).await);
        match self.ended.take() {
            Some(ended) if ended.how.is_err() => return Err(Box::new(ended)),
            ended => {
                self.held = false;
                if let Some(exchange) = &mut self.exchange {
                    exchange.began();
                }
                if let Some(Ended { exchange, how: Ok(outcome), bill }) = ended {
                    self.exchange = Some(exchange);
                    self.finish(outcome, bill);
                }
            }
        }
        Ok(())
    }

    /// The next whole events, or `None` at the end.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        ready!(self.poll_fill(cx));
        let bytes = self.out.get_mut(self.next).map(std::mem::take);
        self.next += usize::from(bytes.is_some());
        Poll::Ready(bytes)
    }

    /// Ready when there are events, or none will come any more.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.next >= self.out.len() {
            self.out.clear();
            self.next = 0;
            if !ready!(self.poll_read(cx)) {
                break;
            }
        }
        Poll::Ready(())
    }

    /// Ready when there is content, enough without any, or none will come any more.
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.exchange.is_some() && self.scan.content_bytes() == 0 && self.out.len() < MOST_HELD {
            if !ready!(self.poll_read(cx)) {
                break;
            }
        }
        Poll::Ready(())
    }

    /// One read, or one pause; false when nothing more will come.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.pause.is_some() {
            return self.poll_pause(cx).map(|()| true);
        }
        let Some(source) = &mut self.source else { return Poll::Ready(false) };
        match source.poll_data(cx) {
            Poll::Ready(Some(Ok(data))) => self.take(data),
            Poll::Ready(Some(Err(broken))) => self.fail(broken.into()),
            Poll::Ready(None) => self.ended(),
            Poll::Pending => {
                let timeout = ready!(self.deadline.poll(cx));
                if self.scan.done() {
                    // All was said; only the connection is lost.
                    self.source = None;
                } else {
                    self.fail(timeout.into());
                }
            }
        }
        Poll::Ready(true)
    }

    /// How it ended, when it was held to its end.
    pub fn take_ended(&mut self) -> Option<Ended> {
        self.ended.take()
    }

    /// Gives up for a fault of ours.
    pub fn abandon(&mut self, fault: Fault) {
        self.fail(fault);
    }

    fn take(&mut self, data: Bytes) {
        if self.scan.done() {
            // Nothing counts behind the end, least of all as a sign of life.
            return;
        }
        self.deadline.phase("idle", self.idle);
        match self.scan.feed(data, &mut self.out) {
            Ok(()) if self.scan.done() => {
                self.succeed();
                self.deadline.phase("end", GRACE);
            }
            Ok(()) => self.pay(),
            Err(broken) => self.broke(broken),
        }
    }

    fn broke(&mut self, broken: Broken) {
        let fault = match broken {
            Broken::Upstream(error) => stream_error(self.exchange.as_deref(), &error),
            Broken::Garbled(why) => Fault::Garbled { why },
        };
        self.fail(fault);
    }

    fn ended(&mut self) {
        self.source = None;
        if self.scan.done() {
            return;
        }
        match self.scan.end(&mut self.out) {
            Ok(true) => self.succeed(),
            Ok(false) => self.fail(Fault::Garbled { why: "the stream was cut" }),
            Err(broken) => self.broke(broken),
        }
    }

    /// Looks whether the next slice must be paid.
    fn pay(&mut self) {
        loop {
            let Some(slices) = &mut self.slices else { return };
            match slices.next(self.scan.content_bytes(), Instant::now()) {
                Next::Read => return,
                Next::Ask(tokens) => {
                    self.buy(tokens);
                    return;
                }
                // One read may bring more than a slice: pay until it is covered.
                Next::Wait(tokens) if self.buy(tokens) => {}
                Next::Wait(_) => {
                    self.pause = Some(Box::pin(sleep(POLL)));
                    return;
                }
                Next::End => return self.shorten(),
            }
        }
    }

    fn buy(&mut self, tokens: u64) -> bool {
        let (Some(exchange), Some(slices)) = (&mut self.exchange, &mut self.slices) else { return true };
        let shared = &exchange.worker().shared;
        let now = shared.clock.now();
        if !exchange.caller().is_still_admitted(&shared.current.load(), now.wall / 1000) {
            return false;
        }
        let paid = exchange.hold.as_mut().map_or(tokens, |h| h.extend(now, tokens));
        slices.extended(paid);
        paid > 0
    }

    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
        }
        self.pause = None;
        // The provider was not silent meanwhile: we did not listen.
        self.deadline.phase("idle", self.idle);
        self.pay();
        Poll::Ready(())
    }

    /// Ends honestly for want of money: a final chunk, the usage if it was asked for, and the provider is told to stop.
    fn shorten(&mut self) {
        self.source = None;
        let usage = self.counted();
        self.scan.shorten(&usage, self.tells_usage, &mut self.out);
        self.finish(Outcome::Shortened, Bill::Counted(usage));
    }

    fn succeed(&mut self) {
        let bill = self.bill();
        self.finish(Outcome::Ok, bill);
    }

    fn bill(&self) -> Bill {
        let counted = self.counted();
        let bill = |usage| self.exchange.as_ref().map_or(Bill::Counted(usage), |e| e.unreported(usage));
        match self.scan.usage() {
            Some(usage) if self.scan.done() || self.scan.finished() => Bill::Reported(*usage),
            // Some vendors report while they stream: that is no less than what came until then.
            Some(early) => bill(Usage { output: early.output.max(counted.output), ..*early }),
            None => bill(counted),
        }
    }

    fn finish(&mut self, outcome: Outcome, bill: Bill) {
        let Some(mut exchange) = self.exchange.take() else { return };
        if self.held {
            self.ended = Some(Ended { exchange, how: Ok(outcome), bill });
            return;
        }
        let instant = Instant::now();
        let now = exchange.worker().shared.clock.at(instant);
        let cost = exchange.finish_at(End { outcome, status: 200, code: None, bill }, instant, now);
        if self.tells_end {
            let mut headers = HeaderMap::new();
            settled(&mut headers, &exchange, cost, now);
            self.end = Some(headers);
        }
    }

    fn fail(&mut self, fault: Fault) {
        self.source = None;
        let refused = matches!(fault, Fault::Failed { .. });
        // An error in place of the first token is a refusal with a polite status: free (L22).
        let free = refused && self.scan.content_bytes() == 0 && self.scan.usage().is_none();
        let bill = if free { Bill::Nothing } else { self.bill() };
        match self.exchange.take() {
            Some(exchange) if self.held => {
                self.ended = Some(Ended { exchange, how: Err(fault), bill });
            }
            Some(mut exchange) => {
                exchange.blame(&fault);
                self.fault = Some(failed(exchange, fault, Some(bill)));
            }
            None => {}
        }
    }

    /// What a stream that tells no usage owes (L21): what was counted, and 0.2 s more at its rate for what was under
    /// way when it stopped. Content bytes bound its tokens; a third of them is what text rarely exceeds.
    fn counted(&self) -> Usage {
        let Some(exchange) = &self.exchange else { return Usage::default() };
        let bytes = self.scan.content_bytes();
        let seen = bytes.div_ceil(3).max(self.scan.events().min(bytes));
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(200);
        let output = seen + seen.saturating_mul(200) / millis;
        exchange.at_most_held(Usage { input: exchange.input_ceiling(), output, ..Usage::default() })
    }
}

impl Drop for Relay {
    /// The caller left.
    fn drop(&mut self) {
        self.source = None;
        let bill = self.bill();
        if let Some(mut exchange) = self.exchange.take() {
            exchange.leave(bill);
        }
        if let Some(mut ended) = self.ended.take() {
            ended.exchange.leave(ended.bill);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::exchange_tests::Bench;
    use crate::upstream::play::play;
    use smartflow_dialect::openai::{StreamScan, StreamSettings};
    use smartflow_snapshot::Simulation;

    /// A stream of which nothing has come yet.
    async fn relay(bench: &Bench) -> Relay {
        let (exchange, _) = bench.call("paid", "mock").await;
        let timeouts = exchange.route.as_ref().unwrap().provider.timeouts;
        let mut deadline = Deadline::start(&timeouts, tokio::time::Instant::now());
        let body = br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
        let answer =
            play(&Simulation::default(), "/chat/completions", body, 0, &mut deadline, None).await.unwrap();
        Relay::new(Parts {
            exchange,
            source: answer.body,
            scan: Reading::OpenAi(StreamScan::new(StreamSettings::default())),
            deadline,
            idle: timeouts.idle,
            slices: None,
            tells_usage: false,
            tells_end: false,
            held: false,
        })
    }

    #[tokio::test]
    async fn an_early_report_is_not_the_bill_of_what_came_after() {
        let bench = Bench::start();
        let mut relay = relay(&bench).await;
        let early = r#"data: {"choices":[{"index":0,"delta":{"role":"assistant"}}],"usage":{"prompt_tokens":7,"completion_tokens":0}}"#;
        let words = r#"data: {"choices":[{"index":0,"delta":{"content":"thirty bytes of what was said."}}]}"#;
        relay.take(format!("{early}\n\n{words}\n\n").into());
        let bill = relay.bill();
        assert!(matches!(bill, Bill::Counted(u) if u.input == 7 && u.output >= 10), "{bill:?}");
        let last = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":8}}"#;
        relay.take(format!("{last}\n\n").into());
        let bill = relay.bill();
        assert!(matches!(bill, Bill::Reported(u) if u.output == 8), "{bill:?}");
    }

    #[tokio::test]
    async fn an_error_in_place_of_the_first_token_is_free_and_a_later_one_is_not() {
        let bench = Bench::start();
        let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
        let mut first = relay(&bench).await;
        first.take(error.into());
        assert!(matches!(first.fault.take(), Some(Fault::Failed { .. })));
        assert_eq!(bench.spent("paid"), 0);
        let mut later = relay(&bench).await;
        later.take(
            format!("data: {}\n\n{error}", r#"{"choices":[{"index":0,"delta":{"content":"a word"}}]}"#)
                .into(),
        );
        assert!(matches!(later.fault.take(), Some(Fault::Failed { .. })));
        assert!(bench.spent("paid") > 0);
    }
}
