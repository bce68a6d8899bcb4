//! Parameters that are not `Clone` reach a second attempt all the same: they are read again from the request. Where there is no
//! request, there is one attempt.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use rmcp::handler::server::wrapper::Parameters;
use rmcp::{tool, tool_router};
use sandbox_runtime::mcp::Sandboxed;
use sandbox_runtime::observe::{Event, Happened, Observer, error_type, observe_in};
use sandbox_runtime::sandboxed;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::support::{Client, State, error, text};

/// Neither it nor what it has is `Clone`.
#[derive(Deserialize, JsonSchema)]
struct Order {
    items: Vec<Item>,
    #[serde(default = "nobody")]
    customer: String,
}

#[derive(Deserialize, JsonSchema)]
struct Item(u32);

fn nobody() -> String {
    "nobody".to_owned()
}

/// What every attempt gets: consumed, so that the next one needs it whole.
fn attempt(state: &State, Order { items, customer }: Order) -> Result<String, String> {
    let items: Vec<_> = items.into_iter().map(|Item(item)| item).collect();
    let answer = format!("{items:?} for {customer}");
    match state.attempt() {
        1 | 2 => Err(answer),
        _ => Ok(answer),
    }
}

servers! {
    {
        #[sandboxed(backoff_base_ms = 0)]
        #[tool]
        async fn whole(&self, order: Parameters<Order>) -> Result<String, String> {
            attempt(&self.0, order.0)
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0)]
        #[tool]
        async fn within(&self, Parameters(order): Parameters<Order>) -> Result<String, String> {
            attempt(&self.0, order)
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0)]
        #[tool]
        async fn changed(&self, Parameters(mut order): Parameters<Order>) -> Result<String, String> {
            order.items.push(Item(99));
            attempt(&self.0, order)
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0)]
        #[tool]
        async fn apart(
            &self,
            Parameters(Order { mut items, customer: name }): Parameters<Order>,
        ) -> Result<String, String> {
            items.push(Item(99));
            attempt(&self.0, Order { items, customer: name })
        }
    }
    {
        #[sandboxed(backoff_base_ms = 0)]
        #[tool]
        async fn in_part(&self, Parameters(Order { items, .. }): Parameters<Order>) -> Result<String, String> {
            let customer = nobody();
            attempt(&self.0, Order { items, customer })
        }
    }
    {
        #[sandboxed(policy = sandbox_runtime::Policy::new().backoff_base(std::time::Duration::ZERO))]
        #[tool]
        async fn under_a_policy(&self, Parameters(order): Parameters<Order>) -> Result<String, String> {
            attempt(&self.0, order)
        }
    }
}

async fn in_servers_that_report() -> [Client; 2] {
    [
        Client::of(|state| Sandboxed::new(Above(state))).await,
        Client::of(|state| Sandboxed::new(Below(state))).await,
    ]
}

#[tokio::test(start_paused = true)]
async fn by_every_attempt() {
    for (tool, answer) in [
        ("whole", "[1, 2] for nobody"),
        ("within", "[1, 2] for nobody"),
        ("changed", "[1, 2, 99] for nobody"),
        ("apart", "[1, 2, 99] for nobody"),
        ("in_part", "[1, 2] for nobody"),
        ("under_a_policy", "[1, 2] for nobody"),
    ] {
        for client in in_servers_that_report().await {
            let arguments = json!({ "items": [1, 2] });
            assert_eq!(client.call(tool, arguments).await, Ok(text(answer)), "{tool}");
            assert_eq!(client.server.attempts.load(Relaxed), 3, "{tool}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn but_once_in_a_server_that_does_not_know_the_request() {
    for tool in ["whole", "within", "under_a_policy"] {
        for client in clients().await {
            let arguments = json!({ "items": [1], "customer": "Ada" });
            assert_eq!(client.call(tool, arguments).await, Ok(error("[1] for Ada")), "{tool}");
            assert_eq!(client.server.attempts.load(Relaxed), 1, "{tool}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn but_once_in_a_call_from_rust() {
    let server = |state: Arc<State>| Above(state);
    let client = Client::of(server).await;
    let above = Above(Arc::clone(&client.server));
    let order = Order {
        items: vec![Item(7)],
        customer: nobody(),
    };
    assert_eq!(above.whole(Parameters(order)).await, Err("[7] for nobody".to_owned()));
    assert_eq!(client.server.attempts.load(Relaxed), 1);
}

/// Notes how calls begin and end. It asserts nothing: a panic in an observer is caught.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Observer for Notes {
    fn on_event(&self, event: &Event<'_>) {
        let told = match event.happened {
            Happened::CallStarted => "started".to_owned(),
            Happened::CallEnded {
                stop,
                attempts,
                failure,
                ..
            } => format!("{} after {attempts}: {:?}", stop.as_str(), error_type(stop, failure)),
            _ => return,
        };
        self.0.lock().unwrap().push(told);
    }
}

/// The row that `sandbox-runtime/tests/every_end_is_told.rs` cannot have.
#[tokio::test(start_paused = true)]
async fn and_an_observer_is_told_so() {
    let order = || {
        Parameters(Order {
            items: Vec::new(),
            customer: nobody(),
        })
    };
    let client = Client::of(Above).await;
    let [above, below] = [Notes::default(), Notes::default()];
    let call_above = Above(Arc::clone(&client.server));
    observe_in(above.clone(), call_above.whole(order())).await.unwrap_err();
    client.server.attempts.store(0, Relaxed);
    let call_below = Below(Arc::clone(&client.server));
    observe_in(below.clone(), call_below.whole(order())).await.unwrap_err();
    for (notes, place) in [(above, "above"), (below, "below")] {
        assert_eq!(
            *notes.0.lock().unwrap(),
            ["started", "arguments_consumed after 1: Some(\"tool_error\")"],
            "`arguments_consumed`, {place} `#[tool]`: the observer was told something else"
        );
    }
}

/// Tools that call others: the request is that of the tool that the client has called, and of no other.
struct Nested(Arc<State>);

#[tool_router(server_handler)]
impl Nested {
    #[sandboxed(backoff_base_ms = 0)]
    #[tool]
    async fn order(&self, Parameters(order): Parameters<Order>) -> Result<String, String> {
        attempt(&self.0, order)
    }

    /// Not sandboxed, with parameters of the same form.
    #[tool]
    async fn order_something_else(
        &self,
        Parameters(Order { customer, .. }): Parameters<Order>,
    ) -> Result<String, String> {
        let items = vec![Item(100)];
        self.order(Parameters(Order { items, customer })).await
    }

    /// Sandboxed, and called by a tool that is sandboxed as well.
    #[sandboxed(max_retries = 0)]
    #[tool]
    async fn order_in_turn(&self, Parameters(Order { customer, .. }): Parameters<Order>) -> Result<String, String> {
        let items = vec![Item(100)];
        self.order(Parameters(Order { items, customer })).await
    }

    /// Not sandboxed, and the function that it calls has its name.
    #[tool]
    async fn order_elsewhere(&self, Parameters(Order { customer, .. }): Parameters<Order>) -> Result<String, String> {
        let items = vec![Item(100)];
        order_elsewhere(&self.0, Parameters(Order { items, customer })).await
    }

    /// Calls itself, once.
    #[sandboxed(backoff_base_ms = 0, max_retries = 1)]
    #[tool]
    async fn order_again(&self, Parameters(order): Parameters<Order>) -> Result<String, String> {
        match order.items.len() {
            1 => attempt(&self.0, order),
            _ => {
                let other = Order {
                    items: vec![Item(100)],
                    customer: order.customer,
                };
                Box::pin(self.order_again(Parameters(other))).await
            }
        }
    }

    #[sandboxed(backoff_base_ms = 0)]
    #[tool(name = "orders.place")]
    async fn order_by_another_name(&self, Parameters(order): Parameters<Order>) -> Result<String, String> {
        attempt(&self.0, order)
    }
}

#[sandboxed(backoff_base_ms = 0)]
async fn order_elsewhere(state: &State, Parameters(order): Parameters<Order>) -> Result<String, String> {
    attempt(state, order)
}

#[tokio::test(start_paused = true)]
async fn from_the_request_that_is_theirs() {
    for (tool, answer, attempts) in [
        ("order", text("[1, 2] for Ada"), 3),
        ("orders.place", text("[1, 2] for Ada"), 3),
        ("order_something_else", error("[100] for Ada"), 1),
        ("order_elsewhere", error("[100] for Ada"), 1),
        ("order_in_turn", error("[100] for Ada"), 1),
        // The outer one is run again, the inner one is not.
        ("order_again", error("[100] for Ada"), 2),
    ] {
        let client = Client::of(|state| Sandboxed::new(Nested(state))).await;
        let arguments = json!({ "items": [1, 2], "customer": "Ada" });
        assert_eq!(client.call(tool, arguments).await, Ok(answer), "{tool}");
        assert_eq!(client.server.attempts.load(Relaxed), attempts, "{tool}");
    }
}

/// The compiler's message about parameters that attempts cannot have is about the type that their author can change.
#[test]
fn or_the_message_names_the_type_within() {
    struct Query;
    let query = Parameters(Query);
    let probe = sandbox_runtime::private::parameter::<Parameters<Query>, _>(&query);
    let parameter = probe.__sandboxed_parameter(None, query, |query| query);
    let found = std::any::type_name_of_val(&parameter);
    let [_, about, how] = found
        .rsplitn(3, ", ")
        .collect::<Vec<_>>()
        .try_into()
        .map(|[how, about, whole]: [&str; 3]| [whole, about, how])
        .unwrap();
    assert!(about.ends_with("::Query") && how.ends_with("Once>"), "{found}");
}
