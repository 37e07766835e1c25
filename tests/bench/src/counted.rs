//! Something between a client and a service that counts the operations of the query protocol, and changes nothing.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// What every request of the query protocol begins its body with, or has in it once.
const OPERATION: &[u8] = b"Action=";

/// How often each operation was asked for.
type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

/// A listener that passes every connection on to one address.
pub(crate) struct Counted {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    counts: Counts,
}

impl Counted {
    /// Listens from now on, until the program ends.
    pub(crate) fn before(target: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let counts = Counts::default();
        let (target, counted) = (target.to_owned(), Arc::clone(&counts));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (target, counts) = (target.clone(), Arc::clone(&counted));
                std::thread::spawn(move || pass_on(&client, &target, &counts));
            }
        });
        Ok(Self { address, counts })
    }

    /// The operations and their counts since the last call.
    pub(crate) fn take(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn pass_on(client: &TcpStream, target: &str, counts: &Counts) {
    let Ok(server) = TcpStream::connect(target) else {
        return;
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pump(&server, client, |_| {});
            let _ = client.shutdown(Shutdown::Write);
        });
        let mut seen = Vec::new();
        pump(client, &server, |bytes| {
            seen.extend_from_slice(bytes);
            count(&mut seen, counts);
        });
        let _ = server.shutdown(Shutdown::Write);
    });
}

fn pump(mut from: &TcpStream, mut to: &TcpStream, mut look: impl FnMut(&[u8])) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        look(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
}

/// Counts what is whole, and keeps what may be the beginning of more.
fn count(seen: &mut Vec<u8>, counts: &Counts) {
    let mut rest = 0;
    while let Some(at) = find(&seen[rest..], OPERATION) {
        let name = rest + at + OPERATION.len();
        let end = seen[name..].iter().position(|byte| *byte == b'&');
        let Some(end) = end.map(|end| name + end) else {
            seen.drain(..rest + at);
            return;
        };
        let name = String::from_utf8_lossy(&seen[name..end]).into_owned();
        *counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name)
            .or_default() += 1;
        rest = end;
    }
    let kept = seen.len().saturating_sub(OPERATION.len()).max(rest);
    seen.drain(..kept);
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::{Counts, count};

    #[test]
    fn operations_are_counted_however_they_arrive() {
        let text = b"POST / HTTP/1.1\r\n\r\nAction=DescribeStacks&Version=2010-05-15&StackName=a\
            POST / HTTP/1.1\r\n\r\nAction=DescribeStacks&Version=1Action=DeleteStack&";
        for piece in [1, 3, 7, 64, text.len()] {
            let (counts, mut seen) = (Counts::default(), Vec::new());
            for bytes in text.chunks(piece) {
                seen.extend_from_slice(bytes);
                count(&mut seen, &counts);
            }
            let counts = counts.lock().expect("no panic").clone();
            let counts: Vec<_> = counts.into_iter().collect();
            assert_eq!(
                counts,
                [("DeleteStack".into(), 1), ("DescribeStacks".into(), 2)],
                "in pieces of {piece}"
            );
        }
    }
}
