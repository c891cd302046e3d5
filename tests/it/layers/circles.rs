//! Circles: modules that need each other, so that neither can be read alone.
//!
//! Two modules of one folder are looked at together with everything below them. What a name stands for is followed through
//! re-exports, so that it leads to the file that has it. Between a module and those below it both directions are allowed: a
//! file in a folder may extend a type that the folder's own file has.

use std::collections::{BTreeMap, HashMap};

use super::imports::{self, Imports};
use super::source::Source;

/// Who imports whom among the modules of one folder, each with an example.
type Graph = BTreeMap<String, BTreeMap<String, String>>;

/// Every circle, in words: one line an import.
pub(super) fn find(sources: &[Source]) -> Vec<String> {
    let imports: HashMap<&[String], Imports> = sources
        .iter()
        .map(|source| (&source.module[..], imports::of(source)))
        .collect();
    let mut folders: BTreeMap<Vec<String>, Graph> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.folder() != "main") {
        for import in &imports[&source.module[..]].all {
            let target = resolve(&imports, import.path.clone());
            let from = &source.module;
            let shared = from.iter().zip(&target).take_while(|(a, b)| a == b).count();
            let (Some(a), Some(b)) = (from.get(shared), target.get(shared)) else {
                continue;
            };
            let example = format!(
                "{}:{} imports {}",
                source.file,
                import.line,
                target.join("::")
            );
            let graph = folders.entry(from[..shared].to_vec()).or_default();
            graph
                .entry(a.clone())
                .or_default()
                .entry(b.clone())
                .or_insert(example);
        }
    }
    folders.values().flat_map(circles).collect()
}

/// The module that has what this path names.
fn resolve(imports: &HashMap<&[String], Imports>, mut path: Vec<String>) -> Vec<String> {
    // A re-export leads further down each time; the bound is for one that names itself.
    for _ in 0..16 {
        let depth = (0..=path.len())
            .rev()
            .find(|depth| imports.contains_key(&path[..*depth]))
            .expect("lib.rs is a module");
        let stands_for = path
            .get(depth)
            .and_then(|name| imports[&path[..depth]].names.get(name));
        let Some(stands_for) = stands_for else {
            path.truncate(depth);
            return path;
        };
        path = [&stands_for[..], &path[depth + 1..]].concat();
    }
    path
}

fn circles(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    for start in graph.keys() {
        if let Some(circle) = way_back(graph, start, &done) {
            let examples: Vec<&str> = circle
                .iter()
                .zip(circle.iter().cycle().skip(1))
                .map(|(a, b)| graph[*a][*b].as_str())
                .collect();
            found.push(format!(
                "{} need each other:\n    {}",
                circle.join(", "),
                examples.join("\n    ")
            ));
        }
        // Every circle through this one was found, and is told once.
        done.push(start);
    }
    found
}

/// The shortest circle through `start`, without those in `done`.
fn way_back<'a>(graph: &'a Graph, start: &'a str, done: &[&str]) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![start]];
    let mut seen: Vec<&str> = done.to_vec();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let last = way.last().expect("a way has a beginning");
            for next in graph.get(*last).into_iter().flat_map(BTreeMap::keys) {
                if next == start {
                    return Some(way);
                }
                if !seen.contains(&next.as_str()) {
                    seen.push(next);
                    longer.push([&way[..], &[next.as_str()]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}
