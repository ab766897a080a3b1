//! Damage of every kind, as it is done to a file and to documents.

use bson::{Bson, Document, doc, oid::ObjectId};

use super::bench::World;

/// Damage, and the rule that it breaks.
pub(super) struct Damage {
    pub(super) rule: &'static str,
    /// Statements, where a file can have it: `USER`, `PROBE`, `RUNNING` and `OVER` stand for identifiers.
    pub(super) file: &'static str,
    /// Collection, document and change, where documents can have it; an empty change deletes.
    pub(super) documents: fn(&Names) -> Vec<(&'static str, Document, Document)>,
    /// What the finding names.
    pub(super) of: &'static [&'static str],
    /// Whether it is all that is found.
    pub(super) is_alone: bool,
}

/// Identifiers of a world.
pub(super) struct Names {
    pub(super) user: ObjectId,
    pub(super) probe: ObjectId,
    pub(super) running: ObjectId,
    pub(super) over: ObjectId,
}

impl Names {
    pub(super) fn of(world: &World) -> Self {
        Self {
            user: ObjectId::parse_str(&world.ana.id).expect("an identifier"),
            probe: world.probe.object_id(),
            running: world.running.object_id(),
            over: world.over.object_id(),
        }
    }

    /// The statements with identifiers in them.
    pub(super) fn in_sql(&self, sql: &str) -> String {
        sql.replace("USER", &format!("'{}'", self.user))
            .replace("PROBE", &format!("'{}'", self.probe))
            .replace("RUNNING", &format!("'{}'", self.running))
            .replace("OVER", &format!("'{}'", self.over))
    }

    fn user(&self) -> Document {
        doc! { "_id": self.user }
    }

    fn running(&self) -> Document {
        doc! { "_id": self.running }
    }

    fn entry(&self, number: i64) -> Document {
        doc! { "_id": { "user": self.user, "number": number } }
    }

    fn assignment(&self) -> Document {
        doc! { "_id": { "operation": self.running, "probe": self.probe } }
    }

    fn result(&self, seq: i64) -> Document {
        doc! { "_id.operation": self.running, "seq": seq }
    }
}

fn set(field: &str, value: impl Into<Bson>) -> Document {
    doc! { "$set": { field: value.into() } }
}

fn add(field: &str, number: i64) -> Document {
    doc! { "$inc": { field: number } }
}

const ASSIGNMENT: &[&str] = &["operation", "probe"];

pub(super) const DAMAGES: &[Damage] = &[
    Damage {
        rule: "balance",
        file: "update users set credits = credits + 5 where id = USER",
        documents: |it| vec![("users", it.user(), add("credits", 5))],
        of: &["user"],
        is_alone: true,
    },
    Damage {
        rule: "negative",
        file: "update users set credits = -1 where id = USER",
        documents: |it| vec![("users", it.user(), set("credits", -1_i64))],
        of: &["user"],
        is_alone: false,
    },
    Damage {
        rule: "ledger_break",
        file: "update ledger set amount = amount + 1 where user = USER and number = 1",
        documents: |it| vec![("ledger", it.entry(1), add("amount", 1))],
        of: &["user"],
        is_alone: true,
    },
    Damage {
        rule: "ledger_numbers",
        file: "delete from ledger where user = USER and number = 1",
        documents: |it| vec![("ledger", it.entry(1), doc! {})],
        of: &["user"],
        is_alone: true,
    },
    Damage {
        rule: "ledger_charge",
        file: "update ledger set operation = OVER where user = USER and number = 2",
        documents: |it| vec![("ledger", it.entry(2), set("operation", it.over))],
        of: &["user", "operation"],
        is_alone: false,
    },
    Damage {
        rule: "ledger_refund",
        file: "update operations set refunded = run_price where id = RUNNING;
            update assignments set planned_runs = planned_runs - 1 where operation = RUNNING",
        documents: |it| {
            vec![
                ("operations", it.running(), set("refunded", 1_i64)),
                ("assignments", it.assignment(), add("planned_runs", -1)),
            ]
        },
        of: &["user", "operation"],
        is_alone: true,
    },
    Damage {
        rule: "ledger_reward",
        file: "update results set rewarded = 0 where operation = RUNNING and seq = 1",
        documents: |it| vec![("results", it.result(1), set("rewarded", false))],
        of: &["operation"],
        is_alone: true,
    },
    Damage {
        rule: "result_numbers",
        file: "delete from results where operation = RUNNING and seq = 2",
        documents: |it| vec![("results", it.result(2), doc! {})],
        of: &["operation"],
        is_alone: false,
    },
    Damage {
        rule: "result_late",
        file: "update results set started_at_ms = (select closes_at_ms + 1 from operations where id = RUNNING)
            where operation = RUNNING and seq = 3",
        documents: |it| {
            let late = bson::DateTime::from_millis(4_102_444_800_000);
            vec![("results", it.result(3), set("started_at", late))]
        },
        of: ASSIGNMENT,
        is_alone: true,
    },
    Damage {
        rule: "assignment_results",
        file: "update assignments set results = results + 1 where operation = RUNNING",
        documents: |it| vec![("assignments", it.assignment(), add("results", 1))],
        of: ASSIGNMENT,
        is_alone: true,
    },
    Damage {
        rule: "over_plan",
        file: "update assignments set planned_runs = 1 where operation = RUNNING",
        documents: |it| vec![("assignments", it.assignment(), set("planned_runs", 1_i64))],
        of: ASSIGNMENT,
        is_alone: false,
    },
    Damage {
        rule: "price",
        file: "update assignments set planned_runs = planned_runs + 1 where operation = RUNNING",
        documents: |it| vec![("assignments", it.assignment(), add("planned_runs", 1))],
        of: &["operation"],
        is_alone: true,
    },
    Damage {
        rule: "refunded",
        file: "update operations set refunded = charged + 1 where id = RUNNING",
        documents: |it| vec![("operations", it.running(), set("refunded", -1_i64))],
        of: &["operation"],
        is_alone: false,
    },
    Damage {
        rule: "open_assignments",
        file: "update operations set open_assignments = 2 where id = RUNNING",
        documents: |it| vec![("operations", it.running(), add("open_assignments", 1))],
        of: &["operation"],
        is_alone: true,
    },
    Damage {
        rule: "ended",
        file: "update operations set ended_at_ms = null where id = OVER",
        documents: |it| {
            let unset = doc! { "$unset": { "ended_at": "" } };
            vec![("operations", doc! { "_id": it.over }, unset)]
        },
        of: &["operation"],
        is_alone: true,
    },
    Damage {
        rule: "assignment_end",
        file: "update assignments set ends_at_ms = ends_at_ms + 1 where operation = RUNNING",
        documents: |it| {
            // In the past, a hub that runs would end it.
            let at = bson::DateTime::from_millis(4_102_444_800_000);
            vec![("assignments", it.assignment(), set("ends_at", at))]
        },
        of: ASSIGNMENT,
        is_alone: true,
    },
    Damage {
        rule: "assignment_state",
        file: "",
        documents: |it| {
            let unset = doc! { "$set": { "state": "finished" }, "$unset": { "ends_at": "" } };
            vec![("assignments", it.assignment(), unset)]
        },
        of: ASSIGNMENT,
        is_alone: false,
    },
    Damage {
        rule: "assignment_price",
        file: "",
        documents: |it| vec![("assignments", it.assignment(), add("run_price", 1))],
        of: ASSIGNMENT,
        is_alone: true,
    },
    Damage {
        rule: "closes",
        file: "update operations set closes_at_ms = expires_at_ms - 1 where id = OVER",
        documents: |it| {
            let at = bson::DateTime::from_millis(1);
            vec![("operations", doc! { "_id": it.over }, set("closes_at", at))]
        },
        of: &["operation"],
        is_alone: true,
    },
    Damage {
        rule: "probe_load",
        file: "update probes set load = load + 1 where id = PROBE",
        documents: |_| vec![],
        of: &["probe"],
        is_alone: true,
    },
    // Its assignments, results and entries of ledgers; and where a load is kept, nobody knows any more what it weighs.
    Damage {
        rule: "orphan",
        file: "delete from operations where id = RUNNING",
        documents: |it| vec![("operations", it.running(), doc! {})],
        of: &["operation"],
        is_alone: false,
    },
    Damage {
        rule: "orphan",
        file: "delete from assignments where operation = OVER",
        documents: |it| {
            let id = doc! { "_id": { "operation": it.over, "probe": it.probe } };
            vec![("assignments", id, doc! {})]
        },
        of: ASSIGNMENT,
        is_alone: false,
    },
    Damage {
        rule: "orphan",
        file: "delete from probes where id = PROBE",
        documents: |it| vec![("probes", doc! { "_id": it.probe }, doc! {})],
        of: &["probe"],
        is_alone: true,
    },
    Damage {
        rule: "orphan",
        file: "delete from users where id = USER",
        documents: |it| vec![("users", it.user(), doc! {})],
        of: &["user"],
        is_alone: true,
    },
    Damage {
        rule: "unreadable",
        file: "update operations set kind = 'magic' where id = RUNNING",
        documents: |it| vec![("operations", it.running(), set("kind", "magic"))],
        of: &["operation"],
        is_alone: true,
    },
    Damage {
        rule: "unreadable",
        file: "update operations set as_sent = '{' where id = RUNNING",
        documents: |it| vec![("operations", it.running(), set("charged", 1.5))],
        of: &["operation"],
        is_alone: true,
    },
    Damage {
        rule: "unreadable",
        file: "update results set code = '' where operation = RUNNING and seq = 2",
        documents: |it| vec![("results", it.result(2), set("rewarded", "yes"))],
        of: ASSIGNMENT,
        is_alone: true,
    },
    Damage {
        rule: "unreadable",
        file: "update assignments set delivered_at_ms = 9223372036854775807 where operation = RUNNING",
        documents: |it| vec![("assignments", it.assignment(), set("state", "lost"))],
        of: ASSIGNMENT,
        is_alone: true,
    },
    Damage {
        rule: "unreadable",
        file: "update ledger set reason = 'gift' where user = USER and number = 2",
        documents: |it| vec![("ledger", it.entry(2), set("reason", "gift"))],
        of: &["user"],
        is_alone: false,
    },
    Damage {
        rule: "unreadable",
        file: "update users set created_at_ms = 9223372036854775807 where id = USER",
        documents: |it| vec![("users", it.user(), set("email", 1))],
        of: &["user"],
        is_alone: true,
    },
    Damage {
        rule: "probe_clock",
        file: "update results set clock_offset_us = 5000000, clock_error_us = 10 where operation = OVER",
        documents: |it| {
            let clock = doc! { "offset_us": 5_000_000_i64, "error_us": 10_i64 };
            vec![("results", doc! { "_id.operation": it.over }, set("clock", clock))]
        },
        of: &["probe"],
        is_alone: true,
    },
    Damage {
        rule: "store",
        file: "insert into idempotency_keys (user, key, fingerprint, subject, created_at_ms)
            values ('nobody', 'k', 'f', 's', 0)",
        documents: |_| vec![],
        of: &[],
        is_alone: true,
    },
];
