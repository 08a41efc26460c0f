//! The sandbox around this process, and how it lets a program talk to the keyring.

/// A sandbox that stands between its programs and the session bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sandbox {
    /// Flatpak, with the program's name there.
    Flatpak(String),
    /// Snap, with the package's name.
    Snap(String),
}

impl Sandbox {
    /// Returns the sandbox around this process.
    pub(super) fn around_us() -> Option<Self> {
        let flatpak = std::fs::read_to_string("/.flatpak-info").ok();
        Self::told_by(flatpak.as_deref(), |name| std::env::var(name).ok())
    }

    /// `flatpak` is the content of the file that only Flatpak's sandbox has.
    fn told_by(flatpak: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let plain = |name: String| {
            let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            (!name.is_empty() && name.chars().all(fits)).then_some(name)
        };
        if let Some(information) = flatpak {
            let named = information.lines().find_map(|line| line.strip_prefix("name="));
            return Some(Self::Flatpak(named.map(str::to_owned).and_then(plain).unwrap_or("APP".to_owned())));
        }
        // Set inside a snap alone, together with the folder of the package.
        variable("SNAP")?;
        variable("SNAP_NAME").and_then(plain).map(Self::Snap)
    }

    /// The command that lets the program talk to the keyring.
    pub(super) fn remedy(&self) -> String {
        match self {
            Self::Flatpak(program) => format!(
                "Let the sandbox through: flatpak override --user --talk-name=org.freedesktop.secrets {program} (the \
                 program's maker: --talk-name=org.freedesktop.secrets in finish-args), and have a keyring running"
            ),
            Self::Snap(package) => format!(
                "Let the sandbox through: snap connect {package}:password-manager-service, and have a keyring running"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(flatpak: Option<&str>, variables: &[(&str, &str)]) -> Option<Sandbox> {
        let variable = |name: &str| variables.iter().find(|v| v.0 == name).map(|v| v.1.to_owned());
        Sandbox::told_by(flatpak, variable)
    }

    #[test]
    fn flatpak_and_snap_tell_the_name_that_their_commands_take() {
        let flatpak = told(Some("[Application]\nname=org.example.App\nruntime=x\n"), &[]).unwrap();
        assert!(
            flatpak.remedy().contains("--talk-name=org.freedesktop.secrets org.example.App "),
            "{flatpak:?}"
        );
        let snap = told(None, &[("SNAP", "/snap/code/1"), ("SNAP_NAME", "code")]).unwrap();
        assert!(snap.remedy().contains("snap connect code:password-manager-service"), "{snap:?}");
        assert_eq!(told(None, &[("SNAP_NAME", "code")]), None);
        assert_eq!(told(None, &[]), None);
    }

    #[test]
    fn a_name_that_is_none_does_not_get_into_a_command() {
        assert_eq!(told(None, &[("SNAP", "x"), ("SNAP_NAME", "a; rm")]), None);
        assert_eq!(told(Some("name=a b"), &[]), Some(Sandbox::Flatpak("APP".to_owned())));
    }
}
