mod vendored {
    pub use sandbox_runtime as runtime;
}

use vendored::runtime::sandboxed;

#[sandboxed(crate = crate::vendored::runtime, max_retries = 1)]
async fn search(query: String, log: &mut Vec<String>) -> Result<(), String> {
    log.push(query);
    Ok(())
}

fn main() {
    drop(search(String::new(), &mut Vec::new()));
}
