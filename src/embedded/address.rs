//! Where the embedded Postgres is, in the notations of those who ask.
//!
//! Owns quoting: for a URL, for a shell, for a Postgres setting.
//! Guarantees that any UTF-8 path survives each of them.

use std::{ffi::OsString, fmt::Write, path::Path};

use super::{DATABASE, PORT, SUPERUSER};

/// The URL. Says the port and "no TLS" too, since `PGPORT` and `PGSSLMODE` would fill them in.
pub(super) fn url(sockets: &Path) -> String {
    let mut folder = String::new();
    for byte in sockets.to_string_lossy().bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            folder.push(char::from(byte));
        } else {
            write!(folder, "%{byte:02X}").expect("a String takes everything");
        }
    }
    format!("postgres://{SUPERUSER}@localhost:{PORT}/{DATABASE}?host={folder}&sslmode=disable")
}

/// A command line for a POSIX shell.
pub(super) fn psql(program: &Path, url: &str, sql: &str) -> String {
    let program = program.to_string_lossy();
    let program = if program == "psql" {
        program.into_owned()
    } else {
        word(&program)
    };
    format!("{program} {} -c {}", word(url), word(sql))
}

/// The setting that puts the socket into one folder: a list, where a comma would begin the next one.
pub(super) fn socket_setting(sockets: &Path) -> OsString {
    let folder = sockets.to_string_lossy().replace('"', "\"\"");
    format!("unix_socket_directories=\"{folder}\"").into()
}

/// One word of a POSIX shell. SQL with its single quotes stands in double quotes, so that it can be read, unless it holds
/// a character that a shell reads within those (`!` is for the history of an interactive bash).
fn word(text: &str) -> String {
    if text.contains('\'') && !text.contains(['$', '`', '\\', '"', '!']) {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_keeps_odd_folders_whole() {
        assert_eq!(
            url(Path::new("/home/a b/sock")),
            "postgres://postgres@localhost:5432/rowcast?host=/home/a%20b/sock&sslmode=disable"
        );
    }

    #[test]
    fn the_line_to_paste_is_readable() {
        assert_eq!(
            psql(Path::new("psql"), "u", "select 'x'"),
            r#"psql 'u' -c "select 'x'""#
        );
        assert_eq!(
            psql(Path::new("/a b/psql"), "u", "select '$x'"),
            r"'/a b/psql' 'u' -c 'select '\''$x'\'''"
        );
    }

    #[test]
    fn a_shell_reads_a_word_as_it_was() {
        for text in [
            "",
            "postgres://u@h/d?host=/a%20b&sslmode=disable",
            "values ('42', 'Hello')",
            "it's $HOME",
            "it's `date`",
            r"it's \\ and \n",
            "it's \"quoted\"",
            "it's !! done",
            "two\nlines' end",
            "'",
        ] {
            let script = format!("printf %s {}", word(text));
            let shell = std::process::Command::new("sh")
                .args(["-c", &script])
                .output()
                .expect("a shell");
            assert_eq!(String::from_utf8_lossy(&shell.stdout), text, "{script}");
        }
    }

    #[test]
    fn a_folder_with_a_comma_or_a_quote_stays_one_folder() {
        let setting = socket_setting(Path::new("/a,b\"c"));
        assert_eq!(setting, "unix_socket_directories=\"/a,b\"\"c\"");
    }
}
