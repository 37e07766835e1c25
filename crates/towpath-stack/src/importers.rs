//! Who imports what a stack exports: as long as somebody does, the stack cannot be deleted.

use aws_sdk_cloudformation::Client;

use crate::{Stack, StackError};

/// An export of a stack, and who imports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Importer {
    /// The export's name.
    pub export: String,
    /// The names of the stacks that import it.
    pub stacks: Vec<String>,
}

/// Who imports what the stack exports; nothing when nobody does.
pub async fn importers(client: &Client, stack: &Stack) -> Result<Vec<Importer>, StackError> {
    let mut found = Vec::new();
    for export in &stack.exports {
        let pages = client
            .list_imports()
            .export_name(export)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await;
        match pages {
            Ok(stacks) => found.push(Importer {
                export: export.clone(),
                stacks,
            }),
            Err(error) => {
                let error = StackError::call("list who imports", export, &error);
                if !is_not_imported(error.code(), error.message()) {
                    return Err(error);
                }
            }
        }
    }
    found.retain(|importer| !importer.stacks.is_empty());
    Ok(found)
}

/// That nobody imports an export is an error to AWS, without a code of its own.
fn is_not_imported(code: Option<&str>, message: &str) -> bool {
    code == Some("ValidationError") && message.contains("is not imported by any stack")
}

#[cfg(test)]
mod tests {
    use super::is_not_imported;

    #[test]
    fn only_the_exact_text_means_nobody() {
        for (code, message, expected) in [
            (
                Some("ValidationError"),
                "Export 'app-topic' is not imported by any stack.",
                true,
            ),
            (
                Some("ValidationError"),
                "1 validation error detected",
                false,
            ),
            (
                Some("AccessDenied"),
                "Export 'app-topic' is not imported by any stack.",
                false,
            ),
        ] {
            assert_eq!(is_not_imported(code, message), expected, "{message}");
        }
    }
}
