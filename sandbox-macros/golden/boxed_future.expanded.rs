fn read<'a>(
    &'a self,
    path: &'a str,
) -> Pin<Box<dyn Future<Output = Result<String, Error>> + Send + 'a>> {
    const __SANDBOXED_POLICY: ::sandbox_runtime::private::Policy = ::sandbox_runtime::private::Policy::new();
    static __SANDBOXED_SITE: ::sandbox_runtime::private::ToolSite = ::sandbox_runtime::private::ToolSite::new(
        "read",
        ::sandbox_runtime::private::module_path!(),
        __SANDBOXED_POLICY,
        ::sandbox_runtime::private::breaker(),
    );
    ::sandbox_runtime::private::Box::pin(async move {
        let mut __sandboxed_argument_0 = ::sandbox_runtime::private::Some(path);
        ::sandbox_runtime::private::execute_with_controls(
                ::sandbox_runtime::private::constant(|| __SANDBOXED_POLICY),
                __SANDBOXED_SITE.breaker(),
                ::sandbox_runtime::private::tool(
                    || ::sandbox_runtime::private::SiteRef(&__SANDBOXED_SITE),
                    move |__sandboxed_retry_possible| {
                        let path = ::sandbox_runtime::private::take_or_clone::<
                            true,
                            _,
                        >(&mut __sandboxed_argument_0, __sandboxed_retry_possible);
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
                    ::sandbox_runtime::private::handler!([tool] Result < String, Error >),
                ),
            )
            .await
    })
}
