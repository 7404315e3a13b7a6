//! How the program is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Relative relocations in their packed form: the program is 0.7 MB smaller.
    if cfg!(target_os = "linux") {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
