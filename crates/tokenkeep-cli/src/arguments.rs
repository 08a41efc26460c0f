//! The command line. A flag that names a store has the name of the configuration value.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use tokenkeep::preset::Preset;

use crate::endpoint;

const CODES: &str = "\
Exit codes:
  0    done
  1    failed
  2    arguments that cannot be used
  3    the doctor has findings
  4    nothing found
  5    another process has the lock
  6    the keystore is locked, missing or silent
  130  interrupted";

/// Looks after the token caches in which programs keep their sign-ins
#[derive(Debug, Parser)]
#[command(name = "tokenkeep", version, after_help = CODES, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args, Debug)]
pub(crate) struct Common {
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colour; it never says anything that the words do not
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    /// How long to wait for the lock of a cache and for the keystore [default: 5]
    #[arg(long, global = true, value_parser = seconds, value_name = "SECONDS")]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

impl From<Color> for anstream::ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::AlwaysAnsi,
            Color::Never => Self::Never,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find out why sign-ins are not kept: what this machine offers, what is wrong, and what to do about it
    ///
    /// Looks at the keyring, the kernel's keyring, the file system, locks and the known caches (or the one that is named),
    /// and says which store tokenkeep would choose. Never prompts, changes nothing but a trial item that it removes
    /// again, and ends within ten seconds.
    Doctor(Doctor),
    /// List the accounts and tokens of a cache, or of all known ones on this machine; never a secret
    List(List),
    /// Sign an account out of a cache: it and all of its tokens are removed
    ///
    /// One write under the lock of the cache; all else in it stays as it is, byte for byte. The tokens are not revoked at
    /// the sign-in service. An account in several tenants and clouds has one id and goes as a whole; when several
    /// accounts have the user name, they are listed and nothing is changed.
    SignOut(SignOut),
    /// Remove everything that a cache holds
    Clear(Clear),
    /// Move what one cache holds into another, and wipe the old copy
    ///
    /// What would be done is shown first. Everything is read back from the new place before the old copy is overwritten;
    /// what the new place holds already stays, and of two versions of an entry the newer. A migration that was killed is
    /// finished by repeating it. Each end is the path of a file, or NAME=VALUE,... with the names of the flags of the
    /// other commands:
    ///
    ///   tokenkeep migrate --from ~/.my-app/cache.json --to application=my-app
    ///
    ///   tokenkeep migrate --from cache-path=/a,service-name=s,account-name=a --to
    ///   application=my-app,store=encrypted-file,key=kernel:my-app
    Migrate(Migrate),
    /// Tell who has the lock of a cache, and break a lock that a dead process left
    ///
    /// Says which process has it, which program that is, since when, and whether it lives. Ends with 4 when nobody has
    /// the lock, with 5 when a living process has it (and it was not broken), with 0 when it was left by a dead one or
    /// was broken.
    Lock(Lock),
    /// Print completions for a shell
    Completions { shell: Shell },
    /// Print the man page
    Man,
}

#[derive(Args, Debug)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) store: Store,
    /// Write nothing at all, not even the trial item
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) store: Store,
}

/// Before something is changed.
#[derive(Args, Clone, Debug)]
pub(crate) struct Change {
    /// Do not ask; needed where there is no terminal
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What becomes of copies that were kept of earlier content.
#[derive(Args, Debug)]
pub(crate) struct Copies {
    /// Also overwrite and remove the copies that were kept of damaged content and of content whose key is lost: they may hold
    /// sign-ins that are still good
    #[arg(long)]
    pub(crate) copies: bool,
}

#[derive(Args, Debug)]
pub(crate) struct SignOut {
    /// The user name, or the account's id, as list shows them
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) account: Option<String>,
    /// Every account and every token, also an application's own
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) store: Store,
    #[command(flatten)]
    pub(crate) copies: Copies,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Args, Debug)]
pub(crate) struct Clear {
    #[command(flatten)]
    pub(crate) store: Store,
    #[command(flatten)]
    pub(crate) copies: Copies,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Args, Debug)]
pub(crate) struct Migrate {
    /// The cache that is left
    #[arg(long, value_parser = endpoint::parse, value_name = "CACHE")]
    pub(crate) from: Store,
    /// The cache that has it all afterwards
    #[arg(long, value_parser = endpoint::parse, value_name = "CACHE")]
    pub(crate) to: Store,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Args, Debug)]
pub(crate) struct Lock {
    #[command(flatten)]
    pub(crate) store: Store,
    /// Break the lock if the process that has it is dead
    #[arg(long = "break")]
    pub(crate) break_it: bool,
    /// Break it even under a living process, which may then lose what it or another one writes
    #[arg(long, requires = "break_it")]
    pub(crate) force: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Which cache.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which cache")]
pub(crate) struct Store {
    /// A library's or program's own cache by name, such as azure-identity or azure-cli; a wrong name lists all
    #[arg(long, value_parser = preset, value_name = "NAME", conflicts_with_all = ["application", "key"])]
    pub(crate) preset: Option<Preset>,
    /// With --preset: the name that a program gave its cache
    #[arg(long, value_name = "NAME", requires = "preset")]
    pub(crate) cache_name: Option<String>,
    /// With --preset: the schema of the keystore item
    #[arg(long, value_name = "NAME", requires = "preset")]
    pub(crate) schema: Option<String>,
    /// With --preset: an attribute of the keystore item; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = attribute, requires = "preset")]
    pub(crate) attribute: Vec<(String, String)>,
    /// A program that keeps its cache where tokenkeep does by default
    #[arg(long, value_name = "NAME")]
    pub(crate) application: Option<String>,
    /// The cache file, or the marker file of the keystore item
    #[arg(long, value_name = "FILE")]
    pub(crate) cache_path: Option<PathBuf>,
    /// The keystore item's service
    #[arg(long, value_name = "NAME")]
    pub(crate) service_name: Option<String>,
    /// The keystore item's account
    #[arg(long, value_name = "NAME")]
    pub(crate) account_name: Option<String>,
    /// The kind of store, where it is not to be found out from what is there
    #[arg(long, value_enum, value_name = "KIND")]
    pub(crate) store: Option<Kind>,
    /// Where an encrypted file's key comes from: kernel:NAME, file:PATH, variable:NAME (a key in the environment),
    /// passphrase:NAME (a passphrase in the environment), portal (the secret of a sandboxed program)
    #[arg(long, value_parser = key, value_name = "SOURCE")]
    pub(crate) key: Option<Key>,
}

impl Store {
    /// Returns whether the arguments name no cache.
    pub(crate) fn is_any(&self) -> bool {
        self.preset.is_none()
            && self.application.is_none()
            && self.cache_path.is_none()
            && self.service_name.is_none()
            && self.account_name.is_none()
    }
}

/// A kind of store, under the library's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A file that is not encrypted
    PlaintextFile,
    /// A file encrypted with a key of --key
    EncryptedFile,
    /// A file encrypted by Windows
    DpapiFile,
    /// An item of the system's keystore
    #[value(alias = "secret-service", alias = "keychain")]
    Keystore,
}

/// The source of an encrypted file's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Kernel(String),
    File(PathBuf),
    Variable(String),
    Passphrase(String),
    Portal,
}

fn preset(text: &str) -> Result<Preset, String> {
    text.parse().map_err(|error: tokenkeep::Error| error.to_string())
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("want NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn key(text: &str) -> Result<Key, String> {
    if text == "portal" {
        return Ok(Key::Portal);
    }
    let (kind, name) = text.split_once(':').unwrap_or((text, ""));
    if name.is_empty() {
        return Err("want kernel:NAME, file:PATH, variable:NAME, passphrase:NAME or portal".to_owned());
    }
    match kind {
        "kernel" => Ok(Key::Kernel(name.to_owned())),
        "file" => Ok(Key::File(name.into())),
        "variable" => Ok(Key::Variable(name.to_owned())),
        "passphrase" => Ok(Key::Passphrase(name.to_owned())),
        _ => Err(format!("there is no source {kind:?}: want kernel, file, variable, passphrase or portal")),
    }
}

/// A longer wait is a mistake in the argument.
const LONGEST: f64 = 86_400.0;

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=LONGEST).contains(&number) => Ok(Duration::from_secs_f64(number)),
        _ => Err(format!("want a number of seconds from 0 to {LONGEST}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_key_names_its_source() {
        assert_eq!(key("kernel:my-app"), Ok(Key::Kernel("my-app".to_owned())));
        assert_eq!(key("portal"), Ok(Key::Portal));
        assert_eq!(key("file:/a:b"), Ok(Key::File("/a:b".into())));
        assert!(key("file:").is_err() && key("passphrase").is_err() && key("pass:word").is_err());
    }

    #[test]
    fn a_time_limit_is_a_number_of_seconds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(seconds("-1").is_err() && seconds("NaN").is_err() && seconds("1e9").is_err());
    }
}
