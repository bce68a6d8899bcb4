use sandbox_runtime::sandboxed;

static BREAKER: u32 = 5;

#[sandboxed(breaker = &BREAKER)]
async fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = search();
}
