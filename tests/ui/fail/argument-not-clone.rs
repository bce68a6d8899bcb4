use sandbox_runtime::sandboxed;

struct Connection;

#[sandboxed]
async fn search(connection: Connection, query: String) -> Result<String, String> {
    let _ = connection;
    Ok(query)
}

fn main() {
    let _ = search(Connection, String::new());
}
