//! [`mark`]: when an attempt that did not succeed leaves a mark on the breaker.
//!
//! A mark means that the tool is not well. A breaker judges what retries could not mend: an error that a retry follows leaves
//! none, and the one with which the call ends leaves one. A timeout and a panic leave one each. A caller's own limits say nothing
//! about the tool.

use crate::failure::AttemptEnd;
use crate::verdict::Verdict;

/// When a mark is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// At once.
    Now,
    /// At the end of the call, unless a retry follows.
    AtTheEnd,
    Never,
}

/// What a mark depends on beside the end of the attempt.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Circumstances {
    /// Whether the attempt is to show whether the tool is well again: then every result decides.
    pub(super) is_probe: bool,
    /// Whether every attempt counts by itself.
    pub(super) counts_attempts: bool,
    /// Whether it was cut before its own time limit, and not by what its tool took: everything around the call is over, or the call
    /// has waited for leave to make the attempt.
    pub(super) is_cut_short: bool,
}

#[inline]
pub(super) fn mark(end: AttemptEnd, circumstances: Circumstances) -> Mark {
    match end {
        AttemptEnd::Returned(Verdict::Success | Verdict::Ignore) => Mark::Never,
        AttemptEnd::TimedOut if circumstances.is_cut_short => Mark::Never,
        AttemptEnd::TimedOut | AttemptEnd::Panicked => Mark::Now,
        AttemptEnd::Returned(_) if circumstances.is_probe || circumstances.counts_attempts => Mark::Now,
        AttemptEnd::Returned(_) => Mark::AtTheEnd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_row() {
        let usual = Circumstances::default();
        let probe = Circumstances {
            is_probe: true,
            ..usual
        };
        let counting = Circumstances {
            counts_attempts: true,
            ..usual
        };
        let over = Circumstances {
            is_cut_short: true,
            ..usual
        };
        let returned = AttemptEnd::Returned;
        for (rule, end, circumstances, expected) in [
            (
                "an error waits for the end",
                returned(Verdict::RETRY),
                usual,
                Mark::AtTheEnd,
            ),
            (
                "also one without a retry",
                returned(Verdict::Fail),
                usual,
                Mark::AtTheEnd,
            ),
            (
                "an error of a probe decides",
                returned(Verdict::RETRY),
                probe,
                Mark::Now,
            ),
            (
                "and is counted where attempts are",
                returned(Verdict::RETRY),
                counting,
                Mark::Now,
            ),
            ("a timeout counts by itself", AttemptEnd::TimedOut, usual, Mark::Now),
            ("a panic too", AttemptEnd::Panicked, usual, Mark::Now),
            (
                "the end of a run is not the tool's",
                AttemptEnd::TimedOut,
                over,
                Mark::Never,
            ),
            ("but an error is", returned(Verdict::RETRY), over, Mark::AtTheEnd),
            ("and a panic", AttemptEnd::Panicked, over, Mark::Now),
            (
                "the caller's fault is not",
                returned(Verdict::Ignore),
                probe,
                Mark::Never,
            ),
            (
                "not where attempts are counted",
                returned(Verdict::Ignore),
                counting,
                Mark::Never,
            ),
            ("a success is not", returned(Verdict::Success), counting, Mark::Never),
        ] {
            assert_eq!(mark(end, circumstances), expected, "{rule}");
        }
    }
}
