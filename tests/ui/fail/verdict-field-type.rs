use sandbox_runtime::ErrorVerdict;

#[derive(ErrorVerdict)]
enum Error {
    #[verdict(status = code)]
    Status { code: String },
    #[verdict(retry, after = 0)]
    Busy(u64),
}

fn main() {}
