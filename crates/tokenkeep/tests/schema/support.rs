//! Small caches for tests, and the real ones.

use serde_json::{Map, Value, json};
use tokenkeep::schema::{Change, Merged, Section, merge};

/// The caches in `tests/vectors`, by name.
pub(crate) const VECTORS: [(&str, &str); 5] = [
    ("msal-node", include_str!("../vectors/msal-node.json")),
    ("msal-python", include_str!("../vectors/msal-python.json")),
    ("msal-go", include_str!("../vectors/msal-go.json")),
    ("msal4j", include_str!("../vectors/msal4j.json")),
    ("msal-dotnet", include_str!("../vectors/msal-dotnet.json")),
];

/// A cache under construction.
#[derive(Clone, Default)]
pub(crate) struct Cache(Map<String, Value>);

impl Cache {
    /// A cache as a client without entries writes it.
    pub(crate) fn new() -> Self {
        let sections = Section::ALL.map(|section| (section.name().to_owned(), json!({})));
        Self(Map::from_iter(sections))
    }

    /// Sets `entry` under `key`.
    pub(crate) fn with(mut self, section: Section, key: &str, entry: Value) -> Self {
        let section = self.0.entry(section.name()).or_insert_with(|| json!({}));
        section.as_object_mut().unwrap().insert(key.to_owned(), entry);
        self
    }

    pub(crate) fn without(mut self, section: Section, key: &str) -> Self {
        self.0[section.name()].as_object_mut().unwrap().shift_remove(key).expect("no such entry");
        self
    }

    pub(crate) fn account(self, who: &str, name: &str) -> Self {
        let entry = json!({ "home_account_id": who, "environment": "e", "name": name });
        self.with(Section::Account, &format!("{who}-e"), entry)
    }

    pub(crate) fn access(self, who: &str, secret: &str, cached_at: impl Into<Value>) -> Self {
        let entry = json!({ "home_account_id": who, "credential_type": "AccessToken", "secret": secret, "cached_at": cached_at.into() });
        self.with(Section::AccessToken, &format!("{who}-at"), entry)
    }

    pub(crate) fn refresh(self, who: &str, secret: &str) -> Self {
        let entry = json!({ "home_account_id": who, "credential_type": "RefreshToken", "secret": secret });
        self.with(Section::RefreshToken, &format!("{who}-rt"), entry)
    }

    pub(crate) fn id(self, who: &str, secret: &str) -> Self {
        let entry = json!({ "home_account_id": who, "credential_type": "IdToken", "secret": secret });
        self.with(Section::IdToken, &format!("{who}-id"), entry)
    }

    pub(crate) fn app(self, family: &str) -> Self {
        self.with(Section::AppMetadata, "appmetadata", json!({ "client_id": "c", "family_id": family }))
    }

    /// Sets a member of the root that no library knows.
    pub(crate) fn root(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn text(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).unwrap()
    }
}

/// Merges an undisturbed change from `base` to `ours` into `theirs`; the client loaded `base` unchanged.
pub(crate) fn merged(base: &Cache, ours: &Cache, theirs: &Cache) -> Merged {
    merge_texts(Some(&base.text()), &ours.text(), Some(&theirs.text()), false)
}

/// Like [`merged`], with a window disturbed by another access.
pub(crate) fn merged_disturbed(base: &Cache, ours: &Cache, theirs: &Cache) -> Merged {
    merge_texts(Some(&base.text()), &ours.text(), Some(&theirs.text()), true)
}

pub(crate) fn merge_texts(
    base: Option<&[u8]>,
    ours: &[u8],
    theirs: Option<&[u8]>,
    disturbed: bool,
) -> Merged {
    merge(&Change { held: base, base, ours, disturbed }, theirs).unwrap()
}

/// Checks with another parser that both texts are the same JSON.
#[track_caller]
pub(crate) fn assert_same(text: &[u8], expected: &Cache) {
    let text: Value = serde_json::from_slice(text).unwrap();
    assert_eq!(text, Value::Object(expected.0.clone()));
}

#[track_caller]
pub(crate) fn assert_merged(merged: &Merged, expected: &Cache) {
    assert_same(merged.content.expose(), expected);
    assert_eq!((merged.dropped, merged.undeleted), (0, 0), "dropped and undeleted");
}
