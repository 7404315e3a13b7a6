//! Items of a list, or members of an object, that may be taken out, each with a comma of its own.

use super::Span;

/// Walks over one list.
#[derive(Default)]
pub(crate) struct Cuts {
    /// An item that stays was seen.
    kept: bool,
    /// Where the items begin that are cut ahead of the first one that stays.
    lead: Option<usize>,
    before: usize,
}

impl Cuts {
    /// The next item lies at `item`; what is to be taken out goes into `out`.
    pub(crate) fn item(&mut self, item: Span, cut: bool, out: &mut Vec<Span>) {
        match (cut, self.kept) {
            (true, true) => out.push(Span { start: self.before, end: item.end }),
            (true, false) => {
                self.lead.get_or_insert(item.start);
            }
            (false, _) => {
                out.extend(self.lead.take().map(|start| Span { start, end: item.start }));
                self.kept = true;
            }
        }
        self.before = item.end;
    }

    /// True when no item stays; then nothing of the list is in `out`.
    pub(crate) fn all(&self) -> bool {
        self.lead.is_some() && !self.kept
    }
}
