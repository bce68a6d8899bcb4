//! A `&mut` argument cannot be cloned: the attempts borrow it one after the other.

use sandbox_runtime::sandboxed;

#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
async fn append(log: &mut Vec<String>, mut entry: String, times: u32) -> Result<usize, String> {
    entry.push('!');
    for _ in 0..times {
        log.push(entry.clone());
    }
    tokio::task::yield_now().await;
    if log.len() < 6 {
        Err("more".into())
    } else {
        Ok(log.len())
    }
}

#[tokio::test(start_paused = true)]
async fn writes_stay_and_other_arguments_are_pristine() {
    let mut log = Vec::new();
    assert_eq!(append(&mut log, "entry".into(), 2).await, Ok(6));
    assert_eq!(log, ["entry!"; 6]);
}

#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
async fn destructured((left, right): &mut (u32, u32), only: &mut [u8]) -> Result<u32, String> {
    *left += 1;
    *right += *left;
    only[0] += 1;
    if *left < 3 { Err("more".into()) } else { Ok(*right) }
}

#[tokio::test(start_paused = true)]
async fn parts_of_what_is_borrowed_are_lent_too() {
    let (mut pair, mut bytes) = ((0, 0), [0]);
    assert_eq!(destructured(&mut pair, &mut bytes).await, Ok(1 + 2 + 3));
    assert_eq!((pair, bytes), ((3, 6), [3]));
}

#[sandboxed(max_retries = 0)]
async fn given_away<'a>(log: &'a mut Vec<u32>) -> Result<&'a mut u32, String> {
    log.push(1);
    log.last_mut().ok_or_else(|| "empty".into())
}

#[tokio::test(start_paused = true)]
async fn with_one_attempt_it_is_given_away() {
    let mut log = vec![];
    *given_away(&mut log).await.unwrap() = 7;
    assert_eq!(log, [7]);
}

#[sandboxed(max_retries = 3, timeout_ms = 10, backoff_base_ms = 0)]
async fn hangs(attempts: &mut u32) -> Result<(), String> {
    *attempts += 1;
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn the_engine_is_the_same() {
    let mut attempts = 0;
    let timeout = hangs(&mut attempts).await.unwrap_err();
    assert!(
        timeout.starts_with("`hangs` timed out after 10 ms, in the last of 4 attempts."),
        "{}",
        timeout
    );
    assert_eq!(attempts, 4);
    hangs(&mut attempts).await.unwrap_err();
    assert_eq!(attempts, 5, "the breaker opens at the fifth failure");
    let refusal = hangs(&mut attempts).await.unwrap_err();
    assert!(refusal.contains("circuit breaker open"), "{}", refusal);
}

#[sandboxed(backoff_base_ms = 0, breaker(threshold = 100))]
async fn behind_patterns(
    &mut copied: &mut u32,
    (log, text): (&mut Vec<u32>, String),
    ref mut owned: String,
) -> Result<usize, String> {
    log.push(copied);
    owned.push_str(&text);
    if log.len() < 3 {
        Err("more".into())
    } else {
        Ok(owned.len())
    }
}

#[tokio::test(start_paused = true)]
async fn patterns_show_what_is_borrowed_for_writing() {
    let mut log = Vec::new();
    assert_eq!(
        behind_patterns(&mut 7, (&mut log, "ab".into()), String::new()).await,
        Ok(6)
    );
    assert_eq!(log, [7; 3]);
}
