//! [`Rule`]: what stands in `#[verdict(..)]`.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Attribute, Fields, Member, Meta, Path, Token};

use crate::args::{edit_distance, no_comma, skip_to_comma};
use crate::errors::Errors;

/// What a value means.
pub(super) enum Meaning {
    Ignore,
    Fail,
    Retry {
        after: Option<Member>,
        is_safe: bool,
    },
    /// What the status in a field means, with the delay in another one where that is to be retried.
    Status {
        status: Member,
        after: Option<Member>,
    },
    /// What the error in a field means.
    Source(Member),
}

impl Meaning {
    pub(super) const RETRY: Meaning = Meaning::Retry {
        after: None,
        is_safe: false,
    };

    /// The field that decides what is meant.
    pub(super) fn field(&self) -> Option<&Member> {
        match self {
            Meaning::Ignore | Meaning::Fail | Meaning::Retry { .. } => None,
            Meaning::Status { status: field, .. } | Meaning::Source(field) => Some(field),
        }
    }

    /// The field that has a delay.
    pub(super) fn after(&self) -> Option<&Member> {
        match self {
            Meaning::Retry { after, .. } | Meaning::Status { after, .. } => after.as_ref(),
            Meaning::Ignore | Meaning::Fail | Meaning::Source(_) => None,
        }
    }

    pub(super) fn may_be_safe(&self) -> bool {
        match self {
            Meaning::Ignore | Meaning::Fail => false,
            Meaning::Retry { is_safe, .. } => *is_safe,
            Meaning::Status { .. } | Meaning::Source(_) => true,
        }
    }
}

/// What an attribute is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Enum,
    Struct,
    Variant,
}

/// Where an attribute stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) name: &'a Ident,
    pub(super) level: Level,
    pub(super) fields: &'a Fields,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Ignore,
    Fail,
    Retry,
    Status,
    Source,
    After,
    Safe,
    Crate,
}

const KEYS: [(Key, &str); 8] = [
    (Key::Ignore, "ignore"),
    (Key::Fail, "fail"),
    (Key::Retry, "retry"),
    (Key::Status, "status"),
    (Key::Source, "source"),
    (Key::After, "after"),
    (Key::Safe, "safe"),
    (Key::Crate, "crate"),
];

impl Key {
    fn text(self) -> &'static str {
        KEYS.iter().find(|(key, _)| *key == self).map_or("", |(_, text)| text)
    }

    /// Whether a value with the key has a meaning by that alone.
    fn is_meaning(self) -> bool {
        matches!(self, Key::Ignore | Key::Fail | Key::Retry | Key::Status | Key::Source)
    }
}

struct Setting {
    key: Key,
    span: Span,
    field: Option<Member>,
}

/// All `#[verdict(..)]` of a type or of a variant.
pub(super) struct Rule {
    pub(super) meaning: Option<Meaning>,
    /// The path of the runtime crate, if it is another one than usual.
    pub(super) runtime: Option<Path>,
    /// Whether there was no mistake.
    pub(super) is_sound: bool,
}

impl Rule {
    pub(super) fn parse(attributes: &[Attribute], place: Place<'_>, errors: &mut Errors) -> Rule {
        let mut parser = Parser {
            place,
            settings: Vec::new(),
            runtime: None,
            mistakes: Errors::default(),
        };
        for attribute in verdicts(attributes) {
            parser.parse(attribute);
        }
        parser.check_together();
        let is_sound = parser.mistakes.is_empty();
        let rule = Rule {
            meaning: is_sound.then(|| parser.meaning()).flatten(),
            runtime: parser.runtime,
            is_sound,
        };
        errors.append(parser.mistakes);
        rule
    }
}

/// Reports attributes that stand where none is read.
pub(super) fn report_on_field(attributes: &[Attribute], errors: &mut Errors) {
    for attribute in verdicts(attributes) {
        let message = "`#[verdict(..)]` is about a whole value; move it above the variant or the struct, and name the field \
                       there, such as `after = 0`";
        errors.report(attribute, message);
    }
}

fn verdicts(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("verdict"))
}

struct Parser<'a> {
    place: Place<'a>,
    settings: Vec<Setting>,
    runtime: Option<Path>,
    mistakes: Errors,
}

impl Parser<'_> {
    fn parse(&mut self, attribute: &Attribute) {
        let parsed = match &attribute.meta {
            Meta::List(list) if !list.tokens.is_empty() => attribute.parse_args_with(|input: ParseStream<'_>| {
                self.parse_settings(input);
                Ok(())
            }),
            _ => Err(syn::Error::new_spanned(
                attribute,
                "`verdict` takes arguments in parentheses; write `#[verdict(ignore)]`",
            )),
        };
        if let Err(error) = parsed {
            self.mistakes.push(error);
        }
    }

    /// Reads `key, key = value, ..`; after a mistake it continues behind the next comma.
    fn parse_settings(&mut self, input: ParseStream<'_>) {
        while !input.is_empty() {
            if let Err(error) = self.parse_setting(input) {
                self.mistakes.push(error);
                skip_to_comma(input);
            }
            if !input.is_empty() && input.parse::<Token![,]>().is_err() {
                self.mistakes.push(input.error(no_comma(input)));
                skip_to_comma(input);
            }
        }
    }

    fn parse_setting(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let Ok(given) = input.call(Ident::parse_any) else {
            return Err(input.error(format!("expected an argument such as {}", keys())));
        };
        let span = given.span();
        let text = given.to_string();
        let Some((key, _)) = KEYS.into_iter().find(|(_, known)| *known == text) else {
            return Err(syn::Error::new(span, unknown_key(&text)));
        };
        if self.is_given(key) {
            let message = format!("`{text}` is given twice; keep one of them");
            return Err(syn::Error::new(span, message));
        }
        self.check_level(key, span)?;
        // Also with a mistake in its value: the key is there.
        self.settings.push(Setting { key, span, field: None });
        let value = self.parse_value(key, span, input)?;
        if let Some(setting) = self.settings.last_mut() {
            setting.field = value;
        }
        Ok(())
    }

    /// Reads what stands behind a key: a field that exists, or nothing.
    fn parse_value(&mut self, key: Key, span: Span, input: ParseStream<'_>) -> syn::Result<Option<Member>> {
        let text = key.text();
        let has_value = input.peek(Token![=]) && !input.peek(Token![==]);
        match key {
            Key::Ignore | Key::Fail | Key::Retry | Key::Safe if has_value || input.peek(syn::token::Paren) => {
                let message = format!("`{text}` takes no value; write `{text}`");
                Err(syn::Error::new(span, message))
            }
            Key::Ignore | Key::Fail | Key::Retry | Key::Safe => Ok(None),
            Key::Source if !has_value => self.only_field(span).map(Some),
            Key::Crate => {
                let mistyped = || {
                    let message = "`crate` takes a path; write `crate = my_crate::sandbox_runtime`";
                    syn::Error::new(span, message)
                };
                input.parse::<Token![=]>().map_err(|_| mistyped())?;
                self.runtime = Some(input.call(Path::parse_mod_style).map_err(|_| mistyped())?);
                Ok(None)
            }
            Key::Status | Key::Source | Key::After => {
                let mistyped = |span| {
                    let message = format!("`{text}` takes the name or the position of a field; write `{text} = 0`");
                    syn::Error::new(span, message)
                };
                input.parse::<Token![=]>().map_err(|_| mistyped(span))?;
                let place = if input.is_empty() { span } else { input.span() };
                let field = input.parse::<Member>().map_err(|_| mistyped(place))?;
                self.check_field(key, &field)?;
                Ok(Some(field))
            }
        }
    }

    /// Checks whether the key can stand where it does.
    fn check_level(&self, key: Key, span: Span) -> syn::Result<()> {
        let text = key.text();
        let message = match (self.place.level, key) {
            (Level::Enum, Key::Status | Key::Source | Key::After) => {
                format!("`{text}` is about a field, which an enum does not have; move it above a variant")
            }
            (Level::Variant, Key::Crate) => "`crate` is about the whole type; move it above the enum".to_owned(),
            _ => return Ok(()),
        };
        Err(syn::Error::new(span, message))
    }

    /// The field that is meant where none is named.
    fn only_field(&self, span: Span) -> syn::Result<Member> {
        let Place { name, fields, .. } = self.place;
        let mut members = fields.members();
        match (members.next(), members.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => {
                let message = format!("`{name}` has no field that could be its source; remove `source`");
                Err(syn::Error::new(span, message))
            }
            (Some(first), Some(_)) => {
                let count = fields.len();
                let first = display(&first);
                let message = format!("`{name}` has {count} fields; name the one that decides: `source = {first}`");
                Err(syn::Error::new(span, message))
            }
        }
    }

    fn check_field(&self, key: Key, field: &Member) -> syn::Result<()> {
        let Place { name, fields, .. } = self.place;
        if fields.members().any(|member| member == *field) {
            return Ok(());
        }
        let text = display(field);
        let known: Vec<_> = fields.members().map(|member| display(&member)).collect();
        let remedy = match known.as_slice() {
            [] => format!("it has no fields: remove `{}`", key.text()),
            [only] => format!("write `{only}`, its only one"),
            _ => match nearest(&text, known.iter().map(String::as_str)) {
                Some(nearest) => format!("did you mean `{nearest}`? (there are `{}`)", known.join("`, `")),
                None => format!("there are `{}`", known.join("`, `")),
            },
        };
        Err(syn::Error::new(
            field.span(),
            format!("`{name}` has no field `{text}`; {remedy}"),
        ))
    }

    /// Checks what the arguments mean together.
    fn check_together(&mut self) {
        let mut meanings = self.settings.iter().filter(|setting| setting.key.is_meaning());
        let first = meanings.next();
        for other in meanings {
            let (first, text) = (first.map_or("", |first| first.key.text()), other.key.text());
            let message =
                format!("`{first}` and `{text}` exclude each other: a value means one thing; keep one of them");
            self.mistakes.push(syn::Error::new(other.span, message));
        }
        if self.is_given(Key::Retry) {
            return;
        }
        let remedy = if first.is_some() { "remove it" } else { "add `retry`" };
        let field = |key| self.settings.iter().find(|setting| setting.key == key)?.field.as_ref();
        if let (Some(status), Some(after)) = (field(Key::Status), field(Key::After))
            && status == after
        {
            let message = "`status` and `after` name the same field; `after` takes the one that has the delay";
            self.mistakes.push(syn::Error::new(after.span(), message));
        }
        let has_status = self.is_given(Key::Status);
        for setting in &self.settings {
            let message = match setting.key {
                // For the statuses that are retried.
                Key::After if has_status => continue,
                Key::After => format!("`after` has no effect without `retry` or `status`; {remedy}"),
                Key::Safe => format!("`safe` has no effect without `retry`; {remedy}"),
                _ => continue,
            };
            self.mistakes.push(syn::Error::new(setting.span, message));
        }
    }

    fn is_given(&self, key: Key) -> bool {
        self.settings.iter().any(|setting| setting.key == key)
    }

    /// What the arguments say, if there is no mistake in them.
    fn meaning(&self) -> Option<Meaning> {
        let field = |key| self.settings.iter().find(|setting| setting.key == key)?.field.clone();
        let meaning = self.settings.iter().find(|setting| setting.key.is_meaning())?;
        match meaning.key {
            Key::Ignore => Some(Meaning::Ignore),
            Key::Fail => Some(Meaning::Fail),
            Key::Retry => Some(Meaning::Retry {
                after: field(Key::After),
                is_safe: self.is_given(Key::Safe),
            }),
            Key::Status => Some(Meaning::Status {
                status: field(Key::Status)?,
                after: field(Key::After),
            }),
            Key::Source => field(Key::Source).map(Meaning::Source),
            Key::After | Key::Safe | Key::Crate => None,
        }
    }
}

fn display(field: &Member) -> String {
    match field {
        Member::Named(name) => name.unraw().to_string(),
        Member::Unnamed(index) => index.index.to_string(),
    }
}

/// All keys, for a message.
fn keys() -> String {
    KEYS.map(|(_, text)| format!("`{text}`")).join(", ")
}

fn unknown_key(text: &str) -> String {
    let known = keys();
    match nearest(text, KEYS.iter().map(|(_, text)| *text)) {
        Some(nearest) => format!("unknown argument `{text}`; did you mean `{nearest}`? (there are {known})"),
        None => format!("unknown argument `{text}`; there are {known}"),
    }
}

/// The word that was meant. What differs in more than a third of its letters is another word: `unsafe` is not `safe`.
fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, nearest) = known.map(|known| (edit_distance(text, known), known)).min()?;
    (distance <= (nearest.len() + 1) / 3).then_some(nearest)
}
