//! A tool's output: line by line to the log, and its end kept. Secrets are taken out before anything is cut off, so that
//! no half of one is left.

use std::borrow::Cow;

use towpath_secret::{Masking, Secrets};

/// After so many lines or bytes of one run, the log gets no more: a tool in a loop must not cost a fortune in
/// CloudWatch nor slow the job. The end of the output is logged in any case.
pub(crate) const LOGGED_LINES: u64 = 20_000;
pub(crate) const LOGGED_BYTES: u64 = 4 * 1024 * 1024;
/// The log shows so many bytes of a line. CloudWatch takes 256 KB an event.
pub(crate) const LINE_BYTES: usize = 8 * 1024;

/// Takes what a tool prints, in pieces of any size. Memory stays below a fixed bound whatever comes.
#[derive(Debug)]
pub(crate) struct Output {
    /// `None` where there is nothing to hide.
    masking: Option<Masking>,
    secrets: Secrets,
    tail: Tail,
    /// The line that has not ended yet, up to [`LINE_BYTES`].
    line: Vec<u8>,
    /// Bytes of that line that `line` does not hold.
    cut: u64,
    logged_lines: u64,
    logged_bytes: u64,
    left_out: u64,
}

impl Output {
    pub(crate) fn new(tail_bytes: usize, secrets: Secrets) -> Self {
        Self {
            masking: (!secrets.is_empty()).then(|| Masking::new(secrets.clone())),
            secrets,
            tail: Tail::new(tail_bytes),
            line: Vec::new(),
            cut: 0,
            logged_lines: 0,
            logged_bytes: 0,
            left_out: 0,
        }
    }

    /// Takes a piece; `log` gets each line that ends in it.
    pub(crate) fn feed(&mut self, piece: &[u8], log: impl FnMut(&str)) {
        match &mut self.masking {
            None => self.take(piece, log),
            Some(masking) => {
                let clean = masking.feed(piece);
                self.take(&clean, log);
            }
        }
    }

    fn take(&mut self, piece: &[u8], mut log: impl FnMut(&str)) {
        self.tail.push(piece);
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (content, is_end) = match part.strip_suffix(b"\n") {
                Some(content) => (content, true),
                None => (part, false),
            };
            if self.is_full() {
                self.left_out += u64::from(is_end);
                continue;
            }
            let room = LINE_BYTES - self.line.len();
            let (kept, cut) = content.split_at(room.min(content.len()));
            self.line.extend_from_slice(kept);
            self.cut += cut.len() as u64;
            if is_end {
                self.end_line(&mut log);
            }
        }
    }

    /// There is no more to come. Answers the end of the output, as text for people.
    pub(crate) fn finish(mut self, mut log: impl FnMut(&str)) -> String {
        if let Some(masking) = self.masking.take() {
            let clean = masking.finish();
            self.take(&clean, &mut log);
        }
        if !self.line.is_empty() {
            self.end_line(&mut log);
        }
        // What colours stood between is together now.
        let tail = self.secrets.redact(&self.tail.into_text());
        if self.left_out > 0 {
            log(&format!(
                "… {} lines left out of the log; the output ends with:",
                self.left_out
            ));
            tail.lines().for_each(log);
        }
        tail
    }

    fn is_full(&self) -> bool {
        self.logged_lines >= LOGGED_LINES || self.logged_bytes >= LOGGED_BYTES
    }

    fn end_line(&mut self, log: &mut impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.line);
        let text = self.secrets.redact(&readable(&text));
        match self.cut {
            0 => log(&text),
            cut => log(&format!("{text}… ({cut} more bytes)")),
        }
        self.logged_lines += 1;
        self.logged_bytes += self.line.len() as u64;
        self.line.clear();
        self.cut = 0;
    }
}

/// The last bytes of a stream.
#[derive(Debug)]
struct Tail {
    limit: usize,
    /// Up to twice the limit: cutting off the front each time would move every byte for each piece.
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Tail {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: Vec::new(),
            is_cut: false,
        }
    }

    fn push(&mut self, piece: &[u8]) {
        let skipped = piece.len().saturating_sub(self.limit);
        if skipped > 0 {
            self.is_cut = true;
            self.bytes.clear();
        }
        self.bytes.extend_from_slice(&piece[skipped..]);
        if self.bytes.len() > 2 * self.limit {
            self.trim();
        }
    }

    fn trim(&mut self) {
        let surplus = self.bytes.len().saturating_sub(self.limit);
        if surplus > 0 {
            self.is_cut = true;
            self.bytes.drain(..surplus);
        }
    }

    /// Without colours and redrawn lines, and starting with a whole line where there is one.
    fn into_text(mut self) -> String {
        self.trim();
        let mut bytes = self.bytes.as_slice();
        if self.is_cut
            && let Some(end) = bytes.iter().position(|byte| *byte == b'\n')
            && end + 1 < bytes.len()
        {
            bytes = &bytes[end + 1..];
        }
        let text = String::from_utf8_lossy(bytes);
        let text = text.lines().map(readable).collect::<Vec<_>>().join("\n");
        let text = text.trim_matches('\n').trim_end();
        if self.is_cut {
            format!("…\n{text}")
        } else {
            text.to_owned()
        }
    }
}

/// A line as a terminal would show it in the end: what a carriage return overwrote and the colours are gone, as are
/// control characters, which a log and CodePipeline's console cannot show.
fn readable(line: &str) -> Cow<'_, str> {
    let line = line.trim_end_matches('\r');
    let line = line
        .rsplit('\r')
        .find(|part| !part.trim().is_empty())
        .unwrap_or("");
    if !line.contains(|c: char| c.is_control() && c != '\t') {
        return Cow::Borrowed(line);
    }
    let mut text = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => match characters.next() {
                // CSI: parameters, then one letter. OSC: anything up to BEL or ESC \.
                Some('[') => {
                    characters.find(|c| ('\u{40}'..='\u{7e}').contains(c));
                }
                Some(']') => {
                    characters.find(|c| matches!(c, '\u{7}' | '\u{1b}'));
                    characters.next_if_eq(&'\\');
                }
                _ => {}
            },
            '\t' => text.push('\t'),
            control if control.is_control() => {}
            other => text.push(other),
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(pieces: &[&[u8]], tail_bytes: usize) -> (Vec<String>, String) {
        let mut lines = Vec::new();
        let mut output = Output::new(tail_bytes, Secrets::default());
        for piece in pieces {
            output.feed(piece, |line| lines.push(line.to_owned()));
        }
        let tail = output.finish(|line| lines.push(line.to_owned()));
        (lines, tail)
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        for (pieces, expected) in [
            (
                &[&b"one\ntw"[..], b"o\n", b"three"][..],
                &["one", "two", "three"][..],
            ),
            (&[b"a\n\nb\n"], &["a", "", "b"]),
            (&[b"caf\xc3", b"\xa9\n"], &["café"]),
            (&[b"bad \xff byte\n"], &["bad \u{fffd} byte"]),
            (&[b"windows\r\n"], &["windows"]),
            (&[b" 10%\r 50%\r100%\r\n"], &["100%"]),
            (
                &[b"\x1b[31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07\n"],
                &["red link"],
            ),
            (&[], &[]),
        ] {
            let (lines, tail) = fed(pieces, 1000);
            assert_eq!(lines, expected, "{pieces:?}");
            assert_eq!(tail, expected.join("\n"), "{pieces:?}");
        }
    }

    #[test]
    fn the_tail_is_the_end_and_says_that_it_was_cut() {
        for (pieces, limit, expected) in [
            (&[&b"one\ntwo\nthree\n"[..]][..], 100, "one\ntwo\nthree"),
            (&[b"one\ntwo\nthree\n"], 10, "…\nthree"),
            (&[b"one\n", b"two\n", b"three\n"], 10, "…\nthree"),
            (&[b"one\n", b"two\n", b"three\n"], 14, "one\ntwo\nthree"),
            (&[b"a line without an end"], 6, "…\nan end"),
            (&[b"\n\n"], 7, ""),
        ] {
            assert_eq!(fed(pieces, limit).1, expected, "{pieces:?} in {limit}");
        }
    }

    #[test]
    fn a_long_line_is_cut_and_the_rest_of_it_is_not_the_next_line() {
        let long = vec![b'x'; LINE_BYTES + 5];
        let (lines, _) = fed(&[&long, b"yy\nnext\n"], 10);
        assert_eq!(lines.len(), 2);
        assert!(
            lines[0].ends_with("x… (7 more bytes)"),
            "{}",
            &lines[0][lines[0].len() - 40..]
        );
        assert_eq!(lines[1], "next");
    }

    #[test]
    fn the_log_is_bounded_in_lines_and_in_bytes_and_so_is_memory() {
        let short = b"y\n".repeat(30_000);
        let (lines, tail) = fed(&[&short, b"the end\n"], 100);
        assert_eq!(
            lines[LOGGED_LINES as usize],
            "… 10001 lines left out of the log; the output ends with:"
        );
        assert_eq!(lines.last().unwrap(), "the end");
        assert!(tail.ends_with("y\nthe end"));

        let mut output = Output::new(100, Secrets::default());
        let mut logged = 0;
        let piece = vec![b'z'; 64 * 1024];
        for _ in 0..1600 {
            output.feed(&piece, |line| logged += line.len());
            output.feed(b"\n", |line| logged += line.len());
            assert!(output.line.capacity() + output.tail.bytes.capacity() < 64 * 1024);
        }
        assert!(logged as u64 <= LOGGED_BYTES + 100_000, "{logged}");
        assert!(output.finish(|_| {}).len() < 200);
    }

    #[test]
    fn a_secret_is_in_no_line_and_in_no_tail_however_it_is_cut() {
        let secret = "npm_4f8a90bcdef12345";
        let long = [
            vec![b'x'; LINE_BYTES - 5],
            secret.as_bytes().to_vec(),
            b"\n".to_vec(),
        ]
        .concat();
        let first = format!("token={secret}\nand ");
        for (pieces, limit) in [
            (vec![first.as_bytes(), secret.as_bytes()], 1_000),
            // Between two pieces.
            (
                vec![b"npm_4f8a90".as_slice(), b"bcdef12345 ", b"npm_4f8a9"],
                1_000,
            ),
            // At the limit of a line, and of what is kept.
            (vec![long.as_slice()], 1_000),
            (vec![b"....... ", secret.as_bytes(), b"\n"], 10),
            (
                vec![b"npm_\x1b[31m4f8a90bcdef12345\x1b[0m\n".as_slice()],
                1_000,
            ),
        ] {
            let mut shown = Vec::new();
            let mut output = Output::new(limit, Secrets::new([secret.to_owned()]));
            for piece in &pieces {
                output.feed(piece, |line| shown.push(line.to_owned()));
            }
            let tail = output.finish(|line| shown.push(line.to_owned()));
            shown.push(tail);
            let shown = shown.join("\n");
            for part in ["npm_4", "4f8a9", "bcdef", "12345"] {
                assert!(!shown.contains(part), "{part} in {shown}");
            }
            assert!(shown.contains("***"), "{shown}");
        }
    }
}
