//! Secrets of private registries: named by reference, fetched with the function's role, given to the installation and
//! to nobody else.
//!
//! A value is in memory and in the manager's environment. It is taken out of whatever is logged or reported, it is no
//! part of the cache's key (its reference is), and an output that holds it is not published.

mod fetch;
mod leak;
mod reference;

use towpath_job::Secret;
use towpath_tool::Command;

pub use fetch::SecretError;
pub(crate) use fetch::fetch;
pub(crate) use leak::check;
pub use reference::Reference;
pub(crate) use reference::take;

/// The secrets of one installation: under which names it sees them, and their values.
#[derive(Debug, Clone, Default)]
pub struct Values(Vec<(String, Secret<String>)>);

impl Values {
    /// These.
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        let values = values.into_iter();
        Self(
            values
                .map(|(name, value)| (name, Secret::new(value)))
                .collect(),
        )
    }

    /// The command with them in its environment.
    pub(crate) fn given_to(&self, command: Command) -> Command {
        self.0.iter().fold(command, |command, (name, value)| {
            command.secret(name, value.clone())
        })
    }
}
