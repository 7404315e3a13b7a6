//! The handle that everybody holds.

use super::dedicated::Dedicated;
use super::dial::{answer, dial};
use super::error::Error;
use super::keeper::{Complaints, Link, away, keep};
use super::options::{Options, Prepared, SetupError};
use super::script::Script;
use super::state::State;
use redis::{Cmd, FromRedisValue, Pipeline, ToRedisArgs, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A shared connection to Redis. Cheap to clone, usable from any runtime; the task that keeps it lives on the runtime
/// where [`Redis::start`] was called, until the last handle is gone.
#[derive(Clone)]
pub struct Redis {
    prepared: Arc<Prepared>,
    complaints: Arc<Complaints>,
    links: watch::Receiver<Link>,
    prefix: Arc<str>,
    limit: Duration,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Redis {
    /// Starts to connect, and answers at once. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn start(options: Options) -> Result<Self, SetupError> {
        let prepared = Arc::new(options.prepare()?);
        let (sender, links) = watch::channel(Link::Down { why: "not connected yet".into() });
        let complaints = Arc::new(Complaints::default());
        tokio::spawn(keep(prepared.clone(), complaints.clone(), sender));
        let (prefix, limit) = (prepared.options.prefix.as_str().into(), prepared.options.command_timeout);
        Ok(Self { prepared, complaints, links, prefix, limit })
    }

    /// The same connection with another limit for commands: for those that move much.
    #[must_use]
    pub fn with_limit(&self, limit: Duration) -> Self {
        Self { limit, ..self.clone() }
    }

    /// A key with the prefix before it: `smartflow:<name>`.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    /// The prefix of every key.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Limit of a command.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Whether commands can be run, and by whom.
    #[must_use]
    pub fn state(&self) -> State {
        self.links.borrow().state()
    }

    /// Waits until the state is another than `last`; what it is then.
    pub async fn changed(&self, last: &State) -> State {
        let mut links = self.links.clone();
        // The keeper lives as long as this handle, or its runtime is gone and nothing changes any more.
        match links.wait_for(|link| link.state() != *last).await {
            Ok(link) => link.state(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until there is a connection, for at most `limit`.
    ///
    /// # Errors
    /// [`Error::Away`] with the last reason.
    pub async fn ready(&self, limit: Duration) -> Result<(), Error> {
        let mut links = self.links.clone();
        let up = links.wait_for(|link| matches!(link, Link::Up { .. }));
        match tokio::time::timeout(limit, up).await {
            Ok(Ok(_)) => Ok(()),
            _ => match self.state() {
                State::Up(_) => Ok(()),
                State::Down { why } => Err(Error::Away(why)),
            },
        }
    }

    /// Runs a command.
    ///
    /// # Errors
    /// At once without a connection; [`Error::Timeout`] after the limit; what the server refused.
    pub async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        let link = self.link()?;
        let (number, mut connection) = link;
        let sent = connection.send_packed_command(command);
        let value = self.within(number, sent).await?;
        self.judged(number, answer(value))
    }

    /// Runs commands in one go; their answers in order, refusals included ([`Redis::answer`] takes them apart).
    ///
    /// # Errors
    /// As [`Redis::run`], but for refusals.
    pub async fn pipeline(&self, commands: &Pipeline) -> Result<Vec<Value>, Error> {
        let (number, mut connection) = self.link()?;
        let count = commands.cmd_iter().count();
        self.within(number, connection.send_packed_commands(commands, 0, count)).await
    }

    /// Runs a script by its hash, or whole where the server does not know it.
    ///
    /// # Errors
    /// As [`Redis::run`].
    pub async fn script<T: FromRedisValue, K: ToRedisArgs, A: ToRedisArgs>(
        &self,
        script: &Script,
        keys: &[K],
        args: &[A],
    ) -> Result<T, Error> {
        match self.run(&script.command(false, keys, args)).await {
            Err(fault) if fault.code() == Some("NOSCRIPT") => {
                self.run(&script.command(true, keys, args)).await
            }
            answered => answered,
        }
    }

    /// A connection of one's own.
    ///
    /// # Errors
    /// None could be made within the connect timeout.
    pub async fn dedicated(&self) -> Result<Dedicated, Error> {
        let (connection, server) = dial(&self.prepared).await?;
        Ok(Dedicated::new(connection, server, self.prefix.clone()))
    }

    /// The answer inside a value of [`Self::pipeline`].
    ///
    /// # Errors
    /// The server refused that command, or the answer is of another type.
    pub fn answer<T: FromRedisValue>(value: Value) -> Result<T, Error> {
        answer(value)
    }

    /// Fails at once while commands cannot be run.
    ///
    /// # Errors
    /// [`Error::Away`] with the reason.
    pub fn check(&self) -> Result<(), Error> {
        self.link().map(|_| ())
    }

    /// The server did not answer on a connection of one's own in time: the shared one is taken out of use, too, until
    /// the server has answered a probe.
    pub fn suspect(&self) {
        if let Ok((number, _)) = self.link() {
            self.complaints.failed(number);
        }
    }

    /// The server answered on a connection of one's own: it is well, also where the shared connection carries nothing.
    pub fn praise(&self) {
        if let Ok((number, _)) = self.link() {
            self.complaints.worked(number);
        }
    }

    fn link(&self) -> Result<(u64, redis::aio::MultiplexedConnection), Error> {
        match &*self.links.borrow() {
            Link::Up { number, link, .. } => Ok((*number, link.clone())),
            Link::Down { why } => Err(away(why)),
        }
    }

    async fn within<T>(
        &self,
        number: u64,
        sent: impl Future<Output = redis::RedisResult<T>>,
    ) -> Result<T, Error> {
        let answered = match tokio::time::timeout(self.limit, sent).await {
            Ok(answered) => answered.map_err(Error::from),
            Err(_) => Err(Error::Timeout(self.limit)),
        };
        if answered.is_ok() {
            self.complaints.worked(number);
        }
        self.judged(number, answered)
    }

    /// Tells the keeper of a connection that must not be used further.
    fn judged<T>(&self, number: u64, answered: Result<T, Error>) -> Result<T, Error> {
        if answered.as_ref().is_err_and(Error::is_fatal) {
            self.complaints.failed(number);
        }
        answered
    }
}
