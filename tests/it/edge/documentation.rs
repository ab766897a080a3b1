//! The pages that show the API: they work where there is no Internet, and under the policy that they are sent with.

use std::{collections::BTreeSet, io::Read as _, process::Stdio, time::Duration};

use flate2::read::GzDecoder;
use serde_json::Value;
use tests::{Answer, Hub, Trial, browser, wait::within};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = tests::trials![pages_name_nothing_elsewhere];
    trials.extend(tests::trials![
        |it| it.within(LIMIT).unless(browser::missing());
        a_browser_without_internet_shows_the_api
    ]);
    trials
}

/// Longest the test in a browser may take: it starts slowly on a machine that is busy.
const LIMIT: Duration = Duration::from_secs(150);
/// Longest the browser may take.
const SHOWN_WITHIN: Duration = Duration::from_secs(120);

const PAGE: &str = "/documentation/";

/// The text of an answer, which may be compressed.
fn unpacked(answer: &Answer) -> String {
    if answer.header("content-encoding") != Some("gzip") {
        return answer.text();
    }
    let mut text = String::new();
    let mut body = GzDecoder::new(&answer.body[..]);
    body.read_to_string(&mut text).expect("a compressed text");
    text
}

async fn pages_name_nothing_elsewhere() {
    let hub = Hub::start().await;
    let page = hub.api().get(PAGE).await;
    assert_eq!(page.status, 200);
    let page = unpacked(&page);
    let named: BTreeSet<&str> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|attribute| page.split(attribute).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(named.len() > 3, "{named:?}");
    for name in named {
        let path = name.trim_start_matches("./");
        assert!(!path.contains(':') && !path.starts_with('/'), "{path}");
        let part = hub.api().get(&format!("{PAGE}{path}")).await;
        assert_eq!(part.status, 200, "{path}");
        // What sets it up names the hub's own description, by path.
        if path.contains("initializer") {
            let text = unpacked(&part);
            assert!(text.contains("/api/openapi.json"), "{text}");
            assert!(!text.contains("://"), "{text}");
        }
    }
    assert!(!page.contains("://"), "{page}");
    let api: Value = hub.api().get("/api/openapi.json").await.expect(200);
    assert_eq!(api["openapi"], "3.1.0");
}

async fn a_browser_without_internet_shows_the_api() {
    let hub = Hub::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let browser = browser::command(folder.path())
        // What the page complains of goes to standard error, the page as it is then to standard output.
        .args([
            "--enable-logging=stderr",
            "--virtual-time-budget=20000",
            "--dump-dom",
        ])
        .arg(format!("{}{PAGE}", hub.url()))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within(SHOWN_WITHIN, "the page", browser)
        .await
        .expect("chromium runs");
    let (page, complaints) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    for shown in ["Schedules measurements on probes", "opblock-summary-path"] {
        assert!(
            page.contains(shown),
            "{shown} is missing: {page}\n{complaints}"
        );
    }
    let console: Vec<&str> = complaints
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    assert!(
        !console
            .iter()
            .any(|line| line.contains("Content Security Policy")),
        "{console:?}"
    );
}
