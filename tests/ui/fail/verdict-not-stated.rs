use sandbox_runtime::Tool;

struct Error;

fn main() {
    let _ = Tool::new("tool", || async { Err::<(), _>(Error) }).classify_by_error_type();
}
