//! Lines of output in their two forms: for people, and as comma-separated values (`spec/chronyc.md` section 5).

pub(crate) mod json;
mod values;

pub(crate) use values::{
    Age, Choice, Freq, Frequency, LogInterval, Name, Offset, Padded, Same, Seconds, Signed, SignedFreq,
    SignedSeconds, Stamp, Value, date,
};

/// Columns that `-w` adds to names.
const WIDE: usize = 14;

/// How reports are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Style {
    /// `-c`: comma-separated values.
    pub(crate) csv: bool,
    /// `-w`: room for the longest address.
    pub(crate) wide: bool,
}

impl Style {
    /// Width of a column of names.
    pub(crate) const fn name_width(self, narrow: usize) -> usize {
        if self.wide { narrow + WIDE } else { narrow }
    }

    /// Text for people only, in which `@` is where wide output has more space.
    pub(crate) fn captions(self, text: &str) -> String {
        if self.csv {
            String::new()
        } else {
            text.replace('@', if self.wide { "              " } else { "" })
        }
    }

    /// Such a line, underlined.
    pub(crate) fn header(self, text: &str) -> String {
        if self.csv {
            return String::new();
        }
        let text = self.captions(text);
        let line = "=".repeat(text.len());
        format!("{text}\n{line}\n")
    }

    /// A new record.
    pub(crate) const fn line(self) -> Line {
        Line {
            csv: self.csv,
            out: String::new(),
            started: false,
        }
    }
}

/// A record under construction. Columns come in the order of the human form.
#[derive(Debug)]
pub(crate) struct Line {
    csv: bool,
    out: String,
    started: bool,
}

impl Line {
    /// What stands between the columns, for people only.
    pub(crate) fn text(mut self, text: &str) -> Self {
        if !self.csv {
            self.out.push_str(text);
        }
        self
    }

    /// A column.
    #[expect(clippy::needless_pass_by_value, reason = "values are made for the call")]
    pub(crate) fn put(mut self, value: impl Value) -> Self {
        if self.csv {
            if self.started {
                self.out.push(',');
            }
            self.started = true;
            self.out.push_str(&value.csv());
        } else {
            self.out.push_str(&value.human());
        }
        self
    }

    /// A line of "label: value" with an unchanged value.
    pub(crate) fn row(self, label: &str, value: impl Value) -> Self {
        self.text(label).put(value).text("\n")
    }

    /// The record with its end of line.
    pub(crate) fn end(mut self) -> String {
        if self.csv || !self.out.ends_with('\n') {
            self.out.push('\n');
        }
        self.out
    }
}
