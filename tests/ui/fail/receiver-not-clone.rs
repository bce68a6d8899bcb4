use sandbox_runtime::sandboxed;

struct Client;

impl Client {
    #[sandboxed]
    async fn search(self) -> Result<(), String> {
        drop(self);
        Ok(())
    }
}

fn main() {
    let _ = Client.search();
}
