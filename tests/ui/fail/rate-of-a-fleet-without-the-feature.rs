use sandbox_runtime::sandboxed;

#[sandboxed(rate(calls = 10, per_ms = 1_000, scope = fleet))]
async fn without_the_feature() -> Result<(), String> {
    Ok(())
}

fn main() {}
