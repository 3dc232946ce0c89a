//! What the types of the API must not let pass.

#[test]
fn lifetimes_and_threads() {
    trybuild::TestCases::new().compile_fail("tests/compile/*.rs");
}
