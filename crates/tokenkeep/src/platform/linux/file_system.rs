//! The file systems of Linux: those that other machines, or a daemon, may change, and those whose times can be
//! believed.

use std::fs::{self, File};
use std::path::Path;

use crate::inspect::FileSystem;
use crate::platform::FileSystemKind;
use crate::stamp::belief::Times;

/// The f_type numbers of statfs(2), and of file systems outside the kernel.
const REMOTE: [u32; 25] = [
    0x6969,      // NFS
    0x517b,      // SMB
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB2, SMB3
    0x6573_5546, // FUSE, virtiofs
    0x0102_1997, // 9p
    0x5346_414f, // AFS
    0x6b41_4653, // kAFS
    0x00c3_6400, // Ceph
    0x0bd0_0bd0, // Lustre
    0x7375_7245, // Coda
    0x564c,      // NCP
    0x2003_0528, // OrangeFS
    0x0116_1970, // GFS2
    0x7461_636f, // OCFS2
    0x6163_6673, // ACFS
    0x4750_4653, // GPFS
    0x1983_0326, // BeeGFS
    0xaad7_aaea, // PanFS
    0xbeef_dead, // StorNext
    0x786f_4256, // vboxsf
    0xbacb_acbc, // vmhgfs
    0x7c7c_6673, // Parallels
    0x00c0_ffee, // hostfs
    0x5346_4846, // WSL's DrvFs
];

/// Local file systems that give each change of a file a time in nanoseconds which no program can choose. An unlisted one
/// is read at every access.
const KEEP_TIMES: [u32; 12] = [
    0xef53,      // ext2, ext3, ext4; whole seconds in inodes of 128 bytes
    0x5846_5342, // XFS
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x794c_7630, // overlayfs, whose upper layer is one of these
    0x2fc1_2fc1, // ZFS
    0xf2f5_2010, // F2FS
    0xca45_1a4e, // bcachefs
    0x3153_464a, // JFS
    0xf15f,      // eCryptfs
    0x7366_746e, // NTFS3
];

/// Returns whether other machines, or a daemon, may change the files of an existing directory. One that cannot be queried
/// counts as local: the next call fails with its own error.
pub(crate) fn is_remote(directory: &Path) -> bool {
    rustix::fs::statfs(directory).is_ok_and(|status| REMOTE.contains(&number(&status)))
}

/// Returns the kind of file system that has an open file or directory.
pub(crate) fn kind_of(file: &File) -> FileSystemKind {
    let status = rustix::fs::fstatfs(file);
    let remote = status.as_ref().is_ok_and(|status| REMOTE.contains(&number(status)));
    FileSystemKind { remote, times: times(status) }
}

/// Returns the times of the file system that has a file which is not open.
pub(crate) fn times_at(path: &Path) -> Times {
    times(rustix::fs::statfs(path))
}

fn times(status: rustix::io::Result<rustix::fs::StatFs>) -> Times {
    match status.is_ok_and(|status| KEEP_TIMES.contains(&number(&status))) {
        true => Times::Kept { grain: 0 },
        false => Times::Unknown,
    }
}

/// `f_type` differs in width and sign between architectures.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unnecessary_cast)]
fn number(status: &rustix::fs::StatFs) -> u32 {
    status.f_type as u32
}

/// Describes the file system of an existing directory.
pub(crate) fn file_system(directory: &Path) -> FileSystem {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let (name, read_only) = mount_of(directory, &mounts).unwrap_or_default();
    FileSystem { name, remote: is_remote(directory), read_only }
}

/// Finds the name and whether it is read-only in the line of proc_pid_mountinfo(5) with the longest mount point above
/// `place`; of equal ones, the last hides the others.
fn mount_of(place: &Path, mounts: &str) -> Option<(Option<String>, bool)> {
    let (_, found) = mounts
        .lines()
        .filter_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let point = unescaped(before.split(' ').nth(4)?);
            let options = before.split(' ').nth(5)?;
            // Those of the mount, and those of the file system itself.
            let read_only =
                options.split(',').chain(after.rsplit(' ').next()?.split(',')).any(|each| each == "ro");
            let name = after.split(' ').next()?.to_owned();
            place.starts_with(&point).then_some((point.len(), (Some(name), read_only)))
        })
        .enumerate()
        .max_by_key(|(line, (length, _))| (*length, *line))?
        .1;
    Some(found)
}

/// Decodes the octal escapes of spaces, tabs, line feeds and backslashes.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, character)| text.replace(code, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw - nfs4 server:/home rw
31 22 0:41 / /mnt/a\\040b ro,nosuid - fuse.sshfs host: rw
32 30 0:42 / /home rw - tmpfs tmpfs rw
33 22 0:43 / /worn rw - ext4 /dev/sdb1 ro,errors=remount-ro
";

    #[test]
    fn the_innermost_mount_counts_and_of_two_the_last() {
        let name = |path: &str| mount_of(Path::new(path), MOUNTS).unwrap().0.unwrap();
        assert_eq!(name("/etc"), "ext4");
        assert_eq!(name("/home/anna"), "tmpfs");
        assert_eq!(name("/homework"), "ext4");
        assert_eq!(name("/mnt/a b/c"), "fuse.sshfs");
    }

    #[test]
    fn a_mount_is_read_only_by_its_own_options_or_by_those_of_its_file_system() {
        let is_read_only = |path: &str| mount_of(Path::new(path), MOUNTS).unwrap().1;
        assert!(is_read_only("/mnt/a b") && is_read_only("/worn/c") && !is_read_only("/home"));
    }

    #[test]
    fn no_file_system_is_both_remote_and_believed() {
        assert!(KEEP_TIMES.iter().all(|number| !REMOTE.contains(number)));
    }
}
