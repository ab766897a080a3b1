//! A connection whose other end has to begin and to read: where nothing comes at first, or nothing can be written for a
//! while, it fails, so that who never says anything, or asks for something long and never reads it, holds no place and no
//! memory for ever. (The server's own deadline for a head begins with its first byte.)

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// A connection that fails when nothing came at first, or it was full, for so long.
pub(super) struct Patient<S> {
    stream: S,
    patience: Duration,
    /// Runs until the first byte.
    silent: Option<Pin<Box<Sleep>>>,
    /// Runs while the connection is full.
    full: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// `stream`, silent at first for at most `begins_within`, full for at most `patience`.
    pub(super) fn new(stream: S, begins_within: Duration, patience: Duration) -> Self {
        Self {
            stream,
            patience,
            silent: Some(Box::pin(sleep(begins_within))),
            full: None,
        }
    }

    /// What a write came to; none that waits longer than is patient.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        write: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if write.is_ready() {
            self.full = None;
            return write;
        }
        let patience = self.patience;
        let full = self.full.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(full.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            self.silent = None;
        } else if let Some(silent) = &mut self.silent {
            ready!(silent.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(context, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        time::timeout,
    };

    use super::*;

    /// Longest that each step may take.
    const WITHIN: Duration = Duration::from_secs(10);
    const PATIENCE: Duration = Duration::from_secs(1);

    async fn pair() -> (Patient<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let server = Patient::new(accepted.unwrap().0, PATIENCE, PATIENCE);
        (server, client.unwrap())
    }

    /// Writes without end; what ended it.
    async fn flood(stream: &mut Patient<TcpStream>) -> io::ErrorKind {
        loop {
            if let Err(error) = stream.write_all(&[0; 65_536]).await {
                return error.kind();
            }
        }
    }

    #[tokio::test]
    async fn who_does_not_read_is_given_up() {
        let (mut server, _client) = pair().await;
        let ended = timeout(WITHIN, flood(&mut server)).await;
        assert_eq!(ended, Ok(io::ErrorKind::TimedOut));
    }

    #[tokio::test]
    async fn who_says_nothing_is_given_up() {
        let (mut server, _client) = pair().await;
        let ended = timeout(WITHIN, server.read(&mut [0; 8])).await.unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_has_begun_may_pause() {
        let (mut server, mut client) = pair().await;
        client.write_all(b"GET").await.unwrap();
        let mut said = [0; 3];
        timeout(WITHIN, server.read_exact(&mut said))
            .await
            .unwrap()
            .unwrap();
        let more = timeout(PATIENCE * 2, server.read(&mut said)).await;
        assert!(more.is_err(), "{more:?}");
    }

    #[tokio::test]
    async fn who_reads_slowly_is_waited_for() {
        let (mut server, mut client) = pair().await;
        let reading = async {
            let mut buffer = vec![0; 1024 * 1024];
            // Each pause is shorter than the patience, all of them together are longer.
            for _ in 0..6 {
                client.read_exact(&mut buffer).await.unwrap();
                sleep(PATIENCE / 4).await;
            }
        };
        tokio::select! {
            kind = flood(&mut server) => panic!("given up: {kind}"),
            done = timeout(WITHIN, reading) => done.unwrap(),
        }
    }
}
