//! Which texts are accepted, and what is reported about the others.

use std::panic::{UnwindSafe, catch_unwind};

use sandbox_runtime::private::{
    Policy, check, check_cooldowns, check_slow_call, failure_rate, forget_ms, millis, probes, slow_call_ms, threshold,
    window,
};

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
        "breaker(threshold = 2, forget_ms = 60_000, slow_call_ms = 2_000)",
        "timeout_ms = 3, breaker(window = 20, failure_rate = 0.5, slow_call_ms = 2)",
        "timeout_ms = off, breaker(slow_call_ms = 100_000)",
        "breaker = off",
        "breaker = &self.breaker",
        "breaker()",
        "policy = self.policy, breaker(threshold = 2)",
        "timeout_ms = off, name = Self::NAME",
        "max_concurrent = 1, queue_ms = 0, rate(calls = 1, per_ms = 1)",
        "max_concurrent = N, queue_ms = M, rate(per_ms = A, calls = B,)",
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
        ("breaker(window = 5, failure_rate = 0.5, forget_ms = 5)", 1),
        (
            "breaker(threshold = 5, window = 5, failure_rate = 0.5, forget_ms = 5)",
            2,
        ),
        ("breaker(threshold = 1, forget_ms = 5)", 1),
        ("breaker(slow_call_ms = 0, forget_ms = 0)", 2),
        ("timeout_ms = 5, breaker(slow_call_ms = 5)", 1),
        ("timeout_ms = 5, breaker(slow_call_ms = 6)", 1),
        ("slow_call_ms = 5, forget_ms = 5", 2),
        ("breaker(threshold = 5), breaker = off", 1),
        ("retry_if = a, classify = b", 1),
        ("ignore_if = a, classify = b, retry_if = c", 2),
        ("retry_if = 5, cancel = true, on_failure = \"text\"", 3),
        ("jitter = full, max_retries = 0", 1),
        (
            "policy = self.policy, timeout_ms = 5, jitter = full, name = \"search\"",
            2,
        ),
        ("timeout_ms = no, name = lower::case", 2),
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
        Key::TimeoutMs => check(&Policy::new().timeout(millis(number)), "timeout_ms", false),
        Key::DeadlineMs => check(&Policy::new().deadline(millis(number)), "deadline_ms", false),
        Key::Threshold => drop(threshold(small())),
        Key::Window => drop(window(small())),
        Key::Probes => drop(probes(small())),
        Key::SlowCallMs => drop(slow_call_ms(number)),
        Key::ForgetMs => drop(forget_ms(number)),
        Key::MaxConcurrent => check(&Policy::new().max_concurrent(small()), "max_concurrent", false),
        Key::Calls => check(&Policy::new().rate(small(), millis(1)), "calls", false),
        Key::PerMs => check(&Policy::new().rate(1, millis(number)), "per_ms", false),
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
                Section::Rate => format!("rate({} = {number})", spec.text),
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
        let (key, other) = (order.key.text(), order.other.text());
        let settings = format!("{key} = 1, {other} = 2");
        let (literal, constant) = match order.key {
            Key::BackoffMaxMs => {
                let policy = Policy::new().backoff_base(millis(2)).backoff_max(millis(1));
                (settings, refusal(move || check(&policy, key, false)))
            }
            Key::DeadlineMs => {
                let policy = Policy::new().timeout(millis(2)).deadline(millis(1));
                (settings, refusal(move || check(&policy, key, false)))
            }
            Key::SlowCallMs => {
                let policy = Policy::new().timeout(millis(1));
                let constant = refusal(move || check_slow_call(millis(2), &policy, false));
                (format!("{other} = 1, breaker({key} = 2)"), constant)
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

#[test]
fn a_value_that_shows_what_is_meant_is_answered_with_that() {
    for (text, remedy) in [
        ("jitter = \"full\"", "write `jitter = full`, without quotes"),
        ("jitter = true", "write `jitter = full`"),
        ("jitter = false", "write `jitter = none`"),
        ("jitter = 0.5", "write `jitter = full`"),
        ("idempotent", "write `idempotent = true`"),
        ("idempotent = \"false\"", "write `idempotent = false`"),
        ("idempotent = no", "write `idempotent = false`"),
        ("idempotent = yes", "write `idempotent = true`"),
        ("breaker = \"off\"", "write `breaker = off`"),
        ("breaker = false", "write `breaker = off`"),
        ("breaker = none", "write `breaker = off`"),
        ("breaker = None", "write `breaker = off`"),
        ("breaker = true", "leave `breaker` out: every tool has one by default"),
        ("breaker = 3", "write `breaker(threshold = 3)`"),
        ("breaker(3)", "write `breaker(threshold = 3)`"),
        ("breaker = \"&SHARED\"", "write `breaker = &SHARED`, without quotes"),
        (
            "retry_if = \"is_transient\"",
            "write `retry_if = is_transient`, without quotes",
        ),
        ("crate = \"my::runtime\"", "write `crate = my::runtime`, without quotes"),
        ("timeout_ms = \"5s\"", "write `timeout_ms = 5_000`"),
        ("timeout_ms = \"1_500 ms\"", "write `timeout_ms = 1_500`"),
        ("timeout_ms = \"soon\"", "write `timeout_ms = 5_000`"),
        ("timeout_ms = Duration::from_secs(30)", "write `timeout_ms = 30_000`"),
        (
            "timeout_ms = std::time::Duration::from_millis(1234567)",
            "write `timeout_ms = 1_234_567`",
        ),
        ("backoff_base_ms = Duration::ZERO", "write `backoff_base_ms = 500`"),
        ("timeout_ms = none", "write `timeout_ms = off`"),
        (
            "deadline_ms = off",
            "leave `deadline_ms` out: there is no limit by default",
        ),
        (
            "breaker(slow_call_ms = off)",
            "leave `slow_call_ms` out: no success is slow by default",
        ),
        (
            "breaker(forget_ms = never)",
            "leave `forget_ms` out: a row lasts until a success by default",
        ),
        ("breaker(slow_call_ms = \"2s\")", "write `slow_call_ms = 2_000`"),
        ("max_retries = false", "write `max_retries = 0`"),
        ("max_retries = \"3\"", "write `max_retries = 3`, without quotes"),
        (
            "breaker(window = 5, failure_rate = \"0.5\")",
            "write `failure_rate = 0.5`, without quotes",
        ),
        ("timeout_ms = self.limit", "write `policy = ..`, which may name `self`"),
        (
            "max_retries = std::env::var(\"RETRIES\")?.len()",
            "write `policy = ..`, which is evaluated at each call",
        ),
        ("name = search", "write `name = \"search\"`"),
    ] {
        let messages = messages(text);
        let [message] = &messages[..] else {
            panic!("`{text}` gave {messages:?}")
        };
        assert!(message.ends_with(remedy), "`{text}` gave {message}");
    }
}

#[test]
fn a_word_of_another_library_is_answered_with_ours() {
    for (text, answer) in [
        ("retry = 3", "unknown argument `retry`; write `max_retries = 2`"),
        (
            "max_attempts = 3",
            "unknown argument `max_attempts`; write `max_retries`, which is one less: the first attempt does not count as one",
        ),
        (
            "circuit_breaker = 3",
            "unknown argument `circuit_breaker`; write `breaker(threshold = 5)`",
        ),
        (
            "breaker(half_open = 2)",
            "unknown argument `half_open`; write `probes = 1`, how many successes close it",
        ),
        (
            "breaker(slow_call_duration_threshold = 2)",
            "unknown argument `slow_call_duration_threshold`; write `slow_call_ms = 2_000`: a success that took longer counts as a \
             failure",
        ),
        (
            "breaker(interval = 60)",
            "unknown argument `interval`; write `forget_ms = 60_000`, after which a failure begins a new row, or `window = 20` for \
             the latest results",
        ),
        (
            "breaker(HOSTS.of(&host))",
            "`breaker(..)` is for settings; write `breaker = ..` for a breaker of your own",
        ),
        (
            "breaker = HOSTS.of(&host), breaker(slow_call_ms = 5)",
            "`breaker = ..` is a breaker of your own, and has the settings that it was made with; remove `breaker(..)`",
        ),
        (
            "rate = { calls = 5, per_ms = 10 }",
            "`rate` takes arguments in parentheses; write `rate(calls = 10, per_ms = 1_000)`",
        ),
        (
            "rate()",
            "`rate` has no effect without its arguments; write `rate(calls = 10, per_ms = 1_000)`",
        ),
        (
            "slow_call_ms = 5",
            "`slow_call_ms` belongs to the breaker; write `breaker(slow_call_ms = ..)`",
        ),
        (
            "threshold = 3",
            "`threshold` belongs to the breaker; write `breaker(threshold = ..)`",
        ),
    ] {
        assert_eq!(messages(text), [answer], "`{text}`");
    }
}
