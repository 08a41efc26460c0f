//! The promises of a file encrypted by Windows, beyond the suite.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tokenkeep::{
    Config, ErrorKind, Protection, Protector, Secret, TokenCache,
    event::Event,
    options::DataProtectionScope,
    storage::{DataProtection, FilePersistence},
};

use crate::fixed_key::FixedKey;
use crate::suite::CONTENT;

/// Version 1: the first bytes of every blob of the Data Protection API.
const VERSION: [u8; 4] = [1, 0, 0, 0];

/// The number of Windows' own provider, which follows the version.
const PROVIDER: [u8; 16] =
    [0xd0, 0x8c, 0x9d, 0xdf, 0x01, 0x15, 0xd1, 0x11, 0x8c, 0x7a, 0x00, 0xc0, 0x4f, 0xc2, 0x97, 0xeb];

fn with(path: &Path, protector: DataProtection) -> TokenCache {
    TokenCache::new(FilePersistence::with_protector(path, protector).unwrap())
}

fn unprotect(protector: &DataProtection, bytes: &[u8]) -> Result<Vec<u8>, ErrorKind> {
    protector
        .unprotect(Secret::from(bytes))
        .map(|content| content.expose().to_vec())
        .map_err(|error| error.kind())
}

#[test]
fn the_file_is_the_blob_of_the_system_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache.bin");
    with(&path, DataProtection::default()).begin_write().unwrap().commit(CONTENT).unwrap();
    let stored = fs::read(&path).unwrap();
    assert!(stored.starts_with(&VERSION), "{:?}", &stored[..20.min(stored.len())]);
    let read = unprotect(&DataProtection::default(), &stored).unwrap();
    assert_eq!(read, CONTENT.as_bytes());
}

#[test]
fn the_provider_is_windows_own() {
    let sealed = DataProtection::default().protect(b"{}", None).unwrap();
    assert_eq!(&sealed[4..20], &PROVIDER);
}

#[test]
fn a_changed_byte_anywhere_is_detected() {
    let protector = DataProtection::default();
    let sealed = protector.protect(CONTENT.as_bytes(), None).unwrap();
    for at in 0..sealed.len() {
        let mut changed = sealed.to_vec();
        changed[at] ^= 1;
        assert!(unprotect(&protector, &changed).is_err(), "byte {at} of {}", sealed.len());
    }
}

#[test]
fn empty_content_is_encrypted_and_decrypted() {
    let protector = DataProtection::default();
    let sealed = protector.protect(b"", None).unwrap();
    assert!(sealed.starts_with(&VERSION));
    assert_eq!(unprotect(&protector, &sealed), Ok(Vec::new()));
}

#[test]
fn an_empty_file_is_an_empty_cache() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache.bin");
    fs::write(&path, b"").unwrap();
    assert!(with(&path, DataProtection::default()).read().unwrap().is_none_or(|content| content.is_empty()));
}

#[test]
fn wrong_missing_and_extra_entropy_open_no_file() {
    let secret = DataProtection::default().entropy("one");
    let sealed = secret.protect(CONTENT.as_bytes(), None).unwrap();
    assert_eq!(unprotect(&secret, &sealed).as_deref(), Ok(CONTENT.as_bytes()));
    for other in [
        DataProtection::default(),
        DataProtection::default().entropy("two"),
        DataProtection::default().entropy("one "),
    ] {
        assert_eq!(unprotect(&other, &sealed), Err(ErrorKind::Damaged));
    }
    let plain = DataProtection::default().protect(CONTENT.as_bytes(), None).unwrap();
    assert_eq!(unprotect(&secret, &plain), Err(ErrorKind::Damaged));
}

#[test]
fn no_entropy_and_empty_entropy_are_the_same() {
    let sealed = DataProtection::default().entropy("").protect(b"x", None).unwrap();
    assert_eq!(unprotect(&DataProtection::default(), &sealed), Ok(b"x".to_vec()));
}

#[test]
fn a_truncated_blob_and_other_content_are_damaged() {
    let protector = DataProtection::default();
    let sealed = protector.protect(CONTENT.as_bytes(), None).unwrap();
    for length in [1, 4, 20, 21, sealed.len() / 2, sealed.len() - 1] {
        assert_eq!(unprotect(&protector, &sealed[..length]), Err(ErrorKind::Damaged), "{length}");
    }
    assert_eq!(unprotect(&protector, b"no blob"), Err(ErrorKind::Damaged));
}

#[test]
fn the_machine_scope_causes_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache.bin");
    let machine = || DataProtection::new(DataProtectionScope::LocalMachine);
    with(&path, machine()).begin_write().unwrap().commit(CONTENT).unwrap();
    let cache = with(&path, machine());
    assert_eq!(cache.read().unwrap().unwrap().expose(), CONTENT.as_bytes());
    assert_eq!(cache.info().protection, Protection::OsMachine);
}

#[test]
fn a_plaintext_file_at_its_path_is_encrypted_where_the_program_allows_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache.bin");
    fs::write(&path, CONTENT).unwrap();
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let file = FilePersistence::with_protector(&path, DataProtection::default())
        .unwrap()
        .taking_over_plaintext(true)
        .on_event(move |event| listener.lock().unwrap().push(event.clone()));
    let cache = TokenCache::new(file);
    assert_eq!(cache.read().unwrap().unwrap().expose(), CONTENT.as_bytes());
    assert!(fs::read(&path).unwrap().starts_with(&VERSION));
    let told = told.lock().unwrap();
    assert!(told.iter().any(|event| matches!(event, Event::Encrypted { .. })), "{told:?}");
    assert!(!told.iter().any(|event| matches!(event, Event::Warning(_))), "it was wiped: {told:?}");
    let left: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().starts_with("cache.bin")), "{left:?}");
}

#[test]
fn a_file_encrypted_with_another_kind_of_key_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache.bin");
    let sealed = tokenkeep::storage::Sealed::new(FixedKey, "app/cache");
    let other = FilePersistence::with_protector(&path, sealed).unwrap();
    TokenCache::new(other).begin_write().unwrap().commit(CONTENT).unwrap();
    let before = fs::read(&path).unwrap();
    let error = with(&path, DataProtection::default()).begin_write().map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingKey, "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn config_chooses_it_by_default() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("folder/cache.bin");
    let cache = Config::new("conformance").path(&path).open().unwrap();
    cache.begin_write().unwrap().commit(CONTENT).unwrap();
    assert_eq!(cache.info().backend.code(), "dpapi-file");
    assert!(fs::read(&path).unwrap().starts_with(&VERSION));
    assert_eq!(
        Config::new("conformance").path(&path).open().unwrap().read().unwrap().unwrap().expose(),
        CONTENT.as_bytes()
    );
}

#[test]
fn long_paths_and_paths_of_every_form_are_one_cache() {
    let directory = tempfile::tempdir().unwrap();
    let mut deep = directory.path().to_owned();
    while deep.as_os_str().len() < 400 {
        deep.push("ein Ordner mit einem langen Namen, тоже по-русски");
    }
    let path = deep.join("cache.bin");
    let cache = with(&path, DataProtection::default());
    cache.persistence().verify().unwrap();
    cache.begin_write().unwrap().commit(CONTENT).unwrap();
    let verbatim = Path::new(r"\\?\").as_os_str().to_owned();
    let mut verbatim = verbatim;
    verbatim.push(&path);
    let again = with(Path::new(&verbatim), DataProtection::default());
    assert_eq!(again.read().unwrap().unwrap().expose(), CONTENT.as_bytes());
}

#[test]
fn paths_that_name_no_file_are_refused_before_any_write() {
    for path in ["", r"C:\", r"C:\folder\", r"C:\folder\.", r"C:\cache.bin:stream", r"\\.\pipe\x", "CON"] {
        let refused = FilePersistence::new(path).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{path}: {refused}");
    }
}
