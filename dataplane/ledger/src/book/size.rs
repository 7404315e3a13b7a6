//! How much is lent (L7): a pure function.

/// What decides the size of a grant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// What could be lent.
    pub(super) lendable: i64,
    /// Pods active on the account.
    pub(super) active: i64,
    /// The limit of the window.
    pub(super) limit: i64,
    /// The last reservation of the asking pod.
    pub(super) reservation: i64,
}

impl Wish {
    /// Lend exactly what is needed, nothing ahead.
    pub(super) fn tight(&self) -> bool {
        self.lendable < self.active.saturating_mul(4).saturating_mul(self.reservation.max(1))
    }

    /// The usual size of a grant.
    pub(super) fn size(&self) -> i64 {
        (self.lendable / self.active.saturating_mul(4).max(1)).min(self.limit / 100).max(0)
    }

    /// What to lend to a pod that lacks `need`: all or nothing, zero for nothing.
    pub(super) fn grant(&self, need: i64, background: bool) -> i64 {
        if need <= 0 || need > self.lendable || (background && self.tight()) {
            0
        } else if self.tight() {
            need
        } else {
            need.max(self.size()).min(self.lendable)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(lendable: i64) -> Wish {
        Wish { lendable, active: 2, limit: 1_000, reservation: 5 }
    }

    #[test]
    fn ample_money_is_lent_in_the_usual_size() {
        assert_eq!(wish(900).grant(5, false), 10, "limit / 100");
        assert_eq!(wish(72).grant(5, false), 9, "lendable / (4 · active)");
        assert_eq!(wish(900).grant(50, false), 50, "the need, where it is larger");
        assert_eq!(wish(900).grant(0, false), 0);
    }

    #[test]
    fn a_tight_account_lends_the_need_and_nothing_ahead() {
        assert!(wish(39).tight() && !wish(40).tight());
        assert_eq!(wish(39).grant(5, false), 5);
        assert_eq!(wish(39).grant(5, true), 0, "no refill ahead");
        assert_eq!(wish(40).grant(5, true), 5);
    }

    #[test]
    fn all_or_nothing() {
        assert_eq!(wish(4).grant(5, false), 0);
        assert_eq!(wish(5).grant(5, false), 5);
        assert_eq!(wish(-3).grant(1, false), 0);
    }
}
