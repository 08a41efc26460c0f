//! The content of the file: it is read back, it is not readable without the key, and every change is detected.

use std::fs;

use sha2::{Digest, Sha256};
use tokenkeep::key_source::{KeyFile, Passphrase};
use tokenkeep::{Backend, ErrorKind, Persistence, Protection, Protector, Secret, storage::Sealed};

use crate::support::{CONTENT, Opened, Place, example, run};

fn kind_of(protector: &impl Protector, bytes: &[u8]) -> ErrorKind {
    protector.unprotect(Secret::from(bytes)).expect_err("it was opened").kind()
}

/// Returns a protector and `content` encrypted by it.
fn sealed(place: &Place, content: &[u8]) -> (Sealed, Vec<u8>) {
    let protector = Sealed::new(KeyFile::at(place.key("key")), "app/cache");
    let bytes = protector.protect(content, None).unwrap().into_owned();
    (protector, bytes)
}

#[test]
fn content_is_read_back_and_is_not_readable_in_the_file() {
    let place = Place::new();
    let opened = place.written();
    assert_eq!(opened.read().unwrap().as_deref(), Some(CONTENT));
    let bytes = fs::read(place.cache()).unwrap();
    assert!(!bytes.windows(8).any(|part| CONTENT.as_bytes().windows(8).any(|words| words == part)));
    let info = opened.cache.info();
    assert_eq!((info.backend, info.protection), (Backend::EncryptedFile, Protection::KeyFile));
    assert!(info.survives_reboot && info.crash_safe);
    opened.file.verify().unwrap();
    assert_eq!(place.names(), ["cache.bin", "key"]);
}

#[test]
fn content_of_any_length_is_read_back_and_two_writes_differ() {
    let place = Place::new();
    for length in [0, 1, 63, 64, 65, 4096, 1 << 20] {
        let content: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let (protector, bytes) = sealed(&place, &content);
        assert_ne!(bytes, protector.protect(&content, None).unwrap().into_owned());
        assert_eq!(protector.unprotect(Secret::new(bytes)).unwrap().expose(), content);
    }
}

#[test]
fn every_flipped_bit_of_a_small_file_is_damage() {
    let place = Place::new();
    let (protector, whole) = sealed(&place, CONTENT.as_bytes());
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let kind = kind_of(&protector, &bytes);
        // A header that claims more bytes than the file has looks like a truncated file.
        let claims_more = (8..10).contains(&(bit / 8)) && kind == ErrorKind::Truncated;
        assert!(claims_more || kind == ErrorKind::Damaged, "bit {bit}: {kind}");
    }
}

#[test]
fn flipped_bits_anywhere_in_a_large_file_are_damage() {
    let place = Place::new();
    let (protector, mut bytes) = sealed(&place, &vec![b'x'; 4 << 20]);
    let bits = bytes.len() * 8;
    for at in (0..64).map(|part| part * (bits / 64) + part).chain([bits - 1]) {
        bytes[at / 8] ^= 1 << (at % 8);
        assert_eq!(kind_of(&protector, &bytes), ErrorKind::Damaged, "bit {at}");
        bytes[at / 8] ^= 1 << (at % 8);
    }
    assert!(protector.unprotect(Secret::new(bytes)).is_ok());
}

#[test]
fn a_shorter_file_is_truncated_and_a_longer_one_is_damaged() {
    let place = Place::new();
    let (protector, whole) = sealed(&place, CONTENT.as_bytes());
    for length in 1..whole.len() {
        let error = protector.unprotect(Secret::from(&whole[..length])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Truncated, "{length}");
        assert!(error.to_string().contains("truncated"), "{length}: {error}");
    }
    let error = protector.unprotect(Secret::new([&whole[..], b"\n"].concat())).unwrap_err();
    assert!(error.kind() == ErrorKind::Damaged && error.to_string().contains("appended"), "{error}");
}

#[test]
fn a_file_with_another_key_is_told_from_a_damaged_one() {
    let place = Place::new();
    let (_, bytes) = sealed(&place, CONTENT.as_bytes());
    let other = Sealed::new(KeyFile::at(place.key("other")), "app/cache");
    assert_eq!(kind_of(&other, &bytes), ErrorKind::WrongKey);
    let passphrase = Sealed::new(Passphrase::new(b"words".as_slice()), "app/cache");
    assert_eq!(kind_of(&passphrase, &bytes), ErrorKind::WrongKey);
    // A file is not given up while its key is missing, not even a damaged one.
    assert_eq!(kind_of(&other, &bytes[..bytes.len() - 1]), ErrorKind::WrongKey);
}

#[test]
fn the_file_of_another_cache_with_the_same_key_is_refused() {
    let place = Place::new();
    let (mine, bytes) = sealed(&place, CONTENT.as_bytes());
    for name in ["app/cache2", "app/cach", "app", "", "ap/pcache"] {
        let other = Sealed::new(KeyFile::at(place.path().join("key")), name);
        assert_eq!(kind_of(&other, &bytes), ErrorKind::Damaged, "{name}");
    }
    assert_eq!(mine.unprotect(Secret::new(bytes)).unwrap().expose(), CONTENT.as_bytes());
}

/// Returns the file with another byte in its header and a correct header checksum.
pub(crate) fn with_header_byte(whole: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    bytes[at] = value;
    recheck(&mut bytes);
    bytes
}

fn recheck(bytes: &mut [u8]) {
    let end = usize::from(u16::from_be_bytes([bytes[8], bytes[9]])) - 8;
    let check = Sha256::digest(&bytes[..end]);
    bytes[end..end + 8].copy_from_slice(&check[..8]);
}

#[test]
fn a_newer_version_algorithm_or_feature_is_neither_damage_nor_a_wrong_key() {
    let place = Place::new();
    let (protector, whole) = sealed(&place, CONTENT.as_bytes());
    for (at, value) in [(10, 2), (10, 255), (10, 0), (11, 2), (13, 1)] {
        assert_eq!(
            kind_of(&protector, &with_header_byte(&whole, at, value)),
            ErrorKind::UnknownFormat,
            "{at}"
        );
    }
    for source in [0, 5, 254] {
        assert_eq!(
            kind_of(&protector, &with_header_byte(&whole, 12, source)),
            ErrorKind::WrongKey,
            "{source}"
        );
    }
}

#[test]
fn a_changed_header_with_a_correct_checksum_is_detected() {
    let place = Place::new();
    let (protector, whole) = sealed(&place, CONTENT.as_bytes());
    let header = usize::from(u16::from_be_bytes([whole[8], whole[9]])) - 8;
    for at in 14..header {
        let error = kind_of(&protector, &with_header_byte(&whole, at, whole[at] ^ 1));
        let expected = match at {
            // The length of the content, made larger or smaller.
            14..22 if whole[at] & 1 == 0 => ErrorKind::Truncated,
            22..38 => ErrorKind::WrongKey,
            _ => ErrorKind::Damaged,
        };
        assert_eq!(error, expected, "byte {at}");
    }
}

#[test]
fn a_hostile_file_cannot_make_the_program_use_much_memory_or_time() {
    let place = Place::new();
    let protector = Sealed::new(Passphrase::new(b"words".as_slice()).cost(cheap()), "app/cache");
    let whole = protector.protect(CONTENT.as_bytes(), None).unwrap().into_owned();
    let with = |memory: u32, passes: u32, lanes: u32| {
        let mut bytes = whole.clone();
        for (at, number) in [(63, memory), (67, passes), (71, lanes)] {
            bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
        }
        recheck(&mut bytes);
        bytes
    };
    assert_eq!(kind_of(&protector, &with(64, 2, 1)), ErrorKind::WrongKey);
    assert_eq!(
        kind_of(&protector, &with(4 * 19 * 1024, 2, 1)),
        ErrorKind::WrongKey,
        "four times its own cost"
    );
    // No time limit: deriving a key at these costs takes hours, or more memory than there is.
    for (memory, passes, lanes) in [
        (u32::MAX, 1, 1),
        (4 * 19 * 1024 + 1, 1, 1),
        (4 * 19 * 1024, 3, 1),
        (19 * 1024, 9, 1),
        (512 * 1024 + 1, 1, 1),
        (512 * 1024, 9, 1),
        (64, u32::MAX, 1),
        (64, 65, 1),
        (64, 0, 1),
        (0, 1, 1),
        (7, 1, 1),
        (64, 1, 0),
        (64, 1, 9),
        (64 * 1024, 1, 17),
        (64, 1, u32::MAX),
    ] {
        let bytes = with(memory, passes, lanes);
        assert_eq!(kind_of(&protector, &bytes), ErrorKind::UnknownFormat, "{memory} {passes} {lanes}");
        fs::write(place.cache(), &bytes).unwrap();
        let opened =
            Opened::new(&place.cache(), Passphrase::new(b"words".as_slice()).cost(cheap()), "app/cache");
        assert_eq!(opened.cache.begin_write().unwrap_err().kind(), ErrorKind::UnknownFormat);
        assert_eq!(fs::read(place.cache()).unwrap(), bytes);
    }
}

pub(crate) fn cheap() -> tokenkeep::key_source::Cost {
    tokenkeep::key_source::Cost::new(19 * 1024, 2).unwrap()
}

#[test]
fn a_large_cache_comes_back_within_three_times_its_size() {
    // Without optimisation encrypting takes a second for every few megabytes.
    let megabytes = if std::env::var_os("TOKENKEEP_TORTURE").is_some() { 64 } else { 24 };
    let place = Place::new();
    let (cache, key) = (place.cache(), place.key("key"));
    let source = format!("key-file:{}", key.display());
    let mut content = vec![0; megabytes << 20];
    getrandom::fill(&mut content).unwrap();
    let input = place.path().join("input");
    fs::write(&input, &content).unwrap();
    let output = place.path().join("output");
    let mut peaks = Vec::new();
    for verb in ["write", "read"] {
        let program = example(&[cache.to_str().unwrap(), "app/cache", &source, verb]);
        // Only a parent can ask the kernel for the peak memory of a process that has ended.
        let script = "import resource, subprocess, sys\n\
            i, o = open(sys.argv[1], 'rb'), open(sys.argv[2], 'wb')\n\
            subprocess.run(sys.argv[3:], stdin=i, stdout=o, check=True)\n\
            print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
        let mut python = std::process::Command::new("python3");
        python.args(["-c", script]).arg(&input).arg(&output);
        python.arg(program.get_program()).args(program.get_args());
        let ran = run(&mut python, b"");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        peaks.push(String::from_utf8(ran.stdout).unwrap().trim().parse::<usize>().unwrap() / 1024);
    }
    assert!(fs::read(&output).unwrap() == content);
    assert!(fs::read(&cache).unwrap().len() < (megabytes << 20) + 200);
    let [write, read] = peaks[..] else { panic!("two runs") };
    println!("peak memory: writing {write} MiB, reading {read} MiB");
    // A write has the program's copy, the cache's copy and the encrypted copy.
    assert!(
        write <= 3 * megabytes + 16 && read <= 2 * megabytes + 16,
        "writing {write} MiB, reading {read} MiB"
    );
}
