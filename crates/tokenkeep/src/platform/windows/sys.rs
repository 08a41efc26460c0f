//! Safe wrappers of Windows functions. This is the only file of the project with unsafe code.
//!
//! Every call keeps three rules: a pointer passed in is borrowed, so it stays valid during the call; a returned
//! buffer is copied and freed before the function returns; a handle belongs to a type that closes it. The callers
//! interpret errors.
#![allow(unsafe_code, reason = "the system's functions have no safe form")]

use std::ffi::{OsString, c_void};
use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Component, Path, PathBuf, Prefix};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{FILETIME, INVALID_HANDLE_VALUE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSecurityDescriptorToStringSecurityDescriptorW, ConvertSidToStringSidW,
    ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1, SE_FILE_OBJECT,
};
use windows_sys::Win32::Security::Cryptography::{CRYPT_INTEGER_BLOB, CryptProtectData, CryptUnprotectData};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GetTokenInformation, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER,
    TokenIsAppContainer, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, CREATE_NEW, CreateDirectoryW, CreateFileW, FILE_ALLOCATION_INFO,
    FILE_ATTRIBUTE_TAG_INFO, FILE_BASIC_INFO, FILE_DISPOSITION_INFO, FILE_ID_INFO, FILE_INFO_BY_HANDLE_CLASS,
    FILE_RENAME_INFO, FILE_RENAME_INFO_0, FileAllocationInfo, FileAttributeTagInfo, FileBasicInfo,
    FileDispositionInfo, FileIdInfo, FileRenameInfoEx, GetDriveTypeW, GetFileInformationByHandle,
    GetFileInformationByHandleEx, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx,
    SetFileInformationByHandle, UnlockFileEx,
};
use windows_sys::Win32::System::Com::CoTaskMemFree;
use windows_sys::Win32::System::IO::OVERLAPPED;
use windows_sys::Win32::System::SystemInformation::GetSystemTimeAsFileTime;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetProcessTimes, OpenProcess, OpenProcessToken, PROCESS_NAME_WIN32,
    PROCESS_QUERY_LIMITED_INFORMATION, QueryFullProcessImageNameW,
};
use windows_sys::Win32::UI::Shell::{FOLDERID_LocalAppData, SHGetKnownFolderPath};
use zeroize::{Zeroize, Zeroizing};

use super::answers::{self, Answer, Locked};

/// The time from 1601, Windows' epoch, to 1970, in units of 100 ns.
const EPOCH: i128 = 116_444_736_000_000_000;

/// The status of an open file. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Information {
    pub(crate) attributes: u32,
    pub(crate) reparse_tag: u32,
    pub(crate) volume: u64,
    /// `None` if the file system tells no identity.
    pub(crate) index: Option<u64>,
    pub(crate) links: u32,
    pub(crate) size: u64,
    pub(crate) modified: i128,
    pub(crate) changed: i128,
    pub(crate) has_change_time: bool,
}

pub(crate) fn information(file: &File) -> io::Result<Information> {
    let mut general = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open while `file` is borrowed, and `general` is a structure of the kind that is filled in.
    check(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &mut general) })?;
    let basic: FILE_BASIC_INFO = information_of_class(file, FileBasicInfo)?;
    let tag: FILE_ATTRIBUTE_TAG_INFO = information_of_class(file, FileAttributeTagInfo).unwrap_or_default();
    let wide = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    // The older answer has 64 bits, in which the identities of ReFS do not fit.
    let id = information_of_class::<FILE_ID_INFO>(file, FileIdInfo).map(|id| id.FileId.Identifier);
    let id =
        id.unwrap_or_else(|_| u128::from(wide(general.nFileIndexHigh, general.nFileIndexLow)).to_le_bytes());
    Ok(Information {
        attributes: general.dwFileAttributes,
        reparse_tag: tag.ReparseTag,
        volume: u64::from(general.dwVolumeSerialNumber),
        index: answers::index(id),
        links: general.nNumberOfLinks,
        size: wide(general.nFileSizeHigh, general.nFileSizeLow),
        modified: since_1970(i128::from(basic.LastWriteTime)),
        changed: since_1970(i128::from(basic.ChangeTime)),
        has_change_time: basic.ChangeTime != 0,
    })
}

/// `T` must be the structure of `class`; only this file chooses both, above.
fn information_of_class<T: Default>(file: &File, class: FILE_INFO_BY_HANDLE_CLASS) -> io::Result<T> {
    let mut information = T::default();
    let place = (&raw mut information).cast::<c_void>();
    // SAFETY: the handle is open while `file` is borrowed; `place` is as long as is said, and any bytes make a `T`, which
    // consists of integers.
    check(unsafe { GetFileInformationByHandleEx(file.as_raw_handle(), class, place, size_of_u32::<T>()) })?;
    Ok(information)
}

/// Allocates `length` bytes. A length shorter than the file would truncate it.
pub(crate) fn allocate(file: &File, length: i64) -> io::Result<()> {
    let room = FILE_ALLOCATION_INFO { AllocationSize: length };
    let place = (&raw const room).cast::<c_void>();
    let size = size_of_u32::<FILE_ALLOCATION_INFO>();
    // SAFETY: the handle is open while `file` is borrowed, and `place` is the structure that the class asks for.
    check(unsafe { SetFileInformationByHandle(file.as_raw_handle(), FileAllocationInfo, place, size) })
}

/// Renames an open file and replaces any file at `to`, also one that is open. The handle must allow removal.
pub(crate) fn rename_over(file: &File, to: &Path) -> io::Result<()> {
    // FILE_RENAME_FLAG_REPLACE_IF_EXISTS and FILE_RENAME_FLAG_POSIX_SEMANTICS of ntifs.h.
    const FLAGS: u32 = 0x1 | 0x2;
    let name = wide_path(to)?;
    // Without the zero at its end.
    let length = size_of::<u16>() * (name.len() - 1);
    let name_at = offset_of!(FILE_RENAME_INFO, FileName);
    let size = (name_at + size_of::<u16>() * name.len()).max(size_of::<FILE_RENAME_INFO>());
    // u64 for the alignment of the handle in it.
    let mut buffer = vec![0u64; size.div_ceil(size_of::<u64>())];
    let length = u32::try_from(length).map_err(|_| io::ErrorKind::InvalidFilename)?;
    let information = buffer.as_mut_ptr().cast::<FILE_RENAME_INFO>();
    // SAFETY: the buffer is aligned for the structure and as long as it and the name; its zeros are a valid structure
    // without a root directory, and the name's place lies inside.
    unsafe {
        (*information).Anonymous = FILE_RENAME_INFO_0 { Flags: FLAGS };
        (*information).FileNameLength = length;
        let place = information.cast::<u8>().add(name_at).cast::<u16>();
        place.copy_from_nonoverlapping(name.as_ptr(), name.len());
    }
    let size = u32::try_from(size).map_err(|_| io::ErrorKind::InvalidFilename)?;
    // SAFETY: the handle is open while `file` is borrowed, and the buffer is the structure that the class asks for.
    check(unsafe {
        SetFileInformationByHandle(file.as_raw_handle(), FileRenameInfoEx, information.cast(), size)
    })
}

/// Marks an open file for removal when its last handle is closed. The handle must allow that.
pub(crate) fn remove_on_close(file: &File) -> io::Result<()> {
    let remove = FILE_DISPOSITION_INFO { DeleteFile: true };
    let place = (&raw const remove).cast::<c_void>();
    let size = size_of_u32::<FILE_DISPOSITION_INFO>();
    // SAFETY: as in `allocate`.
    check(unsafe { SetFileInformationByHandle(file.as_raw_handle(), FileDispositionInfo, place, size) })
}

/// Creates a file that only the accounts in `descriptor`, in the security descriptor language, may open; without one,
/// those whom the directory allows.
pub(crate) fn create_new(
    path: &Path,
    access: u32,
    share: u32,
    flags: u32,
    descriptor: Option<&str>,
) -> io::Result<File> {
    let (path, descriptor) = (wide_path(path)?, descriptor.map(Descriptor::parse).transpose()?);
    let attributes = attributes(descriptor.as_ref());
    // SAFETY: the path ends with a zero, and both it and the descriptor that `attributes` points to outlive the call.
    let handle =
        unsafe { CreateFileW(path.as_ptr(), access, share, &attributes, CREATE_NEW, flags, null_mut()) };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just made for this caller, and no other code closes it.
    Ok(unsafe { File::from_raw_handle(handle) })
}

/// Creates a directory with a descriptor like [`create_new`].
pub(crate) fn create_directory(path: &Path, descriptor: Option<&str>) -> io::Result<()> {
    let (path, descriptor) = (wide_path(path)?, descriptor.map(Descriptor::parse).transpose()?);
    let attributes = attributes(descriptor.as_ref());
    // SAFETY: as in `create_new`.
    check(unsafe { CreateDirectoryW(path.as_ptr(), &attributes) })
}

/// A security descriptor that the system made from text.
struct Descriptor(*mut c_void);

impl Descriptor {
    fn parse(text: &str) -> io::Result<Self> {
        let text: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let mut descriptor = null_mut();
        // SAFETY: the text ends with a zero; the length of what is made is not asked for.
        check(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &mut descriptor,
                null_mut(),
            )
        })?;
        Ok(Self(descriptor))
    }
}

/// Valid as long as the descriptor. Without one, what is created inherits from its directory.
fn attributes(descriptor: Option<&Descriptor>) -> SECURITY_ATTRIBUTES {
    SECURITY_ATTRIBUTES {
        nLength: size_of_u32::<SECURITY_ATTRIBUTES>(),
        lpSecurityDescriptor: descriptor.map_or(null_mut(), |descriptor| descriptor.0),
        bInheritHandle: 0,
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the system allocated it for the caller to free, and no pointer to it is left.
        unsafe { LocalFree(self.0) };
    }
}

/// Returns the access list of an open file in the security descriptor language: the part from `D:` on.
pub(crate) fn access_list(file: &File) -> io::Result<String> {
    let mut descriptor = null_mut();
    // SAFETY: the handle is open while `file` is borrowed; parts that are not wanted may be null.
    let code = unsafe {
        GetSecurityInfo(
            file.as_raw_handle(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION,
            null_mut(),
            null_mut(),
            null_mut(),
            null_mut(),
            &mut descriptor,
        )
    };
    if code != 0 {
        return Err(io::Error::from_raw_os_error(code.cast_signed()));
    }
    let descriptor = Descriptor(descriptor);
    let mut text = null_mut();
    // SAFETY: the descriptor is alive; the length of the text is not asked for.
    check(unsafe {
        ConvertSecurityDescriptorToStringSecurityDescriptorW(
            descriptor.0,
            SDDL_REVISION_1,
            DACL_SECURITY_INFORMATION,
            &mut text,
            null_mut(),
        )
    })?;
    Ok(take_text(text))
}

/// Returns whether this process runs in an app container.
pub(crate) fn is_app_container() -> io::Result<bool> {
    let mut token = null_mut();
    // SAFETY: the handle of the current process is always valid.
    check(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) })?;
    // SAFETY: the handle was just made for this caller, and no other code closes it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    let (mut contained, mut length) = (0u32, 0);
    let place = (&raw mut contained).cast();
    // SAFETY: the token is open, and the answer is a number of 32 bits.
    check(unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenIsAppContainer,
            place,
            size_of_u32::<u32>(),
            &mut length,
        )
    })?;
    Ok(contained != 0)
}

/// Returns the user of this process, as `S-1-5-21-...`.
pub(crate) fn user_sid() -> io::Result<String> {
    let mut token = null_mut();
    // SAFETY: the handle of the current process is always valid.
    check(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) })?;
    // SAFETY: the handle was just made for this caller, and no other code closes it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // A TOKEN_USER and the longest possible SID, 68 bytes, behind it; u64 for the alignment of the pointer in it.
    let mut buffer = [0u64; 16];
    let mut length = 0;
    // SAFETY: the token is open and the buffer is as long as is said.
    check(unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            buffer.as_mut_ptr().cast(),
            size_of_u32::<[u64; 16]>(),
            &mut length,
        )
    })?;
    // SAFETY: the buffer is aligned for a TOKEN_USER, which the call has put there.
    let sid = unsafe { (*buffer.as_ptr().cast::<TOKEN_USER>()).User.Sid };
    let mut text = null_mut();
    // SAFETY: the SID lies in the buffer, which is alive.
    check(unsafe { ConvertSidToStringSidW(sid, &mut text) })?;
    Ok(take_text(text))
}

/// Copies a text that the system allocated and frees it.
fn take_text(text: *mut u16) -> String {
    let mut length = 0;
    // SAFETY: the system ends its texts with a zero, and nothing behind that is read.
    while unsafe { *text.add(length) } != 0 {
        length += 1;
    }
    // SAFETY: so many characters were just read there.
    let copy = String::from_utf16_lossy(unsafe { std::slice::from_raw_parts(text, length) });
    // SAFETY: the system allocated it for us to free, and the only slice of it is gone.
    unsafe { LocalFree(text.cast()) };
    copy
}

/// The locked byte lies beyond any content, because Windows locks prevent reads and writes of the bytes they cover.
fn lock_place() -> OVERLAPPED {
    let mut place = OVERLAPPED::default();
    // Of a union, the offset is what locks look at.
    place.Anonymous.Anonymous.OffsetHigh = 0x4000_0000;
    place
}

/// Takes the lock of an open file; returns `false` if another handle has it and `wait` is false.
pub(crate) fn lock(file: &File, wait: bool) -> io::Result<Locked> {
    let mut place = lock_place();
    let flags = LOCKFILE_EXCLUSIVE_LOCK | if wait { 0 } else { LOCKFILE_FAIL_IMMEDIATELY };
    // SAFETY: the handle is open while `file` is borrowed. It was opened for synchronous use, so that the call is over
    // when it returns, and `place` is not referred to afterwards.
    answers::locked(check(unsafe { LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &mut place) }))
}

/// Releases the lock of an open file.
pub(crate) fn unlock(file: &File) -> io::Result<()> {
    let mut place = lock_place();
    // SAFETY: as in `lock`.
    check(unsafe { UnlockFileEx(file.as_raw_handle(), 0, 1, 0, &mut place) })
}

/// Returns the user's folder for data of this machine.
pub(crate) fn local_app_data() -> io::Result<PathBuf> {
    let mut text = null_mut();
    // SAFETY: the identifier is a constant, and a null token means the user of this process.
    let outcome = unsafe { SHGetKnownFolderPath(&FOLDERID_LocalAppData, 0, null_mut(), &mut text) };
    let mut path = OsString::new();
    if !text.is_null() {
        // SAFETY: the system says that a zero ends the text.
        let length = (0..).take_while(|at| unsafe { *text.add(*at) } != 0).count();
        // SAFETY: so many characters are there.
        path = OsString::from_wide(unsafe { std::slice::from_raw_parts(text, length) });
    }
    // SAFETY: the system allocated it for the caller to free, also after a failure.
    unsafe { CoTaskMemFree(text.cast()) };
    if outcome == 0 { Ok(path.into()) } else { Err(io::Error::from_raw_os_error(outcome)) }
}

/// Returns whether the drive of an absolute path belongs to another machine.
pub(crate) fn is_remote_drive(path: &Path) -> bool {
    let Some(Component::Prefix(prefix)) = path.components().next() else { return false };
    let letter = match prefix.kind() {
        Prefix::Disk(letter) | Prefix::VerbatimDisk(letter) => letter,
        Prefix::UNC(..) | Prefix::VerbatimUNC(..) => return true,
        _ => return false,
    };
    const REMOTE: u32 = 4;
    let root = [u16::from(letter), u16::from(b':'), u16::from(b'\\'), 0];
    // SAFETY: the root ends with a zero.
    unsafe { GetDriveTypeW(root.as_ptr()) == REMOTE }
}

/// Returns the clock with which file systems stamp times, in nanoseconds since 1970.
pub(crate) fn coarse_clock() -> i128 {
    let mut now = FILETIME::default();
    // SAFETY: the structure is of the kind that is filled in.
    unsafe { GetSystemTimeAsFileTime(&mut now) };
    since_1970(hundreds(&now).into())
}

/// Returns the start time of a process and, if it has ended, its end time, in units of 100 ns since 1601.
pub(crate) fn process_times(process: &OwnedHandle) -> io::Result<(u64, Option<u64>)> {
    let mut times = [FILETIME::default(); 4];
    let [started, ended, kernel, user] = &mut times;
    // SAFETY: the handle is open while it is borrowed, and the structures are of the kind that is filled in.
    check(unsafe { GetProcessTimes(process.as_raw_handle(), started, ended, kernel, user) })?;
    let ended = hundreds(ended);
    Ok((hundreds(started), (ended != 0).then_some(ended)))
}

/// Opens a process to read its state.
pub(crate) fn open_process(pid: u32) -> io::Result<OwnedHandle> {
    // SAFETY: no pointers are handed over.
    let handle = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just made for this caller, and no other code closes it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Returns the path of the program that a process runs.
pub(crate) fn program(process: &OwnedHandle) -> io::Result<PathBuf> {
    // The longest possible path.
    let mut buffer = vec![0u16; 32_768];
    let mut length = 32_768;
    // SAFETY: the handle is open while it is borrowed, and the buffer is as long as is said.
    check(unsafe {
        QueryFullProcessImageNameW(
            process.as_raw_handle(),
            PROCESS_NAME_WIN32,
            buffer.as_mut_ptr(),
            &mut length,
        )
    })?;
    buffer.truncate(usize::try_from(length).unwrap_or(0));
    Ok(OsString::from_wide(&buffer).into())
}

/// Encrypts for this user or, by `flags`, for this machine.
pub(crate) fn protect(content: &[u8], entropy: Option<&[u8]>, flags: u32) -> Answer {
    let (content, entropy) = (blob(content)?, entropy.map(blob).transpose()?);
    let mut sealed = CRYPT_INTEGER_BLOB::default();
    // SAFETY: both inputs are borrowed for the call, which only reads them. Description, reserved and prompt may be null.
    check(unsafe {
        CryptProtectData(&content, null(), pointer(entropy.as_ref()), null(), null(), flags, &mut sealed)
    })?;
    Ok(take_blob(sealed))
}

/// Decrypts the output of [`protect`]. The system's own copy of the content is wiped.
pub(crate) fn unprotect(sealed: &[u8], entropy: Option<&[u8]>, flags: u32) -> Answer {
    let (sealed, entropy) = (blob(sealed)?, entropy.map(blob).transpose()?);
    let mut content = CRYPT_INTEGER_BLOB::default();
    // SAFETY: as in `protect`; the description is not asked for.
    check(unsafe {
        CryptUnprotectData(
            &sealed,
            null_mut(),
            pointer(entropy.as_ref()),
            null(),
            null(),
            flags,
            &mut content,
        )
    })?;
    Ok(take_blob(content))
}

/// Wraps bytes for the Data Protection API, which does not write to them although its type says so.
fn blob(bytes: &[u8]) -> io::Result<CRYPT_INTEGER_BLOB> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(CRYPT_INTEGER_BLOB { cbData: length, pbData: bytes.as_ptr().cast_mut() })
}

fn pointer(blob: Option<&CRYPT_INTEGER_BLOB>) -> *const CRYPT_INTEGER_BLOB {
    blob.map_or(null(), |blob| blob)
}

/// Copies bytes that the system allocated, wipes its copy and frees it; `None` if it allocated none.
fn take_blob(blob: CRYPT_INTEGER_BLOB) -> Option<Zeroizing<Vec<u8>>> {
    if blob.pbData.is_null() {
        return None;
    }
    let length = usize::try_from(blob.cbData).unwrap_or(0);
    // SAFETY: the system says that so many bytes are there; they are ours alone until they are freed below.
    let bytes = unsafe { std::slice::from_raw_parts_mut(blob.pbData, length) };
    let copy = Zeroizing::new(bytes.to_vec());
    bytes.zeroize();
    // SAFETY: the system allocated it for us to free, and the slice of it is not used any more.
    unsafe { LocalFree(blob.pbData.cast()) };
    Some(copy)
}

/// Converts a path to the system's form without a length limit.
fn wide_path(path: &Path) -> io::Result<Vec<u16>> {
    let text: Vec<u16> = path.as_os_str().encode_wide().collect();
    if text.contains(&0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let (prefix, skipped) = match path.components().next() {
        Some(Component::Prefix(prefix)) => match prefix.kind() {
            Prefix::Disk(_) => (r"\\?\", 0),
            // `\\server\share` becomes `\\?\UNC\server\share`.
            Prefix::UNC(..) => (r"\\?\UNC\", 2),
            _ => ("", 0),
        },
        _ => ("", 0),
    };
    Ok(prefix.encode_utf16().chain(text[skipped..].iter().copied()).chain([0]).collect())
}

fn hundreds(time: &FILETIME) -> u64 {
    u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)
}

/// Converts a time in Windows' units to nanoseconds since 1970.
pub(crate) fn since_1970(hundreds: i128) -> i128 {
    (hundreds - EPOCH) * 100
}

fn check(outcome: i32) -> io::Result<()> {
    if outcome == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn size_of_u32<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}
