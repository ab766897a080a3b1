//! What one says to a node to set it up and to see how it is.

use std::time::Duration;

use bson::{Document, doc};
use mongodb::{Client, options::ClientOptions};
use tokio::time::timeout;

use super::node::Node;
use crate::wait::until;

/// Longest one question may take: a node that stands still answers nothing.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Longest until a node that was started, or a set that lost its primary, takes writes.
pub(super) const WRITABLE_WITHIN: Duration = Duration::from_secs(30);

/// Who may read and write everything.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// The URI of some nodes.
pub(super) fn uri(nodes: &[&Node], login: Option<&Login>, set: Option<&str>) -> String {
    let addresses: Vec<String> = nodes.iter().map(|node| node.address()).collect();
    let addresses = addresses.join(",");
    let login = login.map_or_else(String::new, |Login { user, password }| {
        format!("{}:{}@", escaped(user), escaped(password))
    });
    match set {
        Some(name) => format!("mongodb://{login}{addresses}/?replicaSet={name}"),
        None => format!("mongodb://{login}{addresses}/?directConnection=true"),
    }
}

/// Text as it stands in a URI.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// A client of the runtime that asks; it must not outlive it.
pub(super) async fn client(uri: &str) -> Client {
    let options = ClientOptions::parse(uri).await.expect("a URI");
    Client::with_options(options).expect("a client")
}

/// A client of this node alone, in whatever state it is.
pub(super) async fn direct(node: &Node, login: Option<&Login>) -> Client {
    let uri = uri(&[node], login, None);
    let mut options = ClientOptions::parse(uri).await.expect("a URI");
    options.connect_timeout = Some(ANSWER_WITHIN);
    options.server_selection_timeout = Some(ANSWER_WITHIN);
    Client::with_options(options).expect("a client")
}

/// What the node answers to a command; none when it refuses, or does not answer in time.
pub(super) async fn ask(client: &Client, command: Document) -> Option<Document> {
    let admin = client.database("admin");
    timeout(ANSWER_WITHIN, admin.run_command(command))
        .await
        .ok()?
        .ok()
}

/// Gives the command to the node.
///
/// # Panics
/// When it refuses.
pub(super) async fn tell(client: &Client, command: Document) {
    let what = command.keys().next().cloned().unwrap_or_default();
    let admin = client.database("admin");
    let told = timeout(WRITABLE_WITHIN, admin.run_command(command)).await;
    match told {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => panic!("{what}: {error}"),
        Err(_) => panic!("not within {WRITABLE_WITHIN:?}: {what}"),
    }
}

/// Waits until the node takes writes.
pub(super) async fn until_writable(client: &Client) {
    until(WRITABLE_WITHIN, "a mongod that takes writes", || async {
        let hello = ask(client, doc! { "hello": 1 }).await?;
        hello
            .get_bool("isWritablePrimary")
            .is_ok_and(|writable| writable)
            .then_some(())
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_in_a_uri_is_escaped() {
        assert_eq!(escaped("p@ss:/w%é"), "p%40ss%3A%2Fw%25%C3%A9");
    }
}
