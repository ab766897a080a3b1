//! The largest results: MongoDB keeps 16 MiB in one piece, and an old agent's content and what it says may be more
//! together.

use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use serde_json::json;
use tests::{Hub, Knock, OldProbe, OldResult, Trial, orders};

use super::with_mongod;

pub(crate) fn trials() -> Vec<Trial> {
    with_mongod![content_and_document_are_kept]
}

/// Bytes of a text that is almost too long for a document.
const TEXT: usize = 10 * 1024 * 1024;

/// A text of which gzip saves a quarter.
fn text(bytes: usize) -> Vec<u8> {
    let mut text = orders::DIG_TEXT.as_bytes().to_vec();
    while text.len() < bytes {
        let noise: [u8; 48] = rand::random();
        text.extend_from_slice(format!(";{}\n", BASE64.encode(noise)).as_bytes());
    }
    text
}

async fn content_and_document_are_kept() {
    let uri = services::mongod::shared().await.uri();
    let hub = Hub::on_mongo(&uri, &[]).await;
    let ana = hub.user("ana", 1_000_000_000).await;
    let registered = ana.probe("p").await;
    let knock = Knock::new(&registered.token, 100_000, 0);
    let mut probe = OldProbe::connect_as(&hub, &knock).await;
    let operation = ana
        .launch(&orders::endless(orders::dns(&[registered.id])))
        .await;
    probe.accept().await;
    let mut seq = 0;
    for bytes in [TEXT / 2, TEXT] {
        seq += 1;
        let text = text(bytes);
        let content = orders::gzip(&text);
        let result = OldResult::new(operation, &bytes.to_string(), "gzip", &content);
        assert_eq!(probe.deliver(&result).await, json!([operation]));
        let page = format!("/api/v1/operations/{operation}/results?after={}", seq - 1);
        let page = ana.api.get(&page).await.expect(200);
        let document = page["items"][0]["document"].as_str().map(str::len);
        assert_eq!(document, Some(text.len()));
        let raw = format!("/api/v1/operations/{operation}/results/{seq}/raw");
        assert_eq!(ana.api.get(&raw).await.body, content);
    }
    hub.check().await;
}
