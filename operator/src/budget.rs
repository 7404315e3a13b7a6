//! `smartflow-operator budget`: what an administrator sees of a budget in the ledger and may do about it (ledger.md L2,
//! L10). Whoever has the operator's credential of Redis may do so.

use crate::accounts::Owned;
use crate::args::{Budget, BudgetOf, Period, Purge, Run};
use crate::serve;
use kube_client::api::ListParams;
use kube_client::{Api, Client, Config};
use smartflow_crds::VirtualKey;
use smartflow_ledger::book::Standing;
use smartflow_ledger::lender::redis::RedisLender;
use smartflow_ledger::lender::{Lender, LenderError};
use smartflow_ledger::money::UsdText;
use smartflow_ledger::{UnknownTimeZone, money};
use smartflow_snapshot::{NanoUsd, ObjectName, WhenShort};
use smartflow_store::redis::{Redis, SetupError};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Longest that Redis may take to be there.
const READY: Duration = Duration::from_secs(5);

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// The runtime cannot be had.
    #[error("the runtime cannot be started: {0}")]
    Runtime(io::Error),
    /// No Redis was named.
    #[error("--redis is missing: where the ledger is, such as redis://smartflow-redis:6379")]
    NoRedis,
    /// The settings of Redis cannot be used.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Redis is away.
    #[error("Redis: {0}")]
    Redis(#[from] smartflow_store::redis::Error),
    /// The ledger did not do as asked.
    #[error(transparent)]
    Ledger(#[from] LenderError),
    /// No cluster is known.
    #[error("no cluster: {0}. In a pod, mount a service account; elsewhere, set KUBECONFIG.")]
    Config(#[from] kube_client::config::InferConfigError),
    /// The API server did not do as asked.
    #[error("VirtualKey {key}: {source}")]
    Api {
        /// Which.
        key: ObjectName,
        /// What it said.
        source: Box<kube_client::Error>,
    },
    /// There is no such key.
    #[error("there is no VirtualKey {0}")]
    NoKey(ObjectName),
    /// It has no budget.
    #[error("VirtualKey {0} has no budget")]
    NoBudget(ObjectName),
    /// It is still there.
    #[error(
        "VirtualKey {0} is still there, and gateways would report again what it spent: delete it first, then purge, then \
         create it again"
    )]
    StillThere(ObjectName),
    /// Its budget cannot be read.
    #[error("VirtualKey {0}: spec.budget.limitUSD is no amount")]
    NotMoney(ObjectName),
    /// Its time zone is not known.
    #[error(transparent)]
    TimeZone(#[from] UnknownTimeZone),
}

/// Does it, and prints what became of it.
#[must_use]
pub fn main(settings: &Run, what: &Budget) -> ExitCode {
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BudgetError::Runtime)
        .and_then(|runtime| runtime.block_on(run(settings, what)));
    let (text, code) = match done {
        Ok(text) => (text, ExitCode::SUCCESS),
        Err(error) => {
            let _ = writeln!(io::stderr(), "smartflow-operator: {error}");
            return ExitCode::FAILURE;
        }
    };
    let _ = io::stdout().write_all(text.as_bytes());
    code
}

async fn run(settings: &Run, what: &Budget) -> Result<String, BudgetError> {
    // One provider is compiled in.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let redis = settings.redis.options().map_err(SetupError::from)?.ok_or(BudgetError::NoRedis)?;
    let redis = Redis::start(redis)?;
    redis.ready(READY).await?;
    let lender = RedisLender::new(redis, serve::ledger_options(settings));
    let api = |source: kube_client::Error, key: &ObjectName| BudgetError::Api {
        key: key.clone(),
        source: Box::new(source),
    };
    let (Budget::Show(BudgetOf { key })
    | Budget::WriteOff(BudgetOf { key })
    | Budget::Purge(Purge { key, .. })) = what;
    let client = Client::try_from(Config::infer().await?).map_err(|source| api(source, key))?;
    let there = find(&client, key).await.map_err(|source| api(source, key))?;
    match what {
        Budget::Show(_) => Ok(shown(&standing(&lender, &owned(key, there)?).await?)),
        Budget::WriteOff(_) => write_off(&lender, &owned(key, there)?).await,
        Budget::Purge(purge) => {
            if there.is_some() {
                return Err(BudgetError::StillThere(key.clone()));
            }
            let gone = lender.purge(purged(purge)?.account).await?;
            let text = if gone { "forgotten" } else { "there was nothing of the kind" };
            Ok(format!("{key}: {text}\n"))
        }
    }
}

/// The key, by a list: that is what the operator may do.
async fn find(client: &Client, key: &ObjectName) -> kube_client::Result<Option<VirtualKey>> {
    let api: Api<VirtualKey> = Api::namespaced(client.clone(), &key.namespace);
    let list = api.list(&ListParams::default().fields(&format!("metadata.name={}", key.name))).await?;
    Ok(list.items.into_iter().next())
}

fn owned(key: &ObjectName, there: Option<VirtualKey>) -> Result<Owned, BudgetError> {
    let spec = there.ok_or_else(|| BudgetError::NoKey(key.clone()))?.spec;
    let budget = spec.budget.ok_or_else(|| BudgetError::NoBudget(key.clone()))?;
    let limit = money::parse_usd(&budget.limit_usd).ok_or_else(|| BudgetError::NotMoney(key.clone()))?;
    let period = match budget.period {
        smartflow_crds::Period::Daily => Period::Daily,
        smartflow_crds::Period::Weekly => Period::Weekly,
        smartflow_crds::Period::Monthly => Period::Monthly,
        smartflow_crds::Period::Lifetime => Period::Lifetime,
    };
    account(key, limit, period, &budget.timezone)
}

fn purged(purge: &Purge) -> Result<Owned, BudgetError> {
    account(&purge.key, 0, purge.period, &purge.timezone)
}

fn account(key: &ObjectName, limit: i64, period: Period, timezone: &str) -> Result<Owned, BudgetError> {
    let period = match period {
        Period::Daily => smartflow_snapshot::Period::Daily,
        Period::Weekly => smartflow_snapshot::Period::Weekly,
        Period::Monthly => smartflow_snapshot::Period::Monthly,
        Period::Lifetime => smartflow_snapshot::Period::Lifetime,
    };
    let budget = smartflow_snapshot::Budget {
        limit: NanoUsd(limit),
        period,
        timezone: timezone.into(),
        soft_limit_percent: None,
        when_short: WhenShort::Shorten,
    };
    Ok(Owned::new(key, &Arc::new(budget))?)
}

async fn standing(lender: &RedisLender, owned: &Owned) -> Result<Vec<Standing>, BudgetError> {
    Ok(lender.standing(owned.account).await?)
}

async fn write_off(lender: &RedisLender, owned: &Owned) -> Result<String, BudgetError> {
    let mut freed = 0_i64;
    for window in standing(lender, owned).await? {
        for row in window.rows.iter().filter(|row| row.forfeited() > 0) {
            freed =
                freed.saturating_add(lender.write_off(owned.account, window.window, row.incarnation).await?);
        }
    }
    let left = standing(lender, owned).await?;
    Ok(format!("{} US dollars are free again\n{}", &*UsdText::new(freed), shown(&left)))
}

fn shown(windows: &[Standing]) -> String {
    if windows.is_empty() {
        return "nothing was spent or lent yet\n".to_owned();
    }
    let mut text = String::new();
    let at = |ms: i64| {
        jiff::Timestamp::from_millisecond(ms).map_or_else(|_| "never".to_owned(), |t| t.to_string())
    };
    for s in windows {
        let [limit, spent, leased, lost] =
            [s.limit, s.spent, s.leased, s.forfeited].map(|nanos| UsdText::new(nanos).to_string());
        let end = if s.window.end == i64::MAX {
            "for ever".to_owned()
        } else {
            format!("until {}", at(s.window.end))
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{end}: limit {limit}, spent {spent}, held by gateways {leased}, lost with gateways that are gone {lost}"
        );
        for row in &s.rows {
            let [spent, held] =
                [row.spent(), row.totals.leased()].map(|nanos| UsdText::new(nanos).to_string());
            let closed = row.closed.map_or_else(|| "runs".to_owned(), |ms| format!("ended {}", at(ms)));
            let _ = writeln!(
                text,
                "  pod {} process {}: {closed}, spent {spent}, held {held}",
                row.pod, row.incarnation
            );
        }
    }
    text
}
