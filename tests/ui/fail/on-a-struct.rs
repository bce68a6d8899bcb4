use sandbox_runtime::sandboxed;

#[sandboxed]
struct Search;

fn main() {
    let _ = Search;
}
