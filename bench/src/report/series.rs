//! Values of one figure over rounds.

use serde::Serialize;

/// Values in the order in which they were measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Series(Vec<f64>);

impl Series {
    /// Adds a value.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut values = self.0.clone();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The middle value, or the mean of the two in the middle; not a number when there is none.
    #[must_use]
    pub fn median(&self) -> f64 {
        let values = self.sorted();
        let middle = values.len() / 2;
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        match values.len() {
            0 => f64::NAN,
            count if count % 2 == 1 => at(middle),
            _ => f64::midpoint(at(middle - 1), at(middle)),
        }
    }

    /// Each value divided by the other's of the same round.
    #[must_use]
    pub fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    /// Each value less the other's of the same round.
    #[must_use]
    pub fn less(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a - b).collect())
    }

    /// The least and the greatest value.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        let values = self.sorted();
        let ends = values.first().copied().zip(values.last().copied());
        ends.unwrap_or((f64::NAN, f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use super::Series;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Series(vec![9.0, 1.0, 4.0]).median().to_bits(), 4.0f64.to_bits());
        assert_eq!(Series(vec![9.0, 1.0, 4.0, 2.0]).median().to_bits(), 3.0f64.to_bits());
        assert!(Series::default().median().is_nan());
        assert_eq!(Series(vec![9.0, 1.0, 4.0]).range(), (1.0, 9.0));
    }
}
