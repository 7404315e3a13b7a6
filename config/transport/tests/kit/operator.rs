//! A small operator: compiles objects and publishes what came of it. For tests, and for the example that publishes a
//! folder.

use smartflow_compile::{Carried, Change, Compiler, Kind, Object, ObjectRef, Settings, load};
use smartflow_snapshot::TokenHash;
use smartflow_store::redis::{Address, Options, Redis};
use smartflow_transport::publisher::{PublishError, Publisher, TakenOver, World};
use smartflow_transport::{Revision, Ring};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

/// What it knows, and where it publishes.
pub(crate) struct Operator {
    pub(crate) publisher: Publisher,
    pub(crate) compiler: Compiler,
    settings: Settings,
    objects: BTreeMap<ObjectRef, Object>,
}

/// A connection to `url`, once it is there.
pub(crate) async fn connect(url: &str) -> Redis {
    // Tests run beside whatever else the machine does.
    let limit = Duration::from_secs(10);
    let options = Options::new(Address::parse(url).unwrap());
    let options = Options { connect_timeout: limit, command_timeout: limit, ..options };
    let redis = Redis::start(options).unwrap();
    redis.ready(Duration::from_secs(10)).await.unwrap();
    redis
}

/// Milliseconds of Unix time.
pub(crate) fn now() -> u64 {
    u64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

impl Operator {
    pub(crate) fn new(redis: Redis, ring: Ring) -> Self {
        let settings = Settings::default();
        let compiler = Compiler::new(&settings);
        Self { publisher: Publisher::new(redis, ring), compiler, settings, objects: BTreeMap::new() }
    }

    /// Begins to lead: reads what is published and publishes everything.
    pub(crate) async fn lead(&mut self) -> Result<(TakenOver, Revision), PublishError> {
        let taken = self.publisher.take_over(now(), 0).await?;
        Ok((taken, self.publish_all().await?))
    }

    pub(crate) async fn publish_all(&mut self) -> Result<Revision, PublishError> {
        let (world, all) = (self.world(), self.carried());
        self.publisher.publish_all(all, &world).await
    }

    /// All that is to be published.
    pub(crate) fn carried(&self) -> Vec<(ObjectRef, Carried)> {
        let carry = |(id, object): (&ObjectRef, &Object)| Some((id.clone(), self.compiler.carry(object)?));
        self.objects.iter().filter_map(carry).collect()
    }

    /// All that it knows, for its successor.
    pub(crate) fn objects(&self) -> Vec<Object> {
        self.objects.values().cloned().collect()
    }

    pub(crate) fn world(&self) -> World {
        World { content: self.compiler.snapshot().hash, settings: self.settings.clone(), now: now() }
    }

    /// Objects of YAML; keys without a token get one that is made of their name.
    pub(crate) fn read(yaml: &str) -> Vec<Object> {
        let loaded = load(yaml).unwrap();
        assert!(loaded.findings.is_empty(), "{:?}", loaded.findings);
        let token = |object: &Object| TokenHash::of(object.id().name.to_string().as_bytes());
        let with_token = |object: Object| match object.needs_token() {
            true => {
                let token = token(&object);
                object.with_token(token)
            }
            false => object,
        };
        loaded.objects.into_iter().map(with_token).collect()
    }

    /// Takes objects in, without publishing.
    pub(crate) fn know(&mut self, objects: Vec<Object>) -> BTreeSet<ObjectRef> {
        for object in &objects {
            self.objects.insert(object.id().clone(), object.clone());
        }
        let changes = objects.into_iter().map(|object| Change::Set(Box::new(object)));
        self.compiler.apply(changes).reports.into_iter().map(|r| r.object).collect()
    }

    /// Applies YAML and publishes what it changes.
    pub(crate) async fn apply(&mut self, yaml: &str) -> Result<Revision, PublishError> {
        let touched = self.know(Self::read(yaml));
        self.publish(touched).await
    }

    pub(crate) async fn delete(
        &mut self,
        kind: Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Revision, PublishError> {
        let name = smartflow_snapshot::ObjectName::new(namespace, name);
        let id = ObjectRef { kind, name };
        self.objects.remove(&id);
        let mut touched: BTreeSet<ObjectRef> = [id.clone()].into();
        let compiled = self.compiler.apply([Change::Remove(id)]);
        touched.extend(compiled.reports.into_iter().map(|r| r.object));
        self.publish(touched).await
    }

    pub(crate) async fn publish(&mut self, touched: BTreeSet<ObjectRef>) -> Result<Revision, PublishError> {
        let world = self.world();
        let Self { publisher, compiler, objects, .. } = self;
        let carried = |id: &ObjectRef| objects.get(id).and_then(|object| compiler.carry(object));
        let changes: Vec<_> = touched
            .into_iter()
            .map(|id| {
                let carried = carried(&id);
                (id, carried)
            })
            .collect();
        publisher.publish(changes, &world).await
    }
}
