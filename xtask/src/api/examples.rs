//! Checks that every public item has an example.
//!
//! The rule: the page of every item has an example that users see, and every function and constant of a type occurs
//! in an example of its page. The documentation tests compile and run them. The functions of a trait are for
//! implementors; fields and variants are shown by their item.

use super::elements;

/// Returns the missing examples of a page; `item` is its name.
pub(super) fn missing(item: &str, page: &str) -> Vec<String> {
    let own = super::own(page);
    let examples: Vec<String> =
        elements(own, "<pre class=\"rust rust-example-rendered\">", "</pre>").collect();
    if examples.is_empty() {
        return vec![format!("    {item} has no example")];
    }
    if item.starts_with("trait ") {
        return Vec::new();
    }
    let declared = elements(own, "<h4 class=\"code-header\">", "</h4>");
    let names = declared.filter_map(|declaration| name(&declaration).map(ToOwned::to_owned));
    names
        .filter(|name| !examples.iter().any(|example| mentions(example, name)))
        .map(|name| format!("    {item}: no example has {name}"))
        .collect()
}

/// Returns the name in a declaration: the word after `fn` or `const`.
fn name(declaration: &str) -> Option<&str> {
    let mut words = declaration.split(|c: char| !is_of_name(c)).filter(|word| !word.is_empty());
    // `pub const fn` declares a function.
    words.find(|word| matches!(*word, "fn" | "const"))?;
    words.find(|word| *word != "fn")
}

/// Returns whether `name` occurs in `text` as a whole word.
fn mentions(text: &str, name: &str) -> bool {
    text.split(|c: char| !is_of_name(c)).any(|word| word == name)
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(examples: &[&str], declarations: &[&str]) -> String {
        let mut page = "<section id=\"main-content\">".to_owned();
        for example in examples {
            page += &format!(
                "<div class=\"example-wrap\"><pre class=\"rust rust-example-rendered\"><code>{example}</code></pre></div>"
            );
        }
        for declaration in declarations {
            page += &format!("<h4 class=\"code-header\">{declaration}</h4>");
        }
        page + "<h2 id=\"trait-implementations\"></h2><h4 class=\"code-header\">fn fmt(&amp;self)</h4>"
    }

    #[test]
    fn an_item_without_an_example_is_told() {
        let bare = page(&[], &["pub fn <a>read</a>(&amp;self)"]);
        assert_eq!(missing("struct c::A", &bare), ["    struct c::A has no example"]);
    }

    #[test]
    fn a_function_that_no_example_uses_is_told() {
        let declarations =
            ["pub fn <a>read</a>(&amp;self)", "pub const fn reader() -> Self", "pub const ABSENT: Self"];
        let shown = page(&["let a = A::<span>reader</span>();"], &declarations);
        let expected = ["    struct c::A: no example has read", "    struct c::A: no example has ABSENT"];
        assert_eq!(missing("struct c::A", &shown), expected);
        let all = page(&["A::reader().read()", "A::ABSENT"], &declarations);
        assert_eq!(missing("struct c::A", &all), Vec::<String>::new());
    }

    #[test]
    fn the_functions_of_a_trait_are_for_those_who_implement_it() {
        let shown = page(&["impl T for A {}"], &["fn load(&amp;self)"]);
        assert_eq!(missing("trait c::T", &shown), Vec::<String>::new());
    }
}
