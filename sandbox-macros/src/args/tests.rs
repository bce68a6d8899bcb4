//! Which texts are accepted, and what is reported about the others.

use std::panic::{UnwindSafe, catch_unwind};

use sandbox_runtime::private::{Policy, check, check_cooldowns, failure_rate, millis, probes, threshold, window};

use super::*;

fn messages(text: &str) -> Vec<String> {
    let mut errors = Errors::default();
    Args::parse(
        text.parse().expect("the test's own text is made of tokens"),
        &mut errors,
    );
    errors.messages()
}

#[test]
fn good_arguments_are_silent() {
    for text in [
        "",
        "timeout_ms = 1, max_retries = 0, backoff_base_ms = 0, breaker(threshold = 1,),",
        "timeout_ms = A::B, max_retries = { 1 + 2 }, backoff_max_ms = f(1, 2), deadline_ms = MAX,",
        "jitter = none, idempotent = true, name = \"x\", cancel = token, crate = crate::a::b",
        "retry_if = |error: &E| error.is(1, 2), ignore_if = E::is_callers_fault, on_failure = E::from",
        "classify = verdict::<A, B>",
        "breaker(window = 64, failure_rate = 1.0, cooldown_ms = 1, cooldown_max_ms = 1, probes = 3)",
        "breaker(window = WINDOW, failure_rate = RATE)",
        "breaker = off",
        "breaker = &self.breaker",
        "breaker()",
        "policy = self.policy, breaker(threshold = 2)",
        "timeout_ms = off, name = Self::NAME",
    ] {
        assert_eq!(messages(text), [""; 0], "`{text}`");
    }
}

#[test]
fn no_text_panics_and_every_mistake_is_reported() {
    for (text, mistakes) in [
        (",", 1),
        ("= 5", 1),
        ("5", 1),
        ("timeout_ms", 1),
        ("timeout_ms =", 1),
        ("timeout_ms = , max_retries = true", 2),
        ("timeout_ms == 5", 1),
        ("timeout_ms = 5 max_retries = 1", 1),
        ("timeout_ms(5)", 1),
        ("breaker", 1),
        ("breaker = 5", 1),
        ("breaker(threshold)", 1),
        ("breaker(5), timeout = 0, max_retries = -1", 3),
        ("\"timeout_ms\" = 5, timeout_ms = 1.5", 2),
        ("timeout_ms = 99999999999999999999999999999999999999999", 1),
        ("max_retries = 4294967296", 1),
        ("r#timeout_ms = 5", 1),
        ("timeout_ms = 1, timeout_ms = 1, timeout_ms = 1", 2),
        (
            "jitter = half, jitter = 5, idempotent = maybe, name = search, crate = 5",
            5,
        ),
        ("breaker(failure_rate = 0.0, window = 65, probes = 0)", 3),
        ("breaker(failure_rate = 1.5, window = 5)", 1),
        ("breaker(window = 5)", 1),
        ("breaker(failure_rate = 0.5)", 1),
        ("breaker(threshold = 5, window = 5, failure_rate = 0.5)", 1),
        ("breaker(cooldown_ms = 2, cooldown_max_ms = 1)", 1),
        ("breaker(threshold = 5), breaker = off", 1),
        ("retry_if = a, classify = b", 1),
        ("ignore_if = a, classify = b, retry_if = c", 2),
        ("retry_if = 5, cancel = true, on_failure = \"text\"", 3),
        ("jitter = full, max_retries = 0", 1),
        (
            "policy = self.policy, timeout_ms = 5, jitter = full, name = \"search\"",
            2,
        ),
        ("timeout_ms = no, name = lower::case", 1),
    ] {
        let messages = messages(text);
        assert_eq!(messages.len(), mistakes, "`{text}` gave {messages:?}");
    }
}

/// The message of the panic, with which a constant does not compile.
fn refusal<R>(check: impl FnOnce() -> R + UnwindSafe) -> String {
    let panic = catch_unwind(check)
        .map(drop)
        .expect_err("the runtime refuses the number");
    *panic.downcast::<String>().expect("the message is formatted")
}

/// What the runtime replies to a constant: the expansion calls the same functions.
fn refusal_of_constant(key: Key, number: u64) -> String {
    let small = || u32::try_from(number).expect("the bound is that of a `u32`");
    refusal(|| match key {
        Key::TimeoutMs => check(&Policy::new().timeout(millis(number)), "timeout_ms"),
        Key::DeadlineMs => check(&Policy::new().deadline(millis(number)), "deadline_ms"),
        Key::Threshold => drop(threshold(small())),
        Key::Window => drop(window(small())),
        Key::Probes => drop(probes(small())),
        other => panic!("{other} has bounds that are not checked for constants"),
    })
}

#[test]
fn every_bound_is_the_same_for_literals_and_constants() {
    for spec in KEYS {
        let ValueKind::Number { bounds, .. } = spec.kind else {
            continue;
        };
        for number in bounds.excluded_of_u32() {
            let key = spec.key;
            let literal = bounds.broken_by(key, number.into()).expect("the number is excluded");
            assert_eq!(refusal_of_constant(key, number), literal, "{key}");
            let text = match spec.section {
                Section::Attribute => format!("{} = {number}", spec.text),
                Section::Breaker => format!("breaker({} = {number}, failure_rate = 0.5)", spec.text),
            };
            assert!(messages(&text).contains(&literal), "`{text}`");
        }
    }
}

#[test]
fn a_share_is_the_same_for_literals_and_constants() {
    for rate in [0.0, 1.1] {
        let literal = messages(&format!("breaker(window = 20, failure_rate = {rate:?})"));
        assert_eq!(literal, [refusal(move || failure_rate(rate))]);
    }
}

#[test]
fn every_order_is_the_same_for_literals_and_constants() {
    for order in ORDERS {
        let (longer, shorter) = (order.longer.text(), order.shorter.text());
        let settings = format!("{longer} = 1, {shorter} = 2");
        let (literal, constant) = match order.longer {
            Key::BackoffMaxMs => {
                let policy = Policy::new().backoff_base(millis(2)).backoff_max(millis(1));
                (settings, refusal(move || check(&policy, longer)))
            }
            Key::DeadlineMs => {
                let policy = Policy::new().timeout(millis(2)).deadline(millis(1));
                (settings, refusal(move || check(&policy, longer)))
            }
            Key::CooldownMaxMs => {
                let constant = refusal(|| check_cooldowns(millis(1), millis(2)));
                (format!("breaker({settings})"), constant)
            }
            other => panic!("{other} has a rule that is not checked for constants"),
        };
        assert_eq!(messages(&literal), [constant]);
    }
}
