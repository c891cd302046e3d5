//! Who else holds the advisory key of the readers that sleep (`numbers`).
//!
//! Any role may take an advisory lock. While somebody has this one for themselves, readers poll, and writers notify each time;
//! nothing is lost. Whoever shares it makes writers notify also where no reader sleeps.

use super::numbers::sleeping_reader_key;

/// Who has the key so that no reader can: one row at most.
pub(super) const KEY_HOLDER: &str = concat!(
    "select l.pid, coalesce(a.usename::text, '') as role, coalesce(a.application_name, '') as application
     from pg_locks l left join pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'advisory' and l.mode = 'ExclusiveLock' and l.granted and l.objsubid = 2
       and (l.classid::int8, l.objid::int8) = (",
    sleeping_reader_key!(),
    ") and l.database = (select oid from pg_database where datname = current_database())
     order by l.pid limit 1"
);

/// Who shares the key and is no reader.
pub(super) const KEY_SHARERS: &str = concat!(
    "select l.pid, coalesce(a.usename::text, '') as role, coalesce(a.application_name, '') as application
     from pg_locks l left join pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'advisory' and l.mode = 'ShareLock' and l.granted and l.objsubid = 2
       and (l.classid::int8, l.objid::int8) = (",
    sleeping_reader_key!(),
    ") and l.database = (select oid from pg_database where datname = current_database())
       and a.application_name <> 'rowcast reader'
     order by l.pid limit 5"
);

/// A session that holds it.
#[derive(serde::Deserialize, Clone, Debug)]
pub(super) struct KeyHolder {
    pub(super) pid: i32,
    role: String,
    application: String,
}

impl KeyHolder {
    /// Who it is.
    pub(super) fn said(&self) -> String {
        let Self {
            pid,
            role,
            application,
        } = self;
        format!("pid {pid} (role {role:?}, application {application:?})")
    }

    /// The statement that mends it.
    pub(super) fn remedy(&self) -> String {
        format!("select pg_terminate_backend({});", self.pid)
    }

    /// Says all of it in one line.
    pub(super) fn line(&self) -> String {
        format!(
            "{} holds the advisory lock ({}) of sleeping readers, so they poll instead, and every writer notifies: {}",
            self.said(),
            sleeping_reader_key!(),
            self.remedy()
        )
    }
}
