//! Gives back the memory that only a start needs: code that reads, checks and compiles the world is a third of the program,
//! and runs again only when the world changes.
//!
//! # Safety
//! The one unsafe call is `madvise(DONTNEED)` on mappings of this very program that are readable, executable and not
//! writable. Their pages are those of the file: the kernel drops them from this process and reads them again, the same
//! bytes, when they run next. Nothing is written to such a mapping (the program has no relocations in its code, and makes
//! no code at run time), so nothing can be lost; a breakpoint that a debugger has set would be. Mappings that are writable
//! or not executable are never touched: relocated constants live there.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long after a start or a change of the world its code is still kept.
const WARM: Duration = Duration::from_secs(1);

/// Says when it is time.
#[derive(Debug, Default)]
pub struct Trim {
    generation: u64,
    since: Option<Instant>,
}

impl Trim {
    /// True once for each `generation` of the world, when it has stayed for a while.
    pub fn is_due(&mut self, generation: u64, now: Instant) -> bool {
        if self.generation != generation {
            (self.generation, self.since) = (generation, Some(now));
        }
        let due = self.since.is_some_and(|since| now.saturating_duration_since(since) >= WARM);
        if due {
            self.since = None;
        }
        due
    }
}

/// Gives the pages of the program's code back; those that serve calls come again at the next call. Returns how many bytes
/// are mapped there.
///
/// # Errors
/// When the system does not say what is mapped, or refuses.
#[cfg(target_os = "linux")]
pub fn code() -> io::Result<usize> {
    let program = fs::read_link("/proc/self/exe")?;
    let mut bytes = 0;
    for range in executable(&fs::read_to_string("/proc/self/maps")?, &program) {
        let (start, length) = (range.start as *mut c_void, range.len());
        // SAFETY: see above; the range is a whole mapping of unwritable code of this program, which is never unmapped.
        unsafe { rustix::mm::madvise(start, length, rustix::mm::Advice::LinuxDontNeed) }?;
        bytes += length;
    }
    Ok(bytes)
}

/// Elsewhere nothing is given back.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn code() -> io::Result<usize> {
    Ok(0)
}

/// Mappings of `program` in `maps` (as in proc(5)) that are code and nothing else.
fn executable(maps: &str, program: &Path) -> Vec<Range<usize>> {
    let of_line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (range, rights) = (words.next()?, words.next()?);
        let path = words.nth(3)?;
        let (start, end) = range.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        (rights == "r-xp" && Path::new(path) == program).then_some(address(start)?..address(end)?)
    };
    maps.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_unwritable_code_of_the_program_itself_is_taken() {
        let maps = "\
            1000-2000 r--p 00000000 fe:00 7 /usr/bin/gateway\n\
            2000-5000 r-xp 00001000 fe:00 7                    /usr/bin/gateway\n\
            5000-6000 rw-p 00004000 fe:00 7 /usr/bin/gateway\n\
            6000-7000 rwxp 00005000 fe:00 7 /usr/bin/gateway\n\
            7000-8000 rw-p 00000000 00:00 0 \n\
            8000-9000 r-xp 00000000 fe:00 9 /usr/lib/libc.so.6\n\
            a000-b000 r-xp 00000000 00:00 0 [vdso]\n";
        let found = executable(maps, Path::new("/usr/bin/gateway"));
        assert_eq!(found.iter().map(|r| (r.start, r.end)).collect::<Vec<_>>(), [(0x2000, 0x5000)]);
        assert!(executable(maps, Path::new("/usr/bin/gateway (deleted)")).is_empty());
    }

    #[test]
    fn what_runs_is_there_again_when_it_runs_next() {
        let before = serde_json::json!({"a": [1, 2.5, "x"]}).to_string();
        assert!(code().unwrap() > 0);
        assert_eq!(serde_json::json!({"a": [1, 2.5, "x"]}).to_string(), before);
    }

    #[test]
    fn each_world_is_trimmed_once_after_a_while() {
        let (mut trim, start) = (Trim::default(), Instant::now());
        let at = |seconds| start + Duration::from_millis(seconds);
        assert!(!trim.is_due(0, at(9_000)), "there is no world yet");
        assert!(!trim.is_due(1, at(10_000)));
        assert!(!trim.is_due(1, at(10_500)));
        assert!(!trim.is_due(2, at(10_900)), "another one came");
        assert!(!trim.is_due(2, at(11_800)));
        assert!(trim.is_due(2, at(11_900)));
        assert!(!trim.is_due(2, at(30_000)), "once is enough");
    }
}
