pub async fn search(query: String, limit: usize) -> Result<Vec<Hit>, SearchError> {
    const __SANDBOXED_POLICY: ::sandbox_runtime::private::Policy = ::sandbox_runtime::private::Policy::new()
        .timeout(::sandbox_runtime::private::millis(5_000))
        .max_retries(2)
        .backoff_base(::sandbox_runtime::private::millis(100));
    static __SANDBOXED_SITE: ::sandbox_runtime::private::ToolSite = ::sandbox_runtime::private::ToolSite::new(
        "search",
        ::sandbox_runtime::private::module_path!(),
        __SANDBOXED_POLICY,
        ::sandbox_runtime::private::breaker(),
    );
    ::sandbox_runtime::private::inventory::submit!(
        ::sandbox_runtime::private::SiteRef(& __SANDBOXED_SITE)
    );
    #[inline]
    fn __sandboxed_compiled() -> ::sandbox_runtime::private::Compiled {
        ::sandbox_runtime::private::Compiled {
            policy: __SANDBOXED_POLICY,
            site: ::sandbox_runtime::private::SiteRef(&__SANDBOXED_SITE),
        }
    }
    let mut __sandboxed_argument_0 = ::sandbox_runtime::private::Some(query);
    ::sandbox_runtime::private::execute_with_controls(
            ::sandbox_runtime::private::CompiledPolicy(__sandboxed_compiled),
            &__SANDBOXED_SITE.breaker,
            ::sandbox_runtime::private::Returning::often(
                ::sandbox_runtime::private::handler!(
                    [] Result < Vec < Hit >, SearchError >
                ),
                ::sandbox_runtime::private::SiteLabel(__sandboxed_compiled),
                move |__sandboxed_retry_possible| {
                    let __sandboxed_argument_0 = <::sandbox_runtime::private::Attempts<
                        true,
                    > as ::sandbox_runtime::private::CanOwn<
                        _,
                    >>::take_or_clone(
                        &mut __sandboxed_argument_0,
                        __sandboxed_retry_possible,
                    );
                    async move {
                        if false {
                            return ::sandbox_runtime::private::returned::<
                                Result<Vec<Hit>, SearchError>,
                            >();
                        }
                        #[allow(clippy::shadow_unrelated)]
                        let query = __sandboxed_argument_0;
                        #[allow(clippy::shadow_same)]
                        let limit = limit;
                        match () {
                            () => index().find(&query, limit).await,
                        }
                    }
                },
                ::sandbox_runtime::private::KeepProbe::<
                    Result<Vec<Hit>, SearchError>,
                >::NEW
                    .__sandboxed_keep(),
            ),
        )
        .await
}
