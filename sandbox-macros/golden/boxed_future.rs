#[sandboxed(name = "read")]
fn read<'a>(&'a self, path: &'a str) -> Pin<Box<dyn Future<Output = Result<String, Error>> + Send + 'a>> {
    Box::pin(async move { self.files.read(path).await })
}
