//! A call may be dropped after any poll: what was still under way counts for nothing, and the next call is admitted.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use sandbox_runtime::{BreakerState, CircuitBreaker, Policy, Tool, execute_with_controls};

const COOLDOWN: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(10);
const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(30))
    .max_retries(3)
    .backoff_base(Duration::from_millis(20));

/// What the attempts of a tool do, after `pending` polls that find it pending.
#[derive(Debug, Clone, Copy)]
struct Behaviour {
    pending: u32,
    then: Then,
    /// The poll with which a call ends, of four attempts if they fail. The first is at 0 ms and each further one 10 ms later.
    last_poll: u32,
    /// The same of a call whose breaker opens at the first failure.
    last_poll_of_probe: u32,
}

#[derive(Debug, Clone, Copy)]
enum Then {
    Answer,
    Fail,
    Panic,
    Hang,
}

const BEHAVIOURS: [Behaviour; 7] = [
    Behaviour {
        pending: 0,
        then: Then::Answer,
        last_poll: 1,
        last_poll_of_probe: 1,
    },
    Behaviour {
        pending: 2,
        then: Then::Answer,
        last_poll: 3,
        last_poll_of_probe: 3,
    },
    // After the delays: 20 + 40 + 80 ms.
    Behaviour {
        pending: 0,
        then: Then::Fail,
        last_poll: 15,
        last_poll_of_probe: 1,
    },
    // After the delays, and 10 ms in each attempt.
    Behaviour {
        pending: 1,
        then: Then::Fail,
        last_poll: 19,
        last_poll_of_probe: 2,
    },
    // A panic is not retried.
    Behaviour {
        pending: 0,
        then: Then::Panic,
        last_poll: 1,
        last_poll_of_probe: 1,
    },
    Behaviour {
        pending: 1,
        then: Then::Panic,
        last_poll: 2,
        last_poll_of_probe: 2,
    },
    // After the delays, and 30 ms in each attempt.
    Behaviour {
        pending: 0,
        then: Then::Hang,
        last_poll: 27,
        last_poll_of_probe: 4,
    },
];

/// What is seen of the attempts from inside the tool.
#[derive(Debug, Default)]
struct Seen {
    begun: Cell<u32>,
    succeeded: Cell<u32>,
    /// Ended by an error, a panic or the time limit.
    failed: Cell<u32>,
    call_is_dropped: Cell<bool>,
}

/// Notices when an attempt is dropped before it has ended: by the time limit, unless the call itself is dropped.
struct Running<'a> {
    seen: &'a Seen,
    ended: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.ended && !self.seen.call_is_dropped.get() {
            self.seen.failed.set(self.seen.failed.get() + 1);
        }
    }
}

async fn attempt(seen: &Seen, behaviour: Behaviour) -> Result<(), String> {
    seen.begun.set(seen.begun.get() + 1);
    let mut running = Running { seen, ended: false };
    let mut left = behaviour.pending;
    poll_fn(|_| match left {
        0 => Poll::Ready(()),
        _ => {
            left -= 1;
            Poll::Pending
        }
    })
    .await;
    match behaviour.then {
        Then::Answer => {
            running.ended = true;
            seen.succeeded.set(seen.succeeded.get() + 1);
            Ok(())
        }
        Then::Fail => Err("failed".into()),
        Then::Panic => panic!("dropped anywhere"),
        Then::Hang => std::future::pending().await,
    }
}

/// Polls a call `polls` times, with a step of time before each further one, and drops it. `None`: it ended before.
async fn poll_and_drop(breaker: &CircuitBreaker, behaviour: Behaviour, polls: u32) -> Option<Seen> {
    let seen = Seen::default();
    {
        let tool = Tool::new("tool", || attempt(&seen, behaviour));
        let mut call = pin!(execute_with_controls(POLICY, breaker, tool));
        for poll in 0..polls {
            if poll > 0 {
                tokio::time::advance(STEP).await;
            }
            if poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await.is_ready() {
                return None;
            }
        }
        seen.call_is_dropped.set(true);
    }
    Some(seen)
}

#[tokio::test(start_paused = true)]
async fn while_closed() {
    let breaker = || {
        let breaker = CircuitBreaker::new(100);
        breaker.record_failure();
        breaker
    };
    for behaviour in BEHAVIOURS {
        for polls in 0..behaviour.last_poll {
            let breaker = breaker();
            let seen = poll_and_drop(&breaker, behaviour, polls).await;
            let seen = seen.unwrap_or_else(|| panic!("{behaviour:?} ended within {polls} polls"));
            let case = format!("{behaviour:?} dropped after {polls} polls: {seen:?}");
            // An error that a retry follows is not a mark.
            let marks = match behaviour.then {
                Then::Fail => 0,
                _ => seen.failed.get(),
            };
            assert_eq!(
                breaker.failure_count(),
                1 + marks,
                "something that had not ended the call was counted: {case}"
            );
            assert_eq!(breaker.state(), BreakerState::Closed, "{case}");
            let next = breaker.admit();
            assert!(
                next.is_ok_and(|permit| !permit.is_probe()),
                "the next call is refused: {case}"
            );
        }
        let seen = poll_and_drop(&breaker(), behaviour, behaviour.last_poll).await;
        assert!(
            seen.is_none(),
            "{behaviour:?} has not ended after {} polls: {seen:?}",
            behaviour.last_poll
        );
    }
}

#[tokio::test(start_paused = true)]
async fn while_half_open() {
    for probes in [1, 2] {
        for behaviour in BEHAVIOURS {
            for polls in 0..behaviour.last_poll_of_probe {
                let breaker = half_open(probes).await;
                let seen = poll_and_drop(&breaker, behaviour, polls).await;
                let seen = seen.unwrap_or_else(|| panic!("{behaviour:?} ended within {polls} polls"));
                let case = format!("{behaviour:?} dropped after {polls} polls with {probes} probes: {seen:?}");
                assert_eq!(breaker.state(), BreakerState::HalfOpen, "{case}");
                // Dropped from the only place, the probe may have stood in the way of others: then there are two.
                let places = if probes == 1 && polls > 0 { 2 } else { probes };
                let places: Vec<_> = (0..places).map(|_| breaker.admit()).collect();
                assert!(places.iter().all(Result::is_ok), "a place was lost: {case}");
                assert!(breaker.admit().is_err(), "a place too many: {case}");
            }
            let breaker = half_open(probes).await;
            let polls = behaviour.last_poll_of_probe;
            let seen = poll_and_drop(&breaker, behaviour, polls).await;
            assert!(
                seen.is_none(),
                "{behaviour:?} has not ended after {polls} polls: {seen:?}"
            );
            let expected = match behaviour.then {
                Then::Answer if probes == 1 => BreakerState::Closed,
                Then::Answer => BreakerState::HalfOpen,
                Then::Fail | Then::Panic | Then::Hang => BreakerState::Open { retry_after: COOLDOWN },
            };
            assert_eq!(
                breaker.state(),
                expected,
                "after {behaviour:?} as one of {probes} probes"
            );
        }
    }
}

/// A breaker whose cooldown has passed.
async fn half_open(probes: u32) -> CircuitBreaker {
    let breaker = CircuitBreaker::new(1).cooldown(COOLDOWN).probes(probes);
    breaker.record_failure();
    tokio::time::advance(COOLDOWN).await;
    breaker
}
