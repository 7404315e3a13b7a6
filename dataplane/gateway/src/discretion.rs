//! What vendors say, without what opens something: some quote the credential that they were sent.

use smartflow_snapshot::{Auth, Provider};

/// What names of headers with credentials hold.
const CREDENTIALS: [&str; 7] = ["auth", "key", "token", "secret", "cookie", "password", "signature"];
/// Shorter values are words that anybody may use.
const SHORTEST: usize = 6;

/// A vendor's `message` without the credentials that it gets: the key, and `spec.headers` that hold one.
#[must_use]
pub fn clean(provider: &Provider, message: &str) -> String {
    let key = match &provider.auth {
        Auth::ApiKey { secret, .. } => Some(secret.open()),
        _ => None,
    };
    let fixed = provider.headers.iter().filter(|(name, _)| is_credential(name)).flat_map(|(_, value)| {
        // `Bearer abc` is also quoted without its first word.
        [Some(&**value), value.rsplit_once(' ').map(|(_, last)| last)]
    });
    let fixed = fixed.flatten().filter(|value| value.len() >= SHORTEST);
    let secrets = key.filter(|key| !key.is_empty()).into_iter().chain(fixed);
    secrets.fold(message.to_owned(), |text, secret| match text.contains(secret) {
        true => text.replace(secret, "***"),
        false => text,
    })
}

/// True of headers whose values open something, by what they are called.
fn is_credential(header: &str) -> bool {
    let name = header.to_ascii_lowercase();
    CREDENTIALS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::clean;
    use smartflow_snapshot::{Auth, Namespaces, ObjectName, Protocol, Provider, Secret, Timeouts};
    use std::time::Duration;

    #[test]
    fn no_credential_is_quoted() {
        let s = Duration::from_secs(1);
        let header = |name: &str, value: &str| (name.into(), value.into());
        let provider = Provider {
            name: ObjectName::new("default", "vendor"),
            catalog: "openai".into(),
            protocol: Protocol::OpenAi,
            habits: Box::default(),
            base_url: "".into(),
            endpoints: Box::default(),
            concurrency: None,
            auth: Auth::ApiKey { header: "".into(), prefix: "".into(), secret: Secret::new("sk-vendor") },
            headers: Box::new([
                header("Proxy-Authorization", "Bearer door-opener"),
                header("X-Goog-Api-Key", "AIza-fixed"),
                header("cookie", "yes"),
                header("anthropic-beta", "tools-2026"),
            ]),
            models: Box::default(),
            timeouts: Timeouts { connect: s, first_byte: s, idle: s, total: s },
            allow_private: false,
            ca: None,
            access: Namespaces::All,
        };
        let said = "key sk-vendor, AIza-fixed; door-opener, Bearer door-opener: no tools-2026, yes";
        assert_eq!(clean(&provider, said), "key ***, ***; ***, ***: no tools-2026, yes");
        assert_eq!(clean(&provider, "nothing"), "nothing");
    }
}
