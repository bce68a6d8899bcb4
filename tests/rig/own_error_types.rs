//! A tool with an error type of its own reports its failures through `map_error`, and its own errors as before.

use std::future::pending;

use rig_core::tool::{ErasedTool, PortableTool, ToolContext, ToolErrorKind, ToolExecutionError, ToolResult};
use sandbox_runtime::{BreakerState, CircuitBreaker, Failure, FailureKind, sandboxed};
use serde_json::Value;

#[derive(Debug, thiserror::Error)]
enum WeatherError {
    #[error("there is no city `{0}`")]
    NoSuchCity(String),
    #[error(transparent)]
    Sandbox(Failure),
}

impl WeatherError {
    fn is_callers(&self) -> bool {
        matches!(self, WeatherError::NoSuchCity(_))
    }
}

struct Weather {
    breaker: CircuitBreaker,
}

impl PortableTool for Weather {
    const NAME: &'static str = "weather";
    type Args = String;
    type Output = String;
    type Error = WeatherError;

    fn description(&self) -> String {
        String::new()
    }

    fn parameters(&self) -> Value {
        Value::Null
    }

    #[sandboxed(
        timeout_ms = 2_000,
        max_retries = 0,
        name = "weather",
        ignore_if = WeatherError::is_callers,
        on_failure = |failure| Err(WeatherError::Sandbox(failure)),
        breaker = &self.breaker,
    )]
    async fn call(&self, city: String) -> Result<Self::Output, Self::Error> {
        match city.as_str() {
            "Atlantis" => Err(WeatherError::NoSuchCity(city)),
            _ => pending().await,
        }
    }

    fn map_error(&self, error: WeatherError) -> ToolExecutionError {
        match error {
            WeatherError::Sandbox(failure) => failure.into(),
            other => ToolExecutionError::not_found(other.to_string()),
        }
    }
}

/// How a call of a model ends.
async fn ask(weather: &Weather, city: &str) -> ToolResult {
    let arguments = Value::from(city).to_string();
    weather.execute(arguments, &mut ToolContext::new()).await
}

#[tokio::test(start_paused = true)]
async fn failures() {
    let weather = Weather {
        breaker: CircuitBreaker::new(1),
    };
    let result = ask(&weather, "Lisbon").await;
    let failure = result.error().unwrap().downcast_ref::<Failure>().unwrap();
    assert_eq!((failure.kind, failure.tool), (FailureKind::Timeout, "weather"));
    assert!(result.is_error_kind(ToolErrorKind::Timeout));
    assert_eq!(result.output().as_text(), Some(failure.for_model().as_str()));

    let result = ask(&weather, "Lisbon").await;
    let failure = result.error().unwrap().downcast_ref::<Failure>().unwrap();
    assert_eq!(result.error().unwrap().code(), Some("circuit_breaker_open"));
    assert_eq!(result.output().as_text(), Some(failure.for_model().as_str()));
}

#[tokio::test]
async fn own_errors() {
    let weather = Weather {
        breaker: CircuitBreaker::new(1),
    };
    let result = ask(&weather, "Atlantis").await;
    assert!(result.is_error_kind(ToolErrorKind::NotFound));
    assert_eq!(result.output().as_text(), Some("there is no city `Atlantis`"));
    assert_eq!(weather.breaker.state(), BreakerState::Closed);
}
