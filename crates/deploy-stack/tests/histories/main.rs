//! Histories: from any state a stack can be in, with any goal and policy, whatever calls fail, are cut off, come late or
//! twice, whoever meddles and whenever the function dies, the action ends, executes at most once, deletes no stack that
//! ever worked unless that was asked for, makes no call that the state forbids, and reports success only of what is so.
//!
//! `TOWPATH_HISTORIES` says how many of each kind (10,000, and 500 of endings), `TOWPATH_SEED` which is the first. A
//! history that is found wrong is named by its seed, which brings it back; perhaps not at the first try, as the seed does
//! not order the function's threads.

mod chance;
mod ending;
mod model;
mod wire;

use std::io::{Cursor, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_smithy_async::rt::sleep::{AsyncSleep, SharedAsyncSleep, Sleep};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use deploy_stack::DeployStack;
use serde_json::{Value, json};
use towpath_stack::StackStatus;

use chance::Chance;
use model::CloudFormation;
use wire::{Lives, Wire, World};

/// How many invocations a history may take, until it is said never to end.
const STEPS: u32 = 150;

/// What is asked of the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Deploy(&'static str),
    Plan,
    Execute,
    Delete,
}

const ASKED: [Asked; 6] = [
    Asked::Deploy("fail"),
    Asked::Deploy("recover"),
    Asked::Deploy("replace"),
    Asked::Plan,
    Asked::Execute,
    Asked::Delete,
];

/// Waits that are over at once.
#[derive(Debug)]
struct NoWait;

impl AsyncSleep for NoWait {
    fn sleep(&self, _: Duration) -> Sleep {
        Sleep::new(std::future::ready(()))
    }
}

/// Histories that were wrong once. Two deliveries of one job: the quicker creates the stack, and the other takes its change
/// set for an update.
const FOUND: [u64; 3] = [167_993, 242_181, 456_344];

#[test]
fn what_was_wrong_once_is_so_no_more() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let archive = archive();
    for seed in FOUND {
        if let Err(wrong) = runtime.block_on(history(seed, &archive)) {
            panic!("TOWPATH_HISTORIES=1 TOWPATH_SEED={seed}: {wrong}");
        }
    }
}

#[test]
fn whatever_happens_the_action_ends_and_tells_the_truth() {
    let archive = archive();
    live(10_000, async |seed| history(seed, &archive).await);
}

#[test]
fn whatever_happens_only_what_may_go_is_deleted() {
    live(500, ending::history);
}

/// Lives through histories, as many as were asked for, on every core.
fn live(default: u64, history: impl AsyncFn(u64) -> Result<(), String> + Sync) {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let histories = number("TOWPATH_HISTORIES", default);
    let first = number("TOWPATH_SEED", 1);
    println!("TOWPATH_HISTORIES={histories} TOWPATH_SEED={first}");
    let began = std::time::Instant::now();
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let work = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= histories {
                    return;
                }
                let seed = first + number;
                if let Err(wrong) = runtime.block_on(history(seed)) {
                    // The others need not go on.
                    next.store(histories, Ordering::Relaxed);
                    panic!("TOWPATH_HISTORIES=1 TOWPATH_SEED={seed}: {wrong}");
                }
            }
        };
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for one in all {
            if let Err(panic) = one.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    println!("{histories} histories in {:?}", began.elapsed());
}

/// One history. The error says what was wrong, and all that happened.
async fn history(seed: u64, archive: &[u8]) -> Result<(), String> {
    let mut chance = Chance::of(seed);
    let all = StackStatus::ALL;
    let pick = chance.below(all.len() as u64 + 1);
    let status = usize::try_from(pick)
        .ok()
        .and_then(|at| all.get(at).copied());
    let status = status.filter(|status| *status != StackStatus::DeleteComplete);
    let asked = ASKED[usize::try_from(chance.below(ASKED.len() as u64)).expect("small")];
    let mut cloudformation = CloudFormation::new(status, &mut chance);
    cloudformation.may_delete = matches!(asked, Asked::Delete | Asked::Deploy("replace"));
    let parameters = match asked {
        Asked::Deploy(policy) => {
            format!("stack=app&template=Source::t.yaml&on-failure={policy}")
        }
        Asked::Plan => "action=plan&stack=app&template=Source::t.yaml".to_owned(),
        Asked::Execute => format!(
            "action=execute&stack=app&change-set={}",
            cloudformation.reviewed()
        ),
        Asked::Delete => "action=delete&stack=app".to_owned(),
    };
    let quiet = chance.one_in(3);
    let mut world = World::new(cloudformation, chance, archive.to_vec());
    world.faults = !quiet;
    let wire = Wire::to(world);
    let report = run(&wire, &parameters, quiet).await;
    wire.with(|world| {
        let wrong = judge(asked, world, report.as_ref());
        wrong.map_or(Ok(()), |wrong| {
            Err(format!(
                "{wrong}\nasked: {asked:?}, from {status:?}\nreport: {report:?}\nexecuted: {:?}\n{}",
                world.cloudformation.books.executed,
                world.trace.join("\n")
            ))
        })
    })
}

/// Invokes the function until it has reported an end. Nothing: it never did.
async fn run<W: Lives>(wire: &Wire<W>, parameters: &str, quiet: bool) -> Option<(String, Value)> {
    let aws = towpath_aws::fixed(
        "http://127.0.0.1:9",
        "eu-west-1",
        Credentials::new("AKIDROLE", "role-secret", None, None, "test"),
    );
    let aws = aws
        .to_builder()
        .http_client(SharedHttpClient::new(wire.clone()))
        .sleep_impl(SharedAsyncSleep::new(NoWait))
        .build();
    let action = Arc::new(DeployStack::new(aws.clone(), None));
    let secrets = towpath_job::Secrets::default();
    let mut token: Option<String> = None;
    let mut job = 0;
    for _ in 0..STEPS {
        job += 1;
        let event = event(job, parameters, token.as_deref());
        let seen = wire.with(|world| {
            if !quiet && world.chance().one_in(25) {
                let calls = u32::try_from(world.chance().below(4)).ok();
                world.dies_at(calls);
            }
            world.reports().len()
        });
        let mut deliveries = wire.with(|world| u32::from(!quiet && world.chance().one_in(15)) + 1);
        while deliveries > 0 {
            deliveries -= 1;
            let handling = towpath_job::handle(
                &action,
                event.clone(),
                SystemTime::now() + Duration::from_mins(5),
                &aws,
                &secrets,
            );
            tokio::select! {
                // In this order, so that a seed tells the whole history.
                biased;
                // An error would be that nothing could be reported, which is not so here.
                settled = handling => drop(settled.expect("CodePipeline answers")),
                // Lambda delivers the event once more.
                () = wire.died.notified() => deliveries += 1,
            }
            wire.with(|world| world.dies_at(None));
        }
        let (operation, body) = wire.with(|world| world.reports().get(seen).cloned())?;
        match body.get("continuationToken").and_then(Value::as_str) {
            Some(text) if operation == "PutJobSuccessResult" => {
                assert!(text.len() <= 2_048, "a token of {} characters", text.len());
                token = Some(text.to_owned());
            }
            _ => return Some((operation, body)),
        }
        wire.with(|world| {
            let meddled = !quiet && world.chance().one_in(40);
            world.pass(meddled);
        });
    }
    None
}

/// What is wrong with a history that has ended so.
fn judge(asked: Asked, world: &World, report: Option<&(String, Value)>) -> Option<String> {
    let books = &world.cloudformation.books;
    let Some((operation, body)) = report else {
        return Some(format!(
            "it does not end; the stack is {:?}",
            world.status()
        ));
    };
    if let Some(wrong) = books.wrong.first() {
        return Some(wrong.clone());
    }
    if books.executed.len() > 1 {
        return Some("it was executed more than once".to_owned());
    }
    if body["failureDetails"]["message"]
        .as_str()
        .is_some_and(|text| text.contains("panicked"))
    {
        return Some("it panicked".to_owned());
    }
    if operation != "PutJobSuccessResult" {
        return None;
    }
    let changed = body["outputVariables"]["Changed"] == "true";
    let true_so = match (asked, books.executed.first()) {
        (Asked::Deploy(_), Some((_, ended))) => *ended == Some(true) && changed,
        (Asked::Deploy(_), None) => books.satisfied && !changed,
        (Asked::Execute, Some((_, ended))) => *ended == Some(true),
        (Asked::Execute | Asked::Plan, None) => {
            asked == Asked::Plan && (changed || books.satisfied)
        }
        (Asked::Plan | Asked::Delete, Some(_)) => false,
        (Asked::Delete, None) => books.absent,
    };
    (!true_so).then(|| "it reports success, and that is not so".to_owned())
}

fn event(job: u32, parameters: &str, token: Option<&str>) -> Value {
    let mut data = json!({
        "actionConfiguration": {"configuration": {
            "FunctionName": "deploy-stack", "UserParameters": parameters}},
        "inputArtifacts": [{"name": "Source", "location": {"type": "S3", "s3Location": {
            "bucketName": "artifacts", "objectKey": "source"}}}],
        "outputArtifacts": [],
        "artifactCredentials": {
            "accessKeyId": "AKIDJOB", "secretAccessKey": "job-secret", "sessionToken": "job-session"},
    });
    if let Some(token) = token {
        data["continuationToken"] = token.into();
    }
    json!({"CodePipeline.job": {
        "id": format!("11111111-abcd-1111-abcd-{job:012}"),
        "accountId": "111111111111",
        "data": data,
    }})
}

/// The input artifact: a template.
fn archive() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("t.yaml", zip::write::SimpleFileOptions::default())
        .expect("a name");
    zip.write_all(b"Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n")
        .expect("memory takes all");
    zip.finish().expect("memory takes all").into_inner()
}
