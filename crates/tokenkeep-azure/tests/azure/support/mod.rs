//! Shared parts of the tests: directories for caches, stores that fail, programs to run.

pub(crate) mod service;
#[path = "../../../examples/offline/mod.rs"]
pub(crate) mod transport;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tokenkeep::schema::{Contents, Ids, Record, put};
use tokenkeep::{
    Backend, Error, ErrorKind, Info, LockGuard, Persistence, Protection, Result, Stamp, TokenCache,
    options::Durability,
    storage::{FilePersistence, Loaded},
};
use tokenkeep_azure::{MsalCacheCredential, MsalCacheCredentialOptions, Prompt};

use service::Service;

pub(crate) const CLIENT: &str = "00000000-0000-4000-8000-00000000c11e";
pub(crate) const SCOPE: &str = "https://api.example/read";
pub(crate) const ADA: &str = "ada@contoso.example";

/// A directory for one test.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn directory(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.0.path().join("cache.json")
    }

    /// Opens the cache like another process.
    pub(crate) fn open(&self) -> TokenCache {
        let file = FilePersistence::new(self.cache()).unwrap().durability(Durability::Cached);
        TokenCache::new(file)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.open().read().unwrap().unwrap().expose()).unwrap()
    }

    /// Adds an account that signed in through the service, with an access token that is valid for `left`.
    pub(crate) fn sign_in(&self, service: &Service, name: &str, left: Duration) {
        let (object, user) = (format!("object-of-{name}"), format!("{name}@contoso.example"));
        let home = format!("{object}.tenant-of-contoso");
        let ids = Ids {
            home_account_id: &home,
            environment: "login.windows.net",
            client_id: CLIENT,
            realm: "tenant-of-contoso",
        };
        let now = SystemTime::now();
        let obtained = now - Duration::from_secs(3600);
        let records = [
            Record::access_token(ids, &[SCOPE], format!("old access token of {name}"), obtained, now + left),
            Record::refresh_token(ids, None, service.refresh_token_for(&user)),
            Record::account(ids, &object, &user),
        ];
        self.open().update(|old| put(old, &records).unwrap()).unwrap();
    }

    /// Returns the only refresh token in the cache.
    pub(crate) fn refresh_token(&self) -> Option<String> {
        let content = self.open().read().unwrap()?;
        let contents = Contents::parse(content.expose()).unwrap();
        let secrets: Vec<_> = contents.refresh_tokens().filter_map(|token| token.secret()).collect();
        assert!(secrets.len() < 2, "there are {} refresh tokens", secrets.len());
        secrets.first().map(|secret| String::from_utf8(secret.expose().to_vec()).unwrap())
    }
}

/// The warnings of a credential and the prompts it showed.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    pub(crate) fn add(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A credential over a cache, with a prompt and a listener.
pub(crate) struct Signed {
    pub(crate) credential: Arc<MsalCacheCredential>,
    pub(crate) prompts: Told,
    pub(crate) warnings: Told,
}

pub(crate) fn options(service: &Service) -> (MsalCacheCredentialOptions, Told, Told) {
    let (prompts, warnings) = (Told::default(), Told::default());
    let (shown, warned) = (prompts.clone(), warnings.clone());
    let mut options = MsalCacheCredentialOptions::default().on_warning(move |text| warned.add(text));
    options.prompt = Some(Prompt::new(move |code| shown.add(&code.message)));
    options.client_options.transport = Some(transport::transport(&service.origin).unwrap());
    (options, prompts, warnings)
}

pub(crate) fn signed(cache: &TokenCache, service: &Service) -> Signed {
    let (options, prompts, warnings) = options(service);
    Signed { credential: MsalCacheCredential::new(cache, CLIENT, Some(options)).unwrap(), prompts, warnings }
}

/// A store that always fails.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) PathBuf);

impl Broken {
    pub(crate) fn open(place: &Place) -> TokenCache {
        TokenCache::new(Self(place.cache()))
    }

    fn error(&self) -> Error {
        Error::new(ErrorKind::StoreLocked, "The keyring is locked").at(&self.0)
    }
}

impl Persistence for Broken {
    fn path(&self) -> &Path {
        &self.0
    }

    fn stamp(&self) -> Result<Stamp> {
        Err(self.error())
    }

    fn load(&self, _guard: Option<&LockGuard>) -> Result<Loaded> {
        Err(self.error())
    }

    fn save(&self, _guard: &LockGuard, _content: &[u8]) -> Result<Stamp> {
        Err(self.error())
    }

    fn delete(&self, _guard: &LockGuard) -> Result<bool> {
        Err(self.error())
    }

    fn verify(&self) -> Result<()> {
        Err(self.error())
    }

    fn info(&self) -> Info {
        Info::new(Backend::Custom, Protection::Unknown, "nowhere")
    }
}

/// Starts an example of this crate, which cargo built beside the tests.
pub(crate) fn example(name: &str, arguments: &[&str], service: Option<&Service>) -> Child {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().and_then(Path::parent).unwrap().join("examples").join(name);
    let mut command = Command::new(path.with_extension(std::env::consts::EXE_EXTENSION));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(service) = service {
        command.env("TOKENKEEP_OFFLINE", &service.origin);
    }
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{name} is built by `cargo test -p tokenkeep-azure`: {error}"))
}

/// Returns the output of a program, which must have ended with success.
pub(crate) fn finished(child: Child) -> String {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let (out, error) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{status}\n{out}\n{error}");
    out.into_owned()
}

/// Waits until `done`; panics with `what` after twenty seconds.
pub(crate) async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
