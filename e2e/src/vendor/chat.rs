//! Chat completions: whole and streamed, with faults, counting what is written.

use super::answer::{Asked, Choice, Piece, Reply};
use super::record::{End, Usage};
use super::reject::Reject;
use super::serve::{Next, head, refuse, respond};
use super::wire::{Gone, Wire};
use super::{Fault, Shared};
use serde_json::{Value, json};
use std::sync::PoisonError;
use std::time::{SystemTime, UNIX_EPOCH};

/// Answers one chat request.
pub(super) async fn answer(wire: &mut Wire, body: &[u8], shared: &Shared, id: usize) -> Result<Next, Gone> {
    let asked = match Asked::read(body, &shared.config) {
        Ok(asked) => asked,
        Err(reject) => {
            return refuse(wire, shared, id, reject.status, &reject.body()).await.map(|()| Next::Keep);
        }
    };
    shared.journal.change(id, |call| {
        call.tag.clone_from(&asked.script.tag);
        call.model = Some(asked.model.name.clone());
        call.stream = asked.stream;
        call.images = asked.seen.images;
        call.prompt = asked.seen.tokens;
        call.cached = asked.script.cached.min(asked.seen.tokens);
    });
    let fault = asked.script.fault.clone().or_else(|| planned(shared, id));
    wire.pause(asked.script.first).await?;
    if let Some(next) = before_head(wire, shared, id, fault.as_ref()).await? {
        return Ok(next);
    }
    let reply = Reply::make(&asked, id);
    let out = Out { asked, reply, fault, id, created: now(), shared };
    let streams = out.asked.stream && out.fault != Some(Fault::Whole);
    if streams { out.streamed(wire).await } else { out.whole(wire).await }
}

/// The fault that the handle's plan has for this call.
pub(super) fn planned(shared: &Shared, id: usize) -> Option<Fault> {
    let call = shared.journal.get(id)?;
    let plan = shared.plan.lock().unwrap_or_else(PoisonError::into_inner);
    plan.as_ref().and_then(|p| p(&call))
}

/// Plays the faults that come before any answer; `None` when the answer may follow.
pub(super) async fn before_head(
    wire: &mut Wire,
    shared: &Shared,
    id: usize,
    fault: Option<&Fault>,
) -> Result<Option<Next>, Gone> {
    match fault {
        Some(Fault::Status { status, retry_after }) => {
            let headers: Vec<_> = retry_after.iter().map(|s| ("retry-after", s.to_string())).collect();
            let body = shared.config.speech.fault(*status, &shared.config.keys[0]);
            respond(wire, shared, *status, &headers, &body).await?;
            shared.journal.end(id, End::Refused(*status));
            Ok(Some(Next::Keep))
        }
        Some(Fault::Redirect(to)) => {
            respond(wire, shared, 307, &[("location", to.clone())], &json!({})).await?;
            shared.journal.end(id, End::Refused(307));
            Ok(Some(Next::Keep))
        }
        Some(Fault::Hang) => Err(wire.gone().await),
        Some(Fault::Reset(0)) => {
            wire.reset_on_close();
            shared.journal.end(id, End::Broken);
            Ok(Some(Next::Close))
        }
        _ => Ok(None),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn usage_json(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt, "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
    })
}

struct Out<'a> {
    asked: Asked,
    reply: Reply,
    fault: Option<Fault>,
    id: usize,
    created: u64,
    shared: &'a Shared,
}

impl Out<'_> {
    fn served(&self, tokens: u64) {
        self.shared.journal.change(self.id, |call| call.served += tokens);
    }

    fn reported(&self) {
        self.shared.journal.change(self.id, |call| call.reported = Some(self.reply.usage));
    }

    fn broken(&self) -> Next {
        self.shared.journal.end(self.id, End::Broken);
        Next::Close
    }

    async fn send_head(&self, wire: &mut Wire, head: &str) -> Result<(), Gone> {
        if let Some(Fault::SlowHead(gap)) = self.fault {
            for byte in head.as_bytes() {
                wire.send(&[*byte]).await?;
                wire.pause(gap).await?;
            }
            return Ok(());
        }
        wire.send(head.as_bytes()).await
    }

    async fn whole(self, wire: &mut Wire) -> Result<Next, Gone> {
        let events = self.reply.usage.completion.div_ceil(self.asked.script.chunk);
        wire.pause(self.asked.script.delay * u32::try_from(events).unwrap_or(u32::MAX)).await?;
        let choices: Vec<Value> = (0u64..).zip(&self.reply.choices).map(|(n, c)| message(n, c)).collect();
        let usage = (self.fault != Some(Fault::NoUsage)).then(|| usage_json(&self.reply.usage));
        let mut body = self.object("chat.completion", &json!(choices).to_string(), usage);
        let length = body.len();
        if self.fault == Some(Fault::Malformed) {
            body = format!("{:<length$}", &body[..body.floor_char_boundary(length / 2)]);
        }
        let mut start = head(self.shared, 200, "application/json", &[]);
        start.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        self.send_head(wire, &start).await?;
        if matches!(
            self.fault,
            Some(Fault::Stall(_) | Fault::Cut(_) | Fault::Reset(_) | Fault::ErrorEvent(_))
        ) {
            wire.send(&body.as_bytes()[..length / 2]).await?;
            return self.break_off(wire).await;
        }
        wire.pieces = self.asked.script.bytes;
        wire.send(body.as_bytes()).await?;
        self.served(self.reply.usage.completion);
        if !matches!(self.fault, Some(Fault::NoUsage | Fault::Malformed)) {
            self.reported();
        }
        self.shared.journal.end(self.id, End::Complete);
        Ok(Next::Keep)
    }

    async fn break_off(&self, wire: &mut Wire) -> Result<Next, Gone> {
        match self.fault {
            Some(Fault::Stall(_)) => return Err(wire.gone().await),
            Some(Fault::Reset(_)) => wire.reset_on_close(),
            Some(Fault::ErrorEvent(_)) if self.asked.stream => {
                wire.send_chunk(&format!("data: {}\n\n", Reject::fault(500, "").body())).await?;
            }
            _ => {}
        }
        Ok(self.broken())
    }

    async fn streamed(self, wire: &mut Wire) -> Result<Next, Gone> {
        let mut start = head(
            self.shared,
            200,
            "text/event-stream; charset=utf-8",
            &[("cache-control", "no-cache".into())],
        );
        start.push_str("transfer-encoding: chunked\r\n\r\n");
        self.send_head(wire, &start).await?;
        wire.pieces = self.asked.script.bytes;
        for n in 0..self.asked.n {
            self.event(wire, n, &json!({"role": "assistant", "content": "", "refusal": null}), None).await?;
        }
        self.served(self.reply.usage.reasoning);
        let limit = match self.fault {
            Some(Fault::Stall(n) | Fault::Cut(n) | Fault::Reset(n) | Fault::ErrorEvent(n)) => n,
            Some(Fault::Malformed) => 1,
            _ => u64::MAX,
        };
        if !self.deltas(wire, limit).await? {
            if self.fault == Some(Fault::Malformed) {
                wire.send_chunk("data: {\"id\":\"chatcmpl-mock\",\"choices\":[{\"delta\":{\"con\n\n").await?;
                wire.send_chunk("data: [DONE]\n\n").await?;
                wire.send_chunk("").await?;
            }
            return self.break_off(wire).await;
        }
        for (n, choice) in (0u64..).zip(&self.reply.choices) {
            self.event(wire, n, &json!({}), Some(choice.finish)).await?;
        }
        if self.asked.include_usage && self.fault != Some(Fault::NoUsage) {
            wire.send_chunk(&self.chunk("[]", Some(usage_json(&self.reply.usage)))).await?;
            self.reported();
        }
        wire.send_chunk("data: [DONE]\n\n").await?;
        wire.send_chunk("").await?;
        self.shared.journal.end(self.id, End::Complete);
        Ok(Next::Keep)
    }

    /// Sends the deltas of all choices in turn, at most `limit` tokens; true when all were sent.
    async fn deltas(&self, wire: &mut Wire, limit: u64) -> Result<bool, Gone> {
        let chunk = usize::try_from(self.asked.script.chunk).unwrap_or(usize::MAX);
        let mut sent = 0;
        let most = self.reply.choices.iter().map(|c| c.pieces.len()).max().unwrap_or(0);
        let mut at = 0;
        while at < most {
            for (n, choice) in (0u64..).zip(&self.reply.choices) {
                let end = choice.pieces.len().min(at.saturating_add(chunk));
                for (delta, tokens) in merged(choice.pieces.get(at..end).unwrap_or_default()) {
                    if sent >= limit {
                        return Ok(false);
                    }
                    wire.pause(self.asked.script.delay).await?;
                    self.event(wire, n, &delta, None).await?;
                    self.served(tokens);
                    sent += tokens;
                }
            }
            at = at.saturating_add(chunk);
        }
        Ok(sent < limit || limit == u64::MAX)
    }

    /// A reply or chunk, its fields in OpenAI's order.
    fn object(&self, kind: &str, choices: &str, usage: Option<Value>) -> String {
        let usage = usage.map_or_else(String::new, |u| format!(",\"usage\":{u}"));
        format!(
            "{{\"id\":\"chatcmpl-mock{}\",\"object\":\"{kind}\",\"created\":{},\"model\":\"{}\",\
             \"choices\":{choices}{usage},\"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock\"}}",
            self.id, self.created, self.asked.model.name
        )
    }

    fn chunk(&self, choices: &str, usage: Option<Value>) -> String {
        let usage = usage.or_else(|| self.asked.include_usage.then_some(Value::Null));
        format!("data: {}\n\n", self.object("chat.completion.chunk", choices, usage))
    }

    async fn event(&self, wire: &mut Wire, n: u64, delta: &Value, finish: Option<&str>) -> Result<(), Gone> {
        let finish = json!(finish);
        let choice =
            format!("[{{\"index\":{n},\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]");
        wire.send_chunk(&self.chunk(&choice, None)).await
    }
}

/// Deltas of a run of pieces: neighbouring text becomes one event, tool pieces stay apart.
fn merged(pieces: &[Piece]) -> Vec<(Value, u64)> {
    let mut deltas: Vec<(Value, u64)> = Vec::new();
    let mut text: Option<(String, u64)> = None;
    for piece in pieces {
        let tool = match piece {
            Piece::Text(word) => {
                let (so_far, tokens) = text.get_or_insert_default();
                so_far.push_str(word);
                *tokens += 1;
                continue;
            }
            Piece::Tool { index, id, name } => {
                json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}})
            }
            Piece::Arguments { index, text } => json!({"index": index, "function": {"arguments": text}}),
        };
        deltas.push((json!({"tool_calls": [tool]}), 1));
    }
    if let Some((text, tokens)) = text {
        deltas.push((json!({"content": text}), tokens));
    }
    deltas
}

fn message(n: u64, choice: &Choice) -> Value {
    let mut content = String::new();
    let mut calls: Vec<(Value, String)> = Vec::new();
    for piece in &choice.pieces {
        match piece {
            Piece::Text(text) => content.push_str(text),
            Piece::Tool { id, name, .. } => {
                calls
                    .push((json!({"id": id, "type": "function", "function": {"name": name}}), String::new()));
            }
            Piece::Arguments { text, .. } => {
                if let Some((_, arguments)) = calls.last_mut() {
                    arguments.push_str(text);
                }
            }
        }
    }
    let mut message = json!({"role": "assistant", "content": content, "refusal": null, "annotations": []});
    if !calls.is_empty() {
        message["content"] = Value::Null;
        message["tool_calls"] = calls
            .into_iter()
            .map(|(mut call, arguments)| {
                call["function"]["arguments"] = arguments.into();
                call
            })
            .collect();
    }
    json!({"index": n, "message": message, "logprobs": null, "finish_reason": choice.finish})
}
