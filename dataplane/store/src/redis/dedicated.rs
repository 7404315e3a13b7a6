//! A connection of one's own: for reads that block, and for `WAIT`, which concerns the connection it is sent on.

use super::dial::{Connection, answer};
use super::error::Error;
use super::script::Script;
use super::state::Server;
use redis::{Cmd, FromRedisValue, Pipeline, ToRedisArgs, Value};
use std::sync::Arc;
use std::time::Duration;

/// A server looks at its timeouts ten times a second.
const LATE: Duration = Duration::from_millis(500);

/// A connection that nobody else uses. After any error but [`Error::Refused`] drop it and ask for another.
pub struct Dedicated {
    connection: Connection,
    server: Arc<Server>,
    prefix: Arc<str>,
}

impl Dedicated {
    pub(super) fn new(connection: Connection, server: Arc<Server>, prefix: Arc<str>) -> Self {
        Self { connection, server, prefix }
    }

    /// The server at its other end.
    #[must_use]
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// A key with the prefix before it.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    /// Runs a command; `limit` is longer than what the command itself may block.
    ///
    /// # Errors
    /// As [`super::Redis::run`].
    pub async fn run<T: FromRedisValue>(&mut self, command: &Cmd, limit: Duration) -> Result<T, Error> {
        let answered = tokio::time::timeout(limit, self.connection.ask(command)).await;
        answered.unwrap_or(Err(Error::Timeout(limit)))
    }

    /// Runs commands in one go; their answers in order, refusals included.
    ///
    /// # Errors
    /// As [`super::Redis::run`], but for refusals.
    pub async fn pipeline(&mut self, commands: &Pipeline, limit: Duration) -> Result<Vec<Value>, Error> {
        let count = commands.cmd_iter().count();
        let sent = self.connection.link.send_packed_commands(commands, 0, count);
        let answered = tokio::time::timeout(limit, sent).await;
        Ok(answered.map_err(|_| Error::Timeout(limit))??)
    }

    /// Runs a script.
    ///
    /// # Errors
    /// As [`super::Redis::run`].
    pub async fn script<T: FromRedisValue, K: ToRedisArgs, A: ToRedisArgs>(
        &mut self,
        script: &Script,
        keys: &[K],
        args: &[A],
        limit: Duration,
    ) -> Result<T, Error> {
        match self.run(&script.command(false, keys, args), limit).await {
            Err(fault) if fault.code() == Some("NOSCRIPT") => {
                self.run(&script.command(true, keys, args), limit).await
            }
            answered => answered,
        }
    }

    /// Waits until `replicas` have what this connection wrote, for at most `limit`; how many do.
    ///
    /// # Errors
    /// As [`super::Redis::run`].
    pub async fn wait(&mut self, replicas: u32, limit: Duration) -> Result<u32, Error> {
        let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1);
        let command = redis::cmd("WAIT").arg(replicas).arg(millis).to_owned();
        self.run(&command, limit + LATE).await
    }

    /// The answer inside a value of [`Self::pipeline`].
    ///
    /// # Errors
    /// The server refused that command, or the answer is of another type.
    pub fn answer<T: FromRedisValue>(value: Value) -> Result<T, Error> {
        answer(value)
    }
}
