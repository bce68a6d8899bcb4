use sandbox_runtime::sandboxed;

trait Search {
    #[sandboxed]
    async fn search(&self) -> Result<(), String>;
}

fn main() {}
