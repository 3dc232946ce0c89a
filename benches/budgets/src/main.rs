//! `perilune-budgets`: prints the readings, as JSON, or with `--toml` as rows for `budgets.toml`.
#![forbid(unsafe_code)]

use perilune_budgets::readings;

#[expect(clippy::disallowed_methods, reason = "the command line of a command")]
fn main() {
    let is_toml = std::env::args().nth(1).as_deref() == Some("--toml");
    let readings = readings();
    if is_toml {
        for (name, reading) in readings {
            let numbers = reading.numbers().map(|(number, value)| format!("{number} = {}", value.ceil()));
            println!("{name:?} = {{ {} }}", numbers.join(", "));
        }
    } else {
        let object: serde_json::Map<_, _> = readings
            .into_iter()
            .map(|(name, reading)| {
                let numbers = reading.numbers().map(|(number, value)| (number.to_string(), value.into()));
                (name.to_string(), serde_json::Value::Object(numbers.into_iter().collect()))
            })
            .collect();
        println!("{:#}", serde_json::Value::Object(object));
    }
}
