//! docs/recipes.md has a recipe for each application, and shows its files as they are.

use std::fs;
use std::path::Path;

use crate::read;

#[test]
fn each_file_is_shown_as_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let recipes = read(&root.join("docs/recipes.md"));
    let mut shown = 0;
    let mut rest = recipes.as_str();
    while let Some((_, after)) = rest.split_once("\n<!-- ") {
        let (path, after) = after
            .split_once(" -->\n```")
            .expect("a block after its path");
        let (_, after) = after.split_once('\n').expect("a language");
        let (text, after) = after.split_once("\n```\n").expect("the block's end");
        assert_eq!(text, read(&root.join(path)).trim_end(), "{path}");
        shown += 1;
        rest = after;
    }
    assert!(shown > 10, "{shown} files are shown");
}

#[test]
fn each_application_has_its_recipe() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let recipes = read(&root.join("../docs/recipes.md"));
    for entry in fs::read_dir(root.join("apps")).expect("a directory") {
        let name = entry.expect("an entry").file_name();
        let link = format!("](../tests/apps/{})", name.to_string_lossy());
        assert!(recipes.contains(&link), "no recipe has {link}");
    }
}
