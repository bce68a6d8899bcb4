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
        )
        .served();
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
    ::sandbox_runtime::private::Box::pin(async move {
        ::sandbox_runtime::private::execute_with_controls(
                ::sandbox_runtime::private::CompiledPolicy(__sandboxed_compiled),
                &__SANDBOXED_SITE.breaker,
                ::sandbox_runtime::private::Returning::often(
                    ::sandbox_runtime::private::handler!(
                        [tool] Result < String, Error >
                    ),
                    ::sandbox_runtime::private::SiteLabel(__sandboxed_compiled),
                    move |__sandboxed_retry_possible| {
                        ::sandbox_runtime::private::boxed(move || -> Pin<
                            Box<dyn Future<Output = Result<String, Error>> + Send + '_>,
                        > {
                            #[allow(clippy::shadow_same)]
                            let path = path;
                            match () {
                                () => Box::pin(async move { self.files.read(path).await }),
                            }
                        })
                    },
                    ::sandbox_runtime::private::KeepProbe::<Result<String, Error>>::NEW
                        .__sandboxed_keep(),
                ),
            )
            .await
    })
}
