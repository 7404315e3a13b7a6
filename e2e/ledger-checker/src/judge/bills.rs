//! Call by call: recorded once, and billed for what was served.

use super::trial::{Rule, Trial};
use crate::evidence::{Ask, AskEnd, Leg, Line};
use std::collections::HashSet;

pub(super) fn check(trial: &mut Trial<'_>) {
    recorded(trial);
    let lines = &trial.evidence.lines;
    for line in lines {
        let Some(ask) = trial.asks.get(&*line.tag).copied() else { continue };
        let legs = trial.legs(&line.tag).to_vec();
        bill(trial, line, ask, &legs);
    }
}

fn recorded(trial: &mut Trial<'_>) {
    let evidence = trial.evidence;
    let mut seen = HashSet::new();
    for line in &evidence.lines {
        if !seen.insert(&line.tag) {
            trial.find(Rule::Recorded, format!("{} has two usage lines", line.tag));
        }
        match trial.asks.get(&*line.tag) {
            None => trial.find(Rule::Recorded, format!("{} was billed and never asked", line.tag)),
            Some(ask) if ask.pod != line.pod => {
                trial.find(Rule::Recorded, format!("{} was asked of another pod than billed it", line.tag));
            }
            Some(_) => {}
        }
        let legs = trial.legs(&line.tag).len() as u64;
        if legs > line.attempts {
            let what = format!("{}: {legs} calls at vendors, {} attempts recorded", line.tag, line.attempts);
            trial.find(Rule::Recorded, what);
        }
    }
    for ask in &evidence.asks {
        let refused = matches!(&ask.end, AskEnd::Lost) && trial.legs(&ask.tag).is_empty();
        if !trial.lines.contains_key(&*ask.tag) && !trial.may_be_lost(ask) && !refused {
            trial.find(Rule::Recorded, format!("{} has no usage line, and its pod was not killed", ask.tag));
        }
    }
    for leg in &evidence.legs {
        if !trial.asks.contains_key(&*leg.tag) {
            trial.find(Rule::Recorded, format!("{:?} was served and never asked", leg.tag));
        }
    }
}

fn bill(trial: &mut Trial<'_>, line: &Line, ask: &Ask, legs: &[&Leg]) {
    if !line.estimated {
        let reported: i64 = legs.iter().filter_map(|leg| leg.reported).sum();
        trial.summary.exact += usize::from(line.cost > 0);
        if line.cost != reported {
            let what = format!("{} was billed {}, its vendors reported {reported}", line.tag, line.cost);
            trial.find(Rule::Exact, what);
        }
        return;
    }
    trial.summary.estimated += 1;
    let least = received(ask, legs);
    // Attempts that no vendor knows of reached none as far as it can tell; the pod cannot tell.
    let free = legs.iter().filter(|leg| leg.refused).count() as u64;
    let paid = i64::try_from(line.attempts.saturating_sub(free)).unwrap_or(i64::MAX);
    let most = ask.most.saturating_mul(paid);
    if line.cost < least || line.cost > most {
        let what = format!("{} was billed {}, not between {least} and {most}", line.tag, line.cost);
        trial.find(Rule::Estimate, what);
    }
}

/// The least that an estimate may be: prompts that were answered, and what the caller received. A vendor may have written
/// more than anybody read, when the caller left or the budget ended.
fn received(ask: &Ask, legs: &[&Leg]) -> i64 {
    let sum = |part: fn(&Leg) -> i64| legs.iter().map(|leg| part(leg)).sum::<i64>();
    sum(|leg| leg.served).min(sum(|leg| leg.prompt) + ask.received)
}
