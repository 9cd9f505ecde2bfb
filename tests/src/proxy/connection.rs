use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    Cut, Frame, Shared,
    rules::{Break, broken},
    trap::Trap,
};

/// A client's connection, and its connection to the broker. Each is read independently, so that what waits on its way
/// only holds up what is behind it.
pub(super) struct Connection {
    client: TcpStream,
    broker: TcpStream,
    shared: Arc<Shared>,
    replies: Replies,
}

/// What to do with replies, by their correlation id.
#[derive(Default)]
struct Replies(Mutex<HashMap<i32, Reply>>);

enum Reply {
    Lose(oneshot::Sender<Frame>),
    /// Somebody waits for it. The sender reports that it has come.
    Tell(oneshot::Sender<Frame>, oneshot::Sender<()>),
}

/// A request or reply, and when it came.
type Arrived = (Instant, Frame);

impl Connection {
    pub(super) fn new(client: TcpStream, broker: TcpStream, shared: Arc<Shared>) -> Self {
        Connection { client, broker, shared, replies: Replies::default() }
    }

    pub(super) async fn run(self) {
        let Connection { client, broker, shared, replies } = self;
        // If it is closed in the middle, a reset tells the client. Nothing can be done about a failure.
        let _ = client.set_zero_linger();
        let _ = (client.set_nodelay(true), broker.set_nodelay(true));
        let ((from_client, to_client), (from_broker, to_broker)) = (client.into_split(), broker.into_split());
        let ((requests, requests_out), (answers, answers_out)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let (gone_sender, client_gone) = oneshot::channel();
        let (shared, replies) = (&*shared, &replies);
        tokio::join!(
            read_requests(from_client, requests, shared, gone_sender),
            write_requests(requests_out, to_broker, shared, replies),
            read_replies(from_broker, answers, replies),
            write_replies(answers_out, to_client, shared, client_gone),
        );
    }
}

async fn read_requests(
    mut from: OwnedReadHalf,
    to: mpsc::UnboundedSender<Arrived>,
    shared: &Shared,
    _gone: oneshot::Sender<()>,
) {
    let mut breaks = shared.breaks.subscribe();
    loop {
        tokio::select! {
            frame = Frame::read(&mut from) => match frame {
                Ok(frame) => if to.send((Instant::now(), frame)).is_err() {
                    return;
                },
                Err(_) => return,
            },
            kind = broken(&mut breaks) => {
                if kind == Break::HalfOpen {
                    drop(to);
                    // To the client it looks as if somebody still read.
                    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
                }
                return;
            }
        }
    }
}

async fn write_requests(
    mut from: mpsc::UnboundedReceiver<Arrived>,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    replies: &Replies,
) {
    let mut awaited = None;
    while let Some((came, frame)) = from.recv().await {
        match shared.traps.catch(&frame) {
            Some(Trap::Hold { caught, released, reply }) => {
                let (sender, has_come) = oneshot::channel();
                replies.expect(&frame, Reply::Tell(reply, sender));
                let _ = caught.send(());
                // A test that has ended lets it go, too.
                let _ = released.await;
                awaited = Some(has_come);
            }
            Some(Trap::DropReply { dropped }) => replies.expect(&frame, Reply::Lose(dropped)),
            None => {}
        }
        on_the_way(shared, Cut::Requests, came).await;
        if to.write_all(&frame.0).await.is_err() {
            return;
        }
    }
    // The client may have left long ago: a reply that somebody waits for still needs the connection.
    if let Some(awaited) = awaited {
        let _ = awaited.await;
    }
}

async fn read_replies(mut from: OwnedReadHalf, to: mpsc::UnboundedSender<Arrived>, replies: &Replies) {
    while let Ok(frame) = Frame::read(&mut from).await {
        match replies.take(&frame) {
            Some(Reply::Lose(dropped)) => {
                let _ = dropped.send(frame);
                continue;
            }
            Some(Reply::Tell(reply, has_come)) => {
                let _ = reply.send(frame.clone());
                let _ = has_come.send(());
            }
            None => {}
        }
        // The client may be gone while the broker still has something to send.
        let _ = to.send((Instant::now(), frame));
    }
    replies.clear();
}

async fn write_replies(
    mut from: mpsc::UnboundedReceiver<Arrived>,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    client_gone: oneshot::Receiver<()>,
) {
    let mut breaks = shared.breaks.subscribe();
    let write = async {
        while let Some((came, frame)) = from.recv().await {
            on_the_way(shared, Cut::Replies, came).await;
            if to.write_all(&frame.0).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = write => {}
        kind = broken(&mut breaks) => {
            count(match kind {
                Break::Reset => &shared.counts.reset,
                Break::HalfOpen => &shared.counts.half_open,
            });
            if kind == Break::HalfOpen {
                let _ = client_gone.await;
            }
            // Dropped without a shutdown, it is reset together with the other half.
            to.forget();
        }
    }
}

async fn on_the_way(shared: &Shared, way: Cut, came: Instant) {
    let delay = shared.rules.current_delay();
    if !delay.is_zero() {
        count(&shared.counts.delayed);
        sleep_until(came + delay).await;
    }
    if shared.rules.is_cut(way) {
        count(&shared.counts.stalled);
        shared.rules.pass(way).await;
    }
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Replies {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<i32, Reply>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn expect(&self, request: &Frame, reply: Reply) {
        self.with(|replies| replies.insert(request.request_correlation(), reply));
    }

    fn take(&self, reply: &Frame) -> Option<Reply> {
        self.with(|replies| replies.remove(&reply.reply_correlation()))
    }

    /// None comes any more.
    fn clear(&self) {
        self.with(HashMap::clear);
    }
}
