//! No call fails or waits while a real server is killed, is stopped, or is behind a network that is silent; and all replicas agree
//! when it is back.

use std::time::Duration;

use crate::server::Server;
use crate::support_for_servers::ServiceOverServer;

/// Longer than a step and the time to the next one.
const LONG: Duration = Duration::from_millis(2_500);

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn killed() {
    for mut server in Server::all(&[]).await {
        let service = switched_off(&server).await;
        server.kill();
        service.is_alone_for(LONG).await;
        server.restart().await;
        // It has started without a file: the replicas give it back what was set.
        is_as_before(&service, &server).await;
    }
}

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn stopped() {
    for server in Server::all(&[]).await {
        let service = switched_off(&server).await;
        server.signal("STOP");
        service.is_alone_for(LONG).await;
        server.signal("CONT");
        is_as_before(&service, &server).await;
    }
}

#[tokio::test]
#[ignore = "needs servers: sandbox-fleet/tests/servers/run"]
async fn behind_a_silent_network() {
    for server in Server::all(&[]).await {
        let service = switched_off(&server).await;
        service.address.be_silent(true);
        service.is_alone_for(LONG).await;
        let failed = service.operator().enable("switched").await;
        let error = failed
            .expect_err("an operator is told that it has not been done")
            .to_string();
        assert!(error.contains("not answered"), "{error}");
        service.address.be_silent(false);
        is_as_before(&service, &server).await;
    }
}

async fn switched_off(server: &Server) -> ServiceOverServer {
    println!("over {}", server.version());
    let service = ServiceOverServer::over(server).await;
    service.operator().disable("switched", "before", None).await.unwrap();
    service.is_off_for("before").await;
    service
}

async fn is_as_before(service: &ServiceOverServer, server: &Server) {
    service.agrees(server).await;
    service
        .calls_until("the store has what was set", async || {
            let settings = service.operator().settings().await;
            settings.is_ok_and(|settings| settings.text.contains("before"))
        })
        .await;
    service.is_off_for("before").await;
    service.operator().disable("switched", "after", None).await.unwrap();
    service.is_off_for("after").await;
}
