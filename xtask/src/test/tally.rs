//! Adds up what cargo's test programs print.

/// The sum so far.
#[derive(Default)]
pub(super) struct Tally {
    /// Tests that passed.
    pub(super) passed: usize,
    /// Tests that failed.
    pub(super) failed: usize,
    failures: Vec<String>,
}

impl Tally {
    /// Takes one line of output in.
    pub(super) fn see(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.failures.push(name.to_owned());
        }
        let Some(result) = line.strip_prefix("test result: ") else { return };
        for (count, what) in result.split([';', '.']).filter_map(|part| part.trim().split_once(' ')) {
            match (count.parse::<usize>(), what) {
                (Ok(count), "passed") => self.passed += count,
                (Ok(count), "failed") => self.failed += count,
                _ => {}
            }
        }
    }

    /// Names of the tests that failed.
    pub(super) fn failures(&self) -> &[String] {
        &self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn results_of_several_programs_add_up() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test a::b ... ok",
            "test a::c ... FAILED",
            "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "test result: ok. 30 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        ] {
            tally.see(line);
        }
        assert_eq!((tally.passed, tally.failed), (42, 1));
        assert_eq!(tally.failures(), ["a::c"]);
    }

    #[test]
    fn other_lines_count_nothing() {
        let mut tally = Tally::default();
        tally.see("12 passed; 3 failed");
        tally.see("test result was fine");
        assert_eq!((tally.passed, tally.failed), (0, 0));
    }
}
