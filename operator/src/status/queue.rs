//! Which status is written next. Pure: the clock is passed in. At most so many a second, so many at once, never two of one
//! object at the same time; after a failure an object waits, longer each time, and no two wait alike.

use rand::Rng;
use smartflow_compile::ObjectRef;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// Shortest pause of an object after a failure.
const SHORTEST: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(60);

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is written, or the object is gone.
    Done,
    /// Somebody else wrote first; what is seen next decides.
    Conflict,
    /// It failed.
    Failed,
}

/// Objects whose status is to be written.
#[derive(Debug)]
pub struct Queue {
    per_second: f64,
    at_once: usize,
    tokens: f64,
    filled: Instant,
    /// By when, then which.
    due: BTreeSet<(Instant, ObjectRef)>,
    when: HashMap<ObjectRef, Instant>,
    flying: BTreeSet<ObjectRef>,
    failures: HashMap<ObjectRef, u32>,
}

impl Queue {
    /// At most `per_second` writes a second, and `at_once` at a time.
    #[must_use]
    pub fn new(per_second: u32, at_once: usize, now: Instant) -> Self {
        let per_second = f64::from(per_second);
        Self {
            per_second,
            at_once,
            tokens: per_second,
            filled: now,
            due: BTreeSet::new(),
            when: HashMap::new(),
            flying: BTreeSet::new(),
            failures: HashMap::new(),
        }
    }

    /// Objects that wait.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.due.len()
    }

    /// `id` is to be written at `at`, or sooner when it waits for that already; never before its pause is over.
    pub fn put(&mut self, id: &ObjectRef, at: Instant) {
        match self.when.get(id) {
            Some(already) if *already <= at || self.failures.contains_key(id) => {}
            _ => self.set(id, at),
        }
    }

    /// `id` is to be written at `at`, and not sooner: more is known by then. A pause after a failure stays.
    pub fn wait(&mut self, id: &ObjectRef, at: Instant) {
        if !self.failures.contains_key(id) {
            self.set(id, at);
        }
    }

    fn set(&mut self, id: &ObjectRef, at: Instant) {
        if let Some(old) = self.when.insert(id.clone(), at) {
            self.due.remove(&(old, id.clone()));
        }
        self.due.insert((at, id.clone()));
    }

    /// Nothing is to be written of `id` any more.
    pub fn drop(&mut self, id: &ObjectRef) {
        if let Some(old) = self.when.remove(id) {
            self.due.remove(&(old, id.clone()));
        }
        self.failures.remove(id);
    }

    /// Forgets everything that waits, as this replica does not write any more.
    pub fn clear(&mut self) {
        self.due.clear();
        self.when.clear();
        self.failures.clear();
    }

    /// The next object to be written now, if there is one. [`Queue::end`] must follow.
    pub fn next(&mut self, now: Instant) -> Option<ObjectRef> {
        self.fill(now);
        if self.flying.len() >= self.at_once || self.tokens < 1.0 {
            return None;
        }
        let ready = self.due.iter().take_while(|(at, _)| *at <= now);
        let (at, id) = ready.into_iter().find(|(_, id)| !self.flying.contains(id))?.clone();
        self.due.remove(&(at, id.clone()));
        self.when.remove(&id);
        self.tokens -= 1.0;
        self.flying.insert(id.clone());
        Some(id)
    }

    /// A write that [`Queue::next`] named ended. After a failure the object waits.
    pub fn end(&mut self, id: &ObjectRef, outcome: Outcome, now: Instant) {
        self.flying.remove(id);
        match outcome {
            Outcome::Done => {
                self.failures.remove(id);
            }
            Outcome::Conflict | Outcome::Failed => {
                let failures = self.failures.entry(id.clone()).or_default();
                *failures = failures.saturating_add(1);
                let longest = SHORTEST.saturating_mul(1 << (*failures - 1).min(16)).min(LONGEST);
                let pause = longest.mul_f64(rand::rng().random_range(0.5..1.0));
                self.set(id, now + pause);
            }
        }
    }

    /// When to ask again; `None` = when something changes.
    #[must_use]
    pub fn wake(&self, now: Instant) -> Option<Instant> {
        if self.flying.len() >= self.at_once {
            return None;
        }
        let (at, _) = self.due.iter().find(|(_, id)| !self.flying.contains(id))?;
        let short = (1.0 - self.tokens).max(0.0) / self.per_second;
        Some((*at).max(self.filled + Duration::from_secs_f64(short)).max(now))
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.per_second);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smartflow_compile::Kind;
    use smartflow_snapshot::ObjectName;

    fn id(name: &str) -> ObjectRef {
        ObjectRef { kind: Kind::VirtualKey, name: ObjectName::new("n", name) }
    }

    fn queue() -> (Queue, Instant) {
        let now = Instant::now();
        (Queue::new(200, 4, now), now)
    }

    #[test]
    fn no_more_than_the_rate_leave_in_a_second() {
        let (mut queue, start) = queue();
        (0..1000).for_each(|i| queue.put(&id(&i.to_string()), start));
        let mut written = 0;
        for ms in 0..1000 {
            let now = start + Duration::from_millis(ms);
            while let Some(id) = queue.next(now) {
                queue.end(&id, Outcome::Done, now);
                written += 1;
            }
        }
        assert!((399..=400).contains(&written), "a full bucket and one second of refill: {written}");
        let now = start + Duration::from_millis(999);
        let wake = queue.wake(now).unwrap();
        assert!(wake > now && wake <= now + Duration::from_millis(5));
    }

    #[test]
    fn no_more_than_so_many_at_once_and_one_object_never_twice() {
        let (mut queue, now) = queue();
        for name in ["a", "b", "c", "d", "e"] {
            queue.put(&id(name), now);
        }
        let flying: Vec<_> = std::iter::from_fn(|| queue.next(now)).collect();
        assert_eq!(flying.len(), 4);
        assert_eq!(queue.wake(now), None, "until one of them ends");
        queue.put(&flying[0], now);
        queue.end(&flying[1], Outcome::Done, now);
        assert_eq!(queue.next(now), Some(id("e")), "a is being written");
        queue.end(&flying[0], Outcome::Done, now);
        assert_eq!(queue.next(now), Some(id("a")));
    }

    #[test]
    fn pauses_grow_with_failures_and_nothing_cuts_them_short() {
        let (mut queue, start) = queue();
        let mut now = start;
        let mut last = Duration::ZERO;
        for failure in 0..12 {
            queue.put(&id("a"), now);
            let at = queue.wake(now).unwrap();
            last = at - now;
            let longest = (SHORTEST * 2_u32.pow(failure) / 2).min(LONGEST);
            assert!(last <= longest, "{failure}: {last:?}");
            assert!(failure == 0 || last >= longest / 2, "{failure}: {last:?}");
            now = at;
            assert_eq!(queue.next(now), Some(id("a")));
            queue.end(&id("a"), Outcome::Failed, now);
        }
        assert!(last > Duration::from_secs(25), "{last:?}");
        now += LONGEST;
        queue.next(now).unwrap();
        queue.end(&id("a"), Outcome::Done, now);
        queue.put(&id("a"), now);
        assert_eq!(queue.wake(now), Some(now), "forgiven");
    }

    #[test]
    fn the_earlier_of_two_times_counts() {
        let (mut queue, now) = queue();
        let later = now + Duration::from_millis(500);
        queue.put(&id("a"), later);
        assert_eq!(queue.next(now), None);
        queue.put(&id("a"), now);
        queue.put(&id("a"), later);
        queue.wait(&id("b"), now);
        queue.wait(&id("b"), later);
        assert_eq!(queue.next(now), Some(id("a")));
        assert_eq!(queue.next(now), None, "b waits");
        assert_eq!(queue.next(later), Some(id("b")));
        assert_eq!(queue.depth(), 0);
    }
}
