//! Completion of commands with the tab key (`spec/chronyc.md` section 1.4).

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

/// First words.
const COMMANDS: &str = "accheck activity add allow authdata burst clients cmdaccheck cmdallow cmddeny cyclelogs delete \
    deny dns dump exit health help keygen local makestep manual maxdelay maxdelaydevratio maxdelayratio maxpoll \
    maxupdateskew minpoll minstratum ntpdata offline offset online onoffline polltarget quit refresh rekey reload \
    reselect reselectdist reset retries rtcdata selectdata selectopts serverstats settime shutdown smoothing \
    smoothtime sourcename sources sourcestats timeout tracking trimrtc waitsync watch writertc";

/// What may follow the start of a line.
fn words(before: &str) -> &'static str {
    match before.split_ascii_whitespace().collect::<Vec<_>>().as_slice() {
        [] => COMMANDS,
        ["add"] => "peer pool server",
        ["manual"] => "on off delete list reset",
        ["reset" | "reload"] => "sources",
        ["authdata" | "selectdata" | "sources" | "sourcestats"] => "-a -v",
        _ => "",
    }
}

/// Where the word before the cursor starts, and how it may go on.
fn complete(line: &str, cursor: usize) -> (usize, Vec<String>) {
    let text = line.get(..cursor).unwrap_or(line);
    let start = text.rfind(' ').map_or(0, |space| space + 1);
    let (before, word) = text.split_at(start);
    let found = words(before)
        .split_ascii_whitespace()
        .filter(|candidate| candidate.starts_with(word));
    (start, found.map(|candidate| format!("{candidate} ")).collect())
}

/// What the line editor asks.
#[derive(Debug)]
pub(crate) struct Words;

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete(line, cursor))
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_and_second_words() {
        assert_eq!(complete("trac", 4), (0, vec!["tracking ".to_owned()]));
        assert_eq!(complete("sources ", 8).1, ["-a ", "-v "]);
        assert_eq!(complete("add s", 5), (4, vec!["server ".to_owned()]));
        assert_eq!(complete("sourcest x", 8), (0, vec!["sourcestats ".to_owned()]));
        assert!(complete("tracking ", 9).1.is_empty());
        assert!(complete("sources -a -", 12).1.is_empty());
    }
}
