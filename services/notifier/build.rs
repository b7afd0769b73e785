//! A new migration, or a statement described anew, must rebuild the crate: the compiler sees only the files it already knows.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=.sqlx");
}
