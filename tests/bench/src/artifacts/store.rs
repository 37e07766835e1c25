//! A store behind a slow network: as much of S3 as moves objects, at so many bytes a second in each direction, and
//! some milliseconds for every request. Without TLS, and on the same processors as those who use it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a request waits for before anything happens.
const LATENCY: Duration = Duration::from_millis(15);
/// How much is let through at a time.
const GRAIN: usize = 64 << 10;

pub(crate) struct SlowStore {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    objects: Mutex<HashMap<String, Arc<[u8]>>>,
    /// How much was stored, by path.
    stored: Mutex<HashMap<String, u64>>,
    pace: Pace,
}

/// A token bucket without a bucket: when the next bytes may go.
struct Pace {
    bytes_per_second: f64,
    next: Mutex<Instant>,
}

impl Pace {
    fn wait(&self, bytes: usize) {
        let time = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        let until = {
            let mut next = self.next.lock().expect("nobody panics here");
            *next = (*next).max(Instant::now()) + time;
            *next
        };
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
    }
}

impl SlowStore {
    /// Starts one on a free port, for as long as the process lives.
    pub(crate) fn start(bytes_per_second: f64) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            objects: Mutex::default(),
            stored: Mutex::default(),
            pace: Pace {
                bytes_per_second,
                next: Mutex::new(Instant::now()),
            },
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    // Whoever goes away ends this conversation, and nothing else.
                    let _ = shared.converse(stream);
                });
            }
        });
        Ok(Self { address, state })
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts a file's content there, at once.
    pub(crate) fn keep(&self, path: &str, file: &Path) -> anyhow::Result<()> {
        let bytes = std::fs::read(file)?.into();
        self.state
            .objects
            .lock()
            .expect("nobody panics here")
            .insert(path.to_owned(), bytes);
        Ok(())
    }

    /// How many bytes were stored at a path since it was asked last.
    pub(crate) fn taken(&self, path: &str) -> u64 {
        let mut stored = self.state.stored.lock().expect("nobody panics here");
        stored.remove(path).unwrap_or(0)
    }
}

impl State {
    fn converse(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::with_capacity(GRAIN, stream.try_clone()?);
        let mut writer = stream;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let mut words = line.split_whitespace();
            let method = words.next().unwrap_or_default().to_owned();
            let target = words.next().unwrap_or_default().to_owned();
            let (mut length, mut range) = (0, None);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line)?;
                let Some((name, value)) = line.trim_end().split_once(": ") else {
                    break;
                };
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.parse().unwrap_or(0);
                } else if name.eq_ignore_ascii_case("range") {
                    range = value.strip_prefix("bytes=").map(str::to_owned);
                } else if name.eq_ignore_ascii_case("expect") {
                    writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                }
            }
            std::thread::sleep(LATENCY);
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            if method == "GET" {
                self.give(&mut writer, path, range.as_deref())?;
                continue;
            }
            let is_data = method == "PUT";
            self.take(&mut reader, length, is_data)?;
            if is_data {
                let mut stored = self.stored.lock().expect("nobody panics here");
                *stored.entry(path.to_owned()).or_default() += length as u64;
            }
            let body = if query.starts_with("uploads") {
                "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
            } else if method == "POST" {
                "<CompleteMultipartUploadResult/>"
            } else {
                ""
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            writer.write_all(head.as_bytes())?;
        }
    }

    fn give(&self, writer: &mut TcpStream, path: &str, range: Option<&str>) -> std::io::Result<()> {
        let object = self
            .objects
            .lock()
            .expect("nobody panics here")
            .get(path)
            .cloned();
        let Some(object) = object else {
            return writer.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        };
        let length = object.len();
        let (from, end) = match range.and_then(|range| range.split_once('-')) {
            None => (0, length),
            Some(("", last)) => (length.saturating_sub(last.parse().unwrap_or(0)), length),
            Some((first, last)) => (
                first.parse().unwrap_or(0),
                last.parse()
                    .map_or(length, |last: usize| (last + 1).min(length)),
            ),
        };
        let status = if range.is_some() {
            "206 Partial Content"
        } else {
            "200 OK"
        };
        let head = format!(
            "HTTP/1.1 {status}\r\netag: \"1\"\r\naccept-ranges: bytes\r\ncontent-length: {}\r\ncontent-range: bytes {from}-{}/{length}\r\n\r\n",
            end - from,
            end - 1
        );
        writer.write_all(head.as_bytes())?;
        for grain in object[from..end].chunks(GRAIN) {
            self.pace.wait(grain.len());
            writer.write_all(grain)?;
        }
        Ok(())
    }

    /// Reads a body and forgets it.
    fn take(&self, reader: &mut impl Read, mut length: usize, paced: bool) -> std::io::Result<()> {
        let mut buffer = vec![0; GRAIN];
        while length > 0 {
            let grain = length.min(GRAIN);
            reader.read_exact(&mut buffer[..grain])?;
            if paced {
                self.pace.wait(grain);
            }
            length -= grain;
        }
        Ok(())
    }
}
