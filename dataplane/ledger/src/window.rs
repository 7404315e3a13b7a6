//! Windows (L3): the [start, end) in which a limit holds, computed from time-zone data.

use jiff::{Span, Timestamp, ToSpan, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::account::Period;

/// A stretch of time, unix milliseconds, start inclusive, end exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// First millisecond.
    pub start: i64,
    /// First millisecond after it; `i64::MAX` for Lifetime.
    pub end: i64,
}

impl Window {
    /// The window of a Lifetime budget.
    pub const LIFETIME: Self = Self { start: 0, end: i64::MAX };

    /// Whether `wall` lies in it.
    pub fn contains(&self, wall: i64) -> bool {
        self.start <= wall && wall < self.end
    }

    /// Whether both share an instant.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// A time zone could not be used.
#[derive(Debug, thiserror::Error)]
#[error("unknown time zone {name:?}; use an IANA name such as Europe/Berlin")]
pub struct UnknownTimeZone {
    /// The name as given.
    pub name: String,
}

/// When a budget starts anew: a period in a time zone.
#[derive(Clone, Debug)]
pub struct Calendar {
    period: Period,
    zone: TimeZone,
}

impl Calendar {
    /// A calendar for `period` in the IANA zone `timezone`.
    ///
    /// # Errors
    /// The zone is not known.
    pub fn new(period: Period, timezone: &str) -> Result<Self, UnknownTimeZone> {
        let zone = TimeZone::get(timezone).map_err(|_| UnknownTimeZone { name: timezone.to_owned() })?;
        Ok(Self { period, zone })
    }

    /// The window that contains `wall` (unix milliseconds).
    pub fn at(&self, wall: i64) -> Window {
        self.try_at(wall).unwrap_or(Window::LIFETIME)
    }

    /// The window after `window`; none for Lifetime.
    pub fn after(&self, window: Window) -> Option<Window> {
        (window.end < i64::MAX).then(|| self.at(window.end))
    }

    /// None only for Lifetime and for instants beyond the calendar (years -9999 to 9999).
    fn try_at(&self, wall: i64) -> Option<Window> {
        let span = match self.period {
            Period::Daily => 1.day(),
            Period::Weekly => 1.week(),
            Period::Monthly => 1.month(),
            Period::Lifetime => return None,
        };
        let date = Timestamp::from_millisecond(wall).ok()?.to_zoned(self.zone.clone()).date();
        let mut first = self.first(date)?;
        loop {
            let next = first.checked_add(span).ok()?;
            let window = Window { start: self.midnight(first)?, end: self.midnight(next)? };
            // A clock put back across midnight shows the old date again after the new day began (St. John's until
            // 2011): that hour belongs to the new day.
            if wall < window.end {
                return Some(window);
            }
            first = next;
        }
    }

    fn first(&self, date: Date) -> Option<Date> {
        match self.period {
            Period::Weekly => date.checked_sub(Span::new().days(date.weekday().to_monday_zero_offset())).ok(),
            Period::Monthly => Some(date.first_of_month()),
            Period::Daily | Period::Lifetime => Some(date),
        }
    }

    /// The first instant of a date; where midnight does not exist, the first instant after the gap.
    fn midnight(&self, date: Date) -> Option<i64> {
        Some(date.to_zoned(self.zone.clone()).ok()?.timestamp().as_millisecond())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn millis(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn window(period: Period, zone: &str, wall: &str) -> (String, String) {
        let w = Calendar::new(period, zone).unwrap().at(millis(wall));
        assert!(w.contains(millis(wall)), "{w:?}");
        let text = |m| Timestamp::from_millisecond(m).unwrap().to_string();
        (text(w.start), text(w.end))
    }

    fn pair(a: &str, b: &str) -> (String, String) {
        (a.to_owned(), b.to_owned())
    }

    #[test]
    fn days_weeks_and_months_begin_at_local_midnight() {
        let at = "2026-11-22T23:30:00Z";
        assert_eq!(window(Period::Daily, "UTC", at), pair("2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"));
        // 22 November 2026 is a Sunday; in Tokyo it is already Monday.
        assert_eq!(window(Period::Weekly, "UTC", at), pair("2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"));
        assert_eq!(
            window(Period::Weekly, "Asia/Tokyo", at),
            pair("2026-11-22T15:00:00Z", "2026-11-29T15:00:00Z")
        );
        assert_eq!(window(Period::Monthly, "UTC", at), pair("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"));
        assert_eq!(Calendar::new(Period::Lifetime, "UTC").unwrap().at(millis(at)), Window::LIFETIME);
    }

    #[test]
    fn a_day_with_a_clock_change_has_23_or_25_hours() {
        let spring = window(Period::Daily, "Europe/Berlin", "2026-03-29T10:00:00Z");
        assert_eq!(spring, pair("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"));
        let autumn = window(Period::Daily, "Europe/Berlin", "2026-10-25T10:00:00Z");
        assert_eq!(autumn, pair("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"));
    }

    #[test]
    fn a_midnight_that_does_not_exist_or_exists_twice() {
        // Cairo skipped midnight on 24 April 2026; Samoa skipped 30 December 2011 altogether.
        let cairo = window(Period::Daily, "Africa/Cairo", "2026-04-24T12:00:00Z");
        assert_eq!(cairo, pair("2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"));
        let samoa = window(Period::Daily, "Pacific/Apia", "2011-12-30T09:00:00Z");
        assert_eq!(samoa.1, "2011-12-30T10:00:00Z");
        // 00:01 became 23:01 of the day before: the repeated hour belongs to the new day.
        let john = window(Period::Daily, "America/St_Johns", "2010-11-07T03:00:00Z");
        assert_eq!(john.0, "2010-11-07T02:30:00Z");
    }

    #[test]
    fn windows_follow_each_other_without_gap_or_overlap() {
        for zone in
            ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Africa/Cairo", "America/Havana"]
        {
            for period in [Period::Daily, Period::Weekly, Period::Monthly] {
                let calendar = Calendar::new(period, zone).unwrap();
                let mut window = calendar.at(millis("2009-12-20T00:00:00Z"));
                for _ in 0..1_000 {
                    let next = calendar.after(window).unwrap();
                    assert_eq!(next.start, window.end, "{zone} {period:?}");
                    assert!(next.end > next.start, "{zone} {period:?}");
                    assert_eq!(calendar.at(next.end - 1), next, "{zone} {period:?}");
                    window = next;
                }
            }
        }
    }

    #[test]
    fn an_unknown_zone_is_named() {
        let fault = Calendar::new(Period::Daily, "Europe/Atlantis").unwrap_err();
        assert!(fault.to_string().contains("Europe/Atlantis"));
    }
}
