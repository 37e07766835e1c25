//! `towpath release`: what is known of releases.

use std::fs;
use std::path::Path;

use anyhow::Context;
use towpath_release::{Identity, diff};

use crate::arguments::Release;
use crate::exit::{Error, Exit, Usage};

/// One of the commands about releases.
pub(crate) fn main(arguments: &Release) -> Result<Exit, Error> {
    match arguments {
        Release::Diff { first, second } => {
            let (first, second) = (read(first)?, read(second)?);
            let differences = diff(&first, &second);
            if differences.is_empty() {
                anstream::println!("the same release, {}", first.id());
                return Ok(Exit::Succeeded);
            }
            anstream::println!("first:  {}", first.id());
            anstream::println!("second: {}", second.id());
            for difference in differences {
                anstream::println!("{difference}");
            }
            Ok(Exit::Different)
        }
    }
}

fn read(path: &Path) -> Result<Identity, Error> {
    let shown = path.display();
    let json = fs::read(path)
        .with_context(|| format!("failed to read {shown}"))
        .usage()?;
    Identity::read(&json)
        .with_context(|| format!("{shown} is no release"))
        .usage()
}
