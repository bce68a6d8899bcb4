async fn append(&mut self, entry: String) -> Result<(), String> {
    const __SANDBOXED_POLICY: ::sandbox_runtime::private::Policy = ::sandbox_runtime::private::Policy::new()
        .max_retries(1);
    static __SANDBOXED_SITE: ::sandbox_runtime::private::ToolSite = ::sandbox_runtime::private::ToolSite::new(
        "append",
        ::sandbox_runtime::private::module_path!(),
        __SANDBOXED_POLICY,
        ::sandbox_runtime::private::CircuitBreaker::disabled(),
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
    let mut __sandboxed_argument_0 = ::sandbox_runtime::private::Some(entry);
    let mut __sandboxed_call = ::sandbox_runtime::private::pin!(
        ::sandbox_runtime::private::call(::sandbox_runtime::private::CompiledPolicy(__sandboxed_compiled),
        & __SANDBOXED_SITE.breaker,
        ::sandbox_runtime::private::Returning::keep(::sandbox_runtime::private::tool(::sandbox_runtime::private::SiteLabel(__sandboxed_compiled),
        ::sandbox_runtime::private::attempts_by_caller:: < Result < (), String > > (),
        ::sandbox_runtime::private::handler!([] Result < (), String >)),
        ::sandbox_runtime::private::KeepProbe:: < Result < (), String > > ::NEW
        .__sandboxed_keep()))
    );
    loop {
        if let ::sandbox_runtime::private::Break(__sandboxed_end) = __sandboxed_call
            .as_mut()
            .attempt(|__sandboxed_retry_possible| {
                let __sandboxed_argument_0 = ::sandbox_runtime::private::Moved(
                    <::sandbox_runtime::private::Attempts<
                        true,
                    > as ::sandbox_runtime::private::CanOwn<
                        _,
                    >>::take_or_clone(
                        &mut __sandboxed_argument_0,
                        __sandboxed_retry_possible,
                    ),
                );
                async {
                    if false {
                        return ::sandbox_runtime::private::returned::<
                            Result<(), String>,
                        >();
                    }
                    let _ = &mut *self;
                    #[allow(clippy::shadow_unrelated)]
                    let entry = __sandboxed_argument_0.out();
                    match () {
                        () => self.log.write(entry).await,
                    }
                }
            })
            .await
        {
            break __sandboxed_end;
        }
    }
}
