//! One table, drawn from a seed, and the SQL that makes it, attaches it, fills it, and says what its rows should look like.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};

/// Rows of a table.
pub(super) const ROWS: usize = 14;

pub(super) const TYPES: &str = "
create type mood as enum ('a b', 'c'); create domain big as bigint; create domain moment as timestamptz;
create domain cash as numeric(12, 2)";

/// How a value should look in JSON.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// As `to_jsonb` has it.
    Json,
    Text,
    Instant,
    Local,
    Texts,
}
use Form::{Instant, Json, Local, Text, Texts};

/// A type, how its values should look, and some of them as SQL.
const KINDS: [(&str, Form, &[&str]); 22] = [
    ("int", Json, &["0", "1", "2", "-7"]),
    ("smallint", Json, &["0", "1", "4"]),
    (
        "bigint",
        Text,
        &["0", "1", "844197938335842305", "-9007199254740993"],
    ),
    ("numeric", Text, &["1.10", "1e30", "'NaN'", "-0.000001"]),
    ("cash", Text, &["2.5", "0", "1234567890.12"]),
    ("big", Text, &["9007199254740993", "5"]),
    ("float8", Json, &["0.1::float8 + 0.2", "1e300", "-1.5"]),
    ("real", Json, &["0.1", "3"]),
    (
        "text",
        Json,
        &["''", "'a b'", "E'q\"\\\\ \\u2028 \\n'", "'{row}'", "'x:y'"],
    ),
    ("varchar(20)", Json, &["'short'", "'0'"]),
    ("boolean", Json, &["true", "false"]),
    ("uuid", Json, &["'00000000-0000-0000-0000-000000000001'"]),
    (
        "timestamptz",
        Instant,
        &[
            "'2026-01-02 03:04:05.678901+02'",
            "'2026-01-02 03:04:05+00'",
            "'infinity'",
            "'1999-12-31 23:59:59.5-08'",
        ],
    ),
    (
        "moment",
        Instant,
        &["'2026-01-02 03:04:05.67+02'", "'-infinity'"],
    ),
    (
        "timestamp",
        Local,
        &[
            "'2026-01-02 03:04:05.678901'",
            "'2026-07-02 03:04:05'",
            "'infinity'",
        ],
    ),
    ("date", Json, &["'2026-01-02'", "'1970-01-01'"]),
    ("time", Json, &["'03:04:05'"]),
    (
        "jsonb",
        Json,
        &["'{\"a\": [1, 2.50, null]}'", "'null'", "'7'"],
    ),
    (
        "bigint[]",
        Texts,
        &["'{1,844197938335842305,NULL}'", "'{}'"],
    ),
    ("numeric[]", Texts, &["'{1.10,2}'"]),
    ("text[]", Json, &["'{a,b}'"]),
    ("mood", Json, &["'a b'", "'c'"]),
];

/// Names of columns, and what they become in camel case.
const NAMES: [(&str, &str); 24] = [
    ("body", "body"),
    ("reply_to", "replyTo"),
    ("_x_y", "_xY"),
    ("Weird Name", "Weird Name"),
    ("o", "o"),
    ("after", "after"),
    ("before", "before"),
    ("row", "row"),
    ("room", "room"),
    ("looked_up", "lookedUp"),
    ("c", "c"),
    ("r", "r"),
    ("k", "k"),
    ("t", "t"),
    ("place", "place"),
    ("key", "key"),
    ("a:b", "a:b"),
    ("a:text", "a:text"),
    ("place2_no", "place2No"),
    ("it's", "it's"),
    ("e", "e"),
    ("payload", "payload"),
    ("select", "select"),
    ("at", "at"),
];

struct Column {
    name: &'static str,
    camel: &'static str,
    kind: &'static str,
    form: Form,
    values: &'static [&'static str],
    words: Option<[(&'static str, &'static str); 2]>,
    default: Option<&'static str>,
    as_text: bool,
}

pub(super) struct Shape {
    pub(super) table: String,
    /// The columns of its primary key, with their types.
    pub(super) key: Vec<(&'static str, &'static str)>,
    /// How many rooms each row has.
    pub(super) rooms: usize,
    columns: Vec<Column>,
    order: Vec<usize>,
    camel: bool,
    zone: Option<&'static str>,
    /// How chats are pointed to: the columns here, and the key there.
    chat: Option<&'static [(&'static str, &'static str, &'static str)]>,
    /// Whether a chat's owner is looked up by the chat.
    chained: bool,
    /// Whether the room is called after the chat.
    by_chat: bool,
    omit: Vec<usize>,
    seed: u64,
}

/// A text as SQL reads it.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn quoted(name: &str) -> String {
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

    pub(super) fn attach(&self) -> String {
        let named = |pick: &dyn Fn(&Column) -> Option<String>| {
            let parts: Vec<_> = self.columns.iter().filter_map(pick).collect();
            (!parts.is_empty()).then(|| parts.join(", "))
        };
        let json = |name: &str| serde_json::to_string(name).expect("JSON");
        let mut arguments = vec![
            literal(&self.table),
            format!("room => {}", literal(&self.template(0))),
            "on_insert => 'message:new', on_update => 'message:updated', condition => '$.nth >= 0'"
                .to_owned(),
        ];
        if !self.key.is_empty() {
            arguments.push("on_delete => 'message:deleted'".to_owned());
        }
        if self.rooms == 2 {
            arguments.push(format!(
                r#"rooms => '[{{"room": "{}", "on_insert": "message:new", "on_update": "message:updated", "condition": "$.nth % 1000 > 3"}}]'"#,
                self.template(1)
            ));
        }
        let words = named(&|column| {
            let [a, b] = column.words?;
            Some(format!(
                "{}: {{{}: {}, {}: {}}}",
                json(column.name),
                json(a.0),
                json(a.1),
                json(b.0),
                json(b.1)
            ))
        });
        if let Some(words) = words {
            arguments.push(format!("words => {}", literal(&format!("{{{words}}}"))));
        }
        if let Some(defaults) =
            named(&|column| Some(format!("{}: {}", json(column.name), json(column.default?))))
        {
            arguments.push(format!(
                "defaults => {}",
                literal(&format!("{{{defaults}}}"))
            ));
        }
        if let Some(texts) = named(&|column| column.as_text.then(|| literal(column.name))) {
            arguments.push(format!("as_text => array[{texts}]"));
        }
        if let Some(zone) = self.zone {
            arguments.push(format!("timezone => '{zone}'"));
        }
        if !self.order.is_empty() {
            let order: Vec<_> = self
                .order
                .iter()
                .map(|at| literal(self.columns[*at].name))
                .collect();
            arguments.push(format!("order_columns => array[{}]", order.join(", ")));
        } else {
            arguments.push("order_column => 'nth'".to_owned());
        }
        if !self.omit.is_empty() {
            let omit: Vec<_> = self
                .omit
                .iter()
                .map(|at| literal(self.columns[*at].name))
                .collect();
            arguments.push(format!("omit => array[{}]", omit.join(", ")));
        }
        if !self.camel {
            arguments.push("key_case => 'as_is'".to_owned());
        }
        if let Some(chat) = self.chat {
            let own: Vec<_> = chat.iter().map(|(own, ..)| json(own)).collect();
            let theirs: Vec<_> = chat.iter().map(|(_, key, _)| json(key)).collect();
            let by = match own.len() {
                // The foreign key says it.
                1 if own[0] == "\"chat_id\"" => String::new(),
                1 => format!(r#", "column": {}, "key": {}"#, own[0], theirs[0]),
                _ => format!(
                    r#", "column": [{}], "key": [{}]"#,
                    own.join(", "),
                    theirs.join(", ")
                ),
            };
            let owner = if self.chained {
                format!(
                    r#", "the_owner": {{"table": "owners_{}", "column": "chat.owner", "key": "id", "row": ["name", "after"]}}"#,
                    self.seed
                )
            } else {
                String::new()
            };
            arguments.push(format!(
                r#"lookups => '{{"chat": {{"table": "chats_{}"{by}, "row": ["title", "rank", "seen"]}}{owner}}}'"#,
                self.seed
            ));
        }
        format!("select rowcast.attach({})", arguments.join(",\n  "))
    }

    fn template(&self, nth: usize) -> String {
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

    fn of_chat(&self, what: &str) -> String {
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

    /// What history is sorted by.
    pub(super) fn order_sql(&self) -> String {
        let mut order: Vec<_> = self
            .order
            .iter()
            .map(|at| quoted(self.columns[*at].name))
            .collect();
        if order.is_empty() {
            order.push("nth".to_owned());
        }
        order.extend(self.key.iter().map(|(name, _)| quoted(name)));
        order.join(" nulls last, ")
    }

    /// The rows of a room, as they should look.
    pub(super) fn expected_sql(&self, room: &str, order: &str) -> String {
        let wire = |name: &'static str, camel: &'static str| if self.camel { camel } else { name };
        let mut members = Vec::new();
        let key_text: Vec<_> = self
            .key
            .iter()
            .map(|(name, _)| format!("{}::text", quoted(name)))
            .collect();
        if !self.key.is_empty() && !self.key.iter().any(|(name, _)| *name == "id") {
            members.push(("id".to_owned(), key_text.join(" || ':' || ")));
        }
        for (name, _) in &self.key {
            let shown = if *name == "message_id" {
                wire(name, "messageId")
            } else {
                name
            };
            members.push((shown.to_owned(), format!("{}::text", quoted(name))));
        }
        let in_room = self.rooms == 2 || !self.by_chat;
        members.push(("nth".to_owned(), "nth".to_owned()));
        members.push((
            wire("chat_room", "chatRoom").to_owned(),
            if in_room {
                "chat_room::text"
            } else {
                "chat_room"
            }
            .to_owned(),
        ));
        for (at, column) in self.columns.iter().enumerate() {
            if !self.omit.contains(&at) {
                members.push((
                    wire(column.name, column.camel).to_owned(),
                    self.value_sql(column),
                ));
            }
        }
        for (own, _, kind) in self.chat.into_iter().flatten() {
            let camel = match *own {
                "chat_id" => "chatId",
                "chat_code" => "chatCode",
                "tenant_no" => "tenantNo",
                _ => "chatNo",
            };
            let cast = if *kind == "bigint" { "::text" } else { "" };
            members.push((wire(own, camel).to_owned(), format!("{own}{cast}")));
        }
        if self.chat.is_some() {
            let seen = instant("seen");
            members.push((
                "chat".to_owned(),
                self.of_chat(&format!(
                    "jsonb_build_object('title', title, 'rank', rank::text, 'seen', {seen})"
                )),
            ));
        }
        if self.chained {
            let owner = format!(
                "(select jsonb_build_object('name', name, 'after', \"after\"::text) from owners_{} o where o.id = owner)",
                self.seed
            );
            members.push((
                wire("the_owner", "theOwner").to_owned(),
                self.of_chat(&owner),
            ));
        }
        let members: Vec<_> = members
            .iter()
            .map(|(name, sql)| format!("{}, {sql}", literal(name)))
            .collect();
        let of: Vec<_> = (0..self.rooms)
            .map(|nth| format!("{} = {}", self.room_sql(nth), literal(room)))
            .collect();
        format!(
            "set timezone = 'UTC'; select coalesce(json_agg(jsonb_build_object({}) order by {order}), '[]') from {} where {}",
            members.join(", "),
            self.table,
            of.join(" or ")
        )
    }

    fn value_sql(&self, column: &Column) -> String {
        let raw = quoted(column.name);
        let mut value = match column.form {
            Json => raw.clone(),
            Text => format!("{raw}::text"),
            Instant => instant(&raw),
            Local => instant(&format!(
                "({raw} at time zone '{}')",
                self.zone.unwrap_or("UTC")
            )),
            Texts => format!(
                "(case when {raw} is not null then (select coalesce(jsonb_agg(x::text), '[]') from unnest({raw}) x) end)"
            ),
        };
        if column.as_text {
            value = format!("{raw}::text");
        }
        value = format!("to_jsonb({value})");
        if let Some(words) = column.words {
            let words: Vec<_> = words
                .iter()
                .map(|(from, to)| {
                    format!(
                        "when {} then to_jsonb({}::text)",
                        literal(from),
                        literal(to)
                    )
                })
                .collect();
            value = format!("case {raw}::text {} else {value} end", words.join(" "));
        }
        if let Some(default) = column.default {
            value = format!("coalesce({value}, to_jsonb({}::text))", literal(default));
        }
        value
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

/// A point in time as RFC 3339, in plain SQL.
fn instant(sql: &str) -> String {
    format!(
        "(case when isfinite({sql}) then rtrim(rtrim(to_char({sql} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '0'), '.') || 'Z' \
         else {sql}::text end)"
    )
}
