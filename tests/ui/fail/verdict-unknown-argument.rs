use sandbox_runtime::ErrorVerdict;

#[derive(ErrorVerdict)]
enum Error {
    #[verdict(ignor)]
    Misspelt,
    #[verdict(transient, unsafe, retyr)]
    OtherWords,
    #[verdict(retry, afer = 0)]
    Hint(std::time::Duration),
}

fn main() {}
