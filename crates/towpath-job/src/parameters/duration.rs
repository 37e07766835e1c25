//! Durations as people write them: `90s`, `10m`, `1h30m`, `250ms`.

use std::time::Duration;

/// Units, longest first, with their length in milliseconds. `ms` must be tried before `m`.
const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
];

/// Reads a duration; nothing when it is not one. A number alone is not: it has no unit.
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total: Option<u64> = None;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, length) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        rest = rest[unit.len()..].trim_start();
        total = Some(
            total
                .unwrap_or(0)
                .checked_add(number.checked_mul(*length)?)?,
        );
    }
    total.map(Duration::from_millis)
}

/// Writes a duration the way [`parse`] reads it, to the second when it is long.
pub fn render(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let seconds = millis / 1_000;
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let mut out = String::new();
    for (amount, unit) in [(hours, 'h'), (minutes, 'm'), (rest, 's')] {
        if amount > 0 {
            out.push_str(&amount.to_string());
            out.push(unit);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parse_by_table() {
        for (given, expected) in [
            ("90s", Some(90_000)),
            ("10m", Some(600_000)),
            ("1h30m", Some(5_400_000)),
            ("1h 30m", Some(5_400_000)),
            ("250ms", Some(250)),
            ("1m500ms", Some(60_500)),
            ("2d", Some(172_800_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("", None),
            ("90", None),
            ("s", None),
            ("1.5h", None),
            ("-1s", None),
            ("10 m", None),
            ("10x", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(
                parse(given),
                expected.map(Duration::from_millis),
                "{given:?}"
            );
        }
    }

    #[test]
    fn render_by_table() {
        for (millis, expected) in [
            (0, "0s"),
            (7, "7ms"),
            (1_500, "1s"),
            (90_000, "1m30s"),
            (3_600_000, "1h"),
            (86_400_000, "24h"),
        ] {
            assert_eq!(render(Duration::from_millis(millis)), expected, "{millis}");
        }
    }

    proptest! {
        #[test]
        fn whole_seconds_survive_a_round_trip(seconds in 0u64..10_000_000) {
            let given = Duration::from_secs(seconds);
            prop_assert_eq!(parse(&render(given)), Some(given));
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
