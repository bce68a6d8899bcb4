fn read<'a>(
    &'a self,
    path: &'a str,
) -> Pin<Box<dyn Future<Output = Result<String, Error>> + Send + 'a>> {
    const __SANDBOXED_POLICY: ::sandbox_runtime::private::Policy = ::sandbox_runtime::private::Policy::new();
    static __SANDBOXED_BREAKER: ::sandbox_runtime::private::CircuitBreaker = ::sandbox_runtime::private::breaker();
    ::sandbox_runtime::private::Box::pin(async move {
        let mut __sandboxed_argument_0 = ::sandbox_runtime::private::Some(path);
        ::sandbox_runtime::private::execute_with_controls(
                ::sandbox_runtime::private::constant(|| __SANDBOXED_POLICY),
                &__SANDBOXED_BREAKER,
                ::sandbox_runtime::private::tool(
                    || ::sandbox_runtime::private::Text("read"),
                    move |__sandboxed_more| {
                        let path = ::sandbox_runtime::private::argument::<
                            true,
                            _,
                        >(&mut __sandboxed_argument_0, __sandboxed_more);
                        async move {
                            (move || -> Pin<
                                Box<dyn Future<Output = Result<String, Error>> + Send + '_>,
                            > {
                                let path = path;
                                '_body: {
                                    Box::pin(async move { self.files.read(path).await })
                                }
                            })()
                                .await
                        }
                    },
                ),
            )
            .await
    })
}
