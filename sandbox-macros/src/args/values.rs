//! The values of keys: how they are read, which of them make no sense by themselves, and what to write instead.

use proc_macro2::Ident;
use syn::parse::ParseStream;
use syn::{Expr, ExprLit, ExprPath, ExprUnary, Lit, Stmt, Token, UnOp, token};

use super::bounds::Bounds;
use super::keys::{Key, KeySpec, MILLISECONDS, ValueKind};
use super::rules::FAILURE_RATE;
use crate::errors::Errors;

/// Reads `= value`.
pub(super) fn parse_value(spec: &KeySpec, given: &Ident, input: ParseStream<'_>) -> syn::Result<Expr> {
    let missing = |fact: &str| syn::Error::new(given.span(), format!("{fact}; {}", remedy(spec)));
    if !input.peek(Token![=]) || input.peek(Token![==]) {
        return Err(syn::Error::new(given.span(), mistyped(spec)));
    }
    input.parse::<Token![=]>()?;
    // As in a file of settings, and no expression.
    if matches!(spec.kind, ValueKind::Rate) && input.peek(token::Brace) {
        return Err(syn::Error::new(given.span(), mistyped(spec)));
    }
    if input.is_empty() || input.peek(Token![,]) {
        return Err(missing(&format!("the value of {} is missing", spec.key)));
    }
    match input.parse() {
        Ok(value) => Ok(unbraced(value)),
        Err(_) if input.is_empty() => Err(missing(&format!("the value of {} is cut short", spec.key))),
        Err(error) => Err(error),
    }
}

/// `value` of `{ value }` and `(value)`: in an expansion, the compiler would warn that they are unnecessary. A `macro_rules!` macro
/// puts an invisible group around its `$value:expr`.
fn unbraced(value: Expr) -> Expr {
    match value {
        Expr::Paren(paren) => unbraced(*paren.expr),
        Expr::Group(group) => unbraced(*group.expr),
        Expr::Block(mut block) if block.label.is_none() && block.block.stmts.len() == 1 => {
            match block.block.stmts.pop() {
                Some(Stmt::Expr(inner, None)) => inner,
                other => {
                    block.block.stmts.extend(other);
                    Expr::Block(block)
                }
            }
        }
        other => other,
    }
}

/// What is wrong with a value.
enum Mistake {
    /// It is of another kind than the key takes.
    Kind,
    /// Something else.
    Value(String),
}

/// Checks what the text of a value shows; any other expression is left to the compiler.
pub(super) fn check_value(spec: &KeySpec, value: &Expr, errors: &mut Errors) {
    let mistake = match spec.kind {
        _ if spec.may_be_off && is_word(value, "off") => None,
        ValueKind::Number { bounds, .. } => mistake_in_number(spec, bounds, value),
        ValueKind::Share => mistake_in_share(value),
        kind => (!may_be(kind, value)).then_some(Mistake::Kind),
    };
    match mistake {
        Some(Mistake::Kind) => errors.report(value, mistyped_as(spec, value)),
        Some(Mistake::Value(message)) => errors.report(value, message),
        None => {}
    }
}

fn mistake_in_number(spec: &KeySpec, bounds: Bounds, value: &Expr) -> Option<Mistake> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number), ..
        }) => {
            // What does not fit is out of the range of every key.
            let number = number.base10_parse().unwrap_or(u128::MAX);
            bounds.broken_by(spec.key, number).map(Mistake::Value)
        }
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_), expr, ..
        }) if matches!(**expr, Expr::Lit(_)) => {
            let (key, minimum) = (spec.key, bounds.minimum());
            Some(Mistake::Value(format!(
                "{key} cannot be negative; set at least {minimum}"
            )))
        }
        Expr::Lit(_) => Some(Mistake::Kind),
        other => instead_of(spec, other).map(|_| Mistake::Kind),
    }
}

fn mistake_in_share(value: &Expr) -> Option<Mistake> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Float(rate), ..
        }) => {
            let rate = rate.base10_parse().unwrap_or(f64::NAN);
            FAILURE_RATE
                .broken_by(rate)
                .map(|message| Mistake::Value(message.to_owned()))
        }
        Expr::Lit(_) | Expr::Unary(_) => Some(Mistake::Kind),
        _ => None,
    }
}

/// Tells whether a value is the literal `true`.
pub(super) fn is_true(value: &Expr) -> bool {
    matches!(value, Expr::Lit(ExprLit { lit: Lit::Bool(value), .. }) if value.value)
}

/// Tells whether the text of a value can be of a kind other than numbers.
fn may_be(kind: ValueKind, value: &Expr) -> bool {
    match kind {
        ValueKind::Number { .. } | ValueKind::Share => true,
        ValueKind::Word(words) => words.iter().any(|word| is_word(value, word)),
        ValueKind::Bool => matches!(value, Expr::Lit(ExprLit { lit: Lit::Bool(_), .. })),
        ValueKind::Text => matches!(value, Expr::Lit(ExprLit { lit: Lit::Str(_), .. })) || is_constant(value),
        ValueKind::Path => matches!(value, Expr::Path(ExprPath { qself: None, .. })),
        ValueKind::Expression(_) => !matches!(value, Expr::Lit(_)),
        ValueKind::Breaker => !matches!(value, Expr::Lit(_)) && !is_none(value),
        ValueKind::Rate => false,
    }
}

/// The message about a key whose value is missing or is none at all.
pub(super) fn mistyped(spec: &KeySpec) -> String {
    format!("{} takes {}; {}", spec.key, expected(spec), remedy(spec))
}

/// The message about a value of another kind.
fn mistyped_as(spec: &KeySpec, value: &Expr) -> String {
    let remedy = instead_of(spec, value).unwrap_or_else(|| remedy(spec));
    format!("{} takes {}; {remedy}", spec.key, expected(spec))
}

/// What a key takes, for a message.
fn expected(spec: &KeySpec) -> String {
    match spec.kind {
        kind @ ValueKind::Number { .. } if spec.may_be_off => format!("{}, or `off`", expected_of(kind)),
        kind => expected_of(kind),
    }
}

/// The same for a kind of values.
pub(super) fn expected_of(kind: ValueKind) -> String {
    match kind {
        ValueKind::Number { unit, .. } => format!("a whole number of {unit}"),
        ValueKind::Share => "a number with a decimal point, above 0.0 and at most 1.0".to_owned(),
        ValueKind::Word(words) => format!("one of `{}`", words.join("`, `")),
        ValueKind::Bool => "`true` or `false`".to_owned(),
        ValueKind::Expression(what) => what.to_owned(),
        ValueKind::Text => "a string literal or the path of a constant".to_owned(),
        ValueKind::Path => "a path".to_owned(),
        ValueKind::Breaker => {
            "arguments in parentheses, `off`, or an expression for a `&CircuitBreaker` or an `Arc` of one".to_owned()
        }
        ValueKind::Rate => "arguments in parentheses".to_owned(),
    }
}

/// What to write where the value does not show what is meant.
fn remedy(spec: &KeySpec) -> String {
    let text = spec.text;
    match spec.kind {
        ValueKind::Number { example, .. } => format!("write `{text} = {example}`"),
        ValueKind::Share => format!("write `{text} = 0.5`"),
        ValueKind::Word(words) => format!("write `{text} = {}`", words.get(1).copied().unwrap_or_default()),
        ValueKind::Bool => format!("write `{text} = true`"),
        ValueKind::Expression(_) => format!("write `{text} = ..`"),
        ValueKind::Text => format!("write `{text} = \"search\"`"),
        ValueKind::Path => format!("write `{text} = my_crate::sandbox_runtime`"),
        ValueKind::Breaker => format!("write `{text}(threshold = 5)`"),
        ValueKind::Rate => format!("write `{text}(calls = 10, per_ms = 1_000)`"),
    }
}

/// What to write instead of a value that shows what is meant.
fn instead_of(spec: &KeySpec, value: &Expr) -> Option<String> {
    let text = spec.text;
    let write = |value: &str| Some(format!("write `{text} = {value}`"));
    match (spec.kind, value) {
        (
            _,
            Expr::Lit(ExprLit {
                lit: Lit::Str(quoted), ..
            }),
        ) => instead_of_text(spec, quoted.value().trim()),
        (_, value) if is_none(value) => instead_of_none(spec),
        (
            ValueKind::Word(_),
            Expr::Lit(ExprLit {
                lit: Lit::Bool(bool), ..
            }),
        ) if !bool.value => write("none"),
        (ValueKind::Bool, value) if is_word(value, "yes") || is_word(value, "on") => write("true"),
        (ValueKind::Breaker, Expr::Lit(ExprLit { lit: Lit::Bool(_), .. })) => {
            Some(format!("leave `{text}` out: every tool has one by default"))
        }
        (
            ValueKind::Breaker,
            Expr::Lit(ExprLit {
                lit: Lit::Int(number), ..
            }),
        ) => Some(format!("write `{text}(threshold = {number})`")),
        (ValueKind::Text, Expr::Path(path)) => {
            let name = path.path.segments.last()?.ident.to_string();
            write(&format!("\"{name}\""))
        }
        (ValueKind::Number { unit, example, .. }, value) => instead_of_expression(spec, unit, example, value),
        _ => None,
    }
}

/// What stands in quotes is most often meant without them.
fn instead_of_text(spec: &KeySpec, quoted: &str) -> Option<String> {
    let text = spec.text;
    let unquoted = |value: &str| Some(format!("write `{text} = {value}`, without quotes"));
    match spec.kind {
        _ if NONE.contains(&quoted) => instead_of_none(spec),
        ValueKind::Number { unit: MILLISECONDS, .. } => {
            let millis = millis_of(quoted)?;
            Some(format!("write `{text} = {}`", grouped(millis)))
        }
        ValueKind::Number { .. } => unquoted(&quoted.parse::<u64>().ok()?.to_string()),
        ValueKind::Share => unquoted(&format!("{:?}", quoted.parse::<f64>().ok()?)),
        ValueKind::Word(words) => unquoted(words.iter().find(|word| quoted.eq_ignore_ascii_case(word))?),
        ValueKind::Bool => unquoted(&quoted.parse::<bool>().ok()?.to_string()),
        ValueKind::Expression(_) | ValueKind::Path | ValueKind::Breaker => {
            let is_one = syn::parse_str::<Expr>(quoted).is_ok();
            is_one.then(|| unquoted(quoted)).flatten()
        }
        ValueKind::Text | ValueKind::Rate => None,
    }
}

/// Words for the absence of a setting.
const NONE: [&str; 8] = ["none", "None", "off", "no", "never", "disabled", "disable", "false"];

fn is_none(value: &Expr) -> bool {
    let is_false = matches!(value, Expr::Lit(ExprLit { lit: Lit::Bool(bool), .. }) if !bool.value);
    is_false || NONE.iter().any(|word| is_word(value, word))
}

fn instead_of_none(spec: &KeySpec) -> Option<String> {
    let text = spec.text;
    match (spec.key, spec.kind) {
        (Key::Breaker | Key::TimeoutMs, _) => Some(format!("write `{text} = off`")),
        (Key::MaxRetries | Key::BackoffBaseMs | Key::QueueMs, _) => Some(format!("write `{text} = 0`")),
        (Key::BackoffMaxMs | Key::DeadlineMs | Key::CooldownMaxMs | Key::MaxConcurrent | Key::Rate, _) => {
            Some(format!("leave `{text}` out: there is no limit by default"))
        }
        (Key::SlowCallMs, _) => Some(format!("leave `{text}` out: no success is slow by default")),
        (Key::ForgetMs, _) => Some(format!("leave `{text}` out: a row lasts until a success by default")),
        (Key::Jitter, _) => Some(format!("write `{text} = none`")),
        (_, ValueKind::Bool) => Some(format!("write `{text} = false`")),
        _ => None,
    }
}

/// Expressions that cannot be constants, or are of another type.
fn instead_of_expression(spec: &KeySpec, unit: &str, example: &str, value: &Expr) -> Option<String> {
    let text = spec.text;
    if let Some(millis) = duration(value).filter(|_| unit == MILLISECONDS) {
        let millis = millis.map_or_else(|| example.to_owned(), grouped);
        return Some(format!("write `{text} = {millis}`"));
    }
    let is_of_instance = is_part_of(value, "self");
    (is_of_instance || is_of_environment(value)).then(|| {
        let remedy = match spec.is_of_policy() {
            true => "write `policy = ..`",
            false => "make the breaker by hand and write `breaker = ..`",
        };
        let may = match is_of_instance {
            true => "which may name `self`",
            false => "which is evaluated at each call",
        };
        format!("this value is not known when the function is compiled: {remedy}, {may}")
    })
}

/// Tells whether a value is read from the environment.
fn is_of_environment(value: &Expr) -> bool {
    match value {
        Expr::Call(call) => {
            let Expr::Path(function) = &*call.func else {
                return false;
            };
            let mut names = function
                .path
                .segments
                .iter()
                .rev()
                .map(|segment| segment.ident.to_string());
            let (last, before) = (names.next(), names.next());
            matches!(last.as_deref(), Some("var" | "var_os")) && matches!(before.as_deref(), None | Some("env"))
        }
        Expr::MethodCall(call) => is_of_environment(&call.receiver),
        Expr::Try(inner) => is_of_environment(&inner.expr),
        _ => false,
    }
}

/// A `Duration` in milliseconds, as far as its text shows them: `Some(None)` for one of which it does not.
fn duration(value: &Expr) -> Option<Option<u64>> {
    let path = match value {
        Expr::Call(call) => match &*call.func {
            Expr::Path(function) => &function.path,
            _ => return None,
        },
        Expr::Path(constant) => &constant.path,
        _ => return None,
    };
    path.segments.iter().find(|segment| segment.ident == "Duration")?;
    let Expr::Call(call) = value else { return Some(None) };
    let millis = match path.segments.last()?.ident.to_string().as_str() {
        "from_millis" => 1,
        "from_secs" => 1_000,
        "from_mins" => 60_000,
        _ => return Some(None),
    };
    let number = call.args.first().and_then(literal);
    Some(number.and_then(|number| number.checked_mul(millis)))
}

/// A length of time with its unit, such as `5s`, in milliseconds.
fn millis_of(text: &str) -> Option<u64> {
    let unit = text.trim_start_matches(|character: char| character.is_ascii_digit() || character == '_');
    let number: u64 = text.strip_suffix(unit)?.replace('_', "").parse().ok()?;
    let millis = match unit.trim() {
        "" | "ms" | "millis" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
        _ => return None,
    };
    number.checked_mul(millis)
}

/// A number as it is written in code.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('_');
        }
        grouped.push(digit);
    }
    grouped
}

pub(crate) fn is_word(value: &Expr, word: &str) -> bool {
    matches!(value, Expr::Path(path) if path.path.is_ident(word))
}

/// Tells whether a value is the path of a constant, as these are spelled.
fn is_constant(value: &Expr) -> bool {
    let Expr::Path(path) = value else { return false };
    let last = path.path.segments.last();
    last.is_some_and(|last| !last.ident.to_string().contains(char::is_lowercase))
}

/// Tells whether an expression begins with a variable, such as `&client.breaker`: its value may be borrowed from that.
pub(crate) fn is_part_of(value: &Expr, variable: &str) -> bool {
    match value {
        Expr::Reference(inner) => is_part_of(&inner.expr, variable),
        Expr::Unary(inner) => is_part_of(&inner.expr, variable),
        Expr::Paren(inner) => is_part_of(&inner.expr, variable),
        Expr::Field(inner) => is_part_of(&inner.base, variable),
        Expr::Index(inner) => is_part_of(&inner.expr, variable),
        Expr::MethodCall(inner) => is_part_of(&inner.receiver, variable),
        Expr::Path(path) => path.path.is_ident(variable),
        _ => false,
    }
}

/// Tells whether a constant belongs to the type that a method is of: nothing in a static can name that.
pub(crate) fn is_of_type(value: &Expr) -> bool {
    match value {
        Expr::Path(path) => {
            path.qself.is_some() || path.path.segments.first().is_some_and(|first| first.ident == "Self")
        }
        _ => false,
    }
}

/// The value of an integer literal.
pub(crate) fn literal(value: &Expr) -> Option<u64> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number), ..
        }) => number.base10_parse().ok(),
        _ => None,
    }
}
