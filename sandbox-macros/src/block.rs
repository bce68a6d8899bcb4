//! `#[sandboxed(..)]` on an `impl` block: its arguments are defaults for the tools in it. Everything else stays as it is.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, Meta, Token, Visibility};

use crate::args::{Args, Key};
use crate::errors::Errors;
use crate::item::{is_function, with_stream};
use crate::types::returned_future;

/// An `impl` block, its items left as tokens, so that half-typed code keeps its own errors.
pub(crate) struct ImplBlock {
    /// All in front of the braces.
    header: TokenStream,
    items: Group,
}

impl ImplBlock {
    /// The block, if the tokens are one.
    pub(crate) fn of(item: &TokenStream) -> Option<ImplBlock> {
        let mut tokens: Vec<TokenTree> = item.clone().into_iter().collect();
        let is_impl = |token: &TokenTree| matches!(token, TokenTree::Ident(ident) if ident == "impl");
        let is_before = |token: &TokenTree| match token {
            TokenTree::Ident(ident) => ident == "unsafe" || ident == "default",
            // An attribute.
            TokenTree::Punct(punct) => punct.as_char() == '#',
            TokenTree::Group(group) => group.delimiter() == Delimiter::Bracket,
            TokenTree::Literal(_) => false,
        };
        tokens
            .iter()
            .find(|token| !is_before(token))
            .filter(|token| is_impl(token))?;
        match tokens.pop() {
            Some(TokenTree::Group(items)) if items.delimiter() == Delimiter::Brace => Some(ImplBlock {
                header: tokens.into_iter().collect(),
                items,
            }),
            _ => None,
        }
    }

    /// The block with an attribute on each of its tools.
    pub(crate) fn expand(self, text: TokenStream) -> TokenStream {
        let mut errors = Errors::default();
        let defaults = Args::parse(text, &mut errors);
        defaults.check_as_defaults(&mut errors);
        let mut found = false;
        let items = |input: ParseStream<'_>| {
            let mut output = TokenStream::new();
            while !input.is_empty() {
                let mut item = BlockItem::parse(input)?;
                if errors.is_empty() {
                    found |= item.set_defaults(&defaults);
                }
                item.to_tokens(&mut output);
            }
            Ok(output)
        };
        let header = self.header;
        match items.parse2(self.items.stream()) {
            Ok(items) => {
                if !found && errors.is_empty() {
                    let message =
                        "the block has no tool; mark the methods with `#[tool]`, or put `#[sandboxed]` on each of them";
                    errors.report(&header, message);
                }
                let (items, errors) = (with_stream(&self.items, items), errors.into_compile_errors());
                quote!(#header #items #errors)
            }
            Err(error) => {
                errors.push(error);
                let (items, errors) = (self.items, errors.into_compile_errors());
                quote!(#header #items #errors)
            }
        }
    }
}

/// An item of the block.
struct BlockItem {
    attributes: Vec<Attribute>,
    /// Whether it is a function that can be sandboxed.
    is_async: bool,
    /// All behind the attributes.
    rest: TokenStream,
}

impl BlockItem {
    /// Sets the defaults of a tool; others stay as they are. Tells whether it is one.
    fn set_defaults(&mut self, defaults: &Args) -> bool {
        let named =
            |attribute: &Attribute, name| attribute.path().segments.last().is_some_and(|last| last.ident == name);
        let own = self
            .attributes
            .iter_mut()
            .find(|attribute| named(attribute, "sandboxed"));
        if let Some(own) = own {
            own.meta = with_defaults(&own.meta, defaults);
            return true;
        }
        // In a function that is not async there is nothing to interrupt.
        let is_tool = self.is_async && self.attributes.iter().any(|attribute| named(attribute, "tool"));
        if is_tool {
            let runtime = match defaults.runtime() {
                Some(runtime) => quote!(#runtime),
                None => quote!(::sandbox_runtime),
            };
            let text = Args::default().over(defaults);
            // In front of the others: `#[tool]` then reads what the user wrote.
            let attribute = syn::parse_quote!(#[#runtime::sandboxed(#text)]);
            self.attributes.insert(0, attribute);
        }
        is_tool
    }
}

/// An attribute of a function's own, with what the block says beside it.
fn with_defaults(own: &Meta, defaults: &Args) -> Meta {
    let mut errors = Errors::default();
    let text = match own {
        Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    let args = Args::parse(text, &mut errors);
    if !errors.is_empty() {
        // The function's own attribute reports them.
        return own.clone();
    }
    let (path, text) = (own.path(), args.over(defaults));
    syn::parse_quote!(#path(#text))
}

impl Parse for BlockItem {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let inner = input.fork();
        let _ = inner.parse::<Visibility>();
        let _ = inner.parse::<Option<Token![default]>>();
        let is_function = is_function(&inner);
        let mut rest = Vec::new();
        while !input.is_empty() {
            let token = input.parse()?;
            let is_end = match &token {
                TokenTree::Punct(punct) => punct.as_char() == ';',
                // Braces may also stand in a type, as in `Array<{ N }>`, or in the value of a constant.
                TokenTree::Group(group) => {
                    let is_in_type = input.peek(Token![>]) || input.peek(Token![,]);
                    group.delimiter() == Delimiter::Brace && !is_in_type && (is_function || !has_value(&rest))
                }
                _ => false,
            };
            rest.push(token);
            if is_end {
                break;
            }
        }
        Ok(BlockItem {
            attributes,
            is_async: is_function && is_async(&rest),
            rest: rest.into_iter().collect(),
        })
    }
}

/// Whether the tokens are the beginning of a constant or a type with a value.
fn has_value(tokens: &[TokenTree]) -> bool {
    tokens
        .iter()
        .any(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '='))
}

/// Whether a function is `async`, or returns a future.
fn is_async(function: &[TokenTree]) -> bool {
    let is_named = |token: &TokenTree, name: &str| matches!(token, TokenTree::Ident(ident) if ident == name);
    let signature = function.split(|token| is_named(token, "fn")).next().unwrap_or_default();
    if signature.iter().any(|token| is_named(token, "async")) {
        return true;
    }
    let Some((_, header)) = function.split_last() else {
        return false;
    };
    let signature: Result<syn::Signature, _> = syn::parse2(without_visibility(header));
    match signature.map(|signature| signature.output) {
        Ok(syn::ReturnType::Type(_, returned)) => returned_future(&returned).is_some(),
        _ => false,
    }
}

fn without_visibility(header: &[TokenTree]) -> TokenStream {
    let tokens: TokenStream = header.iter().cloned().collect();
    let signature = |input: ParseStream<'_>| {
        input.parse::<Visibility>()?;
        input.parse::<TokenStream>()
    };
    signature.parse2(tokens).unwrap_or_default()
}

impl ToTokens for BlockItem {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.attributes.iter().for_each(|attribute| attribute.to_tokens(tokens));
        self.rest.to_tokens(tokens);
    }
}

impl Args {
    /// Checks what makes no sense for all tools of a block.
    fn check_as_defaults(&self, errors: &mut Errors) {
        if let Some(name) = self.value(Key::Name) {
            errors.report(
                name,
                "`name` would be that of every tool in the block; set it on the method",
            );
        }
    }
}
