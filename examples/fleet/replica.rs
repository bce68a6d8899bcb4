//! A replica: a process whose tool is called twenty times a second, and which tells what becomes of the calls.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant, UNIX_EPOCH};

use sandbox_fleet::Fleet;
use sandbox_runtime::observe::{BreakerPhase, Event, Happened, Observer, observe};
use sandbox_runtime::{ErrorVerdict, SandboxError, sandboxed};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::interval;

pub(crate) const SERVICE: &str = "shop";
/// That of the attribute below.
pub(crate) const COOLDOWN: Duration = Duration::from_secs(2);
const PACE: Duration = Duration::from_millis(50);

// ---- The tool -------------------------------------------------------------------------------------------------------

#[derive(Debug, thiserror::Error, ErrorVerdict)]
enum StockError {
    #[error("the warehouse is down")]
    #[verdict(fail)]
    Down,
    #[error("the warehouse cannot be reached: {0}")]
    #[verdict(fail)]
    Lost(#[from] io::Error),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

#[sandboxed(timeout_ms = 2_000, max_retries = 0, breaker(threshold = 3, cooldown_ms = 2_000))]
async fn stock(warehouse: SocketAddr, replica: u8) -> Result<(), StockError> {
    let mut connection = TcpStream::connect(warehouse).await?;
    connection.write_u8(replica).await?;
    match connection.read_u8().await? {
        0 => Err(StockError::Down),
        _ => Ok(()),
    }
}

// ---- The process ----------------------------------------------------------------------------------------------------

/// What a replica tells its parent, each in a line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Said {
    Called {
        end: End,
        micros: u64,
    },
    /// When, in microseconds since 1970: all processes have the same clock.
    Opened {
        at: u64,
    },
    Closed,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    Well,
    Failed(String),
    /// By the breaker.
    Refused,
    /// By an operator, for this reason.
    Off(String),
}

impl Said {
    fn tell(&self) {
        // Without a parent there is nobody to tell, and the end of its pipe ends this process.
        if let Ok(line) = serde_json::to_string(self) {
            println!("{line}");
        }
    }
}

struct Breakers;

impl Observer for Breakers {
    fn on_event(&self, event: &Event<'_>) {
        match event.happened {
            Happened::BreakerChanged {
                to: BreakerPhase::Open, ..
            } => {
                let at = UNIX_EPOCH.elapsed().map_or(0, micros);
                Said::Opened { at }.tell();
            }
            Happened::BreakerChanged {
                to: BreakerPhase::Closed,
                ..
            } => Said::Closed.tell(),
            _ => {}
        }
    }
}

/// Calls its tool until its standard input ends, and leaves.
pub(crate) async fn run(url: &str, warehouse: &str, number: &str) -> Result<(), Box<dyn Error>> {
    let (warehouse, number) = (warehouse.parse()?, number.parse()?);
    let _observing = observe(Breakers);
    let name = format!("replica {number}");
    let fleet = Fleet::connect(url).service(SERVICE).replica(name).join().await?;
    let mut stdin = tokio::io::stdin();
    tokio::select! {
        () = call(warehouse, number) => {}
        end = stdin.read_u8() => drop(end),
    }
    fleet.leave().await;
    Ok(())
}

async fn call(warehouse: SocketAddr, number: u8) {
    let mut turns = interval(PACE);
    loop {
        turns.tick().await;
        let began = Instant::now();
        let end = match stock(warehouse, number).await {
            Ok(()) => End::Well,
            Err(StockError::Sandbox(SandboxError::CircuitBreakerOpen { .. })) => End::Refused,
            Err(StockError::Sandbox(SandboxError::Disabled { reason, .. })) => End::Off(reason),
            Err(error) => End::Failed(error.to_string()),
        };
        let micros = micros(began.elapsed());
        Said::Called { end, micros }.tell();
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
