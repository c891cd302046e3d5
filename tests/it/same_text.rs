//! A value reads the same in an event and in history, whatever the writer, the database or the server's role has set.

use serde_json::Value;

use crate::harness::database::run;
use crate::harness::{Database, Server};

/// What decides how a value becomes text, each with a value that is nobody's default.
const SETTINGS: [(&str, &str); 11] = [
    ("intervalstyle", "'iso_8601'"),
    ("datestyle", "'German, DMY'"),
    ("bytea_output", "'escape'"),
    ("extra_float_digits", "-10"),
    ("lc_monetary", "'C.UTF-8'"),
    ("timezone", "'Asia/Kolkata'"),
    ("quote_all_identifiers", "on"),
    ("xmlbinary", "'hex'"),
    ("xmloption", "'document'"),
    ("standard_conforming_strings", "off"),
    ("search_path", "s, public"),
];

const TABLE: &str = r#"
create schema s; create table s.named (id int);
create type kind as enum ('a b', 'c'); create domain amount as numeric(6, 2); create type pair as (f float8, i interval, r regclass);
create table styled (
  id int primary key, c text, iv interval, by bytea, tz timestamptz, ts timestamp, d date, t time, ttz timetz,
  rt tstzrange, rs tsrange, rd daterange, ri interval[], f8 float8, f4 float4, fs float8[], pt point, mo money, xm xml,
  rc regclass, rcs regclass[], k kind, am amount, pa pair, ch "char", nu numeric, js jsonb, mr datemultirange);
select rowcast.attach('styled', room => 'conversation:{c}', on_insert => 'message:new', on_update => 'message:updated');
"#;

const ROW: &str = r#"
insert into styled values (
  1, '42', '1 day 2 hours -3 minutes', decode('41ff5c', 'hex'), timestamptz '2026-01-02 03:04:05.6+00', '2026-01-02 03:04:05', date '2026-01-02',
  '03:04:05', '03:04:05+02', tstzrange('2026-01-02 03:04:05+00', null), tsrange('2026-01-02 03:04:05', null),
  daterange('2026-01-02', '2026-01-05'), array[interval '1 day', interval '2 mons 3 s'], 0.1::float8 + 0.2, 0.1::float4 / 3, array[1e-7 / 3, 1e300],
  point(0.1::float8 + 0.2, 1), 1.5::numeric::money, xmlparse(content '<a/>'), 's.named', array['s.named'::regclass, 'public.styled'],
  'a b', 1.5, row(0.1::float8 + 0.2, interval '1 day', 's.named'), 'x', 1.10, '{"f": 1.10}', '{[2026-01-02,2026-01-05)}')
"#;

/// The row as the newest event has it, and as the server's history has it: as texts.
async fn both(database: &Database, server: &Server) -> (String, String) {
    let event = "select data ->> 'message' from rowcast.events where room = 'conversation:42' order by id desc limit 1";
    let history = server.ask("42", "messages", &[]).await;
    assert_eq!(history.status, 200, "{history:?}");
    let begin = history.body.find('[').expect("an array") + 1;
    let end = history.body.find("],\"offset\"").expect("its end");
    (
        database.value(event).await,
        history.body[begin..end].to_owned(),
    )
}

#[tokio::test]
async fn a_writers_settings_show_nowhere() {
    let database = Database::chat().await;
    database.run(TABLE).await;
    let server = Server::on(&database).await;
    database.run(ROW).await;
    let (plain, history) = both(&database, &server).await;
    assert_eq!(plain, history, "with every default");
    let row: Value = serde_json::from_str(&plain).expect("JSON");
    assert_eq!(row["iv"], "1 day 01:57:00", "{row}");
    assert_eq!(row["f8"].to_string(), "0.30000000000000004", "{row}");
    assert_eq!(row["rc"], "s.named", "{row}");
    assert_eq!(row["mo"], "$1.50", "{row}");

    for (setting, value) in SETTINGS {
        let mut writer = database.connection().await;
        run(
            &mut writer,
            &format!("delete from styled; set {setting} = {value}; {ROW}"),
        )
        .await;
        let (event, history) = both(&database, &server).await;
        assert_eq!(event, plain, "{setting} = {value}");
        assert_eq!(history, plain, "{setting} = {value}");
    }
}

#[tokio::test]
async fn a_databases_settings_show_nowhere() {
    let database = Database::chat().await;
    database.run(TABLE).await;
    database.run(ROW).await;
    let server = Server::on(&database).await;
    let (plain, _) = both(&database, &server).await;
    server.stop().await;
    let name = database.value("select current_database()").await;
    for (setting, value) in SETTINGS {
        database
            .run(&format!("alter database {name} set {setting} = {value}"))
            .await;
    }
    let server = Server::on(&database).await;
    let mut writer = database.connection().await;
    run(&mut writer, &format!("delete from styled; {ROW}")).await;
    assert_eq!(both(&database, &server).await, (plain.clone(), plain));
    assert_eq!(
        crate::harness::database::value(
            &mut writer,
            "select string_agg(problems::text, '') from rowcast.sources"
        )
        .await,
        "{}{}",
        "no name is taken for another because of its quotes"
    );
}

#[tokio::test]
async fn an_update_is_seen_whatever_the_writers_settings_hide() {
    let database = Database::chat().await;
    database.run(TABLE).await;
    database.run(ROW).await;
    let mut writer = database.connection().await;
    run(
        &mut writer,
        "set extra_float_digits = -10; update styled set f8 = 0.3",
    )
    .await;
    assert_eq!(
        database
            .value("select data -> 'message' ->> 'f8' from rowcast.events where event = 'message:updated'")
            .await,
        "0.3"
    );
}

/// No value of such a table depends on a setting but the time zone, so its triggers set no other one.
const UNSTYLED: &str = r#"
create schema s;
create table unstyled (
  id bigint primary key, c text, tz timestamptz, tzs timestamptz[], ts timestamp, d date, nu numeric, nus numeric[], v varchar(9), b bool,
  u uuid, js jsonb, ip inet);
select rowcast.attach('unstyled', room => 'conversation:{c}', on_insert => 'message:new', on_update => 'message:updated');
"#;

const UNSTYLED_ROW: &str = r#"
insert into unstyled values (
  1, '42', timestamptz '2026-01-02 03:04:05.6+00', array[timestamptz '2026-01-02 03:04:05+00', 'infinity'], timestamp '2026-01-02 03:04:05',
  date '2026-01-02', 1.10, array[1.10, 2], 'v', true, '00000000-0000-8000-8000-000000000000', '{"f": 1.10}', '10.0.0.0/8')
"#;

#[tokio::test]
async fn a_writers_settings_show_nowhere_where_the_triggers_set_few_of_them() {
    let database = Database::chat().await;
    database.run(UNSTYLED).await;
    let server = Server::on(&database).await;
    let settings = "select string_agg(split_part(c, '=', 1), ' ' order by c) from pg_proc cross join unnest(proconfig) c
         where proname = 'capture_public_unstyled_insert'";
    let set = database.value(settings).await;
    assert_eq!(set, "TimeZone jit search_path", "few are set");
    database.run(UNSTYLED_ROW).await;
    let (plain, history) = both(&database, &server).await;
    assert_eq!(plain, history, "with every default");
    let with_all = async |insert: &str, plain: &str| {
        let settings = SETTINGS.map(|(setting, value)| format!("set {setting} = {value}; "));
        let mut writer = database.connection().await;
        let settings = settings.concat();
        run(
            &mut writer,
            &format!("delete from public.unstyled; {settings}{insert}"),
        )
        .await;
        let (event, history) = both(&database, &server).await;
        assert_eq!((event.as_str(), history.as_str()), (plain, plain));
    };
    with_all(UNSTYLED_ROW, &plain).await;

    // A column that needs more, in a session that has written before.
    let mut writer = database.connection().await;
    let settings = SETTINGS.map(|(setting, value)| format!("set {setting} = {value}; "));
    let again = format!("delete from public.unstyled; {UNSTYLED_ROW}");
    run(&mut writer, &format!("{} {again}", settings.concat())).await;
    database
        .run("alter table unstyled alter v type float8 using 0.1::float8 + 0.2, alter ip type interval using '1 day 2 hours'")
        .await;
    let update = "update public.unstyled set c = '42', ts = '2026-01-03 03:04:05'";
    run(&mut writer, update).await;
    let row = "select concat_ws(' ', data -> 'message' -> 'v', data -> 'message' -> 'ip', data -> 'message' -> 'tz')
         from rowcast.events where event = 'message:updated' order by id desc limit 1";
    assert_eq!(
        database.value(row).await,
        r#"0.30000000000000004 "1 day 02:00:00" "2026-01-02T03:04:05.6Z""#
    );
}
