//! What the gateways run, as far as it is known, and what of it people should look at.

use crate::events::Reason;
use std::collections::{BTreeMap, BTreeSet};

/// Identity of what is published: the leader's epoch, and its count of publications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// Of the leader.
    pub epoch: u64,
    /// Within the epoch.
    pub number: u64,
}

/// What the gateways run, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fleet {
    /// The store cannot be read, so nobody knows.
    #[default]
    Unreadable,
    /// From the gateways' heartbeats.
    Known(Known),
}

/// What the heartbeats say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// Gateways that are ready.
    pub ready: usize,
    /// What all of them run at least; `None` = there are none.
    pub watermark: Option<Revision>,
    /// What some of them cannot use, as `Kind namespace/name`.
    pub unusable: BTreeSet<String>,
    /// There are more of these than they name.
    pub unnamed: bool,
    /// The highest level of entries that all of them read; `None` = there are none.
    pub reads: Option<u32>,
    /// Those that do not run what was published a while ago.
    pub lagging: BTreeSet<String>,
    /// How many entries and heads each gateway refused since it started; those without are left out.
    pub refused: BTreeMap<String, u64>,
    /// Sealing keys that this replica knows.
    pub keys: usize,
}

impl Fleet {
    /// What is known.
    #[must_use]
    pub fn known(&self) -> Option<&Known> {
        match self {
            Self::Unreadable => None,
            Self::Known(known) => Some(known),
        }
    }

    /// What is new since `before` and worth an event.
    #[must_use]
    pub fn news(&self, before: &Self) -> Vec<(Reason, String)> {
        let Some(now) = self.known() else { return Vec::new() };
        let nothing = Known::default();
        let before = before.known().unwrap_or(&nothing);
        let mut news = Vec::new();
        if !now.lagging.is_subset(&before.lagging) {
            let names: Vec<&str> = now.lagging.iter().map(String::as_str).collect();
            let message = format!(
                "{} of {} ready gateways do not run what was published: {}. Look at /readyz and the log there.",
                names.len(),
                now.ready,
                names.join(", ")
            );
            news.push((Reason::GatewayLagging, message));
        }
        for (pod, count) in &now.refused {
            // One that starts anew counts anew.
            if before.refused.get(pod).is_none_or(|known| known != count) {
                let message = format!(
                    "Gateway {pod} refused what lies in Redis {count} times since it started: it was changed, left out \
                     or brought back by somebody, or is sealed with a key that the gateway lacks. What it runs stays."
                );
                news.push((Reason::GatewayRefused, message));
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(lagging: &[&str], refused: &[(&str, u64)]) -> Fleet {
        Fleet::Known(Known {
            ready: 3,
            lagging: lagging.iter().map(|&pod| pod.to_owned()).collect(),
            refused: refused.iter().map(|&(pod, count)| (pod.to_owned(), count)).collect(),
            ..Known::default()
        })
    }

    fn news(now: &Fleet, before: &Fleet) -> Vec<Reason> {
        now.news(before).into_iter().map(|(reason, _)| reason).collect()
    }

    #[test]
    fn one_event_names_all_that_lag_and_only_when_there_are_more() {
        let told = fleet(&["a", "b"], &[]).news(&Fleet::Unreadable);
        assert!(told.len() == 1 && told[0].1.contains("2 of 3") && told[0].1.contains("a, b"), "{told:?}");
        assert_eq!(news(&fleet(&["a"], &[]), &fleet(&["a", "b"], &[])), []);
        assert_eq!(news(&fleet(&["a", "c"], &[]), &fleet(&["a", "b"], &[])), [Reason::GatewayLagging]);
    }

    #[test]
    fn each_gateway_that_refuses_is_told_of_once_per_count() {
        let (one, two) = (fleet(&[], &[("a", 1)]), fleet(&[], &[("a", 2), ("b", 1)]));
        assert_eq!(news(&one, &fleet(&[], &[])), [Reason::GatewayRefused]);
        assert_eq!(news(&one, &one), []);
        assert_eq!(news(&two, &one), [Reason::GatewayRefused; 2]);
        assert_eq!(news(&Fleet::Unreadable, &one), []);
    }
}
