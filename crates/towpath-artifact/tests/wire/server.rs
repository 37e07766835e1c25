//! As much of S3's wire as the crate uses: objects are kept in memory, every request is noted, and
//! a script may answer in the server's place.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use aws_sdk_s3::{Client, Config};

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// A value of the query string; `""` for a name without one.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let query = self.target.split_once('?')?.1;
        query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then_some(value)
        })
    }

    /// What S3 calls it.
    pub(crate) fn operation(&self) -> &'static str {
        let copy = self.header("x-amz-copy-source").is_some();
        let part = self.query("partNumber").is_some();
        match self.method.as_str() {
            "PUT" if part && copy => "UploadPartCopy",
            "PUT" if part => "UploadPart",
            "PUT" if copy => "CopyObject",
            "PUT" => "PutObject",
            "POST" if self.query("uploads").is_some() => "CreateMultipartUpload",
            "POST" if self.query("uploadId").is_some() => "CompleteMultipartUpload",
            "DELETE" => "AbortMultipartUpload",
            "HEAD" => "HeadObject",
            "GET" => "GetObject",
            _ => "another service's",
        }
    }
}

/// What happens to a request.
pub(crate) enum Answer {
    /// The object is served or stored.
    Serve,
    /// It is served, but the connection is cut after so many bytes of the body.
    Cut(usize),
    /// It is served, but after so many bytes of the body nothing comes any more.
    Stall(usize),
    /// It is served whole, whatever range was asked for.
    Whole,
    /// It is served and has its effect, but the answer never arrives.
    Lost,
    /// An S3 error of this status, code and message.
    Error(u16, &'static str, &'static str),
}

type Script = Box<dyn FnMut(&Request) -> Answer + Send>;

#[derive(Clone)]
pub(crate) struct Server {
    state: Arc<State>,
    port: u16,
}

struct State {
    objects: Mutex<BTreeMap<String, Stored>>,
    uploads: Mutex<BTreeMap<String, Draft>>,
    requests: Mutex<Vec<Request>>,
    script: Mutex<Script>,
    meeting: Mutex<Meeting>,
    met: Condvar,
}

/// Requests for ranges that wait for each other.
#[derive(Default)]
struct Meeting {
    wanted: usize,
    came: usize,
    /// Somebody waited in vain.
    missed: bool,
}

#[derive(Clone, Default)]
struct Stored {
    body: Vec<u8>,
    metadata: Vec<(String, String)>,
}

/// An upload in parts.
#[derive(Default)]
struct Draft {
    metadata: Vec<(String, String)>,
    parts: BTreeMap<u32, Vec<u8>>,
}

/// A head and a body.
type Response = (String, Vec<u8>);

impl Server {
    pub(crate) fn start() -> Self {
        Self::scripted(|_| Answer::Serve)
    }

    pub(crate) fn scripted(script: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            objects: Mutex::default(),
            uploads: Mutex::default(),
            requests: Mutex::default(),
            script: Mutex::new(Box::new(script)),
            meeting: Mutex::default(),
            met: Condvar::new(),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                // A client that goes away ends its connection's thread, and nothing else.
                std::thread::spawn(move || shared.converse(stream.unwrap()));
            }
        });
        Self { state, port }
    }

    /// Puts an object there.
    pub(crate) fn keep(&self, path: &str, body: &[u8]) {
        let body = body.to_vec();
        let stored = Stored {
            body,
            ..Stored::default()
        };
        self.state
            .objects
            .lock()
            .unwrap()
            .insert(path.to_owned(), stored);
    }

    /// Takes an object away.
    pub(crate) fn forget(&self, path: &str) {
        self.state.objects.lock().unwrap().remove(path);
    }

    pub(crate) fn object(&self, path: &str) -> Option<Vec<u8>> {
        let objects = self.state.objects.lock().unwrap();
        objects.get(path).map(|object| object.body.clone())
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    /// What was asked for, in S3's words.
    pub(crate) fn operations(&self) -> Vec<&'static str> {
        self.requests().iter().map(Request::operation).collect()
    }

    /// Answers no request for a range until so many are there at once.
    pub(crate) fn answer_together(&self, requests: usize) {
        self.state.meeting.lock().unwrap().wanted = requests;
    }

    /// Whether so many did come.
    pub(crate) fn have_met(&self) -> bool {
        let meeting = self.state.meeting.lock().unwrap();
        meeting.came == meeting.wanted && !meeting.missed
    }

    /// How many uploads in parts have neither been completed nor aborted.
    pub(crate) fn unfinished(&self) -> usize {
        self.state.uploads.lock().unwrap().len()
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn client(&self) -> Client {
        let retries = RetryConfig::standard()
            .with_max_attempts(2)
            .with_initial_backoff(Duration::from_millis(1));
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(Credentials::from_keys("id", "secret", None))
            .endpoint_url(self.endpoint())
            .force_path_style(true)
            .retry_config(retries)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Client::from_conf(config)
    }
}

impl State {
    fn converse(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut writer = stream;
        loop {
            let request = read(&mut reader)?;
            self.requests.lock().unwrap().push(request.clone());
            self.meet(&request);
            let answer = (self.script.lock().unwrap())(&request);
            let (head, body) = match answer {
                Answer::Error(status, code, message) => error(status, code, message),
                Answer::Whole => self.serve(&request, false),
                _ => self.serve(&request, true),
            };
            let (cut, stall) = match answer {
                Answer::Cut(at) => (Some(at), false),
                Answer::Stall(at) => (Some(at), true),
                Answer::Lost => return None,
                _ => (None, false),
            };
            writer.write_all(head.as_bytes()).ok()?;
            if let Some(at) = cut {
                writer.write_all(&body[..at.min(body.len())]).ok()?;
                if stall {
                    // Until the client has had enough.
                    let _ = read(&mut reader);
                }
                return None;
            }
            if request.method != "HEAD" {
                writer.write_all(&body).ok()?;
            }
        }
    }

    /// Waits for the others, but for the looks at an object's beginning and end, which come first.
    /// Those that never come are not waited for until the end of time.
    fn meet(&self, request: &Request) {
        let objects = self.objects.lock().unwrap();
        let length = objects
            .get(request.path())
            .map_or(0, |object| object.body.len());
        drop(objects);
        let last = format!("-{}", length.saturating_sub(1));
        let is_a_look = |range: &str| range.starts_with("bytes=0-") || range.ends_with(&last);
        if request.header("range").is_none_or(is_a_look) {
            return;
        }
        let mut meeting = self.meeting.lock().unwrap();
        if meeting.came < meeting.wanted {
            meeting.came += 1;
            self.met.notify_all();
            let (mut meeting, waited) = self
                .met
                .wait_timeout_while(meeting, Duration::from_secs(10), |meeting| {
                    meeting.came < meeting.wanted
                })
                .unwrap();
            meeting.missed |= waited.timed_out();
        }
    }

    fn serve(&self, request: &Request, ranges: bool) -> Response {
        match request.operation() {
            // Another service's operation, for tests of whole actions: it succeeds.
            "another service's" => response(200, &[], b"{}"),
            "GetObject" | "HeadObject" => self.get(request, ranges),
            "PutObject" => {
                let stored = Stored {
                    body: request.body.clone(),
                    metadata: metadata(request),
                };
                self.store(request.path(), stored)
            }
            "CopyObject" => self.copy(request),
            _ => self.in_parts(request),
        }
    }

    fn copy(&self, request: &Request) -> Response {
        let source = format!("/{}", request.header("x-amz-copy-source").unwrap());
        let found = self.objects.lock().unwrap().get(&source).cloned();
        let Some(object) = found.map(|object| object.body) else {
            return error(404, "NoSuchKey", "The specified key does not exist.");
        };
        let wanted = request.header("x-amz-copy-source-if-match");
        if wanted.is_some_and(|wanted| wanted != etag(&object)) {
            return error(412, "PreconditionFailed", "The object is another one now");
        }
        let digest = <sha2::Sha256 as sha2::Digest>::digest(&object);
        let text = format!(
            "<CopyObjectResult><ETag>{}</ETag><ChecksumSHA256>{}</ChecksumSHA256></CopyObjectResult>",
            etag(&object),
            aws_smithy_types::base64::encode(digest),
        );
        let stored = Stored {
            body: object,
            metadata: metadata(request),
        };
        self.store(request.path(), stored);
        response(200, &[("x-amz-version-id", "v1".into())], text.as_bytes())
    }

    fn store(&self, path: &str, stored: Stored) -> Response {
        let headers = [
            ("etag", etag(&stored.body)),
            ("x-amz-version-id", "v1".into()),
        ];
        self.objects.lock().unwrap().insert(path.to_owned(), stored);
        response(200, &headers, b"")
    }

    fn get(&self, request: &Request, ranges: bool) -> Response {
        let objects = self.objects.lock().unwrap();
        let Some(object) = objects.get(request.path()) else {
            return error(404, "NoSuchKey", "The specified key does not exist.");
        };
        let (etag, length) = (etag(&object.body), object.body.len());
        if ranges
            && request
                .header("if-match")
                .is_some_and(|wanted| wanted != etag)
        {
            return error(
                412,
                "PreconditionFailed",
                "At least one of the pre-conditions you specified did not hold",
            );
        }
        let mut headers: Vec<(&str, String)> =
            vec![("etag", etag), ("x-amz-version-id", "v1".into())];
        for (name, value) in &object.metadata {
            headers.push((name, value.clone()));
        }
        let range = request.header("range").filter(|_| ranges);
        let Some((first, last)) =
            range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
        else {
            return response(200, &headers, &object.body);
        };
        let (from, end) = match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) => (first, (last + 1).min(length)),
            (Ok(first), Err(_)) => (first, length),
            (Err(_), Ok(suffix)) => (length - suffix.min(length), length),
            (Err(_), Err(_)) => panic!("{range:?}"),
        };
        if from >= end {
            return error(
                416,
                "InvalidRange",
                "The requested range is not satisfiable",
            );
        }
        headers.push((
            "content-range",
            format!("bytes {from}-{}/{length}", end - 1),
        ));
        response(206, &headers, &object.body[from..end])
    }

    fn in_parts(&self, request: &Request) -> Response {
        let mut uploads = self.uploads.lock().unwrap();
        if request.operation() == "CreateMultipartUpload" {
            let id = format!("upload-{}", self.requests.lock().unwrap().len());
            let draft = Draft {
                metadata: metadata(request),
                ..Draft::default()
            };
            uploads.insert(id.clone(), draft);
            let text = format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            );
            return response(200, &[], text.as_bytes());
        }
        let id = request.query("uploadId").unwrap().to_owned();
        let Some(draft) = uploads.get_mut(&id) else {
            return error(404, "NoSuchUpload", "The specified upload does not exist.");
        };
        let mut part = |body: Vec<u8>| {
            let number = request.query("partNumber").unwrap().parse().unwrap();
            let tag = etag(&body);
            draft.parts.insert(number, body);
            tag
        };
        match request.operation() {
            "UploadPart" => {
                let tag = part(request.body.clone());
                response(200, &[("etag", tag)], b"")
            }
            "UploadPartCopy" => {
                let source = format!("/{}", request.header("x-amz-copy-source").unwrap());
                let objects = self.objects.lock().unwrap();
                let Some(object) = objects
                    .get(&source.replace("%20", " "))
                    .or(objects.get(&source))
                else {
                    return error(404, "NoSuchKey", "The specified key does not exist.");
                };
                if request.header("x-amz-copy-source-if-match") != Some(&etag(&object.body)) {
                    return error(412, "PreconditionFailed", "The object is another one now");
                }
                let range = request.header("x-amz-copy-source-range").unwrap();
                let (first, last) = range
                    .strip_prefix("bytes=")
                    .unwrap()
                    .split_once('-')
                    .unwrap();
                let range = first.parse().unwrap()..=last.parse().unwrap();
                let bytes = object.body[range].to_vec();
                let checksum =
                    aws_smithy_types::base64::encode(crc32fast::hash(&bytes).to_be_bytes());
                let tag = part(bytes);
                let text = format!(
                    "<CopyPartResult><ETag>{tag}</ETag><ChecksumCRC32>{checksum}</ChecksumCRC32></CopyPartResult>"
                );
                response(200, &[], text.as_bytes())
            }
            "CompleteMultipartUpload" => {
                let draft = uploads.remove(&id).unwrap();
                let sizes: Vec<usize> = draft.parts.values().map(Vec::len).collect();
                let too_small = sizes.iter().rev().skip(1).any(|size| *size < 5 << 20);
                assert!(!too_small, "S3 takes no such parts: {sizes:?}");
                let stored = Stored {
                    body: draft.parts.into_values().collect::<Vec<_>>().concat(),
                    metadata: draft.metadata,
                };
                let (head, _) = self.store(request.path(), stored);
                let text = "<CompleteMultipartUploadResult/>";
                (
                    head.replace(
                        "content-length: 0",
                        &format!("content-length: {}", text.len()),
                    ),
                    text.into(),
                )
            }
            "AbortMultipartUpload" => {
                uploads.remove(&id);
                response(204, &[], b"")
            }
            other => panic!("{other}"),
        }
    }
}

fn metadata(request: &Request) -> Vec<(String, String)> {
    let headers = request.headers.iter();
    headers
        .filter(|(name, _)| name.starts_with("x-amz-meta-"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn etag(body: &[u8]) -> String {
    format!("\"{:08x}\"", crc32fast::hash(body))
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    response(status, &[], body.as_bytes())
}

fn response(status: u16, headers: &[(&str, String)], body: &[u8]) -> Response {
    let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head = head + name + ": " + value + "\r\n";
    }
    (head + "\r\n", body.to_vec())
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        target,
        headers,
        body,
    })
}
