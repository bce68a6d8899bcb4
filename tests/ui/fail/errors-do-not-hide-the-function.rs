use sandbox_runtime::sandboxed;

struct Client;

impl Client {
    #[sandboxed(timeout = 5)]
    async fn search(&self, query: &str) -> Result<String, String> {
        Ok(query.to_owned())
    }
}

fn main() {
    let found = async { Client.search("rust").await.map(|found| found.len()) };
    drop(found);
}
