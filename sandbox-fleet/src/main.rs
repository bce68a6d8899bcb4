//! `sandbox-fleet`: what an operator does to the tools of a service, on the command line.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand, ValueEnum};
use humantime::format_rfc3339_seconds;
use sandbox_fleet::store::redis::RedisStore;
use sandbox_fleet::{LiveReplica, Operator, OperatorError};
use sandbox_runtime::Overrides;
use tokio::time::{Instant, sleep};

/// Switches the tools of a service, and sees its replicas, over the Redis or Valkey that they share.
///
/// A NAME is that of a tool, its path, the path of a module for all tools in it, or `*` for all tools of the service.
#[derive(Debug, Parser)]
#[command(name = "sandbox-fleet")]
struct Command {
    /// The store, such as redis://127.0.0.1:6379. A password is better kept in the environment.
    #[arg(long, env = "SANDBOX_FLEET_URL", hide_env_values = true)]
    url: String,
    /// The service.
    #[arg(long, env = "SANDBOX_FLEET_SERVICE")]
    service: String,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Shows the live replicas, and what is set.
    Status,
    /// Switches tools off.
    Disable {
        name: String,
        /// What models read.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        lasts: Lasts,
    },
    /// Switches tools on again that were switched off by this name.
    Enable { name: String },
    /// Opens breakers, until they are reset.
    Open { name: String },
    /// Closes breakers and clears their counts, unless they are open by another name that this one does not mean.
    Reset { name: String },
    /// Lets breakers refuse nothing, or refuse again.
    Shadow { name: String, state: Shadow },
    /// Gives the tools the settings of a file, in TOML or JSON, in place of all that were applied before.
    Apply { file: PathBuf },
    /// Gives every tool the settings of its attribute again.
    Clear,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct Lasts {
    /// How long, such as 30m or 2h. Without either, until it is enabled.
    #[arg(long = "for", value_parser = humantime::parse_duration)]
    lasts: Option<Duration>,
    /// Until when, such as 2026-01-31T22:00:00Z, by the clock of the store.
    #[arg(long, value_parser = humantime::parse_rfc3339_weak)]
    until: Option<SystemTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shadow {
    On,
    Off,
}

/// For how long replicas are waited for: they have learnt of a change within a second, and tell that with their next heartbeat.
const PATIENCE: Duration = Duration::from_secs(4);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let command = Command::parse();
    match act(command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", worded(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn worded(error: &(dyn Error + 'static)) -> String {
    match error.downcast_ref() {
        Some(OperatorError::Store(error)) => {
            format!("{error}; see whether the server runs, and whether the URL is right")
        }
        _ => error.to_string(),
    }
}

async fn act(command: Command) -> Result<ExitCode, Box<dyn Error>> {
    let operator = Operator::of(RedisStore::new(&command.url, &command.service)?);
    let name = command.act.name().map(str::to_owned);
    let version = match command.act {
        Act::Status => return status(&operator).await,
        Act::Disable { name, reason, lasts } => {
            let lasts = lasts.length(&operator).await?;
            operator.disable(&name, &reason, lasts).await?
        }
        Act::Enable { name } => operator.enable(&name).await?,
        Act::Open { name } => operator.force_open(&name).await?,
        Act::Reset { name } => operator.reset(&name).await?,
        Act::Shadow { name, state } => operator.shadow(&name, state == Shadow::On).await?,
        Act::Apply { file } => operator.apply(&read(&file)?).await?,
        Act::Clear => operator.clear().await?,
    };
    follow(&operator, version, name.as_deref()).await
}

impl Act {
    /// Whom it concerns, if that is a name.
    fn name(&self) -> Option<&str> {
        match self {
            Act::Disable { name, .. }
            | Act::Enable { name }
            | Act::Open { name }
            | Act::Reset { name }
            | Act::Shadow { name, .. } => Some(name),
            Act::Status | Act::Apply { .. } | Act::Clear => None,
        }
    }
}

impl Lasts {
    async fn length(&self, operator: &Operator<RedisStore>) -> Result<Option<Duration>, Box<dyn Error>> {
        let Some(until) = self.until else {
            return Ok(self.lasts);
        };
        let now = moment(operator.time().await?);
        let left = until.duration_since(now).ok().filter(|left| !left.is_zero());
        left.map(Some).ok_or_else(|| {
            let now = format_rfc3339_seconds(now);
            format!("`--until` is over: by the clock of the store it is {now}; give a later moment").into()
        })
    }
}

/// From the store's time.
fn moment(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}

fn read(file: &Path) -> Result<Overrides, Box<dyn Error>> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let is_json = file.extension().is_some_and(|extension| extension == "json");
    let read = match is_json {
        true => serde_json::from_str(&text).map_err(|error| error.to_string()),
        false => toml::from_str(&text).map_err(|error| error.to_string()),
    };
    Ok(read.map_err(|error| format!("{}: {}", file.display(), error.trim_end()))?)
}

/// Waits until the live replicas have seen this version, and says which have not, or do not have it in force, and whether the name means
/// nothing to any of them.
async fn follow(operator: &Operator<RedisStore>, version: u64, name: Option<&str>) -> Result<ExitCode, Box<dyn Error>> {
    let start = Instant::now();
    loop {
        let replicas = operator.replicas().await;
        let replicas = replicas.map_err(|error| {
            format!("version {version} is set, but it is not known who has seen it: {error}; see `status` later")
        })?;
        let (seen, unseen): (Vec<_>, Vec<_>) = replicas.iter().partition(|replica| replica.settings >= version);
        if !unseen.is_empty() && start.elapsed() < PATIENCE {
            sleep(Duration::from_millis(100)).await;
            continue;
        }
        return Ok(ExitCode::from(u8::from(!tell(version, &seen, &unseen, name))));
    }
}

/// Says who has seen a version, and returns whether it is in force in all of them.
fn tell(version: u64, seen: &[&LiveReplica], unseen: &[&LiveReplica], name: Option<&str>) -> bool {
    match seen.len() + unseen.len() {
        0 => println!("version {version} is set; no replica is live"),
        all => println!(
            "version {version} is set, and seen by {} of {all} live replicas",
            seen.len()
        ),
    }
    for replica in unseen {
        println!("{} has not seen it: version {}", replica.name, replica.settings);
    }
    seen.iter().for_each(|replica| tell_problem(replica));
    let is_unknown = |name: &str| {
        let knows = |replica: &&LiveReplica| !replica.unknown.iter().any(|unknown| unknown == name);
        !seen.is_empty() && !seen.iter().any(knows)
    };
    let unknown = name.filter(|name| is_unknown(name));
    if let Some(name) = unknown {
        println!("no live replica has a tool or a module `{name}`");
    }
    unseen.is_empty() && unknown.is_none() && seen.iter().all(|replica| replica.problem.is_none())
}

fn live(replicas: usize) -> String {
    match replicas {
        1 => "1 live replica".to_owned(),
        _ => format!("{replicas} live replicas"),
    }
}

fn tell_problem(replica: &LiveReplica) {
    if let Some(problem) = &replica.problem {
        println!("{} does not have the settings in force: {problem}", replica.name);
    }
}

async fn status(operator: &Operator<RedisStore>) -> Result<ExitCode, Box<dyn Error>> {
    let (settings, replicas) = (operator.settings().await?, operator.replicas().await?);
    println!("{}; version {} of the settings", live(replicas.len()), settings.version);
    for replica in &replicas {
        println!("{}: version {}", replica.name, replica.settings);
        tell_problem(replica);
    }
    if !settings.text.is_empty() {
        let mut set: serde_json::Value = serde_json::from_str(&settings.text)?;
        for switches in set["switches"]
            .as_object_mut()
            .into_iter()
            .flat_map(serde_json::Map::values_mut)
        {
            word_time(switches, moment(operator.time().await?));
        }
        println!("{set:#}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Has the time until when tools are off written for people.
fn word_time(switches: &mut serde_json::Value, now: SystemTime) {
    let until = switches.pointer_mut("/disabled/until");
    if let Some((until, millis)) = until.and_then(|until| until.as_u64().map(|millis| (until, millis))) {
        let is_over = moment(millis) <= now;
        let time = format_rfc3339_seconds(moment(millis));
        *until = format!("{time}{}", if is_over { ", which is over" } else { "" }).into();
    }
}
