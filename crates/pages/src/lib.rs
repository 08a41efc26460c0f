//! The Rust programs of the pages that people read, as documentation tests. The stage `pages` runs them in a private session
//! with a keyring; the stage `rust` leaves this crate out, because the programs need that session.

/// Names the pages, and includes them as documentation.
macro_rules! pages {
    ($($name:ident: $path:literal,)*) => { $(#[cfg(doctest)] #[doc = include_str!($path)] pub mod $name {})* };
}

pages! {
    readme: "../../../README.md",
    crate_readme: "../../tokenkeep/README.md",
    azure: "../../../docs/guide/azure.md",
    first_program: "../../../docs/guide/first-program.md",
    headless: "../../../docs/guide/headless.md",
    languages: "../../../docs/guide/languages.md",
    stores: "../../../docs/guide/stores.md",
    watching: "../../../docs/guide/watching.md",
}
