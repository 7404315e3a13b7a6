//! Where things are in Redis, and how they are read.
//!
//! ```text
//! <prefix>:config:entries    hash    name of entry -> sealed entry
//! <prefix>:config:head       string  sealed head
//! <prefix>:config:stream     stream  <epoch>-<number>: p previous, h sealed head, then e, t, m (record.rs)
//! <prefix>:config:gateways   hash    uid of pod -> "<ms> " and its sealed heartbeat; ms by the clock of Redis
//! ```

use crate::record::Record;
use crate::revision::Revision;
use bytes::Bytes;
use smartflow_store::redis::{Cmd, Dedicated, Error, Redis, Value, cmd};
use std::time::Duration;

/// Limit of one read beside what it blocks.
pub(crate) const LIMIT: Duration = Duration::from_secs(2);
/// Entries of one bucket, roughly.
const BUCKET: usize = 512;
/// Records that are read at once.
const RECORDS: usize = 32;

/// Names of the keys of one install.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    /// The prefix: what everything sealed is bound to.
    pub(crate) install: String,
    pub(crate) entries: String,
    pub(crate) head: String,
    pub(crate) stream: String,
    pub(crate) gateways: String,
}

/// A record as it stands in the stream; `None`: it is none.
pub(crate) type Entry = (String, Option<Record>);

impl Shelf {
    pub(crate) fn of(redis: &Redis) -> Self {
        Self {
            install: redis.prefix().to_owned(),
            entries: redis.key("config:entries"),
            head: redis.key("config:head"),
            stream: redis.key("config:stream"),
            gateways: redis.key("config:gateways"),
        }
    }

    /// The sealed head; `None`: nothing was published, or it was lost.
    pub(crate) async fn head(&self, link: &mut Dedicated) -> Result<Option<Bytes>, Error> {
        let head: Option<Vec<u8>> = link.run(cmd("GET").arg(&self.head), LIMIT).await?;
        Ok(head.map(Bytes::from))
    }

    /// Id of the last record; `None`: there is no stream.
    pub(crate) async fn last(&self, link: &mut Dedicated) -> Result<Option<String>, Error> {
        let mut ask = cmd("XREVRANGE");
        ask.arg(&self.stream).arg("+").arg("-").arg("COUNT").arg(1);
        let answer: Value = link.run(&ask, LIMIT).await?;
        Ok(entries(answer)?.pop().map(|(id, _)| id))
    }

    /// Every name with what is under it, in buckets; one that changes meanwhile may come twice or not at all.
    pub(crate) async fn scan<E: From<Error>>(
        &self,
        link: &mut Dedicated,
        mut each: impl FnMut(Bytes, Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut cursor = Bytes::from_static(b"0");
        loop {
            let mut ask = cmd("HSCAN");
            ask.arg(&self.entries).arg(&cursor[..]).arg("COUNT").arg(BUCKET);
            let answer: Value = link.run(&ask, LIMIT).await?;
            let [next, found] = list(answer)?;
            let mut found = array(found)?.into_iter();
            while let (Some(name), Some(sealed)) = (found.next(), found.next()) {
                each(text(name)?, text(sealed)?)?;
            }
            cursor = text(next)?;
            if &cursor[..] == b"0" {
                return Ok(());
            }
        }
    }

    /// Records after `at`, some of them; waits for the first for at most `wait`.
    pub(crate) async fn after(
        &self,
        link: &mut Dedicated,
        at: Revision,
        wait: Option<Duration>,
    ) -> Result<Vec<Entry>, Error> {
        let ask = self.ask_after(at, wait);
        let answer: Value = link.run(&ask, LIMIT + wait.unwrap_or_default()).await?;
        let Value::Array(mut streams) = answer else { return Ok(Vec::new()) };
        match streams.pop() {
            Some(stream) => {
                let [_, records] = list(stream)?;
                entries(records)
            }
            None => Ok(Vec::new()),
        }
    }

    fn ask_after(&self, at: Revision, wait: Option<Duration>) -> Cmd {
        let mut ask = cmd("XREAD");
        ask.arg("COUNT").arg(RECORDS);
        if let Some(wait) = wait {
            ask.arg("BLOCK").arg(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1));
        }
        ask.arg("STREAMS").arg(&self.stream).arg(at.to_string());
        ask
    }
}

fn entries(answer: Value) -> Result<Vec<Entry>, Error> {
    array(answer)?.into_iter().map(entry).collect()
}

fn entry(value: Value) -> Result<Entry, Error> {
    let [id, fields] = list(value)?;
    let id = String::from_utf8_lossy(&text(id)?).into_owned();
    let Ok(at) = id.parse::<Revision>() else { return Ok((id, None)) };
    let mut fields = array(fields)?.into_iter().map(text);
    let pairs = std::iter::from_fn(|| Some((fields.next()?, fields.next()?)));
    let pairs: Result<Vec<_>, Error> = pairs.map(|(tag, body)| Ok((tag?, body?))).collect();
    Ok((id, Record::read(at, pairs?)))
}

pub(crate) fn list<const N: usize>(value: Value) -> Result<[Value; N], Error> {
    array(value)?.try_into().map_err(|_| Error::Unexpected("a list of another length"))
}

pub(crate) fn array(value: Value) -> Result<Vec<Value>, Error> {
    match value {
        Value::Array(values) => Ok(values),
        Value::Nil => Ok(Vec::new()),
        _ => Err(Error::Unexpected("no list")),
    }
}

pub(crate) fn text(value: Value) -> Result<Bytes, Error> {
    match value {
        Value::BulkString(text) => Ok(Bytes::from(text)),
        Value::SimpleString(text) => Ok(Bytes::from(text)),
        Value::Int(number) => Ok(Bytes::from(number.to_string())),
        _ => Err(Error::Unexpected("no text")),
    }
}
