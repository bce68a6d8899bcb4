use sandbox_runtime::sandboxed;

#[sandboxed(max_retries = 1)]
async fn search(log: &mut Vec<String>) -> Result<(), String> {
    log.push(String::new());
    Ok(())
}

fn main() {
    let _ = search(&mut Vec::new());
}
