//! The budget of an agent's run: every call inside its scope obeys it, and no other call does.

use std::cell::Cell;
use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sandbox_runtime::{
    Budget, CircuitBreaker, Failure, FailureKind, Policy, SandboxError, Tool, execute_with_controls,
};
use tokio::time::Instant;

const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(1_000))
    .max_retries(3)
    .backoff_base(Duration::from_millis(100));

const SECOND: Duration = Duration::from_secs(1);

/// A call whose attempts all hang.
async fn hang(policy: Policy) -> Failure {
    let breaker = CircuitBreaker::disabled();
    let failure = Cell::new(None);
    let tool = Tool::new("search", pending::<Result<(), ()>>).on_failure(|ended| {
        failure.set(Some(ended));
        Ok(())
    });
    execute_with_controls(policy, &breaker, tool)
        .await
        .expect("the call ended with a failure");
    failure.take().expect("the call ended with a failure")
}

/// How many attempts a call makes if the first `failing` of them fail.
async fn attempts_of_call(failing: u32) -> u32 {
    let breaker = CircuitBreaker::disabled();
    let attempts = AtomicU32::new(0);
    let tool = Tool::new("search", || {
        let fails = attempts.fetch_add(1, Ordering::Relaxed) < failing;
        async move { if fails { Err(String::from("503")) } else { Ok(()) } }
    });
    let _ = execute_with_controls(POLICY, &breaker, tool).await;
    attempts.into_inner()
}

#[tokio::test(start_paused = true)]
async fn a_deadline_cuts_the_call_under_way() {
    let start = Instant::now();
    let failure = Budget::new().deadline(SECOND * 3 / 2).scope(hang(POLICY)).await;
    assert_eq!((failure.kind, failure.attempts), (FailureKind::DeadlineExceeded, 2));
    assert_eq!((failure.deadline_ms, failure.elapsed_ms), (Some(1_500), 1_500));
    assert_eq!(start.elapsed().as_millis(), 1_500);
}

#[tokio::test(start_paused = true)]
async fn a_call_has_what_the_calls_before_it_have_left() {
    let (first, second, third) = Budget::new()
        .deadline(SECOND * 3 / 2)
        .scope(async {
            (
                hang(POLICY.max_retries(0)).await,
                hang(POLICY).await,
                hang(POLICY).await,
            )
        })
        .await;
    assert_eq!(first.kind, FailureKind::Timeout);
    assert_eq!(
        (second.kind, second.deadline_ms, second.elapsed_ms),
        (FailureKind::DeadlineExceeded, Some(500), 500)
    );
    assert_eq!(
        (third.kind, third.attempts),
        (FailureKind::DeadlineExceeded, 0),
        "not begun"
    );
    assert!(
        !third.may_have_executed,
        "a call that was not begun may have taken effect"
    );
    assert_eq!(third.to_string(), "`search` was not called: no time was left");
    assert_eq!(
        third.for_model(),
        "`search` was not called: there is no time left. Finish with what you have."
    );
}

/// Whichever tool ends first by what is used up.
#[tokio::test(start_paused = true)]
async fn a_model_is_told_once_that_a_run_is_over() {
    const OVER: &str = "No tool will be called any more in this run. ";
    let texts = async |budget: Budget, tools: [&'static str; 3]| {
        let call = async |name| {
            // Its error is the text.
            let tool = Tool::new(name, pending::<Result<(), String>>);
            let breaker = CircuitBreaker::disabled();
            execute_with_controls(POLICY.max_retries(0), &breaker, tool)
                .await
                .unwrap_err()
        };
        budget
            .scope(async { [call(tools[0]).await, call(tools[1]).await, call(tools[2]).await] })
            .await
    };
    let timed_out = "timed out after 1 s. Calling it again does no harm, but the same request is unlikely to be answered: ask for less, \
                     or go on without it.";
    let [first, second, third] = texts(Budget::new().calls(1), ["fetch", "search", "find"]).await;
    assert_eq!(first, format!("`fetch` {timed_out}"));
    assert_eq!(
        second,
        format!("`search` was not called: there are no calls of tools left. {OVER}Finish with what you have.")
    );
    assert_eq!(
        third,
        "`find` was not called: there are no calls of tools left. Finish with what you have."
    );
    let inner = async || texts(Budget::new().calls(0), ["fetch", "search", "find"]).await;
    let [first, ..] = Budget::new().scope(inner()).await;
    assert_eq!(
        first, "`fetch` was not called: there are no calls of tools left. Finish with what you have.",
        "of a run within the run, the model knows nothing"
    );
    let time = Budget::new().deadline(Duration::from_millis(500));
    let [first, second, _] = texts(time, ["fetch", "search", "find"]).await;
    assert_eq!(
        first,
        format!("`fetch` did not finish in the 500 ms that it had. {OVER}Finish with what you have.")
    );
    assert_eq!(
        second,
        "`search` was not called: there is no time left. Finish with what you have."
    );
}

/// Its text is for programs, so that the model has not read that the run is over.
#[tokio::test(start_paused = true)]
async fn an_error_that_is_made_from_a_sandbox_error_tells_no_model() {
    let breaker = CircuitBreaker::disabled();
    let typed = async |policy: Policy| {
        let tool = Tool::new("fetch", pending::<Result<(), SandboxError>>);
        execute_with_controls(policy, &breaker, tool).await.unwrap_err()
    };
    Budget::new()
        .calls(0)
        .scope(async {
            assert_eq!(typed(POLICY).await, SandboxError::CallBudgetSpent);
            assert_eq!(typed(POLICY).await, SandboxError::CallBudgetSpent);
            let over = "No tool will be called any more in this run. Finish with what you have.";
            assert!(
                hang(POLICY).await.for_model().ends_with(over),
                "no failure has told the model"
            );
            typed(POLICY).await;
            assert_eq!(Budget::notice(), None, "it is told once");
        })
        .await;
    Budget::new()
        .retries(0)
        .scope(async {
            typed(POLICY).await;
            let told = "No call that fails will be tried again in this run. Go on without it.";
            assert_eq!(Budget::notice(), Some(told), "the error's text has not told the model");
            typed(POLICY).await;
            assert_eq!(Budget::notice(), None, "it is told once");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_model_is_told_once_that_there_are_no_retries_left() {
    let [first, second] = Budget::new()
        .retries(0)
        .scope(async { [hang(POLICY).await, hang(POLICY).await].map(|failure| failure.for_model()) })
        .await;
    let advice = "Calling it again does no harm, but the same request is unlikely to be answered: ask for less, or go on without it.";
    let told = "No call that fails will be tried again in this run.";
    assert_eq!(first, format!("`search` timed out after 1 s. {told} {advice}"));
    assert_eq!(second, format!("`search` timed out after 1 s. {advice}"));
}

/// An error that a tool returns stays as it is: a program that writes to the model asks for the rest.
#[tokio::test(start_paused = true)]
async fn a_model_that_meets_errors_of_tools_is_told_once_as_well() {
    const NO_CALLS: Option<&str> = Some("No tool will be called any more in this run. Finish with what you have.");
    const NO_RETRIES: Option<&str> = Some("No call that fails will be tried again in this run. Go on without it.");
    let fail = async || {
        let breaker = CircuitBreaker::disabled();
        let tool = Tool::new("search", async || Err::<(), _>("no index".to_owned()));
        execute_with_controls(POLICY.max_retries(1), &breaker, tool)
            .await
            .unwrap_err()
    };
    let failing = async || (fail().await, Budget::notice());
    let retries = Budget::new().retries(1).scope(async {
        assert_eq!(failing().await, ("no index".to_owned(), None), "it has had its retries");
        assert_eq!(failing().await, ("no index".to_owned(), NO_RETRIES));
        assert_eq!(failing().await, ("no index".to_owned(), None), "it has been told");
    });
    retries.await;
    let calls = Budget::new().calls(1).scope(async {
        assert_eq!(failing().await, ("no index".to_owned(), NO_CALLS));
        let refused = "`search` was not called: there are no calls of tools left. Finish with what you have.";
        assert_eq!(failing().await, (refused.to_owned(), None), "it has been told");
    });
    calls.await;
    let said_by_a_failure = Budget::new().calls(0).scope(async {
        assert!(
            fail().await.contains("No tool will be called any more"),
            "a failure says it"
        );
        assert_eq!(Budget::notice(), None);
    });
    said_by_a_failure.await;
    let time = Budget::new().deadline(Duration::from_millis(1)).scope(async {
        assert_eq!(Budget::notice(), None, "there is time");
        tokio::time::sleep(Duration::from_millis(1)).await;
        Budget::notice()
    });
    assert_eq!(time.await, NO_CALLS);
    assert_eq!(Budget::notice(), None, "outside of a run");
}

/// Whoever asks writes to the model of the closest run; the words of a failure are for the model of the outermost.
#[tokio::test(start_paused = true)]
async fn of_runs_within_each_other_each_is_told_of_its_own() {
    let inner = Budget::new().calls(0).scope(async {
        let failure = hang(POLICY).await.for_model();
        assert!(!failure.contains("in this run"), "{failure}");
        Budget::notice()
    });
    let outer = Budget::new()
        .retries(7)
        .scope(async { (inner.await, Budget::notice()) });
    let told = "No tool will be called any more in this run. Finish with what you have.";
    assert_eq!(outer.await, (Some(told), None));
}

#[tokio::test(start_paused = true)]
async fn the_nearer_of_two_deadlines_counts() {
    let own = POLICY.deadline(SECOND * 2);
    let failure = Budget::new().deadline(SECOND * 3).scope(hang(own)).await;
    assert_eq!(failure.deadline_ms, Some(2_000), "the call's own");
    let failure = Budget::new().deadline(SECOND).scope(hang(own)).await;
    assert_eq!(failure.deadline_ms, Some(1_000), "the run's");
}

#[tokio::test(start_paused = true)]
async fn a_delay_that_would_end_after_the_run_is_not_begun() {
    let start = Instant::now();
    let policy = POLICY.backoff_base(SECOND);
    let failure = Budget::new().deadline(SECOND * 2).scope(hang(policy)).await;
    assert_eq!((failure.kind, failure.attempts), (FailureKind::Timeout, 1));
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn calls_share_the_retries() {
    let attempts = Budget::new()
        .retries(4)
        .scope(async {
            [
                attempts_of_call(9).await,
                attempts_of_call(9).await,
                attempts_of_call(9).await,
            ]
        })
        .await;
    assert_eq!(attempts, [4, 2, 1], "three retries, one, none");
}

#[tokio::test(start_paused = true)]
async fn successes_earn_retries_back() {
    let attempts = Budget::new()
        .retries(2)
        .successes_per_retry(2)
        .scope(async {
            let spent = attempts_of_call(9).await;
            let mut after_successes = [0; 3];
            for attempts in &mut after_successes {
                attempts_of_call(0).await;
                *attempts = attempts_of_call(9).await;
            }
            (spent, after_successes)
        })
        .await;
    assert_eq!(attempts, (3, [1, 2, 1]));
}

#[tokio::test(start_paused = true)]
async fn scopes_within_scopes_tighten() {
    let failure = Budget::new()
        .deadline(SECOND)
        .scope(Budget::new().deadline(SECOND * 60).scope(hang(POLICY)))
        .await;
    assert_eq!(
        failure.deadline_ms,
        Some(1_000),
        "an inner deadline does not lengthen the outer"
    );
    let outer = Budget::new().retries(1).successes_per_retry(0);
    let attempts = outer
        .scope(async {
            let inner = Budget::new().retries(9).scope(attempts_of_call(9)).await;
            [inner, attempts_of_call(9).await]
        })
        .await;
    assert_eq!(attempts, [2, 1], "what is spent inside is spent outside");
}

#[tokio::test(start_paused = true)]
async fn calls_outside_are_untouched() {
    Budget::new().deadline(SECOND).retries(0).scope(async {}).await;
    assert_eq!(attempts_of_call(9).await, 4);
    assert_eq!(hang(POLICY).await.deadline_ms, None);
    let spawned = Budget::new()
        .retries(0)
        .scope(async { tokio::spawn(async { attempts_of_call(9).await }).await })
        .await;
    assert_eq!(spawned.unwrap(), 4, "a task of its own");
}

#[tokio::test(start_paused = true)]
async fn a_task_can_take_the_scope_along() {
    let attempts = Budget::new()
        .retries(1)
        .scope(async {
            let spawned = tokio::spawn(Budget::inherit(attempts_of_call(9)));
            [spawned.await.unwrap(), attempts_of_call(9).await]
        })
        .await;
    assert_eq!(attempts, [2, 1]);
    assert_eq!(Budget::inherit(attempts_of_call(9)).await, 4, "outside any");
}

#[tokio::test(start_paused = true)]
async fn extremes() {
    let failure = Budget::new()
        .deadline(Duration::MAX)
        .retries(u32::MAX)
        .successes_per_retry(u32::MAX)
        .scope(hang(POLICY))
        .await;
    assert_eq!((failure.kind, failure.attempts), (FailureKind::Timeout, 4));
    let failure = Budget::new().deadline(Duration::ZERO).scope(hang(POLICY)).await;
    assert_eq!((failure.kind, failure.attempts), (FailureKind::DeadlineExceeded, 0));
}

#[test]
fn a_scope_is_send_when_the_run_is() {
    fn assert_send<T: Send>(_: &T) {}
    assert_send(&Budget::new().scope(async {}));
    assert_send(&Budget::inherit(async {}));
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_was_not_made_is_given_back() {
    let breaker = CircuitBreaker::new(1);
    let attempts = Budget::new()
        .retries(1)
        .scope(async {
            let tool = Tool::new("search", || async { Err::<(), _>(String::from("503")) });
            let refused = execute_with_controls(POLICY, &breaker, tool);
            let others = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                breaker.record_failure();
            };
            let (result, ()) = tokio::join!(refused, others);
            assert_eq!(result, Err("503".into()), "the breaker has opened in the delay");
            attempts_of_call(9).await
        })
        .await;
    assert_eq!(attempts, 2, "the retry of the first call is there for the second");
}

/// A run that was entered by a poll of a call that came to nothing, because the task had used its cooperative budget up, is
/// not left by the next.
#[tokio::test(start_paused = true)]
async fn a_call_that_has_to_let_others_run_first_still_belongs_to_its_run() {
    let attempts = AtomicU32::new(0);
    let breaker = CircuitBreaker::disabled();
    let mut used_up = false;
    let call = async {
        let tool = Tool::new("search", async || {
            attempts.fetch_add(1, Ordering::Relaxed);
            Ok::<_, String>(())
        });
        let mut call = std::pin::pin!(execute_with_controls(POLICY, &breaker, tool));
        std::future::poll_fn(|context| {
            while !used_up && tokio::task::coop::has_budget_remaining() {
                std::task::ready!(tokio::task::coop::poll_proceed(context)).made_progress();
            }
            used_up = true;
            call.as_mut().poll(context)
        })
        .await
    };
    let result = Budget::new().deadline(Duration::ZERO).scope(call).await;
    assert!(result.is_err(), "the run was over, and the call was made: {result:?}");
    assert_eq!(attempts.into_inner(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_calls_of_a_run_are_limited() {
    let refusing = CircuitBreaker::new(0);
    Budget::new()
        .calls(2)
        .scope(async {
            let tool = Tool::new("search", || async { Ok::<(), String>(()) });
            assert!(
                execute_with_controls(POLICY, &refusing, tool).await.is_err(),
                "it is not made"
            );
            assert_eq!(attempts_of_call(2).await, 3, "the first, with its retries");
            let inner = Budget::new().calls(9).scope(attempts_of_call(0));
            assert_eq!(inner.await, 1, "the second, in a run within the run");
            assert_eq!(
                Budget::inherit(attempts_of_call(0)).await,
                0,
                "the third, in a task of its own"
            );
            let failure = hang(POLICY).await;
            assert_eq!((failure.kind, failure.attempts), (FailureKind::CallBudgetSpent, 0));
            assert_eq!(
                failure.for_model(),
                "`search` was not called: there are no calls of tools left. Finish with what you have."
            );
            assert_eq!(
                failure.to_string(),
                "`search` was not called: the run has made all of its calls"
            );
        })
        .await;
    assert_eq!(attempts_of_call(0).await, 1, "outside of it nothing is limited");
}

#[tokio::test(start_paused = true)]
async fn calls_at_the_same_time_do_not_share_the_last_one() {
    let calls = async { tokio::join!(attempts_of_call(0), attempts_of_call(0), attempts_of_call(0)) };
    let made = Budget::new().calls(2).scope(calls).await;
    assert_eq!(made.0 + made.1 + made.2, 2);
}
