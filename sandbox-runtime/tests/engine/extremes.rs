//! No number makes a call panic, overflow, spin or hang.

use std::time::Duration;

use sandbox_runtime::{CircuitBreaker, Jitter, Policy, SandboxConfig, Tool, Verdict, execute_with_controls};
use serde_json::json;

use crate::support::{Script, Step};

const DURATIONS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_millis(1),
    Duration::from_millis(u32::MAX as u64),
    Duration::from_millis(u64::MAX),
    Duration::MAX,
];
const COUNTS: [u32; 4] = [0, 1, u32::MAX - 1, u32::MAX];

/// Enough attempts for anything to happen that will, then an answer.
const STEPS: [Step; 4] = [Step::Fail, Step::AnswerAfter(5), Step::Fail, Step::Answer];

/// Longer than any of the delays that a call begins while it still is to end within the age of the test's clock.
const PATIENCE: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 100);

async fn ends(policy: Policy, breaker: &CircuitBreaker) {
    let script = Script::new(&STEPS);
    let call = execute_with_controls(policy, breaker, || script.run());
    let ended = tokio::time::timeout(PATIENCE, call).await;
    assert!(ended.is_ok(), "{policy:?} with {breaker:?} never ended");
}

#[tokio::test(start_paused = true)]
async fn in_the_policy() {
    for timeout in DURATIONS {
        for base in DURATIONS {
            for bound in DURATIONS.map(Some).into_iter().chain([None]) {
                for max_retries in COUNTS {
                    let mut policy = Policy::new()
                        .timeout(timeout)
                        .backoff_base(base)
                        .max_retries(max_retries);
                    if let Some(bound) = bound {
                        policy = policy.backoff_max(bound).deadline(bound);
                    }
                    for jitter in [Jitter::None, Jitter::Full, Jitter::Equal] {
                        let _ = policy.validate();
                        ends(policy.jitter(jitter), &CircuitBreaker::new(u32::MAX)).await;
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn in_the_config() {
    for timeout_ms in [0, 1, u64::MAX] {
        for max_retries in COUNTS {
            for backoff_base_ms in [0, 1, u64::MAX] {
                let config = SandboxConfig {
                    timeout_ms,
                    max_retries,
                    backoff_base_ms,
                };
                ends(Policy::from(config), &CircuitBreaker::new(5)).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn in_the_breaker() {
    let policy = Policy::new()
        .timeout(Duration::from_secs(1))
        .backoff_base(Duration::from_millis(1));
    for threshold in COUNTS {
        for cooldown in DURATIONS {
            for longest in DURATIONS {
                for probes in COUNTS {
                    let breaker = || {
                        CircuitBreaker::new(threshold)
                            .cooldown(cooldown)
                            .cooldown_max(longest)
                            .probes(probes)
                    };
                    let shared = breaker();
                    for _ in 0..3 {
                        ends(policy, &shared).await;
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_hint() {
    for after in DURATIONS {
        let breaker = CircuitBreaker::new(5);
        let mut failed = false;
        let tool = Tool::new("hinted", || {
            let first = !std::mem::replace(&mut failed, true);
            async move { if first { Err(String::new()) } else { Ok(json!(1)) } }
        })
        .classify(|result| match result {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Retry { after: Some(after) },
        });
        let ended = tokio::time::timeout(PATIENCE, execute_with_controls(Policy::new(), &breaker, tool)).await;
        assert_eq!(ended.expect("the hint was waited out"), Ok(json!(1)), "{after:?}");
    }
}
