use sandbox_runtime::sandboxed;

#[sandboxed]
fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _: Result<(), String> = search();
}
