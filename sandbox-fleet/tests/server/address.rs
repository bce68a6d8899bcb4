//! An address behind which servers change: a proxy of TCP that leads to one of them, or holds back all that is sent.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Where connections lead to, until it is dropped.
pub(crate) struct Address {
    port: u16,
    route: watch::Sender<Route>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy)]
struct Route {
    port: u16,
    is_silent: bool,
}

impl Address {
    /// A free port of the loopback interface, which leads to the server at another one.
    pub(crate) async fn of(port: u16) -> Address {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the loopback interface has a free port");
        let own = listener.local_addr().expect("it is bound").port();
        let (route, routes) = watch::channel(Route { port, is_silent: false });
        Address {
            port: own,
            route,
            task: tokio::spawn(accept(listener, routes)),
        }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Leads all connections that are made from now on to another server. Those that there are stay with theirs.
    pub(crate) fn lead_to(&self, port: u16) {
        self.route.send_modify(|route| route.port = port);
    }

    /// Holds back what is sent, both ways, and accepts connections all the same; or lets it through again, with what was held back.
    pub(crate) fn be_silent(&self, is_silent: bool) {
        self.route.send_modify(|route| route.is_silent = is_silent);
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, routes: watch::Receiver<Route>) {
    // Ends the connections with this task.
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("the port is bound");
        connections.spawn(connect(client, routes.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Both ends are closed when one is.
async fn connect(client: TcpStream, mut routes: watch::Receiver<Route>) {
    let Some(route) = spoken(&mut routes).await else { return };
    let Ok(server) = TcpStream::connect(("127.0.0.1", route.port)).await else {
        return;
    };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        () = forward(from_client, to_server, routes.clone()) => {}
        () = forward(from_server, to_client, routes) => {}
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut routes: watch::Receiver<Route>) {
    let mut bytes = [0; 16 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut bytes).await else {
            return;
        };
        if spoken(&mut routes).await.is_none() || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// The route, as soon as it is not silent; `None` if the address is gone.
async fn spoken(routes: &mut watch::Receiver<Route>) -> Option<Route> {
    routes.wait_for(|route| !route.is_silent).await.ok().map(|route| *route)
}
