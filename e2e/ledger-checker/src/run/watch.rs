//! Asks pods what they say of the budgets, all the while.

use super::caller::{Diary, Way};
use crate::evidence::{Account, Entry, Statement};
use crate::pod::statement;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// What was said.
#[derive(Clone, Default)]
pub(super) struct Said {
    statements: Arc<Mutex<Vec<Statement>>>,
    /// Of the tightest budget, thousandths spent as last heard.
    pub(super) spent: Arc<AtomicI64>,
}

impl Said {
    pub(super) fn all(&self) -> Vec<Statement> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add(&self, told: &[Statement]) {
        let share = told.iter().map(|one| (one.spent + one.unattributed) * 1000 / one.limit.max(1)).max();
        self.spent.fetch_max(share.unwrap_or(0), Ordering::Relaxed);
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(told);
    }

    /// One look at one pod; `None` while it is not there.
    pub(super) async fn look(&self, way: &Way, diary: &Diary) -> Option<Vec<Statement>> {
        let asked = diary.now();
        let answer = way.openai.try_send("GET", "/v1/usage", bytes::Bytes::new()).await.ok()?;
        let told = statement::read(way.pod, asked, &answer.json());
        Some(told.unwrap_or_else(|| panic!("pod {} makes no statement: {answer:?}", way.pod)))
    }

    /// Looks until told to stop.
    pub(super) async fn watch(self, ways: Vec<Way>, diary: Diary, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            for way in &ways {
                if let Some(told) = self.look(way, &diary).await {
                    self.add(&told);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The last look, once the pod holds nothing for calls; what it holds after `limit` it holds for ever.
    pub(super) async fn at_rest(&self, way: &Way, diary: &Diary, limit: Duration) {
        let before = diary.now();
        let limit = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        loop {
            let mut told = self.look(way, diary).await.expect("the pod is there");
            if told.iter().all(|one| one.reserved == 0) || diary.now() - before > limit {
                told.iter_mut().for_each(|one| one.at_rest = true);
                return self.add(&told);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether statements say what the books say of the last window of each account.
pub(super) fn agree(told: &[Statement], books: &[Entry], accounts: &[Account]) -> bool {
    accounts.iter().all(|account| {
        let rows = books.iter().filter_map(|entry| match entry {
            Entry::Row(row) if row.account == account.id => Some(row),
            _ => None,
        });
        let last = rows.clone().map(|row| row.window).max();
        let spent: i64 = rows.filter(|row| Some(row.window) == last).map(|row| row.spent + row.overrun).sum();
        told.iter().filter(|one| one.limit == account.limit).all(|one| one.spent == spent)
    })
}
