//! What a shape's rows should look like, and how they are sorted: plain SQL, which knows nothing of Rowcast's own expressions.

use super::column::Column;
use super::column::Form::{Instant, Json, Local, Text, Texts};
use super::shape::{Shape, literal, quoted};

impl Shape {
    /// What history is sorted by.
    pub(super) fn order_sql(&self) -> String {
        let mut order: Vec<_> = self
            .order
            .iter()
            .map(|at| quoted(self.columns[*at].name))
            .collect();
        if order.is_empty() {
            order.push("nth".to_owned());
        }
        order.extend(self.key.iter().map(|(name, _)| quoted(name)));
        order.join(" nulls last, ")
    }

    /// The rows of a room, as they should look.
    pub(super) fn expected_sql(&self, room: &str, order: &str) -> String {
        let wire = |name: &'static str, camel: &'static str| if self.camel { camel } else { name };
        let mut members = Vec::new();
        let key_text: Vec<_> = self
            .key
            .iter()
            .map(|(name, _)| format!("{}::text", quoted(name)))
            .collect();
        if !self.key.is_empty() && !self.key.iter().any(|(name, _)| *name == "id") {
            members.push(("id".to_owned(), key_text.join(" || ':' || ")));
        }
        for (name, _) in &self.key {
            let shown = if *name == "message_id" {
                wire(name, "messageId")
            } else {
                name
            };
            members.push((shown.to_owned(), format!("{}::text", quoted(name))));
        }
        let in_room = self.rooms == 2 || !self.by_chat;
        members.push(("nth".to_owned(), "nth".to_owned()));
        members.push((
            wire("chat_room", "chatRoom").to_owned(),
            if in_room {
                "chat_room::text"
            } else {
                "chat_room"
            }
            .to_owned(),
        ));
        for (at, column) in self.columns.iter().enumerate() {
            if !self.omit.contains(&at) {
                members.push((
                    wire(column.name, column.camel).to_owned(),
                    self.value_sql(column),
                ));
            }
        }
        for (own, _, kind) in self.chat.into_iter().flatten() {
            let camel = match *own {
                "chat_id" => "chatId",
                "chat_code" => "chatCode",
                "tenant_no" => "tenantNo",
                _ => "chatNo",
            };
            let cast = if *kind == "bigint" { "::text" } else { "" };
            members.push((wire(own, camel).to_owned(), format!("{own}{cast}")));
        }
        if self.chat.is_some() {
            let seen = instant("seen");
            members.push((
                "chat".to_owned(),
                self.of_chat(&format!(
                    "jsonb_build_object('title', title, 'rank', rank::text, 'seen', {seen})"
                )),
            ));
        }
        if self.chained {
            let owner = format!(
                "(select jsonb_build_object('name', name, 'after', \"after\"::text) from owners_{} o where o.id = owner)",
                self.seed
            );
            members.push((
                wire("the_owner", "theOwner").to_owned(),
                self.of_chat(&owner),
            ));
        }
        let members: Vec<_> = members
            .iter()
            .map(|(name, sql)| format!("{}, {sql}", literal(name)))
            .collect();
        let of: Vec<_> = (0..self.rooms)
            .map(|nth| format!("{} = {}", self.room_sql(nth), literal(room)))
            .collect();
        format!(
            "set timezone = 'UTC'; select coalesce(json_agg(jsonb_build_object({}) order by {order}), '[]') from {} where {}",
            members.join(", "),
            self.table,
            of.join(" or ")
        )
    }

    fn value_sql(&self, column: &Column) -> String {
        let raw = quoted(column.name);
        let mut value = match column.form {
            Json => raw.clone(),
            Text => format!("{raw}::text"),
            Instant => instant(&raw),
            Local => instant(&format!(
                "({raw} at time zone '{}')",
                self.zone.unwrap_or("UTC")
            )),
            Texts => format!(
                "(case when {raw} is not null then (select coalesce(jsonb_agg(x::text), '[]') from unnest({raw}) x) end)"
            ),
        };
        if column.as_text {
            value = format!("{raw}::text");
        }
        value = format!("to_jsonb({value})");
        if let Some(words) = column.words {
            let words: Vec<_> = words
                .iter()
                .map(|(from, to)| {
                    format!(
                        "when {} then to_jsonb({}::text)",
                        literal(from),
                        literal(to)
                    )
                })
                .collect();
            value = format!("case {raw}::text {} else {value} end", words.join(" "));
        }
        if let Some(default) = column.default {
            value = format!("coalesce({value}, to_jsonb({}::text))", literal(default));
        }
        value
    }
}

/// A point in time as RFC 3339, in plain SQL.
fn instant(sql: &str) -> String {
    format!(
        "(case when isfinite({sql}) then rtrim(rtrim(to_char({sql} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '0'), '.') || 'Z' \
         else {sql}::text end)"
    )
}
