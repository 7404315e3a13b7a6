//! Results as markdown tables.

use super::machine::Machine;
use super::series::Series;
use crate::figures::compile::{self, Compile};
use crate::figures::cpu::Row;
use crate::figures::keys::{self, Keys};
use crate::figures::latency::Latency;
use crate::figures::start::{self, Start};
use crate::figures::{Plan, Results};

/// All tables of a run.
pub(super) fn tables(machine: &Machine, plan: Plan, results: &Results) -> String {
    let mut parts = vec![origin(machine, plan)];
    let bounded = bounded(results);
    if !bounded.is_empty() {
        parts.push(table("Bounds", &["figure", "measured", "range", "bound", "held"], &bounded));
    }
    if !results.cpu.is_empty() {
        let head = ["measured with", "load", "floor µs", "gateway µs", "per", "ratio", "answers/s, one core"];
        parts.push(table("CPU beside the floor", &head, &results.cpu.iter().map(cpu).collect::<Vec<_>>()));
    }
    let agreement = agreement(&results.cpu);
    if !agreement.is_empty() {
        let head = ["load", "ratio, own", "ratio, gwbench", "apart"];
        parts.push(table("The same ratio by two harnesses", &head, &agreement));
    }
    if let Some(latency) = &results.latency {
        parts.push(table(
            "Latency at 500 requests/s (open loop), µs",
            &["way", "p50", "p99", "p50 added", "p99 added"],
            &ways(latency),
        ));
    }
    if let Some(keys) = &results.keys {
        parts.push(table(
            &format!("{} virtual keys", grouped(keys.keys)),
            &["figure", "median", "range"],
            &large(keys),
        ));
    }
    if let Some(compile) = &results.compile {
        let (median, range) = (compile.read_ms.median(), range(&compile.read_ms, 0));
        parts.push(format!(
            "Reading the compiled world from YAML, before compiling it: {median:.0} ms ({range})."
        ));
    }
    parts.join("\n\n")
}

fn origin(machine: &Machine, plan: Plan) -> String {
    format!(
        "{} at commit {}, {}; {} cores of {}, {} GiB, Linux {}; load average at the end {}.\nMedians of {} interleaved \
         rounds, {} s each after {} s of warming up; {} starts, {} changes of a key{}.",
        machine.date,
        machine.commit,
        machine.compiler,
        machine.cores,
        machine.processor,
        machine.memory_gib,
        machine.kernel,
        machine.load_average,
        plan.rounds,
        plan.seconds,
        plan.warmup,
        plan.starts,
        plan.changes,
        if plan.realtime { "; at real-time priority" } else { "" },
    )
}

fn bounded(results: &Results) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for row in results.cpu.iter().filter(|row| row.kit == "own") {
        if let Some(bound) = row.bound {
            let name = format!("CPU per {}, {}: times the floor's", row.unit, row.test);
            rows.push(judged(&name, row.ratio(), &row.ratio_range(), bound, 2, "×"));
        }
    }
    if let Some(start) = &results.start {
        rows.extend(begun(start));
    }
    if let Some(keys) = &results.keys {
        let name = format!("memory per key, {} keys", grouped(keys.keys));
        rows.push(judged(&name, keys.bytes_a_key(), "one reading", keys::BOUND_BYTES, 0, " bytes"));
        let us = &keys.change_us;
        rows.push(judged(
            "one key's change among them: compile and swap",
            us.median(),
            &range(us, 0),
            keys::BOUND_US,
            0,
            " µs",
        ));
    }
    if let Some(compile) = &results.compile {
        rows.extend(compiled(compile));
    }
    rows
}

fn compiled(compile: &Compile) -> [Vec<String>; 2] {
    let (full, change) = (&compile.full_ms, &compile.change_us);
    let world = format!("{} keys, {} providers", grouped(compile::KEYS), compile::PROVIDERS);
    [
        judged(&format!("compile of {world}"), full.median(), &range(full, 0), compile::BOUND_MS, 0, " ms"),
        judged(
            "compile of one key's change in it",
            change.median(),
            &range(change, 0),
            compile::BOUND_US,
            0,
            " µs",
        ),
    ]
}

fn begun(start: &Start) -> [Vec<String>; 2] {
    let (answer, rest) = (&start.first_answer_ms, &start.resident_mib);
    [
        judged("start to first answer", answer.median(), &range(answer, 1), start::BOUND_MS, 1, " ms"),
        judged("resident at rest", rest.median(), &range(rest, 1), start::BOUND_MIB, 1, " MiB"),
    ]
}

fn judged(name: &str, value: f64, range: &str, bound: f64, digits: usize, unit: &str) -> Vec<String> {
    let held = if value <= bound { "yes" } else { "**no**" };
    vec![
        name.to_owned(),
        format!("{value:.digits$}{unit}"),
        range.to_owned(),
        format!("≤ {bound}{unit}"),
        held.to_owned(),
    ]
}

fn cpu(row: &Row) -> Vec<String> {
    vec![
        row.kit.to_owned(),
        row.test.to_owned(),
        spread(&row.floor, 1),
        spread(&row.gateway, 1),
        row.unit.to_owned(),
        format!("{:.2}", row.ratio()),
        format!("{:.0}", row.per_second.median()),
    ]
}

fn agreement(rows: &[Row]) -> Vec<Vec<String>> {
    let (own, other): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.kit == "own");
    let pairs = own.iter().filter_map(|row| Some((*row, *other.iter().find(|o| o.test == row.test)?)));
    let line = |(own, other): (&Row, &Row)| {
        let apart = (own.ratio() / other.ratio() - 1.0) * 100.0;
        vec![
            own.test.to_owned(),
            format!("{:.2}", own.ratio()),
            format!("{:.2}", other.ratio()),
            format!("{apart:+.1} %"),
        ]
    };
    pairs.map(line).collect()
}

fn ways(latency: &Latency) -> Vec<Vec<String>> {
    let direct = &latency.direct;
    let ways = [("direct", direct), ("floor", &latency.floor), ("gateway", &latency.gateway)];
    let line = |(name, way): (&str, &crate::figures::latency::Way)| {
        let added = |of: &Series, less: &Series| format!("{:.0}", of.less(less).median());
        let (p50, p99) = (added(&way.p50, &direct.p50), added(&way.p99, &direct.p99));
        vec![name.to_owned(), spread(&way.p50, 0), spread(&way.p99, 0), p50, p99]
    };
    ways.into_iter().map(line).collect()
}

fn large(keys: &Keys) -> Vec<Vec<String>> {
    let line = |name: &str, series: &Series, digits: usize, unit: &str| {
        vec![name.to_owned(), format!("{:.digits$} {unit}", series.median()), range(series, digits)]
    };
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    vec![
        line("CPU per request, one key", &keys.cpu_one, 1, "µs"),
        line("CPU per request, all keys", &keys.cpu_all, 1, "µs"),
        line("one key changed: compile", &keys.compile_us, 0, "µs"),
        line("one key changed: swap", &keys.activation_us, 0, "µs"),
        line("one key changed: file renamed to served", &keys.rename_to_served_ms, 0, "ms"),
        vec![
            "start to first answer, all keys".to_owned(),
            format!("{:.2} s", keys.first_answer_s),
            String::new(),
        ],
        vec!["resident at rest, one key".to_owned(), mib(keys.resident_one), String::new()],
        vec!["resident at rest, all keys".to_owned(), mib(keys.resident_all), String::new()],
    ]
}

fn range(series: &Series, digits: usize) -> String {
    let (least, most) = series.range();
    format!("{least:.digits$}–{most:.digits$}")
}

fn spread(series: &Series, digits: usize) -> String {
    format!("{:.digits$} ({})", series.median(), range(series, digits))
}

fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn table(title: &str, head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let mut lines = vec![format!("### {title}\n"), line(&head), format!("|{}", "---|".repeat(head.len()))];
    lines.extend(rows.iter().map(|row| line(row)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_that_is_missed_is_said_to_be() {
        assert_eq!(judged("f", 1.61, "-", 1.6, 2, "×").last().map(String::as_str), Some("**no**"));
        assert_eq!(judged("f", 1.6, "-", 1.6, 2, "×").last().map(String::as_str), Some("yes"));
        // Nothing measured is not a bound held.
        assert_eq!(judged("f", f64::NAN, "-", 1.6, 2, "×").last().map(String::as_str), Some("**no**"));
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([7, 1_000, 100_000].map(grouped), ["7", "1,000", "100,000"]);
    }
}
