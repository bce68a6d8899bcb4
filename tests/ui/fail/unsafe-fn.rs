use sandbox_runtime::sandboxed;

#[sandboxed]
async unsafe fn search() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = unsafe { search() };
}
