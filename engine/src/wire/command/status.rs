//! Status codes (section 3.4).

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// What a reply says about its request. `Display` is chronyc's line.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Status {
            $($(#[$doc])* $name,)*
            /// A number that this version does not know.
            Unknown(u16),
        }

        impl Status {
            /// The status with this number.
            #[must_use]
            pub const fn from_number(number: u16) -> Self {
                match number {
                    $($code => Self::$name,)*
                    other => Self::Unknown(other),
                }
            }

            /// Its number on the wire.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Unknown(other) => other,
                }
            }
        }

        impl std::fmt::Display for Status {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $text,)*
                    Self::Unknown(_) => "520 Got unexpected error from daemon",
                })
            }
        }
    };
}

statuses! {
    /// Done.
    Success = 0, "200 OK";
    /// Could not be done.
    Failed = 1, "500 Failure";
    /// Not allowed on this socket.
    Unauthorised = 2, "501 Not authorised";
    /// No such command, or a bad argument.
    Invalid = 3, "502 Invalid command";
    /// No source with this address or index.
    NoSuchSource = 4, "503 No such source";
    /// Obsolete.
    InvalidTimestamp = 5, "504 Duplicate or stale logon detected";
    /// The feature is off.
    NotEnabled = 6, "505 Facility not enabled in daemon";
    /// Bad subnet.
    BadSubnet = 7, "507 Bad subnet";
    /// Answer of an access check; a success.
    AccessAllowed = 8, "208 Access allowed";
    /// Answer of an access check; a success.
    AccessDenied = 9, "209 Access denied";
    /// Obsolete.
    NoHostAccess = 10, "510 No command access from this host";
    /// There is a source with this address.
    SourceAlreadyKnown = 11, "511 Source already present";
    /// No room for a source.
    TooManySources = 12, "512 Too many sources present";
    /// No driver for the real-time clock.
    NoRtc = 13, "513 RTC driver not running";
    /// The RTC file could not be written.
    BadRtcFile = 14, "514 Can't write RTC parameters";
    /// No client log.
    Inactive = 15, "519 Client logging is not active in the daemon";
    /// No manual sample with this index.
    BadSample = 16, "516 Sample index out of range";
    /// The address is not of the family that was asked for.
    InvalidFamily = 17, "515 Invalid address family";
    /// The server speaks another version.
    BadVersion = 18, "517 Protocol version mismatch";
    /// The request is too short.
    BadLength = 19, "518 Packet length mismatch";
    /// Not a host name.
    InvalidName = 21, "521 Invalid name";
}

impl Status {
    /// True for the three codes that count as success.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Success | Self::AccessAllowed | Self::AccessDenied)
    }
}
