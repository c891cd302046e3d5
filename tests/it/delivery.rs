//! Who gets an event: every socket of the room, nobody else, once, on either transport and from every server.

use serde_json::json;

use crate::harness::{Scene, Server, Wire};

#[tokio::test]
async fn only_the_room_gets_it() {
    let scene = Scene::new().await;
    let mut inside = scene.joined("42").await;
    let mut elsewhere = scene.joined("43").await;
    let mut nowhere = scene.stock.connect(&scene.server).await;
    let mut left = scene.joined("42").await;
    left.leave("42").await;

    scene.database.say("42", "for 42").await;
    scene.database.say("43", "for 43").await;
    assert_eq!(inside.next().await.body(), "for 42");
    assert_eq!(elsewhere.next().await.body(), "for 43");

    // Whoever joins now has seen nothing of what went by.
    for client in [&mut nowhere, &mut left] {
        client.join("43").await;
    }
    scene.database.say("43", "again").await;
    for client in [&mut elsewhere, &mut nowhere, &mut left] {
        assert_eq!(client.next().await.body(), "again");
    }
}

#[tokio::test]
async fn a_room_is_its_whole_name() {
    let scene = Scene::new().await;
    let names = [
        "4",
        "42",
        "42 ",
        "conversation:42",
        "é",
        "e\u{301}",
        "42\n",
        "{}",
        "%",
    ];
    let mut clients = Vec::new();
    for name in names {
        clients.push(scene.joined(name).await);
    }
    for name in names {
        scene.database.say(name, name).await;
    }
    for (client, name) in clients.iter_mut().zip(names) {
        assert_eq!(client.next().await.body(), name);
    }
    scene.database.run("select rowcast.emit('conversation:' || c, 'fence', '{}') from (select distinct contact_id c from messages) m").await;
    for client in &mut clients {
        assert_eq!(client.next().await.name, "fence");
    }
}

#[tokio::test]
async fn each_transport_delivers() {
    let scene = Scene::new().await;
    for transports in [
        json!(["websocket"]),
        json!(["polling"]),
        json!(["polling", "websocket"]),
    ] {
        let mut client = scene
            .stock
            .open(
                scene.server.address(),
                &json!({"transports": transports}),
                &[],
            )
            .0;
        client.connected().await;
        client.join("42").await;
        for number in 0..50 {
            scene.database.say("42", &number.to_string()).await;
        }
        client.event("rowcast:ready").await;
        for number in 0..50 {
            assert_eq!(
                client.next().await.body(),
                number.to_string(),
                "{transports}"
            );
        }
    }
}

#[tokio::test]
async fn a_socket_in_many_rooms_gets_each_ones_events_once() {
    let scene = Scene::with(&[("ROWCAST_MAX_EVENT_RATE", "1000")]).await;
    let mut client = scene.stock.connect(&scene.server).await;
    for contact in 0..50 {
        client.join(&contact.to_string()).await;
        client.join(&contact.to_string()).await;
    }
    scene
        .database
        .run("insert into messages (contact_id, body) select (n % 50)::text, n::text from generate_series(0, 499) n")
        .await;
    for (number, event) in client.take(500).await.into_iter().enumerate() {
        assert_eq!(event.body(), number.to_string());
    }
}

#[tokio::test]
async fn two_servers_on_one_database_serve_their_own_clients() {
    let scene = Scene::new().await;
    let second = Server::on(&scene.database).await;
    let mut here = scene.joined("42").await;
    let mut there = scene.stock.joined(&second, "42").await;
    for number in 0..200 {
        scene.database.say("42", &number.to_string()).await;
    }
    for number in 0..200 {
        let (one, other) = (here.next().await, there.next().await);
        assert_eq!(one.body(), number.to_string());
        assert_eq!(one.payload(), other.payload());
    }
    // Each goes on when the other is gone.
    scene.server.crash().await;
    scene.database.say("42", "alone").await;
    assert_eq!(there.next().await.body(), "alone");
}

#[tokio::test]
async fn a_server_delivers_what_is_written_after_its_start_only() {
    let scene = Scene::new().await;
    scene.database.say("42", "before").await;
    let late = Server::on(&scene.database).await;
    let mut client = scene.stock.joined(&late, "42").await;
    scene.database.say("42", "after").await;
    assert_eq!(client.next().await.body(), "after");
}

#[tokio::test]
async fn the_first_event_is_ready_with_an_offset() {
    let scene = Scene::new().await;
    let mut client = scene
        .stock
        .open(
            scene.server.address(),
            &json!({"transports": ["websocket"]}),
            &[],
        )
        .0;
    client.connected().await;
    let ready = client.next().await;
    assert_eq!(ready.name, "rowcast:ready");
    assert_eq!(
        ready.payload(),
        &json!({"server": env!("CARGO_PKG_VERSION")})
    );
    assert_eq!(ready.arguments.len(), 2);
    assert!(
        ready.offset().is_some_and(|offset| !offset.is_empty()),
        "{ready:?}"
    );
}

#[tokio::test]
async fn a_client_that_lost_its_network_comes_back_by_itself() {
    let scene = Scene::new().await;
    for transport in ["websocket", "polling"] {
        let mut client = scene.stock.connect_by(transport, &scene.server).await;
        client.join("42").await;
        client.cut();
        client.disconnected().await;
        client.connected().await;
        client.event("rowcast:ready").await;
        client.join("42").await;
        scene.database.say("42", transport).await;
        assert_eq!(client.event("message:new").await.body(), transport);
    }
}

#[tokio::test]
async fn an_idle_client_stays_connected() {
    let scene = Scene::new().await;
    let mut wire = Wire::connect(scene.server.address()).await;
    wire.ask("join:conversation", &json!(["42"]), 1).await;
    let mut polling = scene.stock.connect_by("polling", &scene.server).await;
    polling.join("42").await;
    // Engine.IO's heartbeat shares the connection with the events.
    wire.pinged().await;
    wire.send("3").await;
    scene.database.say("42", "after the silence").await;
    wire.find("the event", |frame| frame.contains("after the silence"))
        .await;
    assert_eq!(polling.next().await.body(), "after the silence");
}

#[tokio::test]
async fn a_database_of_another_life_is_told_to_every_room() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let old = client.join("42").await["offset"].clone();
    // What a server finds on a restored dump, or after a failover.
    scene
        .database
        .run("update rowcast.epoch set timeline = timeline + 1")
        .await;
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'rowcast reader'";
    scene.database.run(kill).await;
    let resync = client.event("rowcast:resync").await;
    assert_eq!(resync.payload()["contactId"], "42");
    assert!(
        resync.payload()["reason"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty())
    );
    assert_eq!(resync.offset(), None, "{resync:?}");
    let answer = client
        .ask(
            "join:conversation",
            json!([{"contactId": "42", "after": old}]),
        )
        .await;
    assert_eq!(answer["resync"], true, "{answer}");
    scene.database.say("42", "of this life").await;
    assert_eq!(client.event("message:new").await.body(), "of this life");
}
