//! Whatever happens to keys, in any order: calls, crashes, keys that are removed, a store that is slow, gone, emptied or an old copy.

use std::time::Duration;

use proptest::prelude::*;
use sandbox_fleet::store::memory::Copy;
use tokio::time::{Instant, sleep};

use crate::support::SECOND;
use crate::support_for_keys::Service;

const HOSTS: [&str; 4] = ["a", "b", "c", "d"];
const REPLICAS: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    /// So many calls by one replica.
    Fetch(usize, usize, u8),
    FetchAll(usize),
    Wait(u64),
    /// A host fails for so many of them.
    Down(usize, usize),
    Well,
    Remove(usize, usize),
    Crash(usize),
    Start,
    Slow(u64),
    Gone(bool),
    LoseMessages(bool),
    Forget,
    Copy,
    Restore,
}

fn anything() -> impl Strategy<Value = Step> {
    let (replica, host) = (0..REPLICAS, 0..HOSTS.len());
    prop_oneof![
        8 => (replica.clone(), host.clone(), 1_u8..4).prop_map(|(replica, host, calls)| Step::Fetch(replica, host, calls)),
        4 => host.clone().prop_map(Step::FetchAll),
        8 => (0_u64..5_000).prop_map(Step::Wait),
        6 => (host.clone(), 1..=REPLICAS).prop_map(|(host, replicas)| Step::Down(host, replicas)),
        1 => Just(Step::Well),
        1 => (replica.clone(), host).prop_map(|(replica, host)| Step::Remove(replica, host)),
        1 => replica.prop_map(Step::Crash),
        1 => Just(Step::Start),
        1 => (0_u64..2_000).prop_map(Step::Slow),
        2 => any::<bool>().prop_map(Step::Gone),
        1 => any::<bool>().prop_map(Step::LoseMessages),
        1 => Just(Step::Forget),
        1 => Just(Step::Copy),
        1 => Just(Step::Restore),
    ]
}

async fn take(service: &mut Service, step: &Step, copy: &mut Option<Copy>) {
    let replicas = service.replicas.len();
    match *step {
        Step::Fetch(replica, host, calls) => {
            for _ in 0..calls {
                let _ = service.replicas[replica % replicas].fetch(HOSTS[host]);
            }
        }
        Step::FetchAll(host) => drop(service.fetch_all(HOSTS[host])),
        Step::Wait(millis) => sleep(Duration::from_millis(millis)).await,
        Step::Down(host, replicas) => service.world.is_down_for(0..replicas, HOSTS[host]),
        Step::Well => service.world.is_well(),
        Step::Remove(replica, host) => {
            service.replicas[replica % replicas].here.hosts.remove(HOSTS[host]);
        }
        Step::Crash(replica) if replicas > 2 => service.replicas.remove(replica % replicas).crash().await,
        Step::Crash(_) => {}
        Step::Start => service.start(100).await,
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Calls take no time; the store never has more keys than may take part; and once all is well again and everybody is called, no key
    /// is refused anywhere, and none takes part.
    #[test]
    fn whatever_happens_all_keys_heal(steps in proptest::collection::vec(anything(), 1..80), most in 1_u32..4) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut service = Service::of(REPLICAS, most).await;
            let mut copy = None;
            for step in &steps {
                let (start, waits) = (Instant::now(), matches!(step, Step::Wait(_) | Step::Start));
                take(&mut service, step, &mut copy).await;
                prop_assert!(waits || start.elapsed().is_zero(), "{step:?} has taken {:?}", start.elapsed());
            }
            service.world.is_well();
            service.store.be_gone(false);
            service.store.take(Duration::ZERO);
            service.store.lose_messages(false);
            let in_store = service.in_store().await;
            prop_assert!(in_store.len() <= most as usize, "{in_store:?} of {most}, after {steps:?}");
            for _ in 0..40 {
                HOSTS.iter().for_each(|host| drop(service.fetch_all(host)));
                sleep(SECOND / 2).await;
            }
            for host in HOSTS {
                let answers = service.fetch_all(host);
                prop_assert!(answers.iter().all(Result::is_ok), "{host}: {answers:?} after {steps:?}");
            }
            sleep(2 * SECOND).await;
            for replica in &service.replicas {
                prop_assert_eq!(replica.keys(), vec![], "after {:?}", steps);
            }
            Ok(())
        })?;
    }
}
