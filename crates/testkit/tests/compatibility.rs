//! The generated parts of `docs/compatibility/` are what the tables and the fixtures say.
//!
//! `BLESS_PAGES=1 cargo test -p perilune-testkit --test compatibility` writes them anew.
#![expect(clippy::disallowed_methods, reason = "pages are files, and a variable asks to write them")]

use std::fs;

use perilune_testkit::{compatibility, root};

#[test]
fn pages_say_what_the_tables_say() {
    let folder = root().join("docs/compatibility");
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let is_blessing = std::env::var_os("BLESS_PAGES").is_some();
    let mut generated = 0;
    for entry in entries {
        let path = entry.expect("an entry of a folder that is there").path();
        let page = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let renewed = compatibility::renew(&page).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
        generated += usize::from(page.contains("<!-- generated: "));
        if renewed != page {
            assert!(is_blessing, "{} is out of date: run this test with BLESS_PAGES=1", path.display());
            fs::write(&path, renewed).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
    assert!(generated >= 7, "only {generated} pages have generated parts");
}
