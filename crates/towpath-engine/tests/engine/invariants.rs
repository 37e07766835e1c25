//! Any inputs in any order: stale, repeated, contradictory. What must hold, holds after each.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use towpath_engine::definition::{ExecutionMode, RetryMode};
use towpath_engine::{
    ActionExecutionId, ActionStatus, ApprovalAnswer, Effect, ExecutionId, ExecutionStatus, Failure,
    Input, JobSuccess, RetryRequest, Revision, SourceFetched, TransitionChange, TransitionEnd,
};

use crate::pipeline::{Bench, approval, lambda, parse, pipeline, source, stage, with};

const STAGES: [&str; 3] = ["Source", "Work", "Gate"];

/// What may happen. Numbers choose among everything ever seen, ended things included.
#[derive(Debug, Clone)]
enum Step {
    Start,
    Fetched(usize, bool),
    Reported(usize, Report),
    Answered(usize, bool),
    Stopped(usize, bool),
    Retried(usize, usize, bool),
    /// One end of a stage's links: which stage, inbound, disabled.
    Turned(usize, bool, bool),
    Passed(u64),
    Updated,
}

#[derive(Debug, Clone)]
enum Report {
    Success,
    Progress,
    Failure,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Start),
        6 => (any::<usize>(), prop::bool::weighted(0.85)).prop_map(|(i, ok)| Step::Fetched(i, ok)),
        12 => (any::<usize>(), prop_oneof![
            5 => Just(Report::Success),
            2 => Just(Report::Progress),
            2 => Just(Report::Failure),
        ]).prop_map(|(i, report)| Step::Reported(i, report)),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(i, yes)| Step::Answered(i, yes)),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(i, abandon)| Step::Stopped(i, abandon)),
        3 => (any::<usize>(), 0..3_usize, any::<bool>()).prop_map(|(i, s, all)| Step::Retried(i, s, all)),
        2 => (0..3_usize, any::<bool>(), any::<bool>()).prop_map(|(s, inbound, disabled)| Step::Turned(s, inbound, disabled)),
        4 => (0..3_600_u64).prop_map(Step::Passed),
        1 => (0..200_000_u64).prop_map(Step::Passed),
        1 => prop::bool::weighted(0.2).prop_map(|update| if update { Step::Updated } else { Step::Start }),
    ]
}

fn document(mode: &str) -> serde_json::Value {
    with(
        pipeline(&[
            stage("Source", &[source()]),
            with(
                stage(
                    "Work",
                    &[
                        lambda("A"),
                        with(lambda("B"), json!({"namespace": "Bee"})),
                        with(
                            lambda("C"),
                            json!({"runOrder": 2, "configuration": {"FunctionName": "c", "UserParameters": "#{Bee.x}"}}),
                        ),
                    ],
                ),
                json!({"onFailure": {"result": "RETRY"}}),
            ),
            stage(
                "Gate",
                &[approval("Yes"), with(lambda("D"), json!({"runOrder": 3}))],
            ),
        ]),
        json!({"executionMode": mode}),
    )
}

struct World {
    bench: Bench,
    mode: ExecutionMode,
    document: serde_json::Value,
    /// Every terminal status ever seen of an attempt.
    ended: HashMap<ActionExecutionId, ActionStatus>,
    over: HashMap<ExecutionId, ExecutionStatus>,
    jobs: HashSet<String>,
    seen: usize,
    /// Which ends are disabled, by stage: inbound, outbound.
    disabled: [[bool; 2]; 3],
    /// Who was in each stage when it was last looked at, and whether it was open.
    inside: [(HashSet<ExecutionId>, bool); 3],
    retried: bool,
}

impl World {
    fn new(mode: ExecutionMode) -> Self {
        let document = document(mode.as_str());
        Self {
            bench: Bench::new(&document),
            mode,
            document,
            ended: HashMap::new(),
            over: HashMap::new(),
            jobs: HashSet::new(),
            seen: 0,
            disabled: [[false; 2]; 3],
            inside: Default::default(),
            retried: false,
        }
    }

    fn take(&mut self, step: Step) {
        self.retried = matches!(step, Step::Retried(..));
        let bench = &mut self.bench;
        let pick = |length: usize, index: usize| (length > 0).then(|| index % length);
        let input = match step {
            Step::Start => {
                let _ = bench.start_with(&[]);
                None
            }
            Step::Fetched(index, ok) => {
                let fetches = bench.fetches();
                pick(fetches.len(), index).map(|index| {
                    let action_execution = fetches[index].action_execution.clone();
                    if ok {
                        Input::SourceFetched(SourceFetched {
                            action_execution,
                            revision: Revision {
                                id: "r".into(),
                                change: None,
                                summary: None,
                                created: None,
                                url: None,
                            },
                            variables: BTreeMap::new(),
                        })
                    } else {
                        Input::ActionFailed {
                            action_execution,
                            failure: Failure::new("RevisionUnavailable", "gone"),
                        }
                    }
                })
            }
            Step::Reported(index, report) => {
                let jobs: Vec<_> = bench
                    .effects
                    .iter()
                    .filter_map(|effect| match effect {
                        Effect::InvokeFunction(job) => Some(job.job.clone()),
                        _ => None,
                    })
                    .collect();
                // The newest dozen: among all that ever were, few would still be awaited.
                let recent = &jobs[jobs.len().saturating_sub(12)..];
                pick(recent.len(), index).map(|index| {
                    let job = recent[index].clone();
                    match report {
                        Report::Success => Input::JobSucceeded {
                            job,
                            report: JobSuccess {
                                // Sometimes what C needs is missing.
                                variables: if index % 4 == 3 {
                                    BTreeMap::new()
                                } else {
                                    BTreeMap::from([("x".into(), "1".into())])
                                },
                                ..JobSuccess::default()
                            },
                        },
                        Report::Progress => Input::JobSucceeded {
                            job,
                            report: JobSuccess {
                                continuation: Some("more".into()),
                                ..JobSuccess::default()
                            },
                        },
                        Report::Failure => Input::JobFailed {
                            job,
                            failure: Failure::new("JobFailed", "broken"),
                        },
                    }
                })
            }
            Step::Answered(index, approved) => {
                let requests = bench.requests();
                pick(requests.len(), index).map(|index| {
                    let request = requests[index].clone();
                    Input::Answer(ApprovalAnswer {
                        stage: request.stage,
                        action: request.action,
                        token: request.token,
                        approved,
                        summary: String::new(),
                        by: None,
                    })
                })
            }
            Step::Stopped(index, abandon) => self.execution(index).map(|execution| Input::Stop {
                execution,
                abandon,
                reason: None,
            }),
            Step::Retried(index, stage, all) => self.execution(index).map(|execution| {
                Input::Retry(RetryRequest {
                    execution,
                    stage: STAGES[stage].into(),
                    mode: if all {
                        RetryMode::AllActions
                    } else {
                        RetryMode::FailedActions
                    },
                })
            }),
            Step::Turned(stage, inbound, disabled) => {
                self.turn(stage, inbound, disabled);
                None
            }
            Step::Passed(seconds) => {
                bench.pass(Duration::from_secs(seconds));
                None
            }
            Step::Updated => Some(Input::Update(Box::new(
                parse(&self.document).expect("it is valid"),
            ))),
        };
        if let Some(input) = input {
            // A refusal is an answer too; what must hold must hold after it.
            let _ = self.bench.feed(input);
        }
    }

    fn turn(&mut self, stage: usize, inbound: bool, disabled: bool) {
        self.disabled[stage][usize::from(!inbound)] = disabled;
        self.bench
            .feed(Input::ChangeTransition(TransitionChange {
                stage: STAGES[stage].into(),
                end: if inbound {
                    TransitionEnd::Inbound
                } else {
                    TransitionEnd::Outbound
                },
                disabled: disabled.then(|| "not now".into()),
                by: None,
            }))
            .expect("the stage exists");
    }

    /// Whether executions may enter a stage, by what was asked for.
    fn open(&self, stage: usize) -> bool {
        let before = stage
            .checked_sub(1)
            .is_some_and(|before| self.disabled[before][1]);
        !(self.disabled[stage][0] || before)
    }

    fn execution(&self, index: usize) -> Option<ExecutionId> {
        let executions = self.bench.engine.executions();
        let recent = &executions[executions.len().saturating_sub(5)..];
        (!recent.is_empty()).then(|| recent[index % recent.len()].id.clone())
    }

    fn check(&mut self) {
        let engine = &self.bench.engine;

        // Effects: a job has an id of its own, and none follows the end of its action.
        for effect in &self.bench.effects[self.seen..] {
            match effect {
                Effect::InvokeFunction(job) => {
                    assert!(
                        self.jobs.insert(job.job.to_string()),
                        "a job id twice: {job:?}"
                    );
                    assert!(
                        !self.ended.contains_key(&job.action_execution),
                        "a job for an action that has ended: {job:?}"
                    );
                }
                Effect::ActionEnded {
                    action_execution,
                    status,
                    ..
                } => {
                    assert!(status.is_terminal());
                    assert_eq!(
                        self.ended.insert(action_execution.clone(), *status),
                        None,
                        "an action ended twice"
                    );
                }
                Effect::ExecutionEnded { execution, status } => {
                    assert!(status.is_terminal());
                    self.over.insert(execution.clone(), *status);
                }
                Effect::FetchSource(_) | Effect::RequestApproval(_) | Effect::SetTimer { .. } => {}
            }
        }
        self.seen = self.bench.effects.len();

        for (number, execution) in engine.executions().iter().enumerate() {
            // A terminal status is announced and kept; only a retry makes an execution run again.
            for run in &execution.log {
                assert_eq!(
                    run.status.is_terminal().then_some(run.status),
                    self.ended.get(&run.id).copied(),
                    "execution {number}: {run:#?}"
                );
                let waited_for = run
                    .jobs
                    .iter()
                    .filter(|job| job.status == towpath_engine::JobStatus::InProgress)
                    .count();
                let most = usize::from(!run.status.is_terminal());
                assert!(waited_for <= most, "execution {number}: {run:#?}");
            }
            if execution.status.is_terminal() {
                assert_eq!(self.over.get(&execution.id), Some(&execution.status));
                assert_eq!(execution.stage(), None);
                assert_eq!(execution.waiting_for(), None);
                assert!(
                    execution.log.iter().all(|run| run.status.is_terminal()),
                    "execution {number} left an action running"
                );
            }
        }

        // Stages: who is inside holds the lock, and who waits is on the list, once.
        for (index, stage) in engine.stages().enumerate() {
            let inside: Vec<_> = engine
                .executions()
                .iter()
                .filter(|execution| execution.stage() == Some(index))
                .map(|execution| &execution.id)
                .collect();
            let waiting = engine
                .executions()
                .iter()
                .filter(|execution| execution.waiting_for() == Some(index))
                .count();
            assert_eq!(stage.waiters().count(), waiting);
            let open = self.open(index);
            assert_eq!(
                stage.transition.is_none_or(|end| end.disabled.is_none()),
                open,
                "stage {index}: {:?}",
                stage.transition
            );
            assert!(
                !open || stage.holder.is_some() || waiting == 0,
                "stage {index} is free and open, yet someone waits"
            );
            let (were_inside, was_open) = &self.inside[index];
            assert!(
                open || *was_open
                    || self.retried
                    || inside.iter().all(|id| were_inside.contains(id)),
                "someone entered stage {index}, which was not open"
            );
            self.inside[index] = (inside.iter().map(|&id| id.clone()).collect(), open);
            match self.mode {
                ExecutionMode::Parallel => assert!(!open || waiting == 0),
                ExecutionMode::Superseded | ExecutionMode::Queued => {
                    assert!(inside.len() <= 1, "two executions in stage {index}");
                    assert_eq!(
                        stage.holder.map(|execution| &execution.id),
                        inside.first().copied()
                    );
                }
            }
            if self.mode == ExecutionMode::Superseded {
                assert!(waiting <= 1, "{waiting} executions wait for stage {index}");
            }
        }

        // Whatever is in a stage has a timer, and the driver was told of the next one. Whoever waits
        // does so behind another, or for a transition: that was seen above.
        let running = engine
            .executions()
            .iter()
            .any(|execution| execution.stage().is_some());
        assert_eq!(
            engine.next_timer().is_some(),
            running,
            "a timer runs exactly while a stage is occupied"
        );
        let announced = self
            .bench
            .effects
            .iter()
            .rev()
            .find_map(|effect| match effect {
                Effect::SetTimer { at } => Some(*at),
                _ => None,
            });
        if let Some(next) = engine.next_timer() {
            assert_eq!(announced, Some(next));
        }
    }

    /// Nobody reports any more: time alone ends everything that is in a stage or comes into one, and
    /// once every transition is enabled, everything.
    fn outlast(&mut self) {
        self.wait();
        for execution in self.bench.engine.executions() {
            assert!(
                execution.status.is_terminal()
                    || execution
                        .waiting_for()
                        .is_some_and(|stage| !self.open(stage)),
                "{execution:#?} neither ended nor waits for a transition"
            );
        }
        for stage in 0..STAGES.len() {
            for inbound in [true, false] {
                self.retried = false;
                self.turn(stage, inbound, false);
                self.check();
            }
        }
        self.wait();
        let engine = &self.bench.engine;
        assert!(
            engine
                .executions()
                .iter()
                .all(|execution| execution.status.is_terminal())
        );
        assert!(
            engine
                .stages()
                .all(|stage| stage.holder.is_none() && stage.waiters().count() == 0)
        );
    }

    fn wait(&mut self) {
        self.retried = false;
        for _ in 0..10_000 {
            if self.bench.engine.next_timer().is_none() {
                break;
            }
            self.bench.pass(Duration::from_hours(1));
            self.check();
        }
        assert_eq!(self.bench.engine.next_timer(), None, "a timer for ever");
    }
}

fn run(mode: ExecutionMode, steps: Vec<Step>) {
    let mut world = World::new(mode);
    for step in steps {
        world.take(step);
        world.check();
    }
    world.outlast();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn executions_that_supersede_each_other_keep_the_invariants(steps in prop::collection::vec(step(), 1..120)) {
        run(ExecutionMode::Superseded, steps);
    }

    #[test]
    fn executions_in_a_queue_keep_the_invariants(steps in prop::collection::vec(step(), 1..80)) {
        run(ExecutionMode::Queued, steps);
    }

    #[test]
    fn executions_side_by_side_keep_the_invariants(steps in prop::collection::vec(step(), 1..80)) {
        run(ExecutionMode::Parallel, steps);
    }
}
