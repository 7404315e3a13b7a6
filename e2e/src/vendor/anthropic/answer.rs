//! Messages, whole and streamed, with faults, counting what is written.

use super::super::Shared;
use super::super::chat::{before_head, planned};
use super::super::fault::Fault;
use super::super::record::End;
use super::super::serve::{Next, head, refuse, respond};
use super::super::wire::{Gone, Request, Wire};
use super::Ways;
use super::reject::Reject;
use super::reply::{Block, Reply, prompt};
use super::request::Asked;
use serde_json::{Value, json};

/// Answers one request for a message.
pub(super) async fn message(
    wire: &mut Wire,
    request: &Request,
    shared: &Shared,
    id: usize,
) -> Result<Next, Gone> {
    let asked = match Asked::read(&request.body, Ways::of(request), &shared.config) {
        Ok(asked) => asked,
        Err(reject) => {
            return refuse(wire, shared, id, reject.status, &reject.body()).await.map(|()| Next::Keep);
        }
    };
    note(shared, id, &asked);
    let fault = asked.script.fault.clone().or_else(|| planned(shared, id));
    wire.pause(asked.script.first).await?;
    if let Some(next) = before_head(wire, shared, id, fault.as_ref()).await? {
        return Ok(next);
    }
    let reply = Reply::make(&asked, id);
    let out = Out { asked, reply, fault, id, shared };
    let streams = out.asked.stream && out.fault != Some(Fault::Whole);
    if streams { out.streamed(wire).await } else { out.whole(wire).await }
}

/// Answers one request for a count.
pub(super) async fn count(
    wire: &mut Wire,
    request: &Request,
    shared: &Shared,
    id: usize,
) -> Result<Next, Gone> {
    match Asked::to_count(&request.body, Ways::of(request), &shared.config) {
        Ok(asked) => {
            note(shared, id, &asked);
            respond(wire, shared, 200, &[], &json!({"input_tokens": asked.seen.tokens})).await?;
            shared.journal.end(id, End::Complete);
        }
        Err(reject) => refuse(wire, shared, id, reject.status, &reject.body()).await?,
    }
    Ok(Next::Keep)
}

fn note(shared: &Shared, id: usize, asked: &Asked) {
    let (all, cached, written) = prompt(asked);
    shared.journal.change(id, |call| {
        call.tag.clone_from(&asked.script.tag);
        call.model = Some(asked.model.name.clone());
        call.stream = asked.stream;
        call.images = asked.seen.images;
        call.thoughts = asked.seen.thoughts;
        call.marks = asked.seen.marks;
        (call.prompt, call.cached, call.written) = (all, cached, written);
    });
}

struct Out<'a> {
    asked: Asked,
    reply: Reply,
    fault: Option<Fault>,
    id: usize,
    shared: &'a Shared,
}

impl Out<'_> {
    fn served(&self, tokens: u64) {
        self.shared.journal.change(self.id, |call| call.served += tokens);
    }

    fn reported(&self) {
        self.shared.journal.change(self.id, |call| call.reported = Some(self.reply.usage));
    }

    fn usage(&self, output: u64) -> Value {
        let usage = &self.reply.usage;
        json!({
            "input_tokens": usage.prompt - usage.cached - usage.written,
            "cache_creation_input_tokens": usage.written, "cache_read_input_tokens": usage.cached,
            "cache_creation": {"ephemeral_5m_input_tokens": usage.written, "ephemeral_1h_input_tokens": 0},
            "output_tokens": output, "service_tier": "standard",
        })
    }

    fn message(&self, content: &[Value], stop: Option<&str>, output: u64) -> Value {
        let mut message = json!({
            "id": format!("msg_mock{}", self.id), "type": "message", "role": "assistant",
            "model": self.asked.model.name, "content": content, "stop_reason": stop,
            "stop_sequence": stop.and(self.reply.sequence.as_ref()), "usage": self.usage(output),
        });
        if self.fault == Some(Fault::NoUsage) {
            message.as_object_mut().map(|m| m.remove("usage"));
        }
        message
    }

    async fn send_head(&self, wire: &mut Wire, head: &str) -> Result<(), Gone> {
        let Some(Fault::SlowHead(gap)) = self.fault else { return wire.send(head.as_bytes()).await };
        for byte in head.as_bytes() {
            wire.send(&[*byte]).await?;
            wire.pause(gap).await?;
        }
        Ok(())
    }

    async fn whole(self, wire: &mut Wire) -> Result<Next, Gone> {
        let completion = self.reply.usage.completion;
        let events = u32::try_from(completion.div_ceil(self.asked.script.chunk)).unwrap_or(u32::MAX);
        wire.pause(self.asked.script.delay * events).await?;
        let content: Vec<Value> = self.reply.blocks.iter().map(Block::whole).collect();
        let mut body = self.message(&content, Some(&self.reply.stop), completion).to_string();
        let length = body.len();
        if self.fault == Some(Fault::Malformed) {
            body = format!("{:<length$}", &body[..body.floor_char_boundary(length / 2)]);
        }
        let mut start = head(self.shared, 200, "application/json", &[]);
        start.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        self.send_head(wire, &start).await?;
        if self.limit() < u64::MAX && self.fault != Some(Fault::Malformed) {
            wire.send(&body.as_bytes()[..length / 2]).await?;
            return self.break_off(wire).await;
        }
        wire.pieces = self.asked.script.bytes;
        wire.send(body.as_bytes()).await?;
        self.served(completion);
        if !matches!(self.fault, Some(Fault::NoUsage | Fault::Malformed)) {
            self.reported();
        }
        self.shared.journal.end(self.id, End::Complete);
        Ok(Next::Keep)
    }

    /// After so many tokens the fault strikes.
    fn limit(&self) -> u64 {
        match self.fault {
            Some(Fault::Stall(n) | Fault::Cut(n) | Fault::Reset(n) | Fault::ErrorEvent(n)) => n,
            Some(Fault::Malformed) => 1,
            _ => u64::MAX,
        }
    }

    async fn break_off(&self, wire: &mut Wire) -> Result<Next, Gone> {
        match self.fault {
            Some(Fault::Stall(_)) => return Err(wire.gone().await),
            Some(Fault::Reset(_)) => wire.reset_on_close(),
            Some(Fault::ErrorEvent(_)) if self.asked.stream => {
                event(wire, "error", &Reject::fault(529, "").body()).await?;
                wire.send_chunk("").await?;
            }
            Some(Fault::Malformed) if self.asked.stream => {
                wire.send_chunk(
                    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"ind\n\n",
                )
                .await?;
                event(wire, "message_stop", &json!({"type": "message_stop"})).await?;
                wire.send_chunk("").await?;
            }
            _ => {}
        }
        self.shared.journal.end(self.id, End::Broken);
        Ok(Next::Close)
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
        let message = json!({"type": "message_start", "message": self.message(&[], None, 1)});
        event(wire, "message_start", &message).await?;
        let mut left = self.limit();
        for (index, block) in self.reply.blocks.iter().enumerate() {
            if !self.block(wire, index, block, &mut left).await? {
                return self.break_off(wire).await;
            }
        }
        if self.limit() < u64::MAX {
            return self.break_off(wire).await;
        }
        let delta = json!({"stop_reason": self.reply.stop, "stop_sequence": self.reply.sequence});
        let mut end = json!({"type": "message_delta", "delta": delta});
        if self.fault != Some(Fault::NoUsage) {
            end["usage"] = self.usage(self.reply.usage.completion);
            self.reported();
        }
        event(wire, "message_delta", &end).await?;
        event(wire, "message_stop", &json!({"type": "message_stop"})).await?;
        wire.send_chunk("").await?;
        self.shared.journal.end(self.id, End::Complete);
        Ok(Next::Keep)
    }

    /// Sends one block, at most `left` tokens of it; true when all of it was sent.
    async fn block(
        &self,
        wire: &mut Wire,
        index: usize,
        block: &Block,
        left: &mut u64,
    ) -> Result<bool, Gone> {
        let start = json!({"type": "content_block_start", "index": index, "content_block": opened(block)});
        event(wire, "content_block_start", &start).await?;
        if index == 0 {
            event(wire, "ping", &json!({"type": "ping"})).await?;
        }
        if matches!(block, Block::Redacted(_) | Block::Tool { .. }) {
            self.served(1);
            *left = left.saturating_sub(1);
        }
        let (pieces, shown): (&[String], bool) = match block {
            Block::Thinking { pieces, shown, .. } => (pieces, *shown),
            Block::Text(pieces) | Block::Tool { pieces, .. } => (pieces, true),
            Block::Redacted(_) => (&[], false),
        };
        for run in pieces.chunks(usize::try_from(self.asked.script.chunk).unwrap_or(usize::MAX)) {
            if *left == 0 {
                return Ok(false);
            }
            wire.pause(self.asked.script.delay).await?;
            if shown {
                delta(wire, index, &said(block, &run.concat())).await?;
            }
            let tokens = u64::try_from(run.len()).unwrap_or(u64::MAX);
            self.served(tokens);
            *left = left.saturating_sub(tokens);
        }
        if let Block::Thinking { signature, .. } = block {
            delta(wire, index, &json!({"type": "signature_delta", "signature": signature})).await?;
        }
        event(wire, "content_block_stop", &json!({"type": "content_block_stop", "index": index})).await?;
        Ok(true)
    }
}

async fn event(wire: &mut Wire, name: &str, data: &Value) -> Result<(), Gone> {
    wire.send_chunk(&format!("event: {name}\ndata: {data}\n\n")).await
}

async fn delta(wire: &mut Wire, index: usize, delta: &Value) -> Result<(), Gone> {
    let data = json!({"type": "content_block_delta", "index": index, "delta": delta});
    event(wire, "content_block_delta", &data).await
}

/// A block as its start event has it.
fn opened(block: &Block) -> Value {
    match block {
        Block::Thinking { .. } => json!({"type": "thinking", "thinking": "", "signature": ""}),
        Block::Redacted(block) => block.clone(),
        Block::Text(_) => json!({"type": "text", "text": ""}),
        Block::Tool { id, name, .. } => json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
    }
}

fn said(block: &Block, text: &str) -> Value {
    match block {
        Block::Thinking { .. } => json!({"type": "thinking_delta", "thinking": text}),
        Block::Tool { .. } => json!({"type": "input_json_delta", "partial_json": text}),
        Block::Text(_) | Block::Redacted(_) => json!({"type": "text_delta", "text": text}),
    }
}
