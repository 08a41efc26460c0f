//! The links between the pages: each file is there, and each heading. Addresses of the web are not requested.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use comrak::nodes::NodeValue;
use comrak::{Anchorizer, Arena, Options, parse_document};

/// The links of a page, each with its line, and the anchors of its headings.
#[derive(Default)]
struct Page {
    links: Vec<(usize, String)>,
    anchors: Vec<String>,
}

#[test]
fn every_link_of_every_page_leads_to_a_file_and_a_heading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let listed = Command::new("git").args(["ls-files", "*.md"]).current_dir(&root).output().unwrap();
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).unwrap();
    let pages: HashMap<PathBuf, Page> = names
        .lines()
        .map(|name| (PathBuf::from(name), parse(&std::fs::read_to_string(root.join(name)).unwrap())))
        .collect();

    let faults: Vec<String> = pages
        .iter()
        .flat_map(|(name, page)| page.links.iter().map(move |(line, link)| (name, line, link)))
        .filter_map(|(name, line, link)| {
            fault(&root, &pages, name, link)
                .map(|fault| format!("{}:{line}: {link}: {fault}", name.display()))
        })
        .collect();
    assert!(pages.len() > 30 && pages.values().any(|page| !page.links.is_empty()), "{} pages", pages.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_link_to_a_missing_file_or_heading_is_a_fault() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = HashMap::from([(PathBuf::from("README.md"), parse("# The start\n[a](#the-start)"))]);
    let of = |link| fault(&root, &pages, Path::new("README.md"), link);
    assert_eq!(of("#the-start"), None);
    assert_eq!(of("crates"), None);
    assert_eq!(of("https://example.org/"), None);
    assert_eq!(of("#the-end").as_deref(), Some("there is no such heading"));
    assert_eq!(of("no-such-page.md").as_deref(), Some("there is no such file"));
}

fn parse(text: &str) -> Page {
    let mut options = Options::default();
    options.extension.table = true;
    let arena = Arena::new();
    let mut anchorizer = Anchorizer::new();
    let mut page = Page::default();
    for node in parse_document(&arena, text, &options).descendants() {
        let data = node.data.borrow();
        match &data.value {
            NodeValue::Link(link) | NodeValue::Image(link) => {
                page.links.push((data.sourcepos.start.line, link.url.clone()));
            }
            NodeValue::Heading(_) => {
                let words: String = node
                    .descendants()
                    .filter_map(|part| match &part.data.borrow().value {
                        NodeValue::Text(text) => Some(text.to_string()),
                        NodeValue::Code(code) => Some(code.literal.clone()),
                        _ => None,
                    })
                    .collect();
                page.anchors.push(anchorizer.anchorize(&words));
            }
            _ => {}
        }
    }
    page
}

/// Returns the reason why a link leads nowhere.
fn fault(root: &Path, pages: &HashMap<PathBuf, Page>, page: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = if file.is_empty() { page.to_owned() } else { plain(&page.parent()?.join(file)) };
    if !root.join(&target).exists() {
        return Some("there is no such file".to_owned());
    }
    let anchors = &pages.get(&target)?.anchors;
    let is_there = anchor.is_none_or(|anchor| anchors.iter().any(|one| one == anchor));
    (!is_there).then(|| "there is no such heading".to_owned())
}

/// The path without `..`, as the list of pages has it.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, component| {
        if component == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(component);
        }
        plain
    })
}

/// The threat model names the test of each promise: a file, or a function in one.
#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("docs/threat-model.md")).unwrap();
    let named: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.starts_with("crates/") || name.starts_with("bindings/"))
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        let (path, function) = name.split_once("::").map_or((name, None), |(path, name)| (path, Some(name)));
        let source =
            std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(function.is_none_or(|name| source.contains(&format!("fn {name}("))), "{name} is not there");
    }
}
