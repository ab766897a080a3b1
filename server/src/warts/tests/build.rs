//! Hand-made records: the encoder the decoder is tested against.

/// A record: header and body.
pub(super) fn record(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [
        &0x1205_u16.to_be_bytes()[..],
        &kind.to_be_bytes(),
        &length.to_be_bytes(),
        body,
    ]
    .concat()
}

/// A parameter block. The ids must be ascending.
pub(super) fn params(values: &[(usize, &[u8])]) -> Vec<u8> {
    let Some((last, _)) = values.last() else {
        return vec![0];
    };
    let mut flags = vec![0x80; last.div_ceil(7)];
    *flags.last_mut().unwrap() = 0;
    for (id, _) in values {
        flags[(id - 1) / 7] |= 1 << ((id - 1) % 7);
    }
    let data: Vec<u8> = values
        .iter()
        .flat_map(|(_, value)| *value)
        .copied()
        .collect();
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [&flags[..], &length, &data].concat()
}

/// An IPv4 address written in full.
pub(super) fn v4(last: u8) -> Vec<u8> {
    vec![4, 1, 10, 0, 0, last]
}

/// A reference into the address table.
pub(super) fn known(index: u32) -> Vec<u8> {
    [&[0][..], &index.to_be_bytes()].concat()
}

/// List 1 and cycle 1, which the measurements below refer to.
pub(super) fn opening() -> Vec<u8> {
    let list = [&[0, 0, 0, 1, 0, 0, 0, 7][..], b"targets\0", &params(&[])].concat();
    let cycle = [
        &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 1, 0][..],
        &params(&[(2, b"prober\0")]),
    ]
    .concat();
    [record(1, &list), record(2, &cycle)].concat()
}

/// The end of cycle 1.
pub(super) fn closing() -> Vec<u8> {
    record(4, &[0, 0, 0, 1, 0, 0, 2, 0, 0])
}

/// A ping from 10.0.0.1 to 10.0.0.2 with the given replies.
pub(super) fn ping(sent: u16, replies: &[Vec<u8>]) -> Vec<u8> {
    let head = params(&[
        (1, &[0, 0, 0, 1]),
        (2, &[0, 0, 0, 1]),
        (5, &[0, 0, 1, 0, 0, 0, 0, 5]),
        (15, &sent.to_be_bytes()),
        (20, &v4(1)),
        (21, &v4(2)),
    ]);
    let count = u16::try_from(replies.len()).unwrap().to_be_bytes();
    record(7, &[&head[..], &count, &replies.concat()].concat())
}

/// A reply of the target.
pub(super) fn reply(seq: u16, rtt: u32) -> Vec<u8> {
    let (seq, rtt) = (seq.to_be_bytes(), rtt.to_be_bytes());
    params(&[(6, &rtt), (7, &seq), (12, &known(1))])
}

/// A UDP trace from 10.0.0.1 to 10.0.0.2 with the given hops and attributes.
pub(super) fn trace(stop: u8, hop_count: u16, hops: &[Vec<u8>], attributes: &[u8]) -> Vec<u8> {
    let head = params(&[
        (1, &[0, 0, 0, 1]),
        (2, &[0, 0, 0, 1]),
        (5, &[0, 0, 1, 0, 0, 0, 0, 5]),
        (6, &[stop]),
        (11, &[2]),
        (19, &hop_count.to_be_bytes()),
        (26, &v4(1)),
        (27, &v4(2)),
    ]);
    let count = u16::try_from(hops.len()).unwrap().to_be_bytes();
    record(
        6,
        &[&head[..], &count, &hops.concat(), attributes, &[0, 0]].concat(),
    )
}

/// A hop with an ICMP message of the given type and code.
pub(super) fn hop(ttl: u8, icmp: [u8; 2], address: &[u8]) -> Vec<u8> {
    let rtt = (1_000 + u32::from(ttl)).to_be_bytes();
    params(&[
        (2, &[ttl]),
        (3, &[60]),
        (5, &[0]),
        (6, &rtt),
        (7, &icmp),
        (8, &[0, 44]),
        (18, address),
    ])
}

/// One trace attribute.
pub(super) fn attribute(kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    [&((kind << 12) | length).to_be_bytes()[..], data].concat()
}
