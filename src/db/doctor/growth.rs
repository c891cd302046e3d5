//! What grows: events that can't be sent, the outbox with its dead rows, and the resume sessions.

use serde::Deserialize;

use super::units::{lasting, sized};
use super::{Doctor, Finding};
use crate::db::vacuum::MANY_DEAD;

/// Events without a room, of those that are still stored; counted up to a bound.
const WITHOUT_ROOM: &str = "
select coalesce(source, 'rowcast.emit') as source, count(*) as events
from (select source from rowcast.events where room is null order by xid desc limit 1000) e
group by 1 order by 2 desc";

const OUTBOX: &str = "
select greatest(c.reltuples, 0)::float8 as rows, pg_total_relation_size(c.oid)::float8 as bytes,
       coalesce(s.n_dead_tup, 0)::float8 as dead, coalesce(s.n_live_tup, 0)::float8 as live,
       current_setting('autovacuum')::bool as autovacuum,
       coalesce((select option_value::bool from pg_options_to_table(c.reloptions) where option_name = 'autovacuum_enabled'), true) as vacuumed,
       extract(epoch from clock_timestamp() - (select at from rowcast.events order by id limit 1))::float8 as oldest
from pg_class c join pg_namespace n on n.oid = c.relnamespace
left join pg_stat_all_tables s on s.relid = c.oid
where n.nspname = 'rowcast' and c.relname = 'events'";

const SESSIONS: &str = "
select greatest(c.reltuples, 0)::float8 as rows, pg_total_relation_size(c.oid)::float8 as bytes,
       coalesce(s.n_dead_tup, 0)::float8 as dead, coalesce(s.n_live_tup, 0)::float8 as live
from pg_class c join pg_namespace n on n.oid = c.relnamespace
left join pg_stat_all_tables s on s.relid = c.oid
where n.nspname = 'rowcast' and c.relname = 'sessions'";

/// How much older than the retention an event may be: the grace of pruning, and a round of it.
const LATE_S: f64 = 600.0;

impl Doctor {
    pub(super) async fn capture_errors(&mut self) {
        #[derive(Deserialize)]
        struct Without {
            source: String,
            events: i64,
        }
        let asked = self.rows(WITHOUT_ROOM).await;
        let found = asked.map(|without: Vec<Without>| {
            if without.is_empty() {
                return vec![Finding::ok("capture", "every event has a room")];
            }
            let line = |Without { source, events }: Without| {
                let said = format!("{events} events of {source} have no room");
                let means = "A column that the room is made of is null or too long in these rows, so nobody is told of them.";
                Finding::warning("capture", said, means)
                    .paste("select source, data, at from rowcast.events where room is null order by id desc limit 5;")
            };
            without.into_iter().map(line).collect()
        });
        self.conclude("capture", found);
    }

    pub(super) async fn outbox(&mut self) {
        let asked = self.row(OUTBOX).await;
        let retention = self.retention.as_secs_f64();
        let found = asked.map(|outbox: Outbox| outbox.findings(retention));
        self.conclude("outbox", found);
    }

    pub(super) async fn sessions(&mut self) {
        #[derive(Deserialize)]
        struct Sessions {
            rows: f64,
            bytes: f64,
            dead: f64,
            live: f64,
        }
        let asked = self.row(SESSIONS).await;
        let found = asked.map(|sessions: Sessions| {
            let rows = sessions.rows.max(sessions.live);
            let said = format!("{rows:.0} resume sessions, {}", sized(sessions.bytes));
            vec![if sessions.dead > MANY_DEAD && sessions.dead > sessions.live {
                Finding::warning(
                    "sessions",
                    format!("{:.0} dead rows beside {rows:.0} resume sessions", sessions.dead),
                    "Vacuum can't remove them while an old transaction may still see them (see held_xmin), or does not keep up.",
                )
                .paste("vacuum (verbose) rowcast.sessions;")
            } else {
                Finding::ok("sessions", said)
            }]
        });
        self.conclude("sessions", found);
    }
}

#[derive(Deserialize)]
struct Outbox {
    rows: f64,
    bytes: f64,
    dead: f64,
    live: f64,
    autovacuum: bool,
    vacuumed: bool,
    oldest: Option<f64>,
}

impl Outbox {
    fn findings(&self, retention: f64) -> Vec<Finding> {
        let found = [self.unpruned(retention), self.bloated(), self.unvacuumed()];
        let mut findings: Vec<_> = found.into_iter().flatten().collect();
        if findings.is_empty() {
            let since = match self.oldest {
                Some(oldest) => format!(", the oldest from {} ago", lasting(oldest)),
                None => String::new(),
            };
            let (rows, bytes) = (self.rows.max(self.live), sized(self.bytes));
            findings.push(Finding::ok(
                "outbox",
                format!("about {rows:.0} events, {bytes}{since}"),
            ));
        }
        findings
    }

    fn unpruned(&self, retention: f64) -> Option<Finding> {
        let oldest = self.oldest.filter(|oldest| *oldest > retention + LATE_S)?;
        let said = format!(
            "the oldest event is {} old; ROWCAST_RETENTION is {}",
            lasting(oldest),
            lasting(retention)
        );
        let means = "Nobody removes old events: no server runs, it may not delete, it is set to a longer retention, or a \
             transaction has been open since then.";
        let paste = "select id, at, xid from rowcast.events order by id limit 5;";
        Some(Finding::warning("outbox", said, means).paste(paste))
    }

    fn bloated(&self) -> Option<Finding> {
        let (dead, live) = (self.dead, self.live);
        let said = format!(
            "{dead:.0} dead rows beside {live:.0} events, {}",
            sized(self.bytes)
        );
        let means = "Vacuum can't remove them while an old transaction may still see them (see held_xmin), or does not keep up. \
             Pruning reads past them each time.";
        (dead > MANY_DEAD && dead > live).then(|| {
            Finding::warning("outbox", said, means).paste("vacuum (verbose) rowcast.events;")
        })
    }

    fn unvacuumed(&self) -> Option<Finding> {
        let paste = match (self.vacuumed, self.autovacuum) {
            (true, true) => return None,
            (false, _) => "alter table rowcast.events reset (autovacuum_enabled);",
            (true, false) => "alter system reset autovacuum; -- then: select pg_reload_conf();",
        };
        let means = "Removed events keep their space, and the table grows for ever.";
        Some(Finding::warning("outbox", "autovacuum is off", means).paste(paste))
    }
}
