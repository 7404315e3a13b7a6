//! Falsified evidence: each entry spoils a run's evidence in one way, and the rule that it breaks must say so.

use smartflow_ledger_checker::evidence::{Entry, Evidence, Line, Row};
use smartflow_ledger_checker::judge::{Rule, judge};

/// Spoils the evidence; false when the run has nothing to spoil in this way.
type Spoil = fn(&mut Evidence) -> bool;

const FALSIFIED: [(&str, Rule, Spoil); 23] = [
    ("a settle that never reached the lender", Rule::File, |e| {
        let cost = paid(e).cost;
        row(e, |row| row.spent -= cost)
    }),
    ("a settle that was dropped, in the spend file and in the books", Rule::Sum, |e| {
        // Bills of calls whose lines were lost with their pod could stand in for it.
        if !e.kills.is_empty() {
            return false;
        }
        let cost = paid(e).cost;
        e.spent.iter_mut().filter(|file| file.spent >= cost).for_each(|file| file.spent -= cost);
        row(e, |row| row.spent -= cost)
    }),
    ("a call billed twice, in its line", Rule::Exact, |e| {
        paid(e).cost *= 2;
        true
    }),
    ("a call billed twice, in the lender's books", Rule::Sum, |e| {
        // A doubled bill could be that of a call whose line was lost with its pod.
        if !e.kills.is_empty() {
            return false;
        }
        let cost = paid(e).cost;
        row(e, |row| row.spent += cost)
    }),
    ("a call billed a little too much", Rule::Exact, |e| {
        paid(e).cost += 1;
        true
    }),
    ("an estimate above what was reserved", Rule::Estimate, |e| {
        let Some(at) = e.lines.iter().position(|line| line.estimated) else { return false };
        let tag = e.lines[at].tag.clone();
        let most = e.asks.iter().find(|ask| ask.tag == tag).unwrap().most;
        e.lines[at].cost = most * i64::try_from(e.lines[at].attempts).unwrap() + 1;
        true
    }),
    ("an estimate below what was received", Rule::Estimate, |e| {
        let served = |line: &&mut Line| {
            let leg = e.legs.iter().find(|leg| leg.tag == line.tag);
            let ask = e.asks.iter().find(|ask| ask.tag == line.tag);
            line.estimated && leg.is_some_and(|leg| leg.served > 0) && ask.is_some_and(|ask| ask.received > 0)
        };
        e.lines.iter_mut().find(served).map(|line| line.cost = 0).is_some()
    }),
    ("a call that nobody wrote down", Rule::Recorded, |e| {
        if !e.kills.is_empty() {
            return false;
        }
        let tag = paid(e).tag.clone();
        e.lines.retain(|line| line.tag != tag);
        true
    }),
    ("a call written down twice", Rule::Recorded, |e| {
        let line = paid(e).clone();
        e.lines.push(line);
        true
    }),
    ("a bill for a call that nobody made", Rule::Recorded, |e| {
        let line = Line { tag: "nobody".to_owned(), ..paid(e).clone() };
        e.lines.push(line);
        true
    }),
    ("a vendor that served what nobody is billed for", Rule::Served, |e| {
        let limit = e.accounts[0].limit;
        let tag = paid(e).tag.clone();
        e.legs.iter_mut().find(|leg| leg.tag == tag).map(|leg| leg.served += limit).is_some()
    }),
    ("more spent than the limit", Rule::Cap, |e| {
        let limit = e.accounts[0].limit;
        row(e, |row| (row.granted, row.spent) = (row.granted + limit, row.spent + limit))
    }),
    ("more lent than the limit, for one moment", Rule::Cap, |e| {
        let (account, limit) = (e.accounts[0].id, e.accounts[0].limit);
        let frames = &mut e.books.last_mut().unwrap().frames;
        let of = |entry: &Entry| matches!(entry, Entry::Row(row) if row.account == account && !row.closed);
        let Some(at) = frames.iter().position(|frame| frame.iter().any(of)) else { return false };
        let after = frames[at].clone();
        let mut before = after.clone();
        before.iter_mut().for_each(|entry| {
            if let Entry::Row(row) = entry {
                row.granted += limit + 1;
            }
        });
        frames.insert(at, before);
        true
    }),
    ("a statement above the limit", Rule::Cap, |e| {
        let told = e.statements.last_mut().unwrap();
        told.spent = told.limit + 1;
        true
    }),
    ("spent beyond reservations", Rule::Overrun, |e| row(e, |row| row.overrun += 1)),
    ("money lent for ever", Rule::Rest, |e| {
        row(e, |row| (row.closed, row.granted) = (false, row.spent + row.returned + 1))
    }),
    ("money lost with a process that was not killed", Rule::Rest, |e| {
        if !e.kills.is_empty() {
            return false;
        }
        row(e, |row| row.returned -= 1)
    }),
    ("a statement that falls for a moment", Rule::Statement, |e| {
        let limit = e.accounts[0].limit;
        let mut told = e.statements.iter_mut().rev().filter(|told| told.limit == limit && told.spent > 2);
        told.nth(1).map(|told| told.spent = 1).is_some()
    }),
    ("a statement that forgets spend", Rule::Statement, |e| {
        let told = e.statements.last_mut().unwrap();
        told.spent -= 1;
        true
    }),
    ("more lent than the limit, in one look at Redis", Rule::Cap, |e| {
        let limit = e.accounts[0].limit;
        let middle = e.books.len() / 2;
        let rows = e.books[middle].frames.iter_mut().flatten();
        let mut rows = rows.filter_map(|entry| match entry {
            Entry::Row(row) if row.account == e.accounts[0].id && !row.closed => Some(row),
            _ => None,
        });
        rows.next().map(|row| row.granted += limit + 1).is_some()
    }),
    ("a pod that spent more than the lender heard, and lives", Rule::File, |e| {
        let mut files = e.spent.iter_mut().filter(|file| !file.gone && file.spent > 0);
        files.next().map(|file| (file.spent, file.granted) = (file.spent + 1, file.granted + 1)).is_some()
    }),
    ("a pod that is gone and holds more than two leases", Rule::Rest, |e| {
        let (limit, account) = (e.accounts[0].limit, e.accounts[0].id);
        let gone: Vec<u128> = e
            .spent
            .iter()
            .filter(|file| file.gone && file.account == account)
            .map(|file| file.incarnation)
            .collect();
        let mut open = false;
        let frames = &mut e.books.last_mut().unwrap().frames;
        for entry in frames.iter_mut().flatten() {
            if let Entry::Row(row) = entry
                && gone.contains(&row.incarnation)
                && !row.closed
                && row.account == account
            {
                row.granted += limit / 10;
                open = true;
            }
        }
        open
    }),
    ("a vendor that served, for a pod that is gone, more than was spent or lost", Rule::Served, |e| {
        if !e.kills.iter().any(|kill| !kill.back) {
            return false;
        }
        let limit = e.accounts[0].limit;
        let tag = paid(e).tag.clone();
        e.legs.iter_mut().find(|leg| leg.tag == tag).map(|leg| leg.served += limit).is_some()
    }),
];

/// A line with a cost that its vendor reported.
fn paid(e: &mut Evidence) -> &mut Line {
    e.lines.iter_mut().find(|line| !line.estimated && line.cost > 0).unwrap()
}

/// Changes the last row of the first account in the books that spent anything, and whose pod is not gone.
fn row(e: &mut Evidence, change: impl FnOnce(&mut Row)) -> bool {
    let account = e.accounts[0].id;
    let gone: Vec<u128> = e.spent.iter().filter(|file| file.gone).map(|file| file.incarnation).collect();
    let frames = e.books.last_mut().unwrap().frames.iter_mut();
    let mut rows = frames.rev().flatten().filter_map(|entry| match entry {
        Entry::Row(row) if row.account == account && row.spent > 0 && !gone.contains(&row.incarnation) => {
            Some(row)
        }
        _ => None,
    });
    rows.next().map(change).is_some()
}

/// Panics when a falsification is not seen.
pub(super) fn all_are_seen(evidence: &Evidence) {
    let mut spoilt = 0;
    for (name, rule, spoil) in FALSIFIED {
        let mut other = evidence.clone();
        if !spoil(&mut other) {
            continue;
        }
        spoilt += 1;
        let found = judge(&other).violations;
        assert!(found.iter().any(|violation| violation.rule == rule), "{name} is not seen: {found:?}");
    }
    assert!(spoilt * 2 > FALSIFIED.len(), "hardly anything could be spoilt: {spoilt}");
}
