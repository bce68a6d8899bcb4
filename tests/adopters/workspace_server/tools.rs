//! The forty tools, once for the server as it was written, and once for the one that is guarded.

use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, ProgressNotificationParam, PromptMessage, Role};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, Peer, RoleServer, prompt, prompt_router, tool, tool_router};
use sandbox_runtime::sandboxed;
use tokio_util::sync::CancellationToken;

use super::shapes::*;

/// A server whose block has these attributes, as have two tools in it.
macro_rules! workspace {
    ($server:ident: block [$(#[$block:meta])*], merge [$(#[$merge:meta])*], free [$(#[$free:meta])*]) => {
        pub(crate) struct $server {
            pub(crate) store: Store,
        }

        $(#[$block])*
        #[tool_router(server_handler)]
        #[prompt_router(vis = "pub(crate)")]
        impl $server {
            // Files.

            /// Lists the files in a folder.
            #[tool(annotations(read_only_hint = true))]
            async fn list_files(
                &self,
                Parameters(request): Parameters<Paged<FilePath>>,
            ) -> Result<Json<Listing>, ErrorData> {
                let asked = format!("list {}, {}", request.query.path, request.page());
                let file = self.store.ask(asked).await.map_err(internal)?;
                Ok(Json(request.listing(file)))
            }

            /// Reads a file.
            ///
            /// The whole of it.
            #[tool(annotations(title = "Read a file", read_only_hint = true))]
            async fn read_file(
                &self,
                Parameters(FilePath { path }): Parameters<FilePath>,
            ) -> Result<CallToolResult, ErrorData> {
                let content = self.store.ask(format!("read {path}")).await.map_err(internal)?;
                Ok(success(content))
            }

            #[tool(
                description = "Writes a file",
                annotations(destructive_hint = true, idempotent_hint = true)
            )]
            async fn write_file(&self, params: Parameters<NewFile>) -> Result<CallToolResult, ErrorData> {
                let NewFile { path, content, mode } = params.0;
                let asked = format!("write {content} to {path}, {mode:?}");
                Ok(success(self.store.ask(asked).await.map_err(internal)?))
            }

            #[tool(
                description = "Changes parts of a file",
                annotations(destructive_hint = true, idempotent_hint = false)
            )]
            async fn edit_file(
                &self,
                Parameters(Edits { path, edits }): Parameters<Edits>,
            ) -> Result<CallToolResult, ErrorData> {
                let asked = format!("edit {path}: {edits:?}");
                Ok(success(self.store.ask(asked).await.map_err(internal)?))
            }

            /// Moves a file.
            #[tool(name = "files.move", annotations(destructive_hint = true))]
            async fn move_file(&self, Parameters(request): Parameters<Move>) -> Result<String, WorkspaceError> {
                let Move { from, to } = request;
                Ok(self.store.ask(format!("move {from} to {to}")).await?)
            }

            /// Deletes a file.
            #[tool(annotations(destructive_hint = true, idempotent_hint = true))]
            async fn delete_file(&self, Parameters(file): Parameters<FilePath>) -> Result<(), ErrorData> {
                self.store.ask(format!("delete {}", file.path)).await.map_err(internal)?;
                Ok(())
            }

            /// Waits for the next change of a file.
            #[tool(annotations(read_only_hint = true))]
            async fn watch_file(
                &self,
                Parameters(FilePath { path }): Parameters<FilePath>,
                stop: CancellationToken,
            ) -> Result<String, AppError> {
                tokio::select! {
                    () = stop.cancelled() => Err(anyhow::anyhow!("nobody waits any more").into()),
                    change = self.store.ask(format!("watch {path}")) => Ok(change?),
                }
            }

            // Notes.

            /// Writes a note down.
            #[tool(annotations(destructive_hint = false))]
            async fn create_note(&self, Parameters(note): Parameters<Note>) -> Result<Json<Saved>, String> {
                let asked = format!("note {}: {:?}", note.title, note.body);
                let id = self.store.ask(asked).await.map_err(text)?;
                Ok(Json(Saved { id }))
            }

            /// Finds a note by its title.
            #[tool(annotations(read_only_hint = true))]
            async fn get_note(
                &self,
                Parameters(Note { title, body: _ }): Parameters<Note>,
            ) -> Result<Json<Saved>, String> {
                let id = self.store.ask(format!("note {title}")).await.map_err(text)?;
                Ok(Json(Saved { id }))
            }

            /// Adds text to the end of a note.
            #[tool(annotations(read_only_hint = false, idempotent_hint = false))]
            async fn append_to_note(&self, note: Parameters<Note>) -> Result<String, String> {
                let Parameters(Note { title, body }) = note;
                let body = body.unwrap_or_else(|| "a line".to_owned());
                self.store.ask(format!("append {body} to {title}")).await.map_err(text)
            }

            #[tool(description = "Adds tags to a note, or removes them")]
            async fn tag_note(&self, Parameters(tags): Parameters<Tags>) -> CallToolResult {
                let Tags { title, change } = tags;
                match self.store.ask(format!("tag {title}: {change:?}")).await {
                    Ok(tagged) => success(tagged),
                    Err(error) => CallToolResult::error(vec![ContentBlock::text(error.to_string())]),
                }
            }

            /// Shows a note as it will look.
            #[tool]
            fn render_note(&self, Parameters(Text { text }): Parameters<Text>) -> String {
                format!("<p>{text}</p>")
            }

            /// Keeps a note at the top.
            #[tool]
            async fn pin_note(&self, Parameters(Note { title, .. }): Parameters<Note>) {
                let _ = self.store.ask(format!("pin {title}")).await;
            }

            // Issues.

            /// Lists issues.
            #[tool(annotations(read_only_hint = true, open_world_hint = true))]
            async fn list_issues(
                &self,
                Parameters(request): Parameters<Paged<IssueFilter>>,
            ) -> Result<Json<Listing>, WorkspaceError> {
                let IssueFilter { state, having } = &request.query;
                let asked = format!("issues {state:?} having {having:?}, {}", request.page());
                let issue = self.store.ask(asked).await?;
                Ok(Json(request.listing(issue)))
            }

            /// Reads an issue.
            #[tool(annotations(read_only_hint = true))]
            async fn get_issue(
                &self,
                Parameters(Number { number }): Parameters<Number>,
            ) -> Result<CallToolResult, CallToolResult> {
                let issue = self.store.ask(format!("issue {number}")).await;
                issue.map(success).map_err(|error| success(error.to_string()))
            }

            /// Reports an issue.
            #[tool(annotations(destructive_hint = false, open_world_hint = true))]
            async fn create_issue(&self, Parameters(issue): Parameters<NewIssue>) -> Result<Json<Saved>, ErrorData> {
                let asked = format!("report {}, labels {:?}", issue.title, issue.labels);
                let id = self.store.ask(asked).await.map_err(internal)?;
                Ok(Json(Saved { id }))
            }

            /// Changes what is given of an issue.
            #[tool(annotations(idempotent_hint = true))]
            async fn update_issue(&self, params: Parameters<IssueUpdate>) -> Result<Json<Saved>, WorkspaceError> {
                let IssueUpdate { number, title, fields } = params.0;
                let id = self.store.ask(format!("update {number}: {title:?} {fields:?}")).await?;
                Ok(Json(Saved { id }))
            }

            #[tool(description = "Closes an issue", annotations(idempotent_hint = true))]
            async fn close_issue(&self, Parameters(issue): Parameters<Number>) -> Result<String, AppError> {
                Ok(self.store.ask(format!("close {}", issue.number)).await?)
            }

            /// Comments on an issue.
            #[tool(name = "issues.comment", annotations(destructive_hint = false))]
            async fn comment_on_issue(
                &self,
                Parameters(Comment { number, body }): Parameters<Comment>,
            ) -> Result<CallToolResult, ErrorData> {
                let asked = format!("comment {body} on {number}");
                Ok(success(self.store.ask(asked).await.map_err(internal)?))
            }

            /// Lists the templates of issues.
            #[tool(annotations(read_only_hint = true))]
            fn issue_templates(&self) -> Result<CallToolResult, ErrorData> {
                Ok(success("bug, wish".to_owned()))
            }

            // Pull requests.

            /// Lists pull requests.
            #[tool(annotations(read_only_hint = true))]
            async fn list_pull_requests(
                &self,
                Parameters(mut request): Parameters<Paged<IssueFilter>>,
            ) -> Result<Json<Listing>, String> {
                let state = request.query.state.take();
                let asked = format!("pull requests {state:?}, {}", request.page());
                let pull_request = self.store.ask(asked).await.map_err(text)?;
                Ok(Json(request.listing(pull_request)))
            }

            /// Shows what a pull request changes.
            #[tool(annotations(read_only_hint = true))]
            async fn get_diff(
                &self,
                context: RequestContext<RoleServer>,
                Parameters(pull_request): Parameters<Number>,
            ) -> Result<CallToolResult, ErrorData> {
                let asked = format!("diff {} for request {}", pull_request.number, context.id);
                Ok(success(self.store.ask(asked).await.map_err(internal)?))
            }

            /// Approves a pull request, or asks for changes.
            #[tool(annotations(read_only_hint = false))]
            async fn review_pull_request(
                &self,
                Parameters(review): Parameters<Review>,
            ) -> Result<String, WorkspaceError> {
                let Review { number, outcome } = review;
                Ok(self.store.ask(format!("review {number}: {outcome:?}")).await?)
            }

            /// Merges a pull request.
            $(#[$merge])*
            #[tool(annotations(destructive_hint = true, idempotent_hint = false))]
            async fn merge_pull_request(
                &self,
                Parameters(pull_request): Parameters<Number>,
            ) -> Result<Json<Saved>, AppError> {
                let id = self.store.ask(format!("merge {}", pull_request.number)).await?;
                Ok(Json(Saved { id }))
            }

            /// Asks people and teams for a review.
            #[tool]
            async fn request_reviewers(
                &self,
                Parameters(request): Parameters<Reviewers>,
            ) -> Result<String, String> {
                let Reviewers { number, reviewers } = request;
                let mut asked = format!("reviewers of {number}:");
                for reviewer in reviewers {
                    asked += &match reviewer {
                        Party::Team { team } => format!(" team {team}"),
                        Party::Person(person) => format!(" {person}"),
                    };
                }
                self.store.ask(asked).await.map_err(text)
            }

            // Calendar.

            /// Lists events.
            #[tool(annotations(read_only_hint = true))]
            async fn list_events(&self, params: Parameters<Paged<Span>>) -> Result<Json<Listing>, ErrorData> {
                let request = params.0;
                let asked = format!("events {:?}, {}", request.query, request.page());
                let event = self.store.ask(asked).await.map_err(internal)?;
                Ok(Json(request.listing(event)))
            }

            /// Invites guests to an event.
            #[tool(annotations(destructive_hint = false, idempotent_hint = false))]
            async fn create_event(
                &self,
                Parameters(event): Parameters<NewEvent>,
            ) -> Result<Json<Saved>, String> {
                let NewEvent { title, span, guests } = event;
                let id = self.store.ask(format!("event {title} {span:?} {guests:?}")).await.map_err(text)?;
                Ok(Json(Saved { id }))
            }

            /// Moves an event to another time.
            #[tool(annotations(idempotent_hint = true))]
            async fn move_event(&self, Parameters(event): Parameters<NewEvent>) -> Result<String, WorkspaceError> {
                let NewEvent { title, span, .. } = event;
                Ok(self.store.ask(format!("move {title} to {span:?}")).await?)
            }

            /// Finds a time that suits everybody.
            $(#[$free])*
            #[tool(annotations(read_only_hint = true))]
            async fn find_free_time(&self, Parameters(span): Parameters<Span>) -> Result<Json<Saved>, ErrorData> {
                let id = self.store.ask(format!("free {span:?}")).await.map_err(internal)?;
                Ok(Json(Saved { id }))
            }

            #[tool(description = "A time as people write it")]
            fn format_time(&self, Parameters(Span { starts_at, ends_at }): Parameters<Span>) -> Result<String, String> {
                Ok(format!("from {starts_at} to {ends_at}"))
            }

            // Mail.

            /// Searches mail.
            #[tool(annotations(read_only_hint = true))]
            async fn search_mail(
                &self,
                Parameters(request): Parameters<Paged<Text>>,
            ) -> Result<Json<Listing>, AppError> {
                let mail = self.store.ask(format!("mail {}, {}", request.query.text, request.page())).await?;
                Ok(Json(request.listing(mail)))
            }

            /// Sends a mail.
            #[tool(annotations(destructive_hint = false, open_world_hint = true))]
            async fn send_mail(
                &self,
                Parameters(Mail { to, subject }): Parameters<Mail>,
                client: Peer<RoleServer>,
                context: RequestContext<RoleServer>,
            ) -> Result<CallToolResult, ErrorData> {
                if let Some(token) = context.meta.get_progress_token() {
                    let begun = ProgressNotificationParam::new(token, 0.0);
                    let told = client.notify_progress(begun).await;
                    told.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
                }
                let asked = format!("send {subject} to {to:?}");
                Ok(success(self.store.ask(asked).await.map_err(internal)?))
            }

            /// Marks a mail as read.
            #[tool]
            async fn mark_read(&self, Parameters(Number { number }): Parameters<Number>) {
                let _ = self.store.ask(format!("mark {number}")).await;
            }

            /// Proposes a reply.
            #[tool]
            async fn draft_reply(&self, Parameters(mail): Parameters<Mail>) -> String {
                let reply = self.store.ask(format!("reply to {} of {:?}", mail.subject, mail.to)).await;
                reply.unwrap_or_else(|error| format!("no reply: {error}"))
            }

            // Search.

            /// Searches everything, by any fields.
            #[tool(annotations(read_only_hint = true))]
            async fn search_all(&self, fields: JsonObject) -> Result<CallToolResult, ErrorData> {
                let fields: Vec<_> = fields.into_iter().map(|(field, value)| format!("{field}={value}")).collect();
                Ok(success(self.store.ask(format!("search {fields:?}")).await.map_err(internal)?))
            }

            /// Completes what is being typed.
            #[tool(annotations(read_only_hint = true))]
            async fn suggest(&self, Parameters(Text { text }): Parameters<Text>) -> ContentBlock {
                let suggestion = self.store.ask(format!("suggest {text}")).await;
                ContentBlock::text(suggestion.unwrap_or_else(|error| error.to_string()))
            }

            /// Builds the index anew.
            #[tool(annotations(idempotent_hint = true))]
            async fn reindex(&self) -> Result<String, String> {
                self.store.ask("reindex".to_owned()).await.map_err(text)
            }

            // Metrics.

            /// Sums a metric up.
            #[tool(annotations(read_only_hint = true))]
            async fn query_metrics(
                &self,
                Parameters(aggregation): Parameters<Aggregation>,
            ) -> Result<Json<Saved>, String> {
                let Aggregation { name, by } = aggregation;
                let id = self.store.ask(format!("metric {name} by {by:?}")).await.map_err(text)?;
                Ok(Json(Saved { id }))
            }

            /// Adds a value to a metric.
            #[tool(annotations(idempotent_hint = false))]
            async fn record_metric(&self, Parameters(metric): Parameters<Metric>) -> Result<(), WorkspaceError> {
                self.store.ask(format!("record {} as {}", metric.name, metric.value)).await?;
                Ok(())
            }

            /// The version of the server.
            #[tool(annotations(read_only_hint = true))]
            fn version(&self) -> String {
                "0.0.0".to_owned()
            }

            // What follows are no tools.

            /// Asks for a summary of an issue.
            #[prompt(name = "summarize")]
            pub(crate) async fn summarize(
                &self,
                Parameters(Number { number }): Parameters<Number>,
            ) -> Result<Vec<PromptMessage>, ErrorData> {
                let issue = self.issue(number).await?;
                Ok(vec![PromptMessage::new_text(Role::User, format!("Summarize {issue}"))])
            }

            async fn issue(&self, number: u64) -> Result<String, ErrorData> {
                self.store.ask(format!("issue {number}")).await.map_err(internal)
            }
        }
    };
}

workspace!(Plain: block [], merge [], free []);

// The breakers are those of the process, which the tests share: none is to open.
workspace!(Guarded:
    block [#[sandboxed(timeout_ms = 25_000, breaker(threshold = 100))]],
    merge [#[sandboxed(timeout_ms = 40_000, max_retries = 0)]],
    free [#[sandboxed(timeout_ms = 5_000, max_retries = 1)]]
);
