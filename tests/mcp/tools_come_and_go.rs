//! A server that withdraws what is not to be had lists a tool while it may be called, tells its client of each change once, and does
//! not change the list more often than it was asked to.

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, ListToolsResult, PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig,
    ServerNotification, SubscriptionFilter,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, RequestContext};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt, tool, tool_handler, tool_router};
use sandbox_runtime::mcp::Sandboxed;
use sandbox_runtime::{sandboxed, tool as sandboxed_tool};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::support::RawClient;

const SECOND: Duration = Duration::from_secs(1);

/// A server with a tool that is always well and one that never is, which declares that its list changes.
macro_rules! server {
    ($server:ident, $dead:ident) => {
        struct $server;

        #[tool_router]
        impl $server {
            #[sandboxed(max_retries = 0, breaker(threshold = 1, cooldown_ms = 10_000))]
            #[tool]
            async fn $dead(&self) -> Result<String, String> {
                Err("down".to_owned())
            }

            #[sandboxed]
            #[tool]
            async fn well(&self) -> Result<String, String> {
                Ok("up".to_owned())
            }
        }

        #[tool_handler]
        impl ServerHandler for $server {
            fn get_info(&self) -> ServerConfig {
                let capabilities = ServerCapabilities::builder()
                    .enable_tools()
                    .enable_tool_list_changed();
                ServerConfig::new(capabilities.build())
            }
        }
    };
}

impl RawClient {
    async fn listed(&mut self, id: u32) -> (Vec<Value>, Vec<String>) {
        self.send(json!({ "id": id, "method": "tools/list" })).await;
        let (before, list) = self.read_until(id).await;
        let names = list["tools"].as_array().unwrap().iter();
        (
            before,
            names.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect(),
        )
    }

    /// Asserts that nothing but this is sent in so much time.
    async fn is_told(&mut self, lasts: Duration, expected: &[(u64, &str)]) {
        let begin = Instant::now();
        let mut told = Vec::new();
        while let Ok(message) = timeout(lasts - begin.elapsed(), self.read()).await {
            assert_eq!(message.get("params"), None, "{message}");
            told.push((
                begin.elapsed().as_secs(),
                message["method"].as_str().unwrap().to_owned(),
            ));
        }
        let expected: Vec<_> = expected.iter().map(|(at, what)| (*at, (*what).to_owned())).collect();
        assert_eq!(told, expected, "seconds and what the client was told");
    }
}

const CHANGED: &str = "notifications/tools/list_changed";

server!(Dead, dead);

#[tokio::test(start_paused = true)]
async fn a_dead_tool_is_gone_until_it_may_be_tried_again() {
    let mut client = RawClient::of(|_| Sandboxed::new(Dead).withdraw_unavailable(SECOND)).await;
    assert_eq!(
        client.listed(1).await,
        (vec![], vec!["dead".to_owned(), "well".to_owned()])
    );
    client.call(2, "dead", json!({})).await;
    let (before, answer) = client.read_until(2).await;
    let told = before.len();
    assert_eq!(answer["isError"], true);
    if told == 0 {
        client.is_told(SECOND, &[(0, CHANGED)]).await;
    }
    assert_eq!(client.listed(3).await, (vec![], vec!["well".to_owned()]));
    client.call(4, "dead", json!({})).await;
    let (_, refused) = client.read_until(4).await;
    let text = refused["content"][0]["text"].as_str().unwrap();
    assert!(
        text.starts_with("`dead` is unavailable after repeated failures"),
        "a client that calls it all the same: {text}"
    );
    client
        .is_told(SECOND * 20, &[(if told == 0 { 9 } else { 10 }, CHANGED)])
        .await;
    assert_eq!(client.listed(5).await.1, ["dead", "well"], "it may be tried");
}

server!(Switched, switched);

#[tokio::test(start_paused = true)]
async fn a_tool_that_is_switched_off_is_gone_for_as_long() {
    let mut client = RawClient::of(|_| Sandboxed::new(Switched).withdraw_unavailable(SECOND)).await;
    let tool = sandboxed_tool("tests::tools_come_and_go::switched")
        .or_else(|| sandboxed_tool("switched"))
        .unwrap();
    assert_eq!(client.listed(1).await.1, ["switched", "well"]);
    tool.disable("it is being moved", Some(SECOND * 30));
    client.is_told(SECOND * 60, &[(0, CHANGED), (30, CHANGED)]).await;
    tool.disable("for good", None);
    client.is_told(SECOND * 60, &[(0, CHANGED)]).await;
    assert_eq!(client.listed(2).await.1, ["well"]);
    tool.enable();
    client.is_told(SECOND * 60, &[(0, CHANGED)]).await;
    tool.force_open();
    client.is_told(SECOND * 60, &[(0, CHANGED)]).await;
    tool.shadow(true);
    client.is_told(SECOND * 60, &[(0, CHANGED)]).await;
    assert_eq!(
        client.listed(3).await.1,
        ["switched", "well"],
        "in shadow it refuses nothing"
    );
    tool.shadow(false);
    tool.reset();
    client.is_told(SECOND * 60, &[]).await;
}

server!(Flapping, flapping);

#[tokio::test(start_paused = true)]
async fn a_tool_that_comes_and_goes_does_not_take_the_list_with_it() {
    let serve = |_| Sandboxed::new(Flapping).withdraw_unavailable(SECOND * 10);
    let mut client = RawClient::of(serve).await;
    let tool = sandboxed_tool("flapping").unwrap();
    assert_eq!(client.listed(1).await.1, ["flapping", "well"]);
    let flapping = tokio::spawn(async move {
        for _ in 0..30 {
            tool.disable("it flaps", None);
            tokio::time::sleep(SECOND).await;
            tool.enable();
            tokio::time::sleep(SECOND).await;
        }
        tool.disable("it is down", None);
    });
    let begin = Instant::now();
    let mut changes = Vec::new();
    while let Ok(message) = timeout(SECOND * 30, client.read()).await {
        assert_eq!(message["method"], CHANGED);
        changes.push(begin.elapsed());
    }
    flapping.await.unwrap();
    let apart = changes.windows(2).map(|changes| changes[1] - changes[0]).min().unwrap();
    assert!(
        apart >= SECOND * 10,
        "the list has changed after {apart:?}: {changes:?}"
    );
    assert_eq!(client.listed(2).await.1, ["well"], "in the end it is as the tool is");
}

fn today() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    }
}

server!(Heard, heard);

#[tokio::test(start_paused = true)]
async fn a_client_of_today_listens_for_changes() {
    let (near, far) = tokio::io::duplex(65_536);
    tokio::spawn(async {
        Sandboxed::new(Heard)
            .withdraw_unavailable(SECOND)
            .serve(far)
            .await
            .unwrap()
            .waiting()
            .await
    });
    let client = ().serve_with_lifecycle(near, today()).await.unwrap();
    let mut changes = client
        .listen(SubscriptionFilter::builder().tools_list_changed().build())
        .await
        .unwrap();
    assert_eq!(client.list_all_tools().await.unwrap().len(), 2);
    sandboxed_tool("heard").unwrap().disable("it is being moved", None);
    let change = timeout(SECOND, changes.next()).await.unwrap();
    assert!(
        matches!(change, Ok(Some(ServerNotification::ToolListChangedNotification(_)))),
        "{change:?}"
    );
    assert_eq!(client.list_all_tools().await.unwrap().len(), 1);
}

server!(Left, left);

#[tokio::test(start_paused = true)]
async fn a_client_that_has_gone_does_not_listen() {
    let (near, far) = tokio::io::duplex(65_536);
    let server = Sandboxed::new(Left).withdraw_unavailable(SECOND);
    let serving = tokio::spawn(async { server.serve(far).await.unwrap().waiting().await });
    let client = ().serve_with_lifecycle(near, today()).await.unwrap();
    let filter = SubscriptionFilter::builder().tools_list_changed().build();
    let _changes = client.listen(filter).await.unwrap();
    assert_eq!(client.list_all_tools().await.unwrap().len(), 2);
    let left = Instant::now();
    client.cancel().await.unwrap();
    serving.await.unwrap().unwrap();
    assert_eq!(
        left.elapsed(),
        Duration::ZERO,
        "the server has waited for a request that nobody waits for"
    );
}

/// Lists one tool on each page, and does not declare that the list changes.
struct Paged;

#[tool_router]
impl Paged {
    #[sandboxed]
    #[tool]
    async fn on_page_one(&self) -> Result<String, String> {
        Ok("up".to_owned())
    }

    #[sandboxed]
    #[tool]
    async fn on_page_two(&self) -> Result<String, String> {
        Ok("up".to_owned())
    }
}

#[tool_handler]
impl ServerHandler for Paged {
    async fn list_tools(
        &self,
        page: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = Paged::tool_router().list_all();
        let page = page
            .and_then(|page| page.cursor)
            .map_or(0, |cursor| cursor.parse().unwrap());
        let mut result = ListToolsResult::with_all_items(vec![tools[page].clone()]);
        result.next_cursor = (page == 0).then(|| "1".to_owned());
        Ok(result)
    }
}

#[tokio::test(start_paused = true)]
async fn pages_of_the_server_stay_as_they_are() {
    let mut client = RawClient::of(|_| Sandboxed::new(Paged).withdraw_unavailable(SECOND)).await;
    sandboxed_tool("on_page_one")
        .unwrap()
        .disable("it is being moved", None);
    client.send(json!({ "id": 1, "method": "tools/list" })).await;
    let (_, first) = client.read_until(1).await;
    assert_eq!((&first["tools"], &first["nextCursor"]), (&json!([]), &json!("1")));
    client
        .send(json!({ "id": 2, "method": "tools/list", "params": { "cursor": "1" } }))
        .await;
    let (_, second) = client.read_until(2).await;
    assert_eq!(second["tools"][0]["name"], "on_page_two");
    sandboxed_tool("on_page_two")
        .unwrap()
        .disable("it is being moved", None);
    client.is_told(SECOND * 60, &[]).await;
}

server!(Soaked, soaked);

/// A client that lists all the time and calls what it sees, on several threads, while an operator does what they like.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_list_is_right_whatever_happens_beside_it() {
    let (near, far) = tokio::io::duplex(65_536);
    let server = Sandboxed::new(Soaked).withdraw_unavailable(Duration::ZERO);
    tokio::spawn(async { server.serve(far).await.unwrap().waiting().await });
    let client = std::sync::Arc::new(().serve(near).await.unwrap());
    let tool = sandboxed_tool("soaked").unwrap();
    let operator = tokio::task::spawn_blocking(move || {
        for change in 0..2_000 {
            match change % 4 {
                0 => tool.disable("it flaps", None),
                1 => drop(tool.enable()),
                2 => drop(tool.force_open()),
                _ => drop(tool.reset()),
            }
            std::thread::yield_now();
        }
        tool.disable("it is down", None);
    });
    let clients = [(); 3].map(|()| {
        let client = client.clone();
        tokio::spawn(async move {
            for _ in 0..300 {
                let listed = client.list_all_tools().await.unwrap();
                let names: Vec<_> = listed.iter().map(|tool| &*tool.name).collect();
                assert!(names == ["soaked", "well"] || names == ["well"], "{names:?}");
                let call = CallToolRequestParams::new(names[0].to_owned());
                let answer = serde_json::to_value(client.call_tool(call).await.unwrap()).unwrap();
                assert_eq!(answer["isError"], names[0] == "soaked", "{answer}");
            }
        })
    });
    operator.await.unwrap();
    for client in clients {
        client.await.unwrap();
    }
    let listed = client.list_all_tools().await.unwrap();
    assert_eq!(
        listed.len(),
        1,
        "in the end it is as the operator has left it: {listed:?}"
    );
}
