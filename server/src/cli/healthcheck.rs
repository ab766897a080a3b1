//! `pladmed healthcheck`: asks the hub with the same settings whether it is ready, for supervisors that have no HTTP
//! client at hand, as in a container. Speaks to this machine alone, and knows nothing of the hub but its address.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use super::{Done, config};

/// Longest the connection, the question and each part of the answer may take: a supervisor asks every few seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Bytes of an answer that are read at most: its first line is all that matters.
const ENOUGH: u64 = 256;
/// What is asked.
const QUESTION: &[u8] =
    b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: pladmed-healthcheck\r\n\r\n";
/// How the answer of a hub that is ready begins.
const READY: &str = "HTTP/1.1 200 ";

/// The hub is not ready, as far as one can tell.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwell {
    /// With this port nobody knows where it listens.
    #[error("PORT: is 0, so the hub's port cannot be known")]
    NoPort,
    /// It speaks TLS alone, to names that its certificate has.
    #[error("TLS_CERT: the hub is asked in plain HTTP, so give it a METRICS_ADDRESS too")]
    Tls,
    /// It does not answer.
    #[error("no hub answers at {address}: {cause}")]
    Away {
        /// Where.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// It says that it is not ready.
    #[error("the hub at {address} is not ready: {answer}")]
    NotReady {
        /// Where.
        address: SocketAddr,
        /// The first line of its answer.
        answer: String,
    },
}

/// Asks the hub of the settings, where it serves its metrics if that is elsewhere.
pub(super) fn run() -> Done {
    let config = config()?;
    let address = match config.metrics_address {
        Some(address) => address,
        None if config.edge.tls.is_some() => return Err(Unwell::Tls.into()),
        None => SocketAddr::new(config.host, config.port),
    };
    ask(address)?;
    Ok(ExitCode::SUCCESS)
}

/// Asks the hub that listens on this address.
fn ask(address: SocketAddr) -> Result<(), Unwell> {
    if address.port() == 0 {
        return Err(Unwell::NoPort);
    }
    let address = SocketAddr::new(near(address.ip()), address.port());
    let answer = first_line(address).map_err(|cause| Unwell::Away { address, cause })?;
    if answer.starts_with(READY) {
        Ok(())
    } else {
        Err(Unwell::NotReady { address, answer })
    }
}

/// Where a hub on this machine is reached that listens on `host`.
fn near(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(all) if all.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(all) if all.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        one => one,
    }
}

fn first_line(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN)?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.write_all(QUESTION)?;
    let mut answer = Vec::new();
    stream.take(ENOUGH).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    /// What is found where someone answers with this.
    fn answered(answer: &'static str) -> Result<(), Unwell> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = vec![0; QUESTION.len()];
            stream.read_exact(&mut asked).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            asked
        });
        // Who listens everywhere listens on this machine too.
        let found = ask((Ipv4Addr::UNSPECIFIED, port).into());
        assert_eq!(server.join().unwrap(), QUESTION);
        found
    }

    #[test]
    fn only_a_hub_that_says_so_is_ready() {
        answered("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        for answer in [
            "HTTP/1.1 503 Service Unavailable\r\n\r\n",
            "SSH-2.0\r\n",
            "",
        ] {
            let error = answered(answer).unwrap_err();
            assert!(matches!(error, Unwell::NotReady { .. }), "{error}");
        }
    }

    #[test]
    fn nobody_is_not_ready() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = ask((Ipv4Addr::LOCALHOST, port).into()).unwrap_err();
        assert!(matches!(error, Unwell::Away { .. }), "{error}");
        let error = ask((Ipv6Addr::UNSPECIFIED, 0).into()).unwrap_err();
        assert!(matches!(error, Unwell::NoPort), "{error}");
        assert_eq!(near(Ipv6Addr::UNSPECIFIED.into()), Ipv6Addr::LOCALHOST);
    }
}
