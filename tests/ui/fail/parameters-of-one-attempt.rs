use sandbox_runtime::sandboxed;

/// Called as rmcp's are.
pub struct Parameters<T>(pub T);

pub struct Query;

#[sandboxed]
async fn whole(parameters: Parameters<Query>) -> Result<(), String> {
    let _moved = parameters;
    Ok(())
}

#[sandboxed]
async fn within(Parameters(query): Parameters<Query>) -> Result<(), String> {
    let _moved = query;
    Ok(())
}

#[sandboxed(max_retries = 0)]
async fn once(Parameters(query): Parameters<Query>) -> Result<(), String> {
    let _moved = query;
    Ok(())
}

fn main() {}
