//! What a witness does about what it sees: one task, one report after the other.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::super::ledger::Key;
use super::super::line::Line;
use super::history::{self, Loaded};
use super::{Pass, Phase, Room, View};

mod rights;

/// What a test tells a witness to do.
pub(super) enum Order {
    Cut,
    Leave(String),
    Join(String),
    Reload(String),
}

/// After how long it asks again what could not be answered.
const AGAIN: Duration = Duration::from_millis(50);

pub(super) struct Actor {
    line: Line,
    address: String,
    view: Arc<Mutex<View>>,
    /// The room and the attempt that an ack belongs to.
    asked: HashMap<u64, (String, u64)>,
    acks: u64,
    again: BTreeSet<String>,
    /// Histories on their way, and who waits for them: the room, and the attempt by which it was left. A load goes on over any number
    /// of connections.
    loading: JoinSet<(String, Loaded)>,
    waiting: HashMap<String, u64>,
    /// Histories that are there, for who waits next.
    loaded: HashMap<String, Loaded>,
    greeted: bool,
    pass: Option<Pass>,
    /// It was refused with this token, and shows another.
    refused: bool,
    /// When it looks after its pass again.
    look: Instant,
}

impl Actor {
    pub(super) fn new(
        line: Line,
        address: &str,
        view: Arc<Mutex<View>>,
        pass: Option<Pass>,
    ) -> Self {
        Self {
            line,
            address: address.to_owned(),
            view,
            asked: HashMap::new(),
            // Far from those that the harness waits for itself.
            acks: 1 << 40,
            again: BTreeSet::new(),
            loading: JoinSet::new(),
            waiting: HashMap::new(),
            loaded: HashMap::new(),
            greeted: false,
            pass,
            refused: false,
            look: Instant::now(),
        }
    }

    pub(super) async fn run(mut self, mut orders: UnboundedReceiver<Order>) {
        let mut due = Instant::now() + AGAIN;
        loop {
            tokio::select! {
                report = self.line.reports.recv() => match report {
                    Some(report) => self.report(&report),
                    None => return,
                },
                Some(loaded) = self.loading.join_next() => {
                    let (contact, history) = loaded.expect("no panic while it loads");
                    self.loaded.insert(contact.clone(), history);
                    self.use_history(&contact);
                }
                order = orders.recv() => match order {
                    Some(order) => self.order(order),
                    None => return,
                },
                () = sleep_until(due) => {
                    due = Instant::now() + AGAIN;
                    self.look_after_pass();
                    for contact in std::mem::take(&mut self.again) {
                        self.enter(&contact);
                    }
                }
            }
        }
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Cut => self.line.send(json!({"op": "cut"})),
            Order::Join(contact) => self.enter(&contact),
            Order::Reload(contact) => {
                self.room(&contact, |room| room.reload = true);
                self.enter(&contact);
            }
            Order::Leave(contact) => {
                self.room(&contact, |room| room.phase = Phase::Out);
                self.ask("leave:conversation", &contact, &json!(contact));
            }
        }
    }

    fn report(&mut self, report: &Value) {
        match report["saw"].as_str() {
            Some("connect") => self.connected(report["recovered"] == true),
            Some("disconnect") => {
                let mut view = self.view();
                view.connected = false;
                view.lost += 1;
                view.note("lost");
            }
            Some("connect_error") => {
                let turn = format!("not connected: {}", report["message"]);
                self.view().journal.note(turn);
                self.not_connected(report);
            }
            Some("event") => self.event(report),
            Some("ack") => {
                let asked = report["ack"]
                    .as_u64()
                    .and_then(|ack| self.asked.remove(&ack));
                let Some((contact, attempt)) = asked else {
                    return;
                };
                let answer = &report["args"][0];
                if self.room(&contact, |room| room.attempt) == attempt {
                    self.answer(&contact, answer);
                } else if answer["resync"] == true {
                    self.told_by_earlier_join(&contact);
                }
            }
            _ => {}
        }
    }

    /// A reload is told once, and what comes after it has offsets that count it as done. So it is to be done although the answer
    /// is of a join that was begun anew meanwhile: one that was sent on this connection before it was known here.
    fn told_by_earlier_join(&mut self, contact: &str) {
        let mut view = self.view();
        view.resyncs += 1;
        view.note(&format!("an earlier join of {contact} answers resync"));
        view.reasons
            .push(format!("{contact}: said an earlier join"));
        view.rooms.entry(contact.to_owned()).or_default().reload = true;
    }

    fn connected(&mut self, recovered: bool) {
        self.greeted = false;
        let enter = self.view().connected(recovered);
        for (contact, first) in enter {
            if first {
                self.join(&contact);
            } else {
                self.enter(&contact);
            }
        }
    }

    fn event(&mut self, report: &Value) {
        let name = report["event"].as_str().unwrap_or_default();
        let arguments = report["args"].as_array().expect("arguments");
        let payload = arguments.first().unwrap_or(&Value::Null);
        let offset = arguments.last().and_then(Value::as_str);
        let first = !std::mem::replace(&mut self.greeted, true);
        let contact = payload["contactId"].as_str().unwrap_or_default();
        let key = match name {
            "rowcast:ready" if first && offset.is_some() => return,
            "rowcast:resync" if !first && offset.is_none() => {
                {
                    let mut view = self.view();
                    view.resyncs += 1;
                    view.reasons
                        .push(format!("{contact}: {}", payload["reason"]));
                }
                if self.room(contact, |room| {
                    room.reload = true;
                    room.phase != Phase::Out
                }) {
                    self.enter(contact);
                }
                return;
            }
            "rowcast:left" if self.pass.is_some() => return self.put_out(payload),
            "message:new" => payload["message"]["id"].as_str().map(Key::new),
            "message:status" => {
                let (id, status) = (payload["messageId"].as_str(), payload["status"].as_str());
                id.zip(status).map(|(id, status)| Key::status(id, status))
            }
            _ => None,
        };
        self.check_right(contact, report);
        let has_pass = self.pass.is_some();
        let mut view = self.view();
        let Some((room, offset)) = view.rooms.get_mut(contact).zip(offset) else {
            view.odd.push(format!("no room, or no offset: {report}"));
            return;
        };
        room.stored(offset);
        match key {
            Some(key) if !first => {
                room.arrivals.push(key);
                if has_pass {
                    room.seen.push((key, Instant::now()));
                }
                view.events += 1;
            }
            None if name == "fence" => room.fences += 1,
            _ => view
                .odd
                .push(format!("unexpected, or before `ready`: {report}")),
        }
    }

    /// Leaves, whether it is in or not, and then joins: so nothing comes twice whatever became of an earlier attempt.
    fn enter(&mut self, contact: &str) {
        self.room(contact, |room| room.phase = Phase::Leaving);
        self.ask("leave:conversation", contact, &json!(contact));
    }

    fn join(&mut self, contact: &str) {
        let after = self.room(contact, |room| {
            room.phase = Phase::Joining;
            room.stored_before = room.stored;
            room.last.clone()
        });
        let argument = match after {
            Some(after) => json!({"contactId": contact, "after": after}),
            None => json!({"contactId": contact}),
        };
        self.ask("join:conversation", contact, &argument);
    }

    fn answer(&mut self, contact: &str, answer: &Value) {
        let has = self.room(contact, |room| room.arrivals.len());
        let turn = format!("answered on {contact} with {has} events of it: {answer}");
        self.view().journal.note(turn);
        let (phase, reload) = self.room(contact, |room| (room.phase, room.reload));
        if answer["ok"] != true {
            if self.pass.is_some() && answer["error"]["code"] == "forbidden" {
                return self.not_let_in(contact);
            }
            if answer["error"]["code"] != "unavailable" {
                self.view()
                    .odd
                    .push(format!("{phase:?} {contact}: {answer}"));
            }
            if phase != Phase::Out {
                self.again.insert(contact.to_owned());
            }
            return;
        }
        match phase {
            Phase::Leaving if reload => self.load_history(contact),
            Phase::Leaving => self.join(contact),
            Phase::Joining if answer["resync"] == true => {
                {
                    let mut view = self.view();
                    view.resyncs += 1;
                    view.reasons.push(format!("{contact}: said the join"));
                }
                self.room(contact, |room| room.reload = true);
                self.enter(contact);
            }
            Phase::Joining => {
                let wrong = self.room(contact, |room| {
                    room.phase = Phase::In;
                    room.joins += 1;
                    room.last = answer["offset"].as_str().map(str::to_owned);
                    let came = room.stored - room.stored_before;
                    // Live events may follow the replayed ones while the membership is being stored.
                    let replayed = answer["replayed"].as_u64();
                    let right = replayed.is_some_and(|replayed| replayed <= came);
                    (!right || room.last.is_none()).then_some(came)
                });
                if let Some(came) = wrong {
                    let odd = format!("{came} events came before this ack of {contact}: {answer}");
                    self.view().odd.push(odd);
                }
            }
            _ => {}
        }
    }

    /// It has left the room, and wants its history.
    fn load_history(&mut self, contact: &str) {
        let attempt = self.room(contact, |room| room.attempt);
        let is_on_its_way = self.waiting.insert(contact.to_owned(), attempt).is_some();
        if self.loaded.contains_key(contact) {
            return self.use_history(contact);
        }
        if is_on_its_way {
            return;
        }
        let (address, contact) = (self.address.clone(), contact.to_owned());
        let (pass, pages) = (self.pass.clone(), Arc::clone(&self.view().pages));
        self.loading.spawn(async move {
            let history = history::load(&address, &contact, pass.as_ref(), &pages).await;
            (contact, history)
        });
    }

    /// Goes on with a history that is there, if the room is left and nothing else was begun with it.
    fn use_history(&mut self, contact: &str) {
        let attempt = self.room(contact, |room| room.attempt);
        if self.waiting.get(contact) != Some(&attempt) {
            return;
        }
        self.waiting.remove(contact);
        let Some(history) = self.loaded.remove(contact) else {
            return;
        };
        match history {
            Ok((base, offset)) => {
                self.room(contact, |room| {
                    room.arrivals.clear();
                    room.base = base;
                    room.last = Some(offset);
                    room.reload = false;
                });
                self.join(contact);
            }
            Err(failure) => {
                self.view().journal.note(failure);
                self.again.insert(contact.to_owned());
            }
        }
    }

    fn ask(&mut self, event: &str, contact: &str, argument: &Value) {
        self.acks += 1;
        let attempt = self.room(contact, |room| {
            room.attempt += 1;
            room.attempt
        });
        let has = self.room(contact, |room| room.arrivals.len());
        let offset = argument["after"].as_str().unwrap_or_default();
        let turn = format!("asks {event} {contact} {offset} with {has} events of it");
        self.view().journal.note(turn);
        self.asked.insert(self.acks, (contact.to_owned(), attempt));
        self.line.emit(event, argument, self.acks);
    }

    fn room<T>(&self, contact: &str, act: impl FnOnce(&mut Room) -> T) -> T {
        act(self.view().rooms.entry(contact.to_owned()).or_default())
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().expect("unpoisoned")
    }
}
