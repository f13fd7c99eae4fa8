//! Reports as JSON (`docs/json.md`): seconds, ppm and counts as numbers, names of fields say which.

use crate::output::json::Object;
use truechimer_engine::wire::command::{
    ActivityReport, Address, AuthMode, AuthReport, ClientRecord, ManualSample, NtpDataReport, RtcReport,
    SelectBits, SelectReport, ServerStatsReport, SetTimeReport, SmoothingReport, SourceMode, SourceReport,
    SourceState, SourceStatsReport, TrackingReport,
};

/// A command that failed; `text` starts with its number.
pub(crate) fn error(text: &str) -> String {
    numbered("error", text)
}

/// A command that only says that it was done.
pub(crate) fn status(text: &str) -> String {
    numbered("status", text)
}

fn numbered(name: &str, text: &str) -> String {
    let (number, words) = text.split_once(' ').unwrap_or(("0", text));
    let words = words.trim_start_matches("- ");
    Object::default()
        .int(name, number.parse::<u16>().unwrap_or(0))
        .text("message", words)
        .end()
        + "\n"
}

const fn leap(leap: u16) -> &'static str {
    match leap {
        0 => "normal",
        1 => "insert",
        2 => "delete",
        3 => "unsynchronised",
        _ => "invalid",
    }
}

fn ref_id(object: Object, ref_id: u32) -> Object {
    object.text("ref_id", &format!("{ref_id:08X}"))
}

fn address(object: Object, name: &str, address: Address) -> Object {
    match address {
        Address::Unspecified => object.raw(name, "null"),
        _ => object.text(name, &address.to_string()),
    }
}

/// Name and address.
fn source_of(name: &str, from: Address) -> Object {
    address(Object::default().text("name", name), "address", from)
}

pub(crate) fn tracking(t: &TrackingReport, name: &str) -> String {
    ref_id(source_of(name, t.address), t.ref_id)
        .int("stratum", t.stratum)
        .text("leap", leap(t.leap))
        .time("ref_time", t.ref_time)
        .float("correction", t.correction)
        .float("last_offset", t.last_offset)
        .float("rms_offset", t.rms_offset)
        .float("frequency_ppm", t.frequency)
        .float("residual_frequency_ppm", t.residual_frequency)
        .float("skew_ppm", t.skew)
        .float("root_delay", t.root_delay)
        .float("root_dispersion", t.root_dispersion)
        .float("update_interval", t.update_interval)
        .end()
}

pub(crate) fn source(s: &SourceReport, name: &str) -> String {
    let mode = match s.mode {
        SourceMode::Client => "server",
        SourceMode::Peer => "peer",
        SourceMode::RefClock => "refclock",
        SourceMode::Unknown => "unknown",
    };
    let state = match s.state {
        SourceState::Selected => "selected",
        SourceState::Nonselectable => "unusable",
        SourceState::Falseticker => "falseticker",
        SourceState::Jittery => "jittery",
        SourceState::Combined => "combined",
        SourceState::Selectable => "selectable",
        SourceState::Unknown => "unknown",
    };
    let from = if s.mode == SourceMode::RefClock {
        Address::Unspecified
    } else {
        s.address
    };
    source_of(name, from)
        .text("mode", mode)
        .text("state", state)
        .int("stratum", s.stratum)
        .int("poll_log2", s.poll)
        .int("reach", s.reach)
        .maybe("last_sample_age", s.last_sample)
        .float("offset", s.adjusted_offset)
        .float("measured_offset", s.measured_offset)
        .float("error", s.error)
        .end()
}

pub(crate) fn source_stats(s: &SourceStatsReport, name: &str) -> String {
    source_of(name, s.address)
        .int("samples", s.samples)
        .int("runs", s.runs)
        .int("span", s.span)
        .float("residual_frequency_ppm", s.frequency)
        .float("skew_ppm", s.skew)
        .float("offset", s.offset)
        .float("offset_error", s.offset_error)
        .float("std_dev", s.std_dev)
        .end()
}

fn options(bits: u16) -> String {
    let names = SelectBits::ALL
        .into_iter()
        .zip(["noselect", "prefer", "trust", "require"]);
    let on: Vec<String> = names
        .filter(|(bit, _)| SelectBits(bits).contains(*bit))
        .map(|(_, name)| format!("\"{name}\""))
        .collect();
    format!("[{}]", on.join(","))
}

pub(crate) fn select(s: &SelectReport, name: &str) -> String {
    source_of(name, s.address)
        .text("state", &char::from(s.state).to_string())
        .bool("authenticated", s.authenticated)
        .raw("configured_options", &options(s.configured))
        .raw("effective_options", &options(s.effective))
        .maybe("last_sample_age", s.last_sample)
        .float("score", s.score)
        .float("low", s.low)
        .float("high", s.high)
        .text("leap", leap(s.leap.into()))
        .end()
}

pub(crate) fn auth(a: &AuthReport, name: &str, from: Address) -> String {
    let mode = match a.mode {
        AuthMode::None => "none",
        AuthMode::Symmetric => "symmetric",
        AuthMode::Nts => "nts",
        AuthMode::Unknown => "unknown",
    };
    source_of(name, from)
        .text("mode", mode)
        .int("key_id", a.key_id)
        .int("key_type", a.key_type)
        .int("key_bits", a.key_length)
        .maybe("last_ke_age", a.last_ke)
        .int("ke_attempts", a.ke_attempts)
        .bool("nak", a.nak != 0)
        .int("cookies", a.cookies)
        .int("cookie_length", a.cookie_length)
        .end()
}

pub(crate) fn ntpdata(d: &NtpDataReport) -> String {
    let origin = |letter: u8| match letter {
        b'D' => "daemon",
        b'K' => "kernel",
        b'H' => "hardware",
        _ => "none",
    };
    let object = address(Object::default(), "remote_address", d.remote).int("remote_port", d.remote_port);
    let object = address(object, "local_address", d.local)
        .text("leap", leap(d.leap.into()))
        .int("version", d.version)
        .int("mode", d.mode)
        .int("stratum", d.stratum)
        .int("poll_log2", d.poll)
        .int("precision_log2", d.precision)
        .float("root_delay", d.root_delay)
        .float("root_dispersion", d.root_dispersion);
    ref_id(object, d.ref_id)
        .time("ref_time", d.ref_time)
        .float("offset", d.offset)
        .float("peer_delay", d.peer_delay)
        .float("peer_dispersion", d.peer_dispersion)
        .float("response_time", d.response_time)
        .float("jitter_asymmetry", d.jitter_asymmetry)
        .text("tests", &format!("{:010b}", d.flags & 0x3ff))
        .bool("interleaved", d.flags & NtpDataReport::INTERLEAVED != 0)
        .bool("authenticated", d.flags & NtpDataReport::AUTHENTICATED != 0)
        .text("tx_timestamping", origin(d.tx_origin))
        .text("rx_timestamping", origin(d.rx_origin))
        .int("total_tx", d.total_tx)
        .int("total_rx", d.total_rx)
        .int("total_valid_rx", d.total_valid)
        .int("total_good_rx", d.total_good)
        .int("kernel_tx", d.kernel_tx)
        .int("kernel_rx", d.kernel_rx)
        .int("hardware_tx", d.hardware_tx)
        .int("hardware_rx", d.hardware_rx)
        .end()
}

pub(crate) fn activity(a: &ActivityReport) -> String {
    Object::default()
        .int("online", a.online)
        .int("offline", a.offline)
        .int("burst_online", a.burst_online)
        .int("burst_offline", a.burst_offline)
        .int("unresolved", a.unresolved)
        .end()
}

pub(crate) fn client(c: &ClientRecord, name: &str) -> String {
    source_of(name, c.address)
        .int("ntp_packets", c.ntp_hits)
        .int("ntp_drops", c.ntp_drops)
        .maybe("ntp_interval_log2", c.ntp_interval)
        .maybe("ntp_timeout_interval_log2", c.ntp_timeout_interval)
        .maybe("last_ntp_age", c.last_ntp)
        .int("ntske_connections", c.nke_hits)
        .int("ntske_drops", c.nke_drops)
        .maybe("ntske_interval_log2", c.nke_interval)
        .maybe("last_ntske_age", c.last_nke)
        .int("command_packets", c.cmd_hits)
        .int("command_drops", c.cmd_drops)
        .maybe("command_interval_log2", c.cmd_interval)
        .maybe("last_command_age", c.last_cmd)
        .end()
}

pub(crate) fn server_stats(s: &ServerStatsReport) -> String {
    Object::default()
        .int("ntp_packets", s.ntp_hits)
        .int("ntp_drops", s.ntp_drops)
        .int("command_packets", s.cmd_hits)
        .int("command_drops", s.cmd_drops)
        .int("client_log_drops", s.log_drops)
        .int("ntske_connections", s.nke_hits)
        .int("ntske_drops", s.nke_drops)
        .int("ntp_authenticated", s.ntp_auth_hits)
        .int("ntp_interleaved", s.ntp_interleaved_hits)
        .int("ntp_timestamps", s.ntp_timestamps)
        .int("ntp_timestamp_span", s.ntp_span)
        .int("daemon_rx", s.daemon_rx)
        .int("daemon_tx", s.daemon_tx)
        .int("kernel_rx", s.kernel_rx)
        .int("kernel_tx", s.kernel_tx)
        .int("hardware_rx", s.hardware_rx)
        .int("hardware_tx", s.hardware_tx)
        .end()
}

pub(crate) fn rtc(r: &RtcReport) -> String {
    Object::default()
        .time("ref_time", r.ref_time)
        .int("samples", r.samples)
        .int("runs", r.runs)
        .int("span", r.span)
        .float("offset", r.offset)
        .float("frequency_ppm", r.frequency)
        .end()
}

pub(crate) fn smoothing(s: &SmoothingReport) -> String {
    Object::default()
        .bool("active", s.active)
        .bool("leap_only", s.leap_only)
        .float("offset", s.offset)
        .float("frequency_ppm", s.frequency)
        .float("wander_ppm_per_second", s.wander)
        .float("last_update_age", s.last_update)
        .float("remaining_time", s.remaining)
        .end()
}

pub(crate) fn manual_sample(m: &ManualSample) -> String {
    Object::default()
        .time("time", m.when)
        .float("slewed_offset", m.slewed)
        .float("original_offset", m.original)
        .float("residual", m.residual)
        .end()
}

pub(crate) fn settime(s: &SetTimeReport) -> String {
    Object::default()
        .float("offset", s.offset)
        .float("frequency_change_ppm", s.frequency_change)
        .float("frequency_ppm", s.frequency)
        .end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_number() {
        assert_eq!(
            error("501 Not authorised"),
            "{\"error\":501,\"message\":\"Not authorised\"}\n"
        );
        assert_eq!(
            error("510 - Could not parse date string"),
            "{\"error\":510,\"message\":\"Could not parse date string\"}\n"
        );
        assert_eq!(status("200 OK"), "{\"status\":200,\"message\":\"OK\"}\n");
    }

    #[test]
    fn a_refclock_has_no_address() {
        let s = SourceReport {
            address: Address::of_refclock(0x4750_5330),
            poll: -2,
            stratum: 0,
            state: SourceState::Selected,
            mode: SourceMode::RefClock,
            flags: 0,
            reach: 255,
            last_sample: None,
            measured_offset: 0.5,
            adjusted_offset: -0.25,
            error: 0.0,
        };
        assert_eq!(
            source(&s, "GPS0"),
            r#"{"name":"GPS0","address":null,"mode":"refclock","state":"selected","stratum":0,"poll_log2":-2,"reach":255,"last_sample_age":null,"offset":-0.25,"measured_offset":0.5,"error":0}"#
        );
        assert_eq!(options(0xa), r#"["prefer","require"]"#);
    }
}
