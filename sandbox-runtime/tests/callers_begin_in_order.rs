//! Who is held back begins in the order in which callers came, whatever holds them back and whoever gives up: nobody who came later
//! begins while one who came before still waits.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use proptest::prelude::*;
use sandbox_runtime::{CircuitBreaker, Policy, SandboxError, Tool, execute_with_controls, sandboxed};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// What happens to the calls. Numbers choose among those that are there.
#[derive(Debug, Clone)]
enum Step {
    Arrive,
    /// A caller that waits, or whose call runs, gives up.
    GiveUp(usize),
    /// A tool answers.
    Answer(usize),
    Pass(u64),
    /// One that has been woken is polled.
    Poll(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Arrive),
        2 => any::<usize>().prop_map(Step::GiveUp),
        2 => any::<usize>().prop_map(Step::Answer),
        2 => (1_u64..15).prop_map(Step::Pass),
        4 => any::<usize>().prop_map(Step::Poll),
    ];
    proptest::collection::vec(step, 1..80)
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Caller<'a> {
    number: usize,
    woken: Arc<Flag>,
    answers: Arc<Notify>,
    call: Pin<Box<dyn Future<Output = ()> + 'a>>,
}

impl Caller<'_> {
    fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::SeqCst)
    }

    /// Tells whether the call has ended.
    fn poll(&mut self) -> bool {
        self.woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.woken));
        let poll = self.call.as_mut().poll(&mut Context::from_waker(&waker));
        poll.is_ready()
    }
}

struct World<'a> {
    policy: Policy,
    breaker: &'a CircuitBreaker,
    begun: &'a Mutex<Vec<usize>>,
    arrived: usize,
    callers: Vec<Caller<'a>>,
}

impl<'a> World<'a> {
    fn arrive(&mut self) {
        let (number, begun) = (self.arrived, self.begun);
        self.arrived += 1;
        let answers = Arc::new(Notify::new());
        let answer = Arc::clone(&answers);
        let tool = Tool::new("tool", move || {
            begun.lock().unwrap().push(number);
            let answer = Arc::clone(&answer);
            async move {
                answer.notified().await;
                Ok::<_, String>(serde_json::Value::Null)
            }
        });
        let (policy, breaker) = (self.policy, self.breaker);
        let call = async move { execute_with_controls(policy, breaker, tool).await };
        self.callers.push(Caller {
            number,
            woken: Arc::new(Flag(AtomicBool::new(true))),
            answers,
            call: Box::pin(async move { drop(call.await) }),
        });
        let last = self.callers.len() - 1;
        self.poll(last);
    }

    fn poll(&mut self, index: usize) {
        if self.callers[index].poll() {
            self.callers.remove(index);
        }
    }

    async fn take(&mut self, step: &Step) {
        let among = |number: usize, of: usize| (of > 0).then(|| number % of);
        match *step {
            Step::Arrive => self.arrive(),
            Step::GiveUp(number) => {
                if let Some(index) = among(number, self.callers.len()) {
                    self.callers.remove(index);
                }
            }
            Step::Answer(number) => {
                if let Some(index) = among(number, self.callers.len()) {
                    self.callers[index].answers.notify_one();
                }
            }
            Step::Pass(millis) => tokio::time::advance(Duration::from_millis(millis)).await,
            Step::Poll(number) => {
                let woken: Vec<_> = (0..self.callers.len())
                    .filter(|index| self.callers[*index].is_woken())
                    .collect();
                if let Some(index) = among(number, woken.len()) {
                    self.poll(woken[index]);
                }
            }
        }
    }

    /// Who has arrived before one who has begun, and still waits.
    fn overtaken(&self) -> Option<(usize, usize)> {
        let begun = self.begun.lock().unwrap();
        let latest = begun.iter().copied().max()?;
        let waits = |caller: &&Caller<'_>| caller.number < latest && !begun.contains(&caller.number);
        self.callers.iter().find(waits).map(|caller| (latest, caller.number))
    }
}

fn nobody_overtakes(policy: Policy, steps: &[Step]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (breaker, begun) = (CircuitBreaker::new(1_000), Mutex::new(Vec::new()));
        let mut world = World {
            policy,
            breaker: &breaker,
            begun: &begun,
            arrived: 0,
            callers: Vec::new(),
        };
        for (index, step) in steps.iter().enumerate() {
            world.take(step).await;
            let overtaken = world.overtaken();
            prop_assert_eq!(
                overtaken,
                None,
                "at step {} of {:?}: (who began, who still waits)",
                index,
                steps
            );
        }
        Ok(())
    })
}

const PATIENT: Policy = Policy::new().timeout(Duration::from_secs(60)).max_retries(0);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn among_callers_who_wait_for_their_turn(steps in steps()) {
        nobody_overtakes(PATIENT.rate(2, Duration::from_millis(10)), &steps)?;
    }

    /// Also while one who has left the queue of places has not reached that of the rate.
    #[test]
    fn among_callers_who_wait_for_a_place_and_their_turn(steps in steps(), places in 1_u32..4) {
        nobody_overtakes(PATIENT.max_concurrent(places).rate(1, Duration::from_millis(10)), &steps)?;
    }
}

#[sandboxed(max_concurrent = 1, rate(calls = 5, per_ms = 1_000))]
async fn within_itself(depth: u32) -> Result<(), SandboxError> {
    sleep(Duration::from_millis(10)).await;
    match depth {
        0 => Ok(()),
        _ => Box::pin(within_itself(depth - 1)).await,
    }
}

/// Who waits for its place would wait for it, and it for them.
#[tokio::test(start_paused = true)]
async fn a_call_within_another_does_not_queue_behind_those_who_wait_for_its_place() {
    let start = Instant::now();
    let mut calls = Vec::new();
    for depth in [2, 0, 0] {
        calls.push(tokio::spawn(within_itself(depth)));
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(
        start.elapsed(),
        Duration::from_millis(50),
        "five attempts, one after the other"
    );
}
