//! Who answers a manual approval: the command line, a person at the terminal, or nobody.

use std::io::{BufRead, IsTerminal, Write};

/// What is done about a manual approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Approve it.
    Approve,
    /// Reject it.
    Reject,
    /// There is nobody to ask.
    Nobody,
}

/// What `--approve` says.
#[derive(Debug, Clone)]
pub(crate) struct Approvals {
    names: Vec<String>,
}

impl Approvals {
    pub(crate) fn new(names: &[String]) -> Self {
        Self {
            names: names.to_vec(),
        }
    }

    /// Refuses a name that no manual approval of the pipeline has; `waiting` are the stages and
    /// actions of those that there are.
    pub(crate) fn check(&self, approvals: &[(String, String)]) -> anyhow::Result<()> {
        for name in self.names.iter().filter(|name| *name != "all") {
            let known = approvals.iter().any(|(stage, action)| {
                name == action || name.split_once('/') == Some((stage, action))
            });
            if !known {
                let names: Vec<String> = approvals
                    .iter()
                    .map(|(stage, action)| format!("{stage}/{action}"))
                    .collect();
                anyhow::bail!(
                    "the pipeline has no manual approval `{name}`; it has {}",
                    if names.is_empty() {
                        "none".to_owned()
                    } else {
                        names.join(", ")
                    }
                );
            }
        }
        Ok(())
    }

    /// Whether the command line approves the action.
    pub(crate) fn given(&self, stage: &str, action: &str) -> bool {
        self.names.iter().any(|name| {
            name == "all" || name == action || name.split_once('/') == Some((stage, action))
        })
    }

    /// Asks the person at the terminal, if there is one. Blocks until they answer.
    pub(crate) fn ask(stage: &str, action: &str) -> Answer {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
            return Answer::Nobody;
        }
        // What was typed before the question was asked is no answer to it.
        let _ = rustix::termios::tcflush(&stdin, rustix::termios::QueueSelector::IFlush);
        loop {
            eprint!("{stage}/{action} waits. Approve? [y/n] ");
            let _ = std::io::stderr().flush();
            let mut line = String::new();
            match stdin.lock().read_line(&mut line) {
                Ok(0) | Err(_) => return Answer::Nobody,
                Ok(_) => {}
            }
            match line.trim().to_ascii_lowercase().as_str() {
                "y" | "yes" => return Answer::Approve,
                "n" | "no" => return Answer::Reject,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Approvals;

    #[test]
    fn a_name_that_no_approval_has_is_refused_with_those_there_are() {
        let there = [("Approve".to_owned(), "Release".to_owned())];
        for (name, fine) in [
            ("all", true),
            ("Release", true),
            ("Approve/Release", true),
            ("Relaese", false),
        ] {
            let checked = Approvals::new(&[name.to_owned()]).check(&there);
            assert_eq!(checked.is_ok(), fine, "{name}");
            if let Err(error) = checked {
                assert!(
                    error.to_string().contains("it has Approve/Release"),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn an_approval_is_given_by_name_or_for_all() {
        for (names, expected) in [
            (vec![], false),
            (vec!["all"], true),
            (vec!["Release"], true),
            (vec!["Approve/Release"], true),
            (vec!["Other/Release"], false),
            (vec!["Approve"], false),
        ] {
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            assert_eq!(
                Approvals::new(&names).given("Approve", "Release"),
                expected,
                "{names:?}"
            );
        }
    }
}
