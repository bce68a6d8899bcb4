//! The body keeps its meaning: `?` and `return` end the attempt, types are inferred and coerced as before, and the
//! future stays `Send`.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};

use sandbox_runtime::sandboxed;

struct Service {
    attempts: AtomicU32,
    healthy_after: u32,
}

impl Service {
    fn failing(times: u32) -> Self {
        Service {
            attempts: AtomicU32::new(0),
            healthy_after: times,
        }
    }

    fn ask(&self) -> Result<u32, std::io::Error> {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed) + 1;
        if attempt > self.healthy_after {
            Ok(attempt)
        } else {
            Err(std::io::Error::other("busy"))
        }
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 1_000))]
    async fn question_mark(&self) -> Result<u32, std::io::Error> {
        let attempt = self.ask()?;
        Ok(attempt)
    }

    #[sandboxed(backoff_base_ms = 0, breaker(threshold = 1_000))]
    async fn early_return(&self) -> std::io::Result<u32> {
        if let Err(error) = self.ask() {
            return Err(error);
        }
        Ok(self.attempts.load(Ordering::Relaxed))
    }

    #[sandboxed]
    async fn nested(&self, numbers: &[u32]) -> Result<u32, String> {
        // These leave the closure and the block, not the attempt.
        let even = numbers.iter().map(|number| {
            if number % 2 == 0 {
                return 1;
            }
            0
        });
        let sum = async { Ok::<u32, String>(even.sum::<u32>() + Err("inner").unwrap_or(0)) }.await?;
        Ok(sum)
    }
}

#[tokio::test(start_paused = true)]
async fn question_marks_and_returns_end_the_attempt_and_not_the_call() {
    assert_eq!(Service::failing(2).question_mark().await.unwrap(), 3);
    assert_eq!(Service::failing(2).early_return().await.unwrap(), 3);
    assert_eq!(Service::failing(0).nested(&[1, 2, 4]).await, Ok(2));
}

#[sandboxed]
async fn coerced(large: bool) -> anyhow::Result<Box<dyn Debug + Send>> {
    let number: u64 = "7".parse()?;
    if large {
        return Ok(Box::new(number));
    }
    Ok(Box::new("small"))
}

#[tokio::test(start_paused = true)]
async fn trait_objects_are_coerced_in_the_tail_and_in_returns() {
    assert_eq!(
        format!("{:?} {:?}", coerced(true).await.unwrap(), coerced(false).await.unwrap()),
        "7 \"small\""
    );
}

#[sandboxed]
async fn generic<'a, T, const N: usize>(values: &'a [T; N], pick: impl Fn(&T) -> bool + Clone) -> Result<&'a T, String>
where
    T: PartialEq,
{
    values.iter().find(|value| pick(value)).ok_or_else(|| "none".into())
}

#[tokio::test(start_paused = true)]
async fn generics_lifetimes_and_impl_arguments_are_kept() {
    assert_eq!(generic(&[1, 2, 3], |value| *value > 1).await, Ok(&2));
    assert_eq!(generic(&["a"], |value| *value == "b").await, Err("none".to_owned()));
}

#[test]
fn the_future_is_send_when_it_was() {
    fn assert_send<T: Send>(_: T) {}
    assert_send(coerced(true));
    assert_send(Service::failing(0).question_mark());
    assert_send(generic(&[1], |_| true));
    // A type that is `Send` and not `Sync`, moved and never shared.
    assert_send(takes_a_cell(std::cell::Cell::new(1)));
}

#[sandboxed]
async fn takes_a_cell(cell: std::cell::Cell<u32>) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    tokio::task::yield_now().await;
    Ok(cell.get())
}

#[sandboxed]
async fn with_inner_attributes() -> Result<u32, String> {
    #![allow(unused_variables)]
    let unused = 1;
    Ok(2)
}

#[tokio::test(start_paused = true)]
async fn inner_attributes_are_kept() {
    assert_eq!(with_inner_attributes().await, Ok(2));
}

struct Noted<'a>(&'static str, &'a std::sync::Mutex<Vec<&'static str>>);

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

struct Job<'a> {
    input: u32,
    _permit: Noted<'a>,
}

#[sandboxed(max_retries = 0)]
async fn works_on(job: Job<'_>, first: Noted<'_>, second: Noted<'_>) -> Result<u32, String> {
    let _ = (&first, second.0);
    tokio::task::yield_now().await;
    second.1.lock().unwrap().push("body");
    Ok(job.input)
}

#[tokio::test(start_paused = true)]
async fn arguments_live_as_long_as_the_body_and_are_dropped_in_its_order() {
    let log = std::sync::Mutex::default();
    let job = Job {
        input: 7,
        _permit: Noted("permit", &log),
    };
    assert_eq!(works_on(job, Noted("first", &log), Noted("second", &log)).await, Ok(7));
    assert_eq!(log.into_inner().unwrap(), ["body", "second", "first", "permit"]);
}

#[sandboxed]
async fn with_lint_attributes(
    #[allow(unused_mut)] mut number: u32,
    #[expect(unused_variables)] unused: u32,
) -> Result<u32, String> {
    Ok(number)
}

#[tokio::test(start_paused = true)]
async fn lint_attributes_of_parameters_are_kept() {
    assert_eq!(with_lint_attributes(1, 2).await, Ok(1));
}

type Handler = Box<dyn Fn(&str) -> usize + Send + Sync>;

struct Registry {
    made: usize,
}

impl Registry {
    #[sandboxed]
    async fn handler(&mut self, name: String) -> Result<Box<dyn Fn(&str) -> usize + Send + Sync>, String> {
        self.made += 1;
        let made: Handler = Box::new(move |text| name.len() + text.len());
        Ok(made)
    }

    #[sandboxed]
    async fn pointer(&mut self) -> Result<fn(&str) -> &str, String> {
        self.made += 1;
        Ok(str::trim)
    }
}

#[tokio::test(start_paused = true)]
async fn functions_that_borrow_may_be_returned() {
    let mut registry = Registry { made: 0 };
    let handler = registry.handler("ab".into()).await.unwrap();
    let pointer = registry.pointer().await.unwrap();
    assert_eq!((handler("c"), pointer(" d "), registry.made), (3, "d", 2));
}

/// One of these names is the macro's own.
macro_rules! two_of_a_name {
    ($name:ident, $argument:ident) => {
        #[sandboxed]
        async fn $name(context: String, $argument: Vec<u8>) -> Result<(usize, usize), String> {
            Ok((context.len(), $argument.len()))
        }
    };
}

two_of_a_name!(two_of_a_name, context);

#[tokio::test(start_paused = true)]
async fn arguments_of_macros_keep_their_names() {
    assert_eq!(two_of_a_name("ab".into(), vec![1]).await, Ok((2, 1)));
}
