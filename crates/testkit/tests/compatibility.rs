//! The generated parts of `docs/compatibility/` are what the tables and the fixtures say, and the results that the other parts
//! of the migration pages state are those of the newer version.
//!
//! `BLESS_PAGES=1 cargo test -p perilune-testkit --test compatibility` writes them anew.
#![expect(clippy::disallowed_methods, reason = "pages are files, and a variable asks to write them")]

use std::fs;

use perilune_base::dialect::LuaVersion;
use perilune_testkit::lab::{Lab, Outcome};
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

#[test]
fn results_that_migration_pages_state_are_true() {
    let mut stated = 0;
    for pair in LuaVersion::ALL.windows(2) {
        let [old, new] = pair.try_into().expect("windows of two");
        let digits = |version: LuaVersion| version.number().replace('.', "");
        let path = root().join(format!("docs/compatibility/migrating-{}-to-{}.md", digits(old), digits(new)));
        let page = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let text = page.split("<!-- generated: ").next().unwrap_or_default();
        for (expression, result) in statements(text) {
            stated += 1;
            let outcome = Lab::of_version(new).run(&format!("return tostring({expression})"));
            match (outcome, result) {
                (Outcome::Values(values), Some(result)) => {
                    assert_eq!(values, [result], "{}: {expression}", path.display())
                }
                (Outcome::Error(_), None) => {}
                (outcome, _) => panic!("{}: {expression} has {outcome:?}", path.display()),
            }
        }
    }
    assert!(stated >= 3, "only {stated} results are stated");
}

/// The expressions of a text whose results it states (`` `1 + 1` is `2` ``, or `prints`), or that it calls an error.
fn statements(text: &str) -> Vec<(&str, Option<&str>)> {
    let parts: Vec<&str> = text.split('`').collect();
    let codes = parts.windows(3).skip(1).step_by(2);
    codes
        .filter_map(|window| match (window[1].trim_start_matches("**"), window) {
            (" is " | " prints ", [expression, _, result]) => Some((*expression, Some(*result))),
            (behind, [expression, ..]) if behind.starts_with(" is an error") => Some((*expression, None)),
            _ => None,
        })
        .collect()
}
