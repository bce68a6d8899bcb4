//! The service that the tools use, with its faults, on a free port of this machine.

use std::collections::HashMap;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::{Router, routing::get};
use serde_json::json;
use tokio::net::TcpListener;

/// The header with the key of a call, the same for all its attempts.
pub(crate) const KEY: &str = "idempotency-key";

pub(crate) async fn start() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let routes = Router::new()
        .route("/weather/{city}", get(weather))
        .route("/visitors/{month}", get(visitors))
        .route("/receipt", get(pending::<String>))
        .route("/bell", get(pending::<String>))
        .route("/guests/{name}", get(guests))
        .route("/archive/{part}", get(archive));
    tokio::spawn(async { axum::serve(listener, routes).await });
    Ok(address)
}

/// Fails the first two requests of each call, as the key that they have in common shows it.
async fn weather(Path(city): Path<String>, headers: HeaderMap) -> Result<String, StatusCode> {
    static REQUESTS: Mutex<Option<HashMap<HeaderValue, u32>>> = Mutex::new(None);
    let key = headers.get(KEY).ok_or(StatusCode::BAD_REQUEST)?;
    let mut requests = REQUESTS.lock().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let count = requests.get_or_insert_default().entry(key.clone()).or_default();
    *count += 1;
    match *count {
        1 | 2 => Err(StatusCode::SERVICE_UNAVAILABLE),
        _ => Ok(json!({ "city": city, "celsius": 21 }).to_string()),
    }
}

/// The first two requests hang.
async fn visitors(Path(month): Path<String>) -> String {
    static REQUESTS: AtomicU32 = AtomicU32::new(0);
    if REQUESTS.fetch_add(1, Relaxed) < 2 {
        pending::<()>().await;
    }
    json!({ "month": month, "visitors": 1_024 }).to_string()
}

/// Hangs for Ada.
async fn guests(Path(name): Path<String>) -> &'static str {
    if name == "Ada" {
        pending::<()>().await;
    }
    "signed"
}

/// Works, but slowly.
async fn archive(Path(part): Path<u32>) -> String {
    tokio::time::sleep(Duration::from_millis(20)).await;
    format!("part {part}\n")
}
