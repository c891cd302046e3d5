//! What says who may join which room: the function `rowcast.may_join`, and the role that it runs as.

use serde::Deserialize;

use super::{Doctor, Finding};
use crate::db::policy::MAY_BECOME;

const LOOK: &str = "
select f.oid is not null as is_there, coalesce(pg_get_function_result(f.oid) = 'boolean', false) as is_boolean,
       coalesce(pg_get_function_sqlbody(f.oid), '') = 'RETURN rowcast.claims_allow(claims, room)' as is_shipped,
       exists (select from pg_roles where rolname = 'rowcast_policy') as has_role,
       coalesce((select has_table_privilege(oid, 'rowcast.events', 'select') from pg_roles where rolname = 'rowcast_policy'), false) as may_read,
       quote_ident(current_user) as role
from (select to_regprocedure('rowcast.may_join(jsonb, text)')::oid as oid) f";

/// Whether a token without a claim may join a room that there isn't.
const TRY: &str =
    "select coalesce(rowcast.may_join('{}', 'conversation:rowcast doctor'), false) as lets_in";

/// The same, as a server asks that may.
const TRY_CONFINED: &str = "select a.allowed as lets_in from rowcast.ask_may_join(array['{}'], array[1::bigint], array['conversation:rowcast doctor']) a (allowed)";

const REFUSED: &str = "Clients with tokens are refused every room.";

#[derive(Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an answer of the catalog"
)]
struct Look {
    is_there: bool,
    is_boolean: bool,
    is_shipped: bool,
    has_role: bool,
    may_read: bool,
    may_become: bool,
    is_confined: bool,
    role: String,
}

#[derive(Deserialize)]
struct Tried {
    lets_in: bool,
}

impl Doctor {
    /// The policy and its role, where clients have tokens.
    pub(super) async fn policy(&mut self) {
        if !self.asks_policy {
            let said = "rowcast.may_join is not asked: ROWCAST_AUTH is not jwt";
            return self.add(Finding::ok("policy", said));
        }
        let found = self
            .row::<Look>(&format!(
                "select look.*, role.* from ({LOOK}) look, ({MAY_BECOME}) role"
            ))
            .await;
        let look = match found {
            Ok(look) => look,
            Err(why) => return self.conclude("policy", Err(why)),
        };
        if !look.is_there {
            let said = "the function rowcast.may_join(jsonb, text) is not there";
            return self.add(Finding::failure("policy", said, REFUSED).paste(
                "create function rowcast.may_join(claims jsonb, room text) returns boolean language sql stable \
                 return rowcast.claims_allow(claims, room); grant execute on function rowcast.may_join(jsonb, text) to rowcast_policy;",
            ));
        }
        if !look.is_boolean {
            let said = "rowcast.may_join does not return boolean";
            return self.add(Finding::failure("policy", said, REFUSED));
        }
        self.policy_role(&look);
        self.try_policy(&look).await;
    }

    fn policy_role(&mut self, look: &Look) {
        let role = &look.role;
        if !look.may_become && !look.is_confined {
            let said = if look.has_role {
                format!("{role} may not become rowcast_policy")
            } else {
                "the role rowcast_policy is not there".to_owned()
            };
            let means = "The policy runs with the server's own rights, so it can read all of Rowcast's tables.";
            let paste = format!("rowcast grant {role} --apply");
            self.add(Finding::warning("policy", said, means).paste(paste));
        } else if look.may_read {
            let said = "rowcast_policy may read rowcast.events";
            let means = "The policy is to read none of Rowcast's tables.";
            let paste = "revoke all on all tables in schema rowcast from rowcast_policy;";
            self.add(Finding::warning("policy", said, means).paste(paste));
        } else if !look.is_confined {
            let said = format!("{role} may not call rowcast.ask_may_join as rowcast_policy");
            let means = "What the policy calls can leave its role by RESET ROLE, and read what the server may read.";
            let paste = format!("rowcast grant {role} --apply");
            self.add(Finding::warning("policy", said, means).paste(paste));
        }
    }

    async fn try_policy(&mut self, look: &Look) {
        let (before, statement) = match (look.is_confined, look.may_become) {
            (true, _) => ("", TRY_CONFINED),
            (false, true) => ("set local role rowcast_policy", TRY),
            (false, false) => ("", TRY),
        };
        let which = if look.is_shipped {
            "rowcast.may_join is the shipped one: a token's own claims say which rooms it may join"
        } else {
            "rowcast.may_join was replaced by its owner"
        };
        let tried = self.rows_after::<Tried>(before, statement).await;
        let tried = tried.map(|rows| rows.iter().any(|row| row.lets_in));
        self.add(match tried {
            Ok(false) => Finding::ok("policy", which),
            Ok(true) => Finding::ok("policy", format!("{which}; it lets a token without claims into a room")),
            Err(super::Unanswered(why)) => Finding::warning(
                "policy",
                format!("rowcast.may_join fails for a token without claims: {why}"),
                "A room for which it fails is refused; names in it need their schema, and what it reads must be granted to rowcast_policy.",
            ),
        });
    }
}
