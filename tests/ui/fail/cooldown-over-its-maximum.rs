use sandbox_runtime::sandboxed;

#[sandboxed(breaker(cooldown_ms = 2_000, cooldown_max_ms = 1_000))]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
