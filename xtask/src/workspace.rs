//! Where things are: the checkout, cargo's target folder and the files xtask itself writes.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::job::{Failure, Outcome, at};

/// The version every package of the project carries.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Removes a folder that may not be there.
pub(crate) fn remove(folder: &Path) -> Outcome<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(folder)(error)),
        _ => Ok(()),
    }
}

/// The folders of one checkout.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// Where cargo builds; elsewhere than `root/target` when the user says so.
    pub(crate) cargo_target: PathBuf,
    /// What xtask writes: logs, stamps, tarballs. Always `root/target`, so that the documented paths hold.
    pub(crate) products: PathBuf,
}

impl Workspace {
    /// Finds the checkout this xtask was started from.
    pub(crate) fn locate() -> Outcome<Self> {
        // At run time, not compile time: checkouts that share a target folder share the compiled xtask too.
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .ok_or_else(|| Failure::new("start it as `cargo xtask`: CARGO_MANIFEST_DIR is not set"))?;
        let root = manifest
            .parent()
            .map(Path::to_path_buf)
            .ok_or_else(|| Failure::new(format!("{} has no parent folder", manifest.display())))?;
        // This very program was built there, whichever of cargo's settings chose the place.
        let program =
            env::current_exe().map_err(|error| Failure::new(format!("where is xtask itself? {error}")))?;
        let cargo_target = program
            .ancestors()
            .nth(2)
            .map(Path::to_path_buf)
            .ok_or_else(|| Failure::new(format!("{} is not in a target folder", program.display())))?;
        let products = root.join("target");
        Ok(Self { root, cargo_target, products })
    }

    /// A folder or file of the checkout.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }
}
