//! A name server on loopback, UDP and TCP on the same port, with a few names under `example.`.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use hickory_proto::{
    op::{Message, Metadata, Query, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, MX, TXT},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    task::AbortHandle,
};

/// Seconds that answers may be kept.
const TTL: u32 = 60;
/// Ports tried: the same one must be free for both protocols.
const PORT_ATTEMPTS: usize = 20;
/// Longest question, bytes (RFC 1035 section 2.3.4 and room for EDNS).
const LONGEST_QUESTION: usize = 4096;

/// A running name server; ends when dropped.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    tasks: [AbortHandle; 2],
}

impl DnsServer {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        for _ in 0..PORT_ATTEMPTS {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .expect("a port");
            let address = udp.local_addr().expect("its address");
            let Ok(tcp) = TcpListener::bind(address).await else {
                continue;
            };
            let asked = Arc::new(AtomicUsize::new(0));
            let over_udp = tokio::spawn(serve_udp(udp, asked.clone())).abort_handle();
            let over_tcp = tokio::spawn(serve_tcp(tcp, asked.clone())).abort_handle();
            return Self {
                address,
                asked,
                tasks: [over_udp, over_tcp],
            };
        }
        panic!("no port is free for UDP and TCP");
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Questions answered so far.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn serve_udp(socket: UdpSocket, asked: Arc<AtomicUsize>) -> io::Result<()> {
    let mut buffer = [0; LONGEST_QUESTION];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await?;
        if let Some(answer) = answer(&buffer[..length]) {
            asked.fetch_add(1, Ordering::Relaxed);
            socket.send_to(&answer, from).await?;
        }
    }
}

async fn serve_tcp(listener: TcpListener, asked: Arc<AtomicUsize>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        // A client that leaves ends only its own task.
        tokio::spawn(serve_stream(stream, asked.clone()));
    }
}

async fn serve_stream(mut stream: TcpStream, asked: Arc<AtomicUsize>) -> io::Result<()> {
    loop {
        let mut question = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut question).await?;
        let Some(answer) = answer(&question) else {
            return Ok(());
        };
        asked.fetch_add(1, Ordering::Relaxed);
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        stream.write_u16(length).await?;
        stream.write_all(&answer).await?;
    }
}

/// The answer to a question; nothing where it is no question.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    let query = question.queries.first()?;
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata = Metadata::response_from_request(&question.metadata);
    answer.metadata.authoritative = true;
    match records(query) {
        Some(records) => answer.answers = records,
        None => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    answer.add_query(query.clone());
    answer.to_vec().ok()
}

/// What there is of a name; `None` where there is no such name.
fn records(query: &Query) -> Option<Vec<Record>> {
    let name = query.name().to_ascii().to_lowercase();
    let all = match name.trim_end_matches('.') {
        "host.example" => vec![
            RData::A(A(Ipv4Addr::new(192, 0, 2, 10))),
            RData::AAAA(AAAA(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10))),
            RData::TXT(TXT::new(vec!["a test host".into()])),
        ],
        "pair.example" => {
            vec![
                RData::A(A(Ipv4Addr::new(192, 0, 2, 21))),
                RData::A(A(Ipv4Addr::new(192, 0, 2, 22))),
            ]
        }
        "mail.example" => vec![RData::MX(MX::new(
            10,
            Name::from_ascii("host.example.").ok()?,
        ))],
        "empty.example" => Vec::new(),
        _ => return None,
    };
    let wanted = |data: &RData| {
        query.query_type() == RecordType::ANY || data.record_type() == query.query_type()
    };
    let record = |data| Record::from_rdata(query.name().clone(), TTL, data);
    Some(all.into_iter().filter(wanted).map(record).collect())
}
