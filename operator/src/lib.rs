//! The operator: what people `kubectl apply` becomes what every gateway runs, and `kubectl` tells the truth about it.
//!
//! ```text
//! watch      one watch per kind ──► notes                              gather     manifests, last-good specs, tokens
//! reconcile  the world: compiled, compared; asks for what is to be     driver     one task that owns it and does that
//! publish    batches of entries, one at a time                         apply      Secrets of generated tokens
//! status     conditions, written only when they differ                 lease      who writes
//! accounts   the ledger: made, read each second, put back after a loss  spend      what keys have spent, coarsely
//! events     what people should look at
//! ```
//!
//! Every replica watches and compiles; the one that has the Lease publishes and writes.
//!
//! # What it asks of the API server
//! | Resource | Verbs | Where |
//! |---|---|---|
//! | `llmproviders`, `fallbackchains`, `virtualkeys`, `policies` | list, watch | watched namespaces |
//! | their `/status` | patch | watched namespaces |
//! | `secrets` | list, watch (label `smartflow.dev/credential`), get, create | watched namespaces |
//! | `namespaces` | list, watch | the cluster; not with `--namespaces` |
//! | `leases` (`coordination.k8s.io`) | get, create, update, patch | its own namespace |
//! | `pods` | list | its own namespace |
//! | `events` (`events.k8s.io`) | create, patch | watched namespaces |

pub mod accounts;
pub mod admin;
pub mod apply;
pub mod args;
pub mod budget;
pub mod cluster;
pub mod crds;
pub mod driver;
pub mod events;
pub mod gather;
pub mod lease;
pub mod outlet;
pub mod publish;
pub mod reconcile;
pub mod sealing;
pub mod serve;
pub mod skew;
pub mod spend;
pub mod status;
pub mod telemetry;
pub mod unseen;
pub mod watch;

#[cfg(test)]
mod scripted;

/// How this operator signs what it writes.
pub const MANAGER: &str = "smartflow-operator";
