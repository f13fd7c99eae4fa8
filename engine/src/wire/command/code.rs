//! Numbers of requests and replies, their lengths, and who may ask (sections 4, 5, 6.2).

use super::MIN_LENGTH;

/// Who may send a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Changes something: the Unix socket only.
    Write,
    /// Reads: the Unix socket, and UDP if one of these topics is in `opencommands`.
    Read(&'static [Topic]),
}

/// A name of `opencommands`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the directive's")]
pub enum Topic {
    Activity,
    Authdata,
    Clients,
    Manual,
    Ntpdata,
    Rtcdata,
    Selectdata,
    Serverstats,
    Smoothing,
    Sourcename,
    Sources,
    Sourcestats,
    Tracking,
}

macro_rules! codes {
    ($($name:ident = $number:literal, $payload:literal, $reply:ident, $access:expr;)*) => {
        /// A request that this version serves.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[expect(missing_docs, reason = "the names are the protocol's")]
        pub enum Code { $($name,)* }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The request with this number, if it is served.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its number.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $number,)* }
            }

            /// Length of what follows the header, without padding.
            #[must_use]
            pub const fn payload(self) -> usize {
                match self { $(Self::$name => $payload,)* }
            }

            /// The reply that says "done".
            #[must_use]
            pub const fn reply(self) -> ReplyCode {
                match self { $(Self::$name => ReplyCode::$reply,)* }
            }

            /// Who may send it.
            #[must_use]
            pub const fn access(self) -> Access {
                match self { $(Self::$name => $access,)* }
            }
        }
    };
}

use Access::{Read, Write};

codes! {
    Online = 1, 40, Null, Write;
    Offline = 2, 40, Null, Write;
    Burst = 3, 48, Null, Write;
    ModifyMinPoll = 4, 24, Null, Write;
    ModifyMaxPoll = 5, 24, Null, Write;
    Dump = 6, 4, Null, Write;
    ModifyMaxDelay = 7, 24, Null, Write;
    ModifyMaxDelayRatio = 8, 24, Null, Write;
    ModifyMaxUpdateSkew = 9, 4, Null, Write;
    SetTime = 11, 12, ManualTimestamp, Write;
    Manual = 13, 4, Null, Write;
    NSources = 14, 0, NSources,
        Read(&[Topic::Authdata, Topic::Ntpdata, Topic::Selectdata, Topic::Sources, Topic::Sourcestats]);
    SourceData = 15, 4, SourceData, Read(&[Topic::Sources]);
    Rekey = 16, 0, Null, Write;
    Allow = 17, 24, Null, Write;
    AllowAll = 18, 24, Null, Write;
    Deny = 19, 24, Null, Write;
    DenyAll = 20, 24, Null, Write;
    CmdAllow = 21, 24, Null, Write;
    CmdAllowAll = 22, 24, Null, Write;
    CmdDeny = 23, 24, Null, Write;
    CmdDenyAll = 24, 24, Null, Write;
    AccessCheck = 25, 20, Null, Read(&[]);
    CmdAccessCheck = 26, 20, Null, Read(&[]);
    DeleteSource = 29, 20, Null, Write;
    WriteRtc = 30, 0, Null, Write;
    AdjustFrequency = 31, 4, Null, Write;
    Tracking = 33, 0, Tracking, Read(&[Topic::Tracking]);
    SourceStats = 34, 4, SourceStats, Read(&[Topic::Sourcestats]);
    RtcReport = 35, 0, Rtc, Read(&[Topic::Rtcdata]);
    TrimRtc = 36, 0, Null, Write;
    CycleLogs = 37, 0, Null, Write;
    ManualList = 41, 0, ManualList, Read(&[Topic::Manual]);
    ManualDelete = 42, 4, Null, Write;
    MakeStep = 43, 0, Null, Write;
    Activity = 44, 0, Activity, Read(&[Topic::Activity]);
    ModifyMinStratum = 45, 24, Null, Write;
    ModifyPollTarget = 46, 24, Null, Write;
    ModifyMaxDelayDevRatio = 47, 24, Null, Write;
    Reselect = 48, 0, Null, Write;
    ReselectDistance = 49, 4, Null, Write;
    ModifyMakeStep = 50, 8, Null, Write;
    Smoothing = 51, 0, Smoothing, Read(&[Topic::Smoothing]);
    SmoothTime = 52, 4, Null, Write;
    Refresh = 53, 0, Null, Write;
    ServerStats = 54, 0, ServerStats, Read(&[Topic::Serverstats]);
    NtpData = 57, 20, NtpData, Read(&[Topic::Ntpdata]);
    Shutdown = 62, 0, Null, Write;
    OnOffline = 63, 0, Null, Write;
    // What clients up to 4.8 send for `add`; 4.9 refuses it, we need not.
    AddSourceOld = 64, 352, Null, Write;
    SourceName = 65, 20, SourceName, Read(&[Topic::Sourcename]);
    ResetSources = 66, 0, Null, Write;
    AuthData = 67, 20, AuthData, Read(&[Topic::Authdata]);
    Clients = 68, 16, Clients, Read(&[Topic::Clients]);
    SelectData = 69, 4, SelectData, Read(&[Topic::Selectdata]);
    ReloadSources = 70, 0, Null, Write;
    AdjustOffset = 71, 4, Null, Write;
    ModifySelectOptions = 72, 32, Null, Write;
    ModifyOffset = 73, 28, Null, Write;
    Local = 74, 28, Null, Write;
    AddSource = 75, 388, Null, Write;
}

/// Length of a request's header.
pub(super) const REQUEST_HEADER: usize = 20;

impl Code {
    /// Length of the whole request: padded to the length of its reply, so that nobody gets more than he sent.
    #[must_use]
    pub const fn request_length(self) -> usize {
        let request = REQUEST_HEADER + self.payload();
        let reply = self.reply().length();
        if request > reply { request } else { reply }
    }
}

macro_rules! reply_codes {
    ($($name:ident = $number:literal, $length:expr;)*) => {
        /// The kind of a reply.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[expect(missing_docs, reason = "the names are the protocol's")]
        pub enum ReplyCode { $($name,)* }

        impl ReplyCode {
            /// The kind with this number.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its number.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $number,)* }
            }

            /// Length of the whole reply.
            #[must_use]
            pub const fn length(self) -> usize {
                match self { $(Self::$name => $length,)* }
            }
        }
    };
}

reply_codes! {
    Null = 1, MIN_LENGTH;
    NSources = 2, 32;
    SourceData = 3, 76;
    Tracking = 5, 104;
    SourceStats = 6, 84;
    Rtc = 7, 56;
    Activity = 12, 48;
    Smoothing = 13, 52;
    ManualTimestamp = 17, 40;
    ManualList = 18, 416;
    SourceName = 19, 284;
    AuthData = 20, 52;
    Clients = 21, 520;
    SelectData = 23, 76;
    ServerStats = 25, 196;
    NtpData = 26, 172;
}

/// Length of the reply with this number; 0 if this version does not know it.
#[must_use]
pub fn reply_length(number: u16) -> usize {
    ReplyCode::from_number(number).map_or(0, ReplyCode::length)
}
