//! What names look like in AWS. A mistake is found here rather than half-way.

pub(super) fn is_topic(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    matches!(parts.as_slice(), ["arn", _, "sns", _, _, name] if !name.is_empty())
}

pub(super) fn is_role(arn: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    (parts.next(), parts.nth(1)) == (Some("arn"), Some("iam"))
        && parts
            .nth(2)
            .and_then(|role| role.strip_prefix("role/"))
            .is_some_and(|name| !name.is_empty())
}

/// The endpoint of a Region that there is not would be taken for a service that does not answer.
pub(super) fn is_region(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    parts.len() >= 3
        && parts.iter().enumerate().all(|(at, part)| {
            let digits = at + 1 == parts.len();
            !part.is_empty()
                && part.bytes().all(|byte| {
                    if digits {
                        byte.is_ascii_digit()
                    } else {
                        byte.is_ascii_lowercase()
                    }
                })
        })
}

/// A type that is misspelt would protect nothing.
pub(super) fn is_type(name: &str) -> bool {
    let parts: Vec<&str> = name.split("::").collect();
    let word = |part: &&str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_@-".contains(&byte))
    };
    parts.iter().all(word)
        && match parts.as_slice() {
            ["Custom", _] => true,
            all => (3..=4).contains(&all.len()),
        }
}

/// One by its name alone may be another than the one that was reviewed.
pub(super) fn is_change_set(arn: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    arn == towpath_stack::plan::NOTHING
        || (parts.next(), parts.nth(1)) == (Some("arn"), Some("cloudformation"))
            && parts
                .nth(2)
                .is_some_and(|rest| rest.starts_with("changeSet/"))
}

/// AWS: CreateStack, `StackName`.
pub(super) fn is_stack_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
