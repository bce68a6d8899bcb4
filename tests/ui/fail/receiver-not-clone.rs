use sandbox_runtime::sandboxed;

struct Client;

impl Client {
    #[sandboxed]
    async fn search(self) -> Result<(), String> {
        Ok(())
    }
}

fn main() {
    let _ = Client.search();
}
