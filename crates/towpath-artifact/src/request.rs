//! The requests for an object: each bounded in time, and made again for what is missing of it.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Config, ResponseChecksumValidation};
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::timeout;

use crate::error::ArtifactError;
use crate::settings::Settings;
use crate::store::{Answer, Kind, Location, Place};

/// How often a request is made again that brought nothing new.
const TRIES: u32 = 10;
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The metadata by which an archive is known again as one that was packed here.
pub(crate) const MARK: &str = "towpath-archive";
/// What S3 has encoded in the name of an object to be copied.
const IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// Which object it is.
#[derive(Debug)]
pub(crate) struct At {
    client: Client,
    place: Place,
    etag: Option<String>,
    /// What it says that it was packed with.
    mark: Option<String>,
    stall: Duration,
    pause: Duration,
}

/// How a request to copy from an object names it: bucket and key, encoded.
pub(crate) fn source_name(location: Location<'_>) -> String {
    let named = format!("{}/{}", location.bucket, location.key);
    utf8_percent_encode(&named, IN_A_PATH).to_string()
}

/// What a first look at an object shows.
pub(crate) struct Look {
    pub(crate) length: u64,
    /// The first bytes; all, or none of an object that comes whole.
    pub(crate) head: Bytes,
    /// The last bytes that are not in the head.
    pub(crate) tail: Bytes,
    /// Whether the store serves ranges.
    pub(crate) ranges: bool,
}

/// One way through the whole object.
#[derive(Default)]
pub(crate) struct Passage {
    at: u64,
    body: Option<ByteStream>,
    rest: Bytes,
}

impl At {
    /// Looks at the first and the last bytes of an object, about as many as are wanted. From then on
    /// it has to stay the same.
    pub(crate) async fn open(
        client: &Client,
        location: Location<'_>,
        settings: &Settings,
        wanted: u64,
    ) -> Result<(Self, Look), ArtifactError> {
        let mut at = Self {
            client: client.clone(),
            place: location.into(),
            etag: None,
            mark: None,
            stall: settings.stall,
            pause: settings.pause,
        };
        let mut tries = Tries::default();
        loop {
            let told = match at.get(Some(format!("bytes=0-{}", wanted - 1))).await {
                Ok(told) => told,
                // The first bytes of nothing.
                Err(answer) if answer.kind == Kind::NoRange => return Ok((at, Look::at_nothing())),
                Err(answer) => {
                    tries.again(&at, answer).await?;
                    continue;
                }
            };
            at.etag = told.e_tag().map(str::to_owned);
            at.mark = told.metadata().and_then(|it| it.get(MARK)).cloned();
            if let Some(text) = told.content_range() {
                let Some(Served {
                    from: 0,
                    end,
                    total,
                }) = served(text)
                else {
                    let detail = format!("it says that it serves `{text}`");
                    return Err(other(detail).reading(location));
                };
                // The end is asked for while the beginning still comes.
                let (mut head, mut tail) = (Vec::new(), Vec::new());
                let tail_range = total.saturating_sub(wanted).max(end)..total;
                tokio::try_join!(
                    at.fill(&mut head, 0..end, Some(told.body)),
                    at.fill(&mut tail, tail_range, None),
                )?;
                let look = Look {
                    length: total,
                    head: head.into(),
                    tail: tail.into(),
                    ranges: true,
                };
                return Ok((at, look));
            }
            match at.last(told, wanted).await {
                Ok(look) => return Ok((at, look)),
                Err(answer) => tries.again(&at, answer).await?,
            }
        }
    }

    pub(crate) fn location(&self) -> Location<'_> {
        self.place.location()
    }

    /// Whether it is an archive that was packed with these settings.
    pub(crate) fn is_marked(&self, mark: &str) -> bool {
        self.mark.as_deref() == Some(mark)
    }

    /// What a request to copy from it names: bucket and key, encoded, and the version that is meant.
    pub(crate) fn to_be_copied(&self) -> (String, Option<String>) {
        (source_name(self.location()), self.etag.clone())
    }

    /// Whether S3 calls its content so.
    pub(crate) fn has_etag(&self, etag: &str) -> bool {
        self.etag.as_deref() == Some(etag)
    }

    /// One request.
    async fn get(&self, range: Option<String>) -> Result<GetObjectOutput, Answer> {
        let limits = TimeoutConfig::builder()
            .operation_attempt_timeout(self.stall)
            .build();
        let config = Config::builder()
            .timeout_config(limits)
            // Tried again here, and only what is missing of it.
            .retry_config(RetryConfig::disabled())
            // Of a range S3 has no checksum; each entry of an archive has its own.
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        self.client
            .get_object()
            .bucket(&self.place.bucket)
            .key(&self.place.key)
            .set_range(range)
            .set_if_match(self.etag.clone())
            .customize()
            .config_override(config)
            .send()
            .await
            .map_err(Answer::of)
    }

    /// Appends exactly a range, asking again for what is missing when it breaks off. `body` is an
    /// answer that has begun already.
    pub(crate) async fn fill(
        &self,
        into: &mut Vec<u8>,
        range: Range<u64>,
        mut body: Option<ByteStream>,
    ) -> Result<(), ArtifactError> {
        let begin = into.len();
        let whole = begin + (range.end - range.start) as usize;
        into.reserve_exact(whole - begin);
        let mut tries = Tries::default();
        while into.len() < whole {
            let before = into.len();
            let from = range.start + (before - begin) as u64;
            let came = match body.take() {
                Some(body) => Ok(body),
                None => self.part(from, range.end).await,
            };
            let came = match came {
                Ok(body) => self.receive(body, whole, into).await,
                Err(answer) => Err(answer),
            };
            if let Err(answer) = came {
                if into.len() > before {
                    tries = Tries::default();
                }
                tracing::debug!(
                    location = %self.place.location(), from, received = into.len() - before,
                    reason = answer.detail, "a range broke off"
                );
                tries.again(self, answer).await?;
            }
        }
        Ok(())
    }

    /// The body of an answer to a request for this range, and nothing else.
    async fn part(&self, from: u64, end: u64) -> Result<ByteStream, Answer> {
        let told = self.get(Some(format!("bytes={from}-{}", end - 1))).await?;
        self.check_same(&told)?;
        match told.content_range().map(|text| (served(text), text)) {
            Some((Some(served), _)) if served.from == from && served.end == end => Ok(told.body),
            Some((_, text)) => Err(other(format!(
                "asked for bytes {from}-{}, it served `{text}`",
                end - 1
            ))),
            None => Err(other(
                "it served a range before, and now the whole object".to_owned(),
            )),
        }
    }

    /// Whether an answer is of the object that was looked at first.
    fn check_same(&self, told: &GetObjectOutput) -> Result<(), Answer> {
        if self.etag.as_deref() == told.e_tag() {
            return Ok(());
        }
        Err(Answer {
            kind: Kind::Replaced,
            detail: String::new(),
        })
    }

    /// Appends a body until `into` is `whole`.
    async fn receive(
        &self,
        mut body: ByteStream,
        whole: usize,
        into: &mut Vec<u8>,
    ) -> Result<(), Answer> {
        let before = into.len();
        while into.len() < whole {
            let Some(chunk) = self.chunk(&mut body).await? else {
                let came = into.len() - before;
                return Err(passing(format!("it ended after {came} bytes")));
            };
            let room = whole - into.len();
            into.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        // To its end, or the connection could not be used again.
        let _ = self.chunk(&mut body).await;
        Ok(())
    }

    /// The next bytes of a body, if they come in time.
    async fn chunk(&self, body: &mut ByteStream) -> Result<Option<Bytes>, Answer> {
        match timeout(self.stall, body.try_next()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(passing(DisplayErrorContext(&error).to_string())),
            Err(_) => Err(passing(format!(
                "it stalled: nothing came for {} s",
                self.stall.as_secs_f32()
            ))),
        }
    }

    /// The length and the last bytes of an object that comes whole.
    async fn last(&self, told: GetObjectOutput, wanted: u64) -> Result<Look, Answer> {
        let stated = told.content_length();
        let mut body = told.body;
        let mut last: VecDeque<Bytes> = VecDeque::new();
        let (mut kept, mut length) = (0, 0);
        while let Some(chunk) = self.chunk(&mut body).await? {
            length += chunk.len() as u64;
            kept += chunk.len() as u64;
            last.push_back(chunk);
            // Twice as much as is wanted: a small object is all there is.
            while let Some(first) = last.front()
                && kept - first.len() as u64 >= 2 * wanted
            {
                kept -= first.len() as u64;
                last.pop_front();
            }
        }
        if stated.is_some_and(|stated| stated as u64 != length) {
            return Err(passing(format!("it ended after {length} bytes")));
        }
        Ok(Look {
            length,
            head: Bytes::new(),
            tail: Vec::from(last).concat().into(),
            ranges: false,
        })
    }

    /// A range out of a passage through the whole object, which begins anew when it has gone by.
    pub(crate) async fn pass(
        &self,
        passage: &mut Passage,
        range: Range<u64>,
        into: &mut Vec<u8>,
    ) -> Result<(), ArtifactError> {
        let begin = into.len();
        let mut tries = Tries::default();
        while ((into.len() - begin) as u64) < range.end - range.start {
            let wanted = range.start + (into.len() - begin) as u64;
            if let Err(answer) = self.advance(passage, wanted..range.end, into).await {
                *passage = Passage::default();
                tries.again(self, answer).await?;
            }
        }
        Ok(())
    }

    /// Appends the next bytes of a range, or goes on towards it.
    async fn advance(
        &self,
        passage: &mut Passage,
        range: Range<u64>,
        into: &mut Vec<u8>,
    ) -> Result<(), Answer> {
        let wanted = range.start;
        if passage.at > wanted {
            *passage = Passage::default();
        }
        if passage.rest.is_empty() {
            if passage.body.is_none() {
                let told = self.get(None).await?;
                self.check_same(&told)?;
                passage.body = Some(told.body);
            }
            let Some(body) = &mut passage.body else {
                return Ok(());
            };
            passage.rest = self
                .chunk(body)
                .await?
                .ok_or_else(|| passing(format!("it ended after {} bytes", passage.at)))?;
        }
        let skipped = passage.rest.len().min((wanted - passage.at) as usize);
        let missing = range.end - wanted;
        drop(passage.rest.split_to(skipped));
        let taken = passage
            .rest
            .split_to(passage.rest.len().min(missing as usize));
        into.extend_from_slice(&taken);
        passage.at += (skipped + taken.len()) as u64;
        Ok(())
    }
}

fn passing(detail: String) -> Answer {
    Answer {
        kind: Kind::Passing,
        detail,
    }
}

fn other(detail: String) -> Answer {
    Answer {
        kind: Kind::Other,
        detail,
    }
}

impl Look {
    fn at_nothing() -> Self {
        Self {
            length: 0,
            head: Bytes::new(),
            tail: Bytes::new(),
            ranges: true,
        }
    }
}

/// What is tried again, and how long it is waited before.
#[derive(Default)]
struct Tries(u32);

impl Tries {
    async fn again(&mut self, at: &At, answer: Answer) -> Result<(), ArtifactError> {
        if answer.kind != Kind::Passing || self.0 == TRIES {
            return Err(answer.reading(at.place.location()));
        }
        tokio::time::sleep((at.pause * 2_u32.pow(self.0)).min(LONGEST_PAUSE)).await;
        self.0 += 1;
        Ok(())
    }
}

/// What a `Content-Range` says.
#[derive(Debug, PartialEq, Eq)]
struct Served {
    from: u64,
    end: u64,
    total: u64,
}

/// Reads `bytes 0-99/1234`.
fn served(text: &str) -> Option<Served> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (from, last) = range.split_once('-')?;
    let served = Served {
        from: from.parse().ok()?,
        end: last.parse::<u64>().ok()?.checked_add(1)?,
        total: total.parse().ok()?,
    };
    (served.from < served.end && served.end <= served.total).then_some(served)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_to_be_copied_is_named_as_s3_has_it() {
        for (name, expected) in [
            (
                "artifacts/pipeline/Source/abc-1_2.zip",
                "artifacts/pipeline/Source/abc-1_2.zip",
            ),
            ("b/a b+c%/\u{fc}?#", "b/a%20b%2Bc%25/%C3%BC%3F%23"),
        ] {
            assert_eq!(utf8_percent_encode(name, IN_A_PATH).to_string(), expected);
        }
    }

    #[test]
    fn a_content_range_is_read_or_means_nothing() {
        for (text, expected) in [
            ("bytes 0-99/1234", Some((0, 100, 1234))),
            ("bytes 5-5/6", Some((5, 6, 6))),
            ("bytes 0-99/*", None),
            ("bytes */1234", None),
            ("bytes 9-8/100", None),
            ("bytes 0-100/100", None),
            ("items 0-1/2", None),
            ("bytes 0-18446744073709551615/1", None),
            ("", None),
        ] {
            let expected = expected.map(|(from, end, total)| Served { from, end, total });
            assert_eq!(served(text), expected, "{text}");
        }
    }
}
