async fn get(&self, host: String, token: CancellationToken) -> Answer {
    const __SANDBOXED_POLICY: crate::sandbox::private::Policy = crate::sandbox::private::Policy::new()
        .timeout(
            crate::sandbox::private::millis({
                let value: crate::sandbox::private::u64 = config::TIMEOUT;
                value
            }),
        )
        .max_retries(3)
        .backoff_base(crate::sandbox::private::millis(100))
        .backoff_max(crate::sandbox::private::millis(2_000))
        .deadline(crate::sandbox::private::millis(20_000))
        .jitter(crate::sandbox::private::jitter::equal)
        .idempotent(false);
    const _: () = crate::sandbox::private::check(
        &__SANDBOXED_POLICY,
        "timeout_ms",
        false,
    );
    const _: () = crate::sandbox::private::check(
        &__SANDBOXED_POLICY,
        "backoff_max_ms",
        false,
    );
    const _: () = crate::sandbox::private::check(
        &__SANDBOXED_POLICY,
        "deadline_ms",
        false,
    );
    static __SANDBOXED_SITE: crate::sandbox::private::ToolSite = crate::sandbox::private::ToolSite::new(
        "get",
        crate::sandbox::private::module_path!(),
        __SANDBOXED_POLICY,
        crate::sandbox::private::CircuitBreaker::disabled(),
    );
    crate::sandbox::private::inventory::submit!(
        crate ::sandbox::private::SiteRef(& __SANDBOXED_SITE)
    );
    #[inline]
    fn __sandboxed_compiled() -> crate::sandbox::private::Compiled {
        crate::sandbox::private::Compiled {
            policy: __SANDBOXED_POLICY,
            site: crate::sandbox::private::SiteRef(&__SANDBOXED_SITE),
        }
    }
    let __sandboxed_breaker = crate::sandbox::private::GivenBreaker::given(
        self.breakers.of(&host),
    );
    let __sandboxed_token = {
        use crate::sandbox::private::Clone as _;
        token.clone()
    };
    let mut __sandboxed_argument_0 = crate::sandbox::private::Some(host);
    crate::sandbox::private::execute_with_controls(
            crate::sandbox::private::CompiledPolicy(__sandboxed_compiled),
            &*__sandboxed_breaker,
            crate::sandbox::private::Returning::keep(
                crate::sandbox::private::classify(
                        crate::sandbox::private::tool(
                            crate::sandbox::private::SiteLabelBesideBreaker(
                                __sandboxed_compiled,
                            ),
                            crate::sandbox::private::attempts(move |
                                __sandboxed_retry_possible|
                            {
                                let __sandboxed_argument_0 = <crate::sandbox::private::Attempts<
                                    true,
                                > as crate::sandbox::private::CanOwn<
                                    _,
                                >>::take_or_clone(
                                    &mut __sandboxed_argument_0,
                                    __sandboxed_retry_possible,
                                );
                                async move {
                                    if false {
                                        return crate::sandbox::private::returned::<Answer>();
                                    }
                                    #[allow(clippy::shadow_unrelated)]
                                    let host = __sandboxed_argument_0;
                                    match () {
                                        () => self.ask(host).await,
                                    }
                                }
                            }),
                            crate::sandbox::private::handler!([; on_failure] Answer),
                        ),
                        |argument| verdict(argument),
                    )
                    .on_failure(|failure| Answer::from(failure))
                    .cancelled_by(__sandboxed_token.cancelled()),
                crate::sandbox::private::KeepProbe::<Answer>::NEW.__sandboxed_keep(),
            ),
        )
        .await
}
