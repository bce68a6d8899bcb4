use sandbox_runtime::sandboxed;

#[sandboxed]
async fn text() -> Result<(), &'static str> {
    Ok(())
}

#[sandboxed]
async fn nothing() -> Result<u32, ()> {
    Ok(1)
}

#[sandboxed]
async fn of_another_crate() -> Result<u32, std::num::ParseIntError> {
    "1".parse()
}

fn main() {
    let _ = (text(), nothing(), of_another_crate());
}
