//! The doctor's report: sections of facts, and findings with their remedies.

use serde_json::{Value, json};

use crate::output::{bad, good, odd, title};
use crate::words::number;
use tokenkeep::inspect::printable;

/// All sections.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) sections: Vec<Section>,
}

/// One section.
#[derive(Debug)]
pub(crate) struct Section {
    title: &'static str,
    facts: Vec<Fact>,
    findings: Vec<Finding>,
}

/// A fact. `name` is stable, for programs.
#[derive(Debug)]
struct Fact {
    name: String,
    text: String,
}

/// A fault or weakness, with its remedy.
#[derive(Debug)]
pub(crate) struct Finding {
    /// Stable, for programs and search engines.
    code: &'static str,
    severity: Severity,
    what: String,
    remedy: String,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    /// Sign-ins are not kept, or not safe.
    Problem,
    /// Sign-ins are kept, but could be kept better.
    Warning,
}

impl Finding {
    pub(crate) fn problem(code: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Problem,
            what: printable(&what.into()),
            remedy: printable(&remedy.into()),
        }
    }

    pub(crate) fn warning(code: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Warning,
            what: printable(&what.into()),
            remedy: printable(&remedy.into()),
        }
    }

    /// A finding with the message and the remedy of an error of the library.
    pub(crate) fn of(code: &'static str, error: &tokenkeep::Error) -> Self {
        let remedy = error.suggestion().unwrap_or(error.kind().explanation().remedy);
        Self::problem(code, crate::exit::message(error), remedy)
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    fn to_json(&self) -> Value {
        let severity = self.severity.word();
        json!({ "code": self.code, "severity": severity, "message": self.what, "remedy": self.remedy })
    }

    fn to_text(&self) -> String {
        let word = match self.severity {
            Severity::Problem => bad("problem"),
            Severity::Warning => odd("warning"),
        };
        format!("  {word} [{}] {}\n          -> {}\n", self.code, self.what, self.remedy)
    }
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
        }
    }
}

impl Section {
    pub(crate) fn new(title: &'static str) -> Self {
        Self { title, facts: Vec::new(), findings: Vec::new() }
    }

    pub(crate) fn fact(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.facts.push(Fact { name: printable(&name.into()), text: printable(&text.into()) });
    }

    pub(crate) fn finding(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Returns the section with one more finding.
    pub(crate) fn with(mut self, finding: Finding) -> Self {
        self.finding(finding);
        self
    }

    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    pub(crate) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Returns the text of a fact.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.facts.iter().find(|fact| fact.name == name).map(|fact| fact.text.as_str())
    }
}

impl Report {
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.sections.iter().flat_map(|section| &section.findings)
    }

    pub(crate) fn to_json(&self) -> Value {
        let sections: Vec<Value> = self
            .sections
            .iter()
            .map(|section| {
                let facts = section.facts.iter().map(|fact| json!({ "name": fact.name, "value": fact.text }));
                json!({ "title": section.title, "facts": facts.collect::<Vec<_>>() })
            })
            .collect();
        let findings: Vec<Value> = self.findings().map(Finding::to_json).collect();
        json!({ "version": env!("CARGO_PKG_VERSION"), "sections": sections, "findings": findings })
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for section in &self.sections {
            text.push_str(&format!("{}\n", title(section.title)));
            let width = section.facts.iter().map(|fact| fact.name.chars().count()).max().unwrap_or(0).min(24);
            for fact in &section.facts {
                text.push_str(&format!("  {:<width$}  {}\n", fact.name, fact.text));
            }
            text.push('\n');
        }
        let count = self.findings().count();
        if count == 0 {
            text.push_str(&format!("{}\n", good("No findings: sign-ins are kept, and safe.")));
            return text;
        }
        text.push_str(&format!("{}\n", title(number(count, "finding"))));
        text.extend(self.findings().map(Finding::to_text));
        text
    }
}
