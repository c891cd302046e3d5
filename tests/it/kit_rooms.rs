//! The client kit with hundreds of conversations on one page, on the real server with its limits as they come.

use serde_json::json;

use crate::harness::Scene;
use crate::kit::Page;

#[tokio::test]
async fn two_hundred_conversations_of_a_page_are_connected_within_the_servers_rate() {
    let scene = Scene::new().await;
    scene.database.say("199", "before").await;
    // The kit's own defaults.
    let options = json!({ "pollConnectedMs": 30_000, "pollDisconnectedMs": 5_000 });
    let page = Page::open(scene.server.address(), &json!({ "options": options })).await;
    page.gives(&json!({ "sub": "anybody" }), 600);
    page.tell(&json!({ "op": "many", "count": 200 }));
    page.page.says("many 200").await;
    // Now all join at once.
    let before = page.lines();
    page.tell(&json!({ "op": "cut" }));
    page.shows_since(before, "many 200").await;
    page.join("199");
    scene.database.say("199", "after").await;
    page.page
        .says(r#"199 connected null ["before","after"]"#)
        .await;
    let refused = scene.server.metric("rowcast_limits_total", &[]).await;
    // Of the 200 that come at once 150 would be. A server that gets no time reads at once what was sent over two seconds.
    assert!(refused < 100.0, "{refused}");
}
