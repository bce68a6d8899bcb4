//! [`Plan`]: which fault does an attempt get?

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Fault, Faults, Rule, When};
use crate::backoff::mixed;
use crate::observe::ObservedTool;
use crate::policy::nearest;
use crate::registry::{Named, all_tools, named};
use crate::surroundings::Attachment;

/// Faults in a scope, and how far its story is.
#[derive(Debug)]
pub(crate) struct Plan {
    faults: Faults,
    /// The attempts of each tool until now.
    attempts: Mutex<HashMap<&'static str, u64>>,
}

impl Plan {
    pub(super) fn new(faults: Faults) -> Plan {
        Plan {
            faults,
            attempts: Mutex::default(),
        }
    }

    /// The names in its rules that no annotated function has, with one that is near.
    pub(super) fn unknown_tools(&self) -> impl Iterator<Item = (&str, Option<&'static str>)> {
        let names = self.faults.rules.iter().filter_map(|rule| rule.tool.as_deref());
        let unknown = names.filter(|name| matches!(named(name), Named::Nobody));
        unknown.map(|name| (name, nearest(name, all_tools().map(|tool| tool.name()))))
    }

    /// Counts an attempt of a tool, and returns its position.
    fn next_position(&self, tool: &'static str) -> u64 {
        // Nothing panics while it is locked.
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let attempts = attempts.entry(tool).or_default();
        *attempts += 1;
        *attempts
    }
}

impl Attachment for Plan {
    fn fault(&self, tool: &ObservedTool) -> Option<Fault> {
        self.faults.fault_at(tool, self.next_position(tool.name))
    }
}

impl Faults {
    /// The fault of the attempt of a tool at a position: a function of these and of the plan, and of nothing else.
    fn fault_at(&self, tool: &ObservedTool, position: u64) -> Option<Fault> {
        let mut place = self.place_of(tool.name, position);
        for rule in self.rules.iter().filter(|rule| rule.concerns(tool)) {
            let is_met = match rule.when {
                When::Always => true,
                When::At(first, last) => (first..=last).contains(&position),
                // Each rule has its own part of the range: next to those of the rules before it.
                When::Share(share) => match place.checked_sub(share) {
                    None => true,
                    Some(behind) => {
                        place = behind;
                        false
                    }
                },
            };
            if is_met {
                return rule.fault;
            }
        }
        None
    }

    /// Where in the range of all shares an attempt lies.
    fn place_of(&self, tool: &str, position: u64) -> u64 {
        let seeded = mixed(self.seed);
        let named = tool
            .bytes()
            .fold(seeded, |mixture, byte| mixed(mixture ^ u64::from(byte)));
        mixed(named ^ position) % When::ALL
    }
}

impl Rule {
    fn concerns(&self, tool: &ObservedTool) -> bool {
        let Some(name) = self.tool.as_deref() else {
            return true;
        };
        name == tool.name || tool.handle.is_some_and(|handle| handle.is_named(name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The positions from 1 to `until` at which a tool gets a fault.
    fn story(faults: &Faults, tool: &'static str, until: u64) -> Vec<(u64, Fault)> {
        let tool = ObservedTool::new(tool, None);
        let fault = |position| Some((position, faults.fault_at(&tool, position)?));
        (1..=until).filter_map(fault).collect()
    }

    #[test]
    fn shares_are_kept_and_add_up() {
        let faults = Faults::seeded(7)
            .on("search", Fault::Hang.share(0.2))
            .on("search", Fault::Panic.share(0.2))
            .everywhere(Fault::Fail.share(0.6));
        let story = story(&faults, "search", 100_000);
        let count = |fault| story.iter().filter(|(_, met)| *met == fault).count();
        // The seed is fixed, and with it the counts: those expected are 20 000, 20 000 and 60 000.
        assert_eq!(story.len(), 100_000, "together they are all");
        assert!(count(Fault::Hang).abs_diff(20_000) < 500, "{}", count(Fault::Hang));
        assert!(count(Fault::Panic).abs_diff(20_000) < 500, "{}", count(Fault::Panic));
    }

    #[test]
    fn shares_out_of_range_are_none_or_all() {
        for (share, attempts) in [
            (f64::NAN, 0),
            (-1.0, 0),
            (0.0, 0),
            (1.0, 50),
            (7.0, 50),
            (f64::INFINITY, 50),
        ] {
            let faults = Faults::seeded(7).everywhere(Fault::Hang.share(share));
            assert_eq!(story(&faults, "search", 50).len(), attempts, "a share of {share}");
        }
    }

    proptest! {
        #[test]
        fn a_later_rule_changes_nothing_that_earlier_rules_decide(seed: u64, share in 0.0..1.0, later in 0.0..1.0) {
            let faults = Faults::seeded(seed).on("search", Fault::Hang.share(share));
            let earlier = story(&faults, "search", 50);
            let mut both = story(&faults.everywhere(Fault::Panic.share(later)), "search", 50);
            both.retain(|(_, fault)| *fault == Fault::Hang);
            prop_assert_eq!(both, earlier);
        }
    }
}
