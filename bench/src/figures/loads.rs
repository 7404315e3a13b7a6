//! The loads of the CPU figures: what the gateway is asked, what the floor is asked beside it, and the bound between.

use crate::kit::{Kit, Measure, Test};
use crate::load::Kind;
use crate::world::{ANTHROPIC_MODEL, EMBEDDING_MODEL, OPENAI_MODEL};

/// A chat with a prompt of 200 bytes, answered whole.
pub const SMALL: Test = Test {
    name: "200 B",
    kind: Kind::Chat,
    connections: 64,
    rate: None,
    prompt_bytes: 200,
    model: OPENAI_MODEL,
};
const LARGE: Test = Test { name: "64 KB", connections: 32, prompt_bytes: 65_536, ..SMALL };
const STREAM: Test = Test { name: "stream", kind: Kind::ChatStream, connections: 200, ..SMALL };
const EMBEDDINGS: Test =
    Test { name: "embeddings", kind: Kind::Embeddings, connections: 32, model: EMBEDDING_MODEL, ..SMALL };
const MESSAGES: Test = Test { kind: Kind::Messages, ..SMALL };
const MESSAGES_STREAM: Test = Test { kind: Kind::MessagesStream, ..STREAM };

/// One load and what is made of it.
pub(super) struct Compared {
    /// What the gateway is asked.
    pub(super) test: Test,
    /// What the floor is asked: the same in OpenAI's format, which is all that it reads.
    pub(super) floor: Test,
    /// What the CPU time is divided by.
    pub(super) unit: Unit,
    /// Most times the floor's figure that is good.
    pub(super) bound: Option<f64>,
}

/// What CPU time is divided by.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    /// A good answer.
    Request,
    /// An event of a stream.
    Event,
}

impl Unit {
    /// Its name in results.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Event => "event",
        }
    }

    /// Its figure, microseconds.
    pub(super) fn of(self, measure: &Measure) -> f64 {
        match self {
            Self::Request => measure.cpu_us_per_request,
            Self::Event => measure.cpu_us_per_event,
        }
    }
}

impl Compared {
    const fn same(test: Test, unit: Unit, bound: Option<f64>) -> Self {
        Self { test, floor: test, unit, bound }
    }

    /// A 200 byte load under another name, in the format of `kind`, for `model`.
    const fn small(name: &'static str, like: Test, model: &'static str, bound: f64) -> Self {
        Self { test: Test { name, model, ..like }, floor: SMALL, unit: Unit::Request, bound: Some(bound) }
    }

    /// A streamed one.
    const fn stream(name: &'static str, like: Test, model: &'static str, bound: f64) -> Self {
        Self { test: Test { name, model, ..like }, floor: STREAM, unit: Unit::Event, bound: Some(bound) }
    }

    /// Whether the parts of this kit can do it.
    pub(super) fn is_of(&self, kit: &Kit) -> bool {
        kit.asks(self.test.kind) && kit.serves(self.test.model)
    }
}

/// Bounds of the paths on which bytes pass, and of those on which they are translated.
const PASSED: f64 = 1.6;
const PASSED_EVENT: f64 = 1.3;
const TRANSLATED: f64 = 2.5;
const TRANSLATED_EVENT: f64 = 1.6;

/// All of them, in the order in which they are measured.
pub(super) const COMPARED: [Compared; 10] = [
    Compared::same(SMALL, Unit::Request, Some(PASSED)),
    Compared::same(LARGE, Unit::Request, Some(1.5)),
    Compared::same(STREAM, Unit::Event, Some(PASSED_EVENT)),
    Compared::same(EMBEDDINGS, Unit::Request, None),
    Compared::small("Anthropic, 200 B", MESSAGES, ANTHROPIC_MODEL, PASSED),
    Compared::stream("Anthropic, stream", MESSAGES_STREAM, ANTHROPIC_MODEL, PASSED_EVENT),
    Compared::small("Anthropic to OpenAI, 200 B", MESSAGES, OPENAI_MODEL, TRANSLATED),
    Compared::stream("Anthropic to OpenAI, stream", MESSAGES_STREAM, OPENAI_MODEL, TRANSLATED_EVENT),
    Compared::small("OpenAI to Anthropic, 200 B", SMALL, ANTHROPIC_MODEL, TRANSLATED),
    Compared::stream("OpenAI to Anthropic, stream", STREAM, ANTHROPIC_MODEL, TRANSLATED_EVENT),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_load_has_a_name_of_its_own_and_the_floor_is_never_asked_in_anothers_format() {
        let names: BTreeSet<&str> = COMPARED.iter().map(|compared| compared.test.name).collect();
        assert_eq!(names.len(), COMPARED.len());
        for compared in &COMPARED {
            assert!(!compared.floor.kind.is_anthropic() && compared.floor.model != ANTHROPIC_MODEL);
            assert_eq!(compared.floor.prompt_bytes, compared.test.prompt_bytes);
            assert_eq!(compared.floor.connections, compared.test.connections);
        }
        let other = Kit::Independent("gwbench".into());
        assert_eq!(COMPARED.iter().filter(|compared| compared.is_of(&other)).count(), 4);
    }
}
