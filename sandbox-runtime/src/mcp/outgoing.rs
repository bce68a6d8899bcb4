//! [`sending`]: what a request has to tell its client while its calls run.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use rmcp::RoleServer;
use rmcp::model::{CancelledNotificationParam, ProgressNotificationParam, RequestId};
use rmcp::service::Peer;
use tokio::sync::mpsc::UnboundedReceiver;

use super::name::Names;
use crate::site::SiteRef;

/// What is told.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A function is called once more.
    Retry {
        function: &'static str,
        site: Option<SiteRef>,
        progress: ProgressNotificationParam,
    },
    /// Nobody waits for the answer to this question any more.
    Withdrawal(RequestId),
}

impl Outgoing {
    /// The same, in the words of its client.
    fn for_client(mut self, names: &Names<'_>) -> Self {
        if let Outgoing::Retry {
            function,
            site,
            progress,
        } = &mut self
            && names.is_called(function, *site)
        {
            let message = progress.message.take();
            progress.message = message.map(|message| names.in_text(function, &message).into_owned());
        }
        self
    }

    async fn send(self, peer: Peer<RoleServer>) {
        let sent = match self {
            Outgoing::Retry { progress, .. } => peer.notify_progress(progress).await,
            Outgoing::Withdrawal(question) => {
                let mut cancelled = CancelledNotificationParam::new(Some(question), None);
                cancelled.reason = Some("the tool no longer waits for the answer".to_owned());
                peer.notify_cancelled(cancelled).await
            }
        };
        // A client that has gone does not need to know.
        drop(sent);
    }
}

/// Sends `messages` while `call` runs, which does not wait for that: a client that reads slowly delays no time limit. What is left
/// at the end is sent before the answer, which would have to wait for the same client.
pub(super) async fn sending<F: Future>(
    call: F,
    messages: UnboundedReceiver<Outgoing>,
    peer: Peer<RoleServer>,
    names: &Names<'_>,
) -> F::Output {
    let mut call = pin!(call);
    let mut output = None;
    let mut queue = Queue {
        messages,
        peer,
        under_way: None,
    };
    poll_fn(|cx| {
        if output.is_none()
            && let Poll::Ready(ready) = call.as_mut().poll(cx)
        {
            output = Some(ready);
        }
        match queue.poll_send(names, cx) {
            Poll::Ready(()) => output.take().map_or(Poll::Pending, Poll::Ready),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

struct Queue {
    messages: UnboundedReceiver<Outgoing>,
    peer: Peer<RoleServer>,
    under_way: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Queue {
    /// Sends one message after the other; ready when there are no more for now.
    fn poll_send(&mut self, names: &Names<'_>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(message) = &mut self.under_way {
                ready!(message.as_mut().poll(cx));
                self.under_way = None;
            }
            let Poll::Ready(Some(message)) = self.messages.poll_recv(cx) else {
                return Poll::Ready(());
            };
            self.under_way = Some(Box::pin(message.for_client(names).send(self.peer.clone())));
        }
    }
}
