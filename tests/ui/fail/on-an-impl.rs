use sandbox_runtime::sandboxed;

struct Client;

#[sandboxed]
impl Client {
    async fn search(&self) -> Result<(), String> {
        Ok(())
    }
}

fn main() {
    let _ = Client.search();
}
