//! What the source last said, for the admin port; and the one place where a compiled world becomes the one that serves.

use crate::budget::guards::{Unit, of_keys, withdraw};
use crate::findings::tell_new;
use crate::identity::Caller;
use crate::source::redis::Stands;
use crate::source::{GeneratedKey, World};
use crate::statement;
use crate::telemetry::emit;
use crate::telemetry::event::{DataDirFault, SnapshotActivated};
use crate::worker::{Shared, books};
use arc_swap::ArcSwapOption;
use serde_json::{Value, json};
use smartflow_compile::{Finding, Kind, ObjectRef, Programmed, Report, Serving};
use smartflow_snapshot::ObjectName;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Keys whose spend is looked up for one page.
const MOST_SPENDS: usize = 1000;

/// What the source last said.
#[derive(Default)]
pub struct Reported {
    world: ArcSwapOption<World>,
    /// How it stands with configuration from Redis.
    pub stands: Stands,
}

impl Reported {
    /// The last world, if there was one.
    #[must_use]
    pub fn load(&self) -> Option<Arc<World>> {
        self.world.load_full()
    }
}

/// Makes `world` the one that serves, and tells.
pub fn activate(shared: &Shared, world: World) {
    let last = shared.current.load_full();
    let activated = shared.current.activate(world.snapshot.clone(), world.revision);
    withdraw(&shared.ledger, shared.clock.now(), &last.snapshot, &world.snapshot);
    shared.wards.sweep(&world.snapshot);
    let files = world.files.iter().flat_map(|f| &f.findings);
    let findings: Vec<&Finding> =
        files.chain(world.faulty.values().flat_map(|f| &f.report.findings)).collect();
    let errors = findings.iter().filter(|f| f.is_error()).count();
    emit(
        &shared.metrics,
        SnapshotActivated {
            generation: activated.generation,
            hash: world.snapshot.hash,
            keys: world.snapshot.keys_by_name.len(),
            providers: world.snapshot.providers.len(),
            errors,
            warnings: findings.len() - errors,
            took: activated.took,
            compiled_in: world.compiled_in,
        },
    );
    for why in &world.data_faults {
        emit(&shared.metrics, DataDirFault { why });
    }
    let before = shared.reported.load();
    tell_new(before.as_deref(), &world);
    let known: BTreeSet<ObjectName> = before.iter().flat_map(|w| names(&w.generated_keys)).collect();
    for key in world.generated_keys.iter().filter(|k| !known.contains(&k.name)) {
        tracing::info!(key = %key.name, file = %key.path.display(), "this key's token is in this file");
    }
    shared.reported.world.store(Some(Arc::new(world)));
}

fn names(keys: &[GeneratedKey]) -> impl Iterator<Item = ObjectName> + '_ {
    keys.iter().map(|k| k.name.clone())
}

/// Resources with their conditions, findings and, for keys, spend. `wanted` filters by kind, namespace and name.
#[must_use]
pub fn resources(shared: &Shared, wanted: impl Fn(&str, &str, &str) -> bool) -> Value {
    let Some(world) = shared.reported.load() else { return json!({"items": [], "files": []}) };
    let pick = |kind: Kind, name: &ObjectName| wanted(kind.as_str(), &name.namespace, &name.name);
    let mut items = Vec::new();
    let unread: BTreeMap<&ObjectRef, &str> =
        world.files.iter().flat_map(|f| f.kept.iter().map(|object| (object, &*f.file))).collect();
    for faulty in world.faulty.values() {
        let object = &faulty.report.object;
        if pick(object.kind, &object.name) {
            items.push(item(&faulty.report, Some(&faulty.file), unread.contains_key(object)));
        }
    }
    for (kind, name) in serving(&world).into_iter().filter(|(kind, name)| pick(*kind, name)) {
        let object = ObjectRef { kind, name };
        if !world.faulty.contains_key(&object) {
            let file = unread.get(&object).copied();
            let (serving, without, findings) = (Serving::Current, Vec::new(), Vec::new());
            items.push(item(&Report { object, serving, without, findings }, file, file.is_some()));
        }
    }
    for item in items.iter_mut().filter(|i| i["kind"] == "VirtualKey").take(MOST_SPENDS) {
        spend(shared, item);
    }
    let files: Vec<_> = world.files.iter().map(|f| json!({"file": f.file, "findings": f.findings})).collect();
    json!({ "items": items, "files": files })
}

/// What is in force, by kind and name.
fn serving(world: &World) -> Vec<(Kind, ObjectName)> {
    let snapshot = &world.snapshot;
    let providers = snapshot.providers.keys().map(|n| (Kind::LLMProvider, n.clone()));
    let chains = snapshot.chains.keys().map(|n| (Kind::FallbackChain, n.clone()));
    let policies = snapshot.policies.iter().map(|p| (Kind::Policy, p.name.clone()));
    let mut keys: Vec<_> = snapshot.keys_by_name.iter().map(|(n, _)| n.clone()).collect();
    keys.sort();
    providers.chain(chains).chain(policies).chain(keys.into_iter().map(|n| (Kind::VirtualKey, n))).collect()
}

/// `unread`: the file cannot be read now.
fn item(report: &Report, file: Option<&str>, unread: bool) -> Value {
    let mut conditions = report.conditions(&Programmed::Yes);
    for condition in conditions.iter_mut().filter(|c| unread && c.status == "True") {
        if matches!(condition.kind, "Programmed" | "Ready") {
            let file = file.unwrap_or_default();
            condition.reason = "LastRead";
            condition.message =
                format!("What {file} last declared is in force: the file cannot be read now.");
        }
    }
    json!({
        "kind": report.object.kind.as_str(),
        "namespace": report.object.name.namespace,
        "name": report.object.name.name,
        "file": file,
        "status": {"conditions": conditions},
        "findings": report.findings,
    })
}

/// Adds what a key has spent, in the words of its `status`.
fn spend(shared: &Shared, item: &mut Value) {
    let live = shared.current.load();
    let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
    let name = ObjectName::new(text("namespace"), text("name"));
    let Some(caller) = live.snapshot.keys_by_name.get(&name).and_then(|k| Caller::of(&live, k)) else {
        return;
    };
    let Ok(room) = of_keys(&books(shared, &live), &caller) else { return };
    item["status"]["budgets"] = json!(statement::budgets(shared, &room, Unit::Money));
    if let Some(own) = caller.key.budget.as_ref().and(room.legs.first()) {
        let view = shared.ledger.view(shared.clock.now(), &own.account);
        item["status"]["spentUSD"] = json!(*crate::budget::usd(view.spent));
        item["status"]["remainingUSD"] = json!(*crate::budget::usd(view.remaining));
        let resets = view.resets_at.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        item["status"]["resetsAt"] = json!(resets.map(|t| t.to_string()));
    }
}
