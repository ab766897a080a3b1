//! Answers of any length: a JSON array that is written page by page, as fast as the client reads. The old paths know
//! no pages, so this is what keeps memory bounded: one page for each answer under way.
//!
//! What fails in the middle breaks the answer off, so that nobody takes a part of it for the whole. A client that
//! stops reading holds its connection, and one page, as long as the listener lets it.

use std::collections::VecDeque;

use async_trait::async_trait;
use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse as _, Response},
};
use futures::{TryStreamExt as _, stream};

use super::{super::error::ApiError, JSON, error::OldError};

/// Where the items of an array come from.
#[async_trait]
pub(super) trait Source: Send + 'static {
    /// The next items as JSON, with commas between them; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError>;
}

/// The answer was broken off; why is in the log.
#[derive(Debug, thiserror::Error)]
#[error("the answer was broken off")]
struct BrokenOff;

/// An array of all items.
///
/// # Errors
/// When the first page cannot be had.
pub(super) async fn array(source: impl Source) -> Result<Response, OldError> {
    around("[".to_owned(), source, "]\n").await
}

/// All items with commas between them, after `head` and before `tail`.
///
/// # Errors
/// When the first page cannot be had.
pub(super) async fn around(
    head: String,
    source: impl Source,
    tail: &'static str,
) -> Result<Response, OldError> {
    let mut writer = Writer {
        ready: VecDeque::from([Bytes::from(head)]),
        source,
        tail: Some(tail),
        any: false,
    };
    // Before the status is sent: then the client learns what is wrong.
    writer.read().await?;
    let body = stream::try_unfold(writer, Writer::step).map_err(|error| {
        error.log();
        BrokenOff
    });
    Ok(([(header::CONTENT_TYPE, JSON)], Body::from_stream(body)).into_response())
}

/// How far an answer is written.
struct Writer<S> {
    /// Read and not handed on.
    ready: VecDeque<Bytes>,
    source: S,
    /// What ends it; none when it was written.
    tail: Option<&'static str>,
    /// Whether there was an item.
    any: bool,
}

impl<S: Source> Writer<S> {
    async fn step(mut self) -> Result<Option<(Bytes, Self)>, ApiError> {
        if self.ready.is_empty() {
            self.read().await?;
        }
        Ok(self.ready.pop_front().map(|chunk| (chunk, self)))
    }

    /// Reads the next items, or notes the end.
    async fn read(&mut self) -> Result<(), ApiError> {
        if self.tail.is_none() {
            return Ok(());
        }
        match self.source.next().await? {
            Some(items) => {
                if std::mem::replace(&mut self.any, true) {
                    self.ready.push_back(Bytes::from_static(b","));
                }
                self.ready.push_back(items);
            }
            None => self.ready.extend(self.tail.take().map(Bytes::from)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    /// Gives these pages, then fails or ends.
    struct Pages(Vec<&'static str>, bool);

    #[async_trait]
    impl Source for Pages {
        async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
            if self.0.is_empty() && self.1 {
                return Err(ApiError::NotFound);
            }
            Ok(self.0.pop().map(Bytes::from))
        }
    }

    async fn text(source: Pages) -> Option<String> {
        let body = array(source).await.unwrap().into_body();
        let bytes = to_bytes(body, usize::MAX).await.ok()?;
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn pages_become_one_array() {
        let pages = vec!["3", "1,2"];
        assert_eq!(
            text(Pages(pages.clone(), false)).await.unwrap(),
            "[1,2,3]\n"
        );
        assert_eq!(text(Pages(Vec::new(), false)).await.unwrap(), "[]\n");
        assert!(
            text(Pages(pages, true)).await.is_none(),
            "a part was taken for the whole"
        );
        assert!(array(Pages(Vec::new(), true)).await.is_err());
    }
}
