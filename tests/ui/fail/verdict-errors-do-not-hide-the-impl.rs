use sandbox_runtime::{ErrorVerdict, SandboxError, Tool};

#[derive(ErrorVerdict)]
enum Error {
    #[verdict(nothing)]
    Wrong,
    Sandbox { source: SandboxError },
}

fn states_its_meaning(_: impl ErrorVerdict) {}

fn main() {
    states_its_meaning(Error::Wrong);
    let _ = Tool::new("tool", || async { Err::<(), _>(Error::Wrong) }).classify_by_error_type();
}
