//! `ROWCAST_RELAY`.

use super::*;

#[test]
fn a_relay_is_one_nats_or_several_servers_of_it_and_no_password_is_shown() {
    let relay = accepted(
        "ROWCAST_RELAY",
        "nats://me:s3cret%2B%25+&@10.0.0.5:4222, tls://two",
    )
    .relay
    .expect("a relay");
    let servers: Vec<_> = relay.servers().collect();
    assert_eq!(servers, ["nats://10.0.0.5:4222", "tls://two"]);
    let user = Login::User("me".to_owned(), "s3cret+%+&".to_owned());
    assert!(relay.login() == Some(&user));
    assert!(!format!("{relay:?}").contains("s3cret"));
    let token = accepted("ROWCAST_RELAY", "nats://t0ken@h")
        .relay
        .expect("one");
    assert!(token.login() == Some(&Login::Token("t0ken".to_owned())));
    assert!(accepted("ROWCAST_RELAY", "").relay.is_none());
    for (url, why) in [
        ("s3cret", "relative URL without a base"),
        ("http://s3cret", "it is no address of NATS"),
        ("nats://a/s3cret", "something follows the port"),
        ("nats://s3cret@a,nats://b:s3cret@c", "different logins"),
        ("nats://a,nats://", "it names no host"),
    ] {
        let line = refused("ROWCAST_RELAY", url);
        assert!(!line.contains("s3cret"), "{line}");
        assert!(line.contains(why), "{line}");
    }
}
