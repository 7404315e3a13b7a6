//! `smartflow-ledger-checker`: plays seeds against the gateway that is built beside it, and judges what they left behind.

use clap::{Parser, ValueEnum};
use smartflow_ledger_checker::evidence::Evidence;
use smartflow_ledger_checker::judge::{Verdict, judge, judge_pace};
use smartflow_ledger_checker::run::{FleetPlan, Plan, play, play_fleet, play_rates};
use std::error::Error;
use std::io::{Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Two rounds of the ring of a minute.
const PACE: Duration = Duration::from_secs(125);

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// What is played
    #[arg(long, value_enum, default_value_t = Stand::Alone)]
    stand: Stand,
    /// How many seeds to play
    #[arg(long, default_value_t = 30)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Where the evidence of a seed that failed is kept
    #[arg(long, default_value = "target/ledger-checker")]
    keep: PathBuf,
    /// Judges kept evidence again instead of playing
    #[arg(long, value_name = "FILE")]
    judge: Option<PathBuf>,
}

/// Who lends.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stand {
    /// One gateway that is its own lender
    Alone,
    /// Three gateways and Redis
    Fleet,
    /// Three gateways, Redis, and 60 requests per minute; two minutes each
    Rates,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.judge {
        Some(file) => again(file),
        None => all(&args),
    };
    match done {
        Ok(0) => ExitCode::SUCCESS,
        Ok(bad) => {
            let _ = writeln!(stderr(), "{bad} failed");
            ExitCode::FAILURE
        }
        Err(fault) => {
            let _ = writeln!(stderr(), "smartflow-ledger-checker: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn again(file: &Path) -> Result<u64, Box<dyn Error>> {
    let evidence: Evidence = serde_json::from_slice(&std::fs::read(file)?)?;
    let verdict = judge(&evidence);
    tell(&verdict)?;
    Ok(u64::from(!verdict.violations.is_empty()))
}

fn all(args: &Args) -> Result<u64, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut bad = 0;
    for seed in args.first..args.first.saturating_add(args.seeds) {
        let began = Instant::now();
        let (name, evidence) = match args.stand {
            Stand::Alone => {
                let plan = Plan::of(seed);
                writeln!(stdout(), "{plan}")?;
                ("seed", runtime.block_on(play(&plan)))
            }
            Stand::Fleet => {
                let plan = FleetPlan::of(seed);
                writeln!(stdout(), "{plan}")?;
                ("fleet", runtime.block_on(play_fleet(&plan)))
            }
            Stand::Rates => {
                let (measured, verdict) = judge_pace(&runtime.block_on(play_rates(PACE)));
                writeln!(stdout(), "rates {seed}: {measured:?}")?;
                verdict.violations.iter().try_for_each(|broken| writeln!(stdout(), "  BROKEN {broken}"))?;
                bad += u64::from(!verdict.violations.is_empty());
                continue;
            }
        };
        let took = began.elapsed();
        let verdict = judge(&evidence);
        tell(&verdict)?;
        if args.stand == Stand::Fleet {
            writeln!(stdout(), "  {} troubles happened", evidence.happened)?;
        }
        writeln!(stdout(), "  {:.1} s", took.as_secs_f64())?;
        if !verdict.violations.is_empty() {
            bad += 1;
            std::fs::create_dir_all(&args.keep)?;
            let file = args.keep.join(format!("{name}-{seed}.json"));
            std::fs::write(&file, serde_json::to_vec(&evidence)?)?;
            writeln!(stdout(), "  kept in {}", file.display())?;
        }
    }
    Ok(bad)
}

fn tell(verdict: &Verdict) -> std::io::Result<()> {
    let told = &verdict.summary;
    write!(
        stdout(),
        "  {} calls: {} exact, {} estimated, {} without a line; nano-USD: {} spent, {} lost, {} served",
        told.asks,
        told.exact,
        told.estimated,
        told.lost,
        told.spent,
        told.forfeited,
        told.served
    )?;
    match told.used {
        Some(used) => writeln!(stdout(), "; {used} ‰ used")?,
        None => writeln!(stdout())?,
    }
    for violation in &verdict.violations {
        writeln!(stdout(), "  BROKEN {violation}")?;
    }
    Ok(())
}
