//! The libraries that a Windows binary asks for, from its import tables.
//!
//! A binary for Microsoft's linker asks by default for the Visual C++ runtime, which is no part of Windows: on a fresh
//! one neither the addon loads nor the command starts.

/// Beginnings of the names of libraries that come with the Visual C++ redistributable, in lower case.
const REDISTRIBUTABLE: &[&str] = &["vcruntime", "msvcp", "concrt", "vcomp", "ucrtbase", "api-ms-win-crt-"];

/// The library of [`REDISTRIBUTABLE`] that a binary asks for, if any.
///
/// # Errors
/// The place at which the file is no PE binary.
pub(crate) fn redistributable(binary: &[u8]) -> Result<Option<String>, &'static str> {
    let mut names = imports(binary)?.into_iter();
    Ok(names.find(|name| REDISTRIBUTABLE.iter().any(|part| name.to_lowercase().starts_with(part))))
}

/// The names in the table of imports and in that of delayed ones.
fn imports(binary: &[u8]) -> Result<Vec<String>, &'static str> {
    let header = long(binary, 0x3c).ok_or("no header")?;
    if binary.get(header..header + 4) != Some(b"PE\0\0") {
        return Err("no PE header");
    }
    let (file, optional) = (header + 4, header + 24);
    let sections = short(binary, file + 2).ok_or("no sections")?;
    let table = optional + short(binary, file + 16).ok_or("no optional header")?;
    // Behind the fields that are wider in a binary of 64 bits.
    let directories = optional
        + match short(binary, optional).ok_or("no optional header")? {
            0x10b => 96,
            0x20b => 112,
            _ => return Err("neither PE32 nor PE32+"),
        };
    let at = |address: usize| {
        (0..sections).find_map(|number| {
            let section = table + 40 * number;
            let (start, size) = (long(binary, section + 12)?, long(binary, section + 16)?);
            (start..start + size).contains(&address).then_some(())?;
            Some(address - start + long(binary, section + 20)?)
        })
    };
    let mut names = Vec::new();
    // The number of the directory, the length of its entries, and the place of the name in one.
    for (directory, length, name) in [(1, 20, 12), (13, 32, 4)] {
        let address = long(binary, directories + 8 * directory).ok_or("no directories")?;
        let Some(mut entry) = (address != 0).then(|| at(address)).flatten() else { continue };
        while let Some(address) = long(binary, entry + name).filter(|address| *address != 0) {
            let start = at(address).ok_or("a name outside of the sections")?;
            let text = binary.get(start..).unwrap_or_default();
            let end = text.iter().position(|byte| *byte == 0).ok_or("a name without an end")?;
            names.push(String::from_utf8_lossy(&text[..end]).into_owned());
            entry += length;
        }
    }
    Ok(names)
}

fn short(binary: &[u8], at: usize) -> Option<usize> {
    Some(u16::from_le_bytes(binary.get(at..at + 2)?.try_into().ok()?).into())
}

fn long(binary: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(binary.get(at..at + 4)?.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A binary of 64 bits with one section at address 0x1000, in which the import table and the names are.
    fn binary(imported: &[&str], delayed: &[&str]) -> Vec<u8> {
        let mut bytes = vec![0; 0x1000];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0x3c, &0x80_u32.to_le_bytes());
        put(0x80, b"PE\0\0");
        put(0x86, &1_u16.to_le_bytes());
        put(0x94, &240_u16.to_le_bytes());
        put(0x98, &0x20b_u16.to_le_bytes());
        let section = 0x98 + 240;
        for (at, value) in [(12, 0x1000_u32), (16, 0xc00), (20, 0x400)] {
            put(section + at, &value.to_le_bytes());
        }
        let mut text = 0x800;
        for (directory, names, length, name, table) in
            [(1, imported, 20, 12, 0x400), (13, delayed, 32, 4, 0x600)]
        {
            let address = u32::try_from(table + 0xc00).unwrap();
            put(0x98 + 112 + 8 * directory, &address.to_le_bytes());
            for (number, library) in names.iter().enumerate() {
                let address = u32::try_from(text + 0xc00).unwrap();
                put(table + length * number + name, &address.to_le_bytes());
                put(text, library.as_bytes());
                text += library.len() + 1;
            }
        }
        bytes
    }

    #[test]
    fn a_library_of_the_redistributable_is_found_among_imports_and_delayed_ones() {
        let system = ["KERNEL32.dll", "api-ms-win-core-synch-l1-2-0.dll"];
        assert_eq!(imports(&binary(&system, &["crypt32.dll"])).unwrap().len(), 3);
        assert_eq!(redistributable(&binary(&system, &["crypt32.dll"])), Ok(None));
        let found =
            |imported: &[&str], delayed: &[&str]| redistributable(&binary(imported, delayed)).unwrap();
        assert_eq!(found(&["KERNEL32.dll", "VCRUNTIME140.dll"], &[]).as_deref(), Some("VCRUNTIME140.dll"));
        assert_eq!(
            found(&["api-ms-win-crt-heap-l1-1-0.dll"], &[]).as_deref(),
            Some("api-ms-win-crt-heap-l1-1-0.dll")
        );
        assert_eq!(found(&system, &["vcruntime140_1.dll"]).as_deref(), Some("vcruntime140_1.dll"));
    }

    #[test]
    fn a_file_of_another_kind_is_told_apart() {
        assert!(redistributable(b"\x7fELF").is_err());
        assert!(redistributable(&[0; 256]).is_err());
    }
}
