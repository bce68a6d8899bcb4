use sandbox_runtime::sandboxed;

#[sandboxed]
async fn search() -> String {
    String::new()
}

fn main() {
    let _ = search();
}
