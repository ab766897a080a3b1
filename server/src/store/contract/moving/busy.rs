//! A store with something of everything in it.

use bytes::Bytes;
use chrono::TimeDelta;
use probe_protocol::{ContentFormat, Kind, OperationId, ProbeId, ResultFormat, UserId};

use super::super::fixture::{
    Hub, agent, at, exactly, fresh_email, key, measured, new_probe, new_result, new_user,
    nine_runs, noon, once, online,
};
use crate::{
    domain::{AssignmentState, Location, Offline, Plan, credits, probe::ProbeCard},
    store::{Clock, NewProbe, NewResult, NewUser, Span, What},
};

/// What was made, as far as it is needed to ask for it.
pub(super) struct Busy {
    /// Pays for everything.
    pub(super) payer: UserId,
    /// Owns the probes.
    pub(super) host: UserId,
    pub(super) users: Vec<UserId>,
    /// Those that were not deleted.
    pub(super) probes: Vec<ProbeId>,
    /// Has a session's marks, and runs `running`.
    pub(super) attic: ProbeId,
    /// Was registered under a key of the host's, `probe`.
    pub(super) cellar: ProbeId,
    gone: ProbeId,
    /// Ends with its time at a quarter past twelve.
    pub(super) running: OperationId,
    /// With one in every state; the last was opened under a key of the payer's, `operation`.
    pub(super) operations: Vec<OperationId>,
}

impl Busy {
    pub(super) async fn fill(hub: &Hub) -> Self {
        let (payer, host, admin) = users(hub).await;
        let attic = hub.host(host).await;
        let made = hub.create_probe(new_probe(host), key(host, "probe", "f"));
        let cellar = made.await.unwrap().into_inner().id;
        let roof = nameless(hub, host).await;
        let gone = hub.host(payer).await;
        let held = exactly(&[]);
        hub.settle(attic, agent(70), held, at(0), 9).await.unwrap();
        let running = running(hub, payer, attic, cellar, gone).await;
        let mut operations = vec![running];
        operations.extend(ended(hub, payer, attic, roof).await);
        operations.extend(waiting(hub, payer, attic, cellar).await);
        let unknown = OperationId::new();
        for what in [What::Unusable, measured("stray", at(1))] {
            hub.report(unknown, attic, at(2), what).await;
        }
        let busy = Self {
            payer,
            host,
            users: vec![payer, host, admin],
            probes: vec![attic, cellar, roof],
            attic,
            cellar,
            gone,
            running,
            operations,
        };
        busy.has_every_state(hub).await;
        busy
    }

    async fn has_every_state(&self, hub: &Hub) {
        use AssignmentState::*;
        let mut found = Vec::new();
        for &operation in &self.operations {
            let assignments = hub.assignments(operation).await.unwrap();
            found.extend(assignments.iter().map(|it| it.state));
        }
        for state in [
            Pending, Delivered, Accepted, Finished, Refused, Cancelled, Expired,
        ] {
            assert!(found.contains(&state), "nothing is {}", state.as_str());
        }
    }

    /// Holds the store to what must always be true.
    pub(super) async fn check(&self, hub: &Hub) {
        hub.check(&self.users, &self.probes, &self.operations).await;
    }

    /// Everything that can be read of it, a line each.
    pub(super) async fn reads(&self, hub: &Hub) -> Vec<String> {
        let mut lines = self.reads_of_users(hub).await;
        lines.extend(self.reads_of_probes(hub).await);
        for owner in [None, Some(self.payer), Some(self.host)] {
            for span in [Span::Before(None), Span::After(None)] {
                let found = hub.operations(owner, span, 100).await.unwrap();
                lines.push(format!("{owner:?} {span:?} {found:?}"));
            }
        }
        for &id in &self.operations {
            lines.push(format!("{:?}", hub.operation(id).await.unwrap()));
            lines.push(format!("{:?}", hub.assignments(id).await.unwrap()));
            let rows = hub.results(id, 0, 100, usize::MAX).await.unwrap();
            for row in rows {
                let raw = hub.raw(id, row.seq).await.unwrap();
                lines.push(format!("{id} {row:?} {raw:?}"));
            }
        }
        let briefs = hub.briefs(self.operations.clone()).await.unwrap();
        lines.extend(sorted(briefs));
        lines
    }

    async fn reads_of_users(&self, hub: &Hub) -> Vec<String> {
        let mut lines = Vec::new();
        for &id in &self.users {
            let user = hub.user(id).await.unwrap().unwrap();
            let found = hub.credentials(user.email.clone()).await.unwrap();
            lines.push(format!("{user:?} {found:?}"));
            let all = hub.ledger(id, None, 100).await.unwrap();
            let page = hub.ledger(id, Some(3), 1).await.unwrap();
            lines.push(format!("{all:?} {page:?}"));
        }
        lines
    }

    async fn reads_of_probes(&self, hub: &Hub) -> Vec<String> {
        let mut lines = Vec::new();
        for owner in [None, Some(self.payer), Some(self.host)] {
            for span in [Span::Before(None), Span::After(None)] {
                let found = hub.probes(owner, span, 100).await.unwrap();
                lines.push(format!("{owner:?} {span:?} {found:?}"));
            }
        }
        let mut all = self.probes.clone();
        all.push(self.gone);
        for &id in &all {
            lines.push(format!("{:?}", hub.probe(id).await.unwrap()));
        }
        lines.extend(sorted(hub.probes_by_id(all.clone()).await.unwrap()));
        lines.extend(sorted(hub.pending(all, 100).await.unwrap()));
        lines
    }
}

fn sorted(found: Vec<impl std::fmt::Debug>) -> Vec<String> {
    let mut lines: Vec<String> = found.iter().map(|it| format!("{it:?}")).collect();
    lines.sort();
    lines
}

/// A payer, a host and a superuser who gave the payer credits.
async fn users(hub: &Hub) -> (UserId, UserId, UserId) {
    let admin = NewUser {
        is_superuser: true,
        ..new_user(&fresh_email())
    };
    let admin = hub.create_user(admin).await.unwrap().id;
    let (payer, host) = (hub.somebody(0).await, hub.somebody(0).await);
    for (name, credits) in [("grant", 900), ("another", 100)] {
        let granted = hub.grant(payer, credits, noon(), key(admin, name, "f"));
        granted.await.unwrap();
    }
    hub.set_password_hash(host, "changed".to_owned())
        .await
        .unwrap();
    (payer, host, admin)
}

/// A probe without a name that was moved, and has a new token.
async fn nameless(hub: &Hub, owner: UserId) -> ProbeId {
    let probe = NewProbe {
        name: None,
        ..new_probe(owner)
    };
    let id = hub.create_probe(probe, None).await.unwrap().into_inner().id;
    let card = ProbeCard {
        name: None,
        location: Some(Location {
            longitude: 0.1 + 0.2,
            latitude: -0.0,
        }),
    };
    hub.change_probe(id, card).await.unwrap();
    hub.rotate_token(id).await.unwrap();
    id
}

/// An operation that is accepted, refused, and cancelled with its probe.
async fn running(
    hub: &Hub,
    payer: UserId,
    attic: ProbeId,
    cellar: ProbeId,
    gone: ProbeId,
) -> OperationId {
    let id = hub.opened(nine_runs(payer), &[attic, cellar, gone]).await;
    hub.accept(id, attic, at(0)).await;
    hub.send(id, attic, at(1), "a").await;
    let why = What::Refused("no room".to_owned());
    hub.report(id, cellar, at(1), why).await;
    hub.accept(id, gone, at(0)).await;
    hub.send(id, gone, at(1), "a").await;
    let exact = NewResult {
        format: ContentFormat::Gzip,
        raw: Bytes::from((0..=255).collect::<Vec<u8>>()),
        document: r#"["\u0000 é",1.50,-0.0]"#.to_owned(),
        clock: Some(Clock {
            offset_us: -1_500,
            error_us: 20,
        }),
        finished_at: at(2) + TimeDelta::milliseconds(7),
        ..new_result("b", at(2))
    };
    let what = What::Result(Box::new(exact));
    hub.report(id, attic, at(2), what).await;
    hub.delete_probe(gone, at(2)).await.unwrap();
    id
}

/// Operations that ended: with a result that measured nothing, cancelled, expired.
async fn ended(hub: &Hub, payer: UserId, attic: ProbeId, roof: ProbeId) -> Vec<OperationId> {
    let finished = hub.opened(once(payer), &[attic]).await;
    let empty = NewResult {
        format: ContentFormat::Json,
        raw: Bytes::new(),
        undecoded: 2,
        measured: false,
        ..new_result("a", at(1))
    };
    let what = What::Result(Box::new(empty));
    hub.report(finished, attic, at(1), what).await;
    let cancelled = hub.opened(nine_runs(payer), &[attic, roof]).await;
    hub.cancel(cancelled, at(2)).await.unwrap();
    let short = Plan {
        expires_at: at(2),
        ..once(payer)
    };
    let expired = hub.opened(short, &[roof]).await;
    hub.end_overdue(at(2), 9).await.unwrap();
    vec![finished, cancelled, expired]
}

/// Operations that are not with their probes yet, or may not be.
async fn waiting(hub: &Hub, payer: UserId, attic: ProbeId, cellar: ProbeId) -> Vec<OperationId> {
    let delivered = hub.opened(once(payer), &[attic]).await;
    hub.report(delivered, attic, at(2), What::Delivered).await;
    let queued = Plan {
        offline: Offline::Queue,
        ..nine_runs(payer)
    };
    let pending = hub.opened(queued, &[cellar]).await;
    let sent = serde_json::json!({ "ips": ["192.0.2.1"], "confidence": 0.95, "x": null, "n": 1.0 });
    let by_key = Plan {
        kind: Kind::Traceroute,
        params: serde_json::json!({ "method": "icmp-paris", "confidence": 0.95 }),
        run_price: credits::run_price(Kind::Traceroute, 2),
        result_format: ResultFormat::Dump,
        as_sent: Some(sent),
        ..once(payer)
    };
    let id = by_key.id;
    let candidates = vec![online(cellar), online(ProbeId::new())];
    let opened = hub.open(by_key, candidates, key(payer, "operation", "f"));
    assert!(opened.await.unwrap().is_ok());
    vec![delivered, pending, id]
}
