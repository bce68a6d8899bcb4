use sandbox_runtime::sandboxed;

const NONE: u32 = 0;

#[sandboxed(breaker(threshold = NONE))]
async fn in_a_row() -> Result<(), String> {
    Ok(())
}

#[sandboxed(breaker(window = 60 + 5, failure_rate = 0.5))]
async fn windowed() -> Result<(), String> {
    Ok(())
}

const MOST: f64 = 1.5;

#[sandboxed(breaker(window = 20, failure_rate = MOST))]
async fn rated() -> Result<(), String> {
    Ok(())
}

#[sandboxed(breaker(probes = NONE))]
async fn probed() -> Result<(), String> {
    Ok(())
}

const COOLDOWN_MS: u64 = 2_000;

#[sandboxed(breaker(cooldown_ms = COOLDOWN_MS, cooldown_max_ms = 1_000))]
async fn growing() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = (in_a_row(), windowed(), rated(), probed(), growing());
}
