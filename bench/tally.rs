//! What arrived, held against what had to: every row of a client's room, once.

use std::fmt;

use crate::client::Delivery;

/// Counts over all clients.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) expected: u64,
    pub(crate) lost: u64,
    doubled: u64,
    astray: u64,
}

impl Tally {
    /// Counts one client of that room. The rows from 0 to `rows` went into the rooms in turn.
    pub(crate) fn add(&mut self, room: u32, rooms: u32, rows: u32, deliveries: &[Delivery]) {
        let mut times = vec![0_u32; rows as usize];
        for delivery in deliveries {
            match times.get_mut(delivery.row as usize) {
                Some(times) if delivery.row % rooms == room => *times += 1,
                _ => self.astray += 1,
            }
        }
        for times in times.iter().skip(room as usize).step_by(rooms as usize) {
            self.expected += 1;
            self.lost += u64::from(*times == 0);
            self.doubled += u64::from(times.saturating_sub(1));
        }
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
