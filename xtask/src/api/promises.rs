//! Checks that the public API shows no type of a dependency, and that its items are `Send` and `Sync`.
//!
//! A visible dependency could not be replaced or updated without breaking programs. The pages give names without
//! paths, so every name must be the crate's own or in a list here. A foreign type with a name in the lists would
//! pass; reviewers see it in the difference of `docs/api`.

use std::collections::BTreeSet;

use super::elements;

/// Types of the standard library.
const STANDARD: &str = "Any Arc AsRef Box Clone Copy Cow Debug Default Deref Display Drop Duration Eq Err Error Fn FnMut FnOnce \
     From FromStr Future Hash Into IntoIterator Item Iterator None Ok Option Output PartialEq Path PathBuf Result Self Send Sized Some \
     String Sync SystemTime Target Vec";

/// Crates whose types a crate may show, because it exists for them.
const HOSTS: &[(&str, &str)] =
    // tokenkeep-azure connects tokenkeep's cache with azure_core's traits, tokenkeep-server with the drivers of databases.
    &[
        ("tokenkeep_azure", "TokenCache ClientOptions TokenCredential AccessToken TokenRequestOptions"),
        ("tokenkeep_server", "Key Secret Client ConnectionLike"),
    ];

/// Items that cannot be both, with the reason.
const NOT_SYNC: &[&str] = &[
    // A future is polled by one task; several tasks share its result.
    "struct tokenkeep::nonblocking::Operation",
    // A view of parsed text, which caches the position of its last search.
    "struct tokenkeep::schema::Contents",
];

/// Returns the unknown names in the listing of a crate.
pub(super) fn strangers(name: &str, listing: &str) -> Vec<String> {
    let own = listing.lines().filter(|line| !line.starts_with(' '));
    let mut known: BTreeSet<&str> = own.filter_map(|line| line.rsplit("::").next()).collect();
    known.extend(STANDARD.split_whitespace());
    let hosts = HOSTS.iter().filter(|host| host.0 == name);
    known.extend(hosts.flat_map(|host| host.1.split_whitespace()));
    let mut item = "";
    let mut problems = Vec::new();
    for line in listing.lines() {
        let Some(declaration) = line.strip_prefix("    ") else {
            item = line;
            continue;
        };
        let strange: BTreeSet<String> =
            type_names(declaration).into_iter().filter(|word| !known.contains(&**word)).collect();
        problems.extend(
            strange
                .iter()
                .map(|word| format!("    {item} shows {word}: is it of a dependency? {declaration}")),
        );
    }
    problems
}

/// Returns the words of a declaration that can be types: not generic parameters, constants or names of variants.
fn type_names(declaration: &str) -> Vec<String> {
    let declaration = declaration.replace("// Required methods", "").replace("// Provided methods", "");
    let is_enum = declaration.contains("pub enum ");
    let mut names = Vec::new();
    let (mut braces, mut others) = (0_usize, 0_usize);
    let mut word = String::new();
    for character in declaration.chars().chain([' ']) {
        if character.is_alphanumeric() || character == '_' {
            word.push(character);
            continue;
        }
        let variant = is_enum && braces == 1 && others == 0;
        let is_type = word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.contains(|c: char| c.is_ascii_lowercase());
        if is_type && !variant {
            names.push(std::mem::take(&mut word));
        }
        word.clear();
        match character {
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            '(' | '<' | '[' => others += 1,
            ')' | '>' | ']' => others = others.saturating_sub(1),
            _ => {}
        }
    }
    names
}

/// Reports an item that cannot be sent or shared although it should be.
pub(super) fn bound_to_a_thread(item: &str, page: &str) -> Vec<String> {
    let Some((_, synthetic)) = page.split_once("id=\"synthetic-implementations\"") else { return Vec::new() };
    elements(synthetic, "<h3 class=\"code-header\">", "</h3>")
        .filter(|line| {
            line.contains("!Send for ") || line.contains("!Sync for ") && !NOT_SYNC.contains(&item)
        })
        .map(|line| format!("    {item} is bound to a thread: {line}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_of_a_dependency_is_told() {
        let listing = "struct tokenkeep::Cache\n    pub fn of(connection: &Connection) -> Result<Self>\n    impl From<Cache> for String\n";
        let expected = "    struct tokenkeep::Cache shows Connection: is it of a dependency? pub fn of(connection: &Connection) -> Result<Self>";
        assert_eq!(strangers("tokenkeep", listing), [expected]);
    }

    #[test]
    fn variants_constants_and_generic_parameters_are_no_types_but_what_variants_hold_is() {
        let listing = "enum tokenkeep::Event\n    pub enum Event<T> { Moved { to: Place, }, Warning(Words), Gone, }\n    pub const NOT_FOUND: Self\n";
        let strange = strangers("tokenkeep", listing);
        assert!(strange[0].contains("shows Place") && strange[1].contains("shows Words"), "{strange:?}");
        assert_eq!(strange.len(), 2);
    }

    #[test]
    fn what_only_one_crate_is_for_is_strange_in_the_others() {
        let listing = "struct c::Credential\n    impl TokenCredential for Credential\n";
        assert!(strangers("tokenkeep_azure", listing).is_empty());
        assert_eq!(strangers("tokenkeep", listing).len(), 1);
    }

    #[test]
    fn a_type_that_a_thread_keeps_for_itself_is_told() {
        let page = |line: &str| {
            format!("<h2 id=\"synthetic-implementations\"></h2><h3 class=\"code-header\">{line}</h3>")
        };
        assert_eq!(bound_to_a_thread("struct c::A", &page("impl !<a>Sync</a> for A")).len(), 1);
        assert_eq!(bound_to_a_thread("struct c::A", &page("impl <a>Sync</a> for A")).len(), 0);
        let allowed = "struct tokenkeep::nonblocking::Operation";
        assert_eq!(bound_to_a_thread(allowed, &page("impl&lt;T&gt; !Sync for Operation&lt;T&gt;")).len(), 0);
        assert_eq!(bound_to_a_thread(allowed, &page("impl&lt;T&gt; !Send for Operation&lt;T&gt;")).len(), 1);
    }
}
