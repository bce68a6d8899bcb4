//! What a function drops, it drops in the order in which it did without the attribute: each of these functions is there twice,
//! and the plain one says what is right. The order depends on the edition.

use std::sync::Mutex;

use sandbox_runtime::sandboxed;

type Log = Mutex<Vec<&'static str>>;

/// Says in the log when it is dropped.
#[derive(Clone)]
struct Noted<'a>(&'static str, &'a Log);

impl Noted<'_> {
    fn ready(&self) -> Result<&'static str, String> {
        Ok(self.0)
    }

    fn borrowed(&self) -> Noted<'_> {
        Noted("borrowed", self.1)
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

/// The function as it is, and in modules the function under the attribute.
macro_rules! twice {
    ($($function:tt)*) => {
        $($function)*

        pub(super) mod once {
            use super::*;
            #[sandboxed(max_retries = 0)]
            $($function)*
        }

        pub(super) mod retried {
            use super::*;
            #[sandboxed]
            $($function)*
        }
    };
}

/// Runs all three, and returns what they dropped.
macro_rules! logs {
    ($($module:ident)::*, $function:ident($($argument:literal),*)) => {{
        let (plain, once, retried) = (Log::default(), Log::default(), Log::default());
        $($module)::*::$function($(Noted($argument, &plain)),*).await.unwrap();
        $($module)::*::once::$function($(Noted($argument, &once)),*).await.unwrap();
        $($module)::*::retried::$function($(Noted($argument, &retried)),*).await.unwrap();
        [plain, once, retried].map(|log| log.into_inner().unwrap())
    }};
}

mod temporaries {
    use super::*;

    twice! {
        pub async fn of_the_last_expression(_first: Noted<'_>, second: Noted<'_>) -> Result<&'static str, String> {
            let _local = Noted("local", second.1);
            tokio::task::yield_now().await;
            Noted("temporary", second.1).borrowed().ready()
        }
    }
}

mod borrowing {
    use super::*;

    twice! {
        /// In the editions in which a temporary outlives the block, it may borrow from an argument and not from a local.
        pub async fn from_an_argument(argument: Noted<'_>) -> Result<&'static str, String> {
            argument.borrowed().ready()
        }
    }
}

mod arguments {
    use super::*;

    twice! {
        pub async fn in_any_order(first: Noted<'_>, _second: Noted<'_>, third: Noted<'_>) -> Result<(), String> {
            let _ = (&first, third.0);
            first.1.lock().unwrap().push("body");
            Ok(())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn temporaries_go_when_they_went() {
    let [plain, once, retried] = logs!(temporaries, of_the_last_expression("first", "second"));
    assert_eq!(once, plain);
    // Of what is cloned, the attempt's own go first. What the body does not mention is not cloned.
    let own: Vec<_> = retried.iter().copied().take(4).collect();
    let without_first: Vec<_> = plain.iter().copied().filter(|name| *name != "first").collect();
    assert_eq!(own, without_first, "of {:?}", retried);
    assert_eq!(retried[4..], ["second", "first"], "of {:?}", retried);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_may_borrow_from_an_argument() {
    let [plain, once, retried] = logs!(borrowing, from_an_argument("argument"));
    assert_eq!(once, plain);
    assert_eq!(retried, ["borrowed", "argument", "argument"]);
}

#[tokio::test(start_paused = true)]
async fn arguments_go_in_their_order_whether_the_body_mentions_them_or_not() {
    let [plain, once, retried] = logs!(arguments, in_any_order("first", "second", "third"));
    assert_eq!(once, plain);
    assert_eq!(plain, ["body", "third", "second", "first"]);
    assert_eq!(
        retried,
        ["body", "third", "first", "third", "second", "first"],
        "the attempt's own, then those of the call"
    );
}
