//! Base URLs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// Why a base URL is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum UrlFault {
    /// Not an absolute http or https URL.
    Form,
    /// It holds a user name or password.
    Credentials,
    /// It holds a query or a fragment.
    Query,
    /// It names a loopback, link-local or private address, which was not allowed.
    Private,
}

/// The URL in its normal form, without a slash at its end.
pub(crate) fn base_url(text: &str, allow_private: bool) -> Result<String, UrlFault> {
    let url = Url::parse(text).map_err(|_| UrlFault::Form)?;
    let host = url.host().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or(UrlFault::Form)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlFault::Credentials);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(UrlFault::Query);
    }
    if !allow_private && is_private(&host) {
        return Err(UrlFault::Private);
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// True when the host can be seen to be near without asking DNS; the gateway checks again what a name resolves to.
fn is_private(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(ip) => v4(*ip),
        Host::Ipv6(ip) => v6(*ip),
    }
}

fn v4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_broadcast()
        || a == 0
        || shared
}

fn v6(ip: Ipv6Addr) -> bool {
    let [first, ..] = ip.segments();
    let embedded = ip.to_ipv4_mapped().is_some_and(v4)
        || (first == 0x2002 || ip.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0])
            && embedded_v4(ip).is_some_and(v4);
    let local = first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80;
    IpAddr::V6(ip).is_loopback() || ip.is_unspecified() || ip.is_multicast() || local || embedded
}

/// The IPv4 address inside a 6to4 or NAT64 address.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [first, second, third, .., seventh, eighth] = ip.segments();
    let (high, low) = if first == 0x2002 { (second, third) } else { (seventh, eighth) };
    Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_addresses_are_seen_however_they_are_written() {
        for near in [
            "http://localhost:11434/v1",
            "http://a.localhost./",
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://10.1.2.3/",
            "http://169.254.169.254/",
            "http://100.64.0.1/",
            "http://0.0.0.0/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[fe80::1]/",
            "http://[fd00::1]/",
            "http://[2002:7f00:1::]/",
            "http://[64:ff9b::a00:1]/",
        ] {
            assert_eq!(base_url(near, false), Err(UrlFault::Private), "{near}");
            assert!(base_url(near, true).is_ok(), "{near}");
        }
        assert!(base_url("http://8.8.8.8/v1", false).is_ok());
        assert!(base_url("http://[2606:4700::1111]/v1", false).is_ok());
    }

    #[test]
    fn form() {
        assert_eq!(
            base_url("https://API.example.com:443/v1/", false).as_deref(),
            Ok("https://api.example.com/v1")
        );
        assert_eq!(base_url("https://example.com", false).as_deref(), Ok("https://example.com"));
        assert_eq!(base_url("ftp://example.com", false), Err(UrlFault::Form));
        assert_eq!(base_url("https://u:p@example.com", false), Err(UrlFault::Credentials));
        assert_eq!(base_url("https://example.com/?a=b", false), Err(UrlFault::Query));
        assert_eq!(base_url("https://example.com/#a", false), Err(UrlFault::Query));
    }
}
