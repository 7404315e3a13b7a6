//! The models that a vendor offers.

/// One model, with the limits that its vendor enforces.
#[derive(Clone, Debug)]
pub struct ModelSpec {
    /// Its name on the wire.
    pub name: String,
    /// Most output tokens of one answer; a larger wish is refused.
    pub max_output: u64,
    /// OpenAI's mock: it reasons unseen, `max_tokens` is refused, and scripts may ask for reasoning tokens.
    /// Anthropic's mock: it can be asked to think.
    pub reasoning: bool,
    /// It makes embeddings of this many dimensions instead of chat.
    pub dimensions: Option<usize>,
}

impl ModelSpec {
    fn chat(name: &str, max_output: u64, reasoning: bool) -> Self {
        Self { name: name.into(), max_output, reasoning, dimensions: None }
    }
}

/// A small, a large (128k output), a reasoning and an embedding model.
pub(super) fn defaults() -> Vec<ModelSpec> {
    let embedding =
        ModelSpec { name: "mock-embed".into(), max_output: 0, reasoning: false, dimensions: Some(256) };
    vec![
        ModelSpec::chat("mock-small", 16_384, false),
        ModelSpec::chat("mock-large", 128_000, false),
        ModelSpec::chat("mock-reason", 100_000, true),
        embedding,
    ]
}

/// Anthropic's mock: one that thinks, and a small one that does not.
pub(super) fn anthropic() -> Vec<ModelSpec> {
    vec![ModelSpec::chat("mock-claude", 64_000, true), ModelSpec::chat("mock-haiku", 8_192, false)]
}
