//! CPU time and memory of a process tree, from `/proc`.

use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::time::Duration;

/// One reading of a tree.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Run time of its live threads, from the scheduler; exact.
    scheduled: Duration,
    /// User and system time of its processes and of children they waited for; in clock ticks, so coarse.
    accounted: Duration,
    /// Resident memory, bytes.
    pub resident: u64,
    /// Live threads.
    pub threads: u64,
}

/// What a tree used in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Used {
    /// CPU time, microseconds.
    pub cpu_us: f64,
    /// Share of one core over the window, 0 to 1 (more with several cores).
    pub cpu_share: f64,
    /// CPU per answer completed in the window, microseconds.
    pub cpu_us_per_request: f64,
    /// CPU per event received in the window, microseconds; 0 without events.
    pub cpu_us_per_event: f64,
    /// Resident memory at the end, bytes.
    pub resident: u64,
    /// Threads at the end.
    pub threads: u64,
}

/// The process and all that descend from it. Only the process itself when `/proc` cannot be listed.
#[must_use]
pub fn tree(root: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    if let Ok(entries) = fs::read_dir("/proc") {
        for entry in entries.flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
            let parent = pid.and_then(|pid| stat(pid).ok()).and_then(|fields| number(&fields, 1));
            if let (Some(pid), Some(parent)) = (pid, parent) {
                parents.push((pid, parent));
            }
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        let children = parents.iter().filter(|(_, p)| *p == u64::from(parent)).map(|(pid, _)| *pid);
        found.extend(children.collect::<Vec<_>>());
        next += 1;
    }
    found
}

/// Reads a tree; processes that have ended count as nothing.
#[must_use]
pub fn read(pids: &[u32]) -> Reading {
    let tick = 1e9 / (rustix::param::clock_ticks_per_second().max(1) as f64);
    let page = rustix::param::page_size() as u64;
    let mut sum = Reading::default();
    for &pid in pids {
        let Ok(fields) = stat(pid) else { continue };
        // After the command's name: parent is 1, utime 11, stime 12, cutime 13, cstime 14, rss 21.
        let ticks: u64 = (11..=14).filter_map(|at| number(&fields, at)).sum();
        sum.accounted += Duration::from_secs_f64(ticks as f64 * tick / 1e9);
        sum.resident += number(&fields, 21).unwrap_or(0) * page;
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let nanos = text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
            sum.scheduled += Duration::from_nanos(nanos);
            sum.threads += 1;
        }
    }
    sum
}

impl Reading {
    /// CPU time since an earlier reading.
    #[must_use]
    pub fn cpu_since(&self, earlier: &Self) -> Duration {
        let exact = self.scheduled.saturating_sub(earlier.scheduled);
        let coarse = self.accounted.saturating_sub(earlier.accounted);
        // The scheduler's figure forgets threads that ended; two ticks are within the error of the other.
        if coarse > exact + Duration::from_millis(20) { coarse } else { exact }
    }

    /// What was used since an earlier reading, for so many answers and events in `span`.
    #[must_use]
    pub fn used_since(&self, earlier: &Self, span: Duration, answers: u64, events: u64) -> Used {
        let cpu_us = self.cpu_since(earlier).as_secs_f64() * 1e6;
        let per = |count: u64| if count == 0 { 0.0 } else { cpu_us / count as f64 };
        Used {
            cpu_us,
            cpu_share: cpu_us / (span.as_secs_f64() * 1e6),
            cpu_us_per_request: per(answers),
            cpu_us_per_event: per(events),
            resident: self.resident,
            threads: self.threads,
        }
    }
}

fn stat(pid: u32) -> io::Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold spaces and brackets; it ends at the last closing one.
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    Ok(rest.split_whitespace().map(str::to_owned).collect())
}

fn number(fields: &[String], at: usize) -> Option<u64> {
    fields.get(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_process_that_works_is_seen_to_work() {
        let me = std::process::id();
        let pids = tree(me);
        assert_eq!(pids.first(), Some(&me));
        let before = read(&pids);
        assert!(before.resident > 0 && before.threads > 0);
        // Burns until the reading moves: the kernel updates it, not we.
        let mut spun = 0u64;
        while read(&[me]).cpu_since(&before) < Duration::from_millis(2) {
            spun = std::hint::black_box(spun + 1);
        }
        let used = read(&[me]).used_since(&before, Duration::from_secs(1), 2, 0);
        assert!(used.cpu_us >= 2_000.0);
        assert!((used.cpu_us_per_request * 2.0 - used.cpu_us).abs() < 1e-6);
        assert!(used.cpu_us_per_event.abs() < f64::EPSILON);
    }
}
