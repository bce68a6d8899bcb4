//! Five replicas of a service and a server of Redis or Valkey, in processes of their own: what each knows of the others when a
//! dependency fails for one of them, for two, for all; when the server is killed, and when it is stopped; and when an operator
//! switches a tool off.
//!
//! ```text
//! cargo run -p sandbox-examples --features fleet --example fleet
//! ```
//!
//! It takes a minute, and needs `redis-server` or `valkey-server`, which it starts on a free port. Watch how long it takes until
//! all know of what some have found, how many requests reach a dependency that is down, and that calls take no longer and none
//! fails while the server is away. The exit code is 1 if something is not as claimed; the bounds are wide, for busy machines.
//!
//! `replica.rs` has what a service needs: the tool, and one line for the fleet. The rest of the files is the stage.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod replica;
mod world;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use sandbox_fleet::Operator;
use sandbox_fleet::store::redis::RedisStore;
use tokio::time::{Instant, sleep};

use self::replica::{COOLDOWN, End, SERVICE};
use self::world::{REPLICAS, Replicas, Seen, Server, Warehouse};

type Done<T = ()> = Result<T, Box<dyn Error>>;

const SECOND: Duration = Duration::from_secs(1);
/// For what a busy machine may delay.
const PATIENCE: Duration = Duration::from_secs(10);
/// What all know of a trip by the store's messages, and also without any, by its pulses.
const ALL_KNOW: Duration = Duration::from_millis(1_500);
/// How much longer than before calls may take: a call that waits for the store takes a second.
const LONGER: Duration = Duration::from_millis(250);
const TRIPS: usize = 3;
const REASON: &str = "the warehouse moves";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let played = match arguments[..] {
        [url, warehouse, number] => replica::run(url, warehouse, number).await,
        [] => play().await,
        _ => Err("it takes no arguments: those of a replica are given to it by its parent".into()),
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn play() -> Done {
    let mut stage = Stage::set().await?;
    stage.all_is_well().await?;
    stage.one_is_sick().await?;
    stage.some_tell_the_others().await?;
    stage.one_tries_for_all().await?;
    stage.the_server_is_killed().await?;
    stage.the_server_is_stopped().await?;
    stage.an_operator_switches().await?;
    stage.all_leave().await
}

struct Stage {
    server: Server,
    warehouse: Arc<Warehouse>,
    replicas: Replicas,
    operator: Operator<RedisStore>,
    /// The latency of calls at the 99th percentile while nothing happens.
    usual: Duration,
}

impl Stage {
    async fn set() -> Done<Stage> {
        let server = Server::start().await?;
        let (warehouse, address) = Warehouse::open().await?;
        let operator = Operator::of(RedisStore::new(&server.url(), SERVICE)?);
        let replicas = Replicas::start(&server.url(), address)?;
        let stage = Stage {
            server,
            warehouse,
            replicas,
            operator,
            usual: Duration::MAX,
        };
        stage.all_are_well().await?;
        stage.all_are_live().await?;
        stage.replicas.end_scene();
        println!("{REPLICAS} replicas are live, each with a tool that it calls 20 times a second");
        Ok(stage)
    }

    async fn all_is_well(&mut self) -> Done {
        sleep(4 * SECOND).await;
        self.usual = self.calls("all is well", 0)?;
        Ok(())
    }

    async fn one_is_sick(&mut self) -> Done {
        self.warehouse.is_down_for([0]);
        let opens = |seen: &[Seen]| seen[0].opened.is_some();
        self.replicas.until("its breaker opens", PATIENCE, opens).await?;
        sleep(3 * SECOND).await;
        let others = &self.replicas.seen()[1..];
        let are_untouched = others
            .iter()
            .all(|seen| seen.is_well() && seen.refused == 0 && seen.failed.is_empty());
        claim(are_untouched, "one sick replica opens its own breaker only")?;
        self.warehouse.is_down_for([]);
        self.all_are_well().await?;
        self.calls("the warehouse is down for one", usize::MAX)?;
        println!("    its breaker has opened, and no other");
        Ok(())
    }

    /// Two of five are enough. What the other three know, they have from the fleet.
    async fn some_tell_the_others(&mut self) -> Done {
        let mut took = Vec::new();
        for _ in 0..TRIPS {
            self.warehouse.is_down_for([0, 1]);
            took.push(self.all_are_open().await?);
            self.warehouse.is_down_for([]);
            let others = &self.replicas.seen()[2..];
            let are_told = others.iter().all(|seen| seen.failed.is_empty());
            claim(are_told, "the others know of it without a call that fails")?;
            self.all_are_well().await?;
        }
        took.sort_unstable();
        self.calls("it is down for two, three times", usize::MAX)?;
        let (median, longest) = (took[TRIPS / 2], took[TRIPS - 1]);
        println!("    all knew of it {median:.1?} after the second did, at the median; {longest:.1?} at most");
        claim(longest <= ALL_KNOW, "all know in time")
    }

    async fn one_tries_for_all(&mut self) -> Done {
        self.warehouse.is_down_for(0..REPLICAS);
        self.all_are_open().await?;
        let (began, _) = (Instant::now(), self.warehouse.requests());
        sleep(4 * COOLDOWN).await;
        self.warehouse.is_down_for([]);
        // Those who call again as soon as one has found it well are no probes.
        let is_one_well = |seen: &[Seen]| seen.iter().any(Seen::is_well);
        let failed_probes = self.warehouse.requests();
        self.replicas.until("a probe closes it", PATIENCE, is_one_well).await?;
        let cooldowns = began.elapsed().div_duration_f64(COOLDOWN);
        self.all_are_well().await?;
        self.calls("it is down for all", usize::MAX)?;
        println!(
            "    {failed_probes} requests of all replicas in {cooldowns:.1} cooldowns, and one that found it well"
        );
        // One more for what is left of the first cooldown when it is looked at.
        claim(
            failed_probes >= 2,
            "the dependency is tried while it is down, after each cooldown",
        )?;
        claim(
            u32::try_from(failed_probes).is_ok_and(|probes| f64::from(probes) <= cooldowns + 1.0),
            "all replicas together make one probe in a cooldown",
        )
    }

    async fn the_server_is_killed(&mut self) -> Done {
        self.server.kill().await?;
        sleep(4 * SECOND).await;
        self.server.start_again().await?;
        let took = self.all_are_live().await?;
        self.calls("the server is killed and started again", 0)?;
        println!("    all were live again {took:.1?} after it had started");
        Ok(())
    }

    async fn the_server_is_stopped(&mut self) -> Done {
        self.server.signal("STOP").await?;
        sleep(4 * SECOND).await;
        self.server.signal("CONT").await?;
        let took = self.all_are_live().await?;
        self.calls("the server is stopped and continued", 0)?;
        println!("    all were live again {took:.1?} after it had continued");
        Ok(())
    }

    async fn an_operator_switches(&mut self) -> Done {
        self.operator.disable("stock", REASON, None).await?;
        let off = Some(End::Off(REASON.to_owned()));
        let are_off = |seen: &[Seen]| seen.iter().all(|seen| seen.latest == off);
        let took = self
            .replicas
            .until("all refuse by the operator's reason", PATIENCE, are_off)
            .await?;
        sleep(2 * SECOND).await;
        claim(are_off(&self.replicas.seen()), "it stays off")?;
        self.operator.enable("stock").await?;
        self.all_are_well().await?;
        self.calls("an operator switches the tool off and on", 0)?;
        println!("    all refused calls within {took:.1?}: \"{REASON}\"");
        Ok(())
    }

    async fn all_leave(self) -> Done {
        self.replicas.leave().await?;
        let live = self.operator.replicas().await?;
        claim(live.is_empty(), "who has left is not live")?;
        println!("all have left");
        Ok(())
    }

    async fn all_are_well(&self) -> Done<Duration> {
        let are_well = |seen: &[Seen]| seen.iter().all(Seen::is_well);
        self.replicas.until("all calls are made", PATIENCE, are_well).await
    }

    /// Waits until all breakers are open, and returns how long after the second one the last one was.
    async fn all_are_open(&self) -> Done<Duration> {
        let mut times = Vec::new();
        let are_open = |seen: &[Seen]| {
            times = seen.iter().filter_map(|seen| seen.opened).collect();
            times.len() == seen.len()
        };
        self.replicas.until("all breakers are open", PATIENCE, are_open).await?;
        times.sort_unstable();
        Ok(Duration::from_micros(times[times.len() - 1] - times[1]))
    }

    async fn all_are_live(&self) -> Done<Duration> {
        let began = Instant::now();
        while self.operator.replicas().await.map_or(0, |live| live.len()) < usize::from(REPLICAS) {
            claim(began.elapsed() < PATIENCE, "all replicas are live")?;
            sleep(Duration::from_millis(50)).await;
        }
        Ok(began.elapsed())
    }

    /// Ends a scene, and prints what became of its calls. Returns their latency at the 99th percentile.
    fn calls(&self, scene: &str, failures_allowed: usize) -> Done<Duration> {
        let seen = self.replicas.end_scene();
        let failed: Vec<&String> = seen.iter().flat_map(|seen| &seen.failed).collect();
        let refused: u64 = seen.iter().map(|seen| seen.refused).sum();
        let mut micros: Vec<u64> = seen.iter().flat_map(|seen| seen.micros.clone()).collect();
        micros.sort_unstable();
        let latency = Duration::from_micros(micros[micros.len() * 99 / 100]);
        println!(
            "{scene}: {} calls, of which {} failed and {refused} were refused by the breaker; \
             99 of 100 took at most {latency:.1?}",
            micros.len(),
            failed.len(),
        );
        if let Some(why) = failed.first().filter(|_| failed.len() > failures_allowed) {
            return Err(format!("it is not so that no call fails: {why}").into());
        }
        claim(
            failures_allowed > 0 || refused == 0,
            "no breaker opens without a failure",
        )?;
        claim(
            latency <= self.usual.saturating_add(LONGER),
            "calls take no longer than usual",
        )?;
        Ok(latency)
    }
}

fn claim(is_so: bool, what: &str) -> Done {
    match is_so {
        true => Ok(()),
        false => Err(format!("it is not so that {what}").into()),
    }
}
