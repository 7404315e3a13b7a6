//! The compiler by itself, in this process: a whole world, then one object changed at a time. Timed in CPU time of
//! the one thread that does it all, so that other work on the machine is not counted.

use super::{Fault, Plan, note};
use crate::report::series::Series;
use crate::world;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use smartflow_compile::{Change, Compiled, Compiler, Object, Resources, Settings, compile, load};
use std::hint::black_box;
use std::time::Duration;

/// Most milliseconds of a full compile.
pub const BOUND_MS: f64 = 300.0;
/// Most microseconds of one change.
pub const BOUND_US: f64 = 1_000.0;
/// Virtual keys of the world.
pub const KEYS: u32 = 10_000;
/// Providers of the world, five models each.
pub const PROVIDERS: u32 = 100;
/// Timed changes for each timed full compile.
const CHANGES: u32 = 100;

/// Figures of the compiler.
#[derive(Debug, Default, Serialize)]
pub struct Compile {
    /// Text to objects: YAML, defaults, structure, CEL; milliseconds.
    pub read_ms: Series,
    /// Objects to a snapshot and reports, all of them; milliseconds.
    pub full_ms: Series,
    /// The same after one key changed; microseconds.
    pub change_us: Series,
}

/// Times reading, compiling and changing.
///
/// # Errors
/// When the benchmark's own world has a fault.
pub fn measure(plan: Plan) -> Result<Compile, Fault> {
    let text = world::text(PROVIDERS, KEYS);
    let settings = Settings::default();
    let mut figures = Compile::default();
    for _ in 0..plan.compiles {
        let began = cpu();
        let objects = read(&text)?;
        figures.read_ms.push((cpu() - began).as_secs_f64() * 1e3);
        let resources: Resources = objects.into_iter().collect();
        let began = cpu();
        let compiled = compile(&resources, &settings);
        figures.full_ms.push((cpu() - began).as_secs_f64() * 1e3);
        sound(&compiled)?;
        let mut compiler = Compiler::new(&settings);
        compiler.apply(resources.iter().map(|object| Change::Set(Box::new(object.clone()))));
        changes(&mut compiler, &mut figures)?;
    }
    let (full, change) = (figures.full_ms.median(), figures.change_us.median());
    note(&format!("compile: {full:.0} ms in full, {change:.0} us for one key"));
    Ok(figures)
}

fn changes(compiler: &mut Compiler, figures: &mut Compile) -> Result<(), Fault> {
    for edit in 1..=CHANGES {
        // Spread over the world: neighbours would find each other's data in the cache.
        let number = edit.wrapping_mul(7_919) % KEYS;
        let object = read(&world::granted(number, PROVIDERS, edit))?.pop();
        let change = object.map(|object| Change::Set(Box::new(object)));
        let began = cpu();
        let compiled = compiler.apply(change);
        figures.change_us.push((cpu() - began).as_secs_f64() * 1e6);
        sound(&black_box(compiled))?;
    }
    Ok(())
}

/// CPU time of this thread so far.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

fn read(text: &str) -> Result<Vec<Object>, Fault> {
    let loaded = load(text).map_err(|finding| Fault::World(finding.message.to_string()))?;
    match loaded.findings.first() {
        None => Ok(loaded.objects),
        Some(finding) => Err(Fault::World(finding.message.to_string())),
    }
}

/// A fault would make a figure of work that was not done.
fn sound(compiled: &Compiled) -> Result<(), Fault> {
    let faulty = compiled.reports.iter().find(|report| !report.is_ready());
    faulty.map_or(Ok(()), |report| Err(Fault::World(format!("{report:?}"))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_world_compiles_without_a_finding_and_every_key_is_served() {
        let resources: Resources = read(&world::text(3, 40)).unwrap().into_iter().collect();
        let compiled = compile(&resources, &Settings::default());
        sound(&compiled).unwrap();
        assert_eq!(compiled.reports.len(), 43);
        assert!(compiled.reports.iter().all(|report| report.findings.is_empty()), "{:?}", compiled.reports);
    }
}
