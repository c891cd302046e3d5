//! How a shape's table is attached, with all that was drawn for it.

use super::column::Column;
use super::shape::{Shape, literal};

impl Shape {
    pub(super) fn attach(&self) -> String {
        let named = |pick: &dyn Fn(&Column) -> Option<String>| {
            let parts: Vec<_> = self.columns.iter().filter_map(pick).collect();
            (!parts.is_empty()).then(|| parts.join(", "))
        };
        let json = |name: &str| serde_json::to_string(name).expect("JSON");
        let mut arguments = vec![
            literal(&self.table),
            format!("room => {}", literal(&self.template(0))),
            "on_insert => 'message:new', on_update => 'message:updated', condition => '$.nth >= 0'"
                .to_owned(),
        ];
        if !self.key.is_empty() {
            arguments.push("on_delete => 'message:deleted'".to_owned());
        }
        if self.rooms == 2 {
            arguments.push(format!(
                r#"rooms => '[{{"room": "{}", "on_insert": "message:new", "on_update": "message:updated", "condition": "$.nth % 1000 > 3"}}]'"#,
                self.template(1)
            ));
        }
        let words = named(&|column| {
            let [a, b] = column.words?;
            Some(format!(
                "{}: {{{}: {}, {}: {}}}",
                json(column.name),
                json(a.0),
                json(a.1),
                json(b.0),
                json(b.1)
            ))
        });
        if let Some(words) = words {
            arguments.push(format!("words => {}", literal(&format!("{{{words}}}"))));
        }
        if let Some(defaults) =
            named(&|column| Some(format!("{}: {}", json(column.name), json(column.default?))))
        {
            arguments.push(format!(
                "defaults => {}",
                literal(&format!("{{{defaults}}}"))
            ));
        }
        if let Some(texts) = named(&|column| column.as_text.then(|| literal(column.name))) {
            arguments.push(format!("as_text => array[{texts}]"));
        }
        if let Some(zone) = self.zone {
            arguments.push(format!("timezone => '{zone}'"));
        }
        if !self.order.is_empty() {
            let order: Vec<_> = self
                .order
                .iter()
                .map(|at| literal(self.columns[*at].name))
                .collect();
            arguments.push(format!("order_columns => array[{}]", order.join(", ")));
        } else {
            arguments.push("order_column => 'nth'".to_owned());
        }
        if !self.omit.is_empty() {
            let omit: Vec<_> = self
                .omit
                .iter()
                .map(|at| literal(self.columns[*at].name))
                .collect();
            arguments.push(format!("omit => array[{}]", omit.join(", ")));
        }
        if !self.camel {
            arguments.push("key_case => 'as_is'".to_owned());
        }
        if let Some(chat) = self.chat {
            let own: Vec<_> = chat.iter().map(|(own, ..)| json(own)).collect();
            let theirs: Vec<_> = chat.iter().map(|(_, key, _)| json(key)).collect();
            let by = match own.len() {
                // The foreign key says it.
                1 if own[0] == "\"chat_id\"" => String::new(),
                1 => format!(r#", "column": {}, "key": {}"#, own[0], theirs[0]),
                _ => format!(
                    r#", "column": [{}], "key": [{}]"#,
                    own.join(", "),
                    theirs.join(", ")
                ),
            };
            let owner = if self.chained {
                format!(
                    r#", "the_owner": {{"table": "owners_{}", "column": "chat.owner", "key": "id", "row": ["name", "after"]}}"#,
                    self.seed
                )
            } else {
                String::new()
            };
            arguments.push(format!(
                r#"lookups => '{{"chat": {{"table": "chats_{}"{by}, "row": ["title", "rank", "seen"]}}{owner}}}'"#,
                self.seed
            ));
        }
        format!("select rowcast.attach({})", arguments.join(",\n  "))
    }
}
