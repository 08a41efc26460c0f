//! Numbers that no honest program writes: in the cache, in the service's answers, in the options.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_core::credentials::TokenCredential;
use serde_json::json;
use tokenkeep_azure::{Partition, PersistentTokenCredential};

use crate::support::service::Service;
use crate::support::{Place, SCOPE, signed};

#[tokio::test]
async fn a_time_of_any_size_in_the_cache_ends_no_request() {
    let millis = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis().to_string();
    let times = [&*millis, "18446744073709551615", "1e308", "-1e308", "-1", "0", "253402300800", "x", ""];
    for time in times {
        for field in ["expires_on", "cached_at", "refresh_on", "extended_expires_on"] {
            let (place, service) = (Place::new(), Service::start());
            place.sign_in(&service, "ada", Duration::from_secs(3600));
            place
                .open()
                .update(|old| {
                    let mut cache: serde_json::Value = serde_json::from_slice(old.unwrap()).unwrap();
                    for token in cache["AccessToken"].as_object_mut().unwrap().values_mut() {
                        token[field] = json!(time);
                    }
                    cache.to_string()
                })
                .unwrap();
            let one = signed(&place.open(), &service);
            let token = one.credential.get_token(&[SCOPE], None).await;
            token.unwrap_or_else(|error| panic!("{field} = {time:?}: {error}"));
            assert!(one.prompts.all().is_empty(), "{field} = {time:?}");

            let shelf = Partition::new("tenant-of-contoso", crate::support::CLIENT)
                .account("object-of-ada.tenant-of-contoso");
            let kept =
                PersistentTokenCredential::new(Arc::clone(&one.credential), &place.open(), shelf, None);
            kept.get_token(&[SCOPE], None)
                .await
                .unwrap_or_else(|error| panic!("{field} = {time:?}: {error}"));
        }
    }
}

#[tokio::test]
async fn a_lifetime_of_any_size_from_the_service_loses_no_refresh_token() {
    let lifetimes = [
        json!(u64::MAX),
        json!(-1),
        json!(1e300),
        json!(3599.5),
        json!("9999999999999999999999"),
        json!("never"),
        json!(null),
        json!([]),
        json!({}),
        json!(true),
    ];
    for lifetime in lifetimes {
        let (place, service) = (Place::new(), Service::start());
        place.sign_in(&service, "ada", Duration::ZERO);
        service.set(|behaviour| behaviour.odd_lifetime = Some(lifetime.clone()));
        let one = signed(&place.open(), &service);
        let token = one.credential.get_token(&[SCOPE], None).await;
        token.unwrap_or_else(|error| panic!("{lifetime}: {error}"));
        let kept = place.refresh_token().unwrap();
        assert!(service.takes(&kept), "{lifetime}: the cache holds a refresh token that is spent");
    }
}

#[tokio::test]
async fn a_margin_of_any_size_ends_no_request() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "ada", Duration::from_secs(3600));
    let (mut options, _, _) = crate::support::options(&service);
    options.expiry_margin = Duration::MAX;
    let credential =
        tokenkeep_azure::MsalCacheCredential::new(&place.open(), crate::support::CLIENT, Some(options))
            .unwrap();
    credential.get_token(&[SCOPE], None).await.unwrap();
}
