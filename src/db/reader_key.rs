//! Who else holds the advisory key of the readers that sleep (`numbers`).
//!
//! Any role may take an advisory lock. While somebody has this one for themselves, readers poll, and writers notify each time;
//! nothing is lost. Whoever shares it makes writers notify also where no reader sleeps.

use super::lock_holder::{LockHolder, holder_columns};
use super::numbers::sleeping_reader_key;

/// Who has the key so that no reader can: one row at most.
pub(super) const KEY_HOLDER: &str = concat!(
    "select ",
    holder_columns!(),
    "
     from pg_locks l left join pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'advisory' and l.mode = 'ExclusiveLock' and l.granted and l.objsubid = 2
       and (l.classid::int8, l.objid::int8) = (",
    sleeping_reader_key!(),
    ") and l.database = (select oid from pg_database where datname = current_database())
     order by holder limit 1"
);

/// Who shares the key and is no reader.
pub(super) const KEY_SHARERS: &str = concat!(
    "select ",
    holder_columns!(),
    "
     from pg_locks l left join pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'advisory' and l.mode = 'ShareLock' and l.granted and l.objsubid = 2
       and (l.classid::int8, l.objid::int8) = (",
    sleeping_reader_key!(),
    ") and l.database = (select oid from pg_database where datname = current_database())
       and a.application_name is distinct from 'rowcast reader'
     order by holder limit 5"
);

/// Says in one line who keeps the key from readers.
pub(super) fn key_line(holder: &LockHolder) -> String {
    let LockHolder { who, remedy, .. } = holder;
    format!(
        "{who} holds the advisory lock ({}) of sleeping readers, so they poll instead, and every writer notifies: {remedy}",
        sleeping_reader_key!()
    )
}
