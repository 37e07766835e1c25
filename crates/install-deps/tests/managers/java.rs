//! Maven. Its central repository is what Debian's packages leave in a directory.

use std::path::Path;

use crate::scene::{Project, is_here};

const REPOSITORY: &str = "/usr/share/maven-repo";

/// Plugins of the default lifecycle: the versions that Maven has built in are not Debian's.
const PLUGINS: [(&str, &str); 8] = [
    ("dependency", "3.5.0"),
    ("resources", "3.3.0"),
    ("compiler", "3.10.1"),
    ("surefire", "2.22.3"),
    ("jar", "3.3.0"),
    ("install", "3.1.0"),
    ("deploy", "3.0.0"),
    ("clean", "3.2.0"),
];

#[tokio::test]
async fn a_repository_of_maven_is_used_offline_at_another_path() {
    let mut plugins = vec![("site", "3.12.1")];
    plugins.extend(PLUGINS);
    let place = |name: &str, version: &str| {
        format!("{REPOSITORY}/org/apache/maven/plugins/maven-{name}-plugin/{version}")
    };
    let is_missing = |(name, version): &(&str, &str)| !Path::new(&place(name, version)).is_dir();
    if let Some((name, version)) = plugins.iter().copied().find(is_missing) {
        assert!(
            std::env::var_os("TOWPATH_TEST_MANAGERS").is_none(),
            "{} is missing",
            place(name, version)
        );
        eprintln!("skipped: {} is not here", place(name, version));
        return;
    }
    if !is_here("mvn", &["--version"]) {
        return;
    }
    let plugins: Vec<String> = plugins
        .iter()
        .map(|(name, version)| {
            format!(
                "<plugin><groupId>org.apache.maven.plugins</groupId><artifactId>maven-{name}-plugin</artifactId>\
                 <version>{version}</version></plugin>\n"
            )
        })
        .collect();
    let plugins = plugins.concat();
    let pom = format!(
        r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>app</groupId><artifactId>app</artifactId><version>1</version>
<properties>
<maven.compiler.source>11</maven.compiler.source><maven.compiler.target>11</maven.compiler.target>
<project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
</properties>
<dependencies><dependency>
<groupId>junit</groupId><artifactId>junit</artifactId><version>4.13.2</version><scope>test</scope>
</dependency></dependencies>
<build><plugins>{plugins}</plugins></build>
</project>"#
    );
    let settings = format!(
        "<settings><mirrors><mirror><id>debian</id><mirrorOf>*</mirrorOf><url>file://{REPOSITORY}</url></mirror></mirrors></settings>"
    );
    let main = "package app; public class A { public static void main(String[] a) { System.out.println(\"hello\"); } }";
    let test = "package app; public class ATest { @org.junit.Test public void nothing() { } }";
    let project = Project::new(&[
        ("pom.xml", &pom),
        ("settings.xml", &settings),
        ("src/main/java/app/A.java", main),
        ("src/test/java/app/ATest.java", test),
    ])
    .arguments(&["--settings", "settings.xml"]);
    let command = "mvn --quiet --offline package -DskipTests && java -cp target/app-1.jar app.A";
    let (told, installed) = project.round_trip("", command).await;
    assert!(told.ends_with("hello"), "{told}");
    assert!(
        installed
            .to_string()
            .starts_with("mvn dependency:go-offline: "),
        "{installed}"
    );
}
