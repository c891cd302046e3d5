//! A join with an offset: what the room got since is sent before the client is in it.
//!
//! The client's other rooms go on meanwhile. So each event of this one carries an offset with the room apart from the others
//! ([`Aside`]), which stays exact wherever the connection is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::{Ahead, Ended, Replay};
use crate::event::{Event, Room};
use crate::gateway::client::Client;
use crate::gateway::hub::Approach;
use crate::gateway::outgoing::Outgoing;
use crate::gateway::outlet::Delivery;
use crate::gateway::protocol::Refusal;
use crate::offset::{Aside, Offset, Seen};

/// How a join with an offset went.
pub(in crate::gateway) enum Caught {
    /// The client is in the room, after so many events.
    Up(u64),
    /// It can't be told what was missed.
    Lost,
    Gone,
}

impl Replay {
    /// Walks a client that has seen `after` of a room to the broadcast, and into the room.
    pub(in crate::gateway) async fn join(
        &self,
        client: &Arc<Client>,
        room: &Room,
        after: &Offset,
    ) -> Result<Caught, Refusal> {
        let mut seen = after.seen.clone();
        let (mut replayed, mut last) = (0, None);
        let mut ahead = Ahead::of(&self.hub);
        loop {
            match self
                .hub
                .approach(client, room, &seen, after, last.as_ref())?
            {
                Approach::In => return Ok(Caught::Up(replayed)),
                Approach::Already(true) => return Ok(Caught::Up(0)),
                // What it missed before it was in can't come after what it got since.
                Approach::Already(false) => return Ok(Caught::Lost),
                Approach::Gone => return Ok(Caught::Gone),
                Approach::Lost => return Ok(Caught::Lost),
                Approach::Wait | Approach::Behind if client.outlet.has_ended() => {
                    return Ok(Caught::Gone);
                }
                Approach::Wait => {
                    if ahead.wait().await {
                        continue;
                    }
                    return Ok(Caught::Lost);
                }
                Approach::Behind => sleep(Duration::from_millis(20)).await,
                Approach::Step(mut towards) => {
                    let (events, upto) = match towards.events.take() {
                        Some(events) => (events, None),
                        None => {
                            let rooms = vec![room.clone()];
                            let Ok(read) = self.read(client, rooms, &towards).await else {
                                return Ok(Caught::Gone);
                            };
                            if after.proves(&seen, &read.present).is_err() {
                                return Ok(Caught::Lost);
                            }
                            let own = read.events.iter();
                            let own = own.filter(|event| {
                                event.room == *room && towards.step.holds(event.xid, event.id)
                            });
                            (own.cloned().collect(), towards.reached(read.upto))
                        }
                    };
                    let count = events.len();
                    for (index, event) in events.into_iter().enumerate() {
                        let ends = upto.is_none() && index + 1 == count;
                        let here = towards.offset((!ends).then_some(event.id));
                        if self
                            .send_aside(client, room, event, &here.seen)
                            .await
                            .is_err()
                        {
                            return Ok(Caught::Gone);
                        }
                        last = Some(Arc::new(here));
                    }
                    replayed += count as u64;
                    self.hub.metrics.replayed.inc_by(count as u64);
                    seen = towards.offset(upto).seen;
                }
            }
            ahead.reached();
        }
    }

    /// Sends an event of a room that is being joined, while the client's other rooms are where they are.
    async fn send_aside(
        &self,
        client: &Arc<Client>,
        room: &Room,
        event: Arc<Event>,
        seen: &Seen,
    ) -> Result<(), Ended> {
        self.paced(client, || {
            // The others can't go on between the look and the sending.
            let mut stream = client.stream();
            let aside = Aside {
                room: room.tag(),
                seen: seen.clone(),
            };
            let offset = Offset {
                aside: Some(Box::new(aside)),
                ..(*stream.sent).clone()
            };
            let outgoing = Outgoing::stored(event.clone(), offset.pack());
            let delivery = client.outlet.send(&outgoing);
            if delivery == Delivery::Sent {
                stream.told = Some(Arc::new(offset));
            }
            delivery
        })
        .await
    }
}
