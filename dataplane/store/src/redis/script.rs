//! A Lua script, known to the server by its SHA-1.

use redis::{Cmd, ToRedisArgs};
use std::borrow::Cow;

/// A script. Sent by its hash; whole where the server does not know it (a fresh or restarted one).
#[derive(Debug)]
pub struct Script {
    source: Cow<'static, str>,
    hash: String,
}

impl Script {
    /// A script of this source.
    #[must_use]
    pub fn new(source: impl Into<Cow<'static, str>>) -> Self {
        let source = source.into();
        let hash = redis::Script::new(&source).get_hash().to_owned();
        Self { source, hash }
    }

    /// By hash, or whole.
    pub(super) fn command<K: ToRedisArgs, A: ToRedisArgs>(&self, whole: bool, keys: &[K], args: &[A]) -> Cmd {
        let mut command = redis::cmd(if whole { "EVAL" } else { "EVALSHA" });
        command.arg(if whole { self.source.as_ref() } else { &self.hash }).arg(keys.len());
        keys.iter().for_each(|key| {
            command.arg(key);
        });
        args.iter().for_each(|arg| {
            command.arg(arg);
        });
        command
    }
}
