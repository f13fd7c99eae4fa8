//! Mails about large corrections of the clock (`mailonchange`, `spec/sync.md` 5.7).

use crate::logs;
use crate::sys::date::local_date;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};
use truechimer_engine::io::Mail;
use truechimer_engine::text::Fixed;

/// Where the mail program is: on Debian and its kin, elsewhere.
const PROGRAMS: [&str; 2] = ["/usr/lib/sendmail", "/usr/sbin/sendmail"];

/// Hands a mail to the mail program, and does not wait for it.
pub(super) fn send(mail: &Mail) {
    if start(mail).is_err() {
        logs::error(format_args!(
            "Could not send mail notification to user {}",
            mail.to
        ));
    }
}

fn start(mail: &Mail) -> io::Result<()> {
    let program = PROGRAMS.iter().find(|path| Path::new(path).exists());
    let program = program.ok_or(io::ErrorKind::NotFound)?;
    let mut child = Command::new(program).arg("-t").stdin(Stdio::piped()).spawn()?;
    // It fits into the pipe. Whether the mail program wants it is known when that ends.
    let text = text(mail, &host(), &local_date(now()));
    let written = child
        .stdin
        .take()
        .map(|mut input| input.write_all(text.as_bytes()));
    let to = mail.to.clone();
    // It may take long, and somebody has to take its end.
    thread::Builder::new().spawn(move || reap(child, &to))?;
    written.unwrap_or(Ok(()))
}

fn reap(mut child: Child, to: &str) {
    if !child.wait().is_ok_and(|status| status.success()) {
        logs::error(format_args!("Could not send mail notification to user {to}"));
    }
}

fn host() -> String {
    nix::unistd::gethostname().map_or_else(|_| "?".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Unix second; a mail from before 1970 has the date of that.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(0)
}

/// The whole mail; the date is a day and a time of day.
fn text(mail: &Mail, host: &str, (day, time): &(String, String)) -> String {
    format!(
        "To: {}\n\
         Subject: chronyd reports change to system clock on node [{host}]\n\
         \n\
         On {day}\n  with the system clock reading {time}\n\
         \n\
         chronyd started to apply an adjustment of {} seconds to it,\n  \
         which exceeded the reporting threshold of {} seconds\n\
         \n",
        mail.to,
        Fixed(mail.adjustment, 3),
        Fixed(mail.threshold, 3)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mail_is_chronys() {
        let mail = Mail {
            to: "root@localhost".to_owned(),
            adjustment: 0.5,
            threshold: 0.1,
        };
        let date = (
            "Saturday, 21 November 2026".to_owned(),
            "13:45:11 (UTC)".to_owned(),
        );
        assert_eq!(
            text(&mail, "vm", &date),
            "To: root@localhost\n\
             Subject: chronyd reports change to system clock on node [vm]\n\n\
             On Saturday, 21 November 2026\n  with the system clock reading 13:45:11 (UTC)\n\n\
             chronyd started to apply an adjustment of 0.500 seconds to it,\n  which exceeded the reporting \
             threshold of 0.100 seconds\n\n"
        );
    }
}
