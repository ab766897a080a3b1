//! What one says to a node to set it up and to see how it is.

use std::time::Duration;

use bson::{Document, doc};
use mongodb::{Client, options::ClientOptions};
use tokio::time::timeout;

use crate::{process::Process, uri::escaped, wait::until};

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
pub(super) fn uri(nodes: &[&Process], login: Option<&Login>, set: Option<&str>) -> String {
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

/// A client of the runtime that asks; it must not outlive it.
pub(super) async fn client(uri: &str) -> Client {
    let options = ClientOptions::parse(uri).await.expect("a URI");
    Client::with_options(options).expect("a client")
}

/// A client of this node alone, in whatever state it is.
pub(super) async fn direct(node: &Process, login: Option<&Login>) -> Client {
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
