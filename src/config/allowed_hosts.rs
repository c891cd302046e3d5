//! By which names the server is called: `ROWCAST_ALLOWED_HOSTS`, beside those of `FRONTEND_URL`.
//!
//! Guarantees that a name is held in lower case, without scheme and port, as it is compared.

use super::problem::{Refusal, quote};

/// Names that a request's `Host` may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AllowedHosts {
    /// Every name is one.
    any: bool,
    names: Vec<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Exact(String),
    /// Every name that ends with this, which begins with a dot.
    Below(String),
}

impl AllowedHosts {
    /// May a request name this host? `host` is in lower case, and has no port.
    pub(crate) fn allows(&self, host: &str) -> bool {
        let matches = |name: &Name| match name {
            Name::Exact(name) => name == host,
            Name::Below(end) => is_below(host, end),
        };
        self.any || self.names.iter().any(matches)
    }

    /// Those of this text, which must be good.
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self::parse(text).expect("hosts")
    }

    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let mut hosts = Self::default();
        for part in text.split(',').map(str::trim) {
            match part {
                "" => {}
                "*" => hosts.any = true,
                part => hosts.names.push(Name::parse(part)?),
            }
        }
        Ok(hosts)
    }
}

impl Name {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_prefix("*.").unwrap_or(&lower);
        // A name of other letters is its `xn--` form, as browsers write it.
        let name = url::Host::parse(name)
            .ok()
            .filter(|_| !name.contains(['*', '/', ':', '@']) || name.starts_with('['))
            .ok_or_else(|| {
                Refusal::because(
                    format!("{} is no host", quote(text)),
                    "host names without scheme and port, comma separated, such as chat.example.com,*.internal.example, \
                     or * for any",
                )
            })?;
        let name = name.to_string();
        Ok(if lower.starts_with("*.") {
            Self::Below(format!(".{name}"))
        } else {
            Self::Exact(name)
        })
    }
}

/// Whether `host` is a name below `end`, which begins with a dot.
pub(super) fn is_below(host: &str, end: &str) -> bool {
    let labels = |text: &str| {
        text.split('.').all(|label| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !label.is_empty() && label.bytes().all(plain)
        })
    };
    host.strip_suffix(end).is_some_and(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_whole_or_by_their_end() {
        let hosts =
            AllowedHosts::parse("Chat.Example.com, *.preview.example,, [::1]").expect("hosts");
        for host in [
            "chat.example.com",
            "a.preview.example",
            "a.b.preview.example",
            "[::1]",
        ] {
            assert!(hosts.allows(host), "{host}");
        }
        for host in [
            "example.com",
            "x.chat.example.com",
            "preview.example",
            ".preview.example",
            "a..preview.example",
            "evil/.preview.example",
            "xpreview.example",
            "chat.example.com.evil.example",
            "",
        ] {
            assert!(!hosts.allows(host), "{host}");
        }
        assert!(!AllowedHosts::default().allows("chat.example.com"));
        assert!(
            AllowedHosts::parse("*")
                .expect("any")
                .allows("evil.example")
        );
    }

    #[test]
    fn what_could_never_match_is_refused() {
        for bad in [
            "https://a.example",
            "a.example:80",
            "a.*.example",
            "a b",
            "u@a",
            "*.*.a",
        ] {
            let refusal = format!("{:?}", AllowedHosts::parse(bad).expect_err(bad));
            assert!(refusal.contains("is no host"), "{bad}: {refusal}");
        }
    }
}
