//! A lender that forgets everything with its process: for several purses in one process, and for tests.

use std::{
    future::ready,
    sync::{Mutex, PoisonError},
};

use super::{Lender, LenderError, Pending};
use crate::{
    account::{AccountId, Incarnation},
    book::{Book, Standing},
    clock::Now,
    message::{Answers, Batch, Recalls},
    rate::RateBook,
    window::Window,
};

/// A [`Book`] behind a lock.
#[derive(Debug)]
pub struct MemoryLender {
    book: Mutex<Book>,
    rates: Mutex<RateBook>,
}

impl Default for MemoryLender {
    fn default() -> Self {
        let rates = RateBook::new(1, Now { mono: 0, wall: 0 }, false);
        Self { book: Mutex::new(Book::new(1)), rates: Mutex::new(rates) }
    }
}

impl MemoryLender {
    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lender for MemoryLender {
    fn exchange<'a>(&'a self, now: Now, batch: &'a Batch) -> Pending<'a, Answers> {
        let mut book = self.book();
        let mut answers = book.exchange(now, batch);
        book.take_changes();
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.hear(now, batch.incarnation);
        answers.rates = batch.rates.iter().map(|ask| rates.handle(now, ask).0).collect();
        Box::pin(ready(Ok(answers)))
    }

    fn recalls(&self, reader: Incarnation, after: u64) -> Pending<'_, Recalls> {
        Box::pin(ready(Ok(self.book().recalls(reader, after))))
    }

    fn standing(&self, account: AccountId) -> Pending<'_, Vec<Standing>> {
        Box::pin(ready(Ok(self.book().standing(account))))
    }

    fn write_off(&self, account: AccountId, window: Window, who: Incarnation) -> Pending<'_, i64> {
        let mut book = self.book();
        let freed = book.write_off(account, window, who).map_err(LenderError::WriteOff);
        book.take_changes();
        Box::pin(ready(freed))
    }

    fn purge(&self, account: AccountId) -> Pending<'_, bool> {
        let mut book = self.book();
        let was = book.purge(account);
        book.take_changes();
        Box::pin(ready(Ok(was)))
    }

    fn is_local(&self) -> bool {
        true
    }
}
