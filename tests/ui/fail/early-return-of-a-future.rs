use sandbox_runtime::sandboxed;
use std::future::Future;
use std::pin::Pin;

#[derive(Clone)]
struct Service;

impl Service {
    async fn ask(self, request: String) -> Result<String, String> {
        Ok(request)
    }

    #[sandboxed]
    fn call(&self, request: String) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send>> {
        if request.is_empty() {
            return Box::pin(async { Err("empty".to_owned()) });
        }
        let service = self.clone();
        Box::pin(async move { service.ask(request).await })
    }
}

fn main() {
    drop(Service.call(String::new()));
}
