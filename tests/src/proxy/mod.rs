//! A proxy between a service process and the broker. A test makes it do to their connections what networks do, and it
//! counts what it did.
//!
//! ```text
//!  client ──▶ connection.rs: requests ──▶ broker      rules.rs: what is done to all of them
//!    ▲                                      │         trap.rs: what is done to one named request or reply
//!    └──────── connection.rs: replies ◀─────┘         frame.rs: where one ends and the next begins
//! ```
//!
//! It has its own thread, so that nothing that a test waits for holds it up.

mod connection;
mod frame;
mod rules;
mod trap;

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{net::TcpStream, runtime};

pub use frame::{Api, Frame};
pub use rules::{Cut, Rules};
pub use trap::{Dropped, Held, Released};

use connection::Connection;
use rules::Breaks;
use trap::Traps;

/// A proxy for one broker.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

/// What the connections look at.
#[derive(Default)]
struct Shared {
    upstream: OnceLock<u16>,
    rules: Rules,
    breaks: Breaks,
    traps: Traps,
    counts: Counts,
}

/// What the proxy has done.
#[derive(Debug, Default)]
pub struct Counts {
    connections: AtomicUsize,
    reset: AtomicUsize,
    half_open: AtomicUsize,
    delayed: AtomicUsize,
    stalled: AtomicUsize,
}

macro_rules! count {
    ($($(#[$doc:meta])* $name:ident),*) => {
        impl Counts {
            $($(#[$doc])* #[must_use] pub fn $name(&self) -> usize { self.$name.load(Ordering::Relaxed) })*
        }
    };
}

count! {
    /// Connections that were made through it.
    connections,
    /// Connections that were reset.
    reset,
    /// Connections that the broker has lost without the client's knowledge.
    half_open,
    /// Requests and replies that were held up by [`Proxy::delay`].
    delayed,
    /// Requests and replies that ran into a [`Cut`].
    stalled
}

impl Proxy {
    /// A proxy on a free port. It refuses connections until it knows where to [forward](Proxy::forward_to) them.
    ///
    /// # Errors
    /// If no port or no thread is available.
    pub fn start() -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let shared: Arc<Shared> = Arc::default();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let serving = serve(listener, shared.clone());
        thread::Builder::new().name("proxy".into()).spawn(move || runtime.block_on(serving))?;
        Ok(Proxy { port, shared })
    }

    /// The port of 127.0.0.1 on which it is.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of 127.0.0.1 on which the broker is.
    ///
    /// # Panics
    /// If it is set twice.
    pub fn forward_to(&self, port: u16) {
        self.shared.upstream.set(port).expect("a proxy has one broker");
    }

    /// What it has done.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// From now on every request and every reply takes this much longer.
    pub fn delay(&self, by: Duration) {
        self.shared.rules.delay(by);
    }

    /// From now on nothing gets through until the cut is dropped. Then everything that has come meanwhile does.
    #[must_use]
    pub fn cut(&self, direction: Cut) -> CutGuard<'_> {
        self.shared.rules.cut(Some(direction));
        CutGuard(&self.shared.rules)
    }

    /// Resets all connections. A held request stays on its way to the broker.
    pub fn reset(&self) {
        self.shared.breaks.reset();
    }

    /// Closes the broker's side of all connections, and lets the clients believe that they are connected.
    pub fn half_open(&self) {
        self.shared.breaks.half_open();
    }

    /// Holds back the next request of this kind, and everything behind it on its connection.
    #[must_use]
    pub fn hold(&self, api: Api) -> Held {
        self.shared.traps.hold(api)
    }

    /// Drops the reply to the next request of this kind.
    #[must_use]
    pub fn drop_reply(&self, api: Api) -> Dropped {
        self.shared.traps.drop_reply(api)
    }
}

/// Ends a cut when it is dropped.
pub struct CutGuard<'a>(&'a Rules);

impl Drop for CutGuard<'_> {
    fn drop(&mut self) {
        self.0.cut(None);
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("it is a socket");
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let Some(upstream) = shared.upstream.get() else { continue };
        // A broker that is down refuses connections, and so does its proxy.
        let Ok(broker) = TcpStream::connect((Ipv4Addr::LOCALHOST, *upstream)).await else { continue };
        shared.counts.connections.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(Connection::new(client, broker, shared.clone()).run());
    }
}
