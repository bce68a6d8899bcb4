use sandbox_runtime::sandboxed;

#[sandboxed(rate(calls = 10, per_ms = 1_000, scope = all))]
async fn another_scope() -> Result<(), String> {
    Ok(())
}

#[sandboxed(rate(scope = fleet))]
async fn of_no_rate() -> Result<(), String> {
    Ok(())
}

fn main() {}
