use sandbox_runtime::sandboxed;

struct Client;

#[sandboxed]
impl Client {
    async fn search(&self) -> Result<(), String> {
        Ok(())
    }
}

#[sandboxed(timeout = 5, name = "search")]
impl Client {
    #[sandboxed]
    async fn find(&self) -> Result<(), String> {
        Ok(())
    }
}

#[sandboxed(deadline_ms = 60_000)]
impl Client {
    #[sandboxed(timeout_ms = 90_000)]
    async fn list(&self) -> Result<(), String> {
        Ok(())
    }

    #[sandboxed(max_retry = 1)]
    async fn read(&self) -> Result<(), String> {
        Ok(())
    }
}

fn main() {
    let _ = (Client.search(), Client.find(), Client.list(), Client.read());
}
