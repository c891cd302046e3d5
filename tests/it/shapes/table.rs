//! The table of a shape: the SQL that makes, fills and changes it.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::shape::{ROWS, Shape, quoted};

impl Shape {
    pub(super) fn create(&self) -> String {
        let mut columns: Vec<_> = self
            .key
            .iter()
            .map(|(name, kind)| format!("{} {kind} not null", quoted(name)))
            .collect();
        columns.extend(["nth int".to_owned(), "chat_room int".to_owned()]);
        columns.extend(
            self.columns
                .iter()
                .map(|column| format!("{} {}", quoted(column.name), column.kind)),
        );
        for (own, _, kind) in self.chat.into_iter().flatten() {
            columns.push(format!("{} {kind}", quoted(own)));
        }
        let (table, seed) = (&self.table, self.seed);
        if !self.key.is_empty() {
            let key: Vec<_> = self.key.iter().map(|(name, _)| quoted(name)).collect();
            columns.push(format!("primary key ({})", key.join(", ")));
        }
        let foreign = match self.chat {
            Some([("chat_id", ..)]) => {
                format!("alter table {table} add foreign key (chat_id) references chats_{seed};")
            }
            _ => String::new(),
        };
        format!(
            "create table owners_{seed} (id uuid primary key, name text, \"after\" numeric);
             create table chats_{seed} (id bigint primary key, code text unique, tenant int, nr smallint, jid text, title text, rank bigint,
               seen timestamptz, owner uuid, unique (tenant, nr));
             insert into owners_{seed} select ('00000000-0000-0000-0000-00000000000' || n)::uuid, 'owner ' || n, n + 0.50 from generate_series(1, 2) n;
             insert into chats_{seed} select n, 'c:' || n, n / 2, n, 's{seed}@' || n, case when n <> 2 then 'title ' || n end, 9007199254740993 + n,
               '2026-01-02 03:04:05.5+02', ('00000000-0000-0000-0000-00000000000' || n)::uuid from generate_series(1, 4) n;
             create table {table} ({}); {foreign}",
            columns.join(", ")
        )
    }

    pub(super) fn insert(&self) -> String {
        let mut random = StdRng::seed_from_u64(!self.seed);
        let mut rows = Vec::new();
        for nth in 0..ROWS {
            let mut values: Vec<_> = self
                .key
                .iter()
                .map(|(_, kind)| key_value(kind, nth))
                .collect();
            values.push(nth.to_string());
            values.push(format!("{}", nth % 3));
            for column in &self.columns {
                let value = column.values.choose(&mut random).expect("some");
                values.push(if random.random_bool(0.15) {
                    "null".to_owned()
                } else {
                    format!("({value})::{}", column.kind)
                });
            }
            let chat = random.random_range(1..5);
            for (_, key, kind) in self.chat.into_iter().flatten() {
                let value = match *key {
                    "code" => format!("'c:{chat}'"),
                    "tenant" => (chat / 2).to_string(),
                    _ => chat.to_string(),
                };
                values.push(if nth == 5 {
                    "null".to_owned()
                } else {
                    format!("{value}::{kind}")
                });
            }
            rows.push(format!("({})", values.join(", ")));
        }
        format!("insert into {} values {}", self.table, rows.join(",\n"))
    }

    pub(super) fn update(&self) -> String {
        format!("update {} set nth = nth + 1000", self.table)
    }
}

fn key_value(kind: &str, nth: usize) -> String {
    // Not in the order in which they are written.
    let number = (nth * 5) % ROWS;
    match kind {
        "uuid" => format!("'00000000-0000-0000-0000-0000000000{number:02}'"),
        "text" => format!("'x:{number:02}'"),
        "int" => format!("{}", number % 2),
        _ => format!(
            "{}",
            9_007_199_254_740_000_i64 + i64::try_from(number).expect("small")
        ),
    }
}
