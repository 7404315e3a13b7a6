//! Embeddings: deterministic unit vectors, as numbers or as base64 of little-endian f32.

use super::answer::model;
use super::chat::{before_head, planned};
use super::fields::{EMBEDDING, Fields};
use super::messages::text_tokens;
use super::record::{End, Usage};
use super::reject::Reject;
use super::script::Script;
use super::serve::{Next, refuse, respond};
use super::wire::{Gone, Wire};
use super::{Config, ModelSpec, Shared};
use base64::Engine as _;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const MOST_INPUTS: usize = 2048;

struct Asked {
    model: ModelSpec,
    inputs: Vec<Vec<u8>>,
    tokens: u64,
    dimensions: usize,
    base64: bool,
    script: Script,
}

/// Answers one embedding request.
pub(super) async fn answer(wire: &mut Wire, body: &[u8], shared: &Shared, id: usize) -> Result<Next, Gone> {
    let asked = match read(body, &shared.config) {
        Ok(asked) => asked,
        Err(reject) => {
            return refuse(wire, shared, id, reject.status, &reject.body()).await.map(|()| Next::Keep);
        }
    };
    shared.journal.change(id, |call| {
        call.tag.clone_from(&asked.script.tag);
        call.model = Some(asked.model.name.clone());
        call.prompt = asked.tokens;
    });
    let fault = asked.script.fault.clone().or_else(|| planned(shared, id));
    wire.pause(asked.script.first).await?;
    if let Some(next) = before_head(wire, shared, id, fault.as_ref()).await? {
        return Ok(next);
    }
    let data: Vec<Value> = (0u64..)
        .zip(&asked.inputs)
        .map(|(n, input)| {
            let vector = vector(input, asked.dimensions);
            let embedding = if asked.base64 { packed(&vector).into() } else { json!(vector) };
            json!({"object": "embedding", "index": n, "embedding": embedding})
        })
        .collect();
    let usage = json!({"prompt_tokens": asked.tokens, "total_tokens": asked.tokens});
    let body = json!({"object": "list", "data": data, "model": asked.model.name, "usage": usage});
    respond(wire, shared, 200, &[], &body).await?;
    shared
        .journal
        .change(id, |call| call.reported = Some(Usage { prompt: asked.tokens, ..Usage::default() }));
    shared.journal.end(id, End::Complete);
    Ok(Next::Keep)
}

fn read(body: &[u8], config: &Config) -> Result<Asked, Reject> {
    let fields = Fields::read(body)?;
    fields.check(EMBEDDING, config.lenient)?;
    let model = model(&fields, config, true)?;
    let native = model.dimensions.unwrap_or_default();
    let most = u64::try_from(native).unwrap_or(u64::MAX);
    let dimensions =
        fields.integer("dimensions", 1, most)?.and_then(|d| usize::try_from(d).ok()).unwrap_or(native);
    let base64 = match fields.get("encoding_format").and_then(Value::as_str) {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => {
            let text = "Invalid value for 'encoding_format'. Supported: 'float', 'base64'.";
            return Err(Reject::param("encoding_format", "invalid_value", text));
        }
    };
    let input = fields.need("input")?;
    let (inputs, tokens, text) = inputs(input)?;
    let script = Script::read(&text).map_err(|e| Reject::new(400, Some("bad_script"), e))?;
    Ok(Asked { model, inputs, tokens, dimensions, base64, script })
}

type Inputs = (Vec<Vec<u8>>, u64, String);

/// A text, texts, tokens, or lists of tokens; their count; and the first text.
fn inputs(input: &Value) -> Result<Inputs, Reject> {
    let bad = |why: &str| Reject::param("input", "invalid_value", format!("'$.input' is invalid: {why}."));
    let list = match input {
        Value::String(text) if text.is_empty() => return Err(bad("input cannot be an empty string")),
        Value::String(text) => return Ok((vec![text.clone().into_bytes()], text_tokens(text), text.clone())),
        Value::Array(list) if !list.is_empty() && list.len() <= MOST_INPUTS => list,
        _ => return Err(bad("expected a string or up to 2048 of them")),
    };
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    if list.iter().all(Value::is_u64) {
        return Ok((vec![input.to_string().into_bytes()], count(list.len()), String::new()));
    }
    let mut tokens = 0;
    let mut inputs = Vec::new();
    for one in list {
        match one {
            Value::String(text) if !text.is_empty() => tokens += text_tokens(text),
            Value::Array(ids) if !ids.is_empty() && ids.iter().all(Value::is_u64) => {
                tokens += count(ids.len())
            }
            _ => return Err(bad("an element is neither a text nor a list of tokens")),
        }
        inputs.push(one.as_str().map_or_else(|| one.to_string(), str::to_owned).into_bytes());
    }
    let first = list[0].as_str().unwrap_or_default().to_owned();
    Ok((inputs, tokens, first))
}

/// A unit vector made of the input's hash.
fn vector(input: &[u8], dimensions: usize) -> Vec<f32> {
    let mut seed: [u8; 32] = Sha256::digest(input).into();
    let mut raw = Vec::with_capacity(dimensions);
    while raw.len() < dimensions {
        raw.extend(seed.iter().take(dimensions - raw.len()).map(|b| f32::from(*b) - 127.5));
        seed = Sha256::digest(seed).into();
    }
    let length = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
    raw.iter().map(|x| x / length).collect()
}

fn packed(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
