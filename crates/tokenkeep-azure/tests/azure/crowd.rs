//! Eight processes at the same time.

use std::process::Child;
use std::time::Duration;

use crate::support::service::Service;
use crate::support::{Place, example, finished};

const PROCESSES: usize = 8;

#[test]
fn eight_processes_whose_token_expires_redeem_the_refresh_token_once() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "ada", Duration::ZERO);
    // Long enough for all processes to start and request the same token.
    let slow = || std::thread::sleep(Duration::from_millis(700));
    service.set(|behaviour| behaviour.on_refresh = Some(std::sync::Arc::new(slow)));
    let path = place.cache();
    let asking: Vec<Child> = (0..PROCESSES)
        .map(|_| example("msal_token", &[path.to_str().unwrap(), "--no-prompt"], Some(&service)))
        .collect();
    let mut tokens: Vec<String> = asking.into_iter().map(finished).collect();
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    assert_eq!(service.count("refresh_token"), 1);
}

#[test]
fn eight_processes_with_the_client_of_the_azure_sdk_call_the_wrapped_credential_once() {
    let place = Place::new();
    let path = place.cache();
    let run = || example("keyvault", &[path.to_str().unwrap()], None);
    let asking: Vec<Child> = (0..PROCESSES).map(|_| run()).collect();
    let calls = |output: &str| -> u32 {
        assert!(output.contains("the secret: hello"), "{output}");
        output.lines().last().unwrap().rsplit(' ').next().unwrap().parse().unwrap()
    };
    let first: u32 = asking.into_iter().map(|child| calls(&finished(child))).sum();
    assert_eq!(first, 1);
    assert_eq!(calls(&finished(run())), 0, "the next process asks nobody");
}
