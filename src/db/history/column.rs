//! A column that history compares, or sorts by: what the catalog says of it.

use serde::Deserialize;

/// What matters here of the columns of the relation `$relation` that `$which` chooses, as a JSON array of [`Column`]. A column is
/// `comparable` if its value, written as text into a room's name, casts back to an equal value.
macro_rules! columns_sql {
    ($relation:literal, $alias:literal, $which:literal) => {
        concat!(
            "(select coalesce(json_agg(json_build_object(
                 'name', att.attname,
                 'sql', format('",
            $alias,
            ".%I', att.attname),
                 'member', format('(after ->> %L)', att.attname),
                 'type', case when ty.typbasetype <> 0 then format_type(base.oid, null) else format_type(att.atttypid, att.atttypmod) end,
                 'less', coalesce(compared.less, '<'), 'equal', coalesce(compared.equal, '='),
                 'comparable', (base.oid < 16384 or (select rolsuper from pg_roles where oid = base.typowner))
                   and (base.typcategory in ('B', 'D', 'E', 'I', 'N', 'S', 'T') or base.typname in ('uuid', 'bytea'))
                   and not exists (select from pg_cast where castsource = base.oid and casttarget = 'json'::regtype),
                 'any_text', ty.typtype = 'b' and ty.typcategory = 'S',
                 'time', base.oid in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype))), '[]')
        from pg_attribute att
        join pg_type ty on ty.oid = att.atttypid
        join pg_type base on base.oid = coalesce(nullif(ty.typbasetype, 0), ty.oid)
        left join lateral (
          select max(format('operator(%I.%s)', ons.nspname, o.oprname)) filter (where ao.amopstrategy = 1) as less,
                 max(format('operator(%I.%s)', ons.nspname, o.oprname)) filter (where ao.amopstrategy = 3) as equal
          from pg_opclass oc
          join pg_am am on am.oid = oc.opcmethod and am.amname = 'btree'
          join pg_amop ao on ao.amopfamily = oc.opcfamily and ao.amoplefttype = oc.opcintype and ao.amoprighttype = oc.opcintype
          join pg_operator o on o.oid = ao.amopopr
          join pg_namespace ons on ons.oid = o.oprnamespace
          where oc.opcdefault and oc.opcintype = base.oid and base.oid >= 16384
        ) compared on true
        where att.attrelid = ",
            $relation,
            " and att.attnum > 0 and not att.attisdropped and ",
            $which,
            ")"
        )
    };
}

pub(super) use columns_sql;

/// A column of a table that history reads, or of one that is looked up.
#[derive(Deserialize, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// Itself, quoted.
    pub(super) sql: String,
    /// Its value as text, out of the row's JSON.
    pub(super) member: String,
    #[serde(rename = "type")]
    pub(super) type_name: String,
    /// The operators by which its type is indexed: an extension's are in the extension's schema.
    pub(super) less: String,
    pub(super) equal: String,
    /// Whether a text of it, cast back, equals it.
    pub(super) comparable: bool,
    /// Whether every text can be cast to it.
    pub(super) any_text: bool,
    /// Whether it holds points in time.
    pub(super) time: bool,
}

impl Column {
    /// Whether a value's text may have a colon in it.
    pub(super) fn may_have_colon(&self) -> bool {
        let plain = ["smallint", "integer", "bigint", "uuid", "date", "boolean"];
        !plain.contains(&&*self.type_name) && !self.type_name.starts_with("numeric")
    }

    /// Whether it is a `timestamp`: what it means depends on a zone.
    pub(super) fn is_local_time(&self) -> bool {
        self.time && self.type_name.ends_with("without time zone")
    }
}

/// Columns with the values one of which they must have.
pub(super) type Values<'a> = Vec<(&'a Column, Vec<String>)>;
