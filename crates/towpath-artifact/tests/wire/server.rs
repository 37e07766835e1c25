//! As much of S3's wire as the crate uses: objects are kept in memory, every request is noted, and
//! a script may answer in the server's place.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
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
}

/// What happens to a request.
pub(crate) enum Answer {
    /// The object is served or stored.
    Serve,
    /// It is served, but the connection is cut after so many bytes of the body.
    Cut(usize),
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
    requests: Mutex<Vec<Request>>,
    script: Mutex<Script>,
}

#[derive(Clone)]
struct Stored {
    body: Vec<u8>,
    metadata: Vec<(String, String)>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::scripted(|_| Answer::Serve)
    }

    pub(crate) fn scripted(script: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            objects: Mutex::default(),
            requests: Mutex::default(),
            script: Mutex::new(Box::new(script)),
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
        self.state.objects.lock().unwrap().insert(
            path.to_owned(),
            Stored {
                body: body.to_vec(),
                metadata: Vec::new(),
            },
        );
    }

    pub(crate) fn object(&self, path: &str) -> Option<Vec<u8>> {
        let objects = self.state.objects.lock().unwrap();
        objects.get(path).map(|object| object.body.clone())
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    pub(crate) fn methods(&self) -> Vec<String> {
        self.requests().into_iter().map(|r| r.method).collect()
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
            let answer = (self.script.lock().unwrap())(&request);
            let (response, cut) = match answer {
                Answer::Serve => (self.serve(&request), None),
                Answer::Cut(at) => (self.serve(&request), Some(at)),
                Answer::Error(status, code, message) => (error(status, code, message), None),
            };
            let (head, body) = response;
            writer.write_all(head.as_bytes()).ok()?;
            if let Some(at) = cut {
                writer.write_all(&body[..at.min(body.len())]).ok()?;
                return None;
            }
            if request.method != "HEAD" {
                writer.write_all(&body).ok()?;
            }
        }
    }

    fn serve(&self, request: &Request) -> (String, Vec<u8>) {
        if request.header("x-amz-target").is_some() {
            // Another service's operation, for tests of whole actions: it succeeds.
            return response(200, "{}".to_owned());
        }
        let path = request.target.split('?').next().unwrap().to_owned();
        let mut objects = self.objects.lock().unwrap();
        if request.method == "PUT" {
            let metadata = request
                .headers
                .iter()
                .filter(|(name, _)| name.starts_with("x-amz-meta-"))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            let body = request.body.clone();
            objects.insert(path, Stored { body, metadata });
            let head = "HTTP/1.1 200 OK\r\netag: \"1\"\r\nx-amz-version-id: v1\r\ncontent-length: 0\r\n\r\n";
            return (head.to_owned(), Vec::new());
        }
        let Some(object) = objects.get(&path) else {
            return error(404, "NoSuchKey", "The specified key does not exist.");
        };
        let from = request
            .header("range")
            .and_then(|range| range.strip_prefix("bytes="))
            .and_then(|range| range.strip_suffix('-'))
            .map_or(0, |from| from.parse().unwrap());
        let body = object.body[from..].to_vec();
        let status = if from > 0 {
            "206 Partial Content"
        } else {
            "200 OK"
        };
        let mut head = format!(
            "HTTP/1.1 {status}\r\netag: \"{:x}\"\r\ncontent-length: {}\r\n",
            object.body.len(),
            body.len()
        );
        for (name, value) in &object.metadata {
            head = head + name + ": " + value + "\r\n";
        }
        (head + "\r\n", body)
    }
}

fn error(status: u16, code: &str, message: &str) -> (String, Vec<u8>) {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    response(status, body)
}

fn response(status: u16, body: String) -> (String, Vec<u8>) {
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head, body.into_bytes())
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
