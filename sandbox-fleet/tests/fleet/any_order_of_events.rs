//! Whatever happens, in any order: calls, crashes, replicas that start, a store that is slow, gone, emptied or an old copy, messages
//! that are lost. By seeds, so that a failure can be seen again.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use crate::support::{SECOND, Service};

const REPLICAS: usize = 6;
const COOLDOWN: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
enum Step {
    /// So many calls by one replica.
    Call(usize, u8),
    CallAll,
    Wait(u64),
    /// The dependency fails for these, as bits.
    Down(u8),
    Crash(usize),
    Start,
    /// The store takes so long for a step, in milliseconds.
    Slow(u64),
    Gone(bool),
    LoseMessages(bool),
    Forget,
    Copy,
    Restore,
}

/// What may happen between replicas while the store is well.
fn ordinary() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<usize>(), 1_u8..4).prop_map(|(replica, calls)| Step::Call(replica, calls)),
        4 => Just(Step::CallAll),
        6 => (0_u64..3_000).prop_map(Step::Wait),
        2 => (0_u64..100).prop_map(Step::Slow),
        1 => any::<bool>().prop_map(Step::LoseMessages),
    ]
}

fn anything() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => ordinary(),
        3 => any::<u8>().prop_map(Step::Down),
        1 => any::<usize>().prop_map(Step::Crash),
        1 => Just(Step::Start),
        1 => (0_u64..2_000).prop_map(Step::Slow),
        2 => any::<bool>().prop_map(Step::Gone),
        1 => Just(Step::Forget),
        1 => Just(Step::Copy),
        1 => Just(Step::Restore),
    ]
}

async fn take(service: &mut Service, step: &Step, copy: &mut Option<sandbox_fleet::store::memory::Copy>) {
    match *step {
        Step::Call(replica, calls) => {
            let replica = &service.replicas[replica % service.replicas.len()];
            for _ in 0..calls {
                let _ = replica.call().await;
            }
        }
        Step::CallAll => drop(service.call_all().await),
        Step::Wait(millis) => sleep(Duration::from_millis(millis)).await,
        Step::Down(bits) => service
            .world
            .is_down_for((0..8).filter(|replica| bits >> replica & 1 == 1)),
        Step::Crash(replica) if service.replicas.len() > 2 => {
            let index = replica % service.replicas.len();
            service.replicas.remove(index).crash().await;
        }
        Step::Crash(_) => {}
        Step::Start => service.start().await,
        Step::Slow(millis) => service.store.take(Duration::from_millis(millis)),
        Step::Gone(is_gone) => service.store.be_gone(is_gone),
        Step::LoseMessages(loses) => service.store.lose_messages(loses),
        Step::Forget => service.store.forget(),
        Step::Copy => *copy = Some(service.store.copy()),
        Step::Restore => {
            if let Some(copy) = copy {
                service.store.restore(copy);
            }
        }
    }
}

fn on_a_paused_clock(test: impl Future<Output = Result<(), TestCaseError>>) -> Result<(), TestCaseError> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(test)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Calls take no time and fail by the dependency or its breaker only; and once all is well again and everybody is called, all
    /// replicas agree, and are closed.
    #[test]
    fn calls_never_wait_and_the_fleet_agrees_again(steps in proptest::collection::vec(anything(), 1..60)) {
        on_a_paused_clock(async {
            let mut service = Service::of(REPLICAS).await;
            let mut copy = None;
            for step in &steps {
                let (start, waits) = (Instant::now(), matches!(step, Step::Wait(_) | Step::Start));
                take(&mut service, step, &mut copy).await;
                prop_assert!(waits || start.elapsed().is_zero(), "{step:?} has taken {:?}", start.elapsed());
            }
            service.world.is_down_for([]);
            service.store.be_gone(false);
            service.store.take(Duration::ZERO);
            service.store.lose_messages(false);
            // Until all have asked the store, the cooldown is over, and a probe of one has been successful.
            for _ in 0..40 {
                let _ = service.call_all().await;
                sleep(SECOND / 2).await;
            }
            let answers = service.call_all().await;
            prop_assert!(answers.iter().all(Result::is_ok), "{answers:?} after {steps:?}");
            let mut tools = Vec::new();
            for replica in &service.replicas {
                let tool = replica.tool().await;
                tools.push((tool.here, tool.is_open_for_all, tool.epoch));
            }
            prop_assert!(tools.iter().all(|tool| *tool == ("closed", false, tools[0].2)), "{tools:?} after {steps:?}");
            Ok(())
        })?;
    }

    /// Of all replicas together, no more than one probe reaches the dependency in a cooldown.
    #[test]
    fn one_probe_in_a_cooldown(steps in proptest::collection::vec(ordinary(), 1..80)) {
        on_a_paused_clock(async {
            let mut service = Service::of(REPLICAS).await;
            service.world.is_down_for(0..REPLICAS);
            service.trip(0..2).await;
            // All know.
            sleep(2 * SECOND).await;
            service.world.reached();
            let (start, mut copy) = (Instant::now(), None);
            for step in &steps {
                take(&mut service, step, &mut copy).await;
            }
            let cooldowns = start.elapsed().as_nanos().div_ceil(COOLDOWN.as_nanos());
            let probes = u128::from(service.world.reached());
            prop_assert!(probes <= cooldowns, "{probes} probes in {:?}, after {steps:?}", start.elapsed());
            Ok(())
        })?;
    }

    /// A replica that is sick by itself opens its own breaker, whatever happens to the store.
    #[test]
    fn one_sick_replica_opens_no_other(steps in proptest::collection::vec(anything(), 1..60), sick in 0..REPLICAS) {
        on_a_paused_clock(async {
            let mut service = Service::of(REPLICAS).await;
            service.world.is_down_for([sick]);
            let mut copy = None;
            for step in steps.iter().filter(|step| !matches!(step, Step::Down(_) | Step::Crash(_))) {
                take(&mut service, step, &mut copy).await;
                for (replica, state) in service.states().await.into_iter().enumerate() {
                    prop_assert!(replica == sick || state == "closed", "{replica} is {state} after {step:?} of {steps:?}");
                }
            }
            Ok(())
        })?;
    }
}
