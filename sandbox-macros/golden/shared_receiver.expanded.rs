async fn fetch(&self) -> std::io::Result<Page> {
    const __SANDBOXED_POLICY: ::sandbox_runtime::private::Policy = ::sandbox_runtime::private::Policy::new();
    static __SANDBOXED_SITE: ::sandbox_runtime::private::ToolSite = ::sandbox_runtime::private::ToolSite::new(
        "fetch",
        ::sandbox_runtime::private::module_path!(),
        __SANDBOXED_POLICY,
        ::sandbox_runtime::private::threshold(3)
            .cooldown(::sandbox_runtime::private::millis(1_000)),
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
    ::sandbox_runtime::private::execute_with_controls(
            ::sandbox_runtime::private::CompiledPolicy(__sandboxed_compiled),
            &__SANDBOXED_SITE.breaker,
            ::sandbox_runtime::private::Returning::often(
                ::sandbox_runtime::private::handler!([] std::io::Result < Page >),
                ::sandbox_runtime::private::SiteLabel(__sandboxed_compiled),
                move |__sandboxed_retry_possible| {
                    async move {
                        if false {
                            return ::sandbox_runtime::private::returned::<
                                std::io::Result<Page>,
                            >();
                        }
                        match () {
                            () => self.client.get().await?.parse(),
                        }
                    }
                },
                ::sandbox_runtime::private::KeepProbe::<std::io::Result<Page>>::NEW
                    .__sandboxed_keep(),
            ),
        )
        .await
}
