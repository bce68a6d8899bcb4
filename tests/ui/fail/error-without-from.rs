use sandbox_runtime::sandboxed;

struct SearchError;

#[sandboxed]
async fn search() -> Result<(), SearchError> {
    Err(SearchError)
}

fn main() {
    let _ = search();
}
