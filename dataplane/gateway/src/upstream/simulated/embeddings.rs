//! A request for embeddings, answered.

use super::{Refusal, bad_request, label, vector};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

/// Dimensions when the caller does not say.
const USUAL_DIMENSIONS: usize = 256;

/// Most dimensions.
const MOST_DIMENSIONS: usize = 4_096;

/// Most inputs of one request, as OpenAI has it.
const MOST_INPUTS: usize = 2_048;

#[derive(Deserialize)]
struct Request {
    model: String,
    input: Input,
    dimensions: Option<usize>,
    encoding_format: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    TokenLists(Vec<Vec<u32>>),
}

impl Input {
    fn count(&self) -> usize {
        match self {
            Self::Text(_) | Self::Tokens(_) => 1,
            Self::Texts(texts) => texts.len(),
            Self::TokenLists(lists) => lists.len(),
        }
    }
}

/// The body of the answer.
pub(super) fn answer(body: &[u8]) -> Result<Bytes, Refusal> {
    let request: Request = serde_json::from_slice(body)
        .map_err(|_| bad_request(400, "Simulated: this is not a request for embeddings."))?;
    let dimensions = request.dimensions.unwrap_or(USUAL_DIMENSIONS);
    if dimensions == 0 || dimensions > MOST_DIMENSIONS {
        return Err(bad_request(400, "Simulated: dimensions must be between 1 and 4096."));
    }
    if request.input.count() > MOST_INPUTS {
        return Err(bad_request(400, "Simulated: at most 2048 inputs."));
    }
    let base64 = request.encoding_format.as_deref() == Some("base64");
    let all: Vec<_> = match &request.input {
        Input::Text(text) => vec![of_text(text, dimensions)],
        Input::Texts(texts) => texts.iter().map(|text| of_text(text, dimensions)).collect(),
        Input::Tokens(tokens) => vec![of_tokens(tokens, dimensions)],
        Input::TokenLists(lists) => lists.iter().map(|tokens| of_tokens(tokens, dimensions)).collect(),
    };
    let tokens: usize = all.iter().map(|(tokens, _)| tokens).sum();
    let data: Vec<_> = all
        .iter()
        .enumerate()
        .map(|(index, (_, vector))| {
            json!({"object": "embedding", "index": index, "embedding": encoded(vector, base64)})
        })
        .collect();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(json!({"object": "list", "data": data, "model": label(&request.model), "usage": usage})
        .to_string()
        .into())
}

/// (tokens, vector).
fn of_text(text: &str, dimensions: usize) -> (usize, Vec<f32>) {
    (text.len().div_ceil(4), vector::of_text(text, dimensions))
}

fn of_tokens(tokens: &[u32], dimensions: usize) -> (usize, Vec<f32>) {
    (tokens.len(), vector::of_tokens(tokens, dimensions))
}

/// A list of numbers, or the base64 of little-endian 32-bit floats.
fn encoded(vector: &[f32], base64: bool) -> Value {
    if !base64 {
        return json!(vector);
    }
    let bytes: Vec<_> = vector.iter().flat_map(|part| part.to_le_bytes()).collect();
    json!(STANDARD.encode(bytes))
}
