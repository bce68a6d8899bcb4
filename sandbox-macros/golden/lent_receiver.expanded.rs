async fn append(&mut self, entry: String) -> Result<(), String> {
    const __SANDBOXED_POLICY: ::sandbox_runtime::private::Policy = ::sandbox_runtime::private::Policy::new()
        .max_retries(1);
    static __SANDBOXED_SITE: ::sandbox_runtime::private::ToolSite = ::sandbox_runtime::private::ToolSite::new(
        "append",
        ::sandbox_runtime::private::module_path!(),
        __SANDBOXED_POLICY,
        ::sandbox_runtime::private::CircuitBreaker::disabled(),
    );
    let mut __sandboxed_argument_1 = ::sandbox_runtime::private::Some(entry);
    let mut __sandboxed_call = ::sandbox_runtime::private::pin!(
        ::sandbox_runtime::private::call(::sandbox_runtime::private::constant(||
        __SANDBOXED_POLICY), __SANDBOXED_SITE.breaker(),
        ::sandbox_runtime::private::tool(|| ::sandbox_runtime::private::SiteRef(&
        __SANDBOXED_SITE), ::sandbox_runtime::private::ready:: < Result < (), String > >,
        ::sandbox_runtime::private::handler!([] Result < (), String >)))
    );
    loop {
        if let ::sandbox_runtime::private::Break(__sandboxed_end) = __sandboxed_call
            .as_mut()
            .attempt(|__sandboxed_retry_possible| {
                let this = &mut *self;
                let entry = ::sandbox_runtime::private::take_or_clone::<
                    true,
                    _,
                >(&mut __sandboxed_argument_1, __sandboxed_retry_possible);
                async move {
                    if false {
                        return ::sandbox_runtime::private::returned::<
                            Result<(), String>,
                        >();
                    }
                    let this = this;
                    let entry = entry;
                    '_body: { this.log.write(entry).await }
                }
            })
            .await
        {
            break __sandboxed_end;
        }
    }
}
