//! One attempt to connect: find the server, open the socket, log in, see that it is a master and that it answers.

use super::error::Error;
use super::options::Prepared;
use super::sentinel;
use super::socket::{self, Stream};
use super::state::Server;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, ProtocolVersion, RedisConnectionInfo, Value};
use std::sync::Arc;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

/// Commands that may wait to be written.
const BUFFER: usize = 1024;

/// A connection and the task that drives it; the task ends with this.
pub(super) struct Connection {
    pub(super) link: MultiplexedConnection,
    driver: Driver,
}

struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// Runs a command without a limit in time.
    pub(super) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, Error> {
        let value = self.link.send_packed_command(command).await?;
        answer(value)
    }

    /// True when nothing can be sent any more.
    pub(super) fn is_over(&self) -> bool {
        self.driver.0.is_finished()
    }
}

/// What was asked for, out of a server's answer.
pub(super) fn answer<T: FromRedisValue>(value: Value) -> Result<T, Error> {
    let value = value.extract_error()?;
    redis::from_redis_value(value).map_err(|_| Error::Unexpected("a value of another type"))
}

/// A connection to the master that answered a first command, all within the connect timeout, that command within the
/// command timeout.
pub(super) async fn dial(prepared: &Prepared) -> Result<(Connection, Arc<Server>), Error> {
    let limit = prepared.options.connect_timeout;
    let dialled = tokio::time::timeout(limit, attempt(prepared)).await;
    dialled
        .unwrap_or_else(|_| Err(Error::ConnectTimeout { host: prepared.options.address.to_string(), limit }))
}

async fn attempt(prepared: &Prepared) -> Result<(Connection, Arc<Server>), Error> {
    let address = &prepared.options.address;
    let host = match (&address.master, address.hosts.first()) {
        (Some(master), _) => sentinel::master(prepared, master).await?,
        (None, Some(host)) => host.clone(),
        (None, None) => return Err(Error::Unexpected("no host")),
    };
    let stream = socket::open(&host, prepared.tls.as_ref()).await?;
    let password = prepared.options.password.read().await?;
    let mut connection = authenticate(stream, address.user.as_deref(), password, address.database).await?;
    let limit = prepared.options.command_timeout;
    // PING is what a server refuses that still loads its data. The limit is that of commands: a server that is slow is not
    // taken back into use.
    let mut probe = redis::pipe();
    probe.cmd("PING").cmd("INFO").arg("server").cmd("INFO").arg("replication");
    let sent = connection.link.send_packed_commands(&probe, 0, 3);
    let answers = tokio::time::timeout(limit, sent).await.map_err(|_| Error::Timeout(limit))??;
    let [ping, server, replication] =
        <[Value; 3]>::try_from(answers).map_err(|_| Error::Unexpected("other than three answers"))?;
    answer::<String>(ping)?;
    let (server, replication): (String, String) = (answer(server)?, answer(replication)?);
    if field(&replication, "role") != "master" {
        return Err(Error::Replica(host.to_string()));
    }
    let server = Server {
        run_id: field(&server, "run_id").to_owned(),
        version: field(&server, "redis_version").to_owned(),
        host: host.to_string(),
    };
    Ok((connection, Arc::new(server)))
}

/// Logs in on a fresh stream and starts the task that drives it.
pub(super) async fn authenticate(
    stream: Box<dyn Stream>,
    user: Option<&str>,
    password: Option<Zeroizing<String>>,
    database: i64,
) -> Result<Connection, Error> {
    let mut info = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP2)
        .set_db(database)
        .set_skip_set_lib_name();
    if let Some(password) = password {
        info = info.set_password(password.as_str());
        if let Some(user) = user {
            info = info.set_username(user);
        }
    }
    let config = AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(BUFFER);
    let (link, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await?;
    Ok(Connection { link, driver: Driver(tokio::spawn(driver)) })
}

/// A field of `INFO`.
fn field<'a>(info: &'a str, name: &str) -> &'a str {
    let lines = info.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| *key == name).map(|(_, value)| value.trim()).next().unwrap_or_default()
}
