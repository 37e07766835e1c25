//! An HTTP server on 127.0.0.1 that takes what a function sends: `PutJob*Result` calls, which it
//! answers by script, and S3 objects, which it keeps.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// A call to CodePipeline.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) operation: String,
    pub(crate) input: Value,
}

/// An object in S3, with the headers it came with.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// How the next call is answered: HTTP status, error code, message.
pub(crate) type Answer = (u16, &'static str, &'static str);

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    answers: VecDeque<Answer>,
    always: Option<Answer>,
    silent: bool,
    objects: HashMap<String, Object>,
}

/// The server. Its thread ends with the process.
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || while serve(&stream, &state).is_some() {});
            }
        });
        Self { address, state }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next calls with these, in order, and what follows with success.
    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.lock().unwrap().answers.extend(answers);
    }

    /// Answers every call with this.
    pub(crate) fn always(&self, answer: Answer) {
        self.state.lock().unwrap().always = Some(answer);
    }

    /// Takes every request from now on and answers none.
    pub(crate) fn keep_silent(&self) {
        self.state.lock().unwrap().silent = true;
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    /// The only call there was.
    pub(crate) fn only_call(&self) -> Call {
        let calls = self.calls();
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls[0].clone()
    }

    pub(crate) fn objects(&self) -> HashMap<String, Object> {
        self.state.lock().unwrap().objects.clone()
    }

    pub(crate) fn replace_object(&self, path: &str, body: &[u8]) {
        let mut state = self.state.lock().unwrap();
        state.objects.get_mut(path).unwrap().body = body.to_vec();
    }
}

/// Serves one request of a connection; nothing when it is over.
fn serve(stream: &TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;

    let (status, kind, response) = {
        let mut state = state.lock().unwrap();
        match headers.get("x-amz-target") {
            Some(target) => codepipeline(&mut state, target, &body),
            None => s3(&mut state, &method, &target, headers, body),
        }
    };
    if state.lock().unwrap().silent {
        // Until the client hangs up.
        let _ = reader.read(&mut [0]);
        return None;
    }
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        response.len()
    )
    .ok()?;
    stream.write_all(&response).ok()
}

type Response = (u16, &'static str, Vec<u8>);

fn codepipeline(state: &mut State, target: &str, body: &[u8]) -> Response {
    const JSON: &str = "application/x-amz-json-1.1";
    state.calls.push(Call {
        operation: target.rsplit('.').next().unwrap_or_default().to_owned(),
        input: serde_json::from_slice(body).unwrap(),
    });
    match state.always.or_else(|| state.answers.pop_front()) {
        Some((status, code, message)) => {
            let error = json!({"__type": code, "message": message});
            (status, JSON, error.to_string().into_bytes())
        }
        None => (200, JSON, b"{}".to_vec()),
    }
}

fn s3(
    state: &mut State,
    method: &str,
    target: &str,
    headers: HashMap<String, String>,
    body: Vec<u8>,
) -> Response {
    const XML: &str = "application/xml";
    let path = target.split('?').next().unwrap_or_default().to_owned();
    if method == "PUT" {
        state.objects.insert(path, Object { headers, body });
        return (200, XML, Vec::new());
    }
    match state.objects.get(&path) {
        Some(object) => (200, "application/json", object.body.clone()),
        None => (
            404,
            XML,
            b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>".to_vec(),
        ),
    }
}
