//! The command line. The only place that reads the environment.

use clap::{Args, Parser, Subcommand, ValueEnum};
use smartflow_snapshot::ObjectName;
use smartflow_store::redis::RedisFlags;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Smartflow's control side: turns resources into what every gateway runs, and says on each resource how far that is.
#[derive(Parser, Debug)]
#[command(name = "smartflow-operator", version, about, max_term_width = 110, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    /// What to do instead of running.
    pub command: Option<Command>,
    #[command(flatten)]
    /// How to run.
    pub run: Run,
}

const EXAMPLES: &str = "Examples:
  smartflow-operator crds | kubectl apply -f -
  kubectl -n smartflow-system exec deploy/smartflow-operator -- smartflow-operator budget show team-a/alice
  smartflow-operator --redis redis://localhost:6379           with the cluster of your kubeconfig
  smartflow-operator --redis redis://localhost:6379 --namespaces team-a,team-b       with Roles in these namespaces only

Exit codes: 0 ended as asked, 1 a failed run, 2 wrong usage.";

/// What to do instead of running.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Print the definitions of the resource kinds, for `kubectl apply -f -`.
    Crds,
    /// Look at the budget of a VirtualKey in the ledger, free what gateways that are gone took along, or forget it.
    #[command(subcommand)]
    Budget(Budget),
}

/// What to do about a budget.
#[derive(Subcommand, Debug)]
pub enum Budget {
    /// Show what is spent, held by gateways, and lost with those that are gone.
    Show(BudgetOf),
    /// Make what gateways that are gone took along (`unattributedUSD`) spendable again. What they had not reported was
    /// perhaps spent: afterwards more may be spent than the budget allows, by as much as is freed.
    WriteOff(BudgetOf),
    /// Forget what a VirtualKey that was deleted has spent, so that one of its name begins anew.
    Purge(Purge),
}

/// Whose budget.
#[derive(Args, Debug)]
pub struct BudgetOf {
    /// The VirtualKey: <namespace>/<name>.
    #[arg(value_parser = object_name)]
    pub key: ObjectName,
}

/// Which budget to forget; it is kept by all of this.
#[derive(Args, Debug)]
pub struct Purge {
    /// The VirtualKey, which must be deleted: <namespace>/<name>.
    #[arg(value_parser = object_name)]
    pub key: ObjectName,
    /// `budget.period` that it had.
    #[arg(long, value_enum, ignore_case = true)]
    pub period: Period,
    /// `budget.timezone` that it had.
    #[arg(long, default_value = "UTC")]
    pub timezone: String,
}

/// How often a budget starts anew.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A calendar day.
    Daily,
    /// Monday to Monday.
    Weekly,
    /// A calendar month.
    Monthly,
    /// For ever.
    Lifetime,
}

/// How to run.
#[derive(Args, Debug, Clone)]
pub struct Run {
    /// Namespaces that are served, comma separated; Roles in them are then enough. Default: all, with a ClusterRole.
    #[arg(long, env = "SMARTFLOW_NAMESPACES", value_delimiter = ',', value_name = "NAMES")]
    pub namespaces: Vec<String>,
    /// Namespaces whose models every namespace may name, in order, comma separated.
    #[arg(
        long,
        env = "SMARTFLOW_PLATFORM_NAMESPACES",
        value_delimiter = ',',
        default_value = "smartflow-system"
    )]
    pub platform_namespaces: Vec<String>,
    /// Namespace of this operator: of its Lease and of the Secret with the sealing key.
    #[arg(long, env = "SMARTFLOW_NAMESPACE", default_value = "smartflow-system", value_name = "NAME")]
    pub namespace: String,
    /// Name of this replica, unlike that of any other. Default: the host's name (in a pod, the pod's) and a random part.
    #[arg(long, env = "SMARTFLOW_REPLICA", value_name = "NAME")]
    pub replica: Option<String>,
    /// Name of the Lease that says which replica writes.
    #[arg(long, env = "SMARTFLOW_LEASE", default_value = "smartflow-operator", value_name = "NAME")]
    pub lease: String,
    /// After how long without a word from the replica that writes another one does; at least 5s.
    #[arg(long, env = "SMARTFLOW_LEADER_LEASE_DURATION", default_value = "15s", value_parser = lease_duration)]
    pub leader_lease_duration: Duration,
    /// How long gateways spend money that was lent to them without hearing from Redis, as theirs; a ledger that lost its
    /// data lends nothing for so long, unless all gateways that may hold money have reported.
    #[arg(long, env = "SMARTFLOW_LEASE_DURATION", default_value = "10m", value_parser = ledger_lease)]
    pub lease_duration: Duration,
    /// Secret in the operator's namespace with the key that what is published is sealed with (field `key`: 32 bytes in
    /// base64). It is made when it is missing.
    #[arg(
        long,
        env = "SMARTFLOW_SEALING_KEY_SECRET",
        default_value = "smartflow-sealing-key",
        value_name = "NAME"
    )]
    pub sealing_key_secret: String,
    /// File with that key, instead of the Secret.
    #[arg(long, env = "SMARTFLOW_SEALING_KEY_FILE", value_name = "FILE")]
    pub sealing_key_file: Option<PathBuf>,
    /// Where what is published goes.
    #[command(flatten)]
    pub redis: RedisFlags,
    /// Address of the admin port: metrics and health.
    #[arg(long, env = "SMARTFLOW_OPERATOR_ADMIN_LISTEN", default_value = "127.0.0.1:9091")]
    pub admin_listen: SocketAddr,
    /// What is logged on standard error: error, warn, info, debug, trace, or a filter such as `info,hyper=warn`.
    #[arg(long, env = "SMARTFLOW_LOG", default_value = "info")]
    pub log: String,
    /// How logs on standard error look.
    #[arg(long, env = "SMARTFLOW_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
}

/// How logs look.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

fn object_name(text: &str) -> Result<ObjectName, String> {
    let parts = text.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
    let (namespace, name) = parts.ok_or("not of the form <namespace>/<name>")?;
    Ok(ObjectName::new(namespace, name))
}

/// `30s`, `10m`, `1h`.
fn ledger_lease(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or("a unit is missing: ms, s, m or h")?;
    let number: u64 = text[..at].parse().map_err(|_| format!("`{text}` does not start with a number"))?;
    let unit = match &text[at..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        unit => return Err(format!("unknown unit `{unit}`: use ms, s, m or h")),
    };
    let lease = Duration::from_millis(number.saturating_mul(unit));
    let fits = (Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&lease);
    if fits { Ok(lease) } else { Err("must be between 1s and 24h".to_owned()) }
}

/// Whole seconds, such as `15s`.
fn lease_duration(text: &str) -> Result<Duration, String> {
    let seconds = text.strip_suffix('s').and_then(|s| s.parse().ok());
    let seconds: u32 = seconds.ok_or_else(|| format!("`{text}` is not a number of seconds such as 15s"))?;
    if (5..=300).contains(&seconds) {
        Ok(Duration::from_secs(seconds.into()))
    } else {
        Err(format!("{seconds}s is not between 5s and 300s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_lease_is_long_enough_to_be_given_up_in_time() {
        assert_eq!(lease_duration("15s"), Ok(Duration::from_secs(15)));
        for bad in ["4s", "301s", "15", "1m", "s"] {
            assert!(lease_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_gateways_lease_is_read_as_they_read_it() {
        assert_eq!(ledger_lease("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(ledger_lease("1500ms"), Ok(Duration::from_millis(1500)));
        for bad in ["999ms", "25h", "10", "m", "10 m"] {
            assert!(ledger_lease(bad).is_err(), "{bad}");
        }
    }
}
