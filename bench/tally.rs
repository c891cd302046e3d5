//! What arrived, held against what had to: every row of a client's room, once.

use std::fmt;
use std::ops::Range;

use crate::client::{Delivery, Heard};
use crate::report::Figure;

/// Counts over all clients.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) expected: u64,
    pub(crate) lost: u64,
    doubled: u64,
    astray: u64,
}

impl Tally {
    /// Of clients that were in one of the rooms each, into which the rows from 0 to `rows` went in turn.
    pub(crate) fn of(heard: &[Heard], rooms: u32, rows: u32) -> Self {
        let mut tally = Self::default();
        for client in heard {
            tally.add(client.room, rooms, rows, &client.deliveries);
        }
        tally
    }

    /// Counts one client of that room. The rows from 0 to `rows` went into the rooms in turn.
    pub(crate) fn add(&mut self, room: u32, rooms: u32, rows: u32, deliveries: &[Delivery]) {
        self.add_of(0..rows, |row| row % rooms == room, deliveries);
    }

    /// Counts one client that must get those of the rows that are in its room, and none else.
    pub(crate) fn add_of(
        &mut self,
        rows: Range<u32>,
        is_in_room: impl Fn(u32) -> bool,
        deliveries: &[Delivery],
    ) {
        let mut times = vec![0_u32; rows.len()];
        for delivery in deliveries {
            let place = delivery.row.checked_sub(rows.start);
            match place.and_then(|place| times.get_mut(place as usize)) {
                Some(times) if is_in_room(delivery.row) => *times += 1,
                _ => self.astray += 1,
            }
        }
        for (_, times) in rows.zip(times).filter(|(row, _)| is_in_room(*row)) {
            self.expected += 1;
            self.lost += u64::from(times == 0);
            self.doubled += u64::from(times.saturating_sub(1));
        }
    }

    /// Counts clients of whom it is only known how much they got.
    pub(crate) fn add_counts(&mut self, expected: u64, received: u64) {
        self.expected += expected;
        self.lost += expected.saturating_sub(received);
        self.doubled += received.saturating_sub(expected);
    }

    /// What must be none, as figures of that part.
    pub(crate) fn figures(&self, part: &str) -> [Figure; 2] {
        [
            Figure::none(format!("{part}: lost"), self.lost),
            Figure::none(
                format!("{part}: doubled or in the wrong room"),
                self.too_much(),
            ),
        ]
    }

    /// Deliveries that should not have been.
    pub(crate) fn too_much(&self) -> u64 {
        self.doubled + self.astray
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "of {} lost {}, doubled {}, astray {}",
            self.expected, self.lost, self.doubled, self.astray
        )
    }
}
