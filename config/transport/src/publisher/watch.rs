//! What happens in Redis beside publishing: heartbeats come, data is lost, another leader begins.

use super::{PublishError, Publisher, script};
use crate::beat::Beat;
use crate::fleet::{GONE, Heard};
use crate::head::Head;
use crate::revision::Revision;
use crate::shelf::{LIMIT, array, list, text};
use smartflow_store::redis::{Dedicated, Error, Value, cmd};
use std::time::Duration;

/// Whether what is in Redis is what was published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It is.
    Current,
    /// It is not: [`Publisher::take_over`], then [`Publisher::publish_all`].
    Lost(String),
    /// Another leader publishes with a later epoch, since then. Whoever does not lead any more leaves it alone; whoever
    /// leads takes over again: it was one who did not know yet.
    Fenced(Revision),
}

/// What was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Look {
    /// Heartbeats of gateways that were heard of within a minute, for [`Fleet::hear`](crate::Fleet::hear).
    pub beats: Vec<Heard>,
    /// Heartbeats that are not of this install, or were changed.
    pub forged: usize,
    /// Of a publisher that does not lead: always `Current`.
    pub standing: Standing,
}

impl Publisher {
    /// Reads heartbeats, and looks whether everything is as it was published. One round trip; heartbeats of gateways that
    /// are gone are removed now and then.
    ///
    /// # Errors
    /// [`PublishError::Store`]
    pub async fn look(&self) -> Result<Look, PublishError> {
        let keys = self.keys();
        let answer: Value = self.redis.script::<_, _, &str>(&script::LOOK, &keys, &[]).await?;
        let (look, gone) = self.seen(answer)?;
        if !gone.is_empty() {
            let mut forget = cmd("HDEL");
            forget.arg(&self.shelf.gateways).arg(gone);
            let _: Value = self.redis.run(&forget).await?;
        }
        Ok(look)
    }

    pub(super) async fn look_at(&self, link: &mut Dedicated) -> Result<Look, PublishError> {
        let keys = self.keys();
        let answer: Value = link.script::<_, _, &str>(&script::LOOK, &keys, &[], LIMIT).await?;
        Ok(self.seen(answer)?.0)
    }

    fn keys(&self) -> [&str; 4] {
        [&self.shelf.stream, &self.shelf.entries, &self.shelf.head, &self.shelf.gateways]
    }

    /// What the script answered, and pods to forget.
    fn seen(&self, answer: Value) -> Result<(Look, Vec<Vec<u8>>), Error> {
        let [last, count, head, now, beats] = list(answer)?;
        let (last, head) = (text(last)?, text(head)?);
        let (Value::Int(count), Value::Int(now)) = (count, now) else {
            return Err(Error::Unexpected("no numbers"));
        };
        let mut look = Look { beats: Vec::new(), forged: 0, standing: self.standing(&last, count, &head) };
        let mut gone = Vec::new();
        let mut beats = array(beats)?.into_iter();
        while let (Some(pod), Some(said)) = (beats.next(), beats.next()) {
            let (pod, said) = (text(pod)?, text(said)?);
            let (age, heard) = self.heard(now, &pod, &said);
            match heard {
                _ if age >= GONE => gone.push(pod.to_vec()),
                Some(beat) => look.beats.push(Heard { beat, age }),
                None => look.forged += 1,
            }
        }
        Ok((look, gone))
    }

    fn heard(&self, now: i64, pod: &[u8], said: &[u8]) -> (Duration, Option<Beat>) {
        let space = said.iter().position(|b| *b == b' ').unwrap_or(0);
        let (at, sealed) = said.split_at(space);
        let at: Option<i64> = std::str::from_utf8(at).ok().and_then(|at| at.parse().ok());
        // A server that failed over may have a clock that is behind.
        let age = at.map_or(GONE, |at| Duration::from_millis(now.saturating_sub(at).try_into().unwrap_or(0)));
        let sealed = sealed.get(1..).unwrap_or_default();
        let pod = std::str::from_utf8(pod).ok();
        (age, pod.and_then(|pod| Beat::open(&self.ring, &self.shelf.install, pod, sealed).ok()))
    }

    fn standing(&self, last: &[u8], count: i64, head: &[u8]) -> Standing {
        // Before the first record of the epoch, what is there is another's.
        let (Some(epoch), Some(_)) = (self.epoch, self.head.as_ref().filter(|_| self.number > 0)) else {
            return Standing::Current;
        };
        let ends = self.last.as_deref().is_some_and(|ours| ours.as_bytes() == last);
        let whole = u64::try_from(count).is_ok_and(|count| count == self.set.len());
        if ends && whole && head == self.sealed_head {
            return Standing::Current;
        }
        let open = Head::open(&self.ring, &self.shelf.install, head);
        match open {
            Ok(head) if head.at.epoch > epoch => Standing::Fenced(head.at),
            // Its answer never came; sending it again settles it.
            _ if self.unsure.is_some() => Standing::Current,
            _ => Standing::Lost(format!(
                "the stream ends with {:?} instead of {}, {count} entries instead of {}",
                String::from_utf8_lossy(last),
                self.last.as_deref().unwrap_or("nothing"),
                self.set.len()
            )),
        }
    }
}
