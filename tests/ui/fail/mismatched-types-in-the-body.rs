use sandbox_runtime::sandboxed;

#[sandboxed]
async fn statement(number: u8) -> Result<u8, String> {
    let text: &str = number;
    Ok(0)
}

#[sandboxed]
async fn tail(number: u8) -> Result<u8, String> {
    "tail"
}

#[sandboxed]
async fn nothing() -> Result<u8, String> {
    let _ = 1;
}

fn main() {
    let _ = (statement(1), tail(1), nothing());
}
