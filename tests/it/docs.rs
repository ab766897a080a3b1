//! Holds the pages that people read to what is built.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use tests::{
    Case, Trial,
    process::{on_path, program},
    wait::{SOON, within},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Case::new("it::docs::the_readme_names_every_target")
            .run(async || the_readme_names_every_target()),
        Case::new("it::docs::the_docker_page_names_every_setting")
            .run(async || the_docker_page_names_every_setting()),
        Case::new("it::docs::the_api_page_names_every_error")
            .run(async || the_api_page_names_every_error()),
        Case::new("it::docs::the_api_page_names_every_endpoint")
            .run(async || the_api_page_names_every_endpoint()),
        Case::new("it::docs::what_is_made_from_the_api_is_up_to_date")
            .run(async || what_is_made_from_the_api_is_up_to_date()),
        Case::new("it::docs::the_picture_is_up_to_date")
            .unless(
                on_path("dot")
                    .is_none()
                    .then(|| "dot (graphviz) is not installed".to_owned()),
            )
            .run(async || the_picture_is_up_to_date()),
        Case::new("it::docs::a_page_may_be_read_in_part").run(a_page_may_be_read_in_part),
        Case::new("it::docs::links_lead_somewhere").run(async || links_lead_somewhere()),
    ]
}

/// A file of the project.
fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of a page's tables that begin with code, cell by cell.
fn rows(page: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
}

/// What stands between backquotes.
fn bare(cell: &str) -> &str {
    cell.trim_matches('`')
}

fn the_readme_names_every_target() {
    let makefile = file("Makefile");
    let targets: BTreeMap<&str, &str> = makefile
        .lines()
        .filter_map(|line| {
            let (rule, help) = line.split_once(" ## ")?;
            Some((rule.split_once(':')?.0, help))
        })
        .collect();
    assert!(targets.len() > 5, "{targets:?}");
    let readme = file("README.md");
    let shown: BTreeMap<&str, &str> = rows(&readme)
        .filter_map(|cells| Some((bare(cells.first()?).strip_prefix("make ")?, *cells.get(1)?)))
        .collect();
    assert_eq!(shown, targets);
}

fn the_docker_page_names_every_setting() {
    // What compose.yaml asks for, as ${NAME:-default} or ${NAME:?why}; where the files are is no setting.
    let compose = file("docker/compose.yaml");
    let asked: BTreeSet<&str> = compose
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split(':').next())
        .filter(|name| *name != "ENV_DIR")
        .collect();
    assert!(asked.contains("HUBS"), "{asked:?}");
    let example = file(".env_database.example");
    let offered: BTreeSet<&str> = example
        .lines()
        .filter_map(|line| Some(line.trim_start_matches('#').split_once('=')?.0))
        .filter(|name| !name.contains(' '))
        .collect();
    assert_eq!(offered, asked);
    let page = file("docker/README.md");
    let shown: BTreeSet<&str> = rows(page.split_once("## Settings").expect("settings").1)
        .flat_map(|cells| cells[0].split(", ").map(bare).collect::<Vec<_>>())
        // Of the script that starts it.
        .filter(|name| !["START_SECONDS", "IMAGES"].contains(name))
        .collect();
    assert_eq!(shown, asked);
}

fn the_api_page_names_every_error() {
    let source = file("server/src/http/error.rs");
    let code = source.split_once("fn code(&self)").expect("the codes").1;
    let code = code.split_once("\n    }\n").expect("their end").0;
    let codes: BTreeSet<&str> = code.split('"').skip(1).step_by(2).collect();
    assert!(codes.contains("not_found"), "{codes:?}");
    let page = file("docs/api.md");
    let section = page.split_once("## Errors").expect("a section on errors").1;
    let section = section.split("\n## ").next().expect("its text");
    let shown: BTreeSet<&str> = rows(section)
        .filter_map(|cells| cells.first().copied())
        .map(bare)
        .collect();
    assert_eq!(shown, codes);
}

fn the_api_page_names_every_endpoint() {
    let output = Command::new(program("pladmed"))
        .arg("openapi")
        .output()
        .expect("pladmed runs");
    let api: Value = serde_json::from_slice(&output.stdout).expect("a description");
    let paths = api["paths"].as_object().expect("paths");
    let (mut endpoints, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("methods") {
            endpoints.insert(format!("{} {path}", method.to_uppercase()));
            let id = operation["operationId"].as_str().expect("an id");
            assert!(ids.insert(id), "two endpoints are called {id}");
        }
    }
    let page = file("docs/api.md");
    let shown: BTreeSet<String> = page
        .lines()
        .filter_map(|line| {
            line.strip_prefix("### `")?
                .strip_suffix('`')
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(shown, endpoints);
}

fn what_is_made_from_the_api_is_up_to_date() {
    for (path, words) in [
        ("docs/parameters.md", &["parameters"][..]),
        (
            "docs/pladmed.postman_collection.json",
            &["openapi", "--postman"],
        ),
    ] {
        let output = Command::new(program("pladmed")).args(words).output();
        let output = output.expect("pladmed runs");
        let made = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() && !made.is_empty(), "{path}");
        assert!(
            file(path) == made,
            "{path} is stale; make it anew: cargo run --bin pladmed -- {} > {path}",
            words.join(" ")
        );
    }
}

/// What a picture says, whichever version of the program drew it.
fn words_of(svg: &str) -> BTreeSet<String> {
    let texts = svg.split("<text").skip(1);
    texts
        .filter_map(|rest| rest.split_once('>')?.1.split_once('<'))
        .map(|(text, _)| text.to_owned())
        .collect()
}

fn the_picture_is_up_to_date() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/architecture.dot");
    let drawn = Command::new("dot").arg("-Tsvg").arg(source).output();
    let drawn = drawn.expect("dot runs").stdout;
    let drawn = words_of(&String::from_utf8(drawn).expect("text"));
    assert!(drawn.len() > 10, "{drawn:?}");
    let shown = words_of(&file("docs/architecture.svg"));
    assert_eq!(shown, drawn, "make picture");
}

fn links_lead_somewhere() {
    for page in [
        "README.md",
        "docs/operating.md",
        "docs/contributing.md",
        "docs/api.md",
        "docs/architecture.md",
        "docs/benchmarks.md",
        "docs/protocol.md",
        "docs/moving.md",
        "docs/parameters.md",
        "docker/README.md",
    ] {
        let text = file(page);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
        let folder = folder.parent().expect("a folder");
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = link.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains("://") {
                assert!(folder.join(path).exists(), "{page} links to {link}");
            }
        }
    }
}

/// As `pladmed openapi | head` does.
async fn a_page_may_be_read_in_part() {
    let mut printing = tokio::process::Command::new(program("pladmed"))
        .arg("openapi")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("pladmed starts");
    drop(printing.stdout.take());
    let printed = within(SOON, "the end of a page", printing.wait_with_output());
    let printed = printed.await.expect("its output");
    assert_eq!(String::from_utf8_lossy(&printed.stderr), "");
    assert!(printed.status.success(), "{}", printed.status);
}
