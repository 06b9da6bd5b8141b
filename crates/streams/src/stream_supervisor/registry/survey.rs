//! Surveys of the registry, for observers: a page of it, its quarantined streams, how many there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use streamkeeper_protocol::StreamName;
use streamkeeper_supervisor::{ChildCounts, ExitReason};

use super::{Registry, Slot, SlotState};
use crate::stream_supervisor::Handle;

/// One slot at one moment.
#[derive(Debug)]
pub(crate) struct Surveyed {
    pub(crate) state: SurveyedState,
    pub(crate) restarts: u64,
    pub(crate) last_crash: Option<Arc<ExitReason>>,
}

#[derive(Debug)]
pub(crate) enum SurveyedState {
    Starting,
    Restarting,
    Running(Arc<Handle>),
    Quarantined(Arc<str>),
}

impl Surveyed {
    fn of(slot: &Slot) -> Self {
        let state = match &slot.state {
            SlotState::Starting(_) if slot.ran => SurveyedState::Restarting,
            SlotState::Starting(_) => SurveyedState::Starting,
            SlotState::Running(handle) => SurveyedState::Running(handle.clone()),
            SlotState::Quarantined(reason) => SurveyedState::Quarantined(reason.clone()),
        };
        Self { state, restarts: slot.restarts, last_crash: slot.last_crash.clone() }
    }
}

impl Registry {
    /// The actor of a stream, if it has one. Does not count as a use.
    pub(crate) fn peek(&self, name: &StreamName) -> Option<Arc<Handle>> {
        match &self.slots.get(name)?.state {
            SlotState::Running(handle) => Some(handle.clone()),
            SlotState::Starting(_) | SlotState::Quarantined(_) => None,
        }
    }

    /// The first `limit` names after `after`, in order, and whether there are more.
    ///
    /// Looks at every name and keeps no more than the page: nothing is sorted but that.
    pub(crate) fn survey(
        &self,
        after: Option<&StreamName>,
        limit: usize,
    ) -> (BTreeMap<StreamName, Surveyed>, bool) {
        let mut page: BTreeMap<StreamName, Surveyed> = BTreeMap::new();
        let mut more = false;
        for slot in self.slots.iter().filter(|slot| after.is_none_or(|after| slot.key() > after)) {
            if page.len() == limit {
                more = true;
                if page.last_key_value().is_none_or(|(last, _)| slot.key() > last) {
                    continue;
                }
                page.pop_last();
            }
            page.insert(slot.key().clone(), Surveyed::of(slot.value()));
        }
        (page, more)
    }

    /// All quarantined streams with the reason, in order.
    pub(crate) fn in_quarantine(&self) -> BTreeMap<StreamName, Arc<str>> {
        let reason = |slot: &Slot| match &slot.state {
            SlotState::Quarantined(reason) => Some(reason.clone()),
            SlotState::Starting(_) | SlotState::Running(_) => None,
        };
        self.slots.iter().filter_map(|slot| Some((slot.key().clone(), reason(&slot)?))).collect()
    }

    /// How many streams have an actor, or would if it had not crashed.
    pub(crate) fn count(&self) -> ChildCounts {
        let mut counts = ChildCounts::default();
        for slot in &self.slots {
            counts.total += 1;
            match &slot.state {
                SlotState::Running(_) => counts.running += 1,
                SlotState::Starting(_) if slot.ran => counts.restarting += 1,
                SlotState::Starting(_) => {}
                SlotState::Quarantined(_) => counts.quarantined += 1,
            }
        }
        counts
    }
}
