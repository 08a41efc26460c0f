//! Checks a packed npm package: exactly its files; an addon that is small, loads on its system, and does not contain
//! this machine's names; an installation without network and scripts.

use std::fs;
use std::path::Path;

use crate::executable;
use crate::job::{Failure, Job, Outcome, at};
use crate::npm;
use crate::pack::fresh;
use crate::pe;
use crate::platform::Platform;

/// The size limit of the binary that a user downloads.
const LARGEST_ADDON: u64 = 2_300_000;

/// Files of every package.
const ALWAYS: &[&str] = &["LICENSE", "README.md", "THIRD-PARTY-NOTICES.txt", "package.json", "sbom.cdx.json"];

/// The code in `dist`; `bindings/node/bundle.mjs` says what each is for.
const CODE: &[&str] = &[
    "index.js",
    "index.mjs",
    "index.node.mjs",
    "identity.js",
    "identity.mjs",
    "server.js",
    "server.mjs",
    "embed.js",
    "embed.mjs",
    "watching.js",
    "brokering.js",
    "command.js",
    "natives.js",
];

/// Calls of Node-API that give our memory to JavaScript, which a process with a memory cage (Electron) refuses.
const CAGED: &[&str] =
    &["napi_create_external_buffer", "napi_create_external_arraybuffer", "node_api_create_external_"];

/// Loads the package in both ways and writes once through the addon, in a folder with only the two tarballs.
const SMOKE: &str = r"
const assert = require('node:assert');
const { EncryptedFilePersistence, FilePersistence, PersistenceCachePlugin } = require('tokenkeep');
(async () => {
  const esm = await import('tokenkeep');
  assert.strictEqual(esm.FilePersistence, FilePersistence, 'one class in ESM and CommonJS');
  const persistence = await FilePersistence.create(process.argv[1]);
  await persistence.save('{}');
  assert.strictEqual(await persistence.load(), '{}');
  new PersistenceCachePlugin(persistence);
  // Only the addon has this, so it shows that the addon is in use, not just loaded and refused for its version.
  const key = { type: 'passphrase', passphrase: 'of this check' };
  const encrypted = await EncryptedFilePersistence.create(process.argv[1] + '.sealed', key);
  await encrypted.save('{}');
  assert.strictEqual(await encrypted.load(), '{}');
  assert.ok(process.report.getReport().sharedObjects.some((path) => path.endsWith('.node')), 'the addon was loaded');
})().catch((error) => { console.error(error); process.exit(1); });
";

/// Checks the exact files of a tarball: no tests, no source maps, no file of an older build.
pub(crate) fn check_contents(job: &mut Job<'_>, tarball: &Path, own: &[String]) -> Outcome<()> {
    let mut tar = job.command("tar");
    let listing = job.output(tar.arg("-tzf").arg(tarball))?;
    let found: Vec<&str> = listing.lines().filter_map(|line| line.strip_prefix("package/")).collect();
    let expected: Vec<&str> = ALWAYS.iter().copied().chain(own.iter().map(String::as_str)).collect();
    let extra = found.iter().filter(|file| !expected.contains(file)).map(|file| format!("+ {file}"));
    let absent = expected.iter().filter(|file| !found.contains(file)).map(|file| format!("- {file}"));
    let differences: Vec<String> = extra.chain(absent).collect();
    if differences.is_empty() {
        return job.note(&format!("{}: {} files, as they should be", tarball.display(), found.len()));
    }
    Err(Failure::new(format!(
        "{} has (+) or lacks (-)\n      {}",
        tarball.display(),
        differences.join("\n      ")
    )))
}

/// Returns one JavaScript file for every entry and module kind, and their types.
pub(crate) fn compiled(dist: &Path) -> Outcome<Vec<String>> {
    let mut files: Vec<String> = CODE.iter().map(|name| format!("dist/{name}")).collect();
    let mut folders = vec![dist.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let path = entry.map_err(at(&folder))?.path();
            let name = path.strip_prefix(dist).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".d.ts") || name.ends_with(".d.mts") {
                files.push(format!("dist/{name}"));
            }
        }
    }
    Ok(files)
}

/// Checks the size, the required system library, that no call is forbidden in Electron, and that no path of this
/// machine is inside.
pub(crate) fn check_addon(job: &mut Job<'_>, path: &Path, platform: Platform) -> Outcome<()> {
    let binary = fs::read(path).map_err(at(path))?;
    let size = binary.len() as u64;
    job.note(&format!("{}: {size} bytes, glibc 2.{}", platform.addon_file(), newest_glibc(&binary)))?;
    let refuse = |why: String| Err(Failure::new(format!("{}: {why}", platform.addon_file())));
    if size > LARGEST_ADDON {
        return refuse(format!("{size} bytes, the most is {LARGEST_ADDON}"));
    }
    // The name of an imported function stands in the binary as it is. On Windows every name of Node-API does, because they
    // are looked up at run time; there the same sources, compiled for the other systems, have to do.
    if platform.os == "win32" {
        job.note("the calls that Electron refuses cannot be told from a Windows binary")?;
    } else if !contains(&binary, b"napi_create_function") && !contains(&binary, b"napi_define_class") {
        return refuse(
            "no call of Node-API can be found in it, so that nothing can be said about them".into(),
        );
    } else if let Some(call) = CAGED.iter().find(|call| contains(&binary, call.as_bytes())) {
        return refuse(format!("it calls {call}, which fails in Electron"));
    }
    check_binary(job, &binary, platform, &platform.addon_file())
}

/// Checks its system, that it asks for no library which the system lacks, and that no path of this machine is inside.
pub(crate) fn check_binary(job: &Job<'_>, binary: &[u8], platform: Platform, name: &str) -> Outcome<()> {
    if !has_magic(binary, platform) {
        return Err(Failure::new(format!("{name}: this is no binary for {}", platform.target)));
    }
    if platform.os == "win32" {
        check_imports(binary, name)?;
    }
    let home = std::env::home_dir().map(|home| home.join(".cargo")).unwrap_or_default();
    for place in [&job.workspace.root, &job.workspace.cargo_target, &home] {
        let place = place.to_string_lossy();
        if !place.is_empty() && contains(binary, place.as_bytes()) {
            return Err(Failure::new(format!("{name}: contains the path {place} of this machine")));
        }
    }
    Ok(())
}

/// Checks that a Windows binary starts on a Windows to which nothing was added.
pub(crate) fn check_imports(binary: &[u8], name: &str) -> Outcome<()> {
    match pe::redistributable(binary) {
        Ok(None) => Ok(()),
        Ok(Some(library)) => {
            Err(Failure::new(format!("{name}: asks for {library}, which a fresh Windows lacks")))
        }
        Err(place) => Err(Failure::new(format!("{name}: no Windows binary: {place}"))),
    }
}

/// The version of the symbols of FreeBSD's libraries. The mark in the ELF header depends on the linker.
const FREEBSD: &[u8] = b"FBSD_1.";

/// Returns whether the file begins like a library or an executable of that system and processor.
fn has_magic(binary: &[u8], platform: Platform) -> bool {
    let at = |offset: usize, bytes: &[u8]| binary.get(offset..offset + bytes.len()) == Some(bytes);
    match (platform.os, platform.cpu) {
        // ELF, and e_machine: EM_X86_64, EM_ARM, EM_RISCV, EM_S390 with the high byte first, EM_PPC64, EM_AARCH64.
        ("linux", "x64") => at(0, b"\x7fELF") && at(18, &[62, 0]) && !contains(binary, FREEBSD),
        ("linux", "arm") => at(0, b"\x7fELF") && at(18, &[40, 0]),
        ("linux", "riscv64") => at(0, b"\x7fELF") && at(18, &[243, 0]),
        ("linux", "s390x") => at(0, b"\x7fELF") && at(18, &[0, 22]),
        ("linux", "ppc64") => at(0, b"\x7fELF") && at(18, &[21, 0]),
        ("linux", _) => at(0, b"\x7fELF") && at(18, &[183, 0]),
        ("freebsd", _) => at(0, b"\x7fELF") && at(18, &[62, 0]) && contains(binary, FREEBSD),
        // Mach-O of 64 bits, and its cputype: CPU_TYPE_X86_64, CPU_TYPE_ARM64.
        ("darwin", "x64") => at(0, &[0xcf, 0xfa, 0xed, 0xfe, 7, 0, 0, 1]),
        ("darwin", _) => at(0, &[0xcf, 0xfa, 0xed, 0xfe, 12, 0, 0, 1]),
        // A PE file has its machine behind a pointer; the letters of DOS are sufficient.
        _ => at(0, b"MZ"),
    }
}

/// The highest x of `GLIBC_2.x` among the symbol versions; 0 where there is none.
pub(crate) fn newest_glibc(binary: &[u8]) -> u32 {
    const PREFIX: &[u8] = b"GLIBC_2.";
    let minor = |after: &[u8]| -> Option<u32> {
        let digits: Vec<u8> = after.iter().copied().take_while(u8::is_ascii_digit).collect();
        std::str::from_utf8(&digits).ok()?.parse().ok()
    };
    let versions = (0..binary.len().saturating_sub(PREFIX.len()))
        .filter(|at| binary[*at..].starts_with(PREFIX))
        .filter_map(|at| minor(&binary[at + PREFIX.len()..]));
    versions.max().unwrap_or(0)
}

/// Returns whether the bytes occur in `haystack`.
pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Installs the tarballs into an empty folder, without scripts and network, and uses them in `node`, a Node of that
/// platform.
pub(crate) fn check_installed(
    job: &mut Job<'_>,
    tarballs: &[&Path],
    platform: Platform,
    node: &str,
    has_command: bool,
) -> Outcome<()> {
    let place = fresh(&job.workspace.products.join("npm-installed"))?;
    write(&place.join("package.json"), "{ \"private\": true }\n")?;
    let mut install = npm::command(job, &place);
    install.args(["install", "--ignore-scripts", "--offline"]).args(tarballs);
    if platform != Platform::current()? {
        // npm can be told to choose for another platform (--os, --cpu, --libc), but not to accept a named package for
        // it.
        install.arg("--force");
    }
    job.run(&mut install)?;
    let mut smoke = job.command(node);
    smoke.current_dir(&place).args(["-e", SMOKE]).arg(place.join("smoke/cache.json"));
    job.run(&mut smoke)?;
    if has_command {
        executable::check_installed(job, &place, platform, node)?;
    }
    fs::remove_dir_all(&place).map_err(at(&place))
}

pub(crate) fn write(path: &Path, text: &str) -> Outcome<()> {
    fs::write(path, text).map_err(at(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform;

    #[test]
    fn a_library_of_another_system_is_not_taken_for_this_ones() {
        let mut elf = vec![0; 64];
        elf[..4].copy_from_slice(b"\x7fELF");
        elf[18] = 62;
        let fits: Vec<&str> =
            platform::ALL.iter().filter(|one| has_magic(&elf, **one)).map(|one| one.name).collect();
        assert_eq!(fits, ["linux-x64-gnu", "linux-x64-musl"]);
    }

    #[test]
    fn the_newest_glibc_is_the_highest_number_not_the_last() {
        assert_eq!(newest_glibc(b"\0GLIBC_2.34\0GLIBC_2.2.5\0GLIBC_2.9\0"), 34);
        assert_eq!(newest_glibc(b"nothing"), 0);
    }
}
