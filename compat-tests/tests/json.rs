//! What `chronyc -j` prints is what docs/json.md says: every field, in that order, and nothing else.

use std::fs;

use compat_tests::programs::workspace;
use compat_tests::{Chronyd, Instance, LIMIT, Pair, ours, within};
use serde_json::{Map, Value};

/// The commands of a row of the table, whether it promises an array, and the fields.
struct Row {
    commands: Vec<String>,
    array: bool,
    fields: Vec<String>,
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// Without what stands in brackets: it explains the field before it.
fn without_remarks(text: &str) -> String {
    let mut depth = 0;
    let mut kept = text.to_owned();
    kept.retain(|c| {
        depth += i32::from(c == '(');
        let keep = depth == 0;
        depth -= i32::from(c == ')');
        keep
    });
    kept
}

/// `watch` has no fields of its own and is looked at apart.
fn documented() -> Vec<Row> {
    let text = fs::read_to_string(workspace().join("docs/json.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let rows = rows.map(|line| {
        let (commands, value) = line[1..].split_once('|').expect("two columns");
        Row {
            commands: quoted(commands).collect(),
            array: value.trim_start().starts_with("array"),
            fields: quoted(&without_remarks(value)).collect(),
        }
    });
    rows.filter(|row| row.commands != ["watch"]).collect()
}

fn ask(daemon: &Instance, command: &str) -> Value {
    let text = daemon.chronyc_of(&ours(), &["-j", "-n", command]).stdout;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{command}: {error}: {text}"))
}

fn names(object: &Map<String, Value>) -> Vec<&str> {
    object.keys().map(String::as_str).collect()
}

/// Objects of a value: itself, or its elements.
fn objects(value: &Value) -> Vec<&Map<String, Value>> {
    match value {
        Value::Array(elements) => elements.iter().map(|e| e.as_object().expect("objects")).collect(),
        value => vec![value.as_object().expect("an object or an array")],
    }
}

#[test]
fn fields_are_those_of_the_document() {
    let cable = Pair::new();
    let server = Chronyd::new(&ours())
        .within(&cable.right)
        .config("local stratum 3\nallow\nmanual\nsmoothtime 400 0.01\ncmdallow all")
        .start();
    let client = Chronyd::new(&ours())
        .within(&cable.left)
        .config(&format!("server {} minpoll -2 maxpoll -2", Pair::RIGHT4))
        .start();
    let synchronised = within(LIMIT, || ask(&client, "health")["healthy"] == true);
    assert!(synchronised, "{}", ask(&client, "health"));
    // Twice is once too often.
    let set = ask(&server, "settime 12:00");

    let rows = documented();
    assert!(rows.len() >= 15, "a table of {} rows", rows.len());
    for Row {
        commands,
        array,
        fields,
    } in rows
    {
        // The table's `tracking` names `waitsync`, too.
        for command in commands {
            let value = match command.as_str() {
                // It needs a real-time clock that the kernel lets us read; replayed reports of chrony's show its text.
                "rtcdata" => {
                    let value = ask(&server, "rtcdata");
                    assert_eq!(value["error"], 513, "{value}");
                    continue;
                }
                "clients" | "smoothing" | "manual list" => ask(&server, &command),
                "settime" => set.clone(),
                "sourcename" => ask(&client, &format!("sourcename {}", Pair::RIGHT4)),
                "waitsync" => ask(&client, "waitsync 1"),
                _ => ask(&client, &command),
            };
            assert_eq!(value.is_array(), array, "{command}: {value}");
            assert!(!objects(&value).is_empty(), "{command}: {value}");
            for object in objects(&value) {
                assert_eq!(names(object), fields, "{command}");
            }
        }
    }
}

#[test]
fn answers_without_data_errors_and_rounds() {
    let cable = Pair::new();
    let daemon = Chronyd::new(&ours())
        .within(&cable.left)
        .config(&format!("port 0\nserver {} offline", Pair::RIGHT4))
        .start();
    let done = ask(&daemon, "online");
    assert_eq!(done, serde_json::json!({"status": 200, "message": "OK"}));
    let refused = ask(&daemon, &format!("ntpdata {}", Pair::LEFT4));
    assert_eq!(names(refused.as_object().unwrap()), ["error", "message"]);

    let round = ask(&daemon, "watch --count 1");
    let parts = round.as_object().unwrap();
    assert_eq!(names(parts), ["tracking", "sources"]);
    assert_eq!(parts["tracking"], ask(&daemon, "tracking"));
    assert_eq!(objects(&parts["sources"]).len(), 1);

    // With an address it is one object.
    let data = ask(&daemon, &format!("ntpdata {}", Pair::RIGHT4));
    let all = ask(&daemon, "ntpdata");
    assert_eq!(vec![data.as_object().unwrap()], objects(&all));
}
