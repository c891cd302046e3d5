//! One table, drawn from a seed, and the rooms of its rows.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};

use super::column::{Column, KINDS, NAMES};

/// Rows of a table.
pub(super) const ROWS: usize = 14;

pub(super) const TYPES: &str = "
create type mood as enum ('a b', 'c'); create domain big as bigint; create domain moment as timestamptz;
create domain cash as numeric(12, 2)";

pub(super) struct Shape {
    pub(super) table: String,
    /// The columns of its primary key, with their types.
    pub(super) key: Vec<(&'static str, &'static str)>,
    /// How many rooms each row has.
    pub(super) rooms: usize,
    pub(super) columns: Vec<Column>,
    pub(super) order: Vec<usize>,
    pub(super) camel: bool,
    pub(super) zone: Option<&'static str>,
    /// How chats are pointed to: the columns here, and the key there.
    pub(super) chat: Option<&'static [(&'static str, &'static str, &'static str)]>,
    /// Whether a chat's owner is looked up by the chat.
    pub(super) chained: bool,
    /// Whether the room is called after the chat.
    pub(super) by_chat: bool,
    pub(super) omit: Vec<usize>,
    pub(super) seed: u64,
}

/// A text as SQL reads it.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

const CHATS: [&[(&str, &str, &str)]; 3] = [
    &[("chat_id", "id", "bigint")],
    &[("chat_code", "code", "text")],
    &[
        ("tenant_no", "tenant", "int"),
        ("chat_no", "nr", "smallint"),
    ],
];

const KEYS: [&[(&str, &str)]; 7] = [
    &[("id", "bigint")],
    &[("message_id", "bigint")],
    &[("Message Id", "uuid")],
    &[("tenant", "int"), ("id", "bigint")],
    &[("thread", "text"), ("seq", "int")],
    &[("wamid", "text")],
    &[],
];

impl Shape {
    pub(super) fn draw(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut names = NAMES.to_vec();
        names.shuffle(&mut random);
        let mut columns = Vec::new();
        for (name, camel) in names.into_iter().take(random.random_range(3..10)) {
            let (kind, form, values) = *KINDS.choose(&mut random).expect("some");
            let small = matches!(kind, "int" | "smallint" | "varchar(20)");
            columns.push(Column {
                name,
                camel,
                kind,
                form,
                values,
                words: (small && random.random_bool(0.5))
                    .then_some([("0", "queued"), ("1", "sent \"it's\"")]),
                default: (matches!(kind, "int" | "text" | "bigint") && random.random_bool(0.4))
                    .then_some("7"),
                as_text: matches!(kind, "int" | "boolean" | "smallint") && random.random_bool(0.3),
            });
        }
        let sortable = |at: &usize| {
            matches!(
                columns[*at].kind,
                "int"
                    | "bigint"
                    | "numeric"
                    | "timestamptz"
                    | "timestamp"
                    | "date"
                    | "text"
                    | "cash"
            )
        };
        let mut order: Vec<_> = (0..columns.len()).filter(sortable).collect();
        order.shuffle(&mut random);
        order.truncate(random.random_range(0..4));
        let mut omit: Vec<_> = (0..columns.len()).collect();
        omit.shuffle(&mut random);
        omit.truncate(random.random_range(0..2));
        let chat = random
            .random_bool(0.6)
            .then(|| *CHATS.choose(&mut random).expect("some"));
        Self {
            table: format!("shape_{seed}"),
            key: KEYS[usize::try_from(seed).expect("small") % KEYS.len()].to_vec(),
            rooms: random.random_range(1..3),
            order,
            camel: random.random_bool(0.7),
            zone: random.random_bool(0.4).then_some("America/Bogota"),
            chained: chat.is_some() && random.random_bool(0.4),
            by_chat: chat.is_some() && random.random_bool(0.7),
            chat,
            omit,
            columns,
            seed,
        }
    }

    pub(super) fn template(&self, nth: usize) -> String {
        let seed = self.seed;
        match (nth, self.by_chat) {
            (0, true) => "conversation:{chat.jid}".to_owned(),
            (0, false) => format!("conversation:s{seed}.{{chat_room}}"),
            _ => format!("conversation:second{seed}.{{chat_room}}:all"),
        }
    }

    /// The room of a row, in plain SQL.
    pub(super) fn room_sql(&self, nth: usize) -> String {
        let seed = self.seed;
        match (nth, self.by_chat) {
            (0, true) => format!("'conversation:' || {}", self.of_chat("jid")),
            (0, false) => format!("'conversation:s{seed}.' || chat_room"),
            _ => format!(
                "case when nth % 1000 > 3 then 'conversation:second{seed}.' || chat_room || ':all' end"
            ),
        }
    }

    pub(super) fn of_chat(&self, what: &str) -> String {
        let on: Vec<_> = self
            .chat
            .into_iter()
            .flatten()
            .map(|(own, key, _)| {
                format!("chats_{}.{key} = {}.{}", self.seed, self.table, quoted(own))
            })
            .collect();
        format!(
            "(select {what} from chats_{} where {})",
            self.seed,
            on.join(" and ")
        )
    }

    pub(super) fn rooms_sql(&self) -> String {
        let rooms: Vec<_> = (0..self.rooms)
            .map(|nth| format!("select {} as room from {}", self.room_sql(nth), self.table))
            .collect();
        format!(
            "select coalesce(json_agg(distinct room), '[]') from ({}) rooms where room is not null",
            rooms.join(" union all ")
        )
    }
}
