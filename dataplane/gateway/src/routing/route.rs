//! One (key, model name) pair, resolved once: target, restrictions, budgets, metric handles.

use super::restrict::{Restrictions, restrictions};
use crate::budget::guards::Guards;
use crate::edge::fault::Fault;
use crate::identity::Caller;
use crate::live::Live;
use crate::pipeline::Endpoint;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::TargetMetrics;
use crate::upstream::pool::Pool;
use crate::worker::Worker;
use http::HeaderValue;
use jiff::Timestamp;
use smartflow_dialect::Dialect;
use smartflow_snapshot::{ChainTarget, Model, Params, Protocol, Provider, Target, Timeouts};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// Everything about a call that does not depend on its body.
pub struct Route {
    /// Who serves.
    pub provider: Arc<Provider>,
    /// Which of its models.
    pub model: Arc<Model>,
    /// What a chain's target sets in requests.
    pub params: Option<Params>,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Connections to it.
    pub pool: Rc<Pool>,
    /// Policies that block or would.
    pub restrictions: Restrictions,
    /// Accounts and rates that must have room.
    pub guards: Guards,
    /// Handles of its metrics, as chat completions or embeddings.
    metrics: TargetMetrics,
    /// As messages and counts of their tokens; made on first use.
    messages: OnceCell<TargetMetrics>,
    counts: OnceCell<TargetMetrics>,
    /// `x-smartflow-provider`
    pub provider_header: HeaderValue,
    /// `x-smartflow-model`
    pub model_header: HeaderValue,
    /// `x-smartflow-budget-reset` as last told, with the instant it is for.
    reset_header: RefCell<Option<(Timestamp, HeaderValue)>>,
    /// Real input tokens per estimated one, in 1/1024, as a running average (L17). Never 0.
    pub input_ratio: Cell<u32>,
}

impl Route {
    /// The route to `target` for `caller`, who wrote `written` and was granted it; `None` when its provider is not ready.
    ///
    /// # Errors
    /// [`Fault::Internal`] where the caller's accounts cannot be had.
    pub fn prepare(
        worker: &Worker,
        live: &Live,
        caller: &Caller,
        written: &str,
        target: &Target,
    ) -> Result<Option<Self>, Fault> {
        let key = &caller.key;
        let Some(upstream) = live.upstreams.get(&target.provider.name) else { return Ok(None) };
        let (provider, model) = (target.provider.clone(), target.model.clone());
        let restrictions = restrictions(&live.snapshot.policies, key, written, &provider, &model);
        let guards = Guards::new(&worker.books(live), caller, &restrictions, &provider, &model)
            .map_err(|why| Fault::Internal { why: why.to_string() })?;
        let endpoint = if model.embedding { "embeddings" } else { "chat" };
        let name = provider.name.to_string();
        let header = |text: &str| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("?"));
        Ok(Some(Self {
            pool: worker.pool(upstream),
            restrictions,
            guards,
            metrics: TargetMetrics::new(&worker.shared.metrics, endpoint, &name, &model.name),
            messages: OnceCell::new(),
            counts: OnceCell::new(),
            provider_header: header(&name),
            model_header: header(&model.upstream_name),
            reset_header: RefCell::default(),
            input_ratio: Cell::new(1024),
            params: None,
            timeouts: provider.timeouts,
            provider,
            model,
        }))
    }

    /// The same as a target of a chain, with what the chain says of it.
    #[must_use]
    pub fn of_target(self, target: &ChainTarget) -> Self {
        Self { params: target.params.clone(), timeouts: target.timeouts, ..self }
    }

    /// The most output tokens of one answer, where that is less than what the caller `asked` for.
    #[must_use]
    pub fn lowered(&self, asked: Option<u32>) -> Option<u32> {
        let most = self.params.as_ref().and_then(|p| p.max_output)?;
        asked.is_none_or(|asked| asked > most).then_some(most)
    }

    /// What its provider speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.provider.protocol {
            Protocol::Anthropic => Dialect::Anthropic,
            Protocol::OpenAi | Protocol::Simulated(_) => Dialect::OpenAi,
        }
    }

    /// Handles of the metrics of `endpoint`.
    #[must_use]
    pub fn metrics(&self, metrics: &Metrics, endpoint: Endpoint) -> &TargetMetrics {
        match endpoint {
            Endpoint::Chat | Endpoint::Embeddings => &self.metrics,
            Endpoint::Messages => self.messages.get_or_init(|| self.metrics.of(metrics, endpoint.as_str())),
            Endpoint::CountTokens => self.counts.get_or_init(|| self.metrics.of(metrics, endpoint.as_str())),
        }
    }

    /// `x-smartflow-budget-reset` for `reset`; written once per window.
    #[must_use]
    pub fn reset_header(&self, reset: Timestamp) -> HeaderValue {
        let mut last = self.reset_header.borrow_mut();
        match &*last {
            Some((at, header)) if *at == reset => header.clone(),
            _ => {
                let text = HeaderValue::try_from(reset.to_string());
                let header = text.unwrap_or(HeaderValue::from_static("?"));
                *last = Some((reset, header.clone()));
                header
            }
        }
    }

    /// Learns from a settled call: `estimated` input tokens were `real` ones.
    pub fn learn(&self, estimated: u64, real: u64) {
        if estimated == 0 || real == 0 {
            return;
        }
        let seen = (real.saturating_mul(1024) / estimated).clamp(64, 16 * 1024);
        let old = u64::from(self.input_ratio.get());
        let new = (old * 7 + seen) / 8;
        self.input_ratio.set(u32::try_from(new).unwrap_or(1024).max(1));
    }
}
