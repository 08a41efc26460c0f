//! The public API of the crates as text, so that every change is noticed: `docs/api/<crate>.txt`.
//!
//! The list comes from rustdoc's pages, because every stable compiler can make them and they show what users see,
//! after macros and re-exports. Only the declarations are used, without documentation.
//!
//! The same pages show whether every item has an example (`examples`), and whether the API exposes a type of a
//! dependency or lacks `Send` and `Sync` (`promises`).

mod examples;
mod promises;

use std::fs;
use std::path::Path;

use crate::job::{Failure, Job, Outcome, at};
use crate::workspace::Workspace;

/// The crates whose API is recorded, by their names in paths.
const CRATES: [&str; 3] = ["tokenkeep", "tokenkeep_azure", "tokenkeep_server"];

/// The folder of the lists.
const FOLDER: &str = "docs/api";

/// The number of differing lines shown for a crate.
const SHOWN: usize = 40;

/// Compares the lists with the documentation of the stage `docs`.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    if !cfg!(target_os = "linux") {
        // Some items of the core exist only on some systems; the lists are those of Linux.
        return job.note("the lists are compared on Linux");
    }
    let mut problems = Vec::new();
    for name in CRATES {
        let file = job.workspace.path(FOLDER).join(format!("{name}.txt"));
        let kept = fs::read_to_string(&file).map_err(at(&file))?;
        let pages = pages(job.workspace, name)?;
        let listing = listing(&pages)?;
        problems.extend(difference(name, &kept, &listing));
        problems.extend(faults(name, &pages, &listing));
    }
    if problems.is_empty() {
        return Ok(());
    }
    let remedy = "if a change is meant: cargo xtask api, and a line in CHANGELOG.md";
    Err(Failure::new(format!("the public face is not as it should be\n{}\n{remedy}", problems.join("\n"))))
}

/// Returns the faults of an API, independent of the recorded list.
fn faults(name: &str, pages: &[(String, String)], listing: &str) -> Vec<String> {
    let mut problems = promises::strangers(name, listing);
    for (item, page) in pages {
        problems.extend(examples::missing(item, page));
        problems.extend(promises::bound_to_a_thread(item, page));
    }
    problems
}

/// `cargo xtask api`: writes the lists.
pub(crate) fn command(workspace: &Workspace) -> Outcome<()> {
    let mut cargo = std::process::Command::new("cargo");
    cargo.args(["doc", "--locked", "--no-deps", "--package", "tokenkeep", "--package", "tokenkeep-azure"]);
    cargo.args([
        "--package",
        "tokenkeep-server",
        "--features",
        "tokenkeep-server/redis,tokenkeep-server/postgres",
    ]);
    // As in the stage `docs`, where a member of the workspace asks for it.
    cargo.args(["--features", "tokenkeep/record"]);
    cargo.current_dir(&workspace.root).env("CARGO_TARGET_DIR", &workspace.cargo_target);
    let status = cargo.status().map_err(|error| Failure::new(format!("cargo doc: {error}")))?;
    if !status.success() {
        return Err(Failure::new(format!("cargo doc: {status}")));
    }
    let folder = workspace.path(FOLDER);
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let mut problems = Vec::new();
    for name in CRATES {
        let file = folder.join(format!("{name}.txt"));
        let pages = pages(workspace, name)?;
        let listing = listing(&pages)?;
        fs::write(&file, &listing).map_err(at(&file))?;
        println!("{FOLDER}/{name}.txt");
        problems.extend(faults(name, &pages, &listing));
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(format!("written, but with faults\n{}", problems.join("\n")))),
    }
}

/// Returns the page and the name of every public item of a crate, in the order of their paths.
fn pages(workspace: &Workspace, name: &str) -> Outcome<Vec<(String, String)>> {
    let folder = workspace.cargo_target.join("doc").join(name);
    // The index is always current; pages of removed items may still exist.
    let index = read(&folder.join("all.html"))?;
    let main = index.split_once("id=\"main-content\"").map_or(&*index, |(_, main)| main);
    let mut pages: Vec<&str> = main
        .split("<a href=\"")
        .skip(1)
        .filter_map(|link| link.split('"').next())
        .filter(|link| link.ends_with(".html") && !link.starts_with("http") && !link.starts_with(".."))
        .collect();
    pages.sort_unstable();
    pages.dedup();
    if pages.is_empty() {
        let folder = folder.display();
        return Err(Failure::new(format!("{folder} lists nothing: has rustdoc changed its pages?")));
    }
    pages.into_iter().map(|page| Ok((item_path(name, page), read(&folder.join(page))?))).collect()
}

/// Returns every public item with its declaration, methods and implementations.
fn listing(pages: &[(String, String)]) -> Outcome<String> {
    let mut text = String::new();
    for (item, page) in pages {
        let declarations = declarations(page);
        if declarations.is_empty() {
            return Err(Failure::new(format!("{item} declares nothing: has rustdoc changed its pages?")));
        }
        text += &format!("{item}\n");
        for declaration in declarations {
            text += &format!("    {declaration}\n");
        }
    }
    Ok(text)
}

/// `schema/fn.put.html` is `fn tokenkeep::schema::put`.
fn item_path(name: &str, page: &str) -> String {
    let (modules, file) = page.rsplit_once('/').map_or(("", page), |(modules, file)| (modules, file));
    let mut parts = file.split('.');
    let (kind, item) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let modules =
        if modules.is_empty() { String::new() } else { format!("{}::", modules.replace('/', "::")) };
    format!("{kind} {name}::{modules}{item}")
}

/// Returns the declarations of a page: the item, its methods, and the traits it implements.
fn declarations(page: &str) -> Vec<String> {
    let main = page.split_once("id=\"main-content\"").map_or(page, |(_, main)| main);
    // Methods that every type has, and other implementors of a trait, are not part of this item.
    let ends = [
        "id=\"synthetic-implementations\"",
        "id=\"blanket-implementations\"",
        "id=\"implementors\"",
        "id=\"foreign-impls\"",
    ];
    let end = ends.into_iter().filter_map(|end| main.find(end)).min().unwrap_or(main.len());
    let main = &main[..end];
    let traits = main.find("id=\"trait-implementations\"").unwrap_or(main.len());
    let mut found = Vec::new();
    found.extend(elements(main, "<pre class=\"rust item-decl\">", "</pre>"));
    found.extend(
        elements(&main[..traits], "<h3 class=\"code-header\">", "</h3>")
            .filter(|line| line.contains(" for ")),
    );
    found.extend(elements(&main[..traits], "<h4 class=\"code-header\">", "</h4>"));
    // The methods of a trait belong to the trait; only its implementation counts.
    let implemented = elements(&main[traits..], "<h3 class=\"code-header\">", "</h3>");
    // Traits that the compiler derives for itself are not a promise.
    found.extend(implemented.filter(|line| !line.contains("StructuralPartialEq ")));
    found
}

/// Returns the part of a page about the item itself: not the traits it implements, and not its implementors.
fn own(page: &str) -> &str {
    let main = page.split_once("id=\"main-content\"").map_or(page, |(_, main)| main);
    let ends = [
        "trait-implementations",
        "synthetic-implementations",
        "blanket-implementations",
        "implementors",
        "foreign-impls",
    ];
    let end = ends.into_iter().filter_map(|end| main.find(&format!("id=\"{end}\""))).min();
    &main[..end.unwrap_or(main.len())]
}

fn elements<'p>(page: &'p str, begin: &'p str, end: &'p str) -> impl Iterator<Item = String> + 'p {
    page.split(begin).skip(1).filter_map(move |rest| Some(plain(rest.split(end).next()?)))
}

/// Returns the text of a piece of a page, in one line.
fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut tag = false;
    for character in html.replace("<br", " <br").chars() {
        match character {
            '<' => tag = true,
            '>' if tag => tag = false,
            _ if !tag => text.push(character),
            _ => {}
        }
    }
    let decoded = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ]
    .into_iter()
    .fold(text, |text, (code, character)| text.replace(code, character));
    let mut words: Vec<&str> = decoded.split_whitespace().collect();
    // "Show 23 variants" is a button.
    while let Some(button) =
        words.windows(3).position(|words| words[0] == "Show" && words[1].parse::<u32>().is_ok())
    {
        words.drain(button..button + 3);
    }
    words.join(" ")
}

/// Returns the lines that only one of the lists has.
fn difference(name: &str, kept: &str, now: &str) -> Vec<String> {
    // A line alone does not name the type of its method.
    let lines = |text: &str| -> Vec<String> {
        let mut item = "";
        let mut lines = Vec::new();
        for line in text.lines() {
            if line.starts_with(' ') {
                lines.push(format!("{item}: {}", line.trim()));
            } else {
                item = line;
                lines.push(line.to_owned());
            }
        }
        lines
    };
    let (kept, now) = (lines(kept), lines(now));
    let gone = kept.iter().filter(|line| !now.contains(line)).map(|line| format!("    - {line}"));
    let new = now.iter().filter(|line| !kept.contains(line)).map(|line| format!("    + {line}"));
    let mut problems: Vec<String> = gone.chain(new).collect();
    let more = problems.len().saturating_sub(SHOWN);
    problems.truncate(SHOWN);
    if more > 0 {
        problems.push(format!("    and {more} more lines of {name}"));
    }
    problems
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"nav<section id="main-content"><pre class="rust item-decl"><code>pub struct <a>Cache</a>&lt;T&gt; {
        Show 2 fields /* private fields */ }</code></pre><h3 class="code-header">impl&lt;T&gt; Cache&lt;T&gt;</h3>
        <h4 class="code-header">pub fn read(
            &amp;self,
        ) -&gt; <a href="x">Option</a>&lt;&amp;T&gt;</h4><div class="docblock">words</div>
        <h2 id="trait-implementations">T</h2><h3 class="code-header">impl Debug for Cache</h3>
        <h4 class="code-header">fn fmt(&amp;self)</h4><h2 id="synthetic-implementations"></h2>
        <h3 class="code-header">impl Send for Cache</h3>"#;

    #[test]
    fn a_page_is_its_declarations_without_words() {
        let expected = [
            "pub struct Cache<T> { /* private fields */ }",
            "pub fn read( &self, ) -> Option<&T>",
            "impl Debug for Cache",
        ];
        assert_eq!(declarations(PAGE), expected);
    }

    #[test]
    fn a_page_says_by_its_name_what_it_is_of() {
        assert_eq!(item_path("tokenkeep", "schema/fn.put.html"), "fn tokenkeep::schema::put");
        assert_eq!(item_path("tokenkeep", "struct.Config.html"), "struct tokenkeep::Config");
    }

    #[test]
    fn every_differing_line_is_shown_with_its_item() {
        let kept = "struct c::A\n    pub fn a()\n    pub fn b()\n";
        let now = "struct c::A\n    pub fn a()\n    pub fn b(x: u8)\n";
        let shown = difference("c", kept, now);
        assert_eq!(shown, ["    - struct c::A: pub fn b()", "    + struct c::A: pub fn b(x: u8)"]);
        assert!(difference("c", kept, kept).is_empty());
    }
}
