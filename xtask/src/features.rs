//! The stage `features`: the published crates without optional features, and with one feature at a time.
//!
//! Every other stage builds the whole workspace, where cargo enables the features that any member needs; a program
//! gets only those that it enables itself. So each crate is checked alone here, without the dependencies of its
//! tests.

use std::fs;

use crate::job::{Failure, Job, Outcome, at};

/// The published crates.
const CRATES: [&str; 3] = ["tokenkeep", "tokenkeep-azure", "tokenkeep-server"];

/// Lints every crate once without features, and once for each.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    for name in CRATES {
        let file = job.workspace.path(&format!("crates/{name}/Cargo.toml"));
        let manifest = fs::read_to_string(&file).map_err(at(&file))?;
        if !manifest.lines().any(|line| line.starts_with("name = ")) {
            return Err(Failure::new(format!("{} names no package", file.display())));
        }
        check(job, name, None)?;
        for feature in features(&manifest) {
            check(job, name, Some(feature))?;
        }
    }
    Ok(())
}

fn check(job: &mut Job<'_>, name: &str, feature: Option<&str>) -> Outcome<()> {
    let mut cargo = job.command("cargo");
    cargo.args(["clippy", "--locked", "--package", name, "--no-default-features"]);
    if let Some(feature) = feature {
        cargo.args(["--features", feature]);
    }
    job.run(cargo.args(["--", "-D", "warnings"]))
}

/// The names in the section `[features]`, but for the list of those that are on by default.
fn features(manifest: &str) -> Vec<&str> {
    let section = manifest.lines().skip_while(|line| line.trim() != "[features]").skip(1);
    section
        .take_while(|line| !line.starts_with('['))
        // Continuation lines are indented or close a bracket.
        .filter(|line| line.starts_with(|c: char| c.is_ascii_alphanumeric()))
        .filter_map(|line| line.split_once('=').map(|(name, _)| name.trim()))
        .filter(|name| *name != "default")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::features;

    #[test]
    fn every_feature_is_found_and_nothing_else() {
        let manifest = "[package]\nname = \"a\"\n\n[features]\ndefault = [\"watch\"]\n# a reason\nwatch = [\n    \"dep:notify\",\n]\nmore-still=[]\n\n[dependencies]\nzbus = \"6\"\n";
        assert_eq!(features(manifest), ["watch", "more-still"]);
        assert!(features("[dependencies]\nzbus = \"6\"\n").is_empty());
    }
}
