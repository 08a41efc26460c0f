//! A path is resolved once, into the descriptor of its directory. From then on a file is a name in that directory.
//!
//! Another user who may rename a part of the path can exchange it for a link between two system calls. Calls that take the
//! whole path again would then work in another directory. All calls by path that change something, or that decide, are
//! in this file; `clippy.toml` refuses them elsewhere.
//!
//! Links on the way are followed only if root or the user of this process made them. Root works in no directory of another
//! user, nor below one: there every step is at the mercy of that user.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::calls::{effective_user, retry, without_modes};
use super::status::Status;
use crate::platform::{FileSystemKind, os};
use crate::stamp::Fingerprint;
use crate::stamp::belief::Times;
use crate::{Error, ErrorKind, Result};

/// The owner may enter, list and change; all others nothing.
const DIRECTORY_MODE: u32 = 0o700;
/// The kernel's limit on links in a path.
const LINKS: u32 = 40;

/// An open directory.
#[derive(Debug)]
struct Directory {
    /// Only a place in the file system, where the system has such descriptors: no right to read is needed.
    file: File,
    status: Status,
    kind: OnceLock<FileSystemKind>,
}

impl Directory {
    fn new(file: File, status: Status) -> Self {
        Self { file, status, kind: OnceLock::new() }
    }

    fn kind(&self) -> FileSystemKind {
        *self.kind.get_or_init(|| os::kind_of(&self.file))
    }
}

/// A name in an open directory, or in one that does not exist.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    directory: Option<Arc<Directory>>,
    /// For messages, and to see whether the path still leads to the directory.
    path: PathBuf,
}

impl AsRef<Path> for Entry {
    fn as_ref(&self) -> &Path {
        self
    }
}

impl Deref for Entry {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

/// The same name in the same directory, in any spelling of the path.
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        match (&self.directory, &other.directory) {
            (Some(own), Some(others)) => {
                own.status.identity() == others.status.identity()
                    && self.path.file_name() == other.path.file_name()
            }
            (None, None) => self.path == other.path,
            _ => false,
        }
    }
}

impl Entry {
    /// A name without a directory, for a lock that has no file: nothing can be read or written by it.
    pub(crate) fn nowhere(path: &Path) -> Self {
        Self { directory: None, path: path.to_owned() }
    }

    /// Another name in the same directory.
    pub(crate) fn named(&self, name: impl AsRef<OsStr>) -> Self {
        Self { directory: self.directory.clone(), path: self.path.with_file_name(name.as_ref()) }
    }

    /// The name with `suffix` after it, in the same directory.
    pub(crate) fn with_suffix(&self, suffix: &str) -> Self {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(suffix);
        self.named(name)
    }

    /// Returns the names in the directory; none if it cannot be read.
    pub(crate) fn names_beside(&self) -> Vec<OsString> {
        use std::os::unix::ffi::OsStrExt;
        let Ok(directory) = self.readable_directory() else { return Vec::new() };
        let Ok(entries) = rustix::fs::Dir::new(directory) else { return Vec::new() };
        let names = entries
            .filter_map(|entry| Some(OsStr::from_bytes(entry.ok()?.file_name().to_bytes()).to_owned()));
        names.filter(|name| name != "." && name != "..").collect()
    }

    /// Returns whether the path still leads to the directory that is open.
    ///
    /// # Errors
    /// `PermissionDenied`, `Io`.
    pub(crate) fn is_current(&self) -> Result<bool> {
        let Some(directory) = &self.directory else { return Ok(true) };
        let path = directory_of(&self.path);
        match retry(|| Ok(rustix::fs::stat(path)?)) {
            Ok(now) => Ok(Status::of(&now).identity() == directory.status.identity()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("Cannot look at the cache's directory", path, error)),
        }
    }

    /// Refuses to go on if the path leads to another directory by now.
    ///
    /// # Errors
    /// `UnsafeFile`, `PermissionDenied`, `Io`.
    pub(crate) fn require_current(&self) -> Result<()> {
        if self.is_current()? {
            return Ok(());
        }
        Err(Error::new(ErrorKind::UnsafeFile, "The directory was exchanged for another one meanwhile")
            .at(directory_of(&self.path))
            .remedy("Try again; if it happens again, choose a directory that only this user can change"))
    }

    /// Returns whether only root can have put a file into the directory.
    pub(super) fn is_roots_alone(&self) -> bool {
        self.directory.as_ref().is_some_and(|directory| {
            let owner = directory.status.uid();
            (owner == 0 || os::is_unmapped(owner)) && directory.status.mode() & 0o022 == 0
        })
    }

    /// Returns the owner of the directory.
    pub(super) fn directory_owner(&self) -> u32 {
        self.directory.as_ref().map_or_else(effective_user, |directory| directory.status.uid())
    }

    /// Equal for two paths to one directory.
    pub(super) fn directory_identity(&self) -> Result<(u64, u64)> {
        self.open_directory().map(|directory| directory.status.identity()).map_err(|error| {
            Error::io("Cannot look at the cache's directory", directory_of(&self.path), error)
        })
    }

    /// Returns whether other machines, or a daemon, may change the files of the directory.
    pub(super) fn is_remote(&self) -> bool {
        self.directory.as_ref().is_some_and(|directory| directory.kind().remote)
    }

    /// Returns the times of the file system that has the open `file`: a link or a mount may lead to another one than the
    /// directory's. The number of the device is that of the directory as long as that is open.
    pub(super) fn times_of(&self, file: &File, fingerprint: &Fingerprint) -> Times {
        match &self.directory {
            Some(directory) if directory.status.fingerprint().device == fingerprint.device => {
                directory.kind().times
            }
            _ => os::kind_of(file).times,
        }
    }

    /// Opens the directory itself, to list or to sync it.
    pub(super) fn readable_directory(&self) -> io::Result<File> {
        let directory = self.open_directory()?;
        open_at(&directory.file, OsStr::new("."), OFlags::RDONLY | OFlags::DIRECTORY)
    }

    pub(super) fn open(&self, flags: OFlags) -> io::Result<File> {
        open_at(&self.open_directory()?.file, self.name(), flags)
    }

    pub(super) fn status(&self) -> io::Result<Status> {
        let directory = self.open_directory()?;
        retry(|| {
            Ok(Status::of(&rustix::fs::statat(&directory.file, self.name(), AtFlags::SYMLINK_NOFOLLOW)?))
        })
    }

    pub(super) fn rename(&self, to: &Self) -> io::Result<()> {
        let (from, onto) = (self.open_directory()?, to.open_directory()?);
        retry(|| Ok(rustix::fs::renameat(&from.file, self.name(), &onto.file, to.name())?))
    }

    pub(super) fn rename_unless_there(&self, to: &Self) -> io::Result<()> {
        let (from, onto) = (self.open_directory()?, to.open_directory()?);
        retry(|| os::rename_unless_there(&from.file, self.name(), &onto.file, to.name()))
    }

    pub(super) fn link(&self, to: &Self) -> io::Result<()> {
        let (from, onto) = (self.open_directory()?, to.open_directory()?);
        retry(|| Ok(rustix::fs::linkat(&from.file, self.name(), &onto.file, to.name(), AtFlags::empty())?))
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        let directory = self.open_directory()?;
        retry(|| Ok(rustix::fs::unlinkat(&directory.file, self.name(), AtFlags::empty())?))
    }

    fn name(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }

    fn open_directory(&self) -> io::Result<&Directory> {
        self.directory.as_deref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Resolves the directory of an absolute path. A final link stays as it is.
///
/// # Errors
/// `UnsafeFile` if another user could exchange a part of the path, `PermissionDenied`, `Io`. A directory that does not exist
/// is no error: there are no files in it.
pub(crate) fn locate(path: &Path) -> Result<Entry> {
    let directory = find(directory_of(path))?.map(Arc::new);
    Ok(Entry { directory, path: path.to_owned() })
}

/// Like [`locate`]; creates the directory and its missing parents, each 0700 with any umask.
///
/// # Errors
/// Like [`locate`] and [`create`].
pub(crate) fn locate_or_create(path: &Path) -> Result<Entry> {
    let directory = create_open(directory_of(path))?;
    Ok(Entry { directory: Some(Arc::new(directory)), path: path.to_owned() })
}

/// Resolves the file that `path` stands for: itself, or the target of a final symbolic link that no other user can have
/// made.
///
/// # Errors
/// `UnsafeFile` if another user could change a link, its target or a directory on the way.
pub(crate) fn resolve(path: &Path) -> Result<Entry> {
    follow(&locate(path)?)
}

/// Like [`resolve`], for a path whose directory is open.
///
/// # Errors
/// Like [`resolve`].
pub(crate) fn follow(given: &Entry) -> Result<Entry> {
    let mut here = given.clone();
    for _ in 0..LINKS {
        let status = match here.status() {
            Ok(status) => status,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(here),
            Err(error) => return Err(Error::io("Cannot look at the cache file", &here, error)),
        };
        if !status.is_symlink() {
            if here.path != given.path {
                require_private(&here, &status, "target of the symbolic link")?;
            }
            return Ok(here);
        }
        let directory =
            here.open_directory().map_err(|error| Error::io("Cannot read the link", &here, error))?;
        require_private(directory_of(&here), &directory.status, "directory of the symbolic link")?;
        let (status, target) = os::read_link(&directory.file, here.name())
            .map_err(|error| Error::io("Cannot read the link", &here, error))?;
        require_own(&here, &status, "symbolic link")?;
        let target = directory_of(&here).join(target);
        let name = target.file_name().ok_or_else(|| {
            Error::new(ErrorKind::UnsafeFile, "A symbolic link at the cache path names no file").at(given)
        })?;
        // Only for messages, and to be one text for every spelling; the descriptor is what counts.
        let text = directory_of(&target);
        let text = std::fs::canonicalize(text)
            .map_err(|error| Error::io("Cannot find the directory a symbolic link leads to", text, error))?;
        here = locate(&text.join(name))?;
        if let Some(directory) = &here.directory {
            require_private(&text, &directory.status, "directory of the symbolic link")?;
        }
    }
    Err(Error::new(ErrorKind::UnsafeFile, "Too many symbolic links at the cache path").at(given))
}

/// Opens the file at `path` through links that root or the user of this process made.
///
/// # Errors
/// Those of the system; `UnsafeFile` if another user could exchange a part of the path.
pub(super) fn open_through_links(path: &Path, flags: OFlags) -> Result<io::Result<File>> {
    match Walk::of(path).go(true)? {
        Ok(End { directory, name: Some(name), .. }) => Ok(open_at(&directory, &name, flags)),
        Ok(_) => Ok(Err(Errno::ISDIR.into())),
        Err(error) => Ok(Err(error)),
    }
}

/// Returns the status of the file at `path`, for a comparison that decides nothing but whether to read it again.
///
/// # Errors
/// `PermissionDenied`, `Io`.
pub(crate) fn look_at(path: &Path) -> Result<Option<Status>> {
    match retry(|| Ok(rustix::fs::lstat(path)?)) {
        Ok(stat) => Ok(Some(Status::of(&stat))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("Cannot look at the file", path, error)),
    }
}

/// Creates `path` and its missing parents, each 0700 with any umask.
///
/// # Errors
/// `PermissionDenied`, `UnsafeFile` if a part of the path is not a directory or another user could exchange it,
/// `StorageFull`, `Io`.
pub(crate) fn create(path: &Path) -> Result<()> {
    create_open(path).map(drop)
}

fn create_open(path: &Path) -> Result<Directory> {
    if let Some(directory) = find(path)? {
        return Ok(directory);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(not_a_directory(path));
    };
    let parent = create_open(parent)?;
    let failed = |error| Error::io("Cannot protect the new directory", path, error);
    match retry(|| Ok(rustix::fs::mkdirat(&parent.file, name, Mode::from_raw_mode(0o700))?)) {
        Ok(()) => {}
        // Another process has created it, or the name is a dangling link; its use shows whether it is good.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return find(path)?.ok_or_else(|| not_a_directory(path));
        }
        Err(error) => return Err(Error::io("Cannot create the directory", path, error)),
    }
    let file = open_place(&parent.file, name).map_err(failed)?;
    let status = Status::of_open(&file).map_err(failed)?;
    if status.mode() & 0o777 != DIRECTORY_MODE && status.uid() == effective_user() {
        without_modes(os::set_mode(&parent.file, name, &file, DIRECTORY_MODE)).map_err(failed)?;
    }
    Ok(Directory::new(file, status))
}

/// Opens a directory; `None` if there is none.
fn find(path: &Path) -> Result<Option<Directory>> {
    if let Some(directory) = find_without_links(path)? {
        return Ok(Some(directory));
    }
    // A path that is too long as a whole is refused before a part of it is created.
    let file = match rustix::fs::stat(path) {
        Err(error @ Errno::NAMETOOLONG) => Err(error.into()),
        _ => Walk::of(path).go(false)?.map(|end| end.directory),
    };
    match file {
        Ok(file) => {
            let status = Status::of_open(&file)
                .map_err(|error| Error::io("Cannot look at the cache's directory", path, error))?;
            Ok(Some(Directory::new(file, status)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::NOTDIR.raw_os_error()) => {
            Err(not_a_directory(path))
        }
        Err(error) => Err(Error::io("Cannot look at the cache's directory", path, error)),
    }
}

/// The way up from a directory: a part of it leads to each directory above.
const UP: &str = "../../../../../../../../../../../../../../../..";

/// Opens a directory in one call. `None` where that is not possible, for example because a part of the path is a link.
///
/// # Errors
/// `UnsafeFile`.
fn find_without_links(path: &Path) -> Result<Option<Directory>> {
    let Some(Ok(file)) = os::open_without_links(path) else { return Ok(None) };
    let Ok(status) = Status::of_open(&file) else { return Ok(None) };
    let directory = Directory::new(file, status);
    let user = effective_user();
    if user != 0 {
        return Ok(Some(directory));
    }
    // Each directory that the path names is above this one, as long as the path does not go up itself.
    let mut above = 0;
    for part in path.components() {
        match part {
            Component::Normal(_) => above += 1,
            Component::ParentDir => return Ok(None),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    judge_directory(user, path, &directory.status)?;
    for steps in 1..=above {
        let Some(way) = UP.get(..steps * 3 - 1) else { return Ok(None) };
        let look = retry(|| Ok(rustix::fs::statat(&directory.file, way, AtFlags::empty())?));
        let Ok(status) = look else { return Ok(None) };
        judge_directory(user, path, &Status::of(&status))?;
    }
    Ok(Some(directory))
}

/// Refuses a directory of another user on root's way along `path`; `user` is the user of this process.
fn judge_directory(user: u32, path: &Path, status: &Status) -> Result<()> {
    let owner = status.uid();
    if user != 0 || owner == 0 || os::is_unmapped(owner) {
        return Ok(());
    }
    let text = format!(
        "A directory on this path belongs to user {owner}, who could exchange it while root works in it"
    );
    let remedy = format!(
        "Run the program as that user (setpriv --reuid={owner} --regid={} --clear-groups PROGRAM; in a container \
         --user {owner}), or choose a path in a directory of root",
        status.gid()
    );
    Err(Error::new(ErrorKind::UnsafeFile, text).at(path).remedy(remedy))
}

/// A path, resolved one name after the other.
struct Walk<'p> {
    path: &'p Path,
    rest: VecDeque<OsString>,
    links: u32,
}

/// The last directory, and the name in it if it is not to be opened as a directory.
struct End {
    directory: File,
    name: Option<OsString>,
}

impl<'p> Walk<'p> {
    fn of(path: &'p Path) -> Self {
        let mut walk = Self { path, rest: VecDeque::new(), links: 0 };
        walk.prepend(path);
        walk
    }

    fn prepend(&mut self, path: &Path) {
        for part in path.components().rev() {
            match part {
                Component::Normal(name) => self.rest.push_front(name.to_owned()),
                Component::ParentDir => self.rest.push_front("..".into()),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
    }

    /// `to_file`: the last name is that of a file, which is not opened.
    ///
    /// # Errors
    /// `UnsafeFile`; those of the system are inside.
    fn go(mut self, to_file: bool) -> Result<io::Result<End>> {
        let root = || open_place(CWD, OsStr::new("/"));
        let mut here = match root() {
            Ok(here) => here,
            Err(error) => return Ok(Err(error)),
        };
        while let Some(name) = self.rest.pop_front() {
            let last = to_file && self.rest.is_empty();
            let next = if last { Err(Errno::NOTDIR.into()) } else { open_place(&here, &name) };
            match next {
                Ok(next) => {
                    here = next;
                    match Status::of_open(&here) {
                        Ok(status) => judge_directory(effective_user(), self.path, &status)?,
                        Err(error) => return Ok(Err(error)),
                    }
                    continue;
                }
                // A link, or a file.
                Err(error) if is_link_or_file(&error) => {}
                Err(error) => return Ok(Err(error)),
            }
            match os::read_link(&here, &name) {
                Ok((status, target)) => {
                    self.judge_link(&status)?;
                    if target.has_root() {
                        here = match root() {
                            Ok(here) => here,
                            Err(error) => return Ok(Err(error)),
                        };
                    }
                    self.prepend(&target);
                }
                Err(error) if last && error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                    return Ok(Ok(End { directory: here, name: Some(name) }));
                }
                Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                    return Ok(Err(Errno::NOTDIR.into()));
                }
                Err(error) => return Ok(Err(error)),
            }
            self.links += 1;
            if self.links > LINKS {
                return Ok(Err(Errno::LOOP.into()));
            }
        }
        Ok(Ok(End { directory: here, name: None }))
    }

    fn judge_link(&self, status: &Status) -> Result<()> {
        let owner = status.uid();
        if owner == 0 || owner == effective_user() || os::is_unmapped(owner) {
            return Ok(());
        }
        let text =
            format!("A symbolic link on this path belongs to user {owner}, who can let it lead elsewhere");
        Err(Error::new(ErrorKind::UnsafeFile, text)
            .at(self.path)
            .remedy("Give the path that the link leads to, or choose another cache path"))
    }
}

fn is_link_or_file(error: &io::Error) -> bool {
    [Errno::NOTDIR, Errno::LOOP].iter().any(|code| error.raw_os_error() == Some(code.raw_os_error()))
}

fn open_place(directory: impl rustix::fd::AsFd, name: &OsStr) -> io::Result<File> {
    open_at(directory, name, os::PLACE | OFlags::DIRECTORY | OFlags::NOFOLLOW)
}

fn open_at(directory: impl rustix::fd::AsFd, name: &OsStr, flags: OFlags) -> io::Result<File> {
    let mode = Mode::from_raw_mode(0o600);
    let open = || Ok(rustix::fs::openat(&directory, name, flags | OFlags::CLOEXEC, mode)?);
    retry(open).map(File::from)
}

/// Returns the directory of an absolute path.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

fn require_own(path: &Path, status: &Status, what: &str) -> Result<()> {
    let user = effective_user();
    if status.uid() == user || status.uid() == 0 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::UnsafeFile,
        format!("The {what} belongs to user {}, not to {user}", status.uid()),
    )
    .at(path)
    .remedy("Choose a cache path in a directory of your own"))
}

fn require_private(path: &Path, status: &Status, what: &str) -> Result<()> {
    require_own(path, status, what)?;
    if status.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::UnsafeFile, format!("Other users may write the {what}"))
        .at(path)
        .remedy("Take the write permission from group and others (chmod go-w)"))
}

fn not_a_directory(path: &Path) -> Error {
    Error::new(ErrorKind::UnsafeFile, "Something that is not a directory stands where one is needed")
        .at(path)
        .remedy("Choose another cache path")
        // Programs expect this error number.
        .because(io::Error::from(Errno::NOTDIR))
}

/// Returns a warning about a directory on the way in which other users may create and remove files; `None` if there are
/// none.
pub(crate) fn open_directory_warning(directory: &Path) -> Option<String> {
    directory.ancestors().find_map(|directory| {
        let mode = Status::of(&rustix::fs::stat(directory).ok()?).mode();
        // In a sticky directory such as /tmp, no user can remove or replace another user's files.
        let writable = mode & 0o022 != 0 && mode & 0o1000 == 0;
        writable.then(|| {
            format!(
                "Other users may change the directory {directory:?} (mode {:03o}) and so replace the cache in it; \
                 run chmod go-w on it",
                mode & 0o777
            )
        })
    })
}

/// Refuses a directory that another user created or may change.
///
/// # Errors
/// `UnsafeFile`, `Io`.
pub(crate) fn require_own_directory(directory: &Path) -> Result<()> {
    let status = match look_at(directory)? {
        Some(status) if status.is_dir() => status,
        _ => return Err(not_a_directory(directory)),
    };
    if status.uid() == effective_user() && status.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::UnsafeFile, "The directory is not this user's alone")
        .at(directory)
        .remedy("Remove it, or take the write permission from group and others (chmod go-w)"))
}
