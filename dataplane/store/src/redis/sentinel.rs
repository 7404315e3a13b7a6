//! Asks Sentinels where the master is.

use super::address::Host;
use super::dial::{Connection, authenticate};
use super::error::Error;
use super::options::Prepared;
use super::socket;
use std::time::Duration;

/// The master as the first Sentinel that answers knows it. Each gets a share of the time.
pub(super) async fn master(prepared: &Prepared, name: &str) -> Result<Host, Error> {
    let address = &prepared.options.address;
    let share = prepared.options.connect_timeout / u32::try_from(address.hosts.len() + 1).unwrap_or(u32::MAX);
    let mut last = "none was asked".to_owned();
    // The first one to be asked differs from attempt to attempt: one that hangs does not cost every attempt its share.
    let first = rand::random_range(0..address.hosts.len().max(1));
    for sentinel in address.hosts.iter().cycle().skip(first).take(address.hosts.len()) {
        match tokio::time::timeout(share.max(Duration::from_millis(50)), ask(prepared, sentinel, name)).await
        {
            Ok(Ok(host)) => return Ok(host),
            Ok(Err(fault)) => last = format!("{sentinel}: {fault}"),
            Err(_) => last = format!("{sentinel} did not answer"),
        }
    }
    Err(Error::NoMaster { master: name.to_owned(), last })
}

async fn ask(prepared: &Prepared, sentinel: &Host, name: &str) -> Result<Host, Error> {
    let stream = socket::open(sentinel, prepared.tls.as_ref()).await?;
    let password = prepared.options.sentinel_password.read().await?;
    let mut connection: Connection = authenticate(stream, None, password, 0).await?;
    let command = redis::cmd("SENTINEL").arg("get-master-addr-by-name").arg(name).to_owned();
    let found: Option<(String, u16)> = connection.ask(&command).await?;
    let (name, port) = found.ok_or(Error::Unexpected("the Sentinel does not know this master"))?;
    Ok(Host { name, port })
}
