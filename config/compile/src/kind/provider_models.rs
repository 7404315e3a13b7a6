//! Models of a provider: what the resource lists, completed from the catalog.

use super::provider::SIMULATED;
use crate::catalog::Entry;
use crate::finding::{Finding, Reason};
use crate::value::{per_million, per_request};
use smartflow_crds as crds;
use smartflow_snapshot::{LongContext, Model, PicoUsd, Price, Refused, Thinking};
use std::collections::HashMap;
use std::sync::Arc;

/// The models on offer, in the order in which they are listed.
pub(super) fn models(
    spec: &crds::LLMProviderSpec,
    entry: Option<&'static Entry>,
    findings: &mut Vec<Finding>,
) -> Box<[Arc<Model>]> {
    let default_cap = entry.map(|e| e.output_cap).unwrap_or_default();
    let simulated;
    let (known, listed) = match entry {
        _ if spec.provider == SIMULATED => {
            simulated = simulated_models();
            (&simulated[..], &spec.models)
        }
        Some(entry) => (&entry.models[..], &spec.models),
        None => (&[][..], &spec.models),
    };
    if listed.is_empty() {
        if known.is_empty() {
            let message = format!("The catalog has no models of {}.", spec.provider);
            let fix = "List those that you use: models: [{name: <name>}].";
            findings.push(Finding::error(Reason::Required, "spec.models", message, fix));
        }
        return known.iter().map(|m| Arc::new(model(m, default_cap, "", findings))).collect();
    }
    let complete = |(i, m): (usize, &crds::Model)| {
        let path = format!("spec.models[{i}]");
        check_name(&spec.provider, m, &path, findings);
        let m = complete(m, known);
        check_price(&m, &path, findings);
        Arc::new(model(&m, default_cap, &path, findings))
    };
    let models: Box<[_]> = listed.iter().enumerate().map(complete).collect();
    check_aliases(&models, findings);
    models
}

/// What a listed model leaves out, from the catalog's model of the same upstream name.
fn complete(listed: &crds::Model, known: &[crds::Model]) -> crds::Model {
    let upstream = listed.upstream_name.as_ref().unwrap_or(&listed.name);
    let Some(base) = known.iter().find(|k| k.name == *upstream) else { return listed.clone() };
    // Another name for a model does not come with the model's own other names.
    let aliases =
        if listed.aliases.is_empty() && listed.name == base.name { &base.aliases } else { &listed.aliases };
    crds::Model {
        name: listed.name.clone(),
        upstream_name: listed.upstream_name.clone().or_else(|| base.upstream_name.clone()),
        aliases: aliases.clone(),
        kind: listed.kind.or(base.kind),
        price: listed.price.clone().or_else(|| base.price.clone()),
        context_window: listed.context_window.or(base.context_window),
        max_output: listed.max_output.or(base.max_output),
        image_tokens: listed.image_tokens.or(base.image_tokens),
        hidden_output: listed.hidden_output.or(base.hidden_output),
        output_cap: listed.output_cap.or(base.output_cap),
        thinking: listed.thinking.or(base.thinking),
        structured_output: listed.structured_output.or(base.structured_output),
        refuses: listed.refuses.clone().or_else(|| base.refuses.clone()),
    }
}

fn model(m: &crds::Model, default_cap: crds::OutputCap, path: &str, findings: &mut Vec<Finding>) -> Model {
    let count = |n: Option<i32>| n.and_then(|n| u32::try_from(n).ok());
    let hidden_output = m.hidden_output == Some(crds::HiddenOutput::Reasoning);
    let thinking = match m.thinking {
        Some(crds::Thinking::Budget) => Some(Thinking::Budget),
        Some(crds::Thinking::Effort) => Some(Thinking::Effort),
        None => hidden_output.then_some(Thinking::Effort),
    };
    let mut aliases: Vec<Box<str>> = m.aliases.iter().map(|a| a.as_str().into()).collect();
    aliases.sort_unstable();
    Model {
        name: m.name.as_str().into(),
        upstream_name: m.upstream_name.as_ref().unwrap_or(&m.name).as_str().into(),
        aliases: aliases.into(),
        price: m.price.as_ref().map(|p| price(p, &format!("{path}.price"), findings)).unwrap_or_default(),
        context_window: count(m.context_window),
        max_output: count(m.max_output),
        hidden_output,
        image_tokens: count(m.image_tokens),
        embedding: m.kind == Some(crds::ModelKind::Embedding),
        legacy_max_tokens: m.output_cap.unwrap_or(default_cap) == crds::OutputCap::MaxTokens,
        thinking,
        structured_output: m.structured_output == Some(true),
        refuses: m.refuses.iter().flatten().map(|r| refused(*r)).collect(),
    }
}

fn refused(what: crds::Refused) -> Refused {
    match what {
        crds::Refused::Sampling => Refused::Sampling,
        crds::Refused::ForcedTools => Refused::ForcedTools,
        crds::Refused::NoThinking => Refused::NoThinking,
        crds::Refused::Prefill => Refused::Prefill,
    }
}

fn price(p: &crds::Price, path: &str, findings: &mut Vec<Finding>) -> Price {
    let mut read = |text: &str, field: &str, parse: fn(&str) -> Option<PicoUsd>| {
        let value = parse(text);
        if value.is_none() {
            let fix = "Write US dollars as a decimal in quotes, such as \"0.15\".";
            findings.push(Finding::error(
                Reason::Invalid,
                &format!("{path}.{field}"),
                "This is not a price.",
                fix,
            ));
        }
        value
    };
    let long_context = p.long_context.as_ref().map(|l| {
        Box::new(LongContext {
            above_tokens: u32::try_from(l.above_tokens).unwrap_or(0),
            input: read(&l.input, "longContext.input", per_million).unwrap_or_default(),
            output: read(&l.output, "longContext.output", per_million).unwrap_or_default(),
            cached_input: l
                .cached_input
                .as_deref()
                .and_then(|t| read(t, "longContext.cachedInput", per_million)),
        })
    });
    let mut tokens = |text: &Option<String>, field| text.as_deref().and_then(|t| read(t, field, per_million));
    Price {
        input: tokens(&p.input, "input"),
        output: tokens(&p.output, "output"),
        cached_input: tokens(&p.cached_input, "cachedInput"),
        cache_write: tokens(&p.cache_write, "cacheWrite"),
        cache_write_hour: tokens(&p.cache_write_hour, "cacheWriteHour"),
        reasoning: tokens(&p.reasoning, "reasoning"),
        audio_input: tokens(&p.audio_input, "audioInput"),
        audio_output: tokens(&p.audio_output, "audioOutput"),
        web_search: p.web_search.as_deref().and_then(|t| read(t, "webSearch", per_request)),
        request: p.request.as_deref().and_then(|t| read(t, "request", per_request)),
        long_context,
    }
}

/// Nobody may mistake made-up answers for a real model's.
fn check_name(provider: &str, m: &crds::Model, path: &str, findings: &mut Vec<Finding>) {
    if provider != SIMULATED {
        return;
    }
    let names = std::iter::once(("name".to_owned(), &m.name));
    let aliases = m.aliases.iter().enumerate().map(|(i, a)| (format!("aliases[{i}]"), a));
    for (field, name) in names.chain(aliases).filter(|(_, n)| !n.starts_with("simulated-")) {
        let message = "Names of made-up models begin with simulated-.".to_owned();
        let fix = format!("Write simulated-{name}.");
        findings.push(Finding::error(Reason::NotAllowed, &format!("{path}.{field}"), message, fix));
    }
}

/// A listed model whose price nobody knows cannot be used by a key that has a budget.
fn check_price(m: &crds::Model, path: &str, findings: &mut Vec<Finding>) {
    let price = m.price.clone().unwrap_or_default();
    let embedding = m.kind == Some(crds::ModelKind::Embedding);
    if price.input.is_none() || (price.output.is_none() && !embedding) {
        let message = format!("The price of {} is not known: keys with a budget cannot use it.", m.name);
        let fix = "Write price: {input: \"...\", output: \"...\"} in US dollars per million tokens; \"0\" where it is free.";
        findings.push(Finding::error(Reason::PriceUnknown, &format!("{path}.price"), message, fix).warning());
    }
}

/// One name, one model: an alias that another model of the same provider has clashes.
fn check_aliases(models: &[Arc<Model>], findings: &mut Vec<Finding>) {
    let mut owners: HashMap<&str, usize> = models.iter().enumerate().map(|(i, m)| (&*m.name, i)).collect();
    for (i, model) in models.iter().enumerate() {
        for alias in &model.aliases {
            if owners.insert(alias, i).is_some() {
                let message = format!("{alias} is also a name of another model here, or twice in this list.");
                let path = format!("spec.models[{i}].aliases");
                findings.push(Finding::error(Reason::NameClash, &path, message, "Keep it at one of them."));
            }
        }
    }
}

/// What `simulated` offers by itself.
fn simulated_models() -> [crds::Model; 3] {
    let price =
        crds::Price { input: Some("0.15".to_owned()), output: Some("0.60".to_owned()), ..Default::default() };
    let model = |name: &str| crds::Model {
        name: name.to_owned(),
        price: Some(price.clone()),
        context_window: Some(128_000),
        max_output: Some(16_384),
        ..Default::default()
    };
    let reasoner =
        crds::Model { hidden_output: Some(crds::HiddenOutput::Reasoning), ..model("simulated-reasoner") };
    let embedding = crds::Model {
        kind: Some(crds::ModelKind::Embedding),
        price: Some(crds::Price { input: Some("0.02".to_owned()), ..Default::default() }),
        context_window: Some(8_192),
        max_output: None,
        ..model("simulated-embedding")
    };
    [model("simulated-chat"), reasoner, embedding]
}
