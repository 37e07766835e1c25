//! CloudWatch Logs: groups and streams, each also a plain file that a person can follow.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use regex::Regex;
use serde_json::{Value, json};

use crate::identity::now_ms;
use crate::input::{integer, list, required, text};
use crate::{AwsError, Caller, World};

/// Events answered at once: the service's own largest page.
const PAGE: usize = 10_000;

/// The log groups.
pub(crate) struct Logs {
    root: PathBuf,
    groups: Mutex<BTreeMap<String, Group>>,
}

#[derive(Default)]
struct Group {
    created_ms: i64,
    retention_days: Option<i64>,
    streams: BTreeMap<String, Stream>,
}

#[derive(Default)]
struct Stream {
    created_ms: i64,
    events: Vec<Event>,
}

#[derive(Clone)]
struct Event {
    /// The event's own time, in milliseconds since the epoch.
    timestamp_ms: i64,
    ingested_ms: i64,
    message: String,
}

impl Logs {
    /// No groups; files go below `root`.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            groups: Mutex::default(),
        }
    }

    /// Adds a line, making the group and the stream when they are not there.
    /// The same line goes to `<state_dir>/logs/<group>/<stream>.log`.
    pub(crate) fn append(&self, group: &str, stream: &str, line: &str) {
        let now = now_ms();
        self.with(|groups| {
            let group = groups.entry(group.to_owned()).or_insert_with(|| Group {
                created_ms: now,
                ..Group::default()
            });
            let stream = group
                .streams
                .entry(stream.to_owned())
                .or_insert_with(|| Stream {
                    created_ms: now,
                    ..Stream::default()
                });
            stream.events.push(Event {
                timestamp_ms: now,
                ingested_ms: now,
                message: line.to_owned(),
            });
        });
        self.write(group, stream, line);
    }

    /// Where a stream's plain file lies.
    pub(crate) fn path(&self, group: &str, stream: &str) -> PathBuf {
        let safe = |name: &str| -> String {
            name.chars()
                .map(|c| match c {
                    'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' | '$' | '[' | ']' => c,
                    _ => '_',
                })
                .collect()
        };
        let mut path = self.root.clone();
        // `/aws/lambda/name` becomes three directories; a segment of dots alone would climb.
        for segment in group.split('/').filter(|segment| !segment.is_empty()) {
            let segment = safe(segment);
            path.push(match segment.trim_matches('.') {
                "" => "_",
                _ => segment.as_str(),
            });
        }
        path.join(format!("{}.log", safe(stream)))
    }

    fn write(&self, group: &str, stream: &str, line: &str) {
        let path = self.path(group, stream);
        let written = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| OpenOptions::new().create(true).append(true).open(&path))
            .and_then(|mut file| {
                file.write_all(format!("{}\n", line.trim_end_matches('\n')).as_bytes())
            });
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "failed to write a log file");
        }
    }

    /// Answers one operation.
    #[expect(clippy::unused_async, reason = "every service is called alike")]
    pub(crate) async fn call(
        &self,
        world: &Arc<World>,
        _caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, AwsError> {
        match operation {
            "CreateLogGroup" => self.create_group(&required(&input, "logGroupName")?),
            "DeleteLogGroup" => self.delete_group(&required(&input, "logGroupName")?),
            "PutRetentionPolicy" => {
                let days = integer(&input, "retentionInDays");
                world.fidelity.simulated("CloudWatch Logs retention");
                self.group(&group_name(&input)?, |group| {
                    group.retention_days = days;
                    Ok(json!({}))
                })
            }
            "CreateLogStream" => {
                let stream = required(&input, "logStreamName")?;
                self.group(&group_name(&input)?, |group| {
                    if group.streams.contains_key(&stream) {
                        return Err(AwsError::client(
                            "ResourceAlreadyExistsException",
                            "The specified log stream already exists",
                        ));
                    }
                    group.streams.insert(
                        stream,
                        Stream {
                            created_ms: now_ms(),
                            ..Stream::default()
                        },
                    );
                    Ok(json!({}))
                })
            }
            "PutLogEvents" => self.put_events(&input),
            "DescribeLogGroups" => Ok(self.describe_groups(world, &input)),
            "DescribeLogStreams" => self.describe_streams(world, &input),
            "GetLogEvents" => self.get_events(&input),
            "FilterLogEvents" => self.filter_events(&input),
            _ => Err(AwsError::unknown_operation("logs", operation)),
        }
    }

    /// Makes a group: `ResourceAlreadyExistsException` when it is there.
    pub(crate) fn create_group(&self, name: &str) -> Result<Value, AwsError> {
        self.with(|groups| {
            if groups.contains_key(name) {
                return Err(AwsError::client(
                    "ResourceAlreadyExistsException",
                    "The specified log group already exists",
                ));
            }
            groups.insert(
                name.to_owned(),
                Group {
                    created_ms: now_ms(),
                    ..Group::default()
                },
            );
            Ok(json!({}))
        })
    }

    /// Forgets a group and its streams; their files stay for a person to read.
    pub(crate) fn delete_group(&self, name: &str) -> Result<Value, AwsError> {
        self.with(|groups| match groups.remove(name) {
            Some(_) => Ok(json!({})),
            None => Err(no_such("group")),
        })
    }

    fn put_events(&self, input: &Value) -> Result<Value, AwsError> {
        let group_name = group_name(input)?;
        let stream_name = required(input, "logStreamName")?;
        let now = now_ms();
        let events: Vec<Event> = list(input, "logEvents")
            .iter()
            .map(|event| Event {
                timestamp_ms: integer(event, "timestamp").unwrap_or(now),
                ingested_ms: now,
                message: text(event, "message").unwrap_or_default(),
            })
            .collect();
        let lines = events.clone();
        self.group(&group_name, |group| {
            let stream = group
                .streams
                .get_mut(&stream_name)
                .ok_or_else(|| no_such("stream"))?;
            stream.events.extend(events);
            Ok(())
        })?;
        for event in lines {
            self.write(&group_name, &stream_name, &event.message);
        }
        Ok(json!({"nextSequenceToken": now.to_string()}))
    }

    fn describe_groups(&self, world: &World, input: &Value) -> Value {
        let prefix = text(input, "logGroupNamePrefix").unwrap_or_default();
        let pattern = text(input, "logGroupNamePattern").unwrap_or_default();
        self.with(|groups| {
            let found: Vec<Value> = groups
                .iter()
                .filter(|(name, _)| name.starts_with(&prefix) && name.contains(&pattern))
                .map(|(name, group)| {
                    let arn = world.arn("logs", &format!("log-group:{name}"));
                    let mut shown = json!({
                        "logGroupName": name,
                        "creationTime": group.created_ms,
                        "arn": format!("{arn}:*"),
                        "logGroupArn": arn,
                        "storedBytes": group.streams.values().map(Stream::bytes).sum::<usize>(),
                        "metricFilterCount": 0,
                    });
                    if let Some(days) = group.retention_days {
                        shown["retentionInDays"] = days.into();
                    }
                    shown
                })
                .collect();
            json!({"logGroups": found})
        })
    }

    fn describe_streams(&self, world: &World, input: &Value) -> Result<Value, AwsError> {
        let name = group_name(input)?;
        let prefix = text(input, "logStreamNamePrefix").unwrap_or_default();
        let by_time = text(input, "orderBy").as_deref() == Some("LastEventTime");
        let descending = crate::input::flag(input, "descending");
        self.group(&name, |group| {
            let mut streams: Vec<(&String, &Stream)> = group
                .streams
                .iter()
                .filter(|(name, _)| name.starts_with(&prefix))
                .collect();
            if by_time {
                streams.sort_by_key(|(_, stream)| stream.events.last().map(|e| e.timestamp_ms));
            }
            if descending {
                streams.reverse();
            }
            let shown: Vec<Value> = streams
                .into_iter()
                .map(|(stream_name, stream)| {
                    let arn = format!("log-group:{name}:log-stream:{stream_name}");
                    let mut shown = json!({
                        "logStreamName": stream_name,
                        "creationTime": stream.created_ms,
                        "arn": world.arn("logs", &arn),
                        "storedBytes": 0,
                    });
                    if let (Some(first), Some(last)) = (stream.events.first(), stream.events.last())
                    {
                        shown["firstEventTimestamp"] = first.timestamp_ms.into();
                        shown["lastEventTimestamp"] = last.timestamp_ms.into();
                        shown["lastIngestionTime"] = last.ingested_ms.into();
                    }
                    shown
                })
                .collect();
            Ok(json!({"logStreams": shown}))
        })
    }

    fn get_events(&self, input: &Value) -> Result<Value, AwsError> {
        let name = required(input, "logStreamName")?;
        let limit = limit(input);
        let from_head = crate::input::flag(input, "startFromHead");
        self.group(&group_name(input)?, |group| {
            let stream = group.streams.get(&name).ok_or_else(|| no_such("stream"))?;
            let events: Vec<&Event> = stream
                .events
                .iter()
                .filter(|event| in_range(event, input))
                .collect();
            // Tokens are positions: `f/N` reads on from N, `b/N` reads what is before N.
            let token = text(input, "nextToken");
            let position = |direction| {
                token
                    .as_deref()
                    .and_then(|token| token.strip_prefix(direction))
                    .and_then(|number| number.parse::<usize>().ok())
                    .map(|number| number.min(events.len()))
            };
            let (start, end) = if let Some(at) = position("f/") {
                (at, (at + limit).min(events.len()))
            } else if let Some(at) = position("b/") {
                (at.saturating_sub(limit), at)
            } else if from_head {
                (0, limit.min(events.len()))
            } else {
                (events.len().saturating_sub(limit), events.len())
            };
            let shown: Vec<Value> = events[start..end].iter().map(|e| e.shown()).collect();
            Ok(json!({
                "events": shown,
                "nextForwardToken": format!("f/{end}"),
                "nextBackwardToken": format!("b/{start}"),
            }))
        })
    }

    fn filter_events(&self, input: &Value) -> Result<Value, AwsError> {
        let filter = Filter::parse(&text(input, "filterPattern").unwrap_or_default());
        let names = list(input, "logStreamNames");
        let prefix = text(input, "logStreamNamePrefix").unwrap_or_default();
        let limit = limit(input);
        let start = text(input, "nextToken")
            .and_then(|token| token.parse::<usize>().ok())
            .unwrap_or(0);
        self.group(&group_name(input)?, |group| {
            let mut found: Vec<(&String, usize, &Event)> = group
                .streams
                .iter()
                .filter(|(name, _)| {
                    name.starts_with(&prefix)
                        && (names.is_empty() || names.iter().any(|n| n == name.as_str()))
                })
                .flat_map(|(name, stream)| {
                    let events = stream.events.iter().enumerate();
                    events.map(move |(number, event)| (name, number, event))
                })
                .filter(|(_, _, event)| in_range(event, input) && filter.matches(&event.message))
                .collect();
            found.sort_by_key(|(_, _, event)| event.timestamp_ms);
            let end = (start + limit).min(found.len());
            let shown: Vec<Value> = found[start.min(end)..end]
                .iter()
                .map(|(stream, number, event)| {
                    let mut shown = event.shown();
                    shown["logStreamName"] = stream.as_str().into();
                    shown["eventId"] = format!("{stream}/{number}").into();
                    shown
                })
                .collect();
            let mut answer = json!({"events": shown, "searchedLogStreams": []});
            if end < found.len() {
                answer["nextToken"] = end.to_string().into();
            }
            Ok(answer)
        })
    }

    fn group<T>(
        &self,
        name: &str,
        act: impl FnOnce(&mut Group) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        self.with(|groups| act(groups.get_mut(name).ok_or_else(|| no_such("group"))?))
    }

    /// Whether there is a group of that name.
    pub(crate) fn exists(&self, group: &str) -> bool {
        self.with(|groups| groups.contains_key(group))
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Group>) -> T) -> T {
        act(&mut self.groups.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Stream {
    fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.message.len()).sum()
    }
}

impl Event {
    fn shown(&self) -> Value {
        json!({
            "timestamp": self.timestamp_ms,
            "ingestionTime": self.ingested_ms,
            "message": self.message,
        })
    }
}

/// Filter patterns as far as they are terms: all plain ones, at least one with `?`, none with `-`, or one `%regex%`.
enum Filter {
    Terms {
        all: Vec<String>,
        any: Vec<String>,
        none: Vec<String>,
    },
    Pattern(Regex),
}

impl Filter {
    fn parse(pattern: &str) -> Self {
        let inner = pattern.strip_prefix('%').and_then(|p| p.strip_suffix('%'));
        if let Some(regex) = inner.and_then(|inner| Regex::new(inner).ok()) {
            return Self::Pattern(regex);
        }
        let (mut all, mut any, mut none) = (Vec::new(), Vec::new(), Vec::new());
        for (quoted, part) in pattern
            .split('"')
            .enumerate()
            .map(|(i, part)| (i % 2 == 1, part))
        {
            if quoted {
                all.push(part.to_owned());
                continue;
            }
            for term in part.split_whitespace() {
                match term.chars().next() {
                    Some('?') => any.push(term[1..].to_owned()),
                    Some('-') => none.push(term[1..].to_owned()),
                    _ => all.push(term.to_owned()),
                }
            }
        }
        Self::Terms { all, any, none }
    }

    fn matches(&self, message: &str) -> bool {
        match self {
            Self::Pattern(regex) => regex.is_match(message),
            Self::Terms { all, any, none } => {
                all.iter().all(|term| message.contains(term))
                    && (any.is_empty() || any.iter().any(|term| message.contains(term)))
                    && !none.iter().any(|term| message.contains(term))
            }
        }
    }
}

fn group_name(input: &Value) -> Result<String, AwsError> {
    if let Some(identifier) = text(input, "logGroupIdentifier") {
        let name = identifier
            .split_once(":log-group:")
            .map_or(identifier.as_str(), |(_, name)| name);
        return Ok(name.trim_end_matches(":*").to_owned());
    }
    required(input, "logGroupName")
}

fn in_range(event: &Event, input: &Value) -> bool {
    integer(input, "startTime").is_none_or(|start| event.timestamp_ms >= start)
        && integer(input, "endTime").is_none_or(|end| event.timestamp_ms < end)
}

fn limit(input: &Value) -> usize {
    integer(input, "limit")
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(PAGE)
        .clamp(1, PAGE)
}

fn no_such(what: &str) -> AwsError {
    AwsError::client(
        "ResourceNotFoundException",
        format!("The specified log {what} does not exist."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_patterns_match_terms() {
        for (pattern, message, expected) in [
            ("", "anything", true),
            ("ERROR", "an ERROR here", true),
            ("ERROR", "all well", false),
            ("ERROR disk", "disk ERROR", true),
            ("ERROR -retry", "ERROR retry", false),
            ("?ERROR ?WARN", "a WARN", true),
            ("?ERROR ?WARN", "an INFO", false),
            ("\"two words\"", "has two words", true),
            ("\"two words\"", "words two", false),
            ("%E[0-9]+%", "E42", true),
            ("%E[0-9]+%", "E", false),
        ] {
            assert_eq!(
                Filter::parse(pattern).matches(message),
                expected,
                "{pattern} on {message}"
            );
        }
    }

    #[test]
    fn a_stream_is_a_file_below_the_root_and_nowhere_else() {
        let logs = Logs::new("/root".into());
        for (group, stream, expected) in [
            (
                "/aws/lambda/f",
                "2026/01/01/[$LATEST]ab",
                "/root/aws/lambda/f/2026_01_01_[$LATEST]ab.log",
            ),
            ("../../etc", "../x", "/root/_/_/etc/.._x.log"),
            ("plain", "s", "/root/plain/s.log"),
        ] {
            assert_eq!(
                logs.path(group, stream),
                PathBuf::from(expected),
                "{group} {stream}"
            );
        }
    }
}
