//! A connection whose other end has to read: where nothing can be written for a while it fails, so that who asks for
//! something long and never reads it holds no place and no memory for ever.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// A connection that fails when it was full for so long.
pub(super) struct Patient {
    stream: TcpStream,
    patience: Duration,
    /// Runs while the connection is full.
    full: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    /// `stream`, full for at most `patience`.
    pub(super) fn new(stream: TcpStream, patience: Duration) -> Self {
        Self {
            stream,
            patience,
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

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
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
        net::TcpListener,
        time::timeout,
    };

    use super::*;

    /// Longest that each step may take.
    const WITHIN: Duration = Duration::from_secs(10);
    const PATIENCE: Duration = Duration::from_secs(1);

    async fn pair() -> (Patient, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        (Patient::new(accepted.unwrap().0, PATIENCE), client.unwrap())
    }

    /// Writes without end; what ended it.
    async fn flood(stream: &mut Patient) -> io::ErrorKind {
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
