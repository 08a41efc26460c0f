//! Builds the key of an entry as each library does, and decides which entries are the same by their fields.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::Section;
use super::document::Document;
use super::fields::Fields;

/// A library's way to build keys. All fold case and join with `-`; they differ in the parts that they leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyStyle {
    /// `@azure/msal-node`.
    Node,
    /// `msal` for Python.
    Python,
    /// MSAL.NET, and `msal4j` for Java.
    DotNet,
    /// MSAL for Go.
    Go,
}

impl KeyStyle {
    const ALL: [Self; 4] = [Self::Node, Self::Python, Self::DotNet, Self::Go];

    /// Returns the style of most refresh tokens and ID tokens in the cache; Node's if there are none.
    pub(super) fn of(document: &Document<'_>) -> Self {
        let mut found = [0_usize; Self::ALL.len()];
        for section in [Section::RefreshToken, Section::IdToken] {
            for fields in document.entries(section).iter().map(Fields::of) {
                let key = fields.key();
                for (count, style) in found.iter_mut().zip(Self::ALL) {
                    *count += usize::from(Parts::of(section, fields).key(style) == key);
                }
            }
        }
        let most = found.iter().copied().max().unwrap_or(0);
        Self::ALL
            .into_iter()
            .zip(found)
            .find(|(_, count)| *count == most)
            .map_or(Self::Node, |(style, _)| style)
    }
}

/// The identity of an entry.
#[derive(Clone, Debug)]
pub(super) struct Parts<'c> {
    pub(super) section: Section,
    pub(super) home_account_id: Cow<'c, str>,
    pub(super) environment: Cow<'c, str>,
    pub(super) client_id: Cow<'c, str>,
    pub(super) family_id: Cow<'c, str>,
    pub(super) realm: Cow<'c, str>,
    pub(super) target: Cow<'c, str>,
    /// A type other than a plain bearer token, a refresh token or an ID token.
    pub(super) special: bool,
}

impl<'c> Parts<'c> {
    pub(super) fn of(section: Section, fields: Fields<'c>) -> Self {
        let text = |name| fields.text(&[name]).unwrap_or_default();
        let special = match section {
            Section::AccessToken => !super::view::AccessToken(fields).is_plain_bearer(),
            Section::RefreshToken => fields.has("userAssertionHash") || fields.has("user_assertion_hash"),
            Section::IdToken => {
                fields.text(&["credential_type"]).is_some_and(|kind| !kind.eq_ignore_ascii_case("IdToken"))
            }
            Section::Account | Section::AppMetadata => false,
        };
        Self {
            section,
            home_account_id: text("home_account_id"),
            environment: text("environment"),
            client_id: text("client_id"),
            family_id: text("family_id"),
            realm: text("realm"),
            target: text("target"),
            special,
        }
    }

    /// Returns the key that `style` gives an entry with this identity.
    pub(super) fn key(&self, style: KeyStyle) -> String {
        let Self { home_account_id: home, environment, client_id: client, realm, target, .. } = self;
        let owner = match (&*self.family_id, style) {
            ("", _) | (_, KeyStyle::Python) => client,
            _ => &self.family_id,
        };
        let key = match (self.section, style) {
            (Section::AccessToken, KeyStyle::Node) => {
                format!("{home}-{environment}-accesstoken-{client}-{realm}-{target}-")
            }
            (Section::AccessToken, _) => {
                format!("{home}-{environment}-accesstoken-{client}-{realm}-{target}")
            }
            (Section::RefreshToken, style) => {
                let end = match style {
                    KeyStyle::Node => "---",
                    KeyStyle::DotNet => "--",
                    KeyStyle::Go => "",
                    KeyStyle::Python => &format!("--{target}"),
                };
                format!("{home}-{environment}-refreshtoken-{owner}{end}")
            }
            (Section::IdToken, style) => {
                let end = match style {
                    KeyStyle::Node => "--",
                    KeyStyle::Python | KeyStyle::DotNet => "-",
                    KeyStyle::Go => "",
                };
                format!("{home}-{environment}-idtoken-{client}-{realm}{end}")
            }
            (Section::Account, KeyStyle::DotNet) => return format!("{home}-{environment}-{realm}"),
            (Section::Account, _) => format!("{home}-{environment}-{realm}"),
            (Section::AppMetadata, _) => format!("appmetadata-{environment}-{client}"),
        };
        key.to_lowercase()
    }

    /// Returns whether both are the same entry, written by any library: with any name of the cloud, scopes in any
    /// order, case folded. A refresh token of a family is that of each member.
    pub(super) fn is_same(&self, other: &Parts<'_>) -> bool {
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        let client = || same(&self.client_id, &other.client_id);
        let home = || same(&self.home_account_id, &other.home_account_id);
        let realm = || same(&self.realm, &other.realm);
        if self.section != other.section || self.special || other.special || !self.is_same_cloud(other) {
            return false;
        }
        match self.section {
            Section::AccessToken => {
                client() && home() && realm() && scopes(&self.target) == scopes(&other.target)
            }
            Section::RefreshToken => {
                let family = !self.family_id.is_empty() && same(&self.family_id, &other.family_id);
                home() && (family || client())
            }
            Section::IdToken => client() && home() && realm(),
            Section::Account => home() && realm(),
            Section::AppMetadata => client(),
        }
    }

    /// Returns texts of which two entries share one exactly if they are the same, for a search in a table.
    pub(super) fn marks(&self) -> Vec<String> {
        if self.special {
            return Vec::new();
        }
        let cloud = super::cache_environment(&self.environment);
        let mark = |parts: &[&str]| {
            // A length before each part, so that no two lists of parts give one text.
            let mut text = String::new();
            for part in [&*format!("{:?}", self.section), cloud].iter().chain(parts) {
                let part = part.to_ascii_lowercase();
                text.push_str(&format!("{}:{part}", part.len()));
            }
            text
        };
        let (client, home, realm) = (&*self.client_id, &*self.home_account_id, &*self.realm);
        match self.section {
            Section::AccessToken => {
                let scopes: Vec<String> = scopes(&self.target).into_iter().collect();
                vec![mark(&[client, home, realm, &scopes.join(" ")])]
            }
            Section::RefreshToken => {
                let own = mark(&["client", home, client]);
                let family = (!self.family_id.is_empty()).then(|| mark(&["family", home, &self.family_id]));
                std::iter::once(own).chain(family).collect()
            }
            Section::IdToken => vec![mark(&[client, home, realm])],
            Section::Account => vec![mark(&[home, realm])],
            Section::AppMetadata => vec![mark(&[client])],
        }
    }

    /// Returns whether a new access token replaces the other, because they share a scope. Two tokens that fit one
    /// request confuse most libraries.
    pub(super) fn displaces(&self, other: &Parts<'_>) -> bool {
        let own = |target: &str| {
            let mut scopes = scopes(target);
            // Every token has these scopes, so they do not count as shared.
            ["openid", "profile", "offline_access", "email"]
                .iter()
                .for_each(|scope| _ = scopes.remove(*scope));
            scopes
        };
        let with_scopes_of_other = Parts { target: other.target.clone(), ..self.clone() };
        self.section == Section::AccessToken
            && with_scopes_of_other.is_same(other)
            && (self.is_same(other) || !own(&self.target).is_disjoint(&own(&other.target)))
    }

    fn is_same_cloud(&self, other: &Parts<'_>) -> bool {
        super::is_same_cloud(&self.environment, &other.environment)
    }
}

fn scopes(target: &str) -> BTreeSet<String> {
    let mut scopes = BTreeSet::new();
    // `collect` would sort before it inserts, with five kilobytes of code.
    scopes.extend(target.split_whitespace().map(str::to_lowercase));
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_share_a_mark_exactly_if_they_are_the_same() {
        let words = ["", "a", "A", "b"];
        let clouds = ["login.windows.net", "login.microsoftonline.com", "elsewhere"];
        let mut all = Vec::new();
        for section in Section::ALL {
            for (at, environment) in clouds.iter().enumerate() {
                for (home, client, other) in
                    (0..64).map(|number| (words[number % 4], words[number / 4 % 4], words[number / 16]))
                {
                    all.push(Parts {
                        section,
                        home_account_id: home.into(),
                        environment: (*environment).into(),
                        client_id: client.into(),
                        family_id: other.into(),
                        realm: other.into(),
                        target: ["x y", "Y x", "x", ""][(at + other.len()) % 4].into(),
                        special: home == "b" && client == "b",
                    });
                }
            }
        }
        for one in &all {
            let marks = one.marks();
            for other in all.iter().filter(|other| other.section == one.section) {
                let shared = other.marks().iter().any(|mark| marks.contains(mark));
                assert_eq!(shared, one.is_same(other), "{:?} {marks:?}", other.marks());
            }
        }
    }
}
