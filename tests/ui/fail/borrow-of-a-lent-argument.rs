use sandbox_runtime::sandboxed;

#[sandboxed]
async fn last<'a>(log: &'a mut Vec<String>) -> Result<&'a mut String, String> {
    log.last_mut().ok_or_else(|| "empty".into())
}

#[sandboxed]
async fn first(log: &mut Vec<String>) -> Result<Option<&String>, String> {
    Ok(log.first())
}

struct Log(Vec<String>);

impl Log {
    #[sandboxed(max_retries = 1)]
    async fn last(&mut self) -> Result<&str, String> {
        self.0.last().map(String::as_str).ok_or_else(|| "empty".into())
    }
}

fn main() {}
