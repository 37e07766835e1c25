//! `template.yaml` at the root of this repository is read, transformed and ordered here as a deployment does it.

use std::collections::BTreeMap;
use std::path::Path;

use towpath_template::sam::{Context, transform};
use towpath_template::{Template, order, package, parameters};

#[test]
fn it_is_packaged_transformed_and_put_in_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("template.yaml")).unwrap();
    let template = Template::parse(&text).unwrap();
    assert_eq!(Template::parse(&template.to_yaml()).unwrap(), template);
    assert_eq!(Template::parse(&template.to_json()).unwrap(), template);

    // The packages are built later than this test runs.
    let directory = tempfile::tempdir().unwrap();
    for uri in text
        .lines()
        .filter_map(|line| line.split_once("CodeUri: "))
        .map(|(_, uri)| uri.trim())
    {
        std::fs::create_dir_all(directory.path().join(uri)).unwrap();
        std::fs::write(directory.path().join(uri).join("bootstrap"), "").unwrap();
    }
    let plan = package::plan(&text, directory.path()).unwrap();
    let packaged = plan.rewrite(|code| package::S3Object {
        bucket: "releases".to_owned(),
        key: package::content_key("towpath", &code.resource),
        version: None,
        region: None,
    });

    let given = BTreeMap::from([("ToolImageUri".to_owned(), "repository:tag".to_owned())]);
    let packaged = Template::parse(&packaged).unwrap();
    let resolved = parameters::resolve(&packaged, &given, &BTreeMap::new(), &|_| None).unwrap();
    assert_eq!(resolved.len(), template.parameters().len());
    let context = Context {
        region: "eu-west-1".to_owned(),
        parameters: given,
    };
    let made = transform(&packaged, &context).unwrap();
    made.check().unwrap();
    let count: usize = order(&made).unwrap().iter().map(Vec::len).sum();
    assert_eq!(count, made.resources().len());
}
