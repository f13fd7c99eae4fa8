//! Commands from standard input (`spec/chronyc.md` section 1.4).

use crate::complete::Words;
use crate::session::Session;
use crate::{sys, usage};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{CompletionType, Config, Editor};
use std::io::{self, IsTerminal};

/// Longest piece of a line that is one command.
const MAX_LINE: usize = 2047;

/// Carries out what standard input says. True: the last line succeeded.
pub(crate) fn run(session: &mut Session) -> bool {
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal() && io::stderr().is_terminal();
    if terminal { edit(session) } else { read(session) }
}

/// Lines of a file or pipe.
fn read(session: &mut Session) -> bool {
    let mut ok = true;
    let mut pending = Vec::new();
    let mut buffer = [0; 4096];
    while !session.over && !sys::interrupted() {
        let piece = match nix::unistd::read(io::stdin(), &mut buffer) {
            Ok(n) => buffer.get(..n).unwrap_or_default(),
            Err(nix::Error::EINTR) => continue,
            Err(_) => &[],
        };
        if piece.is_empty() {
            if !pending.is_empty() {
                ok = session.run(&String::from_utf8_lossy(&pending));
            }
            break;
        }
        pending.extend_from_slice(piece);
        while let Some(line) = take_line(&mut pending) {
            ok = session.run(&String::from_utf8_lossy(&line));
            if session.over || sys::interrupted() {
                break;
            }
        }
    }
    ok
}

/// Takes a line, or the most of one that is a command, from the start of `pending`.
fn take_line(pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = pending.iter().take(MAX_LINE).position(|c| *c == b'\n');
    let length = match end {
        Some(end) => end + 1,
        None if pending.len() >= MAX_LINE => MAX_LINE,
        None => return None,
    };
    let rest = pending.split_off(length);
    Some(std::mem::replace(pending, rest))
}

/// Lines of a person, who can edit them.
fn edit(session: &mut Session) -> bool {
    session.print(&format!("{}\n", usage::BANNER));
    let config = Config::builder().auto_add_history(true);
    // As readline does.
    let config = config.completion_type(CompletionType::List).build();
    let history = MemHistory::with_config(&config);
    let Ok(mut editor) = Editor::<Words, _>::with_history(config, history) else {
        return read(session);
    };
    editor.set_helper(Some(Words));
    let mut ok = true;
    while !session.over && !sys::interrupted() {
        match editor.readline("chronyc> ") {
            Ok(line) => ok = session.run(&line),
            Err(ReadlineError::Eof) => {
                session.print("\n");
                break;
            }
            Err(_) => break,
        }
    }
    ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_come_in_pieces() {
        let mut pending = [vec![b'a'; 2050], b"\nb\nc".to_vec()].concat();
        assert_eq!(take_line(&mut pending).map(|l| l.len()), Some(2047));
        assert_eq!(take_line(&mut pending).as_deref(), Some(&b"aaa\n"[..]));
        assert_eq!(take_line(&mut pending).as_deref(), Some(&b"b\n"[..]));
        assert_eq!(take_line(&mut pending), None);
        assert_eq!(pending, b"c");
    }
}
