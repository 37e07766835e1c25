//! Ranges: several at once, all of the same object, each tried again by itself; and what happens
//! when the store does not play along.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};

use towpath_artifact::{ArtifactError, Blame, Settings, Store};

use crate::server::{Answer, Request, Server};
use crate::{ARTIFACT, PATH, names, noise, packed, plant, settings, store, survey, zipped};

/// A tree, its archive on a server that does as the script says, and what fetching it came to.
struct Fetched {
    server: Server,
    archive: Vec<u8>,
    /// The tree as it was packed.
    planted: Vec<(String, Vec<u8>)>,
    job: tempfile::TempDir,
    error: Option<ArtifactError>,
}

async fn fetch_by(
    settings: Settings,
    script: impl FnMut(&Request) -> Answer + Send + 'static,
) -> Fetched {
    let here = tempfile::tempdir().unwrap();
    plant(here.path());
    let archive = packed(here.path());
    let server = Server::scripted(script);
    server.keep(PATH, &archive);
    let job = tempfile::tempdir().unwrap();
    let store = Store::new(server.client(), settings);
    let error = store
        .fetch(ARTIFACT, &job.path().join("source"))
        .await
        .err();
    Fetched {
        server,
        archive,
        planted: survey(here.path()),
        job,
        error,
    }
}

impl Fetched {
    fn assert_whole(&self) {
        assert!(self.error.is_none(), "{:?}", self.error);
        assert_eq!(names(self.job.path()), ["source"]);
        assert_eq!(survey(&self.job.path().join("source")), self.planted);
    }

    /// What it says; nothing is left.
    fn said(&self) -> String {
        assert_eq!(names(self.job.path()), [""; 0], "{:?}", self.error);
        self.error.as_ref().expect("an error").to_string()
    }
}

/// First and last byte that a request asks for.
fn range(request: &Request) -> Option<(u64, u64)> {
    let (first, last) = request
        .header("range")?
        .strip_prefix("bytes=")?
        .split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

#[tokio::test]
async fn every_byte_is_asked_for_once_and_of_the_same_object() {
    let fetched = fetch_by(settings(), |_| Answer::Serve).await;
    fetched.assert_whole();
    let requests = fetched.server.requests();
    let (first, rest) = requests.split_first().unwrap();
    assert_eq!(first.header("range"), Some("bytes=0-131071"));
    assert_eq!(first.header("if-match"), None);
    let length = fetched.archive.len() as u64;
    assert_eq!(range(&rest[0]), Some((length - 131_072, length - 1)));
    let mut ranges: Vec<(u64, u64)> = requests
        .iter()
        .map(|request| range(request).unwrap())
        .collect();
    ranges.sort_unstable();
    assert!(ranges.len() > 20, "{ranges:?}");
    for pair in ranges.windows(2) {
        assert_eq!(pair[0].1 + 1, pair[1].0, "{ranges:?}");
    }
    assert_eq!((ranges[0].0, ranges[ranges.len() - 1].1), (0, length - 1));
    let etag = format!("\"{:08x}\"", crc32fast::hash(&fetched.archive));
    for request in rest {
        assert_eq!(request.header("if-match"), Some(etag.as_str()));
    }
}

#[tokio::test]
async fn a_small_archive_takes_one_request() {
    let server = Server::start();
    server.keep(PATH, &zipped(&[("a", "x"), ("b/c", "y")]));
    let job = tempfile::tempdir().unwrap();
    store(&server)
        .fetch(ARTIFACT, &job.path().join("source"))
        .await
        .unwrap();
    assert_eq!(server.operations(), ["GetObject"]);
}

#[tokio::test]
async fn several_requests_are_under_way_at_once() {
    let here = tempfile::tempdir().unwrap();
    plant(here.path());
    let alone = tempfile::tempdir().unwrap();
    fs::write(alone.path().join("large"), noise(4 << 20)).unwrap();
    for (what, tree) in [
        ("many files", here.path()),
        ("one large file", alone.path()),
    ] {
        let server = Server::start();
        server.keep(PATH, &packed(tree));
        server.answer_together(settings().connections);
        let patient = Settings {
            stall: std::time::Duration::from_mins(1),
            ..settings()
        };
        let job = tempfile::tempdir().unwrap();
        let into = job.path().join("source");
        let store = Store::new(server.client(), patient);
        store.fetch(ARTIFACT, &into).await.unwrap();
        assert!(server.have_met(), "{what}");
        assert_eq!(survey(&into), survey(tree), "{what}");
    }
}

#[tokio::test]
async fn a_range_that_breaks_off_is_taken_up_where_it_did_and_alone() {
    let mut seen = BTreeMap::new();
    let fetched = fetch_by(settings(), move |request| {
        // Every range is cut once, the later ones after more bytes; then the rest is served.
        let asked = request.header("range").unwrap().to_owned();
        let end = asked.rsplit('-').next().unwrap().to_owned();
        let times: &mut usize = seen.entry(end).or_default();
        *times += 1;
        if *times == 1 {
            return Answer::Cut(1_000);
        }
        Answer::Serve
    })
    .await;
    fetched.assert_whole();
    let requests = fetched.server.requests();
    let again = requests.iter().filter_map(range).filter(|(first, _)| {
        requests
            .iter()
            .filter_map(range)
            .any(|(other, _)| other + 1_000 == *first)
    });
    assert!(again.count() > 20);
}

#[tokio::test]
async fn bursts_of_slow_down_are_waited_out() {
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let fetched = fetch_by(settings(), move |request| {
        let times = refused
            .entry(request.header("range").unwrap().to_owned())
            .or_default();
        *times += 1;
        if *times <= 6 {
            return Answer::Error(503, "SlowDown", "Reduce your request rate.");
        }
        Answer::Serve
    })
    .await;
    fetched.assert_whole();
}

#[tokio::test]
async fn a_store_that_ignores_ranges_is_read_from_the_beginning() {
    let fetched = fetch_by(settings(), |_| Answer::Whole).await;
    fetched.assert_whole();
    // A look at its end, one passage for the central directory where that is not in it, one for
    // what is large and one for the rest.
    let requests = fetched.server.requests().len();
    assert!(requests <= 4, "{requests} requests");
}

#[tokio::test]
async fn also_when_it_is_cut_on_the_way() {
    let mut count = 0;
    let fetched = fetch_by(settings(), move |_| {
        count += 1;
        match count {
            2 => Answer::Error(503, "SlowDown", "Reduce your request rate."),
            _ => Answer::Whole,
        }
    })
    .await;
    fetched.assert_whole();
}

#[tokio::test]
async fn an_object_that_is_replaced_under_way_is_refused() {
    let other = zipped(&[("other", "content")]);
    let replaced = Arc::new(Mutex::new(None::<Server>));
    let in_script = Arc::clone(&replaced);
    let mut count = 0;
    let server = Server::scripted(move |_| {
        count += 1;
        if count == 3
            && let Some(server) = in_script.lock().unwrap().as_ref()
        {
            server.keep(PATH, &other);
        }
        Answer::Serve
    });
    *replaced.lock().unwrap() = Some(server.clone());
    let here = tempfile::tempdir().unwrap();
    plant(here.path());
    server.keep(PATH, &packed(here.path()));
    let job = tempfile::tempdir().unwrap();
    let error = store(&server)
        .fetch(ARTIFACT, &job.path().join("source"))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "s3://artifacts/pipeline/Source/abc was replaced while it was being read"
    );
    assert_eq!(error.blame(), Blame::Revision);
    assert!(error.hint().unwrap().contains("who writes to this key"));
    assert_eq!(names(job.path()), [""; 0]);
}

#[tokio::test]
async fn one_that_stalls_is_given_up_in_time_and_asked_again() {
    let mut count = 0;
    let fetched = fetch_by(settings(), move |_| {
        count += 1;
        if count % 10 == 5 {
            Answer::Stall(100)
        } else {
            Answer::Serve
        }
    })
    .await;
    fetched.assert_whole();
}

#[tokio::test]
async fn one_that_only_stalls_or_breaks_off_fails_in_words() {
    for (answer, expected) in [
        (
            (|| Answer::Stall(0)) as fn() -> Answer,
            "failed to read s3://artifacts/pipeline/Source/abc: it stalled: nothing came for 0.01 s",
        ),
        (
            || Answer::Cut(0),
            "failed to read s3://artifacts/pipeline/Source/abc: ",
        ),
        (
            || Answer::Error(503, "SlowDown", "Reduce your request rate."),
            "failed to read s3://artifacts/pipeline/Source/abc: Reduce your request rate. (SlowDown)",
        ),
    ] {
        let impatient = Settings {
            stall: std::time::Duration::from_millis(10),
            ..settings()
        };
        let mut count = 0;
        let fetched = fetch_by(impatient, move |_| {
            count += 1;
            // The end comes, so that it is known what there is to read.
            if count == 1 { Answer::Serve } else { answer() }
        })
        .await;
        let said = fetched.said();
        assert!(said.starts_with(expected), "{said}");
        assert_eq!(fetched.error.unwrap().blame(), Blame::Service);
    }
}

#[tokio::test]
async fn reading_ends_when_nobody_waits_for_it() {
    let here = tempfile::tempdir().unwrap();
    plant(here.path());
    let (tell, told) = std::sync::mpsc::channel();
    let server = Server::scripted(move |request| {
        if range(request).is_some() {
            let _ = tell.send(());
            return Answer::Stall(0);
        }
        Answer::Serve
    });
    server.keep(PATH, &packed(here.path()));
    let job = tempfile::tempdir().unwrap();
    let patient = Settings {
        stall: std::time::Duration::from_hours(1),
        ..settings()
    };
    let store = Store::new(server.client(), patient);
    let into = job.path().join("source");
    let fetching = tokio::spawn(async move { store.fetch(ARTIFACT, &into).await });
    tokio::task::spawn_blocking(move || told.recv().unwrap())
        .await
        .unwrap();
    fetching.abort();
    assert!(fetching.await.unwrap_err().is_cancelled());
    // It gives up by itself; what it had made is removed then.
    while !names(job.path()).is_empty() {
        tokio::task::yield_now().await;
    }
}
