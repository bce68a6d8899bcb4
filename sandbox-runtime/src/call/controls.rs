//! [`Controls`]: everything about a call that stays the same while it runs.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::breaker::CircuitBreaker;
use crate::policy::Policy;
use crate::site::SiteRef;
use crate::tool::keep::Keeps;
use crate::tool::label::BreakerRef;
use crate::tool::{Tool, ToolLabel};

/// The policy, breaker, label, handler and cancellation of a call, in one type for the engine to carry.
pub trait Controls {
    /// See [`handler`](Self::handler).
    type Handler: Keeps;
    /// The settings; the same at every call of this.
    fn policy(&self) -> Policy;
    /// Admits the attempts.
    fn breaker(&self) -> &CircuitBreaker;
    /// The name that failures have for the tool.
    fn name(&self) -> &'static str;
    /// The annotated function, if it is one.
    fn site(&self) -> Option<SiteRef>;
    /// Reads the outcomes, and makes what the caller gets.
    fn handler(&self) -> &Self::Handler;
    /// Resolves when the call is to end.
    fn poll_cancelled(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;
}

pin_project! {
    /// The parts as they were given.
    #[derive(Debug)]
    pub struct CallControls<C, B, H, K, L> {
        config: C,
        breaker: B,
        handler: H,
        #[pin]
        cancel: K,
        label: L,
    }
}

impl<'b, C, H, K, L: ToolLabel> CallControls<C, L::Breaker<'b>, H, K, L> {
    /// The controls of a call of `tool`, and the tool's function.
    #[inline(always)]
    pub(crate) fn new<F>(config: C, breaker: &'b CircuitBreaker, tool: Tool<F, H, K, L>) -> (Self, F) {
        let controls = CallControls {
            config,
            breaker: tool.label.breaker(breaker),
            handler: tool.handler,
            cancel: tool.cancel,
            label: tool.label,
        };
        (controls, tool.function)
    }
}

impl<C, B, H, K, L> Controls for CallControls<C, B, H, K, L>
where
    C: Into<Policy> + Copy,
    B: BreakerRef,
    H: Keeps,
    K: Future<Output = ()>,
    L: ToolLabel,
{
    type Handler = H;

    #[inline]
    fn policy(&self) -> Policy {
        self.config.into()
    }

    #[inline]
    fn breaker(&self) -> &CircuitBreaker {
        self.breaker.get()
    }

    fn name(&self) -> &'static str {
        self.label.name()
    }

    fn site(&self) -> Option<SiteRef> {
        self.label.site()
    }

    #[inline]
    fn handler(&self) -> &H {
        &self.handler
    }

    #[inline]
    fn poll_cancelled(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().cancel.poll(cx)
    }
}
