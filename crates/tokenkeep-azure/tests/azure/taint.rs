//! The taint search over the credentials: no piece of a token is in an error, a warning, a prompt or a `Debug`.

use std::fmt::Write as _;
use std::time::Duration;

use azure_core::credentials::TokenCredential;

use crate::support::service::{Fault, Service};
use crate::support::{Place, SCOPE, signed};

/// Each piece of six letters is unlike every word of the crate.
const LETTERS: &str = "qzJwXvKyQjZxVkWq7Yq9Zj4XwQ8vKzJq3Xy5Wv2Qk6Zw0Jx1VqYzKjXw";

#[tokio::test]
async fn no_piece_of_a_token_is_in_an_error_a_warning_or_a_debug_text() {
    let mut said = String::new();
    for damage in 0..9 {
        let (place, service) = (Place::new(), Service::start());
        place.sign_in(&service, "ada", Duration::ZERO);
        place
            .open()
            .update(|old| {
                let text = String::from_utf8(old.unwrap().to_vec()).unwrap();
                let text = text.replace("old access token", LETTERS).replace("refresh token", LETTERS);
                let at = text.find(LETTERS).unwrap() + 9;
                let with = |what: &str| format!("{}{what}{}", &text[..at], &text[at..]).into_bytes();
                match damage {
                    0 => text.into_bytes(),
                    1 => with("\""),
                    2 => with("\\"),
                    3 => with("\n"),
                    4 => with("\\ud800"),
                    5 => text.as_bytes()[..at].to_vec(),
                    6 => text.replace(&format!("\"{LETTERS}"), LETTERS).into_bytes(),
                    7 => format!("{text}{LETTERS}").into_bytes(),
                    _ => [&text.as_bytes()[..at], b"\xff", &text.as_bytes()[at..]].concat(),
                }
            })
            .unwrap();
        service.fail("device_code", &[Fault::InteractionRequired; 2]);
        let one = signed(&place.open(), &service);
        let outcome = one.credential.get_token(&[SCOPE], None).await;
        write!(said, "{:?} {:?} ", one.credential, one.credential.accounts().await).unwrap();
        let mut cause: Option<&dyn std::error::Error> = None;
        match &outcome {
            Ok(token) => write!(said, "{token:?} ").unwrap(),
            Err(error) => cause = Some(error),
        }
        while let Some(error) = cause {
            write!(said, "{error} {error:?} ").unwrap();
            cause = error.source();
        }
        write!(said, "{:?} {:?} ", one.warnings.all(), one.prompts.all()).unwrap();
    }
    assert!(said.len() > 2_000, "{said}");
    let piece = (0..=LETTERS.len() - 6).map(|at| &LETTERS[at..at + 6]).find(|piece| said.contains(piece));
    assert_eq!(piece, None, "{said}");
}
