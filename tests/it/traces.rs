//! Traces: what a collector is told, what it is never told, and that one which is away harms nobody.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;

use crate::harness::collector::{Collector, Exported};
use crate::harness::database::run;
use crate::harness::key_server::{Answer, KeyServer};
use crate::harness::token::{JWT, token};
use crate::harness::{Database, Proxy, Server, Stock, http};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

fn named(name: &str) -> impl Fn(&Exported) -> bool {
    move |span| span.name == name
}

fn in_room(name: &str) -> impl Fn(&Exported) -> bool {
    move |span| span.name == name && span.attribute("rowcast.room") == "conversation:42"
}

#[tokio::test]
async fn a_collector_is_told_of_handshakes_joins_events_and_reads_and_of_no_secret() {
    let (collector, database) = (Collector::start().await, Database::chat().await);
    // A line of the log is written within a join that it raises an error for.
    let policy = "create or replace function rowcast.may_join(claims jsonb, room text) returns boolean language plpgsql as $$
        begin if room = 'conversation:43' then raise exception 'a fault'; end if; return true; end $$";
    database.run(policy).await;
    let mut variables = JWT.to_vec();
    let url = collector.url();
    variables.extend([
        (ENDPOINT, &*url),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20key"),
        ("OTEL_SERVICE_NAME", "chat"),
        ("ROWCAST_LOG", "trace"),
    ]);
    let server = Server::with(&database, &variables).await;
    let network = Proxy::to(server.address()).await;
    let bearer = token("a-subject", &json!({}));
    let options = json!({"transports": ["websocket"], "auth": {"token": bearer}});
    let stock = Stock::start();
    let mut client = stock.open(network.address(), &options, &[]).0;
    client.connected().await;
    client.join("42").await;
    let refused = client.ask("join:conversation", json!(["43"])).await;
    assert_eq!(refused["error"]["code"], "forbidden");
    database.say("42", "a-secret-body").await;
    client.event("message:new").await;
    let bearer = format!("Bearer {bearer}");
    let read = "/api/conversations/42/messages";
    let answer = http::get(server.address(), read, &[("authorization", &bearer)]).await;
    assert_eq!(answer.status, 200);

    let connect = collector.span("a handshake", named("connect")).await;
    assert_eq!(connect.attribute("rowcast.outcome"), "new");
    assert_eq!(connect.kind, SpanKind::Server);
    let join = collector.span("a join", in_room("join")).await;
    assert_eq!(join.attribute("rowcast.outcome"), "joined");
    let of_join = |span: &Exported| span.name == "rowcast.may_join" && span.parent == join.id;
    let policy = collector.span("the join's question", of_join).await;
    assert_eq!(policy.attribute("db.system.name"), "postgresql");
    assert_eq!(
        (policy.kind, &policy.trace),
        (SpanKind::Client, &join.trace)
    );
    let forbidden = |span: &Exported| span.attribute("error.type") == "forbidden";
    let forbidden = collector.span("a refused join", forbidden).await;
    assert!(!forbidden.is_error, "it is the client's doing");
    let broadcast = collector.span("the event", in_room("broadcast")).await;
    assert_eq!(broadcast.attribute("messaging.batch.message_count"), "1");
    let passed = |span: &Exported| span.id == broadcast.parent;
    let pass = collector.span("the read before it", passed).await;
    assert_eq!(
        (&*pass.name, pass.attribute("rowcast.events")),
        ("reader pass", "1")
    );
    let name = "GET /api/conversations/{contactId}/messages";
    let read = collector.span("a read", in_room(name)).await;
    assert_eq!(read.attribute("http.response.status_code"), "200");
    assert_eq!(read.attribute("http.request.method"), "GET");
    assert_eq!(collector.resource()["service.name"], "chat");
    assert_eq!(collector.header("api-key"), "a key");

    // Whatever ended before the stop is exported, also what was about to wait for more.
    client.cut();
    assert!(client.connected().await, "it resumes");
    server.stop().await;
    let spans = collector.spans();
    let resume = spans.iter().find(|span| span.name == "resume");
    let resume = resume.expect("the span of what came last");
    assert_eq!(resume.attribute("rowcast.outcome"), "resumed");
    assert_eq!(resume.attribute("rowcast.rooms"), "1");
    let idle = |span: &&Exported| {
        span.name == "reader pass" && span.attribute("rowcast.events").is_empty()
    };
    assert_eq!(spans.iter().find(idle).map(|span| &span.name), None);
    let page = include_str!("../../docs/operate/tracing.md");
    for span in &spans {
        let names = span.attributes.keys().chain([&span.name]);
        for name in names.filter(|name| !name.starts_with("GET ")) {
            assert!(
                page.contains(&format!("`{name}`")),
                "{name} is not documented"
            );
        }
    }
    for secret in [
        "a-secret-body",
        &bearer["Bearer ".len()..],
        "a-subject",
        &database.url,
    ] {
        assert!(!collector.has_seen(secret), "{secret}");
    }
    let lines = server.lines();
    assert!(
        lines.iter().any(|line| line.contains("a fault")),
        "{lines:?}"
    );
    for line in lines {
        for word in ["rowcast.outcome", "rowcast.room", "otel.", "reader pass"] {
            assert!(!line.contains(word), "a span in the log: {line}");
        }
    }
}

/// As a back end does that is traced itself; the next transaction on its connection is in no trace.
#[tokio::test]
async fn a_trace_that_a_writer_names_goes_along_with_its_events() {
    let (collector, database) = (Collector::start().await, Database::chat().await);
    let server = Server::with(&database, &[(ENDPOINT, &collector.url())]).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    let mut writer = database.connection().await;
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let write = "insert into messages (contact_id, body) values ('42', 'x')";
    for (sql, traced) in [
        (
            format!(
                "begin; select set_config('rowcast.traceparent', '{traceparent}', true); {write}; commit"
            ),
            true,
        ),
        (write.to_owned(), false),
        (
            format!(
                "begin; select set_config('rowcast.traceparent', repeat('no trace ', 1000), true); {write}; commit"
            ),
            false,
        ),
        (
            format!(
                "begin; select set_config('rowcast.traceparent', '{traceparent}', true);
                  select rowcast.emit('conversation:42', 'note', '{{}}'); commit"
            ),
            true,
        ),
    ] {
        let before = collector.spans().len();
        run(&mut writer, &sql).await;
        client.next().await;
        let broadcast = collector
            .later_span("the event", before, in_room("broadcast"))
            .await;
        let linked: Vec<_> = broadcast
            .links
            .iter()
            .map(|trace| trace[..2] == [0x4b, 0xf9])
            .collect();
        assert_eq!(linked, if traced { vec![true] } else { vec![] }, "{sql}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_collector_that_refuses_is_said_once_and_harms_nobody() {
    let (collector, database) = (Collector::start().await, Database::chat().await);
    collector.set_failing(true);
    let server = Server::with(&database, &[(ENDPOINT, &collector.url())]).await;
    let stock = Stock::start();
    let away = |line: &String| line.contains("spans can't be exported");
    for round in ["one", "two", "three"] {
        let dropped = server.metric("rowcast_spans_dropped_total", &[]).await;
        let mut client = stock.joined(&server, "42").await;
        database.say("42", round).await;
        assert_eq!(client.event("message:new").await.body(), round);
        client.disconnect();
        let counter = "rowcast_spans_dropped_total";
        server.counted(counter, &[], dropped + 1.0).await;
    }
    assert_eq!(server.get("/readyz").await.status, 200);
    assert_eq!(server.lines().iter().filter(|line| away(line)).count(), 1);
    let told = server.lines().into_iter().find(away).expect("a line");
    assert!(told.contains("503"), "{told}");
    collector.set_failing(false);
    stock.joined(&server, "42").await;
    collector.span("a join after that", in_room("join")).await;
    let again = |line: &serde_json::Value| line["message"] == "spans are exported again";
    server.log("the end of it", again).await;
}

#[tokio::test]
async fn a_collector_that_hangs_does_not_hold_up_the_stop() {
    let (collector, database) = (KeyServer::start(Answer::Hang).await, Database::chat().await);
    let variables = [(ENDPOINT, &*collector.url()), ("ROWCAST_DRAIN", "8s")];
    let server = Server::with(&database, &variables).await;
    let stock = Stock::start();
    let _client = stock.joined(&server, "42").await;
    server.stop().await;
    let lines = server.lines();
    let has = |words: &str| lines.iter().any(|line| line.contains(words));
    assert!(has("spans were not exported in time"), "{lines:?}");
    assert!(!has("the drain took longer"), "{lines:?}");
    assert!(has("\"stopped\""), "{lines:?}");
}
