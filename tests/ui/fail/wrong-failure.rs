use sandbox_runtime::sandboxed;

#[sandboxed(on_failure = |failure| failure.attempts)]
async fn search() -> String {
    String::new()
}

fn main() {
    let _ = search();
}
