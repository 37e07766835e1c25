//! The last touch on evaluated values: dynamic references, and host names that exist only here.

use std::sync::{Arc, LazyLock};

use regex::Regex;
use serde_json::{Value, json};

use crate::{Caller, World, input};

static DYNAMIC: LazyLock<Regex> = LazyLock::new(|| pattern(r"\{\{resolve:([a-z-]+):([^}]+)\}\}"));
static API_HOST: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"https://([a-z0-9]+)\.execute-api\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?")
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is a constant and tested")
}

/// Fills in dynamic references (`{{resolve:ssm:name}}`).
///
/// A stack's record keeps the references, as AWS does: a stored value that changes is no change of the stack.
pub(crate) async fn resolve_dynamic(world: &Arc<World>, mut value: Value) -> Result<Value, String> {
    let mut names = Vec::new();
    visit(&mut value, &mut |text| {
        for found in DYNAMIC.captures_iter(text) {
            names.push((
                found[0].to_owned(),
                found[1].to_owned(),
                found[2].to_owned(),
            ));
        }
    });
    for (whole, service, name) in names {
        let resolved = resolve(world, &service, &name).await?;
        visit(&mut value, &mut |text| {
            if text.contains(&whole) {
                *text = text.replace(&whole, &resolved);
            }
        });
    }
    Ok(value)
}

/// Puts the loopback's own address where a value names an API by its host at AWS.
pub(crate) fn rewrite_hosts(world: &World, value: &mut Value) {
    let mut rewritten = false;
    visit(value, &mut |text| {
        if text.contains(".execute-api.") {
            let replaced = api_hosts(text, &world.endpoint);
            rewritten |= *text != replaced;
            *text = replaced;
        }
    });
    if rewritten {
        world.fidelity.simulated("API Gateway host names");
    }
}

fn api_hosts(text: &str, endpoint: &str) -> String {
    API_HOST
        .replace_all(text, format!("{endpoint}/_api/$1"))
        .into_owned()
}

/// The value behind `{{resolve:service:name}}`.
async fn resolve(world: &Arc<World>, service: &str, name: &str) -> Result<String, String> {
    if service != "ssm" {
        return Err(format!(
            "the loopback does not serve dynamic references of {service}: {{{{resolve:{service}:{name}}}}}"
        ));
    }
    parameter(world, name).await
}

/// A parameter of the parameter store, as `name` or `name:version`.
pub(crate) async fn parameter(world: &Arc<World>, name: &str) -> Result<String, String> {
    let answer = world
        .ssm
        .call(
            world,
            &Caller::Root,
            "GetParameter",
            json!({ "Name": name, "WithDecryption": true }),
        )
        .await
        .map_err(|_| format!("Parameters: [ssm:{name}] cannot be found."))?;
    answer
        .get("Parameter")
        .and_then(|parameter| input::text(parameter, "Value"))
        .ok_or_else(|| format!("Parameters: [ssm:{name}] cannot be found."))
}

/// Every text within a value.
fn visit(value: &mut Value, act: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => act(text),
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, act)),
        Value::Object(object) => object.values_mut().for_each(|value| visit(value, act)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apis_host_becomes_the_loopback() {
        for (text, expected) in [
            (
                "https://abc123.execute-api.us-east-1.amazonaws.com/Prod/hello",
                "http://127.0.0.1:9/_api/abc123/Prod/hello",
            ),
            (
                "https://abc123.execute-api.us-east-1.amazonaws.com",
                "http://127.0.0.1:9/_api/abc123",
            ),
            (
                "arn:aws:execute-api:us-east-1:000000000000:abc123/*",
                "arn:aws:execute-api:us-east-1:000000000000:abc123/*",
            ),
        ] {
            assert_eq!(api_hosts(text, "http://127.0.0.1:9"), expected);
        }
    }

    #[test]
    fn dynamic_references_are_found_within_text() {
        let found: Vec<_> = DYNAMIC
            .captures_iter("a {{resolve:ssm:/app/name:1}} b {{resolve:secretsmanager:x}}")
            .map(|found| (found[1].to_owned(), found[2].to_owned()))
            .collect();
        assert_eq!(
            found,
            [
                ("ssm".to_owned(), "/app/name:1".to_owned()),
                ("secretsmanager".to_owned(), "x".to_owned())
            ]
        );
    }
}
