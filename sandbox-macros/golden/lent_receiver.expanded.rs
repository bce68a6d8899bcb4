async fn append(&mut self, entry: String) -> Result<(), String> {
    const __SANDBOXED_POLICY: ::sandbox_runtime::private::Policy = ::sandbox_runtime::private::Policy::new()
        .max_retries(1);
    let mut __sandboxed_argument_1 = ::sandbox_runtime::private::Some(entry);
    let mut __sandboxed_call = ::sandbox_runtime::private::pin!(
        ::sandbox_runtime::private::call(::sandbox_runtime::private::constant(||
        __SANDBOXED_POLICY), & ::sandbox_runtime::private::NO_BREAKER,
        ::sandbox_runtime::private::tool(|| ::sandbox_runtime::private::Text("append"),
        ::sandbox_runtime::private::ready:: < Result < (), String > >))
    );
    loop {
        if let ::sandbox_runtime::private::Break(__sandboxed_end) = __sandboxed_call
            .as_mut()
            .attempt(|__sandboxed_more| {
                let this = &mut *self;
                let entry = ::sandbox_runtime::private::argument::<
                    true,
                    _,
                >(&mut __sandboxed_argument_1, __sandboxed_more);
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
