use std::time::Duration;

use sandbox_runtime::ErrorVerdict;

#[derive(ErrorVerdict)]
enum Error {
    #[verdict(ignore, retry, fail)]
    Three,
    #[verdict(status = 0, retry)]
    Status(u16),
    #[verdict(fail, safe)]
    SafeFailure,
    #[verdict(safe)]
    Safe,
    #[verdict(after = 0)]
    After(Duration),
    #[verdict(ignore, after = 0)]
    IgnoredAfter(Duration),
    #[verdict(status = 0, safe)]
    SafeStatus(u16),
    #[verdict(status = 0, after = 0)]
    StatusAfterStatus(u16),
}

fn main() {}
