//! `rowcast types`: what it writes compiles with the stock client, and an event that was sent is of its type.

use serde_json::Value;

use super::frontend::node;
use super::page::block;
use super::tools::{ended, folder, write};
use crate::harness::{Database, Launch};

/// Columns of every kind, in tables whose rows are written below.
const TABLES: &str = r##"
create type mood as enum ('glad', 'sad');
create type pair as (a int, b text);
create domain short as text check (length(value) < 10);
create domain sure as int not null;
create table chats (id bigint primary key, jid text not null unique, title text, size int not null default 3);
create table all_kinds (
  id bigint, part uuid default gen_random_uuid(), chat_id bigint references chats, "odd name" text default 'x', n int, f real, b boolean not null, big bigint not null,
  num numeric, t text, v varchar(9), j json, jb jsonb, at timestamptz not null, local timestamp, d date, m mood, ms mood[], ns int[] not null, bigs bigint[],
  grid int[][], p pair, s short, u sure, r int4range, hidden text, ack int not null, flag boolean not null, state text not null, author text, nr int,
  mood2 mood not null, primary key (id, part)
);
insert into chats values (7, '57@s', 'Ana');
select rowcast.attach('all_kinds', room => 'conversation:{chat.jid}', on_insert => 'message:new', on_delete => 'message:deleted',
  on_update => 'message:updated', omit => '{hidden}', order_columns => '{at}', timezone => 'America/Bogota',
  rules => '[{"on": "update", "columns": ["ack"], "event": "message:status"},
    {"on": "insert", "event": "all:new", "payload": {"a": "{chat.title}", "b": ["{n}", "{n:text}", 1, true, null, "x", "#{n}"], "c": {"room": "{room}", "row": "{row}"},
      "messageId": "{big}", "ack": "{ack}", "raw": "{ack:raw}", "moved": false}}]',
  rooms => '[{"room": "inbox:{n}", "on_insert": "inbox:new", "payload": {"chat": "{chat.jid}"}}]',
  lookups => '{"chat": {"table": "chats", "row": ["title", "size", "id"]}}',
  words => '{"ack": {"0": "sent", "1": "read", "2": 2}, "flag": {"true": "yes", "false": "no"}, "state": {"open": "opened"}, "mood2": {"glad": "ok"}}',
  defaults => '{"author": "bot", "nr": 0}', as_text => '{nr, b}');
create table "as-is" (snake_case int primary key, "Upper" text not null);
select rowcast.attach('as-is', room => 'conversation:{Upper}', on_insert => 'message:new', key_case => 'as_is');
insert into all_kinds (id, chat_id, n, b, big, at, ns, u, ack, flag, state, mood2) values (1, 7, 5, true, 9007199254740993, now(), '{}', 1, 0, true, 'open', 'glad');
insert into all_kinds values (2, default, 7, 'y', 5, 1.5, false, 1, 1.50, 't', 'v', '1', '{"a": [1]}', now(), '2026-05-01 12:00', '2026-05-01', 'glad', '{glad, null}', '{1, 2}',
  '{1, 9007199254740993}', '{{1, 2}}', (1, 'b'), 's', 1, '[1,3)', 'h', 7, false, 'other', 'me', 3, 'sad');
insert into all_kinds (id, chat_id, n, b, big, at, ns, u, ack, flag, state, mood2, j, t) values (3, 7, 5, true, 1, now(), '{}', 1, 0, true, 'open', 'glad', '"\u0000"', repeat('x', 5000));
insert into "as-is" values (1, 'a');
update all_kinds set ack = 1, t = 'changed'; update all_kinds set ack = 2; delete from all_kinds"##;

/// What a page does with the types, and what it may not do.
const PAGE: &str = r#"
import { io, type Socket } from "socket.io-client";
import type { AllKindsRow, Answer, AsIsRow, ClientToServerEvents, ServerToClientEvents } from "./rowcast.js";

const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io("http://127.0.0.1:1", { autoConnect: false });
socket.on("rowcast:ready", ({ server }, offset: string) => console.log(server, offset));
socket.on("message:status", (payload) => {
  // @ts-expect-error: it may be left out where the payload is too large
  const maybe: string = payload.messageId;
  if (payload.truncated) return console.log(payload.messageId, maybe);
  const id: string = payload.messageId;
  console.log(id, payload.status === "sent");
});
socket.on("message:new", (payload) => {
  const id: string | undefined = payload.truncated ? payload.message?.id : payload.message.id;
  // @ts-expect-error: only ids are there
  if (payload.truncated) console.log(id, payload.message?.t);
});
const joined = await socket.emitWithAck("join:room", { room: "inbox:7", after: "o" });
if (joined.ok) console.log(joined.replayed + 1);
socket.emit("leave:room", "inbox:7", (answer: Answer) => console.log(answer.ok));
// @ts-expect-error: no such event
socket.on("message:nothing", () => {});
// @ts-expect-error: a room is a text
socket.emit("join:room", 7);

declare const row: AllKindsRow;
declare const other: AsIsRow;
const types: [string, string, number | null, string | null, unknown, string, "glad" | "sad" | null, ("glad" | "sad" | null)[] | null, (number | null)[]] =
  [row.id, row.big, row.f, row.num, row.jb, row.at, row.m, row.ms, row.ns];
const told: ["yes" | "no", string, string, "ok" | "sad", string | null, number] =
  [row.flag, row.author, row.nr, row.mood2, row.chat!.title, row.chat!.size];
const chat: string = row.chat!.id, room: string | null = row.n, grid: (number | null)[][] | null = row.grid, upper: string = other.Upper, snake: string = other.snake_case;
console.log(types, told, chat, room, grid, upper, snake, row["odd name"]);
// @ts-expect-error: it is left out
console.log(row.hidden);
// @ts-expect-error: it may be null
const never: number = row.f;
// @ts-expect-error: digits beyond 2^53 are a text
const digits: number = row.big;
console.log(never, digits);
type Payload<E extends keyof ServerToClientEvents> = Parameters<ServerToClientEvents[E]>[0];
"#;

#[tokio::test]
async fn an_event_that_was_sent_is_of_the_type_that_is_printed() {
    let database = Database::chat().await;
    database.run(TABLES).await;
    database.say("42", "hello").await;
    let folder = folder();
    let types = || Launch::command(["types"]).database(&database.url);
    let printed = types().succeed().await.stdout;
    let file = folder.path().join("rowcast.ts");
    let out = file.to_str().expect("a path");
    assert_eq!(types().arg("--out").arg(out).succeed().await.stdout, "");
    let text = std::fs::read_to_string(&file).expect("a file");
    assert_eq!(text, printed, "the same, again");
    let nowhere = types().arg("--out").arg("nowhere/rowcast.ts");
    nowhere.refuse(&["--out nowhere/rowcast.ts"]).await;

    // An object that is written out has no member that its type has not, and each that it has.
    let sent = "select json_agg(json_build_array(event, data) order by id) from rowcast.events where room is not null";
    let sent: Value = serde_json::from_str(&database.value(sent).await).expect("JSON");
    let mut page = PAGE.to_owned();
    let mut names = std::collections::BTreeSet::new();
    let truncated = |event: &&Value| event[1]["truncated"] == true;
    let truncated = sent.as_array().expect("events").iter().filter(truncated);
    assert!(truncated.count() > 1, "{sent}");
    for (nth, event) in sent.as_array().expect("events").iter().enumerate() {
        names.insert(event[0].as_str().expect("a name"));
        page += &format!(
            "export const event{nth}: Payload<{}> = {};\n",
            event[0], event[1]
        );
    }
    let all = [
        "all:new",
        "inbox:new",
        "message:deleted",
        "message:new",
        "message:status",
        "message:updated",
    ];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), all);
    write(&folder, "page.ts", &page);
    let documented = include_str!("../../../docs/cli.md").split("```ts\n").nth(1);
    let documented = documented.and_then(|rest| rest.split("```").next());
    write(&folder, "documented.ts", documented.expect("a block"));
    write(
        &folder,
        "guide.ts",
        &block("Types for the stock client", "ts"),
    );
    write(&folder, "package.json", r#"{"type": "module"}"#);
    let config = r#"{"compilerOptions": {"strict": true, "exactOptionalPropertyTypes": true, "noUncheckedIndexedAccess": true,
        "target": "ES2022", "module": "NodeNext", "lib": ["ES2023", "DOM"], "noEmit": true, "skipLibCheck": true, "types": []}}"#;
    write(&folder, "tsconfig.json", config);
    let compiled = ended(node(&folder, "node_modules/typescript/bin/tsc")).await;
    compiled.unwrap_or_else(|errors| panic!("{errors}\n{printed}"));
}
