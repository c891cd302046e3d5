//! What others do to the cluster that hurts us: transactions that hold back vacuum, a NOTIFY queue that fills up, a disk that does,
//! a clock that differs, connections that run out.

use std::path::Path;

use serde::Deserialize;
use tokio::time::Instant;

use super::units::{lasting, sized};
use super::{Doctor, Finding, Unanswered};
use crate::db::disk::{FILL_PAGES, MAKE_ROOM, NO_ROOM_MEANS, SMALL_MEMORY};
use crate::db::fault::NO_ROOM;
use crate::db::pools::SERVER_CONNECTIONS;
use crate::db::vacuum::HOLDERS;

/// A transaction that is open for longer than this, or than the retention where that is shorter, is an old one.
const OLD_S: f64 = 300.0;

/// What holds vacuum back without a clock counts by transactions: a slot that is used moves on.
const MANY_TRANSACTIONS: u32 = 100_000;

/// Who keeps vacuum from removing what is dead, for how long, oldest first.
fn old_holders(limit_s: f64) -> String {
    format!(
        "select * from ({HOLDERS}) holders
         where seconds > {limit_s} or seconds is null and transactions > {MANY_TRANSACTIONS}
         order by seconds desc nulls last, transactions desc limit 5"
    )
}

/// How full the queue is, and the transactions that may hold it: a session that listens moves on only between its transactions.
const QUEUE: &str = "
select pg_notification_queue_usage() as usage,
       array(select format('pid %s, %s, %s, in a transaction for %s s', pid, usename, coalesce(nullif(application_name, ''), 'without a name'),
                           round(extract(epoch from clock_timestamp() - xact_start)))
             from pg_stat_activity where xact_start < clock_timestamp() - interval '10 s' and backend_type = 'client backend'
             order by xact_start limit 3) as who,
       (select format('select pg_terminate_backend(%s);', pid) from pg_stat_activity
        where xact_start < clock_timestamp() - interval '10 s' and backend_type = 'client backend' order by xact_start limit 1) as remedy";

const CONNECTIONS: &str = "
select current_setting('max_connections')::int8 as allowed,
       current_setting('superuser_reserved_connections')::int8 + coalesce(current_setting('reserved_connections', true)::int8, 0) as reserved,
       (select count(*) from pg_stat_activity where backend_type in ('client backend', 'background worker') or backend_type is null) as used,
       (select count(*) from pg_stat_activity where usename = current_user and datname is not null) as of_role,
       (select count(*) from pg_stat_activity where datname = current_database() and application_name = 'rowcast reader') as servers,
       (select rolconnlimit::int8 from pg_roles where rolname = current_user) as role_limit,
       (select datconnlimit::int8 from pg_database where datname = current_database()) as database_limit,
       quote_ident(current_user) as role, quote_ident(current_database()) as database";

#[derive(Deserialize)]
struct Connections {
    allowed: i64,
    reserved: i64,
    used: i64,
    of_role: i64,
    servers: i64,
    role_limit: i64,
    database_limit: i64,
    role: String,
    database: String,
}

/// Whether the role is shown for how long sessions of other roles have been in a transaction.
const SIGHT: &str = "
select quote_ident(current_user) as role, pg_has_role('pg_read_all_stats', 'usage') as sees_others";

#[derive(Deserialize)]
struct Sight {
    role: String,
    sees_others: bool,
}

impl Sight {
    /// What may be said where nobody was found.
    fn nobody(&self) -> String {
        let Self { role, sees_others } = self;
        if *sees_others {
            return "nobody holds back vacuum for long".to_owned();
        }
        format!(
            "for how long others hold back vacuum is hidden from {role}: grant pg_read_all_stats to {role};"
        )
    }
}

impl Doctor {
    pub(super) async fn held_xmin(&mut self) {
        #[derive(Deserialize)]
        struct Holder {
            who: String,
            seconds: Option<f64>,
            transactions: Option<f64>,
            remedy: String,
        }
        let sight = match self.row::<Sight>(SIGHT).await {
            Ok(sight) => sight,
            Err(why) => return self.conclude("held_xmin", Err(why)),
        };
        let limit = self.retention.as_secs_f64().min(OLD_S);
        let asked = self.rows(&old_holders(limit)).await;
        let found = asked.map(|holders: Vec<Holder>| {
            if holders.is_empty() {
                return vec![Finding::ok("held_xmin", sight.nobody())];
            }
            let line = |holder: Holder| {
                let transactions = holder.transactions.unwrap_or_default();
                let said = match holder.seconds {
                    Some(seconds) => format!("{}: a transaction open for {}", holder.who, lasting(seconds)),
                    None => format!("{}: {transactions:.0} transactions ago", holder.who),
                };
                let means = "Vacuum can't remove what died since then, here and in every table of the database; the outbox grows.";
                Finding::warning("held_xmin", said, means).paste(holder.remedy)
            };
            holders.into_iter().map(line).collect()
        });
        self.conclude("held_xmin", found);
    }

    pub(super) async fn notify_queue(&mut self) {
        #[derive(Deserialize)]
        struct Queue {
            usage: f64,
            who: Vec<String>,
            remedy: Option<String>,
        }
        let asked = self.row(QUEUE).await;
        let found = asked.map(|queue: Queue| {
            let percent = queue.usage * 100.0;
            let said = format!("the NOTIFY queue is {percent:.1} % full");
            if queue.usage < 0.01 {
                return vec![Finding::ok("notify_queue", said)];
            }
            let who = if queue.who.is_empty() {
                "Nobody is seen in a long transaction; grant pg_read_all_stats to see others' sessions".to_owned()
            } else {
                queue.who.join("; ")
            };
            let means = format!("A session that listens and stays in a transaction keeps the queue from being emptied. When it is full, every commit that notifies fails. {who}.");
            let finding = if queue.usage < 0.5 {
                Finding::warning("notify_queue", said, means)
            } else {
                Finding::failure("notify_queue", said, means)
            };
            vec![finding.paste(queue.remedy.unwrap_or_default())]
        });
        self.conclude("notify_queue", found);
    }

    /// What SQL tells of the disk, and, on the same machine, what the file system does.
    pub(super) async fn disk(&mut self) {
        #[derive(Deserialize)]
        struct Disk {
            database: f64,
            folder: Option<String>,
        }
        let local = self.local;
        let filled = self.rows_after::<serde::de::IgnoredAny>(SMALL_MEMORY, FILL_PAGES);
        if let Err(Unanswered(why)) = filled.await
            && why.ends_with(NO_ROOM)
        {
            return self.add(Finding::failure("disk", why, NO_ROOM_MEANS).paste(MAKE_ROOM));
        }
        let asked = self
            .row("select pg_database_size(current_database())::float8 as database,
                         case when (select pg_has_role(oid, 'usage') from pg_roles where rolname = 'pg_read_all_settings')
                              then current_setting('data_directory', true) end as folder")
            .await;
        let found = asked.map(|disk: Disk| {
            let said = format!("the database has {}", sized(disk.database));
            let folder = disk.folder.filter(|folder| local && Path::new(folder).is_dir());
            let Some((free, all)) = folder.as_deref().and_then(space) else {
                return vec![Finding::ok("disk", format!("{said}; how much is free can't be asked by SQL"))];
            };
            let folder = folder.unwrap_or_default();
            let said = format!("{said}; {} of {} are free in {folder}", sized(free), sized(all));
            let means = "A full disk stops every write: of your back end, and of joins, which are refused then.";
            let paste = "select relname, pg_size_pretty(pg_total_relation_size(oid)) from pg_class where relkind in ('r', 'm') order by pg_total_relation_size(oid) desc limit 10;";
            vec![if free < 100e6 || free < all * 0.01 {
                Finding::failure("disk", said, means).paste(paste)
            } else if free < 1e9 || free < all * 0.05 {
                Finding::warning("disk", said, means).paste(paste)
            } else {
                Finding::ok("disk", said)
            }]
        });
        self.conclude("disk", found);
    }

    /// The difference between the database's clock and this machine's, to within a round trip.
    pub(super) async fn clock(&mut self) {
        #[derive(Deserialize)]
        struct Clock {
            now: f64,
        }
        let before = (std::time::SystemTime::now(), Instant::now());
        let asked = self
            .row("select extract(epoch from clock_timestamp())::float8 as now")
            .await;
        let took = before.1.elapsed();
        let found = asked.map(|Clock { now }| {
            let ours = before
                .0
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap_or_default()
                + took / 2;
            let ahead = now - ours.as_secs_f64();
            let unsure = took.as_secs_f64() / 2.0;
            let difference = (ahead.abs() - unsure).max(0.0);
            let which = if ahead > 0.0 { "ahead of" } else { "behind" };
            vec![if difference > 2.0 {
                let said = format!("the database's clock is {} {which} this machine's", lasting(difference));
                let means = "rowcast_commit_to_broadcast_seconds is off by as much, and times that clients compare are.";
                Finding::warning("clock", said, means).paste("timedatectl status # on both machines")
            } else {
                Finding::ok("clock", "the same as the database's, within 2 s")
            }]
        });
        self.conclude("clock", found);
    }

    pub(super) async fn connections(&mut self) {
        let asked = self.row(CONNECTIONS).await;
        let found = asked.map(|found: Connections| vec![connections(&found)]);
        self.conclude("connections", found);
    }
}

/// The tightest of the limits decides.
fn connections(found: &Connections) -> Finding {
    let need = i64::from(SERVER_CONNECTIONS);
    let said = format!(
        "{} of {} are used; a server takes up to {need}",
        found.used,
        found.allowed - found.reserved
    );
    let means = format!(
        "A server takes up to {need} connections, opened when they are needed. Where it gets no more, history and joins are answered with `unavailable`."
    );
    let wanted = need * found.servers.max(1);
    let limits = [
        (
            found.role_limit,
            "role",
            format!("alter role {} connection limit {};", found.role, wanted + 5),
        ),
        (
            found.database_limit,
            "database",
            format!(
                "alter database {} connection limit {};",
                found.database,
                wanted + 5
            ),
        ),
    ];
    for (limit, whose, remedy) in limits {
        if limit >= 0 && limit < wanted {
            let said = format!(
                "the {whose} may have {limit} connections, {} are open, and {} take up to {wanted}",
                found.of_role,
                if found.servers > 1 {
                    "its servers"
                } else {
                    "a server"
                }
            );
            return Finding::warning("connections", said, means).paste(remedy);
        }
    }
    let free = found.allowed - found.reserved - found.used;
    let remedy = "select application_name, usename, count(*) from pg_stat_activity group by 1, 2 order by 3 desc;";
    if free <= 0 {
        Finding::failure("connections", said, means).paste(remedy)
    } else if free < need && found.servers == 0 || free < 5 {
        Finding::warning("connections", said, means).paste(remedy)
    } else {
        Finding::ok("connections", said)
    }
}

/// Bytes that are free for others than root, and all of them.
fn space(folder: &str) -> Option<(f64, f64)> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks as f64 * disk.f_frsize as f64;
    Some((bytes(disk.f_bavail), bytes(disk.f_blocks)))
}
