//! JSON, written by hand: there is little of it.

use truechimer_engine::time::Cooked;

/// A text as JSON.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// An object under construction.
#[derive(Debug, Default)]
pub(crate) struct Object(String);

impl Object {
    /// Adds a value that is JSON.
    pub(crate) fn raw(mut self, name: &str, value: &str) -> Self {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(&text(name));
        self.0.push(':');
        self.0.push_str(value);
        self
    }

    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        self.raw(name, &text(value))
    }

    pub(crate) fn bool(self, name: &str, value: bool) -> Self {
        self.raw(name, if value { "true" } else { "false" })
    }

    pub(crate) fn int(self, name: &str, value: impl Into<i128>) -> Self {
        self.raw(name, &value.into().to_string())
    }

    /// A whole number, or null.
    pub(crate) fn maybe(self, name: &str, value: Option<impl Into<i128>>) -> Self {
        match value {
            Some(value) => self.int(name, value),
            None => self.raw(name, "null"),
        }
    }

    /// A number; JSON has no infinity.
    pub(crate) fn float(self, name: &str, value: f64) -> Self {
        let value = if value.is_finite() {
            value.to_string()
        } else {
            "null".to_owned()
        };
        self.raw(name, &value)
    }

    /// Seconds since 1970.
    pub(crate) fn time(self, name: &str, value: Cooked) -> Self {
        let nanos = i128::from(value.sec()) * 1_000_000_000 + i128::from(value.nsec());
        let sign = if nanos < 0 { "-" } else { "" };
        let nanos = nanos.unsigned_abs();
        self.raw(
            name,
            &format!("{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000),
        )
    }

    pub(crate) fn end(self) -> String {
        if self.0.is_empty() {
            "{}".to_owned()
        } else {
            self.0 + "}"
        }
    }
}

/// An array, a value a line.
pub(crate) fn array(values: &[String]) -> String {
    if values.is_empty() {
        "[]".to_owned()
    } else {
        format!("[\n{}\n]", values.join(",\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let object = Object::default()
            .text("a\"", "\\\u{1}é")
            .bool("b", true)
            .int("c", -3_i16)
            .maybe("d", None::<u32>)
            .maybe("e", Some(7_u32))
            .float("f", 1e-9)
            .float("g", f64::NAN)
            .time("h", Cooked::new(5, 6))
            .time("i", Cooked::new(-1, 999_999_999))
            .end();
        assert_eq!(
            object,
            r#"{"a\"":"\\\u0001é","b":true,"c":-3,"d":null,"e":7,"f":0.000000001,"g":null,"h":5.000000006,"i":-0.000000001}"#
        );
        assert_eq!(Object::default().end(), "{}");
        assert_eq!(array(&[]), "[]");
        assert_eq!(array(&["1".to_owned(), "2".to_owned()]), "[\n1,\n2\n]");
    }
}
