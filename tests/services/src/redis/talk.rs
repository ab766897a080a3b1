//! What one says to a server to set it up and to see how it is.

use std::time::Duration;

use ::redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisResult, aio::MultiplexedConnection,
};
use tokio::time::timeout;

use crate::wait::until;

/// Longest one question may take: a server that stands still answers nothing.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Longest until a server that was started, or several that lost one, take writes.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(30);

/// A connection, for the runtime that asks. Its answers have a deadline.
///
/// # Errors
/// When there is no server, it refuses us, or does not answer in time.
pub(super) async fn connect(client: &Client) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ANSWER_WITHIN))
        .set_response_timeout(Some(ANSWER_WITHIN));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// What the server answers to a command, over a connection of its own.
///
/// # Errors
/// When there is no server, it refuses, or does not answer in time.
pub(super) async fn ask<T: FromRedisValue>(client: &Client, command: &Cmd) -> RedisResult<T> {
    command.query_async(&mut connect(client).await?).await
}

/// Gives the command to the server.
///
/// # Panics
/// When it refuses, or does not answer in time.
pub(super) async fn tell(client: &Client, words: &[&str]) {
    let told = ask::<()>(client, &command(words)).await;
    told.unwrap_or_else(|error| panic!("{words:?}: {error}"));
}

/// The command of these words.
pub(super) fn command(words: &[&str]) -> Cmd {
    let mut command = Cmd::new();
    command.arg(words);
    command
}

/// Waits until the server answers.
///
/// # Panics
/// When it does not in time.
pub(super) async fn until_answers(client: &Client) {
    let ping = command(&["PING"]);
    until(READY_WITHIN, "a redis-server that answers", || async {
        // The connection's own deadlines do not hold for all that comes before the first answer.
        timeout(ANSWER_WITHIN, ask::<()>(client, &ping))
            .await
            .ok()?
            .ok()
    })
    .await;
}
