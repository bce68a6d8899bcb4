//! What the replicas live in: their server, the warehouse that they ask, and their parent's view of them.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, process};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::replica::{End, Said};

pub(crate) const REPLICAS: u8 = 5;
const GLANCE: Duration = Duration::from_millis(10);

// ---- The server -----------------------------------------------------------------------------------------------------

/// Redis or Valkey, without a file: killed, it has forgotten everything.
pub(crate) struct Server {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Server {
    pub(crate) async fn start() -> Result<Server, Box<dyn Error>> {
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        let folder = env::temp_dir().join(format!("fleet-{}", process::id()));
        fs::create_dir_all(&folder)?;
        let child = spawn(port, &folder)?;
        let server = Server { child, port, folder };
        server.is_up().await?;
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.child.kill().await
    }

    pub(crate) async fn start_again(&mut self) -> Result<(), Box<dyn Error>> {
        self.child = spawn(self.port, &self.folder)?;
        self.is_up().await
    }

    /// Sends `STOP` or `CONT`.
    pub(crate) async fn signal(&self, name: &str) -> Result<(), Box<dyn Error>> {
        let id = self.child.id().ok_or("the server has ended")?.to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().await?;
        status.success().then_some(()).ok_or_else(|| "`kill` has failed".into())
    }

    async fn is_up(&self) -> Result<(), Box<dyn Error>> {
        for _ in 0..1000 {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return Ok(());
            }
            sleep(GLANCE).await;
        }
        Err("the server does not start".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What is left in the folder for temporary files does no harm.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn spawn(port: u16, folder: &PathBuf) -> Result<Child, Box<dyn Error>> {
    for program in ["redis-server", "valkey-server"] {
        let child = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(folder)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        match child {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            child => return Ok(child?),
        }
    }
    Err("there is neither `redis-server` nor `valkey-server`; \
        install one, for example by `apt install redis-server` or `brew install valkey`"
        .into())
}

// ---- The dependency -------------------------------------------------------------------------------------------------

/// Answers each replica whether it is well for it.
#[derive(Default)]
pub(crate) struct Warehouse {
    down: Mutex<BTreeSet<u8>>,
    requests: AtomicU64,
}

impl Warehouse {
    pub(crate) async fn open() -> io::Result<(Arc<Warehouse>, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (warehouse, address) = (Arc::new(Warehouse::default()), listener.local_addr()?);
        let serving = Arc::clone(&warehouse);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&serving).answer(connection));
            }
        });
        Ok((warehouse, address))
    }

    async fn answer(self: Arc<Self>, mut connection: TcpStream) -> io::Result<()> {
        let replica = connection.read_u8().await?;
        self.requests.fetch_add(1, Relaxed);
        let is_down = self.down.lock().unwrap().contains(&replica);
        connection.write_u8(u8::from(!is_down)).await
    }

    pub(crate) fn is_down_for(&self, replicas: impl IntoIterator<Item = u8>) {
        *self.down.lock().unwrap() = replicas.into_iter().collect();
    }

    /// How many requests there were since this was last asked.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.swap(0, Relaxed)
    }
}

// ---- The replicas ---------------------------------------------------------------------------------------------------

/// What is known of one replica. The numbers are those of the scene.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) latest: Option<End>,
    /// Since when its breaker is not closed.
    pub(crate) opened: Option<u64>,
    pub(crate) failed: Vec<String>,
    pub(crate) refused: u64,
    pub(crate) micros: Vec<u64>,
}

impl Seen {
    fn hear(&mut self, said: Said) {
        match said {
            Said::Opened { at } => drop(self.opened.get_or_insert(at)),
            Said::Closed => self.opened = None,
            Said::Called { end, micros } => {
                self.micros.push(micros);
                match &end {
                    End::Failed(why) => self.failed.push(why.clone()),
                    End::Refused => self.refused += 1,
                    End::Well | End::Off(_) => {}
                }
                self.latest = Some(end);
            }
        }
    }

    pub(crate) fn is_well(&self) -> bool {
        self.latest == Some(End::Well) && self.opened.is_none()
    }
}

/// Five processes.
pub(crate) struct Replicas {
    children: Vec<Child>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Replicas {
    pub(crate) fn start(url: &str, warehouse: SocketAddr) -> Result<Replicas, Box<dyn Error>> {
        let seen = Arc::new(Mutex::new(vec![Seen::default(); usize::from(REPLICAS)]));
        let mut children = Vec::new();
        for number in 0..REPLICAS {
            let mut child = Command::new(env::current_exe()?)
                .args([url, &warehouse.to_string(), &number.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()?;
            let (stdout, seen) = (child.stdout.take().ok_or("it is piped")?, Arc::clone(&seen));
            tokio::spawn(async move {
                let mut lines = BufReader::new(stdout).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let said = serde_json::from_str(&line).expect("a replica says nothing else");
                    seen.lock().unwrap()[usize::from(number)].hear(said);
                }
            });
            children.push(child);
        }
        Ok(Replicas { children, seen })
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until something is true of what is seen of all, and returns how long that took.
    pub(crate) async fn until(
        &self,
        what: &str,
        limit: Duration,
        mut is_true: impl FnMut(&[Seen]) -> bool,
    ) -> Result<Duration, Box<dyn Error>> {
        let began = Instant::now();
        while !is_true(&self.seen()) {
            if began.elapsed() > limit {
                return Err(format!("within {limit:?} it is not true that {what}").into());
            }
            sleep(GLANCE).await;
        }
        Ok(began.elapsed())
    }

    /// Begins a new scene, and returns what was seen in the last one.
    pub(crate) fn end_scene(&self) -> Vec<Seen> {
        let mut seen = self.seen.lock().unwrap();
        let last = seen.clone();
        for replica in seen.iter_mut() {
            replica.failed.clear();
            replica.micros.clear();
            replica.refused = 0;
        }
        last
    }

    /// Lets all leave.
    pub(crate) async fn leave(mut self) -> io::Result<()> {
        for child in &mut self.children {
            drop(child.stdin.take());
        }
        for child in &mut self.children {
            child.wait().await?;
        }
        Ok(())
    }
}
