//! Where a symbolic link leads, as the kernel would follow it, without a file system.
//!
//! Judging the text of the target is not enough: with `here -> .`, `up -> here/..` looks like the
//! root of the tree and is the directory above it. So links on the way are followed.

use std::borrow::Cow;
use std::collections::HashMap;

/// As many links as Linux follows on one path before it says `ELOOP`.
const LONGEST_CHAIN: usize = 40;

/// The links of a tree: path within it (parts joined by `/`) to target as written.
pub type Links = HashMap<String, String>;

/// The first link, by name, that could end outside the tree when it is followed. A link in a circle
/// ends nowhere, and one to nothing in nothing: both stay. `folds`: whether names that differ in
/// case only are one name, so that `A` is followed where the link is called `a`.
pub fn leaving(links: &Links, folds: bool) -> Option<&str> {
    let mut walk = Walk::new(links, folds);
    let mut names: Vec<&String> = links.keys().collect();
    names.sort_unstable();
    names
        .into_iter()
        .find(|link| walk.leaves(link))
        .map(String::as_str)
}

/// Links being followed.
struct Walk<'a> {
    links: HashMap<Cow<'a, str>, &'a str>,
    folds: bool,
    /// How many bytes of paths may still be looked up. Links that lead through each other again and
    /// again would take hours; a link that nobody has the time to follow counts as one that leaves.
    budget: usize,
}

impl<'a> Walk<'a> {
    fn new(links: &'a Links, folds: bool) -> Self {
        let known = links
            .iter()
            .map(|(link, target)| (folded(link, folds), target.as_str()))
            .collect();
        Self {
            links: known,
            folds,
            budget: (16 << 20) + (links.len() << 12),
        }
    }

    fn leaves(&mut self, link: &str) -> bool {
        let mut at = folded(link, self.folds).into_owned();
        let Some(target) = self.links.get(at.as_str()) else {
            return false;
        };
        climb(&mut at);
        // Parts still to walk, the next one last.
        let mut ahead: Vec<&str> = Vec::new();
        if !enter(target, &mut ahead) {
            return true;
        }
        let mut followed = 1;
        while let Some(part) = ahead.pop() {
            match part {
                "" | "." => {}
                ".." => {
                    if !climb(&mut at) {
                        return true;
                    }
                }
                part => {
                    if !at.is_empty() {
                        at.push('/');
                    }
                    at.push_str(&folded(part, self.folds));
                    let Some(left) = self.budget.checked_sub(at.len()) else {
                        return true;
                    };
                    self.budget = left;
                    if let Some(target) = self.links.get(at.as_str()) {
                        followed += 1;
                        if followed > LONGEST_CHAIN {
                            return false;
                        }
                        climb(&mut at);
                        if !enter(target, &mut ahead) {
                            return true;
                        }
                    }
                }
            }
        }
        false
    }
}

fn folded(name: &str, folds: bool) -> Cow<'_, str> {
    if folds {
        name.to_lowercase().into()
    } else {
        name.into()
    }
}

/// Takes the last part off a path; `false` if there is none.
fn climb(at: &mut String) -> bool {
    if at.is_empty() {
        return false;
    }
    at.truncate(at.rfind('/').unwrap_or(0));
    true
}

/// Puts a target's parts ahead; `false` if it starts over from the root of the file system.
fn enter<'a>(target: &'a str, ahead: &mut Vec<&'a str>) -> bool {
    ahead.extend(target.rsplit('/'));
    !target.starts_with('/')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_link_is_followed_as_the_kernel_does() {
        let links: Links = [
            ("inside", "a/b"),
            ("a/up", "../c"),
            ("root", "."),
            ("a/root", ".."),
            ("dangling", "no/such/thing"),
            ("circle", "circle"),
            ("ping", "pong"),
            ("pong", "ping"),
            ("dip", "a/../a/b"),
            ("absolute", "/etc/passwd"),
            ("parent", ".."),
            ("a/far", "../../etc"),
            ("here", "."),
            ("hidden", "here/.."),
            ("chain", "a/root/.."),
            ("through", "absolute/x"),
            ("deep/er/link", "../../../x"),
        ]
        .into_iter()
        .map(|(link, target)| (link.to_owned(), target.to_owned()))
        .collect();
        let cases = [
            ("inside", false),
            ("a/up", false),
            ("root", false),
            ("a/root", false),
            ("dangling", false),
            ("circle", false),
            ("ping", false),
            ("dip", false),
            ("absolute", true),
            ("parent", true),
            ("a/far", true),
            ("hidden", true),
            ("chain", true),
            ("through", true),
            ("deep/er/link", true),
        ];
        for (link, expected) in cases {
            assert_eq!(leaves(&links, link), expected, "{link}");
        }
        assert_eq!(leaving(&links, false), Some("a/far"));
    }

    fn leaves(links: &Links, link: &str) -> bool {
        Walk::new(links, false).leaves(link)
    }

    #[test]
    fn where_case_does_not_count_a_link_is_followed_by_any_spelling() {
        for (other, leads_out) in [("here/..", true), ("HERE/..", true), ("there/..", false)] {
            let links: Links = [("here", "."), ("up", other)]
                .map(|(link, target)| (link.to_owned(), target.to_owned()))
                .into();
            assert_eq!(leaving(&links, true), leads_out.then_some("up"), "{other}");
        }
        let links: Links = [("here", "."), ("up", "HERE/..")]
            .map(|(link, target)| (link.to_owned(), target.to_owned()))
            .into();
        assert_eq!(leaving(&links, false), None);
    }

    #[test]
    fn links_that_nobody_has_time_to_follow_leave() {
        let long = "x/".repeat(1_000);
        let mut links = Links::new();
        for step in 0..400 {
            let next = (step + 1) % 400;
            let back = "../".repeat(1_000);
            links.insert(format!("{step}"), format!("{long}{back}{next}"));
        }
        assert!(leaving(&links, false).is_some());
    }

    #[test]
    fn a_chain_that_doubles_at_every_step_ends() {
        let mut links = Links::new();
        links.insert("l0".into(), "x".into());
        for step in 1..60 {
            links.insert(format!("l{step}"), format!("l{0}/../l{0}", step - 1));
        }
        assert!(!leaves(&links, "l59"));
    }

    /// A tree of three directories and up to five links, wherever they lead.
    fn any_links() -> impl Strategy<Value = Vec<(String, String)>> {
        let place = prop::sample::select(vec!["", "a/", "a/b/"]);
        let name = prop::sample::select(vec!["l", "m", "n"]);
        let part = prop::sample::select(vec![".", "..", "a", "b", "l", "m", "n"]);
        let target = prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"));
        prop::collection::vec(
            (
                (place, name).prop_map(|(place, name)| format!("{place}{name}")),
                target,
            ),
            1..6,
        )
    }

    proptest! {
        /// The reference model is the kernel.
        #[test]
        fn no_link_that_the_kernel_follows_out_is_let_through(chosen in any_links()) {
            let outside = tempfile::tempdir().unwrap();
            let outside = outside.path().canonicalize().unwrap();
            // Deep enough that whatever climbs out still finds directories of the same names.
            let root = outside.join("a/b/a/b/root");
            std::fs::create_dir_all(root.join("a/b")).unwrap();
            let links: Links = chosen.into_iter().collect();
            for (link, target) in &links {
                std::os::unix::fs::symlink(target, root.join(link)).unwrap();
            }
            for link in links.keys() {
                let there = root.join(link).canonicalize();
                if there.is_ok_and(|there| !there.starts_with(&root)) {
                    prop_assert!(leaves(&links, link), "{link} in {links:?}");
                }
            }
        }
    }
}
