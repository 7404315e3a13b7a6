//! A stream cut into events, in whatever pieces it comes.

use super::{boundary, missing, rest_of_line};
use bytes::{Bytes, BytesMut};

/// What to do with an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Hand it out.
    Forward,
    /// Keep it.
    Withhold,
}

/// Whoever reads the events.
pub(crate) trait Judge {
    /// Why the stream cannot go on.
    type Fault;

    /// Takes a whole event, its blank line included. An event that faults is not handed out.
    fn judge(&mut self, event: &[u8]) -> Result<Verdict, Self::Fault>;

    /// An event is longer than `limit` bytes; the judge is closed by it.
    fn too_long(&mut self, limit: usize) -> Self::Fault;

    /// Nothing that follows is read or handed out.
    fn closed(&self) -> bool;
}

/// Bytes of the event that is under way.
pub(crate) struct Frames {
    held: BytesMut,
    /// Where to look for the end of the held event.
    look_from: usize,
    /// Longest event, in bytes.
    limit: usize,
}

impl Frames {
    pub(crate) fn new(limit: usize) -> Self {
        Self { held: BytesMut::new(), look_from: 0, limit }
    }

    /// Takes the next bytes and appends to `out` what is to be handed out: whole events, unchanged, as slices of
    /// `chunk` where no event began in an earlier one.
    #[inline]
    pub(crate) fn feed<J: Judge>(
        &mut self,
        mut chunk: Bytes,
        judge: &mut J,
        out: &mut Vec<Bytes>,
    ) -> Result<(), J::Fault> {
        while !self.held.is_empty() && !chunk.is_empty() {
            let line = chunk.split_to(rest_of_line(&chunk));
            self.held.extend_from_slice(&line);
            if let Some(event) = self.completed(judge)?
                && self.judge(&event, judge)? != Verdict::Withhold
            {
                out.push(event);
            }
        }
        if !chunk.is_empty() {
            self.feed_whole(&chunk, judge, out)?;
        }
        Ok(())
    }

    /// Takes the next bytes; every event is judged and none handed out.
    #[inline]
    pub(crate) fn each<J: Judge>(&mut self, mut chunk: &[u8], judge: &mut J) -> Result<(), J::Fault> {
        while !self.held.is_empty() && !chunk.is_empty() {
            let (line, rest) = chunk.split_at(rest_of_line(chunk));
            chunk = rest;
            self.held.extend_from_slice(line);
            if let Some(event) = self.completed(judge)? {
                self.judge(&event, judge)?;
            }
        }
        while !chunk.is_empty() && !judge.closed() {
            match boundary(chunk, 0) {
                Ok(found) => {
                    let (event, rest) = chunk.split_at(found.end);
                    chunk = rest;
                    self.judge(event, judge)?;
                }
                Err(look_from) => {
                    self.look_from = look_from;
                    self.held.extend_from_slice(chunk);
                    return self.check(self.held.len(), judge);
                }
            }
        }
        Ok(())
    }

    /// The held event, if it has become whole. A line that is taken at a time never holds more than the event.
    fn completed<J: Judge>(&mut self, judge: &mut J) -> Result<Option<Bytes>, J::Fault> {
        match boundary(&self.held, self.look_from) {
            Ok(found) => {
                self.look_from = 0;
                Ok(Some(self.held.split_to(found.end).freeze()))
            }
            Err(look_from) => {
                self.look_from = look_from;
                self.check(self.held.len(), judge)?;
                Ok(None)
            }
        }
    }

    fn feed_whole<J: Judge>(
        &mut self,
        chunk: &Bytes,
        judge: &mut J,
        out: &mut Vec<Bytes>,
    ) -> Result<(), J::Fault> {
        // Events in `run` are handed out as one slice.
        let mut run = 0;
        let mut at = 0;
        while !judge.closed() {
            let found = match boundary(&chunk[at..], 0) {
                Ok(found) => found,
                Err(look_from) => {
                    self.look_from = look_from;
                    self.held.extend_from_slice(&chunk[at..]);
                    break;
                }
            };
            let next = at + found.end;
            let verdict = self.judge(&chunk[at..next], judge);
            if !matches!(verdict, Ok(Verdict::Forward)) {
                push_slice(out, chunk, run, at);
                run = next;
            }
            at = next;
            verdict?;
            if at == chunk.len() {
                break;
            }
        }
        push_slice(out, chunk, run, at);
        self.check(self.held.len(), judge)
    }

    #[inline]
    fn judge<J: Judge>(&mut self, event: &[u8], judge: &mut J) -> Result<Verdict, J::Fault> {
        if judge.closed() {
            return Ok(Verdict::Withhold);
        }
        self.check(event.len(), judge)?;
        judge.judge(event)
    }

    #[inline]
    fn check<J: Judge>(&mut self, size: usize, judge: &mut J) -> Result<(), J::Fault> {
        if size > self.limit {
            self.held = BytesMut::new();
            return Err(judge.too_long(self.limit));
        }
        Ok(())
    }

    /// No bytes will come. An event that lacks only its blank line is completed, and returned when it is to be
    /// handed out.
    pub(crate) fn end<J: Judge>(&mut self, judge: &mut J) -> Result<Option<Bytes>, J::Fault> {
        if self.held.is_empty() || judge.closed() {
            return Ok(None);
        }
        let mut last = std::mem::take(&mut self.held);
        last.extend_from_slice(missing(&last));
        let forward = self.judge(&last, judge)? == Verdict::Forward;
        Ok(forward.then(|| last.freeze()))
    }
}

fn push_slice(out: &mut Vec<Bytes>, chunk: &Bytes, start: usize, end: usize) {
    if start == 0 && end == chunk.len() {
        out.push(chunk.clone());
    } else if start < end {
        out.push(chunk.slice(start..end));
    }
}
