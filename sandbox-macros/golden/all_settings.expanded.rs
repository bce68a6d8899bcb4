async fn get(&self, host: String, token: CancellationToken) -> Answer {
    const __SANDBOXED_POLICY: crate::sandbox::private::Policy = crate::sandbox::private::Policy::new()
        .timeout(crate::sandbox::private::millis(config::TIMEOUT))
        .max_retries(3)
        .backoff_base(crate::sandbox::private::millis(100))
        .backoff_max(crate::sandbox::private::millis(2_000))
        .deadline(crate::sandbox::private::millis(20_000))
        .jitter(crate::sandbox::private::jitter::equal)
        .idempotent(false);
    const _: () = crate::sandbox::private::check(&__SANDBOXED_POLICY, "timeout_ms");
    const _: () = crate::sandbox::private::check(&__SANDBOXED_POLICY, "backoff_max_ms");
    const _: () = crate::sandbox::private::check(&__SANDBOXED_POLICY, "deadline_ms");
    static __SANDBOXED_SITE: crate::sandbox::private::ToolSite = crate::sandbox::private::ToolSite::new(
        "get",
        crate::sandbox::private::module_path!(),
        __SANDBOXED_POLICY,
        crate::sandbox::private::CircuitBreaker::disabled(),
    );
    match crate::sandbox::private::Clone::clone(&token) {
        __sandboxed_token => {
            match crate::sandbox::private::given_breaker(self.breakers.of(&host)) {
                __sandboxed_breaker => {
                    let mut __sandboxed_argument_0 = crate::sandbox::private::Some(host);
                    crate::sandbox::private::execute_with_controls(
                            crate::sandbox::private::constant(|| __SANDBOXED_POLICY),
                            __sandboxed_breaker,
                            crate::sandbox::private::classify(
                                    crate::sandbox::private::tool_beside_breaker(
                                        || crate::sandbox::private::SiteRef(&__SANDBOXED_SITE),
                                        move |__sandboxed_retry_possible| {
                                            let host = crate::sandbox::private::take_or_clone::<
                                                true,
                                                _,
                                            >(&mut __sandboxed_argument_0, __sandboxed_retry_possible);
                                            async move {
                                                if false {
                                                    return crate::sandbox::private::returned::<Answer>();
                                                }
                                                let host = host;
                                                '_body: { self.ask(host).await }
                                            }
                                        },
                                        crate::sandbox::private::handler!([; on_failure] Answer),
                                    ),
                                    verdict,
                                )
                                .on_failure(|failure| Answer::from(failure))
                                .cancelled_by(__sandboxed_token.cancelled()),
                        )
                        .await
                }
            }
        }
    }
}
