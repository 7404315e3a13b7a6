//! What happens to an answer between the vendor's words and the caller's: tools get their names back, and the tool
//! that stood for the answer's form becomes the answer's text.

use super::{Memory, StreamFault};
use crate::chat::{Delta, Part, Reply, Stop, StopReason};
use crate::{FinishReason, Usage};
use std::borrow::Cow;

/// Changes a whole answer.
pub(super) fn restore(reply: &mut Reply<'_>, memory: &Memory) {
    for choice in &mut reply.choices {
        let mut calls = 0;
        for part in &mut choice.parts {
            let Part::ToolUse(call) = part else { continue };
            if memory.json_tool.as_deref() == Some(call.name.as_ref()) {
                *part = Part::text(std::mem::take(&mut call.arguments));
                continue;
            }
            calls += 1;
            if let Some(name) = memory.changed(&call.name) {
                call.name = Cow::Owned(name.to_owned());
            }
        }
        let unwrapped = memory.json_tool.is_some() && calls == 0;
        if let Some(stop) =
            choice.stop.as_mut().filter(|stop| unwrapped && stop.reason == StopReason::ToolUse)
        {
            stop.reason = StopReason::EndTurn;
        }
    }
}

/// Bytes of what an answer says: no fewer than its tokens.
pub(super) fn content_bytes(reply: &Reply<'_>) -> u64 {
    reply.choices.iter().flat_map(|choice| &choice.parts).map(part_bytes).sum()
}

fn part_bytes(part: &Part<'_>) -> u64 {
    let bytes = match part {
        Part::Text(text) => text.text.len(),
        Part::ToolUse(call) => call.name.len() + call.arguments.len(),
        // Thinking that is not shown is billed; only its signature tells how much it is.
        Part::Thinking(thinking) => {
            thinking.text.len() + thinking.signature.as_ref().map_or(0, |signature| signature.len())
        }
        Part::RedactedThinking { data } => data.len(),
        Part::Refusal(text) => text.len(),
        Part::Other { raw, .. } => raw.as_str().len(),
        Part::Image(_) | Part::Document(_) | Part::Audio(_) | Part::ToolResult(_) => 0,
    };
    bytes as u64
}

/// What a stream has said so far, and the same changes delta by delta.
#[derive(Debug, Default)]
pub(super) struct Pass {
    pub(super) started: bool,
    pub(super) finish: Option<FinishReason>,
    pub(super) usage: Option<Usage>,
    pub(super) content_bytes: u64,
    /// The call that stands for the answer's form.
    json_call: Option<u32>,
    /// Calls told to the caller.
    calls: u32,
}

type Next<'n> = dyn FnMut(&Delta<'_>) -> Result<(), StreamFault> + 'n;

impl Pass {
    /// Counts `delta` and hands it on, changed where it must be. After the end of the answer only its usage and the
    /// end of the stream pass (case 54).
    pub(super) fn delta(
        &mut self,
        memory: &Memory,
        delta: Delta<'_>,
        next: &mut Next<'_>,
    ) -> Result<(), StreamFault> {
        self.content_bytes += delta_bytes(&delta);
        let late = self.finish.is_some();
        match delta {
            Delta::Start { .. } if self.started => Ok(()),
            Delta::Start { .. } => {
                self.started = true;
                next(&delta)
            }
            Delta::Usage(usage) => {
                self.usage = Some(usage);
                next(&delta)
            }
            Delta::Ping => next(&delta),
            Delta::Error(error) => Err(StreamFault::Upstream(error)),
            Delta::End if late => next(&delta),
            Delta::End => Err(StreamFault::Shape { why: "it ends without saying why" }),
            _ if late => Ok(()),
            _ if !self.started => Err(StreamFault::Shape { why: "it says something before it begins" }),
            Delta::Finish(stop) => self.finish(stop, next),
            Delta::ToolStart { index, id, name } => self.tool_start(memory, (index, id, name), next),
            Delta::ToolArguments { index, fragment } if self.json_call == Some(index) => {
                next(&Delta::Text(fragment))
            }
            Delta::ToolArguments { index, fragment } => {
                next(&Delta::ToolArguments { index: self.told(index), fragment })
            }
            other => next(&other),
        }
    }

    /// The caller's index of a call: the one that stands for the form is not counted.
    fn told(&self, index: u32) -> u32 {
        index - u32::from(self.json_call.is_some_and(|json| json < index))
    }

    fn tool_start(
        &mut self,
        memory: &Memory,
        (index, id, name): (u32, Cow<'_, str>, Cow<'_, str>),
        next: &mut Next<'_>,
    ) -> Result<(), StreamFault> {
        if memory.json_tool.as_deref() == Some(name.as_ref()) && self.json_call.is_none() {
            self.json_call = Some(index);
            return Ok(());
        }
        self.calls += 1;
        let name = memory.callers_name(&name);
        next(&Delta::ToolStart { index: self.told(index), id, name: Cow::Borrowed(name) })
    }

    fn finish(&mut self, mut stop: Stop<'_>, next: &mut Next<'_>) -> Result<(), StreamFault> {
        if self.json_call.is_some() && self.calls == 0 && stop.reason == StopReason::ToolUse {
            stop.reason = StopReason::EndTurn;
        }
        self.finish = Some(stop.reason.finish());
        next(&Delta::Finish(stop))
    }
}

fn delta_bytes(delta: &Delta<'_>) -> u64 {
    let bytes = match delta {
        Delta::Text(text)
        | Delta::Thinking(text)
        | Delta::Signature(text)
        | Delta::Refusal(text)
        | Delta::RedactedThinking(text) => text.len(),
        Delta::ToolStart { name, .. } => name.len(),
        Delta::ToolArguments { fragment, .. } => fragment.len(),
        _ => 0,
    };
    bytes as u64
}

#[cfg(test)]
mod tests {
    use super::{Delta, FinishReason, Memory, Pass, StopReason, StreamFault};

    /// What passes of `deltas`, and what was counted.
    fn passed(
        memory: &Memory,
        deltas: &[Delta<'static>],
    ) -> Result<(Vec<Delta<'static>>, Pass), StreamFault> {
        let (mut pass, mut out) = (Pass::default(), Vec::new());
        for delta in deltas {
            pass.delta(memory, delta.clone(), &mut |delta| {
                out.push(delta.clone().into_owned());
                Ok(())
            })?;
        }
        Ok((out, pass))
    }

    fn start() -> Delta<'static> {
        Delta::Start { id: "1".into(), model: "m".into(), created: None }
    }

    fn call(index: u32, name: &'static str) -> [Delta<'static>; 2] {
        let id = format!("c{name}").into();
        [
            Delta::ToolStart { index, id, name: name.into() },
            Delta::ToolArguments { index, fragment: "{}".into() },
        ]
    }

    #[test]
    fn the_answers_form_among_calls() {
        let memory = Memory { json_tool: Some("json".into()), ..Memory::default() };
        let mut deltas = vec![start()];
        deltas.extend(call(0, "a"));
        deltas.extend(call(1, "json"));
        deltas.extend(call(2, "b"));
        deltas.push(Delta::Finish(StopReason::ToolUse.into()));
        let mut expected = vec![start()];
        expected.extend(call(0, "a"));
        expected.push(Delta::Text("{}".into()));
        expected.extend(call(1, "b"));
        expected.push(Delta::Finish(StopReason::ToolUse.into()));
        let (told, pass) = passed(&memory, &deltas).unwrap();
        assert_eq!(told, expected);
        assert_eq!((pass.finish, pass.content_bytes), (Some(FinishReason::ToolCalls), 12));
    }

    #[test]
    fn one_beginning_one_end_and_nothing_after_it() {
        let finish = Delta::Finish(StopReason::EndTurn.into());
        let text = Delta::Text("a".into());
        let usage = Delta::Usage(crate::Usage { output: 1, ..crate::Usage::default() });
        let told = [
            start(),
            start(),
            text.clone(),
            finish.clone(),
            text.clone(),
            finish.clone(),
            usage.clone(),
            Delta::End,
        ];
        let (passed_on, _) = passed(&Memory::default(), &told).unwrap();
        assert_eq!(passed_on, [start(), text.clone(), finish, usage, Delta::End]);
        for nonsense in [vec![text], vec![start(), Delta::End]] {
            let fault = passed(&Memory::default(), &nonsense).unwrap_err();
            assert!(matches!(fault, StreamFault::Shape { .. }), "{fault}");
        }
    }
}
