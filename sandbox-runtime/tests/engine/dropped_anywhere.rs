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

/// What the attempts of a tool do, after so many polls that find it pending.
#[derive(Debug, Clone, Copy)]
struct Behaviour {
    pending: u32,
    then: Then,
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
    },
    Behaviour {
        pending: 2,
        then: Then::Answer,
    },
    Behaviour {
        pending: 0,
        then: Then::Fail,
    },
    Behaviour {
        pending: 1,
        then: Then::Fail,
    },
    Behaviour {
        pending: 0,
        then: Then::Panic,
    },
    Behaviour {
        pending: 1,
        then: Then::Panic,
    },
    Behaviour {
        pending: 0,
        then: Then::Hang,
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
    for behaviour in BEHAVIOURS {
        for polls in 0.. {
            let breaker = CircuitBreaker::new(100);
            breaker.record_failure();
            let Some(seen) = poll_and_drop(&breaker, behaviour, polls).await else {
                break;
            };
            let counted = 1 + seen.failed.get();
            assert_eq!(
                breaker.failure_count(),
                counted,
                "{behaviour:?} dropped after {polls} polls: {seen:?}"
            );
            assert_eq!(breaker.state(), BreakerState::Closed);
            assert!(breaker.admit().is_ok_and(|permit| !permit.is_probe()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_half_open() {
    for probes in [1, 2] {
        for behaviour in BEHAVIOURS {
            for polls in 0.. {
                let breaker = CircuitBreaker::new(1).cooldown(COOLDOWN).probes(probes);
                breaker.record_failure();
                tokio::time::advance(COOLDOWN).await;
                let Some(seen) = poll_and_drop(&breaker, behaviour, polls).await else {
                    break;
                };
                let case = format!("{behaviour:?} dropped after {polls} polls with {probes} probes: {seen:?}");
                if seen.failed.get() > 0 {
                    assert!(matches!(breaker.state(), BreakerState::Open { .. }), "{case}");
                    continue;
                }
                assert_eq!(breaker.state(), BreakerState::HalfOpen, "{case}");
                let places: Vec<_> = (0..probes).map(|_| breaker.admit()).collect();
                assert!(places.iter().all(Result::is_ok), "a place was lost: {case}");
                assert!(breaker.admit().is_err(), "a place too many: {case}");
            }
        }
    }
}
