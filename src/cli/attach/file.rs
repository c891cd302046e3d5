//! `rowcast attach --file`: the sources of a file, compared with what is attached, and attached where they differ.
//!
//! Guarantees that all of it is done, or nothing, and that doing it once more does nothing. What is attached and not in the file is
//! somebody else's until `--prune` says otherwise.

mod entries;

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use serde::Serialize;

use super::super::find_database::on_database;
use super::difference;
use crate::config::{AttachArgs, Config};
use crate::db::{Database, Preview, SourceEntry, WantedSource, attach_all, list_sources, preview};
use crate::one_line::one_line;
use crate::stdout::print_line;
use entries::Entries;

/// The exit code of a dry run that finds a difference. 1 says that it failed, and 2 that it was called wrongly.
const DIFFERENT: u8 = 3;
/// A file of some thousand sources.
const MAX_BYTES: u64 = 1 << 20;

/// What a file comes to.
#[derive(Serialize)]
struct Plan {
    /// The tables that are attached, anew or again, and why.
    attach: Vec<Change>,
    /// Those that are detached, because the file has them not.
    detach: Vec<String>,
    /// Those that the file has not, and that are left alone.
    left_alone: Vec<String>,
    /// Whether it was done.
    applied: bool,
}

#[derive(Serialize)]
struct Change {
    source: String,
    /// It was attached before.
    again: bool,
    differences: Vec<String>,
    notices: Vec<String>,
    #[serde(skip)]
    call: String,
    /// Its place in the file.
    #[serde(skip)]
    place: usize,
}

/// Attaches what the file says, or shows the difference.
///
/// # Errors
/// The file can't be read or understood, or something in it is refused: its line says where.
pub(super) async fn attach_file(
    config: &Config,
    args: &AttachArgs,
    file: &Path,
) -> anyhow::Result<ExitCode> {
    let name = file.display().to_string();
    let text = read(file).with_context(|| format!("--file {name}"))?;
    let entries = Entries::parse(&text).map_err(|why| anyhow!("{name}:{why}"))?;
    let plan = on_database(config, async |database| {
        let mut plan = plan(&database, &entries, args.prune, &name).await?;
        if !args.dry_run && plan.differs() {
            let calls: Vec<_> = plan.attach.iter().map(|change| &*change.call).collect();
            let detach: Vec<_> = plan.detach.iter().map(|source| &**source).collect();
            let done = attach_all(&database, &calls, &detach).await;
            done.map_err(
                |(nth, why)| match nth.and_then(|nth| plan.attach.get(nth)) {
                    Some(change) => anyhow!("{name}:{}", entries.refused(change.place, &why)),
                    None => anyhow!(why),
                },
            )?;
            plan.applied = true;
        }
        Ok(plan)
    });
    let plan = plan.await?;
    if args.json {
        print_line(serde_json::to_string_pretty(&plan)?)?;
    } else {
        plan.print(&name)?;
    }
    Ok(match args.dry_run && plan.differs() {
        true => ExitCode::from(DIFFERENT),
        false => ExitCode::SUCCESS,
    })
}

/// The text of a file of sources. Whatever else the name leads to is not read to its end.
fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(file)?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        bail!("it is larger than 1 MB; accepted: a file of sources, such as docs/cli.md shows");
    }
    Ok(text)
}

async fn plan(
    database: &Database,
    entries: &Entries,
    prune: bool,
    name: &str,
) -> anyhow::Result<Plan> {
    let wanted: Vec<_> = entries
        .iter()
        .map(|(table, arguments)| WantedSource { table, arguments })
        .collect();
    let previews = preview(database, &wanted, false).await;
    let previews = previews.map_err(|(nth, why)| match nth {
        Some(nth) => anyhow!("{name}:{}", entries.refused(nth, &why)),
        None => anyhow!(why),
    })?;
    for (nth, preview) in previews.iter().enumerate() {
        if let Some(first) = previews[..nth]
            .iter()
            .position(|other| other.source == preview.source)
        {
            let (line, first) = (entries.line(nth), entries.line(first));
            return Err(anyhow!(
                "{name}:{line}: {} is in the file twice: line {first} has it, too",
                preview.source
            ));
        }
    }
    let attached = list_sources(database).await?;
    let is_wanted = |source: &&SourceEntry| {
        let names = [&source.source, &source.relation];
        previews
            .iter()
            .any(|preview| names.contains(&&preview.source))
    };
    let (known, others): (Vec<_>, Vec<_>) = attached.iter().partition(is_wanted);
    let attach = previews.iter().enumerate().filter_map(|(place, preview)| {
        let problems = known
            .iter()
            .filter(|source| source.source == preview.source);
        let problems = problems.flat_map(|source| &source.problems);
        change(place, preview, problems)
    });
    let attach = attach.collect();
    let others = others.into_iter().map(|source| source.source.clone());
    let (detach, left_alone) = match prune {
        true => (others.collect(), Vec::new()),
        false => (Vec::new(), others.collect()),
    };
    Ok(Plan {
        attach,
        detach,
        left_alone,
        applied: false,
    })
}

/// What attaching a table would change; nothing where it is attached as the file says. What is amiss with it is mended by attaching it again
/// where its words say so.
fn change<'a>(
    place: usize,
    preview: &Preview,
    problems: impl Iterator<Item = &'a String>,
) -> Option<Change> {
    let mut differences = match &preview.attached {
        Some(attached) => difference::between(attached, &preview.definition),
        None => {
            let lines = difference::lines(&preview.definition).into_iter();
            lines.map(|line| format!("+ {line}")).collect()
        }
    };
    let mended = problems.filter(|problem| problem.ends_with("attach it again"));
    differences.extend(mended.map(|problem| format!("! {problem}")));
    (!differences.is_empty()).then(|| Change {
        source: preview.source.clone(),
        again: preview.attached.is_some(),
        differences,
        notices: preview.notices.clone(),
        call: preview.call.clone(),
        place,
    })
}

impl Plan {
    fn differs(&self) -> bool {
        !(self.attach.is_empty() && self.detach.is_empty())
    }

    fn print(&self, name: &str) -> anyhow::Result<()> {
        let left_alone = match self.left_alone.as_slice() {
            [] => String::new(),
            some => format!(
                "; attached and not in it, left alone: {} (--prune detaches)",
                some.join(", ")
            ),
        };
        if !self.differs() {
            return print_line(format_args!("{name}: no difference{left_alone}"));
        }
        for change in &self.attach {
            let what = if change.again { "changed" } else { "new" };
            print_line(format_args!("{}: {what}", change.source))?;
            for line in &change.differences {
                print_line(format_args!("  {}", one_line(line, |_| false)))?;
            }
            for notice in &change.notices {
                super::tell(notice);
            }
        }
        for source in &self.detach {
            print_line(format_args!("{source}: not in the file"))?;
        }
        let (attached, detached) = (self.attach.len(), self.detach.len());
        let done = match self.applied {
            true => format!("{attached} attached, {detached} detached"),
            false => format!("{attached} to attach, {detached} to detach; nothing was changed"),
        };
        print_line(format_args!("{name}: {done}{left_alone}"))
    }
}
