use sandbox_runtime::sandboxed;

#[sandboxed]
trait Search {
    async fn search(&self) -> Result<(), String>;
}

fn main() {}
