use super::*;
use crate::transport::Ack;

fn event() -> Waiting {
    with_text("[\"leave:conversation\",\"1\"]")
}

fn with_text(text: &str) -> Waiting {
    Waiting {
        content: Content::Text(text.into()),
        ack: Ack::None,
    }
}

#[test]
fn one_worker_at_a_time_and_none_when_empty() {
    let (inbox, now) = (Inbox::new(100, Metrics::new().0), Instant::now());
    assert!(
        matches!(inbox.push(event(), now), Pushed::Waits),
        "the connect handler works first"
    );
    assert!(inbox.next().is_some() && inbox.next().is_none());
    assert!(matches!(inbox.push(event(), now), Pushed::Work));
    assert!(matches!(inbox.push(event(), now), Pushed::Waits));
}

#[test]
fn the_rate_is_a_bucket_that_refills() {
    let inbox = Inbox::new(2, Metrics::new().0);
    let now = Instant::now();
    for _ in 0..3 {
        inbox.push(event(), now);
    }
    let refused = |inbox: &Inbox| {
        inbox
            .next()
            .is_some_and(|event| event.args == Err(Refusal::TooManyRequests))
    };
    assert!(!refused(&inbox) && !refused(&inbox) && refused(&inbox));
    inbox.push(event(), now + std::time::Duration::from_millis(600));
    assert!(!refused(&inbox));
}

#[test]
fn a_closed_inbox_keeps_nothing() {
    let (inbox, now) = (Inbox::new(100, Metrics::new().0), Instant::now());
    inbox.push(event(), now);
    inbox.close();
    inbox.push(event(), now);
    assert!(!inbox.has_more() && inbox.next().is_none());
}

#[test]
fn a_full_inbox_takes_no_more() {
    let (inbox, now) = (Inbox::new(100_000, Metrics::new().0), Instant::now());
    for _ in 0..MAX_WAITING {
        inbox.push(event(), now);
    }
    assert!(matches!(inbox.push(event(), now), Pushed::Full(_)));
    let held = std::iter::from_fn(|| inbox.next()).count();
    assert_eq!(held, MAX_WAITING);
}

#[test]
fn texts_are_bounded_in_bytes_and_a_longer_one_waits_alone() {
    let (inbox, now) = (Inbox::new(100_000, Metrics::new().0), Instant::now());
    let half = "x".repeat(MAX_WAITING_BYTES / 2);
    for _ in 0..2 {
        assert!(matches!(inbox.push(with_text(&half), now), Pushed::Waits));
    }
    assert!(matches!(inbox.push(event(), now), Pushed::Full(_)));
    assert!(inbox.next().is_some());
    assert!(matches!(inbox.push(event(), now), Pushed::Waits));
    while inbox.next().is_some() {}

    let long = "x".repeat(2 * MAX_WAITING_BYTES);
    assert!(matches!(inbox.push(with_text(&long), now), Pushed::Work));
    assert!(matches!(inbox.push(event(), now), Pushed::Full(_)));
    assert!(inbox.next().is_some() && inbox.next().is_none());
    assert!(matches!(inbox.push(event(), now), Pushed::Work));
}

#[test]
fn a_refused_event_keeps_no_text() {
    let (inbox, now) = (Inbox::new(1, Metrics::new().0), Instant::now());
    for _ in 0..10 {
        inbox.push(with_text(&"x".repeat(MAX_WAITING_BYTES / 4)), now);
    }
    assert_eq!(inbox.state().bytes, MAX_WAITING_BYTES / 4);
    assert_eq!(std::iter::from_fn(|| inbox.next()).count(), 10);
}
