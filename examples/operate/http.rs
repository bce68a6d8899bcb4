//! The routes, and who may use them.
//!
//! A service on loopback is within reach of every page that a browser on this machine shows. So whatever comes from the page of
//! another origin is refused, and so is whatever came to another host's name, which its owner can let point to this machine (DNS
//! rebinding). Switching needs a token on top, which other users of the machine do not have.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use sandbox_runtime::{ToolHandle, tool, tools};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;

/// More than any reason needs.
const LONGEST_BODY: usize = 4_096;

/// A status, and the fact with its remedy.
type Refusal = (StatusCode, String);

/// Serves until the program ends. The first two lines on standard output are the address and the token, for people and programs.
pub(crate) async fn serve(port: u16, exporter: PrometheusHandle) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let port = listener.local_addr()?.port();
    let door = Door {
        hosts: ["127.0.0.1", "localhost"].map(|name| format!("{name}:{port}")),
        token: random()?,
    };
    println!("address=http://{}/", door.hosts[0]);
    println!("token={}", door.token);
    axum::serve(listener, routes(Arc::new(door), exporter)).await
}

fn routes(door: Arc<Door>, exporter: PrometheusHandle) -> Router {
    let metrics = async move || ([(CONTENT_TYPE, "text/plain; version=0.0.4")], exporter.render());
    // Of the methods, not of the router: another method is refused as such, and not for want of a token.
    let steering = post(steer).route_layer(from_fn_with_state(door.clone(), with_token));
    Router::new()
        .route("/", get(page))
        .route("/tools", get(async || json(&tools())))
        .route("/tools/{name}/{switch}", steering)
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(from_fn_with_state(door, from_here))
}

// ---- Who may come in ------------------------------------------------------------------------------------------------

struct Door {
    /// As which a browser on this machine knows the program.
    hosts: [String; 2],
    token: String,
}

/// 128 bits that nobody can guess, as text.
fn random() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

impl Door {
    fn check_where_from(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let refused = |fact| Err((StatusCode::FORBIDDEN, format!("{fact}; open http://{}/", self.hosts[0])));
        let Some(host) = single(headers, HOST).filter(|host| self.hosts.iter().any(|own| own == host)) else {
            return refused("the request is for another host");
        };
        match single(headers, ORIGIN) {
            None if headers.contains_key(ORIGIN) => refused("the request has several origins"),
            Some(origin) if origin != format!("http://{host}") => refused("the request is from another origin"),
            _ => Ok(()),
        }
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let given = single(headers, AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let is_right = given.is_some_and(|given| given.as_bytes().ct_eq(self.token.as_bytes()).into());
        is_right.then_some(()).ok_or_else(|| {
            let fact = if given.is_some() {
                "the token is wrong"
            } else {
                "there is no token"
            };
            let remedy = "send the one that the program has printed as `authorization: Bearer ..`";
            (StatusCode::UNAUTHORIZED, format!("{fact}; {remedy}"))
        })
    }
}

/// The value of a header that is there once, and is text.
fn single(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).into_iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

async fn from_here(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let response = match door.check_where_from(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let headers = [
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
    ];
    (headers, response).into_response()
}

async fn with_token(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    match door.check_token(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => ([(WWW_AUTHENTICATE, "Bearer")], refusal).into_response(),
    }
}

// ---- What there is --------------------------------------------------------------------------------------------------

/// Only what stands in the page runs in it, it reaches nothing but this program, and no page shows it as a part of itself.
async fn page() -> Result<Response, Refusal> {
    let nonce = random().map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_SECURITY_POLICY, policy),
    ];
    Ok((headers, include_str!("page.html").replace("NONCE", &nonce)).into_response())
}

/// What `disable` is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Disable {
    reason: String,
    for_ms: Option<u64>,
}

impl Disable {
    fn read(body: &[u8]) -> Result<Disable, Refusal> {
        let refusal = |fact: &str| {
            let remedy = r#"send {"reason": "why", "for_ms": 60000}, without `for_ms` if it lasts until `enable`"#;
            (StatusCode::BAD_REQUEST, format!("{fact}; {remedy}"))
        };
        match serde_json::from_slice(body) {
            Err(error) => Err(refusal(&error.to_string())),
            Ok(Disable { reason, .. }) if reason.trim().is_empty() => Err(refusal("the reason is empty")),
            Ok(disable) => Ok(disable),
        }
    }
}

const SWITCHES: [&str; 6] = ["disable", "enable", "open", "reset", "shadow", "unshadow"];

async fn steer(Path((name, switch)): Path<(String, String)>, body: Bytes) -> Result<Response, Refusal> {
    let tool = tool(&name).ok_or_else(|| not_found("tool", &name, tools().iter().map(ToolHandle::name)))?;
    match switch.as_str() {
        "disable" => {
            let Disable { reason, for_ms } = Disable::read(&body)?;
            tool.disable(&reason, for_ms.map(Duration::from_millis));
        }
        "enable" => drop(tool.enable()),
        "open" => on_breaker(&tool, ToolHandle::force_open)?,
        "reset" => on_breaker(&tool, ToolHandle::reset)?,
        "shadow" => drop(tool.shadow(true)),
        "unshadow" => drop(tool.shadow(false)),
        _ => return Err(not_found("switch", &switch, SWITCHES)),
    }
    json(&tool.status())
}

fn on_breaker(tool: &ToolHandle, act: fn(&ToolHandle) -> bool) -> Result<(), Refusal> {
    let without = || format!("`{}` has no breaker of its own; disable it", tool.name());
    act(tool).then_some(()).ok_or_else(|| (StatusCode::CONFLICT, without()))
}

fn not_found<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Refusal {
    let known: Vec<_> = known.into_iter().map(|name| format!("`{name}`")).collect();
    (
        StatusCode::NOT_FOUND,
        format!("there is no {kind} `{name}`; there are {}", known.join(", ")),
    )
}

fn json(value: &impl Serialize) -> Result<Response, Refusal> {
    let text = serde_json::to_vec(value).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}
