use super::*;

fn now() -> i64 {
    seconds(SystemTime::now())
}

fn revocation(subject: &str, issuer: Option<&str>, room: Option<&str>, at: i64) -> Revocation {
    Revocation {
        subject: subject.to_owned(),
        issuer: issuer.map(Into::into),
        room: room.map(Into::into),
        at,
        reason: None,
    }
}

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_token_of_the_second_of_the_revocation_or_earlier_is_refused_and_a_later_one_is_not() {
    let (revocations, now) = (Revocations::new(DAY), now());
    let of = |subject, issued_at| {
        let bearer = revocations.bearer(Some("i"), subject, issued_at);
        revocations.of(&bearer)
    };
    assert_eq!(of("a", None), None);
    revocations.add(&[revocation("a", None, None, now)]);
    revocations.add(&[revocation("a", None, None, now - 9)]);
    assert_eq!(of("a", Some(now - 1)), Some(Revoked::Revoked));
    assert_eq!(of("a", Some(now)), Some(Revoked::Revoked));
    assert_eq!(of("a", Some(now + 1)), None);
    assert_eq!(
        of("a", None),
        Some(Revoked::Revoked),
        "it does not say when"
    );
    assert_eq!(of("b", Some(now)), None);
}

#[test]
fn a_room_is_closed_alone_and_with_everything() {
    let (revocations, now) = (Revocations::new(DAY), now());
    revocations.add(&[
        revocation("a", None, Some("r:1"), now),
        revocation("b", None, None, now),
    ]);
    let closed = |subject, room: &str, at| {
        let bearer = revocations.bearer(None, subject, Some(at));
        revocations.closes(&bearer, &room.into())
    };
    assert!(closed("a", "r:1", now) && !closed("a", "r:1", now + 1));
    assert!(!closed("a", "r:2", now) && closed("b", "r:2", now));
    let a = revocations.bearer(None, "a", Some(now));
    assert_eq!(revocations.of(&a), None, "it may stay connected");
}

#[test]
fn an_issuer_that_is_named_is_the_only_one() {
    let (revocations, now) = (Revocations::new(DAY), now());
    revocations.add(&[revocation("a", Some("i"), None, now)]);
    let of = |issuer| revocations.of(&revocations.bearer(issuer, "a", Some(now)));
    assert_eq!(of(Some("i")), Some(Revoked::Revoked));
    assert_eq!((of(Some("j")), of(None)), (None, None));
}

#[test]
fn a_token_that_outlives_its_revocation_is_too_old() {
    let (revocations, now) = (Revocations::new(DAY), now());
    let day = seconds_of(DAY);
    revocations.add(&[revocation("a", None, None, now - day - 3700)]);
    let of = |at| revocations.of(&revocations.bearer(None, "a", Some(at)));
    assert_eq!(of(now - day - 3700), Some(Revoked::TooOld));
    assert_eq!(revocations.prune(), 0);
    assert_eq!(of(now - day - 3700), Some(Revoked::TooOld));
    assert_eq!(of(now - day + 60), None);
}

#[test]
fn what_there_is_no_room_for_makes_old_tokens_invalid_and_lets_none_in() {
    let (revocations, now) = (Revocations::with_room_for(10, DAY), now());
    let many: Vec<_> = (0..100)
        .map(|n| revocation(&format!("s{n}"), None, None, now - 1000 + n))
        .collect();
    for some in many.chunks(7) {
        revocations.add(some);
        assert!(revocations.len() <= 10);
    }
    for n in 0..100 {
        let bearer = revocations.bearer(None, &format!("s{n}"), Some(now - 1000 + n));
        assert_eq!(revocations.of(&bearer), Some(Revoked::Revoked), "{n}");
        assert!(revocations.closes(&bearer, &"r:1".into()));
    }
    let later = revocations.bearer(None, "s99", Some(now));
    assert_eq!(revocations.of(&later), None);
}

#[test]
fn what_the_database_writes_is_read() {
    let text = r#"{"subject" : "u", "issuer" : null, "room" : "r:1", "at" : 7, "reason" : null}"#;
    let read = Revocation::parse(text).expect("it is as written");
    assert_eq!(read, revocation("u", None, Some("r:1"), 7));
    assert!(Revocation::parse("{}").is_err());
}
