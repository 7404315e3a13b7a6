//! The top level of a request.

use super::cache::Marks;
use super::{message, schema};
use crate::Dialect;
use crate::chat::{Aspect, Chat, Format, Losses, Raw};
use crate::json::{List, Object, push_array, push_string};
use crate::openai::BadRequest;
use crate::translate::{Memory, TargetFacts, ThinkingSupport};

/// What the writers of a request share.
pub(super) struct Writer<'w> {
    pub(super) facts: &'w TargetFacts<'w>,
    pub(super) losses: &'w mut Losses,
    pub(super) memory: &'w mut Memory,
    /// The chat was written in Anthropic's format: what that format carries is written again, as it was.
    pub(super) own: bool,
    /// The model will think before it answers.
    pub(super) thinks: bool,
    pub(super) cap: u32,
    pub(super) marks: Marks,
}

/// Writes a Messages request.
pub(crate) fn encode_request(
    chat: &Chat<'_>,
    facts: &TargetFacts<'_>,
    losses: &mut Losses,
    memory: &mut Memory,
) -> Result<Vec<u8>, BadRequest> {
    if chat.answers.is_some_and(|answers| answers > 1) {
        let reason = "the provider gives one answer to a request; ask several times";
        return Err(BadRequest::Untranslatable { param: "n".into(), reason });
    }
    // Without the caller's cap and the model's there is nothing to send, and Anthropic demands something (case 87).
    let cap =
        facts.cap(chat.max_output).or(facts.max_output).ok_or(BadRequest::Missing { param: "max_tokens" })?;
    let own = chat.origin == Dialect::Anthropic;
    let marks = Marks::of(chat, own, losses)?;
    let mut writer = Writer { facts, losses, memory, own, thinks: false, cap, marks };
    let mut out = Vec::with_capacity(1024);
    let mut object = Object::open(&mut out);
    object.string("model", facts.model);
    object.number("max_tokens", cap.into());
    // In the order in which the vendor makes a prompt of them: marks of prefixes are counted on the way.
    writer.thinking(&mut object, chat)?;
    writer.tools(&mut object, chat)?;
    writer.system(&mut object, chat)?;
    message::push_messages(&mut writer, object.name("messages"), chat)?;
    writer.sampling(&mut object, chat)?;
    writer.stop(&mut object, chat)?;
    writer.caller(&mut object, chat)?;
    if facts.stream || chat.stream {
        object.boolean("stream", true);
    }
    if own {
        for extra in &chat.extra {
            object.foreign(&extra.name).extend_from_slice(extra.value.as_str().as_bytes());
        }
    }
    object.close();
    Ok(out)
}

impl Writer<'_> {
    fn system(&mut self, object: &mut Object<'_>, chat: &Chat<'_>) -> Result<(), BadRequest> {
        // Texts amid the conversation are folded into those ahead of it: few models take them elsewhere (case 8).
        let own = self.own;
        let amid = if own { Vec::new() } else { message::system_amid(chat) };
        if amid.iter().any(|text| !text.text.trim().is_empty()) {
            self.losses.lose(Aspect::SystemPlace)?;
        }
        let texts = chat.system.iter().chain(amid);
        let mut texts = texts.filter(|text| own || !text.text.trim().is_empty()).peekable();
        if texts.peek().is_none() {
            return Ok(());
        }
        let mut list = List::open(object.name("system"));
        for text in texts {
            self.text(list.item(), text)?;
        }
        list.close();
        Ok(())
    }

    fn sampling(&mut self, object: &mut Object<'_>, chat: &Chat<'_>) -> Result<(), BadRequest> {
        let sampling = &chat.sampling;
        for (value, aspect) in [
            (sampling.seed.as_ref(), Aspect::Seed),
            (sampling.frequency_penalty.as_ref().filter(|value| !is_zero(value)), Aspect::FrequencyPenalty),
            (sampling.presence_penalty.as_ref().filter(|value| !is_zero(value)), Aspect::PresencePenalty),
            (sampling.logit_bias.as_ref(), Aspect::LogitBias),
            (sampling.top_logprobs.as_ref(), Aspect::Logprobs),
        ] {
            if value.is_some() {
                self.losses.lose(aspect)?;
            }
        }
        if sampling.logprobs {
            self.losses.lose(Aspect::Logprobs)?;
        }
        self.drawing(object, chat)
    }

    /// `temperature`, `top_p` and `top_k`. A model that thinks draws its tokens as it likes (case 68).
    fn drawing(&mut self, object: &mut Object<'_>, chat: &Chat<'_>) -> Result<(), BadRequest> {
        let sampling = &chat.sampling;
        let free = self.own || !(self.thinks || self.facts.fixed_sampling);
        if let Some(temperature) = &sampling.temperature {
            let above = number(temperature).is_some_and(|number| number > 1.0);
            if !free {
                if number(temperature) != Some(1.0) {
                    self.losses.lose(Aspect::Sampling)?;
                }
            } else if above && !self.own {
                self.losses.lose(Aspect::Temperature)?;
                object.raw("temperature", "1");
            } else {
                object.raw("temperature", temperature.as_str());
            }
        }
        // The newer models, those that are told an effort, take one of the two.
        let both = sampling.temperature.is_some() && self.facts.thinking == ThinkingSupport::Effort;
        for (name, value, fits) in [("top_p", &sampling.top_p, !both), ("top_k", &sampling.top_k, true)] {
            match value {
                Some(value) if self.own || (free && fits) => object.raw(name, value.as_str()),
                // All tokens are what it draws from.
                Some(value) if name == "top_p" && number(value) == Some(1.0) => {}
                Some(_) => self.losses.lose_field(name)?,
                None => {}
            }
        }
        Ok(())
    }

    fn stop(&mut self, object: &mut Object<'_>, chat: &Chat<'_>) -> Result<(), BadRequest> {
        // Anthropic refuses sequences of nothing but white space (case 88).
        let fits = |text: &&std::borrow::Cow<'_, str>| self.own || !text.trim().is_empty();
        let stop: Vec<_> = chat.stop.iter().filter(fits).collect();
        if stop.len() < chat.stop.len() {
            self.losses.lose(Aspect::Stop)?;
        }
        if !stop.is_empty() {
            push_array(object.name("stop_sequences"), stop, |out, text| push_string(out, text));
        }
        Ok(())
    }

    /// Who asks, and how dearly.
    fn caller(&mut self, object: &mut Object<'_>, chat: &Chat<'_>) -> Result<(), BadRequest> {
        if let Some(user) = &chat.user {
            if self.own || is_opaque(user) {
                let mut metadata = Object::open(object.name("metadata"));
                metadata.string("user_id", user);
                metadata.close();
            } else {
                self.losses.lose(Aspect::User)?;
            }
        }
        match chat.service_tier.as_deref() {
            None => {}
            Some(tier) if self.own => object.string("service_tier", tier),
            Some("auto") => object.string("service_tier", "auto"),
            Some("default") => object.string("service_tier", "standard_only"),
            Some(_) => self.losses.lose(Aspect::ServiceTier)?,
        }
        Ok(())
    }

    /// `output_config`, for the effort and for a form that the model keeps to by itself.
    pub(super) fn output_config(
        &mut self,
        object: &mut Object<'_>,
        chat: &Chat<'_>,
        effort: Option<&str>,
    ) -> Result<(), BadRequest> {
        let schema = match &chat.format {
            Some(Format::JsonSchema { schema: Some(schema), .. })
                if self.own || self.facts.structured_output =>
            {
                Some(schema)
            }
            _ => None,
        };
        if schema.is_none() && effort.is_none() {
            return Ok(());
        }
        let mut config = Object::open(object.name("output_config"));
        if let Some(effort) = effort {
            config.string("effort", effort);
        }
        if let Some(schema) = schema {
            let mut format = Object::open(config.name("format"));
            format.string("type", "json_schema");
            if self.own {
                format.raw("schema", schema.as_str());
            } else {
                format.raw("schema", &schema::enforceable(schema)?);
            }
            format.close();
        }
        config.close();
        Ok(())
    }
}

fn number(raw: &Raw<'_>) -> Option<f64> {
    raw.as_str().parse().ok()
}

fn is_zero(raw: &Raw<'_>) -> bool {
    number(raw) == Some(0.0)
}

/// Longest id of an end user that Anthropic takes.
const LONGEST_USER: usize = 256;

/// Neither an e-mail address nor a telephone number: Anthropic wants no such thing to be sent (case 12).
fn is_opaque(user: &str) -> bool {
    let digits = user.bytes().filter(u8::is_ascii_digit).count();
    let telephone = digits >= 7 && user.bytes().all(|b| b.is_ascii_digit() || b" +-().".contains(&b));
    !user.contains('@') && !telephone && user.len() <= LONGEST_USER
}

#[cfg(test)]
mod tests {
    use super::is_opaque;

    #[test]
    fn who_may_be_named() {
        for user in ["u-1", "9f86d081-884c", "123456", "5d41402abc4b2a76b9719d911017c592"] {
            assert!(is_opaque(user), "{user}");
        }
        for user in ["a@b.example", "+49 30 1234567", "(030) 123-4567", "01701234567"] {
            assert!(!is_opaque(user), "{user}");
        }
        assert!(!is_opaque(&"a".repeat(257)));
    }
}
