use sandbox_runtime::sandboxed;

#[sandboxed(timeout = 5_000, retries = 2, colour = "red", breaker(treshold = 3), rate(call = 5))]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
