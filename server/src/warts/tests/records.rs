//! Hand-made records, for what a prober on loopback does not see.

use serde_json::json;

use super::build::{attribute, hop, known, opening, params, ping, record, reply, trace, v4};
use super::{decoded, dump_lines, objects};
use crate::warts::{Record, Trace};

fn only_trace(bytes: &[u8]) -> Trace {
    match decoded(bytes).records.pop() {
        Some(Record::Trace(trace)) => *trace,
        other => panic!("not a trace: {other:?}"),
    }
}

#[test]
fn list_and_cycle() {
    let objects = objects(&opening());
    let start = json!({"type": "cycle-start", "list_name": "targets", "id": 9,
        "hostname": "prober", "start_time": 256});
    assert_eq!(objects, [start]);
}

#[test]
fn bytes_of_a_ping() {
    let expected = [
        &[0x12, 0x05, 0, 7, 0, 0, 0, 52][..],    // magic, type, length
        &[0x93, 0x80, 0x61, 0, 30],              // ids 1, 2, 5, 15, 20, 21; 30 bytes
        &[0, 0, 0, 1, 0, 0, 0, 1],               // list, cycle
        &[0, 0, 1, 0, 0, 0, 0, 5, 0, 2],         // start, probes sent
        &[4, 1, 10, 0, 0, 1, 4, 1, 10, 0, 0, 2], // addresses 0 and 1
        &[0, 1, 0xe0, 0x10, 0, 11],              // one reply: ids 6, 7, 12; 11 bytes
        &[0, 0, 5, 0xdc, 0, 0, 0, 0, 0, 0, 1],   // µs, probe number, address 1
    ];
    let built = ping(2, &[reply(0, 1_500)]);
    assert_eq!(built, expected.concat());
    let objects = objects(&[opening(), built].concat());
    assert_eq!(
        objects[1],
        json!({"type": "ping", "version": "0.4", "method": "icmp-echo", "src": "10.0.0.1",
            "dst": "10.0.0.2", "start": {"sec": 256, "usec": 5}, "ping_sent": 2,
            "probe_size": 0, "userid": 0, "ttl": 0, "wait": 0, "timeout": 0,
            "responses": [{"from": "10.0.0.2", "seq": 0, "reply_size": 0, "reply_ttl": 0,
                "reply_proto": "icmp", "rtt": 1.5, "probe_ipid": 0, "reply_ipid": 0,
                "icmp_type": 0, "icmp_code": 0}],
            "statistics": {"replies": 1, "loss": 0.5, "min": 1.5, "max": 1.5, "avg": 1.5,
                "stddev": 0.0}})
    );
}

#[test]
fn statistics_are_truncated_and_replies_sorted() {
    let replies = [reply(2, 70), reply(1, 0), reply(1, 0)];
    let objects = objects(&ping(3, &replies));
    let statistics = json!({"replies": 2, "loss": 0.33, "min": 0.0, "max": 0.07,
        "avg": 0.023, "stddev": 0.032});
    assert_eq!(objects[0]["statistics"], statistics);
    assert_eq!(objects[0]["responses"][0]["seq"], 1);
}

#[test]
fn mpls_labels_of_a_hop() {
    let extension = [
        &[0, 19][..],
        &[0, 8, 1, 1, 0, 1, 0xa3, 7, 0, 1, 0xb0, 9],
        &[0, 3, 2, 1, 1, 2, 3],
    ]
    .concat();
    let labelled = params(&[(2, &[1]), (7, &[11, 0]), (17, &extension), (18, &v4(3))]);
    let objects = objects(&trace(5, 1, &[labelled], &[]));
    assert_eq!(
        objects[0]["hops"][0]["icmpext"],
        json!([{"ie_cn": 1, "ie_ct": 1, "ie_dl": 8, "mpls_labels": [
                {"mpls_ttl": 7, "mpls_s": 1, "mpls_exp": 1, "mpls_label": 26},
                {"mpls_ttl": 9, "mpls_s": 0, "mpls_exp": 0, "mpls_label": 27}]},
            {"ie_cn": 2, "ie_ct": 1, "ie_dl": 3}])
    );
}

#[test]
fn attributes_of_a_trace() {
    let pmtud = [
        params(&[(1, &[5, 220]), (2, &[5, 20]), (4, &[2]), (5, &[1])]),
        vec![0, 1],
        hop(255, [3, 4], &known(2)),
        params(&[(1, &[1]), (2, &[5, 20]), (3, &[0, 0])]),
    ];
    let last_ditch = [vec![0, 0, 1], hop(255, [3, 3], &known(1))].concat();
    let doubletree = params(&[(3, &[3]), (5, &known(2)), (6, b"stops\0"), (7, &[1])]);
    let attributes = [
        attribute(1, &pmtud.concat()),
        attribute(2, &last_ditch),
        attribute(9, b"later"),
        attribute(3, &doubletree),
    ];
    let hops = [hop(1, [11, 0], &v4(3))];
    let trace = only_trace(&trace(1, 1, &hops, &attributes.concat()));
    let pmtud = trace.pmtud.unwrap();
    assert_eq!(
        (pmtud.interface_mtu, pmtud.path_mtu, pmtud.version),
        (1_500, 1_300, 2)
    );
    assert_eq!((pmtud.hops.len(), pmtud.notes[0].hop), (1, Some(0)));
    assert_eq!(trace.last_ditch[0].from.to_string(), "10.0.0.2");
    let doubletree = trace.doubletree.unwrap();
    assert_eq!(doubletree.first_hop, 3);
    assert_eq!(doubletree.gss_stop.unwrap().to_string(), "10.0.0.3");
    assert_eq!(doubletree.lss_name.as_deref(), Some("stops"));
}

#[test]
fn dump_of_paths() {
    let te = [11, 0];
    let target = [3, 3];
    let line = |stop, hops: &[Vec<u8>]| {
        let count = u16::try_from(hops.len()).unwrap();
        dump_lines(&[opening(), trace(stop, count, hops, &[])].concat()).remove(0)
    };
    assert_eq!(
        line(1, &[hop(1, te, &v4(3)), hop(3, target, &known(1))]),
        "T\t10.0.0.1\t10.0.0.2\t7\t9\t256\tR\t1.003\t3\t60\tS\t0\tI\t10.0.0.3,1.001,1"
    );
    assert_eq!(
        line(
            4,
            &[
                hop(1, te, &v4(3)),
                hop(2, te, &v4(4)),
                hop(4, te, &known(2))
            ]
        ),
        "T\t10.0.0.1\t10.0.0.2\t7\t9\t256\tN\t0\t0\t0\tL\t3\tI\
         \t10.0.0.3,1.001,1\t10.0.0.4,1.002,1\tq\t10.0.0.3,1.004,1"
    );
    assert_eq!(
        line(
            1,
            &[
                hop(1, te, &known(1)),
                hop(1, target, &known(1)),
                hop(1, te, &v4(5))
            ]
        ),
        "T\t10.0.0.1\t10.0.0.2\t7\t9\t256\tR\t1.001\t1\t60\tS\t0\tC\t10.0.0.2,1.001,1"
    );
}

#[test]
fn parameters_of_newer_versions_are_skipped() {
    let head = params(&[(20, &v4(1)), (21, &v4(2)), (60, &[1, 2, 3])]);
    let body = [&head[..], &[0, 0]].concat();
    assert_eq!(decoded(&record(7, &body)).undecoded(), 0);
}

#[test]
fn addresses_as_text() {
    let dst = |bytes: [u8; 16]| {
        let address = [&[16, 2][..], &bytes].concat();
        let head = params(&[(20, &v4(1)), (21, &address)]);
        let printed = objects(&record(7, &[&head[..], &[0, 0]].concat()));
        printed[0]["dst"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        dst([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]),
        "::1.2.3.4"
    );
    assert_eq!(dst([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), "::1");
    assert_eq!(
        dst([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]),
        "fe80::1:0:0:1"
    );
}
