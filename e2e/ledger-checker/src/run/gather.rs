//! What a run left behind, as evidence.

use super::caller::Diary;
use super::stage::Stage;
use crate::evidence::{Leg, Line, Spent};
use crate::pod::{line, spend_file};
use smartflow_e2e::gateway::Gateway;
use smartflow_e2e::money::{cost, served};
use smartflow_e2e::vendor::{Call, End, Usage};

/// Both vendors' models cost what this one does.
const PRICED: &str = "mock-small";

/// Usage lines and spend files of a pod that has ended.
pub(super) fn of_pod(pod: usize, gateway: &Gateway, gone: bool) -> (Vec<Line>, Vec<Spent>) {
    let lines = gateway.usage();
    let told =
        lines.iter().map(|text| line::read(pod, text).unwrap_or_else(|| panic!("no usage line: {text}")));
    let spent = spend_file::read_all(&gateway.data()).unwrap_or_else(|fault| panic!("{fault}"));
    (told.collect(), spent.into_iter().map(|record| Spent { gone, ..record }).collect())
}

/// What the vendors served.
pub(super) fn legs(stage: &Stage, diary: &Diary) -> Vec<Leg> {
    let calls = [&stage.openai, &stage.anthropic].into_iter().flat_map(|vendor| vendor.calls());
    calls.map(|call| leg(diary, &call)).collect()
}

fn leg(diary: &Diary, call: &Call) -> Leg {
    Leg {
        tag: call.tag.clone().unwrap_or_default(),
        began: diary.at(call.at),
        ended: call.ended.map(|at| diary.at(at)),
        refused: matches!(call.end, End::Refused(_)),
        served: served(PRICED, call),
        prompt: served(PRICED, call).min(cost(PRICED, &Usage { prompt: call.prompt, ..Usage::default() })),
        reported: call.reported.map(|usage| cost(PRICED, &usage)),
    }
}
