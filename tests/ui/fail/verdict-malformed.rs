use sandbox_runtime::ErrorVerdict;

#[derive(ErrorVerdict)]
#[verdict]
enum Error {
    #[verdict = "ignore"]
    Text,
    #[verdict()]
    Empty,
    #[verdict("ignore")]
    Literal,
    #[verdict(retry safe)]
    NoComma,
    #[verdict(ignore = true)]
    Value,
    #[verdict(fail(true))]
    Parentheses,
    #[verdict(retry, retry)]
    Twice,
    #[verdict(ignore)]
    #[verdict(ignore)]
    TwiceApart,
}

#[derive(ErrorVerdict)]
#[verdict(crate = "runtime")]
struct Path;

fn main() {}
