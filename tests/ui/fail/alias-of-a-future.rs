use sandbox_runtime::sandboxed;
use std::future::Future;
use std::pin::Pin;

type SearchFuture<'a> = Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>>;

#[sandboxed]
fn search(text: &str) -> SearchFuture<'_> {
    Box::pin(async move { Ok(text.to_owned()) })
}

fn main() {
    let _ = search("");
}
