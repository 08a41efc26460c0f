//! The entrances: a program that opens its cache and signs in, and the verbs of the command.

use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tokenkeep::options::Store;
use tokenkeep::schema::{self, Ids, Record};
use tokenkeep::{Config, Error, TokenCache, event::Event};

use crate::caches::ANNA;
use crate::state::{APP, Scene};

/// The account that the program signs in.
const EVE: Ids<'static> = Ids { home_account_id: "eve.tenant", ..ANNA };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    Program,
    List,
    SignOut,
    Clear,
    Migrate,
    Doctor,
}

/// What happened at an entrance.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What is told beside the result: `moved`, `copy kept`, the findings of the doctor.
    remarks: Vec<String>,
    failure: Option<Failure>,
    /// Whether there was nothing to do.
    nothing: bool,
}

/// A typed error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) remedy: String,
}

impl Outcome {
    pub(crate) fn error(&self) -> Option<Failure> {
        self.failure.clone()
    }

    pub(crate) fn words(&self) -> String {
        let mut words = match (&self.failure, self.nothing) {
            (Some(failure), _) => format!("`{}`", failure.code),
            (None, true) => "nothing there".to_owned(),
            (None, false) => "works".to_owned(),
        };
        if !self.remarks.is_empty() {
            words.push_str(&format!(" ({})", self.remarks.join(", ")));
        }
        words
    }
}

impl Entrance {
    pub(crate) const ALL: [Self; 6] =
        [Self::Program, Self::List, Self::SignOut, Self::Clear, Self::Migrate, Self::Doctor];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Program => "a program signs in",
            Self::List => "`tokenkeep list`",
            Self::SignOut => "`tokenkeep sign-out`",
            Self::Clear => "`tokenkeep clear`",
            Self::Migrate => "`tokenkeep migrate`",
            Self::Doctor => "`tokenkeep doctor`",
        }
    }

    pub(crate) fn enter(self, scene: &Scene<'_>) -> Outcome {
        match self {
            Self::Program => program(scene),
            _ => self.command(scene),
        }
    }

    fn command(self, scene: &Scene<'_>) -> Outcome {
        let path = scene.path();
        let path = path.to_str().unwrap();
        let named = ["--cache-path", path, "--service-name", APP, "--account-name", "token_cache"];
        let to = format!("cache-path={}", scene.home().join("new.json").display());
        let from = format!("cache-path={path},service-name={APP},account-name=token_cache");
        let arguments: Vec<&str> = match self {
            Self::Program => unreachable!("handled by the caller"),
            Self::List => [&["list"][..], &named].concat(),
            Self::SignOut => [&["sign-out", "--all", "--yes"][..], &named].concat(),
            Self::Clear => [&["clear", "--yes"][..], &named].concat(),
            Self::Migrate => vec!["migrate", "--from", &from, "--to", &to, "--yes"],
            Self::Doctor => [&["doctor"][..], &named].concat(),
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenkeep"));
        command.args(arguments).args(["--json", "--timeout", "3"]).env_clear();
        command.env("HOME", scene.home()).env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        command.env("DBUS_SESSION_BUS_ADDRESS", scene.address());
        self.judge(scene, &command.output().unwrap())
    }

    fn judge(self, scene: &Scene<'_>, output: &Output) -> Outcome {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value: Value =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{self:?} in {scene}: {output:?}"));
        let error =
            [&value["error"], &value["caches"][0]["error"]].into_iter().find(|error| error.is_object());
        let nothing = output.status.code() == Some(4);
        let failure = error.filter(|_| !nothing).map(|error| Failure {
            code: error["kind"].as_str().unwrap().to_owned(),
            remedy: error["remedy"].as_str().unwrap_or_default().to_owned(),
        });
        let mut remarks = Vec::new();
        if let Some(findings) = value["findings"].as_array() {
            for finding in findings {
                assert!(finding["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{finding}");
                remarks.push(format!("`{}`", finding["code"].as_str().unwrap()));
            }
        }
        if value["caches"][0]["notice"].is_string() || nothing && text.contains("The file ") {
            remarks.push("names the file".to_owned());
        }
        if String::from_utf8_lossy(&output.stderr).contains("a copy") {
            remarks.push("copy kept".to_owned());
        }
        remarks.sort();
        remarks.dedup();
        let allowed: &[i32] = match (&failure, self) {
            (Some(_), _) => &[1, 2, 5, 6],
            (None, Self::Doctor) => &[0, 3],
            (None, _) => &[0, 4],
        };
        let code = output.status.code().unwrap();
        assert!(allowed.contains(&code), "{self:?} in {scene}: {code}: {output:?}");
        Outcome { remarks, failure, nothing }
    }

    /// After it has worked: no token that it was to remove or to keep is elsewhere.
    pub(crate) fn check(self, scene: &Scene<'_>, outcome: &Outcome) {
        if self == Self::SignOut && !outcome.nothing {
            let again = self.enter(scene);
            assert!(again.nothing || again.failure.is_some(), "{scene}: signed in after a sign-out");
        }
        // Files that were there and are no cache are kept, under some name.
        let names: Vec<_> = fs::read_dir(scene.home()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let kept = |words: &[u8]| {
            names.iter().any(|path| {
                fs::read(path).is_ok_and(|bytes| bytes.windows(words.len()).any(|part| part == words))
            })
        };
        use crate::state::File;
        if self != Self::Clear {
            match scene.file() {
                File::Foreign => assert!(kept(b"a person's notes"), "{scene}"),
                File::Sealed => assert!(kept(b"none of the test's keys"), "{scene}"),
                File::DataProtection => assert!(kept(b"and what only Windows reads"), "{scene}"),
                _ => {}
            }
        }
    }
}

/// Runs the program in a process of its own, this binary started again, because a process has one session bus.
fn program(scene: &Scene<'_>) -> Outcome {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "entrance::opens_its_cache_for_another_test", "--nocapture"]).env_clear();
    command.env("HOME", scene.home()).env("PATH", "/usr/bin:/bin");
    command.env("DBUS_SESSION_BUS_ADDRESS", scene.address()).env("OPEN_CACHE", scene.path());
    if scene.fallback {
        command.env("FALLBACK", "1");
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.split_once("RESULT ")).map(|(_, rest)| rest);
    let value: Value = serde_json::from_str(line.unwrap_or_else(|| panic!("{scene}: {output:?}"))).unwrap();
    let failure = value["code"].as_str().map(|code| Failure {
        code: code.to_owned(),
        remedy: value["remedy"].as_str().unwrap_or_default().to_owned(),
    });
    let mut remarks: Vec<String> =
        value["events"].as_array().unwrap().iter().map(|event| event.as_str().unwrap().to_owned()).collect();
    remarks.sort();
    remarks.dedup();
    Outcome { remarks, failure, nothing: false }
}

/// The body of [`program`]; not a test by itself.
#[test]
fn opens_its_cache_for_another_test() {
    let Some(path) = std::env::var_os("OPEN_CACHE") else { return };
    let (events, told) = std::sync::mpsc::channel();
    let events = std::sync::Mutex::new(events);
    let config = Config::new(APP).path(path).lock_limit(std::time::Duration::from_secs(4));
    let fallback = std::env::var_os("FALLBACK").map(|_| Store::PlaintextFile);
    let config = config.fallback(fallback).on_event(move |event| {
        let word = match event {
            Event::SetAside { .. } => "copy kept",
            Event::Moved { .. } => "moved into the keyring",
            Event::FellBack { .. } => "in the fallback",
            _ => return,
        };
        events.lock().unwrap().send(word).unwrap();
    });
    let outcome = config.open().and_then(|cache| sign_in(&cache));
    let told: Vec<&str> = told.try_iter().collect();
    println!(
        "\nRESULT {}",
        match outcome {
            Ok(()) => serde_json::json!({ "events": told }),
            Err(error) => serde_json::json!({
                "code": error.kind().code(), "remedy": error.suggestion(), "events": told,
            }),
        }
    );
}

/// Signs in as a client does: reads, changes, stores, reads again.
fn sign_in(cache: &TokenCache) -> Result<(), Error> {
    let ours = schema::put(None, &[Record::account(EVE, "local-eve", "eve@example.org")])?;
    let known = cache.read()?;
    let ours = match &known {
        Some(known) if schema::is_msal_cache(known.expose()) => {
            schema::put(Some(known.expose()), &[Record::account(EVE, "local-eve", "eve@example.org")])?
        }
        _ => ours,
    };
    cache.begin_write()?.commit_change(&schema::Change::additions(ours.expose()))?;
    let stored = cache.read()?.expect("stored");
    assert!(String::from_utf8_lossy(stored.expose()).contains("eve@example.org"));
    Ok(())
}
