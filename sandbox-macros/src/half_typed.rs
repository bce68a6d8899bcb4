//! Half-typed code, as editors send it: nothing of it is dropped, so that they can complete it.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::quote;

use crate::expand::sandboxed;

/// Every token in a row, without the groups around them.
fn flat(tokens: TokenStream) -> Vec<String> {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Group(group) => flat(group.stream()),
            other => vec![other.to_string()],
        })
        .collect()
}

/// Whether `whole` has the tokens of `part` in their order; between them may stand what an expansion adds.
fn contains(whole: &[String], part: &[String]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|token| rest.any(|other| other == token))
}

/// The beginnings of a text, as somebody types it; within groups as well, which an editor closes.
fn beginnings(tokens: &TokenStream) -> Vec<TokenStream> {
    let tokens: Vec<_> = tokens.clone().into_iter().collect();
    let mut all = Vec::new();
    for length in 0..=tokens.len() {
        let before: TokenStream = tokens[..length].iter().cloned().collect();
        if let Some(TokenTree::Group(group)) = tokens.get(length) {
            all.extend(beginnings(&group.stream()).into_iter().map(|inner| {
                let group = Group::new(group.delimiter(), inner);
                quote!(#before #group)
            }));
        }
        all.push(before);
    }
    all
}

fn braces(tokens: TokenStream) -> TokenTree {
    TokenTree::Group(Group::new(Delimiter::Brace, tokens))
}

#[test]
fn a_body_is_there_as_far_as_it_is_typed() {
    let body = quote! {
        let hits = self.index.find(&query).await?;
        if hits.is_empty() { return Err(format!("no {query} in {self}")); }
        let best = async move { self.rank(hits, |hit| hit.score).await };
        match best.await { Some(hit) => Ok(hit), None => unimplemented!("{self:?}") }
    };
    for (signature, args) in [
        (
            quote!(async fn search(&self, query: String) -> Result<Hit, String>),
            quote!(timeout_ms = 5),
        ),
        (
            quote!(async fn search(self, query: String) -> Result<Hit, String>),
            quote!(),
        ),
        (
            quote!(async fn search(&mut self, query: String) -> Result<Hit, String>),
            quote!(max_retries = 0),
        ),
        (
            quote!(fn search(&self, query: String) -> BoxFuture<'_, Result<Hit, String>>),
            quote!(),
        ),
    ] {
        for typed in beginnings(&body) {
            let block = braces(typed.clone());
            let output = flat(sandboxed(args.clone(), quote!(#signature #block)));
            assert!(
                contains(&output, &flat(typed.clone())),
                "of `{signature}` the body `{typed}` became {}",
                output.join(" ")
            );
        }
    }
}

#[test]
fn the_function_is_there_however_far_its_arguments_are_typed() {
    let args = quote! {
        timeout_ms = 5_000, retry_if = |error| error.is_transient(), breaker(threshold = 3, cooldown_ms = 1_000), cancel = token
    };
    let function = quote! {
        async fn search(&self, query: String) -> Result<Hit, String> { self.index.find(&query).await }
    };
    let body = flat(quote!(self.index.find(&query).await));
    for typed in beginnings(&args) {
        let output = flat(sandboxed(typed.clone(), function.clone()));
        assert!(
            contains(&output, &body),
            "the arguments `{typed}` have dropped the function"
        );
    }
}

#[test]
fn a_block_is_there_as_far_as_it_is_typed() {
    let items = quote! {
        const LIMIT: usize = { 5 };
        #[tool] async fn search(&self, query: String) -> Result<Hit, String> { self.find(&query).await }
        #[sandboxed(max_retries = 1)] pub async fn read(&self) -> Result<Page, String> where Self: Sized { self.page().await }
    };
    for typed in beginnings(&items) {
        let block = braces(typed.clone());
        let output = flat(sandboxed(quote!(timeout_ms = 5), quote!(impl Server #block)));
        assert!(
            contains(&output, &flat(typed.clone())),
            "of `{typed}` is left {}",
            output.join(" ")
        );
    }
}
