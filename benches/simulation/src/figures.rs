//! What is counted and measured of a simulation?

use std::collections::VecDeque;
use std::time::Duration;

use crate::agent::{Call, End};
use crate::dependency::{OUTAGE, Request};

const SECOND: Duration = Duration::from_secs(1);
/// How long after the outage the busiest second is looked for.
const RETURN: Duration = Duration::from_secs(10);
/// How long every call has to succeed until everything is well again.
const WELL: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Requests that the dependency got: altogether, in the outage, and in the busiest second and tenth of a second after it.
    pub(crate) requests: usize,
    pub(crate) requests_in_outage: usize,
    pub(crate) busiest_second: usize,
    pub(crate) busiest_tenth: usize,
    /// Retries among these, and the most of them in a tenth of a second.
    pub(crate) retries: usize,
    pub(crate) retries_at_once: usize,
    pub(crate) succeeded: usize,
    pub(crate) failed: usize,
    pub(crate) refused: usize,
    /// Of calls that began in the outage: how long the agent waited until it knew more.
    pub(crate) mean_wait: Duration,
    pub(crate) worst_wait: Duration,
    /// From the end of the outage until calls succeed again; `None` if that is not seen before the end.
    pub(crate) heals_after: Option<Duration>,
    pub(crate) heals_at_worst_after: Option<Duration>,
}

impl Figures {
    /// `lasted`: the whole simulation.
    pub(crate) fn of(requests: &[Request], calls: &[Call], lasted: Duration) -> Figures {
        let ended_as = |end| calls.iter().filter(|call| call.end == end).count();
        let in_outage = calls.iter().filter(|call| is_in_outage(call.began));
        let waits: Vec<_> = in_outage.map(|call| call.ended - call.began).collect();
        let number = u32::try_from(waits.len().max(1)).unwrap_or(u32::MAX);
        let heals_after = heals_after(calls, lasted);
        let retries = || {
            let retries = requests.iter().filter(|request| request.is_retry);
            retries.map(|request| request.at)
        };
        let soon = || {
            let soon = OUTAGE[1]..OUTAGE[1] + RETURN;
            requests
                .iter()
                .map(|request| request.at)
                .filter(move |at| soon.contains(at))
        };
        Figures {
            requests: requests.len(),
            requests_in_outage: requests.iter().filter(|request| is_in_outage(request.at)).count(),
            busiest_second: busiest(SECOND, soon()),
            busiest_tenth: busiest(SECOND / 10, soon()),
            retries: retries().count(),
            retries_at_once: busiest(SECOND / 10, retries()),
            succeeded: ended_as(End::Succeeded),
            failed: ended_as(End::Failed),
            refused: ended_as(End::Refused),
            mean_wait: waits.iter().sum::<Duration>() / number,
            worst_wait: waits.iter().max().copied().unwrap_or_default(),
            heals_after,
            heals_at_worst_after: heals_after,
        }
    }

    /// Their means, and the worst of what is worst.
    pub(crate) fn mean(all: &[Figures]) -> Figures {
        let number = |of: fn(&Figures) -> usize| (all.iter().map(of).sum::<usize>() + all.len() / 2) / all.len();
        let count = u32::try_from(all.len()).unwrap_or(u32::MAX);
        let healed: Option<Vec<_>> = all.iter().map(|figures| figures.heals_after).collect();
        Figures {
            requests: number(|figures| figures.requests),
            requests_in_outage: number(|figures| figures.requests_in_outage),
            busiest_second: number(|figures| figures.busiest_second),
            busiest_tenth: number(|figures| figures.busiest_tenth),
            retries: number(|figures| figures.retries),
            retries_at_once: number(|figures| figures.retries_at_once),
            succeeded: number(|figures| figures.succeeded),
            failed: number(|figures| figures.failed),
            refused: number(|figures| figures.refused),
            mean_wait: all.iter().map(|figures| figures.mean_wait).sum::<Duration>() / count,
            worst_wait: all.iter().map(|figures| figures.worst_wait).max().unwrap_or_default(),
            heals_after: healed.as_ref().map(|times| times.iter().sum::<Duration>() / count),
            heals_at_worst_after: healed.and_then(|times| times.into_iter().max()),
        }
    }
}

fn is_in_outage(at: Duration) -> bool {
    (OUTAGE[0]..OUTAGE[1]).contains(&at)
}

/// The most in any time of this length, wherever it begins; they are in order.
fn busiest(length: Duration, at: impl Iterator<Item = Duration>) -> usize {
    let mut within = VecDeque::new();
    let numbers = at.map(|at| {
        within.push_back(at);
        while within.front().is_some_and(|first| at - *first >= length) {
            within.pop_front();
        }
        within.len()
    });
    numbers.max().unwrap_or(0)
}

/// From the end of the outage until a time of which every call that begins in it succeeds.
fn heals_after(calls: &[Call], lasted: Duration) -> Option<Duration> {
    let mut failures: Vec<_> = calls.iter().filter(|call| call.end != End::Succeeded).collect();
    failures.sort_by_key(|call| call.began);
    let mut well_since = OUTAGE[1];
    for call in failures {
        if call.began >= well_since + WELL {
            break;
        }
        well_since = well_since.max(call.began);
    }
    (well_since + WELL <= lasted).then(|| well_since - OUTAGE[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn failed(began_ms: u64) -> Call {
        let began = Duration::from_millis(began_ms);
        Call {
            began,
            ended: began,
            end: End::Failed,
        }
    }

    fn heals(failures: &[u64], lasted_ms: u64) -> Option<u128> {
        let calls: Vec<_> = failures.iter().map(|at| failed(*at)).collect();
        heals_after(&calls, Duration::from_millis(lasted_ms)).map(|after| after.as_millis())
    }

    #[test]
    fn it_has_healed_when_five_seconds_have_no_failure() {
        assert_eq!(
            heals(&[40_000, 59_999], 200_000),
            Some(0),
            "nothing fails after the outage"
        );
        assert_eq!(
            heals(&[64_999, 69_998, 110_000], 200_000),
            Some(9_998),
            "a later failure is another story"
        );
        assert_eq!(heals(&[64_999], 69_998), None, "too early to know");
        assert_eq!(heals(&[65_000], 200_000), Some(0));
    }

    #[test]
    fn the_busiest_time_may_begin_at_any_moment() {
        let at = [89_990, 90_500, 91_100, 91_450, 91_500, 100_000, 101_000].map(Duration::from_millis);
        assert_eq!(busiest(SECOND, at.into_iter()), 3);
        assert_eq!(busiest(SECOND / 10, at.into_iter()), 2);
        assert_eq!(busiest(SECOND, [].into_iter()), 0);
    }
}
