//! Merges the newest messages of several tables into one page. No I/O.
//!
//! Guarantees the order: by time where tables have one, and tables without a time before those with one. The page ends where
//! a table's list ends that was cut short, because an unread message of that table could come next.

use std::cmp::Ordering;
use std::collections::VecDeque;

use serde_json::value::RawValue;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

/// A message of one table.
#[derive(Debug)]
pub(super) struct Message {
    /// In microseconds; `None` is the latest.
    time: Option<i64>,
    body: Box<RawValue>,
}

impl Message {
    pub(super) fn read(row: &PgRow) -> sqlx::Result<Self> {
        let body: String = row.try_get("body")?;
        Ok(Self {
            time: row.try_get("time")?,
            body: RawValue::from_string(body).map_err(|error| sqlx::Error::Decode(error.into()))?,
        })
    }
}

/// The newest messages of one table, the newest first.
#[derive(Debug)]
pub(super) struct List {
    pub(super) messages: VecDeque<Message>,
    /// Whether the table has more than these.
    pub(super) more: bool,
    /// Whether its messages have a place in time among those of other tables.
    pub(super) timed: bool,
}

impl List {
    /// Which of two lists goes on with the newer message, where both do. Among equals the later table is the newer one.
    fn newer(&self, other: &Self) -> Ordering {
        let time = |list: &Self| list.messages.front().and_then(|message| message.time);
        self.timed.cmp(&other.timed).then_with(|| {
            if !self.timed {
                return Ordering::Equal;
            }
            match (time(self), time(other)) {
                (Some(a), Some(b)) => a.cmp(&b),
                (a, b) => a.is_none().cmp(&b.is_none()),
            }
        })
    }
}

/// The newest `limit` messages of all, the newest last, and whether there are more. Ends early beyond `max_bytes`, and where
/// a list ends that does not hold all of its table's.
pub(super) fn newest(
    mut lists: Vec<List>,
    limit: usize,
    max_bytes: usize,
) -> (Vec<Box<RawValue>>, bool) {
    let (mut page, mut bytes) = (Vec::new(), 0);
    let mut cut = false;
    while page.len() < limit && bytes < max_bytes {
        cut = lists
            .iter()
            .any(|list| list.more && list.messages.is_empty());
        let going = lists.iter_mut().filter(|list| !list.messages.is_empty());
        let next = going.max_by(|a, b| a.newer(b));
        let Some(message) = next
            .filter(|_| !cut)
            .and_then(|list| list.messages.pop_front())
        else {
            break;
        };
        bytes += message.body.get().len();
        page.push(message.body);
    }
    page.reverse();
    let left = lists
        .iter()
        .any(|list| list.more || !list.messages.is_empty());
    (page, cut || left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(timed: bool, more: bool, messages: &[(Option<i64>, &str)]) -> List {
        let message = |(time, text): &(Option<i64>, &str)| Message {
            time: *time,
            body: RawValue::from_string(format!("{text:?}")).expect("JSON"),
        };
        List {
            messages: messages.iter().map(message).collect(),
            more,
            timed,
        }
    }

    fn merged(lists: Vec<List>, limit: usize, max_bytes: usize) -> (String, bool) {
        let (page, more) = newest(lists, limit, max_bytes);
        let texts: Vec<_> = page
            .iter()
            .map(|body| body.get().trim_matches('"'))
            .collect();
        (texts.concat(), more)
    }

    #[test]
    fn tables_are_merged_by_time_and_the_later_table_is_newer_among_equals() {
        let lists = || {
            vec![
                list(true, false, &[(None, "e"), (Some(3), "c"), (Some(1), "a")]),
                list(false, false, &[(None, "y"), (None, "x")]),
                list(true, false, &[(Some(3), "d"), (Some(2), "b")]),
            ]
        };
        assert_eq!(merged(lists(), 9, 99), ("xyabcde".to_owned(), false));
        assert_eq!(merged(lists(), 7, 99), ("xyabcde".to_owned(), false));
        assert_eq!(merged(lists(), 6, 99), ("yabcde".to_owned(), true));
        assert_eq!(merged(lists(), 1, 99), ("e".to_owned(), true));
        assert_eq!(merged(lists(), 9, 4), ("de".to_owned(), true));
        assert_eq!(merged(Vec::new(), 9, 99), (String::new(), false));
    }

    #[test]
    fn nothing_is_skipped_where_a_list_was_cut() {
        let cut = list(true, true, &[(Some(5), "e")]);
        let whole = list(true, false, &[(Some(6), "f"), (Some(1), "a")]);
        assert_eq!(merged(vec![cut, whole], 9, 99), ("ef".to_owned(), true));
    }
}
