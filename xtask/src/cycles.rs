//! The stage `cycles`: no circle of files that import each other, in the core and in the addon.
//!
//! The files of a crate are the nodes of a graph. A file has an edge to each file whose items it names: by `crate::`,
//! `super::` or `self::`, or by the name of a module of its own. Items that the front page of a crate passes on count
//! as those of the file that defines them. Tests inside a file do not count.
//!
//! The tools that do this from outside are a compiler's front end (cargo-modules, cargo-cycles: minutes to compile), or
//! have not changed since 2021 (arch_test_core).

mod graph;
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::job::{Failure, Job, Outcome, at};
use graph::Graph;
use source::File;

/// A crate, and the imports that may lead back up.
struct Rule {
    folder: &'static str,
    exceptions: &'static [Exception],
}

/// An import that closes a circle and stays: from, to, the reason.
type Exception = (&'static str, &'static str, &'static str);

const RULES: &[Rule] = &[
    Rule { folder: "bindings/node/src", exceptions: &[] },
    Rule { folder: "crates/tokenkeep/src", exceptions: CORE },
];

/// From the bottom to the top the core is: options, event, inspect, platform, environment, atomic_file, lock, persistence,
/// key_source, protector, storage, keychain, cache, moving, config, watch. These imports lead up.
const CORE: &[Exception] = &[
    ("options", "config", "the page of all options shows config's Choice and Refused"),
    ("options", "key_source", "Store names the source of an encrypted file's key"),
    ("options", "platform", "Store names the platform's own store"),
    ("options", "persistence", "Store names a keystore of the program's own"),
    ("event", "persistence", "FellBack says which store was chosen"),
    ("inspect", "platform", "the page of all looks shows the platform's survey of the Secret Service"),
    ("platform", "lock", "the lock file of each system carries the lock's key"),
    ("platform", "persistence", "the Secret Service implements Keystore"),
    ("platform", "keychain", "macOS implements the functions that the Keychain's rules call"),
    ("platform", "protector", "Windows implements Protector"),
    ("platform::windows::access", "platform::windows::files", "an access list is read through an open file"),
    ("persistence", "protector", "a file's persistence is over a protector"),
    ("persistence", "cache", "a file that is half written is judged by the cache's limits"),
    ("persistence", "moving", "a keystore's persistence imports the content of its older item"),
    ("cache", "watch", "a cache tells its watchers of its own writes"),
];

/// The stage.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    let mut complaints = Vec::new();
    for Rule { folder, exceptions } in RULES {
        let mut graph = graph_of(&files(&job.workspace.path(folder))?);
        job.note(&format!("{folder}: {} modules, {} imports between them", graph.len(), graph.edges()))?;
        complaints.extend(judge(&mut graph, exceptions).into_iter().map(|text| format!("{folder}: {text}")));
    }
    if complaints.is_empty() { Ok(()) } else { Err(Failure::new(complaints.join("\n      "))) }
}

/// The circles that are left without the exceptions, and exceptions that are of no use.
fn judge(graph: &mut Graph, exceptions: &[Exception]) -> Vec<String> {
    let useless = |(from, to, _): &&Exception| !graph.is_in_a_circle(from, to);
    let mut complaints: Vec<String> = exceptions
        .iter()
        .filter(useless)
        .map(|(from, to, _)| format!("{from} -> {to} closes no circle: remove it from xtask/src/cycles.rs"))
        .collect();
    for (from, to, _) in exceptions {
        graph.disconnect(from, to);
    }
    for circle in graph.circles() {
        complaints.push(format!("a circle of imports: {}", graph.edges_within(&circle).join(", ")));
    }
    complaints
}

/// The source files below a folder, by the path of their module; `crate` is that of `lib.rs`.
fn files(folder: &Path) -> Outcome<BTreeMap<String, File>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).map_err(at(&next))? {
            let path = entry.map_err(at(&next))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(folder).unwrap_or(&path).with_extension("");
                let names: Vec<_> = inside.iter().map(|name| name.to_string_lossy().into_owned()).collect();
                if names.iter().any(|name| name == "tests") {
                    continue;
                }
                let module = if names == ["lib"] {
                    "crate".to_owned()
                } else {
                    format!("crate::{}", names.join("::"))
                };
                let text = fs::read_to_string(&path).map_err(at(&path))?;
                found.insert(module.clone(), File::parse(&module, &text));
            }
        }
    }
    Ok(found)
}

/// Each import, as one between the modules that stand side by side above the two files. A module and its own children
/// are one house: an import between them is none.
fn graph_of(files: &BTreeMap<String, File>) -> Graph {
    let mut graph = Graph::default();
    for (module, file) in files {
        graph.add(module);
        for path in &file.paths {
            if let Some((from, to)) = target(files, path).and_then(|target| side_by_side(module, &target)) {
                graph.connect(&from, &to);
            }
        }
    }
    graph
}

/// The two paths, cut off behind the first part in which they differ; `None` where one leads through the other.
fn side_by_side(one: &str, two: &str) -> Option<(String, String)> {
    let parts = one.split("::").zip(two.split("::"));
    let common = parts.take_while(|(one, two)| one == two).count();
    let cut = |path: &str| {
        let parts: Vec<&str> = path.split("::").take(common + 1).collect();
        (parts.len() > common).then(|| parts.join("::"))
    };
    Some((cut(one)?, cut(two)?))
}

/// The module with a file of its own that a path leads to.
fn target(files: &BTreeMap<String, File>, path: &str) -> Option<String> {
    let mut module = path;
    while !files.contains_key(module) {
        module = module.rsplit_once("::")?.0;
    }
    if module != "crate" || path == "crate" {
        return Some(module.to_owned());
    }
    // The front page only passes the item on.
    let item = path.split("::").nth(1)?;
    match files[module].passed_on.get(item) {
        Some(source) => target(files, source),
        None => Some(module.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(files: &[(&str, &str)]) -> Graph {
        let parsed = files.iter().map(|(module, text)| ((*module).to_owned(), File::parse(module, text)));
        graph_of(&parsed.collect())
    }

    #[test]
    fn a_circle_is_found_through_every_way_to_name_a_file() {
        for (one, two) in [
            ("use crate::b::Item;", "fn f() { crate::a::g() }"),
            ("use crate::{c, b::{Item, Other}};", "use super::a;"),
            ("pub(crate) use super::b::*;", "use super::{a as other};"),
        ] {
            let graph = graph(&[
                ("crate", "mod a; mod b; mod c;"),
                ("crate::a", one),
                ("crate::b", two),
                ("crate::c", ""),
            ]);
            let circles = graph.circles();
            assert_eq!(circles.len(), 1, "{one} {two}");
            assert_eq!(graph.edges_within(&circles[0]), ["a -> b", "b -> a"], "{one} {two}");
        }
    }

    #[test]
    fn a_module_and_its_children_are_one_house_with_one_neighbour() {
        let parent = "mod child; use child::Part; pub struct Whole;";
        let child = "use super::Whole; use crate::b::Item;";
        let files = |b| {
            [("crate", "mod a; mod b;"), ("crate::a", parent), ("crate::a::child", child), ("crate::b", b)]
        };
        assert_eq!(graph(&files("")).circles().len(), 0);
        let graph = graph(&files("use crate::a::Whole;"));
        assert_eq!(graph.edges_within(&graph.circles()[0]), ["a -> b", "b -> a"]);
    }

    #[test]
    fn what_the_front_page_passes_on_is_its_definers() {
        let front = "mod a; mod b; pub use a::{Item, Other}; pub const VERSION: u8 = 1;";
        let fine = graph(&[("crate", front), ("crate::a", ""), ("crate::b", "use crate::Item;")]);
        assert_eq!(fine.circles().len(), 0);
        let graph = graph(&[
            ("crate", front),
            ("crate::a", ""),
            ("crate::b", "use crate::Item; use crate::VERSION;"),
        ]);
        assert_eq!(graph.circles().len(), 0, "the front page uses a alone");
    }

    #[test]
    fn comments_texts_and_tests_import_nothing() {
        let text = "/// [`crate::b`]\n/* use crate::b; /* and */ crate::b::c */ const A: &str = \"crate::b::c\";\n\
            const B: &str = r#\"use crate::b;\"#; const C: char = '\"'; fn f<'a>() {}\n\
            #[cfg(test)]\nmod tests { use crate::b::Item; fn f() { {} } }";
        let graph = graph(&[("crate", ""), ("crate::a", text), ("crate::b", "use crate::a::X;")]);
        assert_eq!(graph.edges(), 1);
    }

    #[test]
    fn an_exception_opens_a_circle_and_a_useless_one_is_told() {
        let files =
            [("crate", ""), ("crate::a", "use crate::b;"), ("crate::b", "use crate::a;"), ("crate::c", "")];
        assert_eq!(judge(&mut graph(&files), &[]).len(), 1);
        assert_eq!(judge(&mut graph(&files), &[("a", "b", "")]), [""; 0]);
        assert_eq!(judge(&mut graph(&files), &[("a", "b", ""), ("c", "a", "")]).len(), 1);
    }
}
