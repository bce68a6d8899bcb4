//! Observers learn what happens to calls and breakers, in order and once, however a call ends; and whatever they do themselves, no
//! call is the worse for it. In a process of its own: some of them observe all of it.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use sandbox_runtime::observe::{Event, Happened, ObservedTool, Observer, observe, observe_in};
use sandbox_runtime::{
    Attempt, Budget, CircuitBreaker, Policy, SandboxError, Tool, ToolExecutionResult, Verdict, execute_with_controls,
    sandboxed,
};
use tokio::time::sleep;

const POLICY: Policy = Policy::new()
    .timeout(Duration::from_millis(100))
    .max_retries(2)
    .backoff_base(Duration::from_millis(10));

/// Writes down what it learns.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn read(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Diary {
    fn on_event(&self, event: &Event<'_>) {
        let line = match event.happened {
            Happened::AttemptStarted { attempt, .. } => format!("{attempt} starts"),
            Happened::AttemptEnded {
                attempt,
                outcome,
                elapsed,
                ..
            } => format!("{attempt} {outcome:?} after {} ms", elapsed.as_millis()),
            Happened::RetryScheduled {
                attempt, delay, from, ..
            } => format!("{attempt} is retried after {} ms by {from:?}", delay.as_millis()),
            Happened::CallEnded {
                stop,
                attempts,
                elapsed,
                failure,
                ..
            } => {
                let failure = failure.map(|failure| {
                    assert_eq!(Some(failure.call_id), event.call_id, "one identity");
                    failure.to_string()
                });
                let stop = stop.as_str();
                format!("{stop} after {attempts} in {} ms: {failure:?}", elapsed.as_millis())
            }
            Happened::BreakerChanged {
                from,
                to,
                cause,
                failures,
                error_type,
                ..
            } => {
                let by = error_type.map(|kind| format!(" by {kind}")).unwrap_or_default();
                format!("{} to {}: {cause:?}, {failures}{by}", from.as_str(), to.as_str())
            }
            Happened::CallStarted => "begins".to_owned(),
            ref other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(format!("{}: {line}", event.tool.name));
    }
}

/// One test at a time: those that observe the whole process would see the calls of the others.
async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    ALONE.lock().await
}

/// A call whose attempts end like this, one after the other.
async fn call(breaker: &CircuitBreaker, ends: &[&'static str]) {
    let attempts = AtomicU32::new(0);
    let tool = Tool::new("search", async || {
        match ends[attempts.fetch_add(1, Ordering::Relaxed) as usize] {
            "hangs" => pending().await,
            "panics" => panic!("a secret"),
            "works" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .classify(|result: &Result<(), String>| match result {
        Ok(()) => Verdict::Success,
        Err(error) if error == "is wrong" => Verdict::Ignore,
        Err(error) if error == "is busy" => Verdict::Retry {
            after: Some(Duration::from_millis(50)),
        },
        Err(_) => Verdict::RETRY,
    });
    let _ = execute_with_controls(POLICY, breaker, tool).await;
}

async fn story_of(ends: &[&'static str]) -> Vec<String> {
    let diary = Diary::default();
    observe_in(diary.clone(), call(&CircuitBreaker::disabled(), ends)).await;
    diary.read()
}

#[tokio::test(start_paused = true)]
async fn around_a_future() {
    let _alone = alone().await;
    assert_eq!(
        story_of(&["works"]).await,
        [
            "search: begins",
            "search: 1 starts",
            "search: 1 Succeeded after 0 ms",
            "search: succeeded after 1 in 0 ms: None",
        ]
    );
    assert_eq!(
        story_of(&["is busy", "hangs", "fails"]).await,
        [
            "search: begins",
            "search: 1 starts",
            "search: 1 Failed after 0 ms",
            "search: 1 is retried after 50 ms by Hint",
            "search: 2 starts",
            "search: 2 TimedOut after 100 ms",
            "search: 2 is retried after 20 ms by Backoff",
            "search: 3 starts",
            "search: 3 Failed after 0 ms",
            "search: attempts_exhausted after 3 in 170 ms: None",
        ]
    );
    assert_eq!(
        story_of(&["is wrong"]).await,
        [
            "search: begins",
            "search: 1 starts",
            "search: 1 Ignored after 0 ms",
            "search: ignored after 1 in 0 ms: None",
        ]
    );
    assert_eq!(
        story_of(&["panics"]).await,
        [
            "search: begins",
            "search: 1 starts",
            "search: 1 Panicked after 0 ms",
            "search: panicked after 1 in 0 ms: Some(\"`search` panicked: a secret\")",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn of_a_call_that_is_dropped() {
    let _alone = alone().await;
    let diary = Diary::default();
    let breaker = CircuitBreaker::disabled();
    let call = call(&breaker, &["hangs"]);
    let cut = tokio::time::timeout(Duration::from_millis(7), call);
    let _ = observe_in(diary.clone(), cut).await;
    assert_eq!(
        diary.read(),
        [
            "search: begins",
            "search: 1 starts",
            "search: 1 Left after 7 ms",
            "search: dropped after 1 in 7 ms: None",
        ]
    );
}

#[sandboxed(timeout_ms = 10, max_retries = 0, breaker(threshold = 1, cooldown_ms = 1_000))]
async fn observed_tool(hangs: bool) -> Result<Option<String>, String> {
    if hangs {
        sleep(Duration::from_secs(1)).await;
    }
    Ok(Attempt::current().map(|attempt| attempt.call_id().to_string()))
}

#[sandboxed(breaker(threshold = 1, slow_call_ms = 5, cooldown_ms = 1_000))]
async fn slow_tool(millis: u64) -> Result<(), String> {
    sleep(Duration::from_millis(millis)).await;
    Ok(())
}

/// Only of the breaker they learn that the success was slow.
#[tokio::test(start_paused = true)]
async fn of_a_breaker_that_a_slow_success_opens() {
    let _alone = alone().await;
    let diary = Diary::default();
    observe_in(diary.clone(), async {
        slow_tool(6).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        slow_tool(6).await.unwrap();
    })
    .await;
    assert_eq!(
        diary.read(),
        [
            "slow_tool: begins",
            "slow_tool: 1 starts",
            "slow_tool: closed to open: ThresholdReached, 1 by slow_call",
            "slow_tool: 1 Succeeded after 6 ms",
            "slow_tool: succeeded after 1 in 6 ms: None",
            "slow_tool: begins",
            "slow_tool: open to half_open: CooldownOver, 1",
            "slow_tool: 1 starts",
            "slow_tool: half_open to open: ProbeFailed, 1 by slow_call",
            "slow_tool: 1 Succeeded after 6 ms",
            "slow_tool: succeeded after 1 in 6 ms: None",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn of_the_whole_process_with_its_breakers() {
    let _alone = alone().await;
    let diary = Diary::default();
    let observing = observe(diary.clone());
    observed_tool(true).await.unwrap_err();
    observed_tool(false).await.unwrap_err();
    sleep(Duration::from_secs(1)).await;
    observed_tool(false).await.unwrap();
    let timed_out = "`observed_tool` timed out after 10 ms";
    let refused = "`observed_tool` was not called: its circuit breaker is open after 1 failure; try again in 1000 ms";
    let story = diary.read();
    assert_eq!(
        story
            .iter()
            .map(|line| line.strip_prefix("observed_tool: ").unwrap())
            .collect::<Vec<_>>(),
        [
            "begins",
            "1 starts",
            "closed to open: ThresholdReached, 1 by timeout",
            "1 TimedOut after 10 ms",
            &format!("attempts_exhausted after 1 in 10 ms: Some({timed_out:?})"),
            "begins",
            &format!("refused after 0 in 0 ms: Some({refused:?})"),
            "begins",
            "open to half_open: CooldownOver, 1",
            "1 starts",
            "half_open to closed: ProbesSucceeded, 1",
            "1 Succeeded after 0 ms",
            "succeeded after 1 in 0 ms: None",
        ]
    );
    drop(observing);
    observed_tool(false).await.unwrap();
    assert_eq!(diary.read(), Vec::<String>::new(), "it is detached");
}

/// Its attempts borrow the argument one after the other.
#[sandboxed(timeout_ms = 10, max_retries = 1, backoff_base_ms = 5)]
async fn lends_its_argument(attempts: &mut u32) -> Result<(), String> {
    *attempts += 1;
    match *attempts {
        1 => Err("fails".to_owned()),
        _ => Ok(()),
    }
}

#[tokio::test(start_paused = true)]
async fn of_calls_that_lend_their_arguments() {
    let _alone = alone().await;
    let story = [
        "begins",
        "1 starts",
        "1 Failed after 0 ms",
        "1 is retried after 5 ms by Backoff",
        "2 starts",
        "2 Succeeded after 0 ms",
        "succeeded after 2 in 5 ms: None",
    ]
    .map(|line| format!("lends_its_argument: {line}"));
    let diary = Diary::default();
    observe_in(diary.clone(), lends_its_argument(&mut 0)).await.unwrap();
    assert_eq!(diary.read(), story, "around a future");
    let observing = observe(diary.clone());
    lends_its_argument(&mut 0).await.unwrap();
    assert_eq!(diary.read(), story, "of the whole process");
    drop(observing);
    lends_its_argument(&mut 0).await.unwrap();
    assert_eq!(diary.read(), Vec::<String>::new(), "it is detached");
}

/// Wants to know of one tool, and learns the identity of its calls.
struct Picky(Arc<Mutex<Vec<String>>>);

impl Observer for Picky {
    fn wants(&self, tool: &ObservedTool) -> bool {
        tool.name == "observed_tool" && tool.handle.is_some_and(|handle| handle.module() == module_path!())
    }

    fn on_event(&self, event: &Event<'_>) {
        if matches!(event.happened, Happened::CallEnded { .. }) {
            self.0.lock().unwrap().push(event.call_id.unwrap().to_string());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_the_tools_that_it_wants_to_know_of() {
    let _alone = alone().await;
    let seen = Arc::new(Mutex::default());
    let _observing = observe(Picky(Arc::clone(&seen)));
    call(&CircuitBreaker::disabled(), &["works"]).await;
    let id = observed_tool(false).await.unwrap().unwrap();
    assert_eq!(*seen.lock().unwrap(), [id], "the tool has the same identity");
}

#[tokio::test(start_paused = true)]
async fn of_calls_that_begin_from_now_on() {
    struct Counts(Arc<AtomicU32>, Diary);
    impl Observer for Counts {
        fn wants(&self, tool: &ObservedTool) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed);
            tool.name != "unwanted"
        }

        fn on_event(&self, event: &Event<'_>) {
            self.1.on_event(event);
        }
    }
    let _alone = alone().await;
    let (asked, diary) = (Arc::new(AtomicU32::new(0)), Diary::default());
    let breaker = CircuitBreaker::disabled();
    let mut begun = std::pin::pin!(call(&breaker, &["hangs", "works"]));
    let is_pending = std::future::poll_fn(|cx| Poll::Ready(begun.as_mut().poll(cx).is_pending()));
    assert!(is_pending.await);
    let _observing = observe(Counts(Arc::clone(&asked), diary.clone()));
    begun.await;
    assert_eq!(diary.read(), Vec::<String>::new(), "it began before");
    let unwanted = Tool::new("unwanted", async || {
        tokio::task::yield_now().await;
        sleep(Duration::from_millis(1)).await;
        Ok::<_, String>(())
    });
    execute_with_controls(POLICY, &breaker, unwanted).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1, "it is asked once for each call");
    assert_eq!(diary.read(), Vec::<String>::new(), "it does not want to know");
}

/// Wants to know of no tool, and counts how often it is asked.
struct Uninterested(Arc<AtomicU32>);

impl Observer for Uninterested {
    fn wants(&self, tool: &ObservedTool) -> bool {
        if tool.name == "observed_tool" {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        false
    }

    fn on_event(&self, event: &Event<'_>) {
        panic!("not wanted: {event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn and_are_asked_for_their_interest_when_observers_change() {
    let _alone = alone().await;
    let asked = Arc::new(AtomicU32::new(0));
    let observing = observe(Uninterested(Arc::clone(&asked)));
    let asked = || asked.load(Ordering::Relaxed);
    for _ in 0..3 {
        observed_tool(false).await.unwrap();
    }
    assert_eq!(asked(), 1, "once for all calls of a function");
    let diary = Diary::default();
    let other = observe(diary.clone());
    observed_tool(false).await.unwrap();
    assert_eq!(
        diary.read().last().unwrap(),
        "observed_tool: succeeded after 1 in 0 ms: None",
        "one that is attached later learns of the next call"
    );
    let before = asked();
    drop(other);
    observed_tool(false).await.unwrap();
    assert_eq!(asked(), before + 1, "once more, because another is detached");
    assert_eq!(diary.read(), Vec::<String>::new(), "and that one learns no more");
    drop(observing);
    observed_tool(false).await.unwrap();
    assert_eq!(asked(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn of_a_thread_that_is_blocked() {
    let _alone = alone().await;
    for (millis, is_told) in [(100, false), (101, true)] {
        let diary = Diary::default();
        let blocks = Tool::new("search", async || {
            // Within one poll: the clock is set, and then the task lets others run.
            tokio::time::advance(Duration::from_millis(millis)).await;
            Ok::<_, String>(())
        });
        let policy = POLICY.timeout(Duration::from_secs(1));
        let breaker = CircuitBreaker::disabled();
        observe_in(diary.clone(), execute_with_controls(policy, &breaker, blocks))
            .await
            .unwrap();
        let told: Vec<_> = diary
            .read()
            .into_iter()
            .filter(|line| line.contains("Blocked"))
            .collect();
        let expected = format!("search: ThreadBlocked {{ elapsed: {millis}ms }}");
        assert_eq!(told, Vec::from_iter(is_told.then_some(expected)), "{millis} ms");
    }
}

/// Panics, and calls tools.
struct Wild;

impl Observer for Wild {
    fn wants(&self, tool: &ObservedTool) -> bool {
        assert_ne!(tool.name, "unwanted");
        true
    }

    fn on_event(&self, event: &Event<'_>) {
        let breaker = CircuitBreaker::disabled();
        let calls = tokio::task::unconstrained(call(&breaker, &["works"]));
        futures_util::FutureExt::now_or_never(calls).expect("it is ready at once");
        panic!("{}", event.tool.name);
    }
}

#[tokio::test(start_paused = true)]
async fn and_harm_no_call() {
    let _alone = alone().await;
    let diary = Diary::default();
    let _wild = [observe(Wild), observe(Wild)];
    let _observing = observe(diary.clone());
    call(&CircuitBreaker::disabled(), &["fails", "works"]).await;
    assert_eq!(
        diary.read().last().unwrap(),
        "search: succeeded after 2 in 10 ms: None",
        "the calls of an observer are not observed, and its panics are its own"
    );
    let unwanted = Tool::new("unwanted", async || Ok::<_, String>(7));
    let answer = execute_with_controls(POLICY, &CircuitBreaker::disabled(), unwanted).await;
    assert_eq!(answer, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn that_are_attached_while_a_call_is_dropped() {
    struct AttachesWhenDropped(Diary);
    impl Drop for AttachesWhenDropped {
        fn drop(&mut self) {
            observe(self.0.clone()).forever();
        }
    }
    let _alone = alone().await;
    let diary = Diary::default();
    let guard = Mutex::new(Some(AttachesWhenDropped(diary.clone())));
    let tool = Tool::new("search", async || {
        let _guard = guard.lock().unwrap().take();
        pending::<Result<(), String>>().await
    });
    let breaker = CircuitBreaker::disabled();
    let call_to_drop = execute_with_controls(POLICY, &breaker, tool);
    let _ = tokio::time::timeout(Duration::from_millis(1), call_to_drop).await;
    call(&breaker, &["works"]).await;
    assert_eq!(diary.read().last().unwrap(), "search: succeeded after 1 in 0 ms: None");
}

/// A closure that answers with JSON returns the refusal of a further attempt; what its last attempt has left, nobody gets.
#[tokio::test(start_paused = true)]
async fn of_the_failure_that_the_caller_gets() {
    let _alone = alone().await;
    let breaker = CircuitBreaker::new(1);
    let diary = Diary::default();
    let call = execute_with_controls(POLICY, &breaker, async || {
        pending::<Result<serde_json::Value, String>>().await
    });
    let error = observe_in(diary.clone(), call).await.unwrap_err();
    assert!(matches!(error, SandboxError::CircuitBreakerOpen { .. }), "{error}");
    let end = diary.read().pop().unwrap();
    let failure = "was not called again: its circuit breaker is open after 1 failure; try again in 30000 ms";
    assert!(end.contains(failure), "{end}");
}

static ALWAYS_OPEN: CircuitBreaker = CircuitBreaker::new(0);

#[sandboxed(breaker = &ALWAYS_OPEN, max_retries = 0)]
async fn refused_in_an_observer() -> Result<u32, String> {
    Ok(0)
}

/// Calls a tool that is refused, whatever happens.
struct Posts;

impl Observer for Posts {
    fn on_event(&self, _: &Event<'_>) {
        let call = tokio::task::unconstrained(refused_in_an_observer());
        let answer = futures_util::FutureExt::now_or_never(call);
        answer.expect("it is ready at once").expect_err("it is refused");
    }
}

#[sandboxed(breaker = off)]
async fn called_by_another() -> Result<u32, String> {
    Ok(1)
}

static CALLS: AtomicU32 = AtomicU32::new(0);

#[sandboxed(backoff_base_ms = 0, breaker = off)]
async fn calls_another() -> Result<u32, String> {
    let answer = called_by_another().await?;
    match CALLS.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Err("again".into()),
        _ => Ok(answer),
    }
}

#[sandboxed(max_retries = 0, breaker = off)]
async fn fails_by_itself() -> Result<u32, String> {
    Err("no such page".into())
}

/// What an observer calls is not called by the tool, nor is it of its run, of its report or of its request.
#[tokio::test(start_paused = true)]
async fn whose_own_calls_belong_to_nothing_around() {
    let _alone = alone().await;
    let _posts = observe(Posts);
    assert_eq!(
        calls_another().await,
        Ok(1),
        "an error beside a refusal in an observer is retried"
    );
    let report = ToolExecutionResult::of(fails_by_itself()).await.unwrap();
    assert_eq!(
        report.error.as_deref(),
        Some("no such page"),
        "the report is that of the call"
    );
    let run = Budget::new().retries(1);
    run.scope(async {
        CALLS.store(0, Ordering::Relaxed);
        calls_another().await.expect_err("it would need two retries");
    })
    .await;
}
