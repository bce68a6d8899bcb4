use sandbox_runtime::{Verdict, sandboxed};

fn verdict(result: &Result<(), String>) -> Verdict {
    result.as_ref().map_or(Verdict::RETRY, |()| Verdict::Success)
}

#[sandboxed(retry_if = |error: &std::io::Error| error.kind() == std::io::ErrorKind::TimedOut)]
async fn of_another_error() -> Result<(), String> {
    Ok(())
}

#[sandboxed(classify = verdict)]
async fn of_another_answer() -> Result<u32, String> {
    Ok(1)
}

#[sandboxed(ignore_if = verdict)]
async fn that_answers_with_something_else() -> Result<(), String> {
    Ok(())
}

fn main() {}
