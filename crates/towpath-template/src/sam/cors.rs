//! Cross-origin requests to a REST API: an `OPTIONS` method on every path, answered by API Gateway itself.

use serde_json::{Map, Value, json};

use super::Result;
use super::properties::Properties;
use super::routes::ANY;

/// What the `Cors` property asks for. Values are texts in single quotes, as API Gateway wants its literals.
pub(super) struct Cors {
    /// Header and value, without the methods.
    headers: Vec<(&'static str, Value)>,
    methods: Option<Value>,
}

pub(super) fn parse(given: &Properties<'_>, value: Value) -> Result<Cors> {
    let mut cors = Cors {
        headers: Vec::new(),
        methods: None,
    };
    let map = match value {
        Value::String(_) => Map::from_iter([("AllowOrigin".to_owned(), value)]),
        Value::Object(map)
            if !map
                .keys()
                .any(|key| key.starts_with("Fn::") || key == "Ref") =>
        {
            map
        }
        function @ Value::Object(_) => Map::from_iter([("AllowOrigin".to_owned(), function)]),
        _ => return Err(given.fail("has a `Cors` that is neither a text nor a mapping")),
    };
    for (key, value) in map {
        match key.as_str() {
            "AllowOrigin" => cors.headers.push(("Access-Control-Allow-Origin", value)),
            "AllowHeaders" => cors.headers.push(("Access-Control-Allow-Headers", value)),
            "MaxAge" => cors.headers.push(("Access-Control-Max-Age", value)),
            "AllowCredentials" if value == true => {
                cors.headers
                    .push(("Access-Control-Allow-Credentials", json!("'true'")));
            }
            "AllowCredentials" => {}
            "AllowMethods" => cors.methods = Some(value),
            other => return Err(given.fail(format!("has no property `Cors.{other}`"))),
        }
    }
    if !cors
        .headers
        .iter()
        .any(|(name, _)| *name == "Access-Control-Allow-Origin")
    {
        cors.headers
            .push(("Access-Control-Allow-Origin", json!("'*'")));
    }
    Ok(cors)
}

impl Cors {
    /// Adds `OPTIONS` to a path that has none of its own.
    pub(super) fn add_to(&self, operations: &mut Map<String, Value>, is_openapi3: bool) {
        if operations.contains_key("options") {
            return;
        }
        let methods = self.methods.clone().unwrap_or_else(|| methods(operations));
        let mut parameters = Map::new();
        let mut headers = Map::new();
        for (name, value) in self
            .headers
            .iter()
            .chain([&("Access-Control-Allow-Methods", methods)])
        {
            let kind = if *name == "Access-Control-Max-Age" {
                "integer"
            } else {
                "string"
            };
            let declared = if is_openapi3 {
                json!({"schema": {"type": kind}})
            } else {
                json!({ "type": kind })
            };
            parameters.insert(format!("method.response.header.{name}"), value.clone());
            headers.insert((*name).to_owned(), declared);
        }
        let mut operation = json!({
            "summary": "CORS support",
            "x-amazon-apigateway-integration": {
                "type": "mock",
                "requestTemplates": {"application/json": "{\n  \"statusCode\" : 200\n}\n"},
                "responses": {"default": {
                    "statusCode": "200",
                    "responseTemplates": {"application/json": "{}\n"},
                    "responseParameters": parameters,
                }},
            },
            "responses": {"200": {"headers": headers, "description": "Default response for CORS method"}},
        });
        if !is_openapi3 {
            operation["consumes"] = json!(["application/json"]);
            operation["produces"] = json!(["application/json"]);
        }
        operations.insert("options".to_owned(), operation);
    }
}

/// The methods of a path and `OPTIONS`, sorted, as a literal.
fn methods(operations: &Map<String, Value>) -> Value {
    let mut names: Vec<String> = if operations.contains_key(ANY) {
        ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"]
            .map(str::to_owned)
            .to_vec()
    } else {
        operations
            .keys()
            .map(|method| method.to_uppercase())
            .collect()
    };
    names.push("OPTIONS".to_owned());
    names.sort();
    json!(format!("'{}'", names.join(",")))
}
