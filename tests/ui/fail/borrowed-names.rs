use sandbox_runtime::sandboxed;

#[sandboxed]
async fn search(text: String, list: Vec<u32>) -> Result<usize, String> {
    list.push(1);
    drop(text);
    drop(text);
    Ok(list.len())
}

fn main() {
    let _ = search(String::new(), Vec::new());
}
