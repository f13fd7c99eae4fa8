//! Where the intervals of most sources overlap (`spec/sync.md` 4.3, step 5).

use crate::sync::sources::Source;

#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint {
    at: f64,
    high: bool,
    trusted: bool,
}

/// Where most sources agree.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Agreement {
    /// Sources that agree; only the trusted ones if there are any.
    pub(super) depth: usize,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Interval of the trusted sources, if there are any.
    pub(super) trusted: Option<(f64, f64)>,
}

/// Step 5: where do most intervals overlap?
pub(super) fn intersect<'a>(
    sources: impl Iterator<Item = &'a Source>,
    endpoints: &mut Vec<Endpoint>,
) -> Agreement {
    endpoints.clear();
    for s in sources {
        let trusted = s.options.trust;
        endpoints.push(Endpoint {
            at: s.data.low,
            high: false,
            trusted,
        });
        endpoints.push(Endpoint {
            at: s.data.high,
            high: true,
            trusted,
        });
    }
    endpoints.sort_by(|a, b| a.at.total_cmp(&b.at).then(a.high.cmp(&b.high)));
    let (mut depth, mut trusted_depth) = (0_usize, 0_usize);
    let (mut best, mut trusted_best) = (0, 0);
    let (mut low, mut high) = (0.0, 0.0);
    let (mut trusted_low, mut trusted_high) = (0.0, 0.0);
    for e in endpoints.iter() {
        if e.high {
            if trusted_depth == trusted_best {
                if depth == best {
                    high = e.at;
                }
                trusted_high = e.at;
            }
            depth -= 1;
            trusted_depth -= usize::from(e.trusted);
            continue;
        }
        depth += 1;
        trusted_depth += usize::from(e.trusted);
        if trusted_depth > trusted_best || (trusted_depth == trusted_best && depth > best) {
            if trusted_depth > trusted_best {
                trusted_best = trusted_depth;
                trusted_low = e.at;
            }
            best = depth;
            low = e.at;
        }
    }
    if trusted_best > 0 {
        let trusted = Some((trusted_low, trusted_high));
        return Agreement {
            depth: trusted_best,
            low,
            high,
            trusted,
        };
    }
    Agreement {
        depth: best,
        low,
        high,
        trusted: None,
    }
}
