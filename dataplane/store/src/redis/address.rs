//! Where Redis is: the URLs that `--redis` takes.

use std::fmt;
use thiserror::Error;

/// The port of a Redis server when none is given.
const SERVER_PORT: u16 = 6379;
/// The port of a Sentinel when none is given.
const SENTINEL_PORT: u16 = 26379;

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// A name or an IP address, IPv6 without brackets.
    pub name: String,
    /// TCP port.
    pub port: u16,
}

/// Where Redis is:
/// - `redis://[user@]host[:port][/database]`
/// - `rediss://…`: the same with TLS
/// - `redis-sentinel://[user@]host[:port],host[:port]…/master-name[/database]`: Sentinels that know the master
/// - `rediss-sentinel://…`: TLS to the Sentinels and to the master
///
/// Passwords are not part of it: they would show in the list of processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The server itself, or Sentinels.
    pub hosts: Vec<Host>,
    /// With Sentinels: the name under which they know the master.
    pub master: Option<String>,
    /// With TLS.
    pub tls: bool,
    /// User of the server's ACL; `None` is its default user.
    pub user: Option<String>,
    /// Number of the database.
    pub database: i64,
}

/// Why a URL is not an address.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    /// Not one of the four schemes.
    #[error("an address begins with redis://, rediss://, redis-sentinel:// or rediss-sentinel://")]
    Scheme,
    /// A password inside.
    #[error(
        "a password does not belong into the address: put it into a file and name that with --redis-password-file"
    )]
    Password,
    /// A host is empty, or its port is not a number.
    #[error("`{0}` is not a host with an optional port")]
    Host(String),
    /// More than one host without Sentinel.
    #[error("several hosts are Sentinels: redis-sentinel://host1,host2/<name of the master>")]
    Several,
    /// Sentinels without the master's name.
    #[error("the name of the master is missing: redis-sentinel://host1,host2/<name of the master>")]
    Master,
    /// Something after the last part.
    #[error("`{0}` is not the number of a database")]
    Database(String),
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`AddressError`], which never repeats a password.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = url.split_once("://").ok_or(AddressError::Scheme)?;
        let (tls, sentinel) = match scheme {
            "redis" => (false, false),
            "rediss" => (true, false),
            "redis-sentinel" => (false, true),
            "rediss-sentinel" => (true, true),
            _ => return Err(AddressError::Scheme),
        };
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => return Err(AddressError::Password),
            Some((user, rest)) => (Some(user.to_owned()).filter(|user| !user.is_empty()), rest),
            None => (None, rest),
        };
        let mut parts = rest.split('/');
        let port = if sentinel { SENTINEL_PORT } else { SERVER_PORT };
        let hosts = parts.next().unwrap_or_default().split(',').map(|text| host(text, port));
        let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        let mut parts = parts.filter(|part| !part.is_empty());
        let master = if sentinel {
            Some(parts.next().ok_or(AddressError::Master)?.to_owned())
        } else if hosts.len() > 1 {
            return Err(AddressError::Several);
        } else {
            None
        };
        let database = match parts.next() {
            Some(text) => text.parse::<u16>().map_err(|_| AddressError::Database(text.to_owned()))?.into(),
            None => 0,
        };
        match parts.next() {
            Some(more) => Err(AddressError::Database(more.to_owned())),
            None => Ok(Self { hosts, master, tls, user, database }),
        }
    }
}

fn host(text: &str, port: u16) -> Result<Host, AddressError> {
    let fault = || AddressError::Host(text.to_owned());
    let (name, given) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, after) = rest.split_once(']').ok_or_else(fault)?;
            (name, after.strip_prefix(':').or(after.is_empty().then_some("")).ok_or_else(fault)?)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    if name.is_empty() || !name.chars().all(fits) {
        return Err(fault());
    }
    let port = if given.is_empty() { port } else { given.parse().map_err(|_| fault())? };
    Ok(Host { name: name.to_owned(), port })
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = self.hosts.iter().map(Host::to_string).collect();
        match &self.master {
            Some(master) => write!(f, "{master} by Sentinel {}", hosts.join(",")),
            None => f.write_str(&hosts.join(",")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port }
    }

    #[test]
    fn every_kind_of_address_is_read() {
        let plain = Address::parse("redis://redis").unwrap();
        assert_eq!((plain.hosts, plain.tls, plain.database), (vec![host("redis", 6379)], false, 0));
        let full = Address::parse("rediss://gateway@redis.data:7000/3").unwrap();
        assert_eq!((full.tls, full.user.as_deref(), full.database), (true, Some("gateway"), 3));
        assert_eq!(full.hosts, [host("redis.data", 7000)]);
        let six = Address::parse("redis://[::1]:7000").unwrap();
        assert_eq!((six.hosts[0].clone(), six.to_string()), (host("::1", 7000), "[::1]:7000".to_owned()));
        let sentinels = Address::parse("rediss-sentinel://gateway@s-0,s-1:5000/main/2").unwrap();
        assert_eq!(sentinels.hosts, [host("s-0", 26379), host("s-1", 5000)]);
        assert_eq!((sentinels.master.as_deref(), sentinels.database), (Some("main"), 2));
        assert_eq!(sentinels.to_string(), "main by Sentinel s-0:26379,s-1:5000");
    }

    #[test]
    fn what_is_no_address_is_told_without_repeating_a_password() {
        let fault = |url: &str| Address::parse(url).unwrap_err();
        assert_eq!(fault("localhost:6379"), AddressError::Scheme);
        assert_eq!(fault("http://localhost"), AddressError::Scheme);
        assert_eq!(fault("redis://"), AddressError::Host(String::new()));
        assert_eq!(fault("redis://a:b"), AddressError::Host("a:b".to_owned()));
        assert_eq!(fault("redis://a,b"), AddressError::Several);
        assert_eq!(fault("redis-sentinel://a,b"), AddressError::Master);
        assert_eq!(fault("redis://a/x"), AddressError::Database("x".to_owned()));
        assert_eq!(fault("redis://a/1/2"), AddressError::Database("2".to_owned()));
        for url in ["redis://user:canary@a", "redis://:canary@a", "redis-sentinel://u:can@ary@a,b/m"] {
            assert_eq!(fault(url), AddressError::Password);
            assert!(!fault(url).to_string().contains("can"), "{}", fault(url));
        }
    }
}
