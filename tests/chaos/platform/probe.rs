//! A simulated probe: one task that speaks the protocol like an agent, through as many sessions at as many hubs as it
//! takes, and keeps a [`Journal`].

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use chrono::Utc;
use probe_protocol::{Assign, Close, ContentFormat, HubFrame, OperationId, ProbeFrame, RunResult};
use tests::{
    Heard, ProbeSocket, orders,
    probe::{code, hello},
};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    journal::{Fate, count},
    plan,
    player::{Go, OPENED_WITHIN, Player, SENT_WITHIN, Wish},
};

/// Results under way unanswered: what the hub allows.
const UNDER_WAY: usize = 64;
/// As long after an attempt that was given up, the hub that it was made at may still take it for the newest one: as long
/// as a hub stands still, and some more.
const OVERTAKES_WITHIN: Duration = Duration::from_secs(40);

/// How a session is to go on.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    GoOn,
    End,
}

/// A session of the protocol's version 1.
#[derive(Debug)]
struct Session<'a> {
    player: &'a mut Player,
    socket: ProbeSocket,
    to_send: VecDeque<(OperationId, String)>,
    under_way: HashSet<(OperationId, String)>,
}

/// Is such a probe until the test ends.
pub(crate) async fn live(mut player: Player) {
    loop {
        let hub = player.next_hub().await;
        let url = player.urls[hub].clone();
        let opening = ProbeSocket::open(&url, &player.probe.token);
        let Some(socket) = player.opened(timeout(OPENED_WITHIN, opening).await) else {
            continue;
        };
        let wish = *player.wish.borrow_and_update();
        if wish.go == Go::Away {
            continue;
        }
        let to_send = player.unanswered().into();
        let mut session = Session {
            player: &mut player,
            socket,
            to_send,
            under_way: HashSet::new(),
        };
        let greeted = timeout(OPENED_WITHIN, session.greet()).await;
        if session.player.greeted(greeted) {
            session.player.arrived(hub);
            let abort = session.run(wish).await;
            let Session { socket, .. } = session;
            if abort {
                socket.abort();
            }
            player.left(hub);
        }
    }
}

impl Session<'_> {
    async fn greet(&mut self) -> Result<(), String> {
        let hello = hello(self.player.journal.held());
        if !self.socket.send(&ProbeFrame::Hello(hello)).await {
            return Err("cannot be sent".to_owned());
        }
        match self.socket.hear().await {
            Heard::Frame(HubFrame::Welcome(_)) => Ok(()),
            Heard::Frame(_) => Err("answered with something else".to_owned()),
            end => Err(format!("{end:?}")),
        }
    }

    /// Goes on until one side ends it; whether it is to be cut off without a word.
    async fn run(&mut self, began: Wish) -> bool {
        let done: Vec<OperationId> = {
            let book = self.player.journal.open();
            let entries = book.operations.iter();
            let done = entries.filter(|(_, entry)| entry.is_held() && entry.is_done());
            done.map(|(id, _)| *id).collect()
        };
        for operation in done {
            if self.say(ProbeFrame::Finished { operation }).await == Turn::End {
                return true;
            }
        }
        loop {
            if self.send_results().await == Turn::End {
                return true;
            }
            let due = self.player.next_due();
            let turn = tokio::select! {
                heard = self.socket.hear() => self.hear(heard).await,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let measured = self.player.measure();
                    self.to_send.extend(measured);
                    Turn::GoOn
                }
                changed = self.player.wish.changed() => {
                    changed.expect("the test goes on");
                    let wish = *self.player.wish.borrow_and_update();
                    if wish.cuts != began.cuts || wish.go == Go::Away {
                        return true;
                    }
                    Turn::GoOn
                }
            };
            if turn == Turn::End {
                return false;
            }
        }
    }

    async fn say(&mut self, frame: ProbeFrame) -> Turn {
        match timeout(SENT_WITHIN, self.socket.send(&frame)).await {
            Ok(true) => Turn::GoOn,
            Ok(false) | Err(_) => Turn::End,
        }
    }

    async fn send_results(&mut self) -> Turn {
        while self.under_way.len() < UNDER_WAY
            && let Some((operation, name)) = self.to_send.pop_front()
        {
            let at = {
                let book = self.player.journal.open();
                let entry = book.operations.get(&operation).expect("it was given");
                entry.runs[&name].at
            };
            let result = RunResult {
                operation,
                code: code(&name),
                format: ContentFormat::Json,
                content: orders::ping_document(0).into(),
                started_at: at,
                finished_at: at,
            };
            self.under_way.insert((operation, name));
            count(&self.player.tally.sent);
            if self.say(ProbeFrame::Result(result)).await == Turn::End {
                return Turn::End;
            }
        }
        Turn::GoOn
    }

    async fn hear(&mut self, heard: Heard) -> Turn {
        let frame = match heard {
            Heard::Frame(frame) => frame,
            Heard::Closed(code) => {
                self.note_end(code);
                return Turn::End;
            }
            Heard::Broken => {
                self.player.tally.end("session: broken".to_owned());
                return Turn::End;
            }
        };
        match frame {
            HubFrame::Assign(assign) => self.take(&assign).await,
            HubFrame::Cancel { operation } => self.stop(operation).await,
            HubFrame::Closed { operation } => {
                self.player.journal.close(operation);
                Turn::GoOn
            }
            HubFrame::Stored { operation, codes } => {
                for code in codes {
                    self.answered(operation, &code.to_string(), Fate::Stored);
                }
                self.finish(operation).await
            }
            HubFrame::Rejected {
                operation,
                code,
                reason,
            } => {
                self.answered(operation, &code.to_string(), Fate::Rejected(reason));
                self.finish(operation).await
            }
            HubFrame::Time { sent } => {
                let now = Utc::now().timestamp_micros();
                let (received, hub_sent) = (now, sent);
                self.say(ProbeFrame::Time {
                    hub_sent,
                    received,
                    sent: now,
                })
                .await
            }
            HubFrame::Error { message } => self.complain(format!("the hub said: {message}")),
            HubFrame::Welcome(_) | HubFrame::Unknown => self.complain("a strange frame".into()),
        }
    }

    fn complain(&self, what: String) -> Turn {
        self.player.journal.open().wrong.push(what);
        Turn::GoOn
    }

    fn note_end(&mut self, code: u16) {
        self.player
            .tally
            .end(format!("session: closed with {code}"));
        if code != Close::Replaced.code() {
            if code == Close::Revoked.code() || code == Close::ProtocolError.code() {
                self.complain(format!("closed with {code}"));
            }
            return;
        }
        let gave_up = self.player.gave_up;
        let overtaken = gave_up.is_some_and(|at| at.elapsed() < OVERTAKES_WITHIN);
        let mut book = self.player.journal.open();
        if overtaken {
            book.overtaken += 1;
        } else {
            book.replaced += 1;
        }
    }

    async fn take(&mut self, assign: &Assign) -> Turn {
        let operation = assign.operation;
        let planned = assign.schedule.as_ref().map_or(1, |schedule| {
            let instants = schedule.cron.count_between(Utc::now(), schedule.stop_time);
            instants as usize * usize::from(schedule.times_per_minute.get() as u8)
        });
        let order = assign
            .targets
            .first()
            .and_then(|target| plan::order_of(&target.to_string()));
        let credits = i64::from(assign.credits);
        let (takes, _) = self.player.offered(operation, order, planned, credits);
        let answer = if takes {
            ProbeFrame::Accepted { operation }
        } else {
            let reason = "it does not want to".to_owned();
            ProbeFrame::Refused { operation, reason }
        };
        self.say(answer).await
    }

    /// Measures no more of an operation.
    async fn stop(&mut self, operation: OperationId) -> Turn {
        self.player.due.retain(|(_, of)| *of != operation);
        self.player.journal.cancel(operation);
        self.finish(operation).await
    }

    fn answered(&mut self, operation: OperationId, code: &str, fate: Fate) {
        self.under_way.remove(&(operation, code.to_owned()));
        if self.player.journal.answer(operation, code, fate) {
            count(&self.player.tally.answered);
        }
    }

    /// Says that an operation is over, if it is.
    async fn finish(&mut self, operation: OperationId) -> Turn {
        let is_over = {
            let book = self.player.journal.open();
            // One that it never had is over too: the hub may not know that yet.
            let entry = book.operations.get(&operation);
            entry.is_none_or(|entry| entry.is_held() && entry.is_done())
        };
        if is_over {
            return self.say(ProbeFrame::Finished { operation }).await;
        }
        Turn::GoOn
    }
}
