//! Which route a request takes. Pure.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::api::{DEFAULT, Route, Table};

/// Values of path parameters by name.
pub(super) type Parameters = BTreeMap<String, String>;

/// How closely a path of a table fits a request, part by part: 2 for the same text, 1 for `{name}`,
/// 0 for `{name+}`. The greatest fits best.
type Fit = Vec<u8>;

/// The parts of a request's path, decoded. `/` has none.
pub(super) fn parts(path: &str) -> Vec<String> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        return Vec::new();
    }
    path.split('/')
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect()
}

/// The route of an HTTP API: of those for the method the most specific path, else `$default`.
pub(super) fn http_route<'a>(
    table: &'a Table,
    method: &str,
    path: &str,
) -> Option<(&'a Route, Parameters)> {
    let parts = parts(path);
    let best = table
        .routes
        .iter()
        .filter(|route| route.path != DEFAULT && accepts(route, method))
        .filter_map(|route| {
            let (fit, parameters) = fits(&route.path, &parts)?;
            Some(((fit, route.method == method), route, parameters))
        })
        .max_by(|left, right| left.0.cmp(&right.0));
    match best {
        Some((_, route, parameters)) => Some((route, parameters)),
        None => table
            .routes
            .iter()
            .find(|route| route.path == DEFAULT)
            .map(|route| (route, Parameters::new())),
    }
}

/// The route of a REST API: first the resource with the most specific path, then its method.
pub(super) fn rest_route<'a>(
    table: &'a Table,
    method: &str,
    path: &str,
) -> Option<(&'a Route, Parameters)> {
    let mut parts = parts(path);
    if parts.last().is_some_and(String::is_empty) {
        parts.pop();
    }
    let (_, resource, parameters) = table
        .resources
        .iter()
        .filter_map(|resource| {
            let (fit, parameters) = fits(resource, &parts)?;
            Some((fit, resource, parameters))
        })
        .max_by(|left, right| left.0.cmp(&right.0))?;
    let mut methods: Vec<&Route> = table
        .routes
        .iter()
        .filter(|route| route.path == *resource && accepts(route, method))
        .collect();
    methods.sort_by_key(|route| route.method == method);
    Some((methods.pop()?, parameters))
}

fn accepts(route: &Route, method: &str) -> bool {
    route.method == "ANY" || route.method == method
}

fn fits(pattern: &str, parts: &[String]) -> Option<(Fit, Parameters)> {
    let mut fit = Fit::new();
    let mut parameters = Parameters::new();
    let mut rest = parts;
    for piece in pattern.split('/').filter(|piece| !piece.is_empty()) {
        let (part, after) = rest.split_first()?;
        match parameter(piece) {
            Some((name, true)) => {
                let all = rest.join("/");
                if all.is_empty() {
                    return None;
                }
                parameters.insert(name.to_owned(), all);
                fit.push(0);
                rest = &[];
                continue;
            }
            Some((name, false)) if !part.is_empty() => {
                parameters.insert(name.to_owned(), part.clone());
                fit.push(1);
            }
            None if piece == part => fit.push(2),
            Some(_) | None => return None,
        }
        rest = after;
    }
    rest.is_empty().then_some((fit, parameters))
}

/// The name in `{name}` or `{name+}`, and whether it is greedy.
fn parameter(piece: &str) -> Option<(&str, bool)> {
    let name = piece.strip_prefix('{')?.strip_suffix('}')?;
    Some(
        name.strip_suffix('+')
            .map_or((name, false), |name| (name, true)),
    )
}

#[cfg(test)]
mod tests {
    use super::super::api::Target;
    use super::*;

    fn table(keys: &[&str]) -> Table {
        let routes: Vec<Route> = keys
            .iter()
            .map(|key| {
                let (method, path) = key.split_once(' ').unwrap_or(("ANY", key));
                Route {
                    method: method.into(),
                    path: path.into(),
                    resource_id: String::new(),
                    target: Target::Nothing,
                }
            })
            .collect();
        let resources = routes.iter().map(|route| route.path.clone()).collect();
        Table {
            routes,
            resources,
            binary_media_types: Vec::new(),
        }
    }

    fn shown(found: Option<(&Route, Parameters)>) -> String {
        found.map_or_else(
            || "none".to_owned(),
            |(route, parameters)| {
                let parameters: Vec<String> = parameters
                    .iter()
                    .map(|(name, value)| format!(" {name}={value}"))
                    .collect();
                format!("{}{}", route.key(), parameters.concat())
            },
        )
    }

    #[test]
    fn an_http_api_takes_the_most_specific_route() {
        let all = [
            "GET /pets/dog/1",
            "GET /pets/dog/{id}",
            "GET /pets/{proxy+}",
            "ANY /{proxy+}",
            "POST /",
            "ANY /both",
            "GET /both",
            "$default",
        ];
        for (request, expected) in [
            ("GET /pets/dog/1", "GET /pets/dog/1"),
            ("GET /pets/dog/2", "GET /pets/dog/{id} id=2"),
            ("GET /pets/cat/1/2", "GET /pets/{proxy+} proxy=cat/1/2"),
            ("POST /pets/dog/1", "ANY /{proxy+} proxy=pets/dog/1"),
            ("GET /pets", "ANY /{proxy+} proxy=pets"),
            ("GET /pets/", "ANY /{proxy+} proxy=pets/"),
            ("POST /", "POST /"),
            ("GET /", "$default"),
            ("GET /both", "GET /both"),
            ("PUT /both", "ANY /both"),
            ("GET /pets/dog/a%20b", "GET /pets/dog/{id} id=a b"),
            ("GET /pets/dog/a%2Fb", "GET /pets/dog/{id} id=a/b"),
        ] {
            let (method, path) = request.split_once(' ').unwrap();
            assert_eq!(
                shown(http_route(&table(&all), method, path)),
                expected,
                "{request}"
            );
        }
        let strict = table(&["GET /items/{id}"]);
        for request in [
            "GET /items",
            "GET /items/",
            "GET /items/1/2",
            "POST /items/1",
            "GET /",
        ] {
            let (method, path) = request.split_once(' ').unwrap();
            assert_eq!(
                shown(http_route(&strict, method, path)),
                "none",
                "{request}"
            );
        }
    }

    #[test]
    fn a_rest_api_finds_the_resource_before_the_method() {
        let all = table(&[
            "GET /pets",
            "ANY /pets/{proxy+}",
            "POST /pets/{id}",
            "GET /",
        ]);
        for (request, expected) in [
            ("GET /pets", "GET /pets"),
            ("GET /pets/", "GET /pets"),
            ("POST /pets", "none"),
            ("POST /pets/1", "POST /pets/{id} id=1"),
            ("GET /pets/1", "none"),
            ("GET /pets/1/2", "ANY /pets/{proxy+} proxy=1/2"),
            ("GET /", "GET /"),
            ("GET /other", "none"),
        ] {
            let (method, path) = request.split_once(' ').unwrap();
            assert_eq!(shown(rest_route(&all, method, path)), expected, "{request}");
        }
    }
}
