//! The name that was probably meant.

/// The candidate nearest to `name`, if one is near enough to be worth saying.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= candidate.chars().count() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ``; did you mean `x`?`` or nothing.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates)
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_recognised_and_a_different_word_is_not() {
        for (given, expected) in [
            ("Functon", Some("Function")),
            ("function", Some("Function")),
            ("Bucket", None),
            ("Api", Some("Api")),
            ("Apo", Some("Api")),
            ("B", None),
        ] {
            assert_eq!(
                nearest(given, ["Function", "Api", "HttpApi", "A"]),
                expected,
                "{given}"
            );
        }
    }
}
