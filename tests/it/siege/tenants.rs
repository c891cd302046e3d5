//! The honest: three tenants, their rooms, and clients that are in some of them.

use serde_json::{Value, json};

use super::{AUDIENCE, ISSUER};
use crate::harness::witness::{Pass, Witness};
use crate::harness::{Database, Kind, Proxy, Stock};

/// Their names: each of their rooms and rows has one in it.
pub(super) const TENANTS: [&str; 3] = ["amber", "birch", "cedar"];

/// An owner's policy: a table of members, which says for some rooms what it does instead of an answer.
pub(super) const OWNED: &str = "
create table member (subject text, room text, act text not null default 'let in', primary key (subject, room));
grant select on member to rowcast_policy;
create or replace function rowcast.may_join(claims jsonb, room text) returns boolean language plpgsql as $$
declare act text;
begin
  select m.act into act from public.member m where m.subject = claims ->> 'sub' and m.room = may_join.room;
  if act = 'raise' then raise exception 'no, not %', room; end if;
  if act = 'hang' then perform pg_sleep(3600); end if;
  if act = 'null' then return null; end if;
  return act is not null;
end $$;
insert into member
select 'mallory', 'conversation:' || t || '-' || act, act
from unnest(array['amber', 'birch', 'cedar']) t, unnest(array['raise', 'hang', 'null']) act";

/// The contacts of a tenant: such that one is the beginning of another, and some that mean something elsewhere.
pub(super) fn contacts(tenant: &str) -> Vec<String> {
    let named = [
        "", "-1", "-10", "-1%", "_2", "-*", "-raise", "-hang", "-null",
    ];
    let mut contacts: Vec<String> = named.map(|end| format!("{tenant}{end}")).into();
    contacts.push(format!("1{tenant}"));
    contacts
}

/// What lets one into a tenant's rooms, by each of the ways that the shipped policy knows.
pub(super) fn claims(tenant: &str, by_prefix: bool) -> Value {
    let mut claims = if by_prefix {
        let prefix = format!("conversation:{tenant}*");
        json!({ "rooms": [prefix, format!("conversation:1{tenant}")] })
    } else {
        json!({ "conversations": contacts(tenant) })
    };
    (claims["iss"], claims["aud"]) = (json!(ISSUER), json!(AUDIENCE));
    claims
}

/// Makes a subject a member of all rooms of a tenant, where there is a table for that.
pub(super) async fn enrol(database: &Database, subject: &str, tenant: &str) {
    let table = "select to_regclass('public.member') is not null";
    if database.value(table).await == "f" {
        return;
    }
    for contact in contacts(tenant) {
        let insert = format!(
            "insert into member values ('{subject}', 'conversation:{contact}') on conflict do nothing"
        );
        database.run(&insert).await;
    }
}

/// Clients of every kind, three of each tenant, on both servers.
pub(super) async fn witnesses(
    stock: &Stock,
    networks: &[Proxy],
    database: &Database,
) -> Vec<Witness> {
    let mut witnesses = Vec::new();
    for (number, tenant) in TENANTS.into_iter().cycle().take(9).enumerate() {
        let subject = format!("user-{number}");
        enrol(database, &subject, tenant).await;
        let pass = Pass::new(&subject, &claims(tenant, number % 2 == 0), 3_600);
        let all = contacts(tenant);
        let rooms: Vec<&str> = match number / 3 {
            0 => all[..3].iter().map(String::as_str).collect(),
            1 => all[1..6].iter().map(String::as_str).collect(),
            _ => vec![&all[0], all.last().expect("some")],
        };
        let (kind, network) = (Kind::ALL[number % 4], &networks[number % 2]);
        let witness = Witness::admitted(stock, network.address(), kind, &rooms, pass).await;
        witnesses.push(witness);
    }
    witnesses
}
