//! Marks of prefixes to be cached: Anthropic takes four, for five minutes or an hour.

use super::request::Writer;
use crate::chat::{Aspect, CacheLife, CacheMark, Chat, Losses, Part, Tool};
use crate::json::Object;
use crate::openai::BadRequest;

/// Most marks of a request (case 102).
const MOST: usize = 4;

/// How many marks are to be passed over yet.
#[derive(Default)]
pub(super) struct Marks {
    skip: usize,
}

impl Marks {
    /// When there are too many, the last ones stand: they cover most.
    pub(super) fn of(chat: &Chat<'_>, own: bool, losses: &mut Losses) -> Result<Self, BadRequest> {
        let tools =
            chat.tools.iter().filter(|tool| matches!(tool, Tool::Function(tool) if tool.cache.is_some()));
        let system = chat.system.iter().filter(|text| text.cache.is_some());
        let said: usize = chat.turns.iter().flat_map(|turn| &turn.parts).map(marks).sum();
        let skip = (tools.count() + system.count() + said).saturating_sub(MOST);
        if own || skip == 0 {
            return Ok(Self::default());
        }
        losses.lose(Aspect::CacheControl)?;
        Ok(Self { skip })
    }
}

fn marks(part: &Part<'_>) -> usize {
    let own = match part {
        Part::Text(part) => part.cache,
        Part::Image(part) => part.cache,
        Part::Document(part) => part.cache,
        Part::ToolUse(part) => part.cache,
        Part::ToolResult(part) => {
            return usize::from(part.cache.is_some()) + part.parts.iter().map(marks).sum::<usize>();
        }
        _ => None,
    };
    usize::from(own.is_some())
}

impl Writer<'_> {
    /// `cache_control`, unless it is one too many.
    pub(super) fn mark(
        &mut self,
        object: &mut Object<'_>,
        mark: Option<CacheMark>,
    ) -> Result<(), BadRequest> {
        let Some(mark) = mark else { return Ok(()) };
        if self.marks.skip > 0 {
            self.marks.skip -= 1;
            return Ok(());
        }
        let mut control = Object::open(object.name("cache_control"));
        control.string("type", "ephemeral");
        match mark.life {
            Some(life @ (CacheLife::FiveMinutes | CacheLife::Hour)) => control.string("ttl", life.as_str()),
            // A longer life is dearer, and nobody asked for that.
            Some(_) => self.losses.lose(Aspect::CacheControl)?,
            None => {}
        }
        control.close();
        Ok(())
    }
}
