use sandbox_runtime::sandboxed;

#[sandboxed(idempotent = true)]
#[tool(annotations(destructive_hint = true, idempotent_hint = false))]
async fn delete(path: String) -> Result<(), String> {
    Err(path)
}

fn main() {}
