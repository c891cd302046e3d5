//! Which statements gave nothing. Where the role that grants has the right itself and may not pass it on, Postgres warns, and says that
//! all went well; what the catalog says afterwards is what holds.

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::Grant;
use crate::db::backend::Backend;
use crate::db::numbers::pin_names;

/// The statements of `$2` after which the role `$1` lacks what they give, each with the owner of the object. They are told by their text,
/// which `grants` has made of the same names.
const UNHELD: &str = "
with given as (
  select sql, split_part(sql, ' on ', 1) as privileges, split_part(sql, ' on ', 1) || ' on ' as begins, format(' to %I;', $1) as ends
  from unnest($2::text[]) as sql
), relation as (
  select c.oid, c.relkind, c.relname, c.relowner, n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'S')
)
select g.sql, quote_ident(pg_get_userbyid(n.nspowner)) as owner from given g, pg_namespace n
where g.sql = begins || format('schema %I', n.nspname) || ends and not has_schema_privilege($1, n.oid, 'usage')
union
select g.sql, quote_ident(pg_get_userbyid(p.proowner)) from given g, pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = 'rowcast' and not has_function_privilege($1, p.oid, 'execute')
  and g.sql = begins || format('function rowcast.%I(%s)', p.proname, pg_get_function_identity_arguments(p.oid)) || ends
union
select g.sql, quote_ident(pg_get_userbyid(r.relowner)) from given g, relation r, unnest(array['select', 'insert', 'update', 'delete']) as privilege
where r.relkind <> 'S' and g.privileges ~ ('\\m' || privilege || '\\M') and not has_table_privilege($1, r.oid, privilege)
  and (g.sql = begins || format('%I.%I', r.nspname, r.relname) || ends
    or r.nspname = 'rowcast' and g.sql like 'grant select on rowcast.%, rowcast.%')
union
select g.sql, quote_ident(pg_get_userbyid(r.relowner)) from given g, relation r
where r.nspname = 'rowcast' and g.sql = begins || 'all sequences in schema rowcast' || ends
  and case when r.relkind = 'S' then not has_sequence_privilege($1, r.oid, 'select') else false end";

/// Marks those of the statements that were run and gave `role` nothing, with who could have given it.
pub(super) async fn note_unheld(
    connection: &mut PgConnection,
    role: &str,
    grants: &mut [Grant],
) -> sqlx::Result<()> {
    let given = grants.iter().filter(|grant| grant.refused.is_none());
    let given: Vec<_> = given.map(|grant| &*grant.sql).collect();
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(pin_names!())
        .execute(&mut *transaction)
        .await?;
    let unheld: Vec<(String, String)> = sqlx::query_as(UNHELD)
        .bind(role)
        .bind(given)
        .fetch_all(&mut Backend::new(false, &mut transaction))
        .await?;
    transaction.rollback().await?;
    for (sql, owner) in unheld {
        for grant in grants.iter_mut().filter(|grant| grant.sql == sql) {
            grant.refused = Some(format!("it is {owner}'s to give"));
        }
    }
    Ok(())
}
