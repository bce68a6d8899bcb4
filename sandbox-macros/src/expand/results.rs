//! What the results of a tool mean, and who speaks for it: all that follows from the return type, then what the user says.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse_quote;

use super::{Expansion, FRAMEWORKS};
use crate::args::Name;
use crate::types::known;

impl Expansion<'_> {
    /// The setters of a tool, in an order in which later ones replace what earlier ones say.
    pub(super) fn results(&self) -> TokenStream {
        let value = |name| self.args.value(name);
        let speaks = value(Name::OnFailure);
        // Without a function to speak for it, a return type has to say of itself what its values mean: the default.
        let by_type = (speaks.is_some() || FRAMEWORKS).then(|| self.by_type());
        let retried = value(Name::RetryIf).map(|retryable| quote!(.retry_if(#retryable)));
        let ignored = value(Name::IgnoreIf).map(|callers_fault| quote!(.ignore_if(#callers_fault)));
        let classified = value(Name::Classify).map(|verdict| quote!(.classify(#verdict)));
        let spoken = speaks.map(|speak| {
            let note = self.note();
            quote!(#note.on_failure(#speak))
        });
        quote!(#by_type #retried #ignored #classified #spoken)
    }

    /// What can be told of the return type: more than the bounds of a generic function could.
    fn by_type(&self) -> TokenStream {
        let private = self.private(self.place);
        let answers = self.answers();
        quote! {
            .handled_by({
                #[allow(unused_imports)]
                use #private::handlers::*;
                (&&&&&&#answers).__sandboxed_handler()
            })
        }
    }

    /// Stands for what an attempt yields. A part that is opaque could be anything, and so could be taken for all that is asked
    /// for: in its place stands one of which nothing is known.
    fn answers(&self) -> TokenStream {
        let private = self.private(self.place);
        let returned = known(self.returned, &parse_quote!(#private::Opaque));
        quote!(#private::Answers::<#returned>::NEW)
    }

    /// The last error is kept for the function that speaks, if it has a text.
    fn note(&self) -> TokenStream {
        let private = self.private(self.place);
        let answers = self.answers();
        quote! {
            .noted({
                #[allow(unused_imports)]
                use #private::notes::*;
                (&&&#answers).__sandboxed_note()
            })
        }
    }
}
