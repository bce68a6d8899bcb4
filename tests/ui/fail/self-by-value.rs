use sandbox_runtime::sandboxed;

#[derive(Clone)]
struct Client;

impl Client {
    #[sandboxed]
    async fn search(self) -> Result<(), String> {
        Ok(())
    }

    #[sandboxed]
    async fn connect(&mut self) -> Result<(), String> {
        Ok(())
    }
}

fn main() {
    let _ = Client.connect();
    let _ = Client.search();
}
