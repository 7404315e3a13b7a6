//! The Redis of a run, and what happens to it.

use super::clock::Clock;
use super::fleet_plan::{FleetPlan, Kind};
use crate::evidence::Entry;
use crate::lender::redis;
use smartflow_rig::proxy::{Mode, Proxy};
use smartflow_rig::redis::{RedisServer, Setup};
use smartflow_rig::sentinel::{self, Sentinel};
use std::time::Duration;
use tokio::task::spawn_blocking;

/// How much later a slow Redis answers.
const LATE: Duration = Duration::from_secs(2);

/// Servers and what is before them. Everything that waits for a process does so beside the runtime.
pub(super) struct Store {
    kind: Kind,
    servers: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
    proxy: Option<Proxy>,
    clock: Option<Clock>,
}

impl Store {
    pub(super) async fn start(plan: &FleetPlan) -> Self {
        let kind = plan.kind;
        let clock = plan.redis_has_a_clock().then(Clock::new);
        let environment = clock.as_ref().map(Clock::environment_of_redis).unwrap_or_default();
        let started = spawn_blocking(move || match kind {
            Kind::Watched => watched(),
            Kind::Kept | Kind::Fleeting => {
                let setup = Setup { durable: kind == Kind::Kept, environment, ..Setup::default() };
                (vec![RedisServer::start_with(setup)], Vec::new())
            }
        });
        let (servers, sentinels) = started.await.expect("servers that start");
        let proxy = match kind {
            Kind::Watched => None,
            Kind::Kept | Kind::Fleeting => Some(Proxy::before(servers[0].port).await),
        };
        Self { kind, servers, sentinels, proxy, clock }
    }

    /// For `--redis`.
    pub(super) fn url(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("redis://{}", proxy.address),
            None => sentinel::url(&self.sentinels),
        }
    }

    /// Where the books may be read.
    pub(super) fn ports(&self) -> Vec<u16> {
        self.servers.iter().map(|server| server.port).collect()
    }

    /// Killed, and there again after `time`.
    pub(super) async fn down(&mut self, time: Duration) {
        let mut server = self.servers.remove(0);
        server.kill();
        tokio::time::sleep(time).await;
        let back = spawn_blocking(move || {
            server.restart();
            server
        });
        self.servers.insert(0, back.await.expect("a server that starts again"));
    }

    /// Whether killing it makes it forget.
    pub(super) fn forgets(&self) -> bool {
        self.kind == Kind::Fleeting
    }

    pub(super) fn flush(&self) {
        self.servers[0].cli(&["FLUSHALL"]);
    }

    /// The master is killed; Sentinels make one of its replicas the new one.
    pub(super) fn fail_over(&mut self) {
        self.servers.remove(0).kill();
    }

    pub(super) fn put_clock(&mut self, hours: i64) {
        self.clock.as_mut().expect("a clock that can be put").put(hours);
    }

    pub(super) async fn slow(&self, time: Duration) {
        self.weather(Mode::Delay(LATE), time).await;
    }

    pub(super) async fn half_open(&self, time: Duration) {
        self.weather(Mode::HalfOpen, time).await;
        self.cut();
    }

    pub(super) fn cut(&self) {
        self.proxy.iter().for_each(Proxy::cut);
    }

    async fn weather(&self, mode: Mode, time: Duration) {
        self.proxy.iter().for_each(|proxy| proxy.set(mode));
        tokio::time::sleep(time).await;
        self.proxy.iter().for_each(|proxy| proxy.set(Mode::Pass));
    }
}

/// The books of whoever is master; `None` while nobody is.
pub(super) async fn books(ports: Vec<u16>) -> Option<Vec<Entry>> {
    let read = spawn_blocking(move || ports.into_iter().find_map(redis::read));
    read.await.expect("a read of the books")
}

fn watched() -> (Vec<RedisServer>, Vec<Sentinel>) {
    let master = RedisServer::start();
    let copy = || RedisServer::start_with(Setup { replica_of: Some(master.port), ..Setup::default() });
    let copies = [copy(), copy()];
    let mut sentinels = Sentinel::three(master.port);
    sentinels.iter_mut().for_each(|sentinel| sentinel.knows_replicas(copies.len()));
    (std::iter::once(master).chain(copies).collect(), sentinels.into())
}
