//! Settings are read from data as strictly as from the attribute: what is missing has its default, and a mistake is reported
//! with the key that it is about.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use sandbox_runtime::SandboxConfig;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The message about `data`, without its place in the text.
fn refusal<T: DeserializeOwned + std::fmt::Debug>(data: Value) -> String {
    serde_json::from_value::<T>(data).unwrap_err().to_string()
}

/// Every selection from the settings of `all`.
fn selections(all: &Value) -> impl Iterator<Item = Map<String, Value>> {
    let settings = all.as_object().unwrap();
    (0..1_u32 << settings.len()).map(move |selection| {
        let settings = settings.clone().into_iter().enumerate();
        let selected = settings.filter(|(index, _)| selection & 1 << index != 0);
        selected.map(|(_, setting)| setting).collect()
    })
}

mod config {
    use super::*;

    #[test]
    fn a_missing_setting_has_its_default() {
        let given = json!({ "timeout_ms": 1, "max_retries": 7, "backoff_base_ms": 3 });
        for selection in selections(&given) {
            let number = |key: &str, default| selection.get(key).map_or(default, |value| value.as_u64().unwrap());
            let expected = SandboxConfig {
                timeout_ms: number("timeout_ms", 30_000),
                max_retries: number("max_retries", 2).try_into().unwrap(),
                backoff_base_ms: number("backoff_base_ms", 500),
            };
            let config: SandboxConfig = serde_json::from_value(selection.clone().into()).unwrap();
            assert_eq!(config, expected, "{selection:?}");
        }
    }

    #[test]
    fn an_unknown_setting_is_refused_by_its_name() {
        for data in [
            json!({ "max_retry": 3 }),
            json!({ "timeout_ms": 1, "max_retries": 2, "backoff_base_ms": 3, "max_retry": 3 }),
        ] {
            assert_eq!(
                refusal::<SandboxConfig>(data),
                "unknown field `max_retry`, expected one of `timeout_ms`, `max_retries`, `backoff_base_ms`"
            );
        }
    }

    #[test]
    fn a_setting_of_the_policy_alone_is_refused() {
        let message = refusal::<SandboxConfig>(json!({ "deadline_ms": 60_000 }));
        assert!(message.starts_with("unknown field `deadline_ms`"), "{message}");
    }

    #[test]
    fn a_wrong_type_is_refused() {
        for value in [json!("5"), json!(-1), json!(1.5), json!(null), json!(true), json!([1])] {
            for key in ["timeout_ms", "max_retries", "backoff_base_ms"] {
                let data = json!({ key: value });
                let read = serde_json::from_value::<SandboxConfig>(data.clone());
                assert!(read.is_err(), "{data} became {read:?}");
            }
        }
    }
}

mod policy {
    use proptest::prelude::*;
    use sandbox_runtime::{CircuitBreaker, Jitter, Policy, SandboxError, Tool, execute_with_controls};
    use serde::Deserialize;
    use serde::de::value::{Error, MapDeserializer};
    use std::time::Duration;

    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    const KEYS: [&str; 11] = [
        "timeout_ms",
        "max_retries",
        "backoff_base_ms",
        "backoff_max_ms",
        "deadline_ms",
        "jitter",
        "idempotent",
        "max_concurrent",
        "queue_ms",
        "rate",
        "jitter_seed",
    ];

    /// The policy with a setting that data spells as `key: value`.
    fn with(policy: Policy, key: &str, value: &Value) -> Policy {
        let number = || value.as_u64().unwrap();
        let millis = || Duration::from_millis(number());
        match key {
            "timeout_ms" if value == "off" => policy.timeout(Duration::MAX),
            "timeout_ms" => policy.timeout(millis()),
            "max_retries" => policy.max_retries(number().try_into().unwrap()),
            "backoff_base_ms" => policy.backoff_base(millis()),
            "backoff_max_ms" => policy.backoff_max(millis()),
            "deadline_ms" => policy.deadline(millis()),
            "jitter" => policy.jitter(match value.as_str().unwrap() {
                "none" => Jitter::None,
                "full" => Jitter::Full,
                "equal" => Jitter::Equal,
                other => panic!("no jitter is called {other}"),
            }),
            "idempotent" => policy.idempotent(value.as_bool().unwrap()),
            "max_concurrent" => policy.max_concurrent(number().try_into().unwrap()),
            "queue_ms" => policy.queue(millis()),
            "rate" => {
                let number = |key: &str| value[key].as_u64().unwrap();
                policy.rate(
                    number("calls").try_into().unwrap(),
                    Duration::from_millis(number("per_ms")),
                )
            }
            "jitter_seed" => policy.jitter_seed(number()),
            other => panic!("no setting is called {other}"),
        }
    }

    fn read(data: Value) -> Policy {
        serde_json::from_value(data).unwrap()
    }

    #[test]
    fn every_setting_is_read_and_written() {
        for (key, values) in [
            (
                "timeout_ms",
                vec![json!(1), json!(5_000), json!(u64::MAX), json!("off")],
            ),
            ("max_retries", vec![json!(0), json!(7), json!(u32::MAX)]),
            ("backoff_base_ms", vec![json!(0), json!(100), json!(u64::MAX)]),
            ("backoff_max_ms", vec![json!(500), json!(10_000), json!(u64::MAX)]),
            ("deadline_ms", vec![json!(30_001), json!(60_000), json!(u64::MAX)]),
            ("jitter", vec![json!("none"), json!("full"), json!("equal")]),
            ("idempotent", vec![json!(true), json!(false)]),
            ("max_concurrent", vec![json!(1), json!(u32::MAX)]),
            ("queue_ms", vec![json!(0), json!(1_000), json!(u64::MAX)]),
            (
                "rate",
                vec![
                    json!({ "calls": 1, "per_ms": 1 }),
                    json!({ "calls": u32::MAX, "per_ms": u64::MAX }),
                ],
            ),
            ("jitter_seed", vec![json!(0), json!(7), json!(u64::MAX)]),
        ] {
            for value in values {
                let policy = read(json!({ key: value }));
                assert_eq!(policy, with(Policy::new(), key, &value), "`{key}` is {value}");
                assert_eq!(serde_json::to_value(policy).unwrap()[key], value, "`{key}`");
            }
        }
    }

    #[test]
    fn a_missing_setting_has_its_default() {
        let given = json!({
            "timeout_ms": 5_000,
            "max_retries": 7,
            "backoff_base_ms": 100,
            "backoff_max_ms": 10_000,
            "deadline_ms": 60_000,
            "jitter": "full",
            "idempotent": false,
            "max_concurrent": 4,
            "queue_ms": 100,
            "rate": { "calls": 10, "per_ms": 1_000 },
            "jitter_seed": 7,
        });
        assert_eq!(given.as_object().unwrap().len(), KEYS.len());
        for selection in selections(&given) {
            let settings = selection.iter();
            let expected = settings.fold(Policy::new(), |policy, (key, value)| with(policy, key, value));
            assert_eq!(read(selection.clone().into()), expected, "{selection:?}");
        }
    }

    #[test]
    fn settings_without_a_value_are_not_written() {
        assert_eq!(
            serde_json::to_string(&Policy::new()).unwrap(),
            r#"{"timeout_ms":30000,"max_retries":2,"backoff_base_ms":500,"jitter":"none","idempotent":true}"#
        );
    }

    #[test]
    fn an_unknown_setting_is_refused_with_the_nearest_and_all_others() {
        let known = format!("there are `{}`", KEYS.join("`, `"));
        for (unknown, nearest) in [
            ("timeout", "timeout_ms"),
            ("timeout_mss", "timeout_ms"),
            ("timeoutMs", "timeout_ms"),
            ("max_retry", "max_retries"),
            ("backoff_base", "backoff_base_ms"),
            ("backoffmax_ms", "backoff_max_ms"),
            ("dead_line_ms", "deadline_ms"),
            ("Jitter", "jitter"),
            ("jitter-seed", "jitter_seed"),
            ("indempotent", "idempotent"),
        ] {
            assert_eq!(
                refusal::<Policy>(json!({ unknown: 1 })),
                format!("unknown setting `{unknown}`; did you mean `{nearest}`? ({known})")
            );
        }
        for unknown in [
            "",
            "name",
            "breaker",
            "cooldown_ms",
            "a setting that is much longer than all others",
        ] {
            assert_eq!(
                refusal::<Policy>(json!({ unknown: 1 })),
                format!("unknown setting `{unknown}`; {known}")
            );
        }
    }

    #[test]
    fn a_wrong_type_is_refused_with_its_key() {
        const MILLIS: &str = "a whole number of milliseconds, at least";
        let values = [
            (json!("5 s"), r#""5 s""#),
            (json!("Off"), r#""Off""#),
            (json!("half"), r#""half""#),
            (json!("true"), r#""true""#),
            (json!(-1), "-1"),
            (json!(1.5), "1.5"),
            (json!(2.0), "2.0"),
            (json!(null), "null"),
            (json!([1]), "a list"),
            (json!({ "full": null }), "a table"),
        ];
        for (key, takes, others) in [
            ("timeout_ms", format!(r#"{MILLIS} 1, or "off""#), vec![json!(true)]),
            (
                "max_retries",
                "a whole number of retries, from 0 to 4294967295".to_owned(),
                vec![json!(4_294_967_296_u64), json!("off")],
            ),
            (
                "backoff_base_ms",
                format!("{MILLIS} 0"),
                vec![json!(true), json!("off")],
            ),
            ("backoff_max_ms", format!("{MILLIS} 0"), vec![json!(true), json!("off")]),
            ("deadline_ms", format!("{MILLIS} 1"), vec![json!(true), json!("off")]),
            (
                "jitter",
                "one of `none`, `full`, `equal`".to_owned(),
                vec![json!(true), json!(1), json!("off")],
            ),
            (
                "idempotent",
                "`true` or `false`".to_owned(),
                vec![json!(1), json!(0), json!("off")],
            ),
            (
                "jitter_seed",
                "a whole number, at least 0".to_owned(),
                vec![json!(true), json!("off")],
            ),
        ] {
            let others = others.into_iter().map(|value| (value.clone(), value.to_string()));
            let values = values.iter().map(|(value, text)| (value.clone(), (*text).to_owned()));
            for (value, text) in values.chain(others) {
                let message = refusal::<Policy>(json!({ key: value }));
                assert_eq!(message, format!("`{key}` is {text}; it takes {takes}"));
            }
        }
    }

    #[test]
    fn a_rate_is_a_table_with_both_numbers_once() {
        for (data, fact) in [
            (
                r#"{"rate": [3, 100]}"#,
                "`rate` is a list; it takes a table with both `calls` and `per_ms`",
            ),
            (
                r#"{"rate": {"calls": 1}}"#,
                "`rate` has no `per_ms`; add `per_ms = 1_000`",
            ),
            (
                r#"{"rate": {"calls": 1, "per_s": 1}}"#,
                "`rate` has no key `per_s`; did you mean `per_ms`?",
            ),
            (
                r#"{"rate": {"calls": 1, "calls": 9, "per_ms": 5}}"#,
                "`calls` is given twice; keep one of them",
            ),
        ] {
            let message = serde_json::from_str::<Policy>(data).expect_err(data).to_string();
            assert!(
                message.starts_with(fact),
                "{data} is refused with another fact: {message}"
            );
        }
    }

    #[test]
    fn only_settings_are_a_policy() {
        for data in [json!(null), json!(5_000), json!("off"), json!([5_000, 2])] {
            let message = refusal::<Policy>(data);
            assert!(message.ends_with("expected the settings of a policy"), "{message}");
        }
    }

    #[test]
    fn every_broken_rule_is_reported() {
        const ZERO_TIMEOUT: &str = "`timeout_ms` is 0, so that every attempt would time out; set at least 1";
        const ZERO_DEADLINE: &str = "`deadline_ms` is 0, so that every call would be out of time; set at least 1";
        const BASE_OVER_MAX: &str =
            "`backoff_max_ms` (1) is shorter than `backoff_base_ms` (500, the default); raise it or lower the base";
        const WITHIN_TIMEOUT: &str = "`deadline_ms` (5) is not longer than `timeout_ms` (5), which is for one attempt \
                                      alone; raise it or lower the timeout";
        for (data, rules) in [
            (json!({ "timeout_ms": 0 }), vec![ZERO_TIMEOUT]),
            (json!({ "deadline_ms": 0 }), vec![ZERO_DEADLINE]),
            (json!({ "backoff_max_ms": 1 }), vec![BASE_OVER_MAX]),
            (json!({ "deadline_ms": 5, "timeout_ms": 5 }), vec![WITHIN_TIMEOUT]),
            (json!({ "timeout_ms": "off", "deadline_ms": 0 }), vec![ZERO_DEADLINE]),
            (
                json!({ "deadline_ms": 5, "backoff_max_ms": 1, "timeout_ms": 5 }),
                vec![BASE_OVER_MAX, WITHIN_TIMEOUT],
            ),
            (
                json!({ "deadline_ms": 0, "backoff_max_ms": 1, "timeout_ms": 0 }),
                vec![ZERO_TIMEOUT, BASE_OVER_MAX, ZERO_DEADLINE],
            ),
        ] {
            assert_eq!(refusal::<Policy>(data), rules.join(". "));
        }
    }

    #[test]
    fn the_place_of_an_unknown_setting_is_reported() {
        let text = "{\n  \"max_retries\": 5,\n  \"timeout\": 5\n}";
        let message = serde_json::from_str::<Policy>(text).unwrap_err().to_string();
        assert!(message.ends_with("at line 3 column 11"), "{message}");
    }

    #[test]
    fn a_setting_that_is_given_twice_is_refused() {
        for key in KEYS {
            let value = serde_json::to_value(FULL).unwrap()[key].clone();
            let text = format!(r#"{{ "{key}": {value}, "{key}": {value} }}"#);
            let message = serde_json::from_str::<Policy>(&text).unwrap_err().to_string();
            let expected = format!("`{key}` is given twice; keep one of them");
            assert!(message.starts_with(&expected), "{message}");
        }
    }

    const FULL: Policy = Policy::new()
        .timeout(Duration::from_millis(5))
        .backoff_max(Duration::from_secs(1))
        .deadline(Duration::from_secs(60))
        .max_concurrent(4)
        .queue(Duration::from_millis(100))
        .rate(10, Duration::from_secs(1))
        .jitter_seed(7);

    /// A TOML file has numbers of this type only.
    #[test]
    fn signed_numbers_are_read() {
        let settings = |timeout: i64| MapDeserializer::<_, Error>::new([("timeout_ms", timeout)].into_iter());
        assert_eq!(Policy::deserialize(settings(5)), Ok(Policy::new().timeout(MILLI * 5)));
        let message = Policy::deserialize(settings(-5)).unwrap_err().to_string();
        assert!(message.starts_with("`timeout_ms` is -5; it takes"), "{message}");
    }

    #[test]
    fn the_settings_may_stand_beside_others() {
        #[derive(Debug, Deserialize)]
        struct Search {
            index: String,
            #[serde(flatten)]
            policy: Policy,
        }
        let search: Search = serde_json::from_value(json!({ "timeout_ms": 5, "index": "main" })).unwrap();
        assert_eq!(
            (search.index.as_str(), search.policy),
            ("main", Policy::new().timeout(MILLI * 5))
        );
        let message = refusal::<Search>(json!({ "timeout_ms": "5", "index": "main" }));
        assert!(message.starts_with("`timeout_ms` is \"5\""), "{message}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_that_is_off_leaves_the_deadline_as_the_only_limit() {
        let policy = read(json!({ "timeout_ms": "off", "deadline_ms": 86_400_000 }));
        let tool = Tool::new("hang", std::future::pending::<Result<(), SandboxError>>);
        let expected = SandboxError::DeadlineExceeded {
            elapsed_ms: 86_400_000,
            limit_ms: 86_400_000,
        };
        assert_eq!(
            execute_with_controls(policy, &CircuitBreaker::new(5), tool).await,
            Err(expected)
        );
    }

    #[test]
    fn a_part_of_a_millisecond_is_written_as_a_whole_one() {
        let nano = Duration::from_nanos(1);
        for (duration, written) in [(nano, 1), (MILLI - nano, 1), (MILLI, 1), (MILLI + nano, 2)] {
            let policy = Policy::new()
                .timeout(duration)
                .backoff_base(duration)
                .backoff_max(duration);
            let data = serde_json::to_value(policy.deadline(duration)).unwrap();
            for key in ["timeout_ms", "backoff_base_ms", "backoff_max_ms", "deadline_ms"] {
                assert_eq!(data[key], written, "`{key}` is {duration:?}");
            }
        }
    }

    #[test]
    fn times_beyond_the_largest_number_are_written_as_that() {
        let longest = Duration::MAX - Duration::from_nanos(1);
        let policy = Policy::new().timeout(longest).backoff_base(Duration::MAX);
        let data = serde_json::to_value(policy.backoff_max(Duration::MAX).deadline(Duration::MAX)).unwrap();
        for key in ["timeout_ms", "backoff_base_ms", "backoff_max_ms", "deadline_ms"] {
            assert_eq!(data[key], u64::MAX, "`{key}`");
        }
    }

    fn policies(durations: impl Strategy<Value = Duration> + Clone) -> impl Strategy<Value = Policy> {
        use proptest::option::of;
        let jitter = prop_oneof![Just(Jitter::None), Just(Jitter::Full), Just(Jitter::Equal)];
        let timeout = prop_oneof![1 => Just(Duration::MAX), 4 => durations.clone()];
        let times = (timeout, durations.clone(), of(durations.clone()), of(durations));
        (times, any::<u32>(), jitter, of(any::<u64>()), any::<bool>()).prop_map(
            |((timeout, base, max, deadline), max_retries, jitter, seed, idempotent)| {
                let policy = Policy::new()
                    .timeout(timeout)
                    .max_retries(max_retries)
                    .backoff_base(base);
                let policy = policy.jitter(jitter).idempotent(idempotent);
                let policy = max.into_iter().fold(policy, Policy::backoff_max);
                let policy = deadline.into_iter().fold(policy, Policy::deadline);
                seed.into_iter().fold(policy, Policy::jitter_seed)
            },
        )
    }

    fn whole_millis() -> impl Strategy<Value = Duration> + Clone {
        prop_oneof![0_u64..100, any::<u64>()].prop_map(Duration::from_millis)
    }

    fn microseconds() -> impl Strategy<Value = Duration> + Clone {
        (0_u64..10_000).prop_map(Duration::from_micros)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn what_was_written_is_read_again_or_refused_by_the_same_rule(policy in policies(whole_millis())) {
            let text = serde_json::to_string(&policy).unwrap();
            match (policy.validate(), serde_json::from_str::<Policy>(&text)) {
                (Ok(()), read) => prop_assert_eq!(read.unwrap(), policy),
                (Err(rule), read) => {
                    let message = read.unwrap_err().to_string();
                    prop_assert!(message.starts_with(&rule.to_string()), "{} for {}", message, rule);
                }
            }
        }

        #[test]
        fn rounding_breaks_no_rule_but_that_of_equal_times(policy in policies(microseconds())) {
            let data = serde_json::to_value(policy).unwrap();
            let is_equal = data["timeout_ms"] == data["deadline_ms"];
            match serde_json::from_value::<Policy>(data.clone()) {
                Ok(read) => prop_assert_eq!(serde_json::to_value(read).unwrap(), data),
                Err(error) => prop_assert!(policy.validate().is_err() || is_equal, "{}", error),
            }
        }

        #[test]
        fn no_time_is_written_as_a_shorter_one(base in microseconds(), max in microseconds(), deadline in microseconds()) {
            let policy = Policy::new().backoff_base(base).backoff_max(max).deadline(deadline);
            let data = serde_json::to_value(policy).unwrap();
            for (key, duration) in [("backoff_base_ms", base), ("backoff_max_ms", max), ("deadline_ms", deadline)] {
                let written = Duration::from_millis(data[key].as_u64().unwrap());
                prop_assert!(duration <= written && written < duration + MILLI, "`{}` of {:?}: {}", key, duration, data);
            }
        }
    }
}
