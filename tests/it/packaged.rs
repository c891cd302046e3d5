//! What a release is made of: the unit, its settings, Compose, the image, the manual. Whether the package installs, `scripts/try-package` tries.

use std::collections::BTreeSet;
use std::path::Path;

use crate::harness::{Launch, Scratch};
use crate::operating::{blocks, paste};

const ENV_FILE: &str = include_str!("../../ops/rowcast.env");
const SERVICE: &str = include_str!("../../ops/systemd/rowcast.service");
const COMPOSE: &str = include_str!("../../ops/compose.yaml");
const DOCKERFILE: &str = include_str!("../../Dockerfile");

/// The names of all settings, as the binary has them.
async fn settings() -> BTreeSet<String> {
    let said = Launch::command(["check"]).succeed().await.stdout;
    let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
    said.lines().filter_map(first).collect()
}

/// The words of a text that can only be variables: in capitals, and of more than one part.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |letter: char| letter.is_ascii_uppercase() || letter == '_';
    text.split(move |letter| !is_part(letter))
        .filter(|word| word.contains('_') && !word.starts_with('_') && !word.ends_with('_'))
}

#[tokio::test]
async fn every_variable_that_a_package_names_exists() {
    let settings = settings().await;
    assert!(settings.contains("DATABASE_URL_FILE"), "{settings:?}");
    // Those of systemd's sandbox, of Postgres's image, and what an image is built of.
    let of_others = |name: &str| {
        ["AF_", "POSTGRES_"].iter().any(|of| name.starts_with(of)) || name == "CARGO_TARGET_DIR"
    };
    let mut named = 0;
    for (file, text) in [
        ("rowcast.env", ENV_FILE),
        ("rowcast.service", SERVICE),
        ("compose.yaml", COMPOSE),
        ("Dockerfile", DOCKERFILE),
    ] {
        for name in variables(text).filter(|name| !of_others(name)) {
            assert!(settings.contains(name), "{file}: {name}");
            named += 1;
        }
    }
    // Of one part.
    let lines = ENV_FILE
        .lines()
        .map(|line| line.trim_start_matches('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .filter(|name| !name.contains(' '));
    let of_image = DOCKERFILE.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("ENV ")?.split_once('=')?;
        Some(name)
    });
    for name in lines.chain(of_image) {
        assert!(settings.contains(name), "{name}");
        named += 1;
    }
    assert!(named > 20, "{named}");
}

#[tokio::test]
async fn the_settings_of_the_service_are_accepted_also_as_an_operator_edits_them() {
    let folder = Scratch::folder();
    for edited in [
        ENV_FILE.to_owned(),
        ENV_FILE
            .replace("#DATABASE_URL=", "DATABASE_URL=")
            .replace("#FRONTEND_URL=", "FRONTEND_URL="),
    ] {
        // The package links .env of its folder to the file.
        std::fs::write(folder.path().join(".env"), &edited).expect("a file");
        let said = Launch::command(["check"]).folder(folder.path());
        let said = said.succeed().await.stdout;
        let lines = edited.lines().filter(|line| !line.starts_with('#'));
        for line in lines.filter(|line| !line.is_empty()) {
            let name = line.split_once('=').expect("a setting").0;
            let shown = said
                .lines()
                .find(|shown| shown.starts_with(&format!("{name} ")));
            assert!(
                shown.is_some_and(|shown| shown.contains(".env")),
                "{name}: {said}"
            );
        }
    }
}

/// The first number after a word.
fn seconds_after(text: &str, word: &str) -> u64 {
    let (_, after) = text.split_once(word).expect(word);
    let digits = after.chars().take_while(char::is_ascii_digit);
    digits.collect::<String>().parse().expect("a number")
}

#[tokio::test]
async fn whoever_stops_it_waits_for_longer_than_the_drain() {
    let check = Launch::command(["check"]).succeed().await.stdout;
    let line = check
        .lines()
        .find(|line| line.starts_with("ROWCAST_DRAIN "));
    let drain = line.expect("a setting").split_whitespace().nth(1);
    let drain = seconds_after(drain.expect("a value"), "");
    assert_eq!(drain, 10);
    let (_, rowcast) = COMPOSE.split_once("\n  rowcast:").expect("a service");
    for (text, word) in [
        (SERVICE, "\nTimeoutStopSec="),
        (rowcast, "stop_grace_period: "),
        (DOCKERFILE, "--stop-timeout "),
    ] {
        assert!(seconds_after(text, word) > drain, "{word}");
    }
}

#[tokio::test]
async fn the_manual_has_every_command_and_every_setting() {
    let folder = Scratch::folder();
    let into = folder.path().join("manual");
    let into = into.to_str().expect("a path");
    Launch::command(["manual", into]).succeed().await;
    let read = |name: &str| {
        let text = std::fs::read_to_string(Path::new(into).join(name));
        // A hyphen is written as \- in a man page.
        text.expect(name).replace("\\-", "-")
    };
    let page = read("rowcast.1");
    for name in settings().await {
        let flag = name.to_lowercase().replace('_', "-");
        let flag = format!("\\fB--{flag}\\fR");
        assert!(page.contains(&flag), "{flag}");
    }
    let help = Launch::command(["--help"]).succeed().await.stdout;
    let (_, commands) = help.split_once("Commands:\n").expect("commands");
    let (commands, _) = commands.split_once("\n\n").expect("an end");
    let indented = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let commands: Vec<_> = commands
        .lines()
        .filter(indented)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(
        commands.contains(&"doctor") && !commands.contains(&"manual"),
        "{commands:?}"
    );
    let completions = ["rowcast.bash", "_rowcast", "rowcast.fish"].map(read);
    for command in commands {
        assert!(page.contains(&format!("rowcast-{command}(1)")), "{command}");
        let own = read(&format!("rowcast-{command}.1"));
        assert!(own.contains(&format!("rowcast {command}")), "{own}");
        for text in &completions {
            assert!(text.contains(command), "{command}");
        }
    }
    let bash = format!(". {into}/rowcast.bash && complete -p rowcast");
    let said = paste("sh", bash, "", &[], folder.path()).await;
    assert!(said.contains("_rowcast"), "{said}");
}

#[test]
fn what_the_package_is_made_of_is_there() {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().expect("a table");
    let deb = &manifest["package"]["metadata"]["deb"];
    let assets = deb["assets"].as_array().expect("assets");
    let mut found = 0;
    for asset in assets {
        let source = asset[0].as_str().expect("a source");
        if source.starts_with("target/") {
            continue;
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        let (folder, name) = (path.parent().expect("a folder"), path.file_name());
        let name = name.and_then(|name| name.to_str()).expect("a name");
        let (start, end) = name.split_once('*').unwrap_or((name, ""));
        let files = std::fs::read_dir(folder).expect(source);
        let files = files.map(|file| file.expect("a file").file_name());
        let matching = files.filter(|file| {
            let file = file.to_string_lossy();
            file.starts_with(start) && file.ends_with(end)
        });
        assert!(matching.count() > 0, "{source}");
        found += 1;
    }
    assert!(found > 5, "{found}");
}

#[tokio::test]
async fn compose_has_the_secrets_that_the_page_makes() {
    let folder = Scratch::folder();
    let page = include_str!("../../docs/install.md");
    let block = blocks(page)
        .into_iter()
        .find(|block| block.heading == "Compose")
        .expect("a block");
    let (secrets, _) = block.text.split_once("docker").expect("docker");
    paste("sh", secrets.to_owned(), "", &[], folder.path()).await;
    // The head of the file says the same.
    for line in secrets.lines() {
        assert!(COMPOSE.contains(&format!("\n#   {line}\n")), "{line}");
    }
    for name in ["postgres-password", "database-url"] {
        assert!(
            COMPOSE.contains(&format!("file: secrets/{name}\n")),
            "{name}"
        );
        assert!(folder.path().join("secrets").join(name).is_file(), "{name}");
    }
    let url = folder.path().join("secrets/database-url");
    let url = url.to_str().expect("a path");
    let said = Launch::command(["check"]).env("DATABASE_URL_FILE", url);
    said.succeed().await;
}
