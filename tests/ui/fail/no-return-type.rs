use sandbox_runtime::sandboxed;

#[sandboxed]
async fn search() {}

fn main() {
    let _ = search();
}
