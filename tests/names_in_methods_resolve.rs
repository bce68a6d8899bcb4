//! The names in a method resolve as before, `self` and format arguments included, whatever its receiver and whatever its body
//! does with it.

use std::fmt;
use std::sync::Arc;

use sandbox_runtime::{SandboxError, sandboxed};

#[derive(Clone, Debug, Default, PartialEq)]
struct Log {
    lines: Vec<String>,
    attempts: u32,
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log of {}", self.lines.len())
    }
}

/// A method whose expansion has a `self` of its own beside the one that it is given.
macro_rules! method {
    ($self:ident, $name:ident, $body:block) => {
        #[sandboxed(backoff_base_ms = 0, breaker = off)]
        async fn $name(&mut $self) -> Result<String, String> {
            struct Other;
            impl Other {
                fn number(&self) -> u32 {
                    let _ = self;
                    1
                }
            }
            $self.attempts += Other.number();
            $body
        }
    };
}

impl Log {
    fn third(&self) -> Result<(), String> {
        if self.attempts < 3 {
            Err(format!("attempt {}", self.attempts))
        } else {
            Ok(())
        }
    }

    #[sandboxed(backoff_base_ms = 0, breaker = off)]
    async fn lent(&mut self, by: &str, text: &str, width: usize) -> Result<String, String> {
        self.attempts += 1;
        self.third()?;
        self.lines
            .push(format!("{by}: {text:>width$} {text:.width$} {{self}} {by}"));
        Ok(format!("{self} {} {self:?}", "{self}"))
    }

    #[sandboxed(backoff_base_ms = 0, breaker = off)]
    async fn owned(mut self, by: String) -> Result<String, String> {
        let Log { lines, .. } = &mut self;
        lines.push(by.clone());
        Ok(format!("{self} by {by}, {}", stringify!(self.lines)))
    }

    #[sandboxed(backoff_base_ms = 0, breaker = off)]
    async fn shared(self: Arc<Self>, by: String) -> Result<String, String> {
        Ok(format!("{self} by {by:?}"))
    }

    /// In a block that owns what it mentions `self` needs another name, which only the compiler's messages show.
    #[sandboxed(backoff_base_ms = 0, breaker = off)]
    async fn moved(&mut self, by: &str) -> Result<String, String> {
        let pushed = async move {
            self.attempts += 1;
            self.third()?;
            self.lines.push(by.to_owned());
            Ok::<_, String>(self)
        };
        let log = pushed.await?;
        if log.attempts != 3 {
            return Err(format!("{by} {{self}}"));
        }
        Ok(format!("{log} by {by}"))
    }

    #[sandboxed(backoff_base_ms = 0, breaker = off)]
    async fn moved_and_formatted(&mut self, by: &str) -> Result<String, String> {
        let text = format!("{self} {{self}} by {by} {self:?}");
        let whole = self;
        Ok(format!("{text} {whole}"))
    }

    #[sandboxed(max_retries = 0, breaker = off)]
    async fn once(&mut self, by: &str) -> Result<String, String> {
        let text = format!("{self} by {by} {}", stringify!(self.lines));
        let whole = self;
        whole.lines.clear();
        Ok(text)
    }

    /// An item in the body has a receiver and lifetimes of its own.
    #[sandboxed(backoff_base_ms = 0, breaker = off)]
    async fn with_items(&mut self) -> Result<usize, String> {
        fn words<'a>(text: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
            text.split(' ')
        }
        Ok(words(&format!("{self}")).count())
    }

    #[sandboxed(backoff_base_ms = 0, breaker = off)]
    async fn asserting(&mut self) -> Result<(), SandboxError> {
        assert!(self.lines.len() > 7);
        Ok(())
    }

    #[sandboxed(backoff_base_ms = 0, breaker = off)]
    async fn traced(&mut self) -> Result<usize, String> {
        tracing::info!(self.attempts, log = %self, ?self.lines, "{self}");
        Ok(self.lines.len())
    }

    #[sandboxed]
    async fn only_words(&self, #[expect(unused_variables)] path: NotClone, no_path: u32) -> Result<u32, String> {
        let text = "path self {path}".len();
        if text == 0 { Err("no_path".into()) } else { Ok(no_path) }
    }

    method!(self, made_by_a_macro, {
        self.third()?;
        Ok(format!("{self}"))
    });
}

struct NotClone;

#[tokio::test(start_paused = true)]
async fn in_a_method_that_lends_self() {
    let mut log = Log::default();
    let text = log.lent("ann", "hi", 4).await.unwrap();
    assert_eq!(log.lines, ["ann:   hi hi {self} ann"]);
    assert_eq!(text, format!("{} {{self}} {:?}", log, log));
    assert_eq!(log.with_items().await, Ok(3));
    assert_eq!(log.traced().await, Ok(1));
    assert_eq!(Log::default().made_by_a_macro().await, Ok("log of 0".into()));
}

#[tokio::test(start_paused = true)]
async fn in_a_method_that_owns_self() {
    let owned = Log::default().owned("bob".into()).await;
    assert_eq!(owned, Ok("log of 1 by bob, self.lines".into()));
    let shared = Arc::new(Log::default()).shared("bob".into()).await;
    assert_eq!(shared, Ok("log of 0 by \"bob\"".into()));
}

#[tokio::test(start_paused = true)]
async fn in_a_method_that_moves_self() {
    let mut log = Log::default();
    assert_eq!(log.moved("ann").await, Ok("log of 1 by ann".into()));
    assert_eq!((log.attempts, log.lines.len()), (3, 1));
    let expected = format!("{} {{self}} by ann {:?} {}", log, log, log);
    assert_eq!(log.moved_and_formatted("ann").await, Ok(expected));
    assert_eq!(log.once("ann").await, Ok("log of 1 by ann self.lines".into()));
    assert!(log.lines.is_empty());
}

#[tokio::test(start_paused = true)]
async fn in_what_a_macro_shows_of_the_text() {
    let error = Log::default().asserting().await.unwrap_err();
    assert_eq!(
        error.to_string().split("assertion failed: ").nth(1),
        Some("self.lines.len() > 7")
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_in_a_text_is_no_mention_of_an_argument() {
    assert_eq!(Log::default().only_words(NotClone, 7).await, Ok(7));
}
