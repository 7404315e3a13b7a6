//! A TCP proxy that does what networks do on bad days.

use crate::port;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// What it does with bytes and connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything on.
    Pass,
    /// Passes everything on after this long, in both directions together.
    Delay(Duration),
    /// Ends connections, also new ones, with a reset.
    Refuse,
    /// Takes what comes and passes nothing on; connections stay open, new ones too. What a host does that lost its route.
    HalfOpen,
    /// Open connections go on; new ones are accepted and never answered.
    Tarpit,
}

/// What it does, and how often it was told to cut connections.
#[derive(Clone, Copy)]
struct Weather {
    mode: Mode,
    cuts: u64,
}

/// A running proxy; ends when dropped. Connections that are open follow a change of mode at once.
pub struct Proxy {
    /// Where to connect.
    pub address: SocketAddr,
    mode: watch::Sender<Weather>,
    accepted: Arc<AtomicUsize>,
    target: Arc<AtomicU16>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// A proxy before a server on 127.0.0.1. Must be called on a tokio runtime.
    ///
    /// # Panics
    /// When no port can be listened at.
    pub async fn before(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port::free())).await.expect("a free port");
        let address = listener.local_addr().expect("the port just bound");
        let (mode, modes) = watch::channel(Weather { mode: Mode::Pass, cuts: 0 });
        let accepted = Arc::new(AtomicUsize::new(0));
        let target = Arc::new(AtomicU16::new(target));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, target.clone(), modes, accepted.clone()));
        Self { address, mode, accepted, target, _tasks: tasks }
    }

    /// From now on.
    pub fn set(&self, mode: Mode) {
        self.mode.send_modify(|weather| weather.mode = mode);
    }

    /// New connections go to another server on 127.0.0.1; those that are open stay where they are.
    pub fn lead_to(&self, port: u16) {
        self.target.store(port, Ordering::SeqCst);
    }

    /// Ends the connections that are open; new ones are as before.
    pub fn cut(&self) {
        self.mode.send_modify(|weather| weather.cuts += 1);
    }

    /// Connections that were accepted.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

async fn accept(
    listener: TcpListener,
    target: Arc<AtomicU16>,
    modes: watch::Receiver<Weather>,
    count: Arc<AtomicUsize>,
) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { return };
                count.fetch_add(1, Ordering::SeqCst);
                open.spawn(connection(client, target.load(Ordering::SeqCst), modes.clone()));
            }
            Some(_) = open.join_next() => {}
        }
    }
}

async fn connection(client: TcpStream, target: u16, mut modes: watch::Receiver<Weather>) {
    let first = *modes.borrow_and_update();
    if first.mode == Mode::Refuse {
        return reset(client);
    }
    if matches!(first.mode, Mode::HalfOpen | Mode::Tarpit) {
        // Never answered, also not when the network is well again.
        ended(&mut modes, first.cuts).await;
        return reset(client);
    }
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else { return reset(client) };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    let mut both = JoinSet::new();
    both.spawn(pump(client_in, server_out, modes.clone()));
    both.spawn(pump(server_in, client_out, modes.clone()));
    tokio::select! {
        _ = both.join_next() => {}
        () = ended(&mut modes, first.cuts) => {}
    }
}

/// Waits for what ends a connection.
async fn ended(modes: &mut watch::Receiver<Weather>, cuts: u64) {
    let _ = modes.wait_for(|weather| weather.mode == Mode::Refuse || weather.cuts > cuts).await;
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut modes: watch::Receiver<Weather>,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(count) = from.read(&mut buffer).await else { return };
        if count == 0 {
            return;
        }
        let came = Instant::now();
        loop {
            let mode = modes.borrow_and_update().mode;
            let due = match mode {
                Mode::Pass | Mode::Tarpit | Mode::Refuse => break,
                Mode::Delay(whole) => came + whole / 2,
                // Lost: nobody sends it again on this connection's behalf, so it stays silent until it is cut.
                Mode::HalfOpen => came + Duration::from_secs(3600),
            };
            tokio::select! {
                () = sleep_until(due) => break,
                _ = modes.changed() => {}
            }
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

fn reset(client: TcpStream) {
    let _ = socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO));
    drop(client);
}
