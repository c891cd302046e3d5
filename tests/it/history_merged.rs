//! Several tables are one history: by the instant, whatever keys, types, zones and partitions they have, and page by page.
//!
//! What is right is computed by plain SQL over the tables. The times are those around which clocks are put forward and back.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::api::{column, encoded};
use crate::harness::wait::until;
use crate::history_tables::without_chat;

/// A type, the zone that the attach is told, and a value of it as a point in time.
const KINDS: [(&str, Option<&str>, &str); 5] = [
    ("timestamptz", None, "at"),
    ("timestamp", None, "at at time zone 'UTC'"),
    (
        "timestamp",
        Some("America/New_York"),
        "case when skipped then '2026-03-08 07:00+00' else at at time zone 'America/New_York' end",
    ),
    (
        "timestamp(3)",
        Some("America/Bogota"),
        "at at time zone 'America/Bogota'",
    ),
    (
        "date",
        Some("America/New_York"),
        "at::timestamp at time zone 'UTC'",
    ),
];

/// The primary key, and whether it needs each row to have a time.
const KEYS: [(&str, bool); 3] = [("nr", false), ("at, nr", true), ("nr, at", true)];

struct Table {
    name: String,
    kind: (&'static str, Option<&'static str>, &'static str),
    is_timed: bool,
    sql: String,
}

impl Table {
    fn draw(random: &mut StdRng, place: usize, room: &str) -> Self {
        let name = format!("{room}_{place}");
        let kind = *KINDS.choose(random).expect("some");
        let (key, is_required) = *KEYS.choose(random).expect("some");
        let is_timed = random.random_bool(0.9);
        let (partitioned, parts) = match is_required && random.random_bool(0.6) {
            true => (
                "partition by range (at)",
                format!(
                    "create table {name}_a partition of {name} for values from (minvalue) to ('2026-03-08 02:30');
                     create table {name}_b partition of {name} default;"
                ),
            ),
            false => ("", String::new()),
        };
        let rows: Vec<_> = (0..random.random_range(0..30))
            .map(|nr| {
                format!(
                    "('{room}', '{place}-{nr:02}', {})",
                    time(random, is_required)
                )
            })
            .collect();
        let insert = match rows.is_empty() {
            true => String::new(),
            false => format!(
                "insert into {name} (c, nr, at) select c, nr, (at::timestamp{})::{} from (values {}) v (c, nr, at) on conflict do nothing;
                 update {name} set skipped = at >= '2026-03-08 02:00' and at < '2026-03-08 03:00';",
                if kind.0 == "timestamptz" { " + interval '4 h'" } else { "" },
                kind.0,
                rows.join(", ")
            ),
        };
        let zone = kind
            .1
            .map_or(String::new(), |zone| format!(", timezone => '{zone}'"));
        let order = if is_timed { "at" } else { "n" };
        let sql = format!(
            "create table {name} (c text, nr text, at {}, n bigint generated always as identity, skipped boolean, primary key ({key})) {partitioned};
             {parts} create index on {name} (c, at, {key}); {insert}
             select rowcast.attach('{name}', room => 'conversation:{{c}}', on_insert => 'message:new', order_columns => '{{{order}}}'{zone});",
            kind.0
        );
        Self {
            name,
            kind,
            is_timed,
            sql,
        }
    }

    /// Its rows with what sorts them.
    fn sorted(&self, place: usize) -> String {
        let Self {
            name,
            kind,
            is_timed,
            ..
        } = self;
        match is_timed {
            true => format!(
                "select nr, true, {}, {place}, at::timestamp, 0 from {name}",
                kind.2
            ),
            false => format!(
                "select nr, false, null::timestamptz, {place}, null::timestamp, n from {name}"
            ),
        }
    }
}

/// A time as a clock shows it.
fn time(random: &mut StdRng, is_required: bool) -> String {
    match random.random_range(0..20) {
        0 if !is_required => "null".to_owned(),
        0 | 1 => "'infinity'".to_owned(),
        2 => "'9998-12-31 20:59:59.999998'".to_owned(),
        3 => "'9998-12-31 20:59:59.999999'".to_owned(),
        4 => "'2026-03-08 00:00'".to_owned(),
        part => format!(
            "'2026-{} {:02}:{:02}:00.00000{}'",
            if part % 2 == 0 { "03-08" } else { "11-01" },
            random.random_range(0..7),
            random.random_range(0..4) * 15,
            random.random_range(0..2),
        ),
    }
}

/// A page's rows are sorted by the members that it says they are sorted by.
fn assert_sorted(page: &Value, told: &str) {
    let rows = page["messages"].as_array().expect("an array");
    let order = page["order"].as_array().expect("an array");
    // One that the zone has not is sorted as the moment in which it was skipped.
    let rows = rows.iter().filter(|row| row["skipped"] != json!(true));
    let values = |row: &Value| -> Vec<String> {
        let value = |member: &Value| match &row[member.as_str().expect("a name")] {
            Value::Null => "null".to_owned(),
            Value::String(day) if day.len() == 10 => format!("{day}T00:00:00"),
            Value::String(number) if number.len() < 4 => format!("{number:0>4}"),
            Value::String(text) => text.trim_end_matches('Z').to_owned(),
            other => panic!("{other}"),
        };
        order.iter().map(value).collect()
    };
    let values: Vec<_> = rows.map(values).collect();
    assert!(values.is_sorted(), "{told}: {order:?}: {values:?}");
}

#[tokio::test]
async fn tables_of_any_keys_and_zones_are_merged_by_the_instant() {
    let database = without_chat().await;
    let server = Server::with(&database, &[("ROWCAST_MAX_HTTP_RATE", "100000")]).await;
    let (mut merged, mut said) = (0, 0);
    for seed in 0..14 {
        let mut random = StdRng::seed_from_u64(seed);
        let room = format!("r{seed:02}");
        let tables: Vec<_> = (0..random.random_range(1..5))
            .map(|place| Table::draw(&mut random, place, &room))
            .collect();
        let sql: Vec<_> = tables.iter().map(|table| &*table.sql).collect();
        let told = format!("seed {seed}\n{}", sql.join("\n"));
        database.run(&sql.concat()).await;
        let sorted: Vec<_> = tables
            .iter()
            .enumerate()
            .map(|(place, table)| table.sorted(place))
            .collect();
        let right = database
            .value(&format!(
                "select coalesce(json_agg(nr order by timed, instant nulls last, place, at nulls last, n, nr), '[]') from ({}) rows (nr, timed, instant, place, at, n)",
                sorted.join(" union all ")
            ))
            .await;
        let right: Vec<String> = serde_json::from_str(&right).expect("JSON");
        for limit in [2, 9, 200] {
            let pages = server.pages(&room, limit, "/id").await;
            let rows = pages.iter().rev();
            let got: Vec<_> = rows
                .flat_map(|page| column(&page["messages"], "/nr"))
                .collect();
            assert_eq!(got, right, "limit {limit}, {told}");
            for page in &pages {
                assert_sorted(page, &told);
                said += page["order"].as_array().map_or(0, Vec::len);
            }
        }
        merged += right.len() * tables.len().saturating_sub(1);
    }
    assert!(merged > 500 && said > 200, "{merged} {said}");
}

#[tokio::test]
async fn pages_of_several_tables_are_read_by_their_indexes() {
    let database = without_chat().await;
    database
        .run(
            "create table a (id bigint, c text, at timestamptz, primary key (id, at)) partition by range (at);
             create table a_1 partition of a for values from ('2026-01-01') to ('2026-03-08');
             create table a_2 partition of a for values from ('2026-03-08') to ('2027-01-01');
             create table b (id bigint, c text, at timestamp, primary key (at, id));
             create index on a (c, at, id); create index on b (c, at, id);
             insert into a select n, (n % 2)::text, '2026-03-01 00:00+00'::timestamptz + n * interval '2 min' from generate_series(1, 10000) n;
             insert into b select -n, (n % 2)::text, '2026-02-28 19:00'::timestamp + n * interval '2 min' from generate_series(1, 10000) n;
             select rowcast.attach(t, room => 'conversation:{c}', on_insert => 'message:new', order_columns => '{at}', timezone => 'America/New_York')
             from unnest('{a,b}'::text[]) t",
        )
        .await;
    let server = Server::on(&database).await;
    let newest = server.read("1", "messages?limit=20").await;
    assert_eq!(newest["order"], json!(["at"]));
    let mut rows = newest;
    for key in ["5001:2026-03-07T22:42:00Z", "2026-03-07T22:42:00Z:-5001"] {
        rows = server
            .read("1", &format!("messages?limit=20&before={}", encoded(key)))
            .await;
        assert_eq!(
            rows["messages"].as_array().map(Vec::len),
            Some(20),
            "{rows}"
        );
    }
    let times = column(&rows["messages"], "/at");
    assert!(
        times.is_sorted() && times[19] == "2026-03-07T22:42:00Z",
        "{times:?}"
    );
    // Postgres counts what its processes did when they end.
    server.stop().await;
    let read = "select sum(idx_tup_fetch + seq_tup_read) from pg_stat_user_tables where relname in ('a_1', 'a_2', 'b')";
    let read = until("the pages to be counted", async || {
        let read = database
            .value(&format!("select coalesce(({read}), 0)"))
            .await;
        read.parse::<u64>().ok().filter(|rows| *rows >= 120)
    });
    let read = read.await;
    assert!(read < 500, "{read} rows were read for three pages");
}

/// In New York, 02:00 to 03:00 of that night does not exist, and 03:00 is 07:00 UTC.
#[tokio::test]
async fn a_time_that_its_zone_skips_is_the_moment_of_the_skip() {
    let database = without_chat().await;
    database
        .run(
            "create table here (nr text primary key, c text, at timestamp);
             create table there (nr text primary key, c text, at timestamptz);
             insert into here values ('1 skipped', 'x', '2026-03-08 02:45'), ('3 here', 'x', '2026-03-08 03:15');
             insert into there values ('2 there', 'x', '2026-03-08 07:05+00'), ('4 there', 'x', '2026-03-08 07:50+00');
             select rowcast.attach(t, room => 'conversation:{c}', on_insert => 'message:new', order_columns => '{at}', timezone => 'America/New_York')
             from unnest('{here,there}'::text[]) t",
        )
        .await;
    let server = Server::on(&database).await;
    for limit in [1, 2, 200] {
        let pages = server.pages("x", limit, "/id").await;
        let rows = pages.iter().rev();
        let got: Vec<_> = rows
            .flat_map(|page| column(&page["messages"], "/nr"))
            .collect();
        assert_eq!(
            got,
            ["1 skipped", "2 there", "3 here", "4 there"],
            "limit {limit}"
        );
    }
}

#[tokio::test]
async fn times_at_the_ends_of_what_postgres_holds_have_their_place() {
    let database = without_chat().await;
    let server = Server::on(&database).await;
    database
        .run(
            "create table a (nr text primary key, c text, at timestamp);
             create table b (nr text primary key, c text, at date);
             create table d (guid text primary key, c text, at timestamptz);
             insert into a values ('a0', '1', '-infinity'), ('a1', '1', '4713-01-01 00:00 BC'), ('a2', '1', '0044-03-15 12:00 BC'), ('a3', '1', '2026-05-01'),
               ('a4', '1', '294276-12-31 23:59:59.999999'), ('a5', '1', 'infinity'), ('a6', '1', null);
             insert into b values ('b1', '1', '4713-01-01 BC'), ('b2', '1', '0044-03-15 BC'), ('b4', '1', '5874897-12-31'), ('b5', '1', 'infinity');
             insert into d values ('d1', '1', '4713-01-01 00:00+00 BC'), ('d2', '1', '0044-03-15 18:00+00 BC'),
               ('d3', '1', '2026-05-01 04:00+00'), ('d4', '1', '294276-12-31 23:59:59.999999+00'), ('d6', '1', null);
             select rowcast.attach(t, room => 'conversation:{c}', on_insert => 'message:new', order_columns => '{at}', timezone => 'America/New_York')
             from unnest('{a,b,d}'::text[]) t",
        )
        .await;
    let right = "a0 b1 d1 a1 b2 a2 d2 a3 d3 b4 a4 d4 a5 b5 a6 d6";
    for limit in [1, 2, 200] {
        let pages = server.pages("1", limit, "/id").await;
        let rows = pages.iter().rev();
        let got: Vec<_> = rows
            .flat_map(|page| column(&page["messages"], "/id"))
            .collect();
        assert_eq!(got.join(" "), right, "limit {limit}");
        // The keys have several names, one of them before "id".
        assert!(
            pages.iter().all(|page| page["key"] == json!(["id"])),
            "{pages:?}"
        );
    }
}
