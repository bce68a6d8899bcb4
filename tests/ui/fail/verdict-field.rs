use sandbox_runtime::ErrorVerdict;

#[derive(ErrorVerdict)]
enum Error {
    #[verdict(status = code)]
    Answer { status: u16, body: String },
    #[verdict(status = stats)]
    Misspelt { status: u16, body: String },
    #[verdict(status = 1)]
    One(u16),
    #[verdict(retry, after = 0)]
    Unit,
    #[verdict(source)]
    NoSource,
    #[verdict(source)]
    Two(u16, std::io::Error),
    #[verdict(status)]
    NotNamed(u16),
    #[verdict(retry, after = "0")]
    Quoted(std::time::Duration),
    #[verdict(status =)]
    CutShort(u16),
}

fn main() {}
