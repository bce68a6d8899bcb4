//! Each attempt starts with the arguments that the caller passed.

use std::sync::atomic::{AtomicU32, Ordering};

use sandbox_runtime::sandboxed;

/// Counts its clones, which share the count.
#[derive(Debug)]
struct Counted<'a>(&'a AtomicU32);

impl Clone for Counted<'_> {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(self.0)
    }
}

struct NotClone(u32);

#[sandboxed(max_retries = 3, backoff_base_ms = 0, breaker(threshold = 1_000))]
async fn append(mut text: String, mut list: Vec<u32>, log: &std::sync::Mutex<Vec<String>>) -> Result<(), String> {
    text.push('!');
    list.push(list.len() as u32);
    log.lock().unwrap().push(format!("{text} {list:?}"));
    Err("again".into())
}

#[tokio::test(start_paused = true)]
async fn a_change_in_one_attempt_is_not_seen_in_the_next() {
    let log = std::sync::Mutex::default();
    append("hello".into(), vec![7], &log).await.unwrap_err();
    assert_eq!(log.into_inner().unwrap(), ["hello! [7, 1]"; 4]);
}

#[sandboxed(max_retries = 2, backoff_base_ms = 0, breaker(threshold = 1_000))]
async fn destructured((left, mut right): (u32, u32), [first, .., last]: [u32; 3], _: u8) -> Result<u32, u32Error> {
    right += 1;
    Err(u32Error(left + right + first + last))
}

#[allow(non_camel_case_types)]
#[derive(Debug, PartialEq)]
struct u32Error(u32);

impl From<sandbox_runtime::SandboxError> for u32Error {
    fn from(_: sandbox_runtime::SandboxError) -> Self {
        u32Error(0)
    }
}

#[tokio::test(start_paused = true)]
async fn destructured_arguments_are_pristine_too() {
    assert_eq!(
        destructured((1, 2), [10, 20, 30], 0).await,
        Err(u32Error(1 + 3 + 10 + 30))
    );
}

#[sandboxed(max_retries = 2, backoff_base_ms = 0, breaker(threshold = 1_000))]
async fn fail_until(counted: Counted<'_>, attempts: &AtomicU32, enough: u32) -> Result<(), String> {
    let _ = counted;
    match attempts.fetch_add(1, Ordering::Relaxed) + 1 {
        attempt if attempt < enough => Err("again".into()),
        _ => Ok(()),
    }
}

#[tokio::test(start_paused = true)]
async fn an_argument_is_cloned_only_while_another_attempt_may_follow() {
    for (enough, clones) in [(1, 1), (2, 2), (3, 2)] {
        let (count, attempts) = (AtomicU32::new(0), AtomicU32::new(0));
        fail_until(Counted(&count), &attempts, enough).await.unwrap();
        assert_eq!(count.into_inner(), clones, "{enough} attempts of at most 3");
    }
}

#[sandboxed(max_retries = 0)]
async fn moved(counted: Counted<'_>, not_clone: NotClone) -> Result<u32, String> {
    let _ = counted;
    Ok(not_clone.0)
}

const NO_RETRIES: u32 = 0;

#[sandboxed(max_retries = NO_RETRIES)]
async fn moved_by_constant(not_clone: NotClone, unique: &mut u32) -> Result<u32, String> {
    *unique += 1;
    Ok(not_clone.0)
}

#[tokio::test(start_paused = true)]
async fn without_retries_arguments_move_and_are_not_cloned() {
    let count = AtomicU32::new(0);
    assert_eq!(moved(Counted(&count), NotClone(7)).await, Ok(7));
    assert_eq!(
        count.into_inner(),
        0,
        "an argument was cloned for an attempt that cannot come"
    );
    let mut unique = 1;
    assert_eq!(moved_by_constant(NotClone(8), &mut unique).await, Ok(8));
    assert_eq!(unique, 2);
}

#[sandboxed(max_retries = 2, backoff_base_ms = 0)]
async fn ignores(_not_clone: NotClone, _also: &mut u32, format: u32) -> Result<String, String> {
    Ok(format!("{format}"))
}

#[tokio::test(start_paused = true)]
async fn an_argument_that_no_attempt_mentions_is_not_asked_for_clone() {
    assert_eq!(ignores(NotClone(1), &mut 2, 3).await, Ok("3".into()));
}

/// Generic in a type, a number and a closure; the third attempt answers.
#[sandboxed(max_retries = 2, backoff_base_ms = 0, breaker(threshold = 1_000))]
async fn generic<T, const N: usize>(
    mut values: [T; N],
    change: impl Fn(&mut T) + Clone,
    cell: std::cell::Cell<u32>,
    attempts: &AtomicU32,
) -> Result<([T; N], u32), String>
where
    T: Clone,
{
    values.iter_mut().for_each(change);
    cell.set(cell.get() + 1);
    match attempts.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Err("again".into()),
        _ => Ok((values, cell.get())),
    }
}

#[tokio::test(start_paused = true)]
async fn generic_arguments_closures_and_cells_are_pristine_too() {
    let attempts = AtomicU32::new(0);
    let answer = generic([1, 2, 3], |value| *value *= 10, std::cell::Cell::new(7), &attempts).await;
    assert_eq!(
        answer,
        Ok(([10, 20, 30], 8)),
        "changed once, by the attempt that answered"
    );
    assert_eq!(attempts.into_inner(), 3);
}

/// Every level of the recursion is a call with attempts of its own: each fails once and then asks the one below.
#[sandboxed(max_retries = 1, backoff_base_ms = 0, breaker(threshold = 1_000))]
async fn recursive(mut path: String, depth: u32, failed: &AtomicU32) -> Result<String, String> {
    path.push('/');
    if failed.fetch_or(1 << depth, Ordering::Relaxed) & 1 << depth == 0 {
        return Err("once".into());
    }
    if depth == 0 {
        return Ok(path);
    }
    let below: std::pin::Pin<Box<dyn std::future::Future<Output = Result<String, String>> + '_>> =
        Box::pin(recursive(path, depth - 1, failed));
    below.await
}

#[tokio::test(start_paused = true)]
async fn recursive_calls_have_attempts_and_arguments_of_their_own() {
    let failed = AtomicU32::new(0);
    assert_eq!(recursive(String::new(), 3, &failed).await, Ok("////".into()));
    assert_eq!(failed.into_inner(), 0b1111, "every level failed once");
}
