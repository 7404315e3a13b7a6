//! What an operator sees of a gateway: it follows, and says what it runs.

use smartflow_compile::LEVEL;
use smartflow_snapshot::{Snapshot, TokenHash};
use smartflow_store::redis::{Address, Options, Redis};
use smartflow_transport::follower::{self, Beacon, Follower, News};
use smartflow_transport::{Beat, Revision, Ring};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often it says what it runs; a real one says it each second and after each change.
const EACH: Duration = Duration::from_millis(100);

/// A gateway; ends when dropped.
pub(crate) struct Gateway {
    state: Arc<Mutex<State>>,
    /// It does not look at anything new.
    asleep: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Default)]
struct State {
    runs: Snapshot,
    at: Revision,
    unusable: Vec<(String, String)>,
    refusals: Vec<String>,
    ring: Option<Ring>,
}

/// A connection with patience, for a busy machine.
pub(crate) async fn connect(url: &str) -> Redis {
    let limit = Duration::from_secs(10);
    let options = Options {
        connect_timeout: limit,
        command_timeout: limit,
        ..Options::new(Address::parse(url).unwrap())
    };
    let redis = Redis::start(options).unwrap();
    redis.ready(limit).await.unwrap();
    redis
}

impl Gateway {
    /// Starts one that reads all that there is.
    pub(crate) async fn start(url: &str, pod: &str, ring: &Ring) -> Self {
        Self::reading(url, pod, ring, LEVEL).await
    }

    /// Starts one that reads no newer entries than these.
    pub(crate) async fn reading(url: &str, pod: &str, ring: &Ring, reads: u32) -> Self {
        let state = Arc::new(Mutex::new(State { ring: Some(ring.clone()), ..State::default() }));
        let options = follower::Options { ring: ring.clone(), reads, max_age: None, floor: None };
        let follower = Follower::new(connect(url).await, options);
        let (asleep, sleeps) = watch::channel(false);
        let follow = tokio::spawn(follow(follower, state.clone(), sleeps));
        let beacon = Beacon::new(connect(url).await);
        let beat = tokio::spawn(beat(beacon, state.clone(), pod.to_owned(), reads));
        Self { state, asleep, tasks: [follow, beat] }
    }

    /// Reads other sealing keys.
    pub(crate) fn learns(&self, ring: &Ring) {
        self.state.lock().unwrap().ring = Some(ring.clone());
    }

    /// Takes nothing new from now on, or does again; it says what it runs in any case.
    pub(crate) fn sleeps(&self, asleep: bool) {
        self.asleep.send_replace(asleep);
    }

    /// The revision that it runs.
    pub(crate) fn at(&self) -> Revision {
        self.state.lock().unwrap().at
    }

    /// What it runs.
    pub(crate) fn runs(&self) -> Snapshot {
        self.state.lock().unwrap().runs.clone()
    }

    /// Whether a caller with this token would be let in.
    pub(crate) fn knows_token(&self, token: &str) -> bool {
        self.runs().keys.get(&TokenHash::of(token.as_bytes())).is_some()
    }

    /// Whether a policy of this name is in force.
    pub(crate) fn has_policy(&self, name: &str) -> bool {
        self.runs().policies.iter().any(|policy| &*policy.name.name == name)
    }

    /// Whether it has a provider of this name.
    pub(crate) fn has_provider(&self, name: &str) -> bool {
        self.runs().providers.keys().any(|provider| &*provider.name == name)
    }

    /// What it refused.
    pub(crate) fn refusals(&self) -> Vec<String> {
        self.state.lock().unwrap().refusals.clone()
    }
}

impl Gateway {
    /// What it could not use: `Kind namespace/name`, and why.
    pub(crate) fn unusable(&self) -> Vec<(String, String)> {
        self.state.lock().unwrap().unusable.clone()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn follow(mut follower: Follower, state: Arc<Mutex<State>>, mut asleep: watch::Receiver<bool>) {
    let mut keys = state.lock().unwrap().ring.as_ref().unwrap().ids();
    loop {
        if asleep.wait_for(|asleep| !asleep).await.is_err() {
            return;
        }
        let ring = state.lock().unwrap().ring.clone().unwrap();
        if ring.ids() != keys {
            keys = ring.ids();
            follower.set_ring(ring);
        }
        let news = tokio::select! {
            news = follower.next() => news,
            _ = asleep.changed() => continue,
        };
        let mut state = state.lock().unwrap();
        match news {
            News::Activated(activation, _) => {
                (state.at, state.unusable) = (activation.head.at, activation.unusable);
                state.runs = activation.snapshot;
            }
            News::Refused(refusal) => state.refusals.push(refusal.to_string()),
            News::Waiting(_) | News::Current | News::Quiet => {}
        }
    }
}

async fn beat(mut beacon: Beacon, state: Arc<Mutex<State>>, pod: String, reads: u32) {
    let started = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let incarnation = u64::try_from(started.as_millis()).unwrap();
    loop {
        let (beat, ring) = {
            let state = state.lock().unwrap();
            let ring = state.ring.clone().unwrap();
            let beat = Beat {
                pod: pod.clone(),
                incarnation,
                number: 0,
                ready: state.at != Revision::default(),
                at: state.at,
                keys: ring.ids(),
                reads,
                unusable: state.unusable.clone(),
                unusable_count: state.unusable.len() as u64,
                refused: state.refusals.len() as u64,
                content: state.runs.hash,
                version: "1".to_owned(),
            };
            (beat, ring)
        };
        // Redis may be away: nobody hears it then.
        let _ = beacon.send(&ring, beat).await;
        tokio::time::sleep(EACH).await;
    }
}
