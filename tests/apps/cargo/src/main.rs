//! The HTTP API's one function.

use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

fn greeting(uptime: Duration) -> String {
    format!(
        "Hello, World! I have been up for {}.",
        humantime::format_duration(uptime)
    )
}

fn answer(stage: &str) -> Value {
    json!({
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json!({"message": greeting(Duration::from_mins(1)), "stage": stage}).to_string(),
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let stage = std::env::var("STAGE").unwrap_or_else(|_| "unknown".to_owned());
    let stage = stage.as_str();
    lambda_runtime::run(service_fn(async |_: LambdaEvent<Value>| {
        Ok::<_, Error>(answer(stage))
    }))
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greets_the_world_and_says_for_how_long_it_is_up() {
        assert_eq!(
            greeting(Duration::from_mins(1)),
            "Hello, World! I have been up for 1m."
        );
        assert_eq!(
            greeting(Duration::from_hours(2)),
            "Hello, World! I have been up for 2h."
        );
    }

    #[test]
    fn answers_with_json() {
        let answer = answer("test");
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["stage"], "test");
    }
}
