//! Servers of Redis and Valkey for a test, on free ports of the loopback interface.
#![allow(dead_code)] // no test needs all of it

pub(crate) mod address;

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use redis::{Client, FromRedisValue, cmd};
use sandbox_fleet::store::redis::RedisStore;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// A server that ends with the test.
pub(crate) struct Server {
    program: PathBuf,
    options: Vec<String>,
    port: u16,
    child: Child,
}

impl Server {
    /// Servers of all programs, each with these options.
    pub(crate) async fn all(options: &[&str]) -> Vec<Server> {
        let mut servers = Vec::new();
        for program in programs() {
            servers.push(Server::start(program, options).await);
        }
        servers
    }

    pub(crate) async fn start(program: PathBuf, options: &[&str]) -> Server {
        // Another process may take the port before the server does.
        for _ in 0..10 {
            let port = free_port();
            let options: Vec<String> = options
                .iter()
                .map(|option| option.replace("PORT", &port.to_string()))
                .collect();
            let child = spawn(&program, port, &options);
            let mut server = Server {
                program: program.clone(),
                options,
                port,
                child,
            };
            if server.is_up().await {
                return server;
            }
        }
        panic!("{} does not start", program.display());
    }

    pub(crate) fn url(&self) -> String {
        self.url_with("redis", "")
    }

    pub(crate) fn url_with(&self, scheme: &str, user: &str) -> String {
        format!("{scheme}://{user}127.0.0.1:{}", self.port)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// A store of a service that no other test has.
    pub(crate) fn store(&self, service: &str) -> RedisStore {
        RedisStore::new(&self.url(), &unique(service)).expect("the URL is right")
    }

    /// Sends a command as it is written.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let client = Client::open(self.url()).expect("the URL is right");
        let mut connection = client
            .get_multiplexed_async_connection()
            .await
            .expect("the server runs");
        let answer = cmd(command[0]).arg(&command[1..]).query_async(&mut connection).await;
        answer.unwrap_or_else(|error| panic!("{command:?} has failed: {error}"))
    }

    pub(crate) fn version(&self) -> String {
        let output = Command::new(&self.program)
            .arg("--version")
            .output()
            .expect("it has been started before");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split(" sha=").next().unwrap_or_default().to_owned()
    }

    /// Sends a signal: `STOP`, `CONT` or `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status();
        assert!(
            status.expect("`kill` is in every system").success(),
            "the signal {name} cannot be sent"
        );
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is a child of this process");
        self.child.wait().expect("it has been killed");
    }

    /// Starts it again, on the port that it had.
    pub(crate) async fn restart(&mut self) {
        self.child = spawn(&self.program, self.port, &self.options);
        assert!(self.is_up().await, "{} does not start again", self.program.display());
    }

    /// Waits until a node of a cluster knows who has all slots.
    async fn has_met_all(&self) {
        loop {
            let info: String = self.ask(&["CLUSTER", "INFO"]).await;
            if info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3") {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn is_up(&mut self) -> bool {
        for _ in 0..500 {
            if self.child.try_wait().expect("it is a child of this process").is_some() {
                return false;
            }
            // It may want a password or TLS: its own connection is enough.
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
            sleep(Duration::from_millis(10)).await;
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Three nodes, each with a third of the slots.
pub(crate) struct Cluster([Server; 3]);

impl Cluster {
    const SLOTS: u32 = 16_384;
    const SLOTS_OF_ONE: u32 = Self::SLOTS.div_ceil(3);

    pub(crate) async fn start(program: &Path) -> Cluster {
        let start = async || Server::start(program.to_owned(), &["--cluster-enabled", "yes"]).await;
        let nodes = [start().await, start().await, start().await];
        println!("a cluster of {}", nodes[0].version());
        for (number, node) in (0..).zip(&nodes) {
            let first = number * Self::SLOTS_OF_ONE;
            let slots = first..Self::SLOTS.min(first + Self::SLOTS_OF_ONE);
            let slots: Vec<String> = slots.map(|slot| slot.to_string()).collect();
            let assign: Vec<&str> = ["CLUSTER", "ADDSLOTS"]
                .into_iter()
                .chain(slots.iter().map(String::as_str))
                .collect();
            node.ask::<()>(&assign).await;
            let met = nodes[0].port.to_string();
            node.ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &met]).await;
        }
        for node in &nodes {
            node.has_met_all().await;
        }
        Cluster(nodes)
    }

    /// The node that has a service, and the two others.
    pub(crate) async fn nodes_of(&self, service: &str) -> (&Server, [&Server; 2]) {
        let [a, b, c] = &self.0;
        let key = format!("sandboxed:1:{{{service}}}:settings");
        let slot: u32 = a.ask(&["CLUSTER", "KEYSLOT", &key]).await;
        match slot / Self::SLOTS_OF_ONE {
            0 => (a, [b, c]),
            1 => (b, [a, c]),
            _ => (c, [a, b]),
        }
    }
}

fn spawn(program: &PathBuf, port: u16, options: &[String]) -> Child {
    // Without a file that a working directory may have, and without one that it would write.
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("server-{port}"));
    fs::create_dir_all(&folder).expect("cargo's folder for tests can be written");
    // It ends with the thread of the test, also if that is aborted.
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no", "--dir"])
        .arg(&folder)
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()))
}

fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback interface has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        // In a cluster a server has a second one, greater by 10,000.
        if port < 55_000 {
            return port;
        }
    }
}

/// The programs of servers that are to be tested.
pub(crate) fn programs() -> Vec<PathBuf> {
    let programs = env::var_os("SERVERS").expect("`SERVERS` has no programs; run sandbox-fleet/tests/servers/run");
    let programs: Vec<PathBuf> = env::split_paths(&programs).collect();
    assert!(!programs.is_empty(), "`SERVERS` has no programs");
    programs
}

/// A name that no other test of this server has.
pub(crate) fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{name} {} {}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
