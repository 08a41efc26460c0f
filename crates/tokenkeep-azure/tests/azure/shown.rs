//! Names and texts that other people chose, in errors and prompts: none forges a line or changes the reading direction.

use std::time::Duration;

use azure_core::credentials::TokenCredential;
use tokenkeep_azure::{MsalCacheCredential, Prompt};

use crate::support::service::Service;
use crate::support::{CLIENT, Place, SCOPE, options};

const HOSTILE: &str = "\u{1b}[2J\r\n\u{9b}\u{ad}\u{61c}\u{180e}\u{200b}\u{200d}\u{200f}\u{2028}\u{202e}\u{2066}\u{feff}\u{e0041}";

fn require_harmless(text: &str) {
    let found = text.chars().find(|c| HOSTILE.contains(*c) && !"[2J".contains(*c));
    assert_eq!(found, None, "{text:?}");
}

#[tokio::test]
async fn names_of_accounts_in_errors_are_harmless() {
    let (place, service) = (Place::new(), Service::start());
    for name in ["ada", "bob"] {
        place.sign_in(&service, &format!("{name}{HOSTILE}"), Duration::from_secs(3600));
    }
    let (options, _, _) = options(&service);
    let credential = MsalCacheCredential::new(&place.open(), CLIENT, Some(options.clone())).unwrap();
    let error = credential.get_token(&[SCOPE], None).await.unwrap_err().to_string();
    assert!(error.contains("several accounts") && error.contains("ada"), "{error}");
    require_harmless(&error);

    let mut other = options;
    other.login_hint = Some(format!("eve{HOSTILE}"));
    let expected = credential.accounts().await.unwrap().remove(0);
    other.record = Some(expected);
    let credential = MsalCacheCredential::new(&Place::new().open(), CLIENT, Some(other)).unwrap();
    let error = credential.get_token(&[SCOPE], None).await.unwrap_err().to_string();
    assert!(error.contains("was expected"), "{error}");
    require_harmless(&error);
}

#[tokio::test]
async fn texts_of_the_service_in_errors_and_prompts_are_harmless() {
    let (place, service) = (Place::new(), Service::start());
    service.set(|service| service.odd_text = Some(HOSTILE.to_owned()));
    let (mut options, prompts, _) = options(&service);
    let shown = prompts.clone();
    options.prompt = Some(Prompt::new(move |code| {
        shown.add(&format!("{} {} {}", code.message, code.user_code, code.verification_uri));
    }));
    let credential = MsalCacheCredential::new(&place.open(), CLIENT, Some(options)).unwrap();
    let error = credential.get_token(&[SCOPE], None).await.unwrap_err().to_string();
    assert!(error.contains("did not succeed"), "{error}");
    require_harmless(&error);
    assert_eq!(prompts.all().len(), 1);
    prompts.all().iter().for_each(|text| require_harmless(text));
}
