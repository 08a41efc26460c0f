//! The content of a cache without its secrets: accounts with their tokens, as text and as JSON.
//!
//! This file names every field that it prints, so that an unknown field is never printed.

use std::collections::HashMap;
use std::time::SystemTime;

use serde_json::{Value, json};
use tokenkeep::schema::{self, AccessToken, Account, Contents, IdToken, RefreshToken};

use crate::output::{good, odd};
use crate::words::{account_id, expiry, number, rfc3339};
use tokenkeep::inspect::printable;

/// The accounts of a cache, and tokens without an account.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) people: Vec<Person>,
    /// Tokens without an account in the cache, for example an application's own.
    pub(crate) others: Vec<Token>,
}

/// An account and its tokens.
#[derive(Debug)]
pub(crate) struct Person {
    /// `None` for an account of AD FS in some libraries.
    home_account_id: Option<String>,
    /// What `sign-out` takes.
    id: String,
    username: Option<String>,
    name: Option<String>,
    tenant: Option<String>,
    environment: Option<String>,
    tokens: Vec<Token>,
}

/// The attributes of a token.
#[derive(Debug)]
pub(crate) struct Token {
    kind: &'static str,
    home_account_id: Option<String>,
    environment: Option<String>,
    client_id: Option<String>,
    tenant: Option<String>,
    scopes: Vec<String>,
    family: Option<String>,
    expires_on: Option<SystemTime>,
}

impl Listing {
    pub(crate) fn of(contents: &Contents<'_>) -> Self {
        let mut people: Vec<Person> = contents.accounts().map(|account| Person::of(&account)).collect();
        let mut others = Vec::new();
        let access = contents.access_tokens().map(|token| Token::access(&token));
        let refresh = contents.refresh_tokens().map(|token| Token::refresh(&token));
        let id = contents.id_tokens().map(|token| Token::id(&token));
        // By id, so that a cache of thousands does not compare each token with each account.
        let mut of_id: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, person) in people.iter().enumerate() {
            let id = person.home_account_id.as_deref().unwrap_or_default();
            of_id.entry(id.to_ascii_lowercase()).or_default().push(at);
        }
        for token in access.chain(refresh).chain(id) {
            let id = token.home_account_id.as_deref().unwrap_or_default().to_ascii_lowercase();
            let candidates = of_id.get(&id).map_or(&[][..], Vec::as_slice);
            match candidates.iter().find(|at| people[**at].owns(&token)) {
                Some(at) => people[*at].tokens.push(token),
                None => others.push(token),
            }
        }
        Self { people, others }
    }

    /// Returns the number of accounts and tokens, in words.
    pub(crate) fn summary(&self) -> String {
        let (accounts, tokens) = self.counts();
        format!("{}, {}", number(accounts, "account"), number(tokens, "token"))
    }

    /// Returns the number of accounts and of tokens.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let tokens: usize = self.people.iter().map(|person| person.tokens.len()).sum();
        (self.people.len(), tokens + self.others.len())
    }

    pub(crate) fn to_text(&self, now: SystemTime) -> String {
        if self.people.is_empty() && self.others.is_empty() {
            return "  empty: nobody is signed in\n".to_owned();
        }
        let mut text: String = self.people.iter().map(|person| person.to_text(now)).collect();
        if !self.others.is_empty() {
            text.push_str("  tokens without an account\n");
            text.extend(self.others.iter().map(|token| token.to_text(now)));
        }
        text
    }

    pub(crate) fn to_json(&self, now: SystemTime) -> Value {
        json!({
            "accounts": self.people.iter().map(|person| person.to_json(now)).collect::<Vec<_>>(),
            "tokensWithoutAccount": self.others.iter().map(|token| token.to_json(now)).collect::<Vec<_>>(),
        })
    }
}

impl Person {
    fn of(account: &Account<'_>) -> Self {
        let home_account_id = text(account.home_account_id());
        Self {
            id: printable(&account_id(
                account.home_account_id().as_deref(),
                account.local_account_id().as_deref(),
                &account.key(),
            )),
            home_account_id,
            username: text(account.username()),
            name: text(account.name()),
            tenant: text(account.realm()),
            environment: text(account.environment()),
            tokens: Vec::new(),
        }
    }

    /// Compares ids without case and clouds by any of their host names, because libraries write them differently.
    fn owns(&self, token: &Token) -> bool {
        let same_id = match (&self.home_account_id, &token.home_account_id) {
            (Some(mine), Some(its)) => mine.eq_ignore_ascii_case(its),
            _ => false,
        };
        let same_cloud = match (&self.environment, &token.environment) {
            (Some(mine), Some(its)) => schema::is_same_cloud(mine, its),
            _ => true,
        };
        same_id && same_cloud
    }

    fn to_text(&self, now: SystemTime) -> String {
        let who = self.username.as_deref().unwrap_or("(no user name)");
        let name = self.name.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
        let mut text = format!("  {who}{name}\n");
        let tenant = self.tenant.as_deref().unwrap_or("unknown");
        let environment = self.environment.as_deref().unwrap_or("unknown");
        text.push_str(&format!("    account        {}\n", self.id));
        text.push_str(&format!("    tenant         {tenant} at {environment}\n"));
        text.extend(self.tokens.iter().map(|token| token.to_text(now)));
        text
    }

    fn to_json(&self, now: SystemTime) -> Value {
        json!({
            "homeAccountId": self.home_account_id,
            "id": self.id,
            "username": self.username,
            "name": self.name,
            "tenantId": self.tenant,
            "environment": self.environment,
            "tokens": self.tokens.iter().map(|token| token.to_json(now)).collect::<Vec<_>>(),
        })
    }
}

fn text(field: Option<std::borrow::Cow<'_, str>>) -> Option<String> {
    field.filter(|text| !text.is_empty()).map(|text| printable(&text))
}

impl Token {
    fn access(token: &AccessToken<'_>) -> Self {
        Self {
            kind: "access token",
            home_account_id: text(token.home_account_id()),
            environment: text(token.environment()),
            client_id: text(token.client_id()),
            tenant: text(token.realm()),
            scopes: token.scopes().iter().map(|scope| printable(scope)).collect(),
            family: None,
            expires_on: token.expires_on(),
        }
    }

    fn refresh(token: &RefreshToken<'_>) -> Self {
        Self {
            kind: "refresh token",
            home_account_id: text(token.home_account_id()),
            environment: text(token.environment()),
            client_id: text(token.client_id()),
            tenant: None,
            scopes: token.target().map(|scopes| words(&scopes)).unwrap_or_default(),
            family: text(token.family_id()),
            expires_on: None,
        }
    }

    fn id(token: &IdToken<'_>) -> Self {
        Self {
            kind: "id token",
            home_account_id: text(token.home_account_id()),
            environment: text(token.environment()),
            client_id: text(token.client_id()),
            tenant: text(token.realm()),
            scopes: Vec::new(),
            family: None,
            expires_on: None,
        }
    }

    fn to_text(&self, now: SystemTime) -> String {
        let client = self.client_id.as_deref().unwrap_or("unknown");
        let mut text = format!("    {:<14} client {client}", self.kind);
        if let Some(family) = &self.family {
            text.push_str(&format!(", good for family {family}"));
        }
        text.push('\n');
        if !self.scopes.is_empty() {
            text.push_str(&format!("                   for {}\n", self.scopes.join(" ")));
        }
        if let Some(ends) = self.expires_on {
            let words = expiry(ends, now);
            let words = if ends > now { good(words) } else { odd(words) };
            text.push_str(&format!("                   {words}\n"));
        }
        text
    }

    fn to_json(&self, now: SystemTime) -> Value {
        json!({
            "type": self.kind,
            "homeAccountId": self.home_account_id,
            "clientId": self.client_id,
            "tenantId": self.tenant,
            "environment": self.environment,
            "scopes": self.scopes,
            "familyId": self.family,
            "expiresOn": self.expires_on.and_then(rfc3339),
            "expired": self.expires_on.map(|ends| ends <= now),
        })
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(printable).collect()
}
