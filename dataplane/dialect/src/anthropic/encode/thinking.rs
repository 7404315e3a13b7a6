//! Thinking: by a number of tokens with older models, by an effort with newer ones (cases 62, 63).

use super::request::Writer;
use crate::chat::{Aspect, Chat, Effort, Thinking, ThinkingMode};
use crate::json::Object;
use crate::openai::BadRequest;
use crate::translate::ThinkingSupport;

/// Smallest budget that Anthropic takes, and what is left of the cap for the answer itself.
const LEAST_BUDGET: u32 = 1024;
const ANSWER: u32 = 256;

impl Writer<'_> {
    /// `thinking` and `output_config`; notes whether the model will think.
    pub(super) fn thinking(&mut self, object: &mut Object<'_>, chat: &Chat<'_>) -> Result<(), BadRequest> {
        let mode = chat.thinking.as_ref().map(|thinking| thinking.mode);
        if self.own {
            self.thinks = mode.is_some_and(|mode| mode != ThinkingMode::Off);
            if let Some(thinking) = &chat.thinking {
                thinking.push(object.name("thinking"));
            }
            return self.output_config(object, chat, chat.effort.map(Effort::as_str));
        }
        match self.facts.thinking {
            ThinkingSupport::None => {
                if mode.is_some_and(|mode| mode != ThinkingMode::Off) {
                    self.losses.lose(Aspect::Thinking)?;
                }
                if chat.effort.is_some_and(|effort| effort != Effort::None) {
                    self.losses.lose(Aspect::Effort)?;
                }
                self.output_config(object, chat, None)
            }
            ThinkingSupport::Budget => self.by_budget(object, chat, mode),
            ThinkingSupport::Effort => self.by_effort(object, chat, mode),
        }
    }

    fn by_budget(
        &mut self,
        object: &mut Object<'_>,
        chat: &Chat<'_>,
        mode: Option<ThinkingMode>,
    ) -> Result<(), BadRequest> {
        let wanted = match (mode, chat.effort) {
            (Some(ThinkingMode::Off), _) | (_, Some(Effort::None)) => Some(0),
            (Some(ThinkingMode::Budget(tokens)), _) => Some(tokens),
            (_, Some(effort)) => Some(effort.budget()),
            (Some(_), None) => Some(Effort::Medium.budget()),
            (None, None) => None,
        };
        let room = self.cap.saturating_sub(ANSWER);
        let mode = match wanted {
            None => None,
            Some(0) => Some(ThinkingMode::Off),
            // The cap includes the thinking; one that leaves no room for it wins.
            Some(_) if room < LEAST_BUDGET => {
                self.losses.lose(if mode.is_some() { Aspect::Thinking } else { Aspect::Effort })?;
                None
            }
            Some(tokens) => Some(ThinkingMode::Budget(tokens.clamp(LEAST_BUDGET, room))),
        };
        self.push(object, chat, mode);
        self.output_config(object, chat, None)
    }

    fn by_effort(
        &mut self,
        object: &mut Object<'_>,
        chat: &Chat<'_>,
        mode: Option<ThinkingMode>,
    ) -> Result<(), BadRequest> {
        let (mode, effort) = match (mode, chat.effort) {
            // As little as it can.
            (Some(ThinkingMode::Off), _) | (_, Some(Effort::None)) if self.facts.always_thinks => {
                self.losses.lose(if mode.is_some() { Aspect::Thinking } else { Aspect::Effort })?;
                self.thinks = true;
                (None, Some(Effort::Low))
            }
            (Some(ThinkingMode::Off), _) | (_, Some(Effort::None)) => (Some(ThinkingMode::Off), None),
            (Some(ThinkingMode::Budget(tokens)), effort) => {
                (Some(ThinkingMode::Adaptive), effort.or(Some(Effort::of_budget(tokens))))
            }
            (Some(mode), effort) => (Some(mode), effort),
            (None, Some(effort)) => (Some(ThinkingMode::Adaptive), Some(effort)),
            (None, None) => (None, None),
        };
        if mode.is_some() {
            self.push(object, chat, mode);
        }
        // Anthropic's least is `low`.
        let effort = effort.map(|effort| effort.max(Effort::Low).as_str());
        self.output_config(object, chat, effort)
    }

    fn push(&mut self, object: &mut Object<'_>, chat: &Chat<'_>, mode: Option<ThinkingMode>) {
        let Some(mode) = mode else { return };
        self.thinks = mode != ThinkingMode::Off;
        let display = chat.thinking.as_ref().and_then(|thinking| thinking.display.clone());
        Thinking { mode, display: display.filter(|_| self.thinks) }.push(object.name("thinking"));
    }
}
