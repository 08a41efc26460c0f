//! Links the native module as each platform links one.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
