//! A chat request, answered whole or as a stream.

use super::plan::Plan;
use super::render::{Events, whole};
use super::request::Request;
use super::{Inner, Refusal};

/// Answers; `cut` makes a stream break off half-way.
pub(super) fn answer(body: &[u8], cut: bool) -> Result<Inner, Refusal> {
    let request = Request::read(body)?;
    let plan = Plan::new(&request);
    Ok(if request.streams() {
        Inner::Stream(Box::new(Events::new(plan, request.include_usage(), cut)))
    } else {
        Inner::Whole(Some(whole(&plan)))
    })
}
