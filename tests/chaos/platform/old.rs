//! A simulated agent of the replaced system. Getting an operation twice it would run it twice, so it must never; what it
//! holds it tells by the credits that it counts.

use std::{collections::HashMap, time::Duration};

use probe_protocol::OperationId;
use serde_json::Value;
use tests::{Handed, Knock, OldHeard, OldResult, OldSocket, orders::PING_WARTS};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{
    journal::{Fate, count},
    plan,
    player::{Go, OPENED_WITHIN, Player, SENT_WITHIN, Wish},
};

/// What such an agent may have in use: more than it ever gets.
const TOTAL_CREDITS: i64 = 100_000;
/// A sign of life of the hub, and the answer to it.
const PING: &str = "2";
const PONG: &str = "3";
/// As long it is silent about results before it takes its connection for dead: one whose place was taken is not listened
/// to. Longer than a store stands still.
const PATIENCE: Duration = Duration::from_secs(25);

/// A session of such an agent.
#[derive(Debug)]
struct Session<'a> {
    player: &'a mut Player,
    socket: OldSocket,
    /// What is to be acknowledged by these numbers, and since when.
    asked: HashMap<u64, (OperationId, String, Instant)>,
    last: u64,
}

/// Why a session ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It is to be cut off without a word.
    Cut,
    /// It is over.
    Over,
}

/// Is such an agent until the test ends.
pub(crate) async fn live(mut player: Player) {
    loop {
        let hub = player.next_hub().await;
        let url = player.urls[hub].clone();
        let knock = Knock::new(&player.probe.token, TOTAL_CREDITS, in_use(&player));
        let opening = OldSocket::open(&url, &knock);
        let Some(socket) = player.opened(timeout(OPENED_WITHIN, opening).await) else {
            continue;
        };
        let wish = *player.wish.borrow_and_update();
        if wish.go == Go::Away {
            continue;
        }
        let mut session = Session {
            player: &mut player,
            socket,
            asked: HashMap::new(),
            last: 0,
        };
        let greeted = timeout(OPENED_WITHIN, session.greet()).await;
        let greeted = greeted.map(|joined| {
            joined
                .then_some(())
                .ok_or("an old agent is sent away".to_owned())
        });
        if !session.player.greeted(greeted) {
            continue;
        }
        session.player.arrived(hub);
        let end = session.run(wish).await;
        let Session { socket, .. } = session;
        if end == End::Cut {
            socket.abort();
        }
        player.left(hub);
    }
}

/// Credits of what it has taken and whose result is not acknowledged yet. A real agent counts an operation until its stop
/// time; the shorter time makes the sums tell more, and never makes the hub offer what it has.
fn in_use(player: &Player) -> i64 {
    let book = player.journal.open();
    let held = book.operations.values().filter(|entry| entry.is_held());
    held.map(|entry| entry.credits).sum()
}

impl Session<'_> {
    async fn greet(&mut self) -> bool {
        if !matches!(self.socket.hear().await, OldHeard::Text(open) if open.starts_with('0')) {
            return false;
        }
        if !self.socket.text("40").await {
            return false;
        }
        loop {
            match self.socket.hear().await {
                OldHeard::Text(text) if text == PING => {
                    if !self.socket.text(PONG).await {
                        return false;
                    }
                }
                OldHeard::Text(text) => return text.starts_with("40"),
                _ => return false,
            }
        }
    }

    async fn run(&mut self, began: Wish) -> End {
        for (operation, code) in self.player.unanswered() {
            if !self.send(operation, code).await {
                return End::Cut;
            }
        }
        loop {
            let due = self.player.next_due();
            let late = self.asked.values().map(|(_, _, at)| *at + PATIENCE).min();
            let go_on = tokio::select! {
                heard = self.socket.hear() => match heard {
                    OldHeard::Text(text) => self.hear(&text).await,
                    OldHeard::Binary(_) => true,
                    OldHeard::Closed(_) | OldHeard::Broken => return End::Over,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.measure().await,
                () = sleep_until(late.unwrap_or_else(Instant::now)), if late.is_some() => false,
                changed = self.player.wish.changed() => {
                    changed.expect("the test goes on");
                    let wish = *self.player.wish.borrow_and_update();
                    wish.cuts == began.cuts && wish.go != Go::Away
                }
            };
            if !go_on {
                return End::Cut;
            }
        }
    }

    async fn say(&mut self, text: &str) -> bool {
        matches!(timeout(SENT_WITHIN, self.socket.text(text)).await, Ok(true))
    }

    async fn measure(&mut self) -> bool {
        for (operation, code) in self.player.measure() {
            if !self.send(operation, code).await {
                return false;
            }
        }
        true
    }

    async fn send(&mut self, operation: OperationId, code: String) -> bool {
        let result = OldResult::new(operation, &code, "warts", PING_WARTS);
        self.last += 1;
        let event = result.event(self.last);
        self.asked
            .insert(self.last, (operation, code, Instant::now()));
        count(&self.player.tally.sent);
        let bytes = Message::Binary(result.content.into());
        self.say(&event).await
            && matches!(
                timeout(SENT_WITHIN, self.socket.send(bytes)).await,
                Ok(true)
            )
    }

    async fn hear(&mut self, text: &str) -> bool {
        if text == PING {
            return self.say(PONG).await;
        }
        if let Some(handed) = Handed::read(text) {
            return self.take(&handed).await;
        }
        let Some((number, arguments)) = read_ack(text) else {
            return true;
        };
        let Some((operation, code, _)) = self.asked.get(&number).cloned() else {
            return true;
        };
        // Nothing but the operation's identifier makes such an agent forget a result.
        if arguments[0].as_str() != Some(&operation.to_string()) {
            return true;
        }
        self.asked.remove(&number);
        if self.player.journal.answer(operation, &code, Fate::Stored) {
            count(&self.player.tally.answered);
        }
        let mut credits = 0;
        if let Some(entry) = self.player.journal.open().operations.get_mut(&operation)
            && entry.is_done()
        {
            entry.closed = true;
            credits = entry.credits;
        }
        credits == 0 || self.count("finish_operation", credits).await
    }

    async fn count(&mut self, event: &str, credits: i64) -> bool {
        let event = serde_json::json!([event, {"credits": credits}]);
        self.say(&format!("42{event}")).await
    }

    async fn take(&mut self, handed: &Handed) -> bool {
        let operation: OperationId = handed.id().parse().expect("an identifier");
        let order = plan::order_in(&handed.argument.to_string());
        let (takes, is_new) = self.player.offered(operation, order, 1, handed.credits());
        if takes && is_new && !self.count("new_operation", handed.credits()).await {
            return false;
        }
        self.say(&format!("43{}[]", handed.ack)).await
    }
}

fn read_ack(text: &str) -> Option<(u64, Value)> {
    let rest = text.strip_prefix("43")?;
    let (number, arguments) = rest.split_at(rest.find('[')?);
    Some((number.parse().ok()?, serde_json::from_str(arguments).ok()?))
}
