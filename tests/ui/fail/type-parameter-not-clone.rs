use sandbox_runtime::sandboxed;

#[sandboxed]
async fn show<T: std::fmt::Display>(value: T, path: impl AsRef<str>, other: Option<T>) -> Result<String, String> {
    Ok(format!("{value} {} {}", path.as_ref(), other.is_some()))
}

fn main() {}
