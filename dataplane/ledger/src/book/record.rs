//! The book as a list of records: what a journal keeps. Each is absolute, so reading one twice changes nothing.

use serde::{Deserialize, Serialize};

use super::{page::Folded, row::Row};
use crate::{
    account::{AccountId, Incarnation, Revision},
    window::Window,
};

/// One fact of the book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The limit in force.
    Limit {
        /// Of which account.
        account: AccountId,
        /// How much.
        limit: i64,
        /// Its age.
        revision: Revision,
    },
    /// The account is gone, with all that was known of it.
    Purged {
        /// Which.
        account: AccountId,
    },
    /// A row as it stands.
    Row {
        /// Of which account.
        account: AccountId,
        /// Of which window.
        window: Window,
        /// The row.
        row: Row,
    },
    /// The sums of rows that are gone; those rows go with it.
    Folded {
        /// Of which account.
        account: AccountId,
        /// Of which window.
        window: Window,
        /// The sums.
        folded: Folded,
        /// Whose rows are in the sums; of very many the last ones.
        #[serde(default)]
        names: Vec<Incarnation>,
    },
}
