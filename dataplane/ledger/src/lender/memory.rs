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
    window::Window,
};

/// A [`Book`] behind a lock.
#[derive(Debug)]
pub struct MemoryLender {
    book: Mutex<Book>,
}

impl Default for MemoryLender {
    fn default() -> Self {
        Self { book: Mutex::new(Book::new(1)) }
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
        let answers = book.exchange(now, batch);
        book.take_changes();
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
