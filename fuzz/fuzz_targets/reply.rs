//! Replies of a daemon, as chronyc prints them. Its modules are used as they are: a program has no library.
#![no_main]
#![allow(dead_code, unused_imports)]

#[path = "../../chronyc/src/output/mod.rs"]
mod output;
#[path = "../../chronyc/src/report/mod.rs"]
mod report;

use output::Style;
use truechimer_engine::wire::command::{Reply, ReplyCode, ReplyHeader};

libfuzzer_sys::fuzz_target!(|data: &[u8]| print(data));

fn print(data: &[u8]) {
    let Some((&number, rest)) = data.split_first() else {
        return;
    };
    let Some(code) = ReplyCode::from_number(u16::from(number)) else {
        return;
    };
    // A header and as many bytes as this reply has.
    let mut datagram = vec![6, 2, 0, 0, 0, 33, 0, number, 0, 0, 0, 0];
    datagram.resize(28, 0);
    datagram.extend_from_slice(rest);
    let _ = ReplyHeader::decode(&datagram);
    if datagram.len() < code.length() {
        datagram.resize(code.length(), 0);
    }
    let Some(reply) = Reply::decode(code, &datagram) else {
        return;
    };
    let name = String::from_utf8_lossy(rest);
    for (csv, wide) in [(false, false), (false, true), (true, false)] {
        show(&reply, &name, Style { csv, wide });
    }
    show_json(&reply, &name);
}

fn show(reply: &Reply, name: &str, style: Style) -> String {
    match reply {
        Reply::Source(s) => report::source(s, name, style),
        Reply::Tracking(t) => report::tracking(t, name, style) + &report::waitsync(7, t, style),
        Reply::SourceStats(s) => report::source_stats(s, name, style),
        Reply::Rtc(r) => report::rtc(r, style),
        Reply::Activity(a) => report::activity(a, style),
        Reply::Smoothing(s) => report::smoothing(s, style),
        Reply::SetTime(s) => report::settime(s),
        Reply::ManualList(samples) => samples
            .iter()
            .enumerate()
            .map(|(index, sample)| report::manual_sample(index, sample, style))
            .collect(),
        Reply::Auth(a) => report::auth(a, name, style),
        Reply::Clients(c) => c
            .clients
            .iter()
            .map(|client| {
                report::client(client, name, true, style) + &report::client(client, name, false, style)
            })
            .collect(),
        Reply::Select(s) => report::select(s, name, style),
        Reply::ServerStats(s) => report::server_stats(s, style),
        Reply::NtpData(d) => report::ntpdata(d, style),
        _ => String::new(),
    }
}

fn show_json(reply: &Reply, name: &str) -> String {
    use report::json;
    match reply {
        Reply::Source(s) => json::source(s, name),
        Reply::Tracking(t) => json::tracking(t, name),
        Reply::SourceStats(s) => json::source_stats(s, name),
        Reply::Rtc(r) => json::rtc(r),
        Reply::Activity(a) => json::activity(a),
        Reply::Smoothing(s) => json::smoothing(s),
        Reply::Select(s) => json::select(s, name),
        Reply::ServerStats(s) => json::server_stats(s),
        Reply::NtpData(d) => json::ntpdata(d),
        _ => json::error(name),
    }
}
