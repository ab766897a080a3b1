//! The edge: how often, how much and from where someone may ask, TLS, and what answers say to browsers.

use tests::Trial;

mod documentation;
mod headers;
mod limits;
mod sizes;
mod tls;

pub(crate) fn trials() -> Vec<Trial> {
    [
        documentation::trials(),
        headers::trials(),
        limits::trials(),
        sizes::trials(),
        tls::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
