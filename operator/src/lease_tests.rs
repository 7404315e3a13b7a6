//! Two replicas and one Lease.

use super::*;
use crate::scripted::{Kept, client};
use std::sync::{Arc, Mutex};

const DURATION: Duration = Duration::from_secs(15);

struct Replica {
    elector: Elector,
    terms: watch::Receiver<Option<Term>>,
}

fn replica(holder: &str, lease: &Arc<Mutex<Kept>>) -> Replica {
    let lease = lease.clone();
    let client = client(move |asked| lease.lock().unwrap().answer(&asked));
    let (send, terms) = watch::channel(None);
    let settings = Settings {
        namespace: "smartflow-system".to_owned(),
        name: "smartflow-operator".to_owned(),
        holder: holder.to_owned(),
        duration: DURATION,
    };
    Replica { elector: Elector::new(client, settings, send), terms }
}

impl Replica {
    async fn turn(&mut self) -> Option<Term> {
        self.elector.turn().await.unwrap();
        *self.terms.borrow()
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_has_it_and_the_second_waits_until_it_was_silent_for_the_whole_duration() {
    let lease = Arc::default();
    let (mut a, mut b) = (replica("a", &lease), replica("b", &lease));
    let term = a.turn().await.expect("nobody had it");
    assert_eq!(term.until, Instant::now() + DURATION - MARGIN);
    assert_eq!(b.turn().await, None);
    tokio::time::advance(DURATION - Duration::from_millis(1)).await;
    assert_eq!(b.turn().await, None);
    assert_eq!(term.left(Instant::now()), None, "whoever had it stopped before others may begin");
    tokio::time::advance(Duration::from_millis(1)).await;
    let next = b.turn().await.expect("a was silent");
    assert_eq!(next.number, 1);
    assert_eq!(a.turn().await, None, "a wakes up, and does not write any more");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_keeps_the_term_and_its_epoch_and_others_out() {
    let lease = Arc::default();
    let (mut a, mut b) = (replica("a", &lease), replica("b", &lease));
    let first = a.turn().await.unwrap();
    for _ in 0..10 {
        tokio::time::advance(DURATION / 2).await;
        let term = a.turn().await.unwrap();
        assert_eq!((term.number, term.epoch), (first.number, first.epoch));
        assert_eq!(term.until, Instant::now() + DURATION - MARGIN);
        assert_eq!(b.turn().await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_that_reach_for_it_at_once_one_has_it() {
    let lease: Arc<Mutex<Kept>> = Arc::default();
    let mut a = replica("a", &lease);
    // Between a's look and a's write, b wrote.
    let theirs = lease.clone();
    let mut looked = false;
    let client = client(move |asked| {
        if !looked {
            looked = true;
            return theirs.lock().unwrap().answer(&asked);
        }
        let mut kept = theirs.lock().unwrap();
        if kept.object.is_none() {
            let mut taken = asked.clone();
            taken.body["spec"]["holderIdentity"] = json!("b");
            kept.answer(&taken);
        }
        kept.answer(&asked)
    });
    a.elector.api = Api::namespaced(client, "smartflow-system");
    assert_eq!(a.turn().await, None);
    assert_eq!(lease.lock().unwrap().object.as_ref().unwrap()["spec"]["holderIdentity"], "b");
}

#[tokio::test(start_paused = true)]
async fn the_epoch_of_one_holder_is_known_to_the_next() {
    let lease: Arc<Mutex<Kept>> = Arc::default();
    let (mut a, mut b) = (replica("a", &lease), replica("b", &lease));
    let term = a.turn().await.unwrap();
    assert_eq!(term.epoch, 0);
    note(&of(&lease), &a.elector.settings, term, EPOCH, "7").await.unwrap();
    b.turn().await;
    tokio::time::advance(DURATION).await;
    assert_eq!(b.turn().await.unwrap().epoch, 7);

    // The first one slept meanwhile: whatever it believes, it writes nothing into the Lease of the second.
    let writes = lease.lock().unwrap().writes;
    let over = note(&of(&lease), &a.elector.settings, term, EPOCH, "6").await;
    assert!(matches!(over, Err(LeaseError::Lost { .. })), "{over:?}");
    let believes = Term { until: Instant::now() + DURATION, ..term };
    let over = note(&of(&lease), &a.elector.settings, believes, EPOCH, "6").await;
    assert!(matches!(over, Err(LeaseError::Lost { .. })), "{over:?}");
    assert_eq!(lease.lock().unwrap().writes, writes);
}

/// A client of a server that keeps `lease`.
fn of(lease: &Arc<Mutex<Kept>>) -> Client {
    let lease = lease.clone();
    client(move |asked| lease.lock().unwrap().answer(&asked))
}

/// Fault 10: whoever was paused past its term would else mint an epoch that is later than its successor's.
#[tokio::test(start_paused = true)]
async fn whoever_loses_it_between_its_look_and_its_write_notes_nothing() {
    let lease: Arc<Mutex<Kept>> = Arc::default();
    let mut a = replica("a", &lease);
    let settings = a.elector.settings.clone();
    let term = a.turn().await.unwrap();
    let (theirs, mut looked) = (lease.clone(), false);
    let between = client(move |asked| {
        let mut kept = theirs.lock().unwrap();
        let answer = kept.answer(&asked);
        if !std::mem::replace(&mut looked, true) {
            let object = kept.object.as_mut().unwrap();
            object["metadata"]["resourceVersion"] = json!("later");
            object["spec"]["holderIdentity"] = json!("b");
        }
        answer
    });
    let over = note(&between, &settings, term, EPOCH, "7").await.unwrap_err();
    assert!(matches!(over, LeaseError::Lost { .. }), "{over}");
    assert_eq!(lease.lock().unwrap().object.as_ref().unwrap()["metadata"]["annotations"], json!(null));
}

#[tokio::test(start_paused = true)]
async fn an_epoch_is_noted_within_the_term_or_not_at_all() {
    let lease = Arc::default();
    let mut a = replica("a", &lease);
    let term = Term { until: Instant::now() + Duration::from_secs(3), ..a.turn().await.unwrap() };
    let began = Instant::now();
    let client = crate::scripted::silent();
    let silence = note(&client, &a.elector.settings, term, EPOCH, "7");
    let silence = tokio::time::timeout(DURATION, silence).await.expect("it does not wait for ever");
    assert!(matches!(silence, Err(LeaseError::Silence { .. })));
    assert_eq!(began.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn whoever_ends_gives_it_back() {
    let lease = Arc::default();
    let (a, mut b) = (replica("a", &lease), replica("b", &lease));
    let (stop, stopped) = watch::channel(false);
    let mut terms = a.terms.clone();
    let running = tokio::spawn(a.elector.run(stopped));
    terms.wait_for(Option::is_some).await.unwrap();
    assert_eq!(b.turn().await, None);
    stop.send(true).unwrap();
    running.await.unwrap();
    assert!(b.turn().await.is_some(), "without waiting");
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_renew_stops_in_time() {
    let lease: Arc<Mutex<Kept>> = Arc::default();
    let mut a = replica("a", &lease);
    let (_stop, stopped) = watch::channel(false);
    let first = a.turn().await.unwrap();
    a.elector.api = Api::namespaced(client(|_| crate::scripted::refusal(500, "InternalError")), "n");
    let mut terms = a.terms.clone();
    let _running = tokio::spawn(a.elector.run(stopped));
    terms.wait_for(Option::is_none).await.unwrap();
    assert!(Instant::now() >= first.until && Instant::now() <= first.until + Duration::from_millis(100));
}
