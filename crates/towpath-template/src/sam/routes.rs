//! The routes of a template's APIs, which SAM gathers from the events of its functions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::auth::RouteAuth;
use super::properties::Properties;
use super::{
    API, FUNCTION, HTTP_API, Result, Source, Translation, auth, function, kind, no_value, object,
    only_if, reference, short_hash,
};
use crate::TemplateError;

/// The API of events that name none.
const IMPLICIT: [(&str, &str, &str, &str); 2] = [
    ("Api", API, "RestApiId", "ServerlessRestApi"),
    ("HttpApi", HTTP_API, "ApiId", "ServerlessHttpApi"),
];
/// The method that stands for all of them, in an API's definition.
pub(super) const ANY: &str = "x-amazon-apigateway-any-method";
/// The path of an HTTP API that takes what no other route takes.
pub(super) const DEFAULT_PATH: &str = "$default";

/// One path and method of an API, and the function behind it.
pub(super) struct Route {
    pub(super) path: String,
    /// As in an API's definition: lower case, or [`ANY`].
    pub(super) method: String,
    pub(super) condition: Option<String>,
    /// What the text of an `Fn::Sub` calls the function.
    pub(super) placeholder: String,
    pub(super) timeout: Option<Value>,
    pub(super) payload_format: Option<Value>,
    pub(super) settings: Option<Value>,
    pub(super) auth: Option<RouteAuth>,
    /// The API as the event names it.
    api: Value,
    api_id: String,
    is_rest: bool,
}

/// Whether an event makes a route.
pub(super) fn is_route(event: &Value) -> bool {
    IMPLICIT.iter().any(|(name, ..)| kind(event) == *name)
}

/// Adds the APIs of events that name none, unless the template defines them itself.
pub(super) fn add_implicit_apis(translation: &mut Translation) -> Result<()> {
    for (event_kind, api_kind, property, id) in IMPLICIT {
        let mut users = Vec::new();
        for (name, resource) in translation
            .resources
            .iter()
            .filter(|(_, resource)| kind(resource) == FUNCTION)
        {
            let source = Source::new(name, resource);
            let implicit = |event: &Value| {
                kind(event) == event_kind
                    && event
                        .get("Properties")
                        .is_none_or(|properties| properties.get(property).is_none())
            };
            if events(&source).is_some_and(|events| events.values().any(implicit)) {
                let attribute = |name: &str| {
                    resource
                        .get(name)
                        .and_then(Value::as_str)
                        .map(str::to_owned)
                };
                let policies =
                    ["DeletionPolicy", "UpdateReplacePolicy"].map(|name| (name, attribute(name)));
                users.push((source.condition().map(str::to_owned), policies));
            }
        }
        if users.is_empty() || translation.resources.contains_key(id) {
            continue;
        }
        let mut api = Map::from_iter([("Type".to_owned(), json!(api_kind))]);
        let stage = (api_kind == API).then(|| json!("Prod"));
        api.insert("Properties".to_owned(), object([("StageName", stage)]));
        let conditions: Option<BTreeSet<String>> = users
            .iter()
            .map(|(condition, _)| condition.clone())
            .collect();
        if let Some(conditions) = conditions {
            let condition = any_of(translation, &conditions, &format!("{id}Condition"))?;
            api.insert("Condition".to_owned(), json!(condition));
        }
        for index in 0..2 {
            let given =
                |(_, policies): &(_, [(&str, Option<String>); 2])| policies[index].1.clone();
            let mut policies: Vec<String> = users.iter().filter_map(given).collect();
            // What one function wants to keep is kept.
            policies.sort_by_key(|policy| policy != "Retain");
            if let Some(policy) = policies.first() {
                api.insert(users[0].1[index].0.to_owned(), json!(policy));
            }
        }
        translation
            .resources
            .insert(id.to_owned(), Value::Object(api));
    }
    Ok(())
}

fn events<'a>(source: &Source<'a>) -> Option<&'a Map<String, Value>> {
    source
        .resource
        .get("Properties")?
        .get("Events")?
        .as_object()
}

/// All routes by the logical id of their API, in the order of the functions and their events.
pub(super) fn collect(translation: &Translation) -> Result<BTreeMap<String, Vec<Route>>> {
    let mut routes: BTreeMap<String, Vec<Route>> = BTreeMap::new();
    for (id, resource) in translation
        .resources
        .iter()
        .filter(|(_, resource)| kind(resource) == FUNCTION)
    {
        let source = Source::new(id, resource);
        for (name, event) in events(&source)
            .into_iter()
            .flatten()
            .filter(|(_, event)| is_route(event))
        {
            let route = parse(translation, &source, name, event)?;
            let same = routes.entry(route.api_id.clone()).or_default();
            if same
                .iter()
                .any(|other| other.path == route.path && other.method == route.method)
            {
                let what = format!(
                    "(event `{name}`) takes {} {}, which another event takes too",
                    route.method, route.path
                );
                return Err(source.fail(what));
            }
            same.push(route);
        }
    }
    Ok(routes)
}

/// The route of one event.
pub(super) fn parse(
    translation: &Translation,
    source: &Source<'_>,
    name: &str,
    event: &Value,
) -> Result<Route> {
    let is_rest = kind(event) == "Api";
    let (_, api_kind, property, implicit) = IMPLICIT[usize::from(!is_rest)];
    let mut given = Properties::new(
        source.id,
        &format!("event `{name}`"),
        event.get("Properties"),
    )?;
    let api = given.take(property).unwrap_or_else(|| reference(implicit));
    let api_id = api
        .as_str()
        .or_else(|| api.get("Ref")?.as_str())
        .map(str::to_owned);
    let own = |id: &String| {
        translation
            .resources
            .get(id)
            .is_some_and(|resource| kind(resource) == api_kind)
    };
    let Some(api_id) = api_id.filter(own) else {
        return Err(given.fail(format!(
            "names no {api_kind} of this template in `{property}`"
        )));
    };
    let (path, method) = match (given.take("Path"), given.take("Method")) {
        (None, None) if !is_rest => (json!(DEFAULT_PATH), json!(ANY)),
        (path, method) => {
            let missing = |name: &str| given.fail(format!("has no `{name}`, which it needs"));
            (
                path.ok_or_else(|| missing("Path"))?,
                method.ok_or_else(|| missing("Method"))?,
            )
        }
    };
    let (Some(path), Some(method)) = (path.as_str(), method.as_str()) else {
        return Err(given.fail("has a `Path` or a `Method` that is no text"));
    };
    let method = match method.to_lowercase().as_str() {
        "any" => ANY.to_owned(),
        lower => lower.to_owned(),
    };
    let methods = [
        "get", "put", "post", "delete", "patch", "head", "options", "trace", ANY,
    ];
    if !methods.contains(&method.as_str()) {
        return Err(given.fail(format!(
            "has the `Method` `{method}`, which is no method of HTTP; `any` is all of them"
        )));
    }
    if !path.starts_with('/') && (is_rest || path != DEFAULT_PATH) {
        return Err(given.fail(format!("has the `Path` `{path}`: start it with a slash")));
    }
    let timeout = given.take("TimeoutInMillis");
    let (payload_format, settings) = if is_rest {
        (None, None)
    } else {
        (
            given.take("PayloadFormatVersion"),
            given.take("RouteSettings"),
        )
    };
    let auth = match given.take("Auth") {
        None => None,
        Some(auth) => Some(auth::parse_route(
            &given,
            (source.id, name),
            &auth,
            is_rest,
        )?),
    };
    given.finish(
        &[
            "ApiId",
            "Auth",
            "Method",
            "Path",
            "PayloadFormatVersion",
            "RestApiId",
            "RouteSettings",
            "TimeoutInMillis",
        ],
        &["RequestModel", "RequestParameters", "ResponseTransferMode"],
    )?;
    Ok(Route {
        path: path.to_owned(),
        method,
        condition: source.condition().map(str::to_owned),
        placeholder: function::target(translation, source)?.placeholder(),
        timeout,
        payload_format,
        settings,
        auth,
        api,
        api_id,
        is_rest,
    })
}

/// Whether the function may be called by this route already, because it also takes whatever else the API is sent.
pub(super) fn is_covered(
    translation: &Translation,
    source: &Source<'_>,
    route: &Route,
) -> Result<bool> {
    if route.is_rest || route.is_default() || function::target(translation, source)?.is_alias {
        return Ok(false);
    }
    for (name, event) in events(source)
        .into_iter()
        .flatten()
        .filter(|(_, event)| kind(event) == "HttpApi")
    {
        let other = parse(translation, source, name, event)?;
        if other.api_id == route.api_id && other.is_default() {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Route {
    /// The call of the function, as an integration of either kind of API names it.
    pub(super) fn uri(&self, partition: &str) -> Value {
        let text = format!(
            "arn:{partition}:apigateway:${{AWS::Region}}:lambda:path/2015-03-31/functions/{}/invocations",
            self.placeholder
        );
        only_if(self.condition.as_deref(), json!({ "Fn::Sub": text }))
    }

    /// `GET /path`, as an HTTP API calls the route.
    pub(super) fn key(&self) -> String {
        match (self.path.as_str(), self.method.as_str()) {
            (DEFAULT_PATH, _) => DEFAULT_PATH.to_owned(),
            (path, ANY) => format!("ANY {path}"),
            (path, method) => format!("{} {path}", method.to_uppercase()),
        }
    }

    /// Whether the route takes what no other route of the API takes.
    pub(super) fn is_default(&self) -> bool {
        self.path == DEFAULT_PATH && self.method == ANY
    }

    /// The names of the path's parameters: `name` for `{name}` and `proxy+` for `{proxy+}`.
    pub(super) fn path_parameters(&self) -> impl Iterator<Item = &str> {
        self.path
            .split('{')
            .skip(1)
            .filter_map(|rest| Some(rest.split_once('}')?.0))
    }

    /// The permission of the API to call the function, with its logical id.
    pub(super) fn permission(
        &self,
        translation: &Translation,
        source: &Source<'_>,
        name: &str,
    ) -> Result<(String, Value)> {
        let target = function::target(translation, source)?;
        let method = if self.method == ANY {
            "*".to_owned()
        } else {
            self.method.to_uppercase()
        };
        let wild = self.wild_path();
        let call = if self.path == DEFAULT_PATH {
            method
        } else {
            format!("{method}{wild}")
        };
        let partition = if self.is_rest {
            translation.partition
        } else {
            "${AWS::Partition}"
        };
        let text = format!(
            "arn:{partition}:execute-api:${{AWS::Region}}:${{AWS::AccountId}}:${{__ApiId__}}/${{__Stage__}}/{call}"
        );
        let arn = json!({"Fn::Sub": [text, {"__ApiId__": self.api, "__Stage__": "*"}]});
        let permission = function::permission(
            &target,
            "apigateway.amazonaws.com",
            [("SourceArn", Some(arn))],
        );
        let suffix = if self.is_rest {
            self.stage_suffix(translation)
        } else {
            String::new()
        };
        let id = format!("{}{name}Permission{suffix}", source.id);
        Ok((id, source.beside("AWS::Lambda::Permission", permission)))
    }

    /// The path with `*` for each parameter. For HTTP APIs only `{proxy+}` counts among the greedy ones.
    fn wild_path(&self) -> String {
        let mut wild = String::new();
        let mut rest = self.path.as_str();
        while let Some((before, inside)) = rest.split_once('{') {
            let Some((name, after)) = inside.split_once('}') else {
                break;
            };
            wild += before;
            if name.ends_with('+') && !self.is_rest && name != "proxy+" {
                wild.extend(["{", name, "}"]);
            } else {
                wild.push('*');
            }
            rest = after;
        }
        wild += rest;
        if wild.len() > 1 && wild.ends_with('/') {
            wild.pop();
        }
        wild
    }

    fn stage_suffix(&self, translation: &Translation) -> String {
        let api = translation.resources.get(&self.api_id);
        let stage = api.and_then(|api| api.get("Properties")?.get("StageName"));
        stage_suffix(stage.unwrap_or(&Value::Null)).unwrap_or_else(|| "Stage".to_owned())
    }
}

/// What a stage's name adds to logical ids; nothing if the name is not known yet.
fn stage_suffix(stage: &Value) -> Option<String> {
    let stage = stage.as_str()?;
    let plain = !stage.is_empty()
        && stage
            .chars()
            .all(|character| character.is_ascii_alphanumeric());
    Some(if plain {
        stage.to_owned()
    } else {
        short_hash(stage)
    })
}

/// The logical id of an API's stage.
pub(super) fn stage_id(api: &str, stage: &Value) -> String {
    match stage.as_str() {
        Some(DEFAULT_PATH) => format!("{api}ApiGatewayDefaultStage"),
        Some(name) if stage_suffix(stage).as_deref() == Some(name) => format!("{api}{name}Stage"),
        _ => format!("{api}Stage{}", stage_suffix(stage).unwrap_or_default()),
    }
}

/// A path's operations by method, and the condition under which the path exists.
pub(super) struct PathItem {
    pub(super) operations: Map<String, Value>,
    pub(super) condition: Option<String>,
}

/// The paths of an API, each with the operations that `operation` makes of its routes.
pub(super) fn paths(
    translation: &mut Translation,
    api: &str,
    routes: &[Route],
    operation: impl Fn(&Route) -> Result<Value>,
) -> Result<Vec<(String, PathItem)>> {
    let mut order: Vec<&str> = Vec::new();
    for route in routes {
        if !order.contains(&route.path.as_str()) {
            order.push(&route.path);
        }
    }
    let mut items = Vec::new();
    for path in order {
        let of_path = || routes.iter().filter(|route| route.path == path);
        let conditions: Option<BTreeSet<String>> =
            of_path().map(|route| route.condition.clone()).collect();
        let condition = conditions
            .map(|conditions| {
                let place = path
                    .replace('/', "SLASH")
                    .replace('{', "OB")
                    .replace('}', "CB");
                any_of(
                    translation,
                    &conditions,
                    &format!("{api}{place}PathCondition"),
                )
            })
            .transpose()?;
        let operations = of_path()
            .map(|route| {
                let operation = only_if(route.condition.as_deref(), operation(route)?);
                Ok((route.method.clone(), operation))
            })
            .collect::<Result<_>>()?;
        items.push((
            path.to_owned(),
            PathItem {
                operations,
                condition,
            },
        ));
    }
    Ok(items)
}

impl PathItem {
    pub(super) fn into_value(self) -> Value {
        match self.condition {
            Some(condition) => json!({"Fn::If": [condition, self.operations, no_value()]}),
            None => Value::Object(self.operations),
        }
    }
}

/// The one condition, or a new one called `name` that holds if any of them does.
pub(super) fn any_of(
    translation: &mut Translation,
    conditions: &BTreeSet<String>,
    name: &str,
) -> Result<String> {
    if let (Some(only), 1) = (conditions.first(), conditions.len()) {
        return Ok(only.clone());
    }
    if conditions.len() > 10 {
        return Err(TemplateError::transform(
            name,
            "would join more than ten conditions, which `Fn::Or` cannot do",
        ));
    }
    let parts: Vec<Value> = conditions
        .iter()
        .map(|condition| json!({ "Condition": condition }))
        .collect();
    translation
        .conditions
        .insert(name.to_owned(), json!({ "Fn::Or": parts }));
    Ok(name.to_owned())
}
