use sandbox_runtime::ErrorVerdict;

#[derive(ErrorVerdict)]
#[verdict(status = 0, after = 1)]
#[verdict(source)]
enum Error {
    OnAField(#[verdict(status)] u16),
    #[verdict(crate = ::sandbox_runtime)]
    CrateOfAVariant,
}

#[derive(ErrorVerdict)]
struct Struct {
    #[verdict(after)]
    delay: std::time::Duration,
}

#[derive(ErrorVerdict)]
union Union {
    number: u32,
}

fn main() {}
