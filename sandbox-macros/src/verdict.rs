//! `#[derive(ErrorVerdict)]`: from an error type and its `#[verdict(..)]` to an `impl`.

mod rule;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Attribute, Field, Fields, Generics, Item, Member};

use crate::errors::Errors;
use crate::types::is_borrowed;
use rule::{Level, Meaning, Place, Rule};

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let derived = match syn::parse2(item) {
        Ok(item) => Derived::new(&item, &mut errors).map(|derived| derived.implementation()),
        Err(error) => {
            errors.push(error);
            None
        }
    };
    // Also after a mistake: functions that return the type then have no errors of their own.
    let errors = errors.into_compile_errors();
    quote!(#derived #errors)
}

/// An error type, as far as a derive is concerned with it.
struct Derived<'a> {
    name: &'a Ident,
    generics: &'a Generics,
    private: TokenStream,
    cases: Vec<Case>,
    /// What a value means about which nothing else is said.
    default: Meaning,
}

/// A variant, or the one case that a struct has.
struct Case {
    /// Its path, from within the `impl`.
    path: TokenStream,
    meaning: Option<Meaning>,
}

impl<'a> Derived<'a> {
    fn new(item: &'a Item, errors: &mut Errors) -> Option<Self> {
        let (attributes, name, generics) = match item {
            Item::Enum(item) => (&item.attrs, &item.ident, &item.generics),
            Item::Struct(item) => (&item.attrs, &item.ident, &item.generics),
            Item::Union(item) => {
                errors.report(
                    item.union_token,
                    "`ErrorVerdict` is derived for an enum or a struct; implement it by hand",
                );
                return None;
            }
            // A derive is above nothing else.
            _ => return None,
        };
        let (level, fields) = match item {
            Item::Struct(item) => (Level::Struct, &item.fields),
            _ => (Level::Enum, &Fields::Unit),
        };
        let rule = Rule::parse(attributes, Place { name, level, fields }, errors);
        let mut derived = Derived {
            name,
            generics,
            private: match &rule.runtime {
                Some(runtime) => quote!(#runtime::private),
                None => quote!(::sandbox_runtime::private),
            },
            cases: Vec::new(),
            default: Meaning::RETRY,
        };
        if let Item::Enum(item) = item {
            derived.default = rule.meaning.unwrap_or(Meaning::RETRY);
            let cases = item.variants.iter().map(|variant| Case::of_variant(variant, errors));
            derived.cases.extend(cases);
        } else {
            derived
                .cases
                .push(Case::new(quote!(Self), attributes, fields, rule, errors));
        }
        Some(derived)
    }

    fn implementation(&self) -> TokenStream {
        let Derived {
            name,
            generics,
            private,
            ..
        } = self;
        let (impl_generics, arguments, conditions) = generics.split_for_impl();
        let verdict = self.by_case(&self.verdict(&self.default), |meaning| {
            let delay = meaning.after().map(|field| bind(field, &delay(field)));
            Some((self.verdict(meaning), delay))
        });
        let is_safe = self.is_safe_to_retry();
        quote! {
            #[automatically_derived]
            impl #impl_generics #private::ErrorVerdict for #name #arguments #conditions {
                fn verdict(&self) -> #private::Verdict {
                    #verdict
                }
                #is_safe
            }
        }
    }

    /// The second method, where it differs from the trait's own.
    fn is_safe_to_retry(&self) -> Option<TokenStream> {
        let default = self.is_safe(&self.default);
        let is_uniform = self.cases.iter().all(|case| match &case.meaning {
            Some(meaning) => !meaning.may_be_safe(),
            None => !self.default.may_be_safe(),
        });
        let is_safe = self.by_case(&default, |meaning| {
            meaning.may_be_safe().then(|| (self.is_safe(meaning), None))
        });
        (!is_uniform).then(|| {
            quote! {
                fn is_safe_to_retry(&self) -> bool {
                    #is_safe
                }
            }
        })
    }

    /// An expression that is `of` a case's meaning, with what it binds beside the field that decides; `None` stands for `false`.
    fn by_case(
        &self,
        default: &TokenStream,
        of: impl Fn(&Meaning) -> Option<(TokenStream, Option<TokenStream>)>,
    ) -> TokenStream {
        if self.cases.is_empty() {
            return quote!(match *self {});
        }
        let arms = self.cases.iter().map(|Case { path, meaning }| match meaning {
            None => quote!(#path { .. } => #default,),
            Some(meaning) => {
                let Some((value, further)) = of(meaning) else {
                    return quote!(#path { .. } => false,);
                };
                let field = meaning.field().map(|field| bind(field, &variable(field)));
                quote!(#path { #field #further .. } => #value,)
            }
        });
        quote!(match self { #(#arms)* })
    }

    /// The verdict of a meaning, with a variable for its field.
    fn verdict(&self, meaning: &Meaning) -> TokenStream {
        let private = &self.private;
        let field = meaning.field().map(variable);
        match meaning {
            Meaning::Ignore => quote!(#private::Verdict::Ignore),
            Meaning::Fail => quote!(#private::Verdict::Fail),
            Meaning::Retry { after: None, .. } => quote!(#private::Verdict::RETRY),
            Meaning::Retry { after: Some(after), .. } => {
                let delay = delay(after);
                quote_spanned!(at(after)=> #private::Delay::retry_after(#delay))
            }
            Meaning::Status { status, after } => {
                let read = quote_spanned!(at(status)=> #private::Status::status(#field));
                match after {
                    None => quote!(#private::verdict_of_status(#read)),
                    Some(after) => {
                        let delay = delay(after);
                        let delay = quote_spanned!(at(after)=> #private::Delay::delay(#delay));
                        quote!(#private::verdict_of_status_after(#read, #delay))
                    }
                }
            }
            Meaning::Source(source) => {
                let default = self.verdict(&self.default);
                quote_spanned!(at(source)=> match #private::source(#field).known() {
                    #private::Some(#field) => #private::ErrorVerdict::verdict(#field),
                    _ => #default,
                })
            }
        }
    }

    /// Whether another attempt is safe, with a variable for the meaning's field.
    fn is_safe(&self, meaning: &Meaning) -> TokenStream {
        let private = &self.private;
        let field = meaning.field().map(variable);
        match meaning {
            Meaning::Ignore | Meaning::Fail => quote!(false),
            Meaning::Retry { is_safe, .. } => quote!(#is_safe),
            Meaning::Status { status, .. } => {
                quote_spanned!(at(status)=> #private::is_status_safe_to_retry(#private::Status::status(#field)))
            }
            Meaning::Source(source) => {
                let default = self.is_safe(&self.default);
                quote_spanned!(at(source)=> match #private::source(#field).known() {
                    #private::Some(#field) => #private::ErrorVerdict::is_safe_to_retry(#field),
                    _ => #default,
                })
            }
        }
    }
}

impl Case {
    fn of_variant(variant: &syn::Variant, errors: &mut Errors) -> Case {
        let (name, fields) = (&variant.ident, &variant.fields);
        let level = Level::Variant;
        let rule = Rule::parse(&variant.attrs, Place { name, level, fields }, errors);
        Case::new(quote!(Self::#name), &variant.attrs, fields, rule, errors)
    }

    fn new(path: TokenStream, attributes: &[Attribute], fields: &Fields, rule: Rule, errors: &mut Errors) -> Case {
        for field in fields {
            rule::report_on_field(&field.attrs, errors);
        }
        let is_given = rule.meaning.is_some() || !rule.is_sound;
        let source = source(attributes, fields).filter(|_| !is_given).map(Meaning::Source);
        Case {
            path,
            meaning: rule.meaning.or(source),
        }
    }
}

/// The field that an error type made with `thiserror`, or one like it, shows to be the error's source.
fn source(attributes: &[Attribute], fields: &Fields) -> Option<Member> {
    let is_transparent = attributes.iter().any(is_transparent) && fields.len() == 1;
    let is_source = |(_, field): &(Member, &Field)| {
        let named = field.ident.as_ref().is_some_and(|name| name == "source");
        let marked = |attribute: &Attribute| attribute.path().is_ident("from") || attribute.path().is_ident("source");
        // A source is `'static`: only such an error can be asked what it is.
        (is_transparent || named || field.attrs.iter().any(marked)) && !is_borrowed(&field.ty)
    };
    let (member, _) = fields.members().zip(fields).find(is_source)?;
    Some(member)
}

/// Whether the attribute is `#[error(transparent)]`.
fn is_transparent(attribute: &Attribute) -> bool {
    let word = || attribute.parse_args::<Ident>();
    attribute.path().is_ident("error") && word().is_ok_and(|word| word == "transparent")
}

/// The variable for the field that decides, at the field's name: a type that does not fit is reported there.
fn variable(field: &Member) -> Ident {
    Ident::new("__sandboxed_field", at(field))
}

/// The same for one that has a delay.
fn delay(field: &Member) -> Ident {
    Ident::new("__sandboxed_delay", at(field))
}

/// The part of a pattern that binds a field.
fn bind(field: &Member, variable: &Ident) -> TokenStream {
    quote!(#field: #variable,)
}

/// The place of a field's name, for generated code.
fn at(field: &Member) -> Span {
    let span = match field {
        Member::Named(name) => name.span(),
        Member::Unnamed(index) => index.span,
    };
    span.resolved_at(Span::mixed_site())
}
