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
