//! The task that keeps the shared connection: it connects, watches, and connects again, for ever.

use super::backoff;
use super::dial::{Connection, dial};
use super::error::Error;
use super::options::Prepared;
use super::state::{Server, State};
use redis::aio::MultiplexedConnection;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// A connection that nobody complained about is looked at this often.
const LOOK: Duration = Duration::from_millis(250);

/// The shared connection, as commands see it.
#[derive(Clone)]
pub(super) enum Link {
    /// Use this one.
    Up { number: u64, link: MultiplexedConnection, server: Arc<Server> },
    /// Fail.
    Down { why: Arc<str> },
}

impl Link {
    pub(super) fn state(&self) -> State {
        match self {
            Self::Up { server, .. } => State::Up(server.clone()),
            Self::Down { why } => State::Down { why: why.clone() },
        }
    }
}

/// What commands tell the keeper.
#[derive(Default)]
pub(super) struct Complaints {
    /// The highest number of a connection that failed.
    failed: AtomicU64,
    /// The highest number of a connection that carried a command to its end.
    worked: AtomicU64,
    heard: Notify,
}

impl Complaints {
    /// Connection `number` did not answer, or broke.
    pub(super) fn failed(&self, number: u64) {
        self.failed.fetch_max(number, Ordering::Relaxed);
        self.heard.notify_one();
    }

    /// Connection `number` answered.
    pub(super) fn worked(&self, number: u64) {
        if self.worked.load(Ordering::Relaxed) < number {
            self.worked.fetch_max(number, Ordering::Relaxed);
        }
    }
}

/// Keeps a connection until nobody listens to `links` any more.
pub(super) async fn keep(prepared: Arc<Prepared>, complaints: Arc<Complaints>, links: watch::Sender<Link>) {
    let (mut number, mut failures) = (0_u64, 0_u32);
    loop {
        let dialled = tokio::select! {
            dialled = dial(&prepared) => dialled,
            () = links.closed() => return,
        };
        let why: Arc<str> = match dialled {
            Ok((connection, server)) => {
                number += 1;
                tracing::info!(server = %server.host, version = %server.version, "connected to Redis");
                links.send_replace(Link::Up { number, link: connection.link.clone(), server });
                tokio::select! {
                    () = over(&connection, &complaints, number) => {}
                    () = links.closed() => return,
                }
                // Only a command that was answered shows that the server is well.
                failures = if complaints.worked.load(Ordering::Relaxed) == number { 1 } else { failures + 1 };
                "the last command was not answered in time, or the connection broke".into()
            }
            Err(fault) => {
                failures = failures.saturating_add(1);
                fault.to_string().into()
            }
        };
        tell(&links, why);
        tokio::select! {
            () = tokio::time::sleep(backoff::wait(failures, rand::random())) => {}
            () = links.closed() => return,
        }
    }
}

/// The first reason of a stretch without Redis is worth a line, and so is one that differs.
fn tell(links: &watch::Sender<Link>, why: Arc<str>) {
    let told = matches!(&*links.borrow(), Link::Down { why: before } if *before == why);
    if !told {
        tracing::warn!(%why, "Redis is away");
        links.send_replace(Link::Down { why });
    }
}

/// Waits until the connection is of no use.
async fn over(connection: &Connection, complaints: &Complaints, number: u64) {
    while !connection.is_over() && complaints.failed.load(Ordering::Relaxed) < number {
        let _ = tokio::time::timeout(LOOK, complaints.heard.notified()).await;
    }
}

/// What a caller hears while there is no connection.
pub(super) fn away(why: &Arc<str>) -> Error {
    Error::Away(why.clone())
}
