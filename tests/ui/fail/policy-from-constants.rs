use sandbox_runtime::sandboxed;

mod config {
    pub const TIMEOUT_MS: u64 = 5_000;
    pub const DEADLINE_MS: u64 = 4_000;
    pub const LONGEST_MS: u64 = 100;
    pub const NONE_MS: u64 = 0;
}

#[sandboxed(timeout_ms = config::TIMEOUT_MS, deadline_ms = config::DEADLINE_MS)]
async fn search() -> Result<(), String> {
    Ok(())
}

#[sandboxed(backoff_base_ms = 1_000, backoff_max_ms = config::LONGEST_MS)]
async fn generic<T>() -> Result<(), String> {
    Ok(())
}

#[sandboxed(deadline_ms = config::NONE_MS)]
async fn out_of_time() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = (search(), out_of_time());
    let _ = generic::<u8>();
}
