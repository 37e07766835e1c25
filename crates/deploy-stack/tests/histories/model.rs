//! A model of CloudFormation: stacks, change sets and operations that take time, and what each call may do when.
//!
//! It keeps the books that the checks are made on: whose change set was executed, how that ended, what was deleted.

use std::collections::BTreeSet;

use towpath_stack::StackStatus as S;

use crate::chance::Chance;

/// The stack's name, and what its template is to come to.
pub(crate) const NAME: &str = "app";
pub(crate) const DESIRED: u32 = 100;

const ACCOUNT: &str = "arn:aws:cloudformation:eu-west-1:111111111111";

/// A stack, there or deleted.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    pub(crate) arn: String,
    pub(crate) status: S,
    pub(crate) updated: Option<u64>,
    /// The change set that was executed last.
    pub(crate) change_set: Option<String>,
    pub(crate) protected: bool,
    /// The template that it has.
    content: u32,
    /// Whether its creation ever came to a good end.
    worked: bool,
    /// Whether our own change set made it.
    ours: bool,
    operation: Option<Operation>,
    /// How many things have happened to it.
    version: u32,
    tokens: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct Operation {
    /// What it does next, the last first.
    ahead: Vec<S>,
    change_set: Option<String>,
    content: u32,
    token: Option<String>,
}

/// A change set.
#[derive(Debug, Clone)]
pub(crate) struct ChangeSet {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) stack: String,
    pub(crate) status: &'static str,
    pub(crate) execution: &'static str,
    pub(crate) reason: &'static str,
    token: String,
    content: u32,
    create: bool,
    /// The stack's version that it was made for.
    version: u32,
    failing: bool,
}

/// Something that happened to a stack, for `DescribeStackEvents`.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) stack: String,
    pub(crate) at: u64,
    pub(crate) status: S,
    pub(crate) token: Option<String>,
    /// Of a resource, and not of the stack.
    pub(crate) failed_resource: bool,
}

/// A refusal: its code, and its words.
pub(crate) type Refusal = (&'static str, String);

/// What the history is judged by.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Each effective execution of a change set of ours, and how it ended.
    pub(crate) executed: Vec<(String, Option<bool>)>,
    /// At some moment the stack stood, with the template that was wanted.
    pub(crate) satisfied: bool,
    /// At some moment there was no stack.
    pub(crate) absent: bool,
    /// What may not happen, and did.
    pub(crate) wrong: Vec<String>,
}

/// All of CloudFormation, as far as it matters here.
#[derive(Debug)]
pub(crate) struct CloudFormation {
    pub(crate) now: u64,
    pub(crate) stacks: Vec<Stack>,
    pub(crate) sets: Vec<ChangeSet>,
    pub(crate) events: Vec<Event>,
    pub(crate) books: Books,
    /// Whether deleting a stack that has worked was asked for.
    pub(crate) may_delete: bool,
    /// Somebody else, or late reads, have had a hand in it: a call that comes too late is no mistake then.
    pub(crate) disturbed: bool,
    numbers: u32,
}

impl CloudFormation {
    /// A world in which the stack is in this state; without one, it is not there.
    pub(crate) fn new(status: Option<S>, chance: &mut Chance) -> Self {
        let mut world = Self {
            now: 0,
            stacks: Vec::new(),
            sets: Vec::new(),
            events: Vec::new(),
            books: Books::default(),
            may_delete: false,
            disturbed: false,
            numbers: 0,
        };
        if let Some(status) = status {
            world.stack_in(status, chance);
        }
        world.keep_books();
        world
    }

    fn number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }

    fn stack_in(&mut self, status: S, chance: &mut Chance) {
        let arn = format!("{ACCOUNT}:stack/{NAME}/{}", self.number());
        let content = if chance.one_in(4) { DESIRED } else { 1 };
        let creating = matches!(
            status,
            S::CreateInProgress
                | S::CreateFailed
                | S::RollbackInProgress
                | S::RollbackFailed
                | S::RollbackComplete
                | S::ReviewInProgress
                | S::ImportInProgress
        );
        let mut stack = Stack {
            arn,
            status,
            updated: (!creating).then_some(0),
            change_set: None,
            protected: false,
            content: if creating { 0 } else { content },
            worked: !creating,
            ours: false,
            operation: None,
            version: 1,
            tokens: BTreeSet::new(),
        };
        let ahead: Option<Vec<S>> = match status {
            S::CreateInProgress => Some(creation(chance)),
            S::UpdateInProgress => Some(update(chance)),
            S::UpdateCompleteCleanupInProgress => Some(vec![S::UpdateComplete]),
            S::RollbackInProgress => Some(vec![S::RollbackComplete]),
            S::UpdateRollbackInProgress => Some(rollback(chance)),
            S::UpdateRollbackCompleteCleanupInProgress => Some(vec![S::UpdateRollbackComplete]),
            S::DeleteInProgress => Some(deletion(chance)),
            S::ImportInProgress => Some(vec![S::ImportComplete]),
            S::ImportRollbackInProgress => Some(vec![S::ImportRollbackComplete]),
            _ => None,
        };
        stack.operation = ahead.map(|ahead| Operation {
            ahead,
            change_set: None,
            content,
            token: None,
        });
        self.stacks.push(stack);
    }

    /// The stack that has the name.
    pub(crate) fn named(&self) -> Option<&Stack> {
        self.stacks
            .iter()
            .rev()
            .find(|stack| stack.status != S::DeleteComplete)
    }

    /// The stack that a request means.
    pub(crate) fn meant(&self, name: &str) -> Option<usize> {
        self.stacks.iter().rposition(|stack| {
            stack.arn == name || (name == NAME && stack.status != S::DeleteComplete)
        })
    }

    fn record(&mut self, at: usize) {
        self.now += 1;
        let (now, stack) = (self.now, &mut self.stacks[at]);
        let token = stack.operation.as_ref().and_then(|it| it.token.clone());
        self.events.push(Event {
            stack: stack.arn.clone(),
            at: now,
            status: stack.status,
            token,
            failed_resource: false,
        });
    }

    /// Time passes: operations come one step further, change sets are computed.
    pub(crate) fn pass(&mut self, chance: &mut Chance) {
        self.now += 1;
        for set in &mut self.sets {
            if set.status == "CREATE_PENDING" && chance.one_in(2) {
                let stack = self.stacks.iter().find(|stack| stack.arn == set.stack);
                let empty = !set.create && stack.is_some_and(|stack| stack.content == set.content);
                if set.failing {
                    (set.status, set.reason) = ("FAILED", "Template error: no such thing");
                } else if empty {
                    set.status = "FAILED";
                    set.reason = "The submitted information didn't contain changes. Submit different information to create a change set.";
                } else {
                    (set.status, set.execution) = ("CREATE_COMPLETE", "AVAILABLE");
                }
            }
        }
        for at in 0..self.stacks.len() {
            if chance.one_in(2) {
                self.advance(at);
            }
        }
        self.keep_books();
    }

    fn advance(&mut self, at: usize) {
        let stack = &mut self.stacks[at];
        let Some(mut operation) = stack.operation.take() else {
            return;
        };
        let Some(next) = operation.ahead.pop() else {
            return;
        };
        if matches!(
            next,
            S::RollbackInProgress | S::UpdateRollbackInProgress | S::UpdateFailed | S::CreateFailed
        ) {
            self.now += 1;
            let event = Event {
                stack: stack.arn.clone(),
                at: self.now,
                status: next,
                token: operation.token.clone(),
                failed_resource: true,
            };
            self.events.push(event);
        }
        let stack = &mut self.stacks[at];
        stack.status = next;
        let good = matches!(
            next,
            S::CreateComplete | S::UpdateCompleteCleanupInProgress | S::ImportComplete
        );
        if good {
            stack.content = operation.content;
            stack.worked = true;
        }
        let over = operation.ahead.is_empty();
        if over && let Some(set) = &operation.change_set {
            let ended = matches!(next, S::CreateComplete | S::UpdateComplete);
            for (arn, outcome) in &mut self.books.executed {
                if arn == set {
                    *outcome = Some(ended);
                }
            }
            for other in &mut self.sets {
                if other.arn == *set {
                    other.execution = if ended {
                        "EXECUTE_COMPLETE"
                    } else {
                        "EXECUTE_FAILED"
                    };
                }
            }
        }
        stack.operation = Some(operation);
        self.record(at);
        if over {
            self.stacks[at].operation = None;
        }
    }

    fn keep_books(&mut self) {
        let standing = [
            S::CreateComplete,
            S::UpdateComplete,
            S::ImportComplete,
            S::UpdateRollbackComplete,
            S::ImportRollbackComplete,
        ];
        match self.named() {
            None => self.books.absent = true,
            Some(stack) if standing.contains(&stack.status) && stack.content == DESIRED => {
                self.books.satisfied = true;
            }
            Some(_) => {}
        }
    }

    /// Somebody else does something.
    pub(crate) fn meddle(&mut self, chance: &mut Chance) {
        self.disturbed = true;
        match self.named().map(|stack| stack.arn.clone()) {
            None => {
                self.stack_in(S::CreateInProgress, chance);
            }
            Some(arn) => {
                let at = self.meant(&arn).expect("it is there");
                if self.stacks[at].operation.is_some() {
                    return;
                }
                match self.stacks[at].status {
                    S::CreateComplete | S::UpdateComplete | S::UpdateRollbackComplete => {
                        let content = if chance.one_in(3) { DESIRED } else { 2 };
                        let ahead = update(chance);
                        self.begin(at, S::UpdateInProgress, ahead, None, content, None);
                    }
                    S::RollbackComplete | S::CreateFailed | S::DeleteFailed => {
                        let ahead = vec![S::DeleteComplete];
                        self.begin(at, S::DeleteInProgress, ahead, None, 0, None);
                    }
                    _ => {}
                }
            }
        }
    }

    fn begin(
        &mut self,
        at: usize,
        status: S,
        ahead: Vec<S>,
        change_set: Option<String>,
        content: u32,
        token: Option<String>,
    ) {
        let arn = self.stacks[at].arn.clone();
        // All other change sets of the stack are worth nothing from now on.
        for set in &mut self.sets {
            if set.stack == arn
                && change_set.as_ref() != Some(&set.arn)
                && set.execution == "AVAILABLE"
            {
                set.execution = "OBSOLETE";
            }
        }
        let now = self.now + 1;
        let stack = &mut self.stacks[at];
        stack.status = status;
        stack.version += 1;
        if status == S::UpdateInProgress {
            stack.updated = Some(now);
        }
        if change_set.is_some() {
            stack.change_set.clone_from(&change_set);
        } else if status == S::UpdateInProgress {
            stack.change_set = None;
        }
        stack.operation = Some(Operation {
            ahead,
            change_set,
            content,
            token,
        });
        self.record(at);
    }

    fn wrong(&mut self, what: String) {
        if !self.disturbed {
            self.books.wrong.push(what);
        }
    }

    pub(crate) fn create_change_set(
        &mut self,
        stack: &str,
        name: &str,
        token: &str,
        create: bool,
        chance: &mut Chance,
    ) -> Result<(String, String), Refusal> {
        let meant = self.meant(stack);
        if let Some(set) = self.sets.iter().find(|set| set.name == name) {
            if set.token == token && set.create == create {
                return Ok((set.arn.clone(), set.stack.clone()));
            }
            return Err((
                "AlreadyExistsException",
                format!("ChangeSet {name} already exists"),
            ));
        }
        let status = meant.map(|at| self.stacks[at].status);
        let arn = match (create, status) {
            (true, None) => {
                self.stack_in(S::ReviewInProgress, chance);
                let made = self.stacks.last_mut().expect("just made");
                made.ours = true;
                made.arn.clone()
            }
            (true, Some(S::ReviewInProgress)) => self.stacks[meant.expect("it")].arn.clone(),
            (true, Some(_)) => {
                self.wrong(format!("a CREATE change set of a stack that is {status:?}"));
                return Err((
                    "ValidationError",
                    format!(
                        "Stack [{stack}] already exists and cannot be created again with the changeSet [{name}]."
                    ),
                ));
            }
            (false, None) => {
                self.wrong("an UPDATE change set of no stack".to_owned());
                return Err(("ValidationError", format!("Stack [{stack}] does not exist")));
            }
            (false, Some(found)) if updatable(found) => self.stacks[meant.expect("it")].arn.clone(),
            (false, Some(found)) => {
                self.wrong(format!("an UPDATE change set of a stack that is {found}"));
                return Err((
                    "ValidationError",
                    format!("Stack:{stack} is in {found} state and can not be updated."),
                ));
            }
        };
        let version = self.stacks[self.meant(&arn).expect("it")].version;
        let number = self.number();
        let set = ChangeSet {
            arn: format!("{ACCOUNT}:changeSet/{name}/{number}"),
            name: name.to_owned(),
            stack: arn.clone(),
            status: "CREATE_PENDING",
            execution: "UNAVAILABLE",
            reason: "",
            token: token.to_owned(),
            content: DESIRED,
            create,
            version,
            failing: chance.one_in(30),
        };
        let made = (set.arn.clone(), arn);
        self.sets.push(set);
        Ok(made)
    }

    /// A change set that somebody has made and reviewed.
    pub(crate) fn reviewed(&mut self) -> String {
        let number = self.number();
        let (stack, create, version) = match self.named() {
            Some(stack) => (
                stack.arn.clone(),
                stack.status == S::ReviewInProgress,
                stack.version,
            ),
            None => ("gone".to_owned(), true, 0),
        };
        let arn = format!("{ACCOUNT}:changeSet/reviewed/{number}");
        self.sets.push(ChangeSet {
            arn: arn.clone(),
            name: "reviewed".to_owned(),
            stack,
            status: "CREATE_COMPLETE",
            execution: "AVAILABLE",
            reason: "",
            token: String::new(),
            content: DESIRED,
            create,
            version,
            failing: false,
        });
        arn
    }

    pub(crate) fn change_set(&self, name: &str) -> Result<ChangeSet, Refusal> {
        self.sets
            .iter()
            .find(|set| set.arn == name || set.name == name)
            .cloned()
            .ok_or_else(|| {
                (
                    "ChangeSetNotFound",
                    format!("ChangeSet [{name}] does not exist"),
                )
            })
    }

    pub(crate) fn execute(
        &mut self,
        name: &str,
        token: &str,
        chance: &mut Chance,
    ) -> Result<(), Refusal> {
        let set = self.change_set(name)?;
        let invalid = |what: &str| {
            Err((
                "InvalidChangeSetStatus",
                format!(
                    "ChangeSet [{}] cannot be executed in its current status of [{what}]",
                    set.arn
                ),
            ))
        };
        let Some(at) = self.stacks.iter().position(|stack| stack.arn == set.stack) else {
            return invalid("gone");
        };
        if self.stacks[at].tokens.contains(token) {
            // Which of the two AWS does is not documented.
            return if chance.one_in(2) {
                Ok(())
            } else {
                Err((
                    "TokenAlreadyExistsException",
                    "the token is known".to_owned(),
                ))
            };
        }
        if set.execution != "AVAILABLE" {
            return invalid(set.execution);
        }
        let stack = &self.stacks[at];
        let fits = if set.create {
            stack.status == S::ReviewInProgress
        } else {
            updatable(stack.status) && stack.version == set.version
        };
        if !fits {
            return invalid("OBSOLETE");
        }
        let ahead = if set.create {
            creation(chance)
        } else {
            update(chance)
        };
        let status = if set.create {
            S::CreateInProgress
        } else {
            S::UpdateInProgress
        };
        self.stacks[at].tokens.insert(token.to_owned());
        for other in &mut self.sets {
            if other.arn == set.arn {
                other.execution = "EXECUTE_IN_PROGRESS";
            }
        }
        self.books.executed.push((set.arn.clone(), None));
        self.begin(
            at,
            status,
            ahead,
            Some(set.arn),
            set.content,
            Some(token.to_owned()),
        );
        Ok(())
    }

    pub(crate) fn discard(&mut self, name: &str) -> Result<(), Refusal> {
        let set = self.change_set(name)?;
        if set.execution.starts_with("EXECUTE_IN") {
            self.wrong("a change set that is being executed is deleted".to_owned());
            return Err(("InvalidChangeSetStatus", "it is being executed".to_owned()));
        }
        self.sets.retain(|other| other.arn != set.arn);
        Ok(())
    }

    pub(crate) fn delete(
        &mut self,
        name: &str,
        token: &str,
        chance: &mut Chance,
    ) -> Result<(), Refusal> {
        let Some(at) = self.meant(name) else {
            return Ok(());
        };
        let stack = &self.stacks[at];
        if matches!(stack.status, S::DeleteComplete | S::DeleteInProgress) {
            return Ok(());
        }
        if stack.protected {
            return Err((
                "ValidationError",
                format!("Stack [{name}] cannot be deleted while TerminationProtection is enabled"),
            ));
        }
        if stack.tokens.contains(token) {
            return Ok(());
        }
        let shell = stack.status == S::ReviewInProgress;
        if shell && !stack.ours && !self.may_delete {
            self.books
                .wrong
                .push("somebody else's stack in review is deleted".to_owned());
        }
        if stack.worked && !self.may_delete {
            self.books.wrong.push(format!(
                "a stack that has worked is deleted; it was {}",
                stack.status
            ));
        }
        self.stacks[at].tokens.insert(token.to_owned());
        if chance.one_in(30) {
            // Refused, as when an export is in use: it goes back to where it was.
            return Ok(());
        }
        let ahead = if shell {
            vec![S::DeleteComplete]
        } else {
            deletion(chance)
        };
        self.begin(
            at,
            S::DeleteInProgress,
            ahead,
            None,
            0,
            Some(token.to_owned()),
        );
        if shell {
            // At once, and not only when time has passed: whoever looks next finds nothing.
            self.advance(at);
            self.keep_books();
        }
        Ok(())
    }

    pub(crate) fn roll_back(
        &mut self,
        name: &str,
        token: &str,
        chance: &mut Chance,
    ) -> Result<(), Refusal> {
        self.recover(name, token, S::UpdateFailed, rollback(chance))
    }

    pub(crate) fn continue_rollback(
        &mut self,
        name: &str,
        token: &str,
        chance: &mut Chance,
    ) -> Result<(), Refusal> {
        self.recover(name, token, S::UpdateRollbackFailed, rollback(chance))
    }

    fn recover(&mut self, name: &str, token: &str, from: S, ahead: Vec<S>) -> Result<(), Refusal> {
        let Some(at) = self.meant(name) else {
            return Err(("ValidationError", format!("Stack [{name}] does not exist")));
        };
        let stack = &self.stacks[at];
        if stack.tokens.contains(token) {
            return Ok(());
        }
        if stack.status != from {
            let status = stack.status;
            self.wrong(format!("a rollback of a stack that is {status}"));
            return Err((
                "ValidationError",
                format!("Stack [{name}] is in {status} state"),
            ));
        }
        let content = stack.content;
        self.stacks[at].tokens.insert(token.to_owned());
        self.begin(
            at,
            S::UpdateRollbackInProgress,
            ahead,
            None,
            content,
            Some(token.to_owned()),
        );
        Ok(())
    }
}

fn updatable(status: S) -> bool {
    matches!(
        status,
        S::CreateComplete
            | S::UpdateComplete
            | S::ImportComplete
            | S::UpdateRollbackComplete
            | S::ImportRollbackComplete
    )
}

/// What a creation passes through after `CREATE_IN_PROGRESS`, the last first.
fn creation(chance: &mut Chance) -> Vec<S> {
    match chance.below(10) {
        0 => vec![S::RollbackFailed, S::RollbackInProgress],
        1 | 2 => vec![S::RollbackComplete, S::RollbackInProgress],
        _ => vec![S::CreateComplete],
    }
}

fn update(chance: &mut Chance) -> Vec<S> {
    match chance.below(10) {
        0 => vec![S::UpdateRollbackFailed, S::UpdateRollbackInProgress],
        1 | 2 => vec![
            S::UpdateRollbackComplete,
            S::UpdateRollbackCompleteCleanupInProgress,
            S::UpdateRollbackInProgress,
        ],
        _ => vec![S::UpdateComplete, S::UpdateCompleteCleanupInProgress],
    }
}

fn rollback(chance: &mut Chance) -> Vec<S> {
    if chance.one_in(4) {
        vec![S::UpdateRollbackFailed]
    } else {
        vec![
            S::UpdateRollbackComplete,
            S::UpdateRollbackCompleteCleanupInProgress,
        ]
    }
}

fn deletion(chance: &mut Chance) -> Vec<S> {
    if chance.one_in(8) {
        vec![S::DeleteFailed]
    } else {
        vec![S::DeleteComplete]
    }
}
