//! What the client of a request reads as its progress: the retries, and what the tool itself tells, in values that increase.

use rmcp::model::{ProgressNotificationParam, ProgressToken};

use crate::failure::{AttemptEnd, DelaySource, HumanMillis, millis};
use crate::surroundings::Retry;

/// The notification about a retry, the `number`th of its request.
pub(super) fn of_retry(token: ProgressToken, number: u32, retry: &Retry<'_>) -> ProgressNotificationParam {
    let Retry {
        tool,
        attempt,
        max_attempts,
        ..
    } = retry;
    let happened = match (retry.end, retry.error) {
        (AttemptEnd::TimedOut, _) => format!("timed out after {}", HumanMillis(millis(retry.limit))),
        (_, Some(error)) if !error.is_empty() => format!("failed: {error}"),
        _ => "failed".to_owned(),
    };
    let next = match millis(retry.delay) {
        0 => "the next begins now".to_owned(),
        delay => format!(
            "the next begins in {}{}",
            HumanMillis(delay),
            match retry.from {
                DelaySource::Backoff => "",
                DelaySource::Hint => ", as was asked for",
            }
        ),
    };
    let message = format!("`{tool}`: attempt {attempt} of {max_attempts} {happened}; {next}");
    let mut notification = ProgressNotificationParam::new(token, number.into()).with_message(message);
    // Of several calls in one request, nobody knows how many retries they will make.
    notification.total = (number == *attempt).then(|| f64::from(*max_attempts));
    notification
}

/// The progress of a request as its client has been told. Each attempt of a tool counts from its beginning, and the protocol
/// demands that values increase ([MCP, "Progress"](https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/progress)).
#[derive(Debug, Default)]
pub(super) struct Progression {
    last: Option<f64>,
    /// What is added to the values of the attempt under way.
    offset: f64,
}

impl Progression {
    /// Continues above what was told: a value that is not greater begins a new count.
    pub(super) fn advance(&mut self, notification: &mut ProgressNotificationParam) {
        let value = notification.progress;
        if let Some(last) = self.last.filter(|last| value + self.offset <= *last) {
            // A count that begins with 0 has to take a step as well.
            let step = if value > 0.0 { value } else { 1.0 };
            self.offset = last + step - value;
        }
        notification.progress = value + self.offset;
        notification.total = notification.total.map(|total| total + self.offset);
        self.last = Some(notification.progress);
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::NumberOrString;

    use super::*;

    fn told(progression: &mut Progression, value: f64) -> (f64, Option<f64>) {
        let token = ProgressToken(NumberOrString::Number(1));
        let mut notification = ProgressNotificationParam::new(token, value).with_total(3.0);
        progression.advance(&mut notification);
        (notification.progress, notification.total)
    }

    #[test]
    fn a_count_that_begins_anew_continues_above_the_one_before() {
        let progression = &mut Progression::default();
        assert_eq!(told(progression, 1.0), (1.0, Some(3.0)), "the first count is as it is");
        assert_eq!(told(progression, 2.5), (2.5, Some(3.0)));
        assert_eq!(told(progression, 1.0), (3.5, Some(5.5)), "another attempt");
        assert_eq!(told(progression, 2.0), (4.5, Some(5.5)));
        assert_eq!(
            told(progression, 0.0),
            (5.5, Some(8.5)),
            "an attempt that begins with 0"
        );
        assert_eq!(told(progression, 1.0), (6.5, Some(8.5)));
        assert_eq!(
            told(progression, 1.0),
            (7.5, Some(9.5)),
            "a tool that tells one value twice"
        );
    }

    #[test]
    fn values_increase_whatever_a_tool_tells() {
        let progression = &mut Progression::default();
        let mut last = f64::NEG_INFINITY;
        for value in [-5.0, -5.0, 0.0, 0.0, 1e-9, 1e-9, 7.0, -7.0, 3.0, 1e9, 0.5] {
            let (told, _) = told(progression, value);
            assert!(told > last, "{told} after {last}, for {value}");
            last = told;
        }
    }
}
