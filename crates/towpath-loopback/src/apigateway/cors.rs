//! Cross-origin requests, as an HTTP API answers them by itself.

use serde_json::{Map, Value, json};

use super::members::{flag, integer, texts};

/// `CorsConfiguration`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cors {
    origins: Vec<String>,
    methods: Vec<String>,
    headers: Vec<String>,
    exposed: Vec<String>,
    /// Seconds.
    max_age: Option<i64>,
    credentials: bool,
}

impl Cors {
    /// Reads a configuration, of a request or of an OpenAPI document.
    pub(super) fn parse(value: &Value) -> Self {
        Self {
            origins: texts(value, "AllowOrigins"),
            methods: texts(value, "AllowMethods"),
            headers: texts(value, "AllowHeaders"),
            exposed: texts(value, "ExposeHeaders"),
            max_age: integer(value, "MaxAge"),
            credentials: flag(value, "AllowCredentials"),
        }
    }

    /// The configuration as it is shown.
    pub(super) fn render(&self) -> Value {
        let mut shown = Map::new();
        for (name, list) in [
            ("AllowOrigins", &self.origins),
            ("AllowMethods", &self.methods),
            ("AllowHeaders", &self.headers),
            ("ExposeHeaders", &self.exposed),
        ] {
            if !list.is_empty() {
                shown.insert(name.into(), json!(list));
            }
        }
        if let Some(seconds) = self.max_age {
            shown.insert("MaxAge".into(), json!(seconds));
        }
        if self.credentials {
            shown.insert("AllowCredentials".into(), json!(true));
        }
        Value::Object(shown)
    }

    /// The headers of the answer to a preflight request of `origin`; none when it may not.
    pub(super) fn preflight(&self, origin: &str) -> Vec<(&'static str, String)> {
        let mut headers = self.actual(origin);
        if headers.is_empty() {
            return headers;
        }
        headers.retain(|(name, _)| *name != "access-control-expose-headers");
        for (name, list) in [
            ("access-control-allow-methods", &self.methods),
            ("access-control-allow-headers", &self.headers),
        ] {
            if !list.is_empty() {
                headers.push((name, list.join(",")));
            }
        }
        if let Some(seconds) = self.max_age {
            headers.push(("access-control-max-age", seconds.to_string()));
        }
        headers
    }

    /// The headers that the answer to a request of `origin` gets.
    pub(super) fn actual(&self, origin: &str) -> Vec<(&'static str, String)> {
        let Some(allowed) = self.origin(origin) else {
            return Vec::new();
        };
        let mut headers = vec![("access-control-allow-origin", allowed)];
        if self.credentials {
            headers.push(("access-control-allow-credentials", "true".to_owned()));
        }
        if !self.exposed.is_empty() {
            headers.push(("access-control-expose-headers", self.exposed.join(",")));
        }
        headers
    }

    fn origin(&self, origin: &str) -> Option<String> {
        self.origins
            .iter()
            .find_map(|allowed| match allowed.as_str() {
                "*" => Some("*".to_owned()),
                "https://*" | "http://*" => origin
                    .starts_with(allowed.trim_end_matches('*'))
                    .then(|| origin.to_owned()),
                exact => (exact == origin).then(|| origin.to_owned()),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_gets_the_headers_it_may_have() {
        let cors = Cors::parse(&json!({
            "allowOrigins": ["https://app.example", "http://*"],
            "AllowMethods": ["GET", "POST"],
            "AllowHeaders": ["authorization"],
            "ExposeHeaders": ["x-total"],
            "MaxAge": 300,
            "AllowCredentials": true,
        }));
        let preflight = |origin: &str| {
            vec![
                ("access-control-allow-origin", origin.to_owned()),
                ("access-control-allow-credentials", "true".to_owned()),
                ("access-control-allow-methods", "GET,POST".to_owned()),
                ("access-control-allow-headers", "authorization".to_owned()),
                ("access-control-max-age", "300".to_owned()),
            ]
        };
        for (origin, expected) in [
            ("https://app.example", preflight("https://app.example")),
            ("http://localhost:3000", preflight("http://localhost:3000")),
            ("https://evil.example", Vec::new()),
        ] {
            assert_eq!(cors.preflight(origin), expected, "{origin}");
        }
        let actual = cors.actual("https://app.example");
        assert_eq!(actual.len(), 3);
        assert!(actual.contains(&("access-control-expose-headers", "x-total".to_owned())));
        let open = Cors::parse(&json!({ "AllowOrigins": ["*"] }));
        assert_eq!(
            open.actual("https://any.example"),
            [("access-control-allow-origin", "*".to_owned())]
        );
    }
}
