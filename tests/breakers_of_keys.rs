//! A function can have a breaker for each host, tenant or argument: it is looked up before the arguments are taken from the caller,
//! whatever becomes of them, and all attempts of a call have the same one.

use std::fmt::{Debug, Display};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use sandbox_runtime::{CircuitBreaker, KeyOf, KeyedBreakers, sandboxed};

#[track_caller]
fn assert_refused<T: Debug>(result: Result<T, String>) {
    let refused = matches!(&result, Err(error) if error.contains("is unavailable"));
    assert!(refused, "not refused: {:?}", result);
}

static HOSTS: KeyedBreakers<String> = KeyedBreakers::new(1_000, CircuitBreaker::new(2)).named("hosts of tests");

#[sandboxed(max_retries = 1, backoff_base_ms = 0, breaker = HOSTS.of(&host))]
async fn consumed(host: String) -> Result<String, String> {
    let host = host.into_boxed_str();
    if host.starts_with("down") {
        Err(host.into())
    } else {
        Ok(host.into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_may_consume_the_argument_that_it_is_found_by() {
    for _ in 0..2 {
        assert_eq!(consumed("down".into()).await, Err("down".into()));
    }
    assert_refused(consumed("down".into()).await);
    assert_eq!(consumed("up".into()).await, Ok("up".into()), "another host was refused");
    assert!(HOSTS.of("down").is_open() && !HOSTS.of("up").is_open());
}

#[sandboxed(max_retries = 0, breaker = HOSTS.of(&host))]
async fn consumed_once(host: String) -> Result<String, String> {
    Err(host)
}

#[sandboxed(max_retries = 0, breaker = HOSTS.of(&host))]
async fn borrowed(host: &str) -> Result<String, String> {
    Err(host.to_owned())
}

#[sandboxed(max_retries = 0, breaker = HOSTS.of(host.as_ref()))]
async fn generic<H: AsRef<str> + Display>(host: H) -> Result<String, String> {
    Err(host.to_string())
}

#[sandboxed(max_retries = 0, breaker = HOSTS.of(hosts.first().map_or("none", |host| host)))]
async fn of_a_part(mut hosts: Vec<String>) -> Result<String, String> {
    Err(hosts.remove(0))
}

#[tokio::test(start_paused = true)]
async fn functions_share_the_breaker_of_a_key() {
    assert_eq!(consumed_once("shared".into()).await, Err("shared".into()));
    assert_eq!(borrowed("shared").await, Err("shared".into()));
    assert_refused(generic("shared").await);
    assert_refused(of_a_part(vec!["shared".into()]).await);
    assert_eq!(generic("other".to_owned()).await, Err("other".into()));
    assert_eq!(HOSTS.of("other").failure_count(), 1);
}

struct Clients {
    tenants: KeyedBreakers<u64>,
    calls: AtomicU32,
}

impl Clients {
    fn new() -> Self {
        Clients {
            tenants: KeyedBreakers::new(100, CircuitBreaker::new(1)),
            calls: AtomicU32::new(0),
        }
    }

    #[sandboxed(max_retries = 1, backoff_base_ms = 0, breaker = self.tenants.of(&tenant))]
    async fn shared(&self, tenant: u64, body: String) -> Result<String, String> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Err(body)
    }

    #[sandboxed(max_retries = 1, backoff_base_ms = 0, breaker = &self.tenants.of(&tenant))]
    async fn by_reference(&self, tenant: u64) -> Result<String, String> {
        Err(tenant.to_string())
    }

    #[sandboxed(max_retries = 1, backoff_base_ms = 0, breaker = self.tenants.of(&tenant))]
    async fn lent(&mut self, tenant: u64) -> Result<String, String> {
        self.count();
        Err(tenant.to_string())
    }

    #[sandboxed(max_retries = 1, backoff_base_ms = 0, breaker = self.tenants.of(&tenant))]
    async fn owned(self: Arc<Self>, tenant: u64) -> Result<String, String> {
        drop(self);
        Err(tenant.to_string())
    }

    fn count(&mut self) {
        *self.calls.get_mut() += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn methods_have_them_in_a_field() {
    let (mut one, other) = (Clients::new(), Clients::new());
    assert_eq!(one.shared(1, "body".into()).await, Err("body".into()));
    assert_eq!(
        one.calls.load(Ordering::Relaxed),
        2,
        "both attempts of a call have one breaker"
    );
    assert_refused(one.shared(1, "body".into()).await);
    assert_eq!(
        other.shared(1, "body".into()).await,
        Err("body".into()),
        "another instance"
    );
    assert_eq!(one.by_reference(2).await, Err("2".into()));
    assert_eq!(one.lent(3).await, Err("3".into()));
    for tenant in [2, 3] {
        assert_refused(one.by_reference(tenant).await);
        assert_refused(one.lent(tenant).await);
    }
    let one = Arc::new(one);
    assert_eq!(Arc::clone(&one).owned(4).await, Err("4".into()));
    assert_refused(Arc::clone(&one).owned(4).await);
    assert_eq!(one.tenants.len(), 4);
}

#[async_trait]
trait Fetch {
    async fn fetch(&self, host: String) -> Result<String, String>;
}

#[async_trait]
impl Fetch for Clients {
    #[sandboxed(max_retries = 0, breaker = HOSTS.of(&host))]
    async fn fetch(&self, host: String) -> Result<String, String> {
        Err(host)
    }
}

#[sandboxed(max_retries = 0, breaker = self.hosts.of(&host))]
impl Block {
    #[sandboxed]
    async fn first(&self, host: String) -> Result<String, String> {
        Err(host)
    }

    #[sandboxed]
    async fn second(&self, host: &str) -> Result<String, String> {
        Err(host.to_owned())
    }
}

struct Block {
    hosts: KeyedBreakers<String>,
}

#[tokio::test(start_paused = true)]
async fn traits_and_whole_blocks_have_them_too() {
    for _ in 0..2 {
        assert_eq!(
            Clients::new().fetch("of a trait".into()).await,
            Err("of a trait".into())
        );
    }
    assert_refused(Clients::new().fetch("of a trait".into()).await);
    let block = Block {
        hosts: KeyedBreakers::new(10, CircuitBreaker::new(1)),
    };
    assert_eq!(block.first("a".into()).await, Err("a".into()));
    assert_refused(block.second("a").await);
    assert_eq!(block.second("b").await, Err("b".into()));
}

/// Two arguments that are looked up without a copy.
#[derive(Hash)]
struct Port<'a>(&'a str, u16);

impl KeyOf<(String, u16)> for Port<'_> {
    fn is(&self, key: &(String, u16)) -> bool {
        self.0 == key.0 && self.1 == key.1
    }

    fn to_key(&self) -> (String, u16) {
        (self.0.to_owned(), self.1)
    }
}

static PORTS: KeyedBreakers<(String, u16)> = KeyedBreakers::new(100, CircuitBreaker::new(1));

#[sandboxed(max_retries = 0, breaker = PORTS.of(&Port(&host, port)))]
async fn connect(host: String, port: u16) -> Result<u16, String> {
    if port == 80 { Err(host) } else { Ok(port) }
}

#[tokio::test(start_paused = true)]
async fn a_key_may_have_parts() {
    assert_eq!(connect("a".into(), 80).await, Err("a".into()));
    assert_refused(connect("a".into(), 80).await);
    assert_eq!(connect("a".into(), 443).await, Ok(443));
    assert_eq!(PORTS.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_map_refuses_nobody() {
    static FEW: KeyedBreakers<u32> = KeyedBreakers::new(1, CircuitBreaker::new(1));

    #[sandboxed(max_retries = 0, breaker = FEW.of(&key))]
    async fn fails(key: u32) -> Result<(), String> {
        Err(key.to_string())
    }

    assert_eq!(fails(1).await, Err("1".into()));
    for key in 2..100 {
        assert_eq!(fails(key).await, Err(key.to_string()));
        assert_eq!(fails(key).await, Err(key.to_string()));
    }
    assert_refused(fails(1).await);
    assert_eq!((FEW.len(), FEW.status().unkept), (1, 196));
}
