//! What keys have spent, coarse enough for a status: a figure is shown when it moved by a hundredth of the budget, passed
//! a half, four fifths or all of it, or when the period began anew. Exact and current ones are in `/v1/usage` and metrics.

use crate::events::Reason;
use crate::status::Extra;
use serde_json::{Value, json};
use smartflow_ledger::money::{UsdText, parse_usd};
use smartflow_snapshot::ObjectName;
use std::collections::HashMap;

/// Shares of a budget, in percent, that are shown as soon as they are passed.
const LANDMARKS: [i64; 3] = [50, 80, 100];
/// From this share on a budget counts as used up, in percent: what is left of it buys next to nothing.
const EXHAUSTED: i64 = 99;

/// What a key has spent of its own budget in the running period; amounts in nano-USD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// Spent.
    pub spent: i64,
    /// What gateways that were lost may have spent beyond that.
    pub unattributed: i64,
    /// The part of both that is of gateways which ended: it only grows within a period (ledger.md L5a, L14).
    pub closed: i64,
    /// The budget.
    pub limit: i64,
    /// Where a warning is wished for, in percent of the budget.
    pub soft_percent: Option<i64>,
    /// When the period ends, Unix milliseconds; `None` = never.
    pub resets_at: Option<i64>,
}

/// How soon a figure should be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// It says what is shown already, or nearly.
    Nothing,
    /// When there is room.
    Soon,
    /// At once.
    Now,
}

/// What is shown of each key.
#[derive(Debug, Default)]
pub struct Spending {
    shown: HashMap<ObjectName, Figures>,
    /// Worth showing when there is room.
    waiting: HashMap<ObjectName, Figures>,
}

impl Figures {
    /// Spent or lost, as percent of the budget.
    fn percent(&self) -> i64 {
        let used = i128::from(self.spent) + i128::from(self.unattributed);
        match self.limit {
            0 => 100,
            limit => i64::try_from(used * 100 / i128::from(limit)).unwrap_or(i64::MAX),
        }
    }

    fn remaining(&self) -> i64 {
        self.limit.saturating_sub(self.spent).saturating_sub(self.unattributed).max(0)
    }

    /// How soon this should be shown in place of `shown`.
    fn worth(&self, shown: Option<&Self>) -> Worth {
        let Some(shown) = shown else { return Worth::Soon };
        let passed = |mark: i64| (self.percent() >= mark) != (shown.percent() >= mark);
        let used = |f: &Self| i128::from(f.spent) + i128::from(f.unattributed);
        let moved = |now: i128, then: i128| now != then && (now - then).abs() * 100 >= i128::from(self.limit);
        if self.resets_at != shown.resets_at || self.limit != shown.limit || LANDMARKS.into_iter().any(passed)
        {
            Worth::Now
        } else if moved(used(self), used(shown)) || moved(self.closed.into(), shown.closed.into()) {
            Worth::Soon
        } else {
            Worth::Nothing
        }
    }

    /// What is worth an event, given what was known before.
    fn warning(&self, before: Option<&Self>) -> Option<(Reason, String)> {
        let before = before.filter(|b| b.resets_at == self.resets_at).map_or(0, Self::percent);
        let reached = |mark: i64| before < mark && self.percent() >= mark;
        let of = |what: &str| {
            let (spent, limit) = (UsdText::new(self.spent + self.unattributed), UsdText::new(self.limit));
            format!("{what}: {} of {} US dollars are spent.", &*spent, &*limit)
        };
        if reached(EXHAUSTED) {
            Some((Reason::BudgetExhausted, of("The budget is used up")))
        } else {
            let soft = self.soft_percent.filter(|soft| reached(*soft))?;
            Some((Reason::SoftLimitReached, of(&format!("{soft} % of the budget are reached"))))
        }
    }
}

impl Spending {
    /// Takes in what is known of `key` now: how soon it should be shown, and what is worth an event.
    pub fn take(&mut self, key: &ObjectName, figures: Figures) -> (Worth, Option<(Reason, String)>) {
        let before = self.waiting.get(key).or_else(|| self.shown.get(key));
        let warning = figures.warning(before);
        let worth = figures.worth(self.shown.get(key));
        match worth {
            Worth::Nothing => drop(self.waiting.remove(key)),
            Worth::Soon => drop(self.waiting.insert(key.clone(), figures)),
            Worth::Now => {
                self.waiting.remove(key);
                self.shown.insert(key.clone(), figures);
            }
        }
        (worth, warning)
    }

    /// There is room: shows what waits of `key`.
    pub fn show(&mut self, key: &ObjectName) {
        self.shown.extend(self.waiting.remove_entry(key));
    }

    /// What `status` shows already, for a replica that did not write it.
    pub fn recall(&mut self, key: &ObjectName, status: &Value) {
        let usd = |field: &str| status.get(field).and_then(Value::as_str).and_then(parse_usd);
        let (Some(spent), Some(remaining)) = (usd("spentUSD"), usd("remainingUSD")) else { return };
        let unattributed = usd("unattributedUSD").unwrap_or_default();
        let resets_at = status.get("resetsAt").and_then(Value::as_str);
        let resets_at = resets_at.and_then(|t| t.parse::<jiff::Timestamp>().ok()).map(|t| t.as_millisecond());
        let limit = spent + unattributed + remaining;
        let closed = usd("closedUSD").unwrap_or_default();
        let figures = Figures { spent, unattributed, closed, limit, soft_percent: None, resets_at };
        self.shown.entry(key.clone()).or_insert(figures);
    }

    /// `key` is gone, or has no budget any more.
    pub fn forget(&mut self, key: &ObjectName) {
        self.shown.remove(key);
        self.waiting.remove(key);
    }

    /// The fields of the status of `key`; those that do not apply are `null`. Nothing when nothing is known: then they stay
    /// as they are.
    #[must_use]
    pub fn fields(&self, key: &ObjectName) -> Extra {
        let Some(figures) = self.shown.get(key) else { return Extra::new() };
        let usd = |nanos| json!(&*UsdText::new(nanos));
        let some = |nanos| if nanos == 0 { Value::Null } else { usd(nanos) };
        let resets = figures.resets_at.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let fields = [
            ("spentUSD", usd(figures.spent)),
            ("remainingUSD", usd(figures.remaining())),
            ("resetsAt", resets.map_or(Value::Null, |t| json!(t.to_string()))),
            ("unattributedUSD", some(figures.unattributed)),
            ("closedUSD", some(figures.closed)),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The fields of the status of a key that has no budget: none of them.
#[must_use]
pub fn nothing() -> Extra {
    ["spentUSD", "remainingUSD", "resetsAt", "unattributedUSD", "closedUSD"]
        .map(|f| (f.to_owned(), Value::Null))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USD: i64 = 1_000_000_000;

    fn key() -> ObjectName {
        ObjectName::new("n", "k")
    }

    fn spent(cents: i64) -> Figures {
        Figures {
            spent: cents * USD / 100,
            unattributed: 0,
            closed: 0,
            limit: 10 * USD,
            soft_percent: Some(60),
            resets_at: Some(86_400_000),
        }
    }

    /// What becomes of figures, one after the other.
    fn worths(figures: impl IntoIterator<Item = Figures>) -> Vec<Worth> {
        let mut spending = Spending::default();
        let mut take = |f| {
            let worth = spending.take(&key(), f).0;
            spending.show(&key());
            worth
        };
        figures.into_iter().map(&mut take).collect()
    }

    #[test]
    fn a_hundredth_of_the_budget_is_worth_showing_and_less_is_not() {
        let got = worths([spent(0), spent(9), spent(10), spent(19), spent(20)]);
        assert_eq!(got, [Worth::Soon, Worth::Nothing, Worth::Soon, Worth::Nothing, Worth::Soon]);
    }

    #[test]
    fn landmarks_and_resets_are_shown_at_once() {
        assert_eq!(
            worths([spent(495), spent(500), spent(795), spent(800), spent(995), spent(1000)])[1..],
            [Worth::Now, Worth::Soon, Worth::Now, Worth::Soon, Worth::Now]
        );
        let anew = Figures { resets_at: Some(2 * 86_400_000), ..spent(0) };
        assert_eq!(worths([spent(0), anew]), [Worth::Soon, Worth::Now]);
    }

    #[test]
    fn each_warning_is_told_once_in_a_period() {
        let mut spending = Spending::default();
        let mut take = |f| spending.take(&key(), f).1.map(|(reason, _)| reason);
        let told = [spent(100), spent(600), spent(601), spent(990), spent(1000)].map(&mut take);
        assert_eq!(told, [None, Some(Reason::SoftLimitReached), None, Some(Reason::BudgetExhausted), None]);
        let anew = |cents| Figures { resets_at: Some(2 * 86_400_000), ..spent(cents) };
        assert_eq!([anew(0), anew(700)].map(&mut take), [None, Some(Reason::SoftLimitReached)]);
    }

    #[test]
    fn a_new_leader_goes_on_from_what_is_shown() {
        let mut spending = Spending::default();
        let lost = Figures { unattributed: USD, closed: 3 * USD, ..spent(512) };
        spending.take(&key(), lost);
        spending.show(&key());
        let fields = spending.fields(&key());
        assert_eq!(fields["spentUSD"], "5.12");
        assert_eq!(fields["remainingUSD"], "3.88");
        assert_eq!((&fields["unattributedUSD"], &fields["closedUSD"]), (&json!("1"), &json!("3")));
        assert_eq!(fields["resetsAt"], "1970-01-02T00:00:00Z");
        let mut next = Spending::default();
        next.recall(&key(), &Value::Object(fields.clone()));
        assert_eq!(next.fields(&key()), fields);
        let lost = Figures { unattributed: USD, closed: 3 * USD, ..spent(513) };
        assert_eq!(next.take(&key(), lost), (Worth::Nothing, None));
    }

    #[test]
    fn a_budget_of_nothing_is_used_up() {
        let nothing = Figures { limit: 0, ..spent(0) };
        assert_eq!(Spending::default().take(&key(), nothing).1.unwrap().0, Reason::BudgetExhausted);
    }
}
