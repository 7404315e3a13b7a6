//! Between pods and the lender: loss, delay, duplicates. A pod gives up on an answer after 100 ms.

use smartflow_ledger::{
    lender::LenderError,
    message::{Answers, Batch},
};

use super::{Event, MS, World};

const GIVE_UP: u64 = 100 * MS;

impl World {
    fn delay(&mut self) -> u64 {
        let usual = self.dice.between(MS / 4, MS / 2);
        if self.dice.percent(self.faults.slow) { usual + self.dice.between(0, 300 * MS) } else { usual }
    }

    /// Sends everything that a pod has to say.
    pub(crate) fn flush(&mut self, pod: usize) {
        let now = self.now();
        while let Some(out) = self.pods[pod].ledger.as_ref().and_then(|ledger| ledger.outgoing(now)) {
            let life = self.pods[pod].life;
            let batch = out.batch.clone();
            self.pods[pod].sent += 1;
            let number = self.pods[pod].sent;
            self.pods[pod].under_way.insert(number, out);
            if !self.dice.percent(self.faults.loss) {
                let delay = self.delay();
                self.at(delay, Event::Arrive(pod, life, number, Box::new(batch.clone())));
            }
            if self.dice.percent(self.faults.twice) {
                let delay = self.delay() + self.dice.between(0, 800 * MS);
                self.at(delay, Event::Arrive(pod, life, number, Box::new(batch)));
            }
            self.at(GIVE_UP, Event::Timeout(pod, life, number));
        }
    }

    /// A batch reaches the lender, also when its pod is dead by now.
    pub(super) fn arrive(&mut self, pod: usize, life: u32, number: u64, batch: Batch) {
        if self.lender_away || self.pods[pod].cut {
            return;
        }
        let before = self.book.recalls(batch.incarnation, 0).upto;
        let answers = self.lend(&batch);
        if self.book.recalls(batch.incarnation, 0).upto > before {
            for other in 0..self.pods.len() {
                let life = self.pods[other].life;
                let delay = self.delay();
                self.at(delay, Event::Recall(other, life));
            }
        }
        if !self.dice.percent(self.faults.loss) {
            let delay = self.delay();
            self.at(delay, Event::Answer(pod, life, number, Box::new(answers)));
        }
    }

    pub(super) fn answer(&mut self, pod: usize, life: u32, number: u64, answers: Answers) {
        let now = self.now();
        if self.pods[pod].life != life || self.pods[pod].cut {
            return;
        }
        let pod_now = &mut self.pods[pod];
        let Some(out) = pod_now.under_way.remove(&number) else { return };
        let Some(ledger) = &pod_now.ledger else { return };
        ledger.feed(now, &out, Ok(answers));
        self.after(pod);
    }

    pub(super) fn timeout(&mut self, pod: usize, life: u32, number: u64) {
        let now = self.now();
        if self.pods[pod].life != life {
            return;
        }
        let pod_now = &mut self.pods[pod];
        let Some(out) = pod_now.under_way.remove(&number) else { return };
        let Some(ledger) = &pod_now.ledger else { return };
        ledger.feed(now, &out, Err(LenderError::Away("no answer in 100 ms".to_owned())));
        self.after(pod);
    }

    /// The recall stream reaches a pod.
    pub(super) fn recall(&mut self, pod: usize, life: u32) {
        if self.pods[pod].life != life || self.pods[pod].cut {
            return;
        }
        let Some(ledger) = &self.pods[pod].ledger else { return };
        let recalls = self.book.recalls(self.pods[pod].incarnation, ledger.recalls_upto());
        ledger.feed_recalls(&recalls);
        self.after(pod);
    }

    /// After anything that may have changed a pod: waiting calls that were woken look again, messages leave.
    pub(crate) fn after(&mut self, pod: usize) {
        let woken: Vec<u64> = self.pods[pod].woken();
        let life = self.pods[pod].life;
        for call in woken {
            self.poll(pod, life, call);
        }
        self.flush(pod);
    }
}
